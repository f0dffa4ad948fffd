//! Checks the recipes against a server: a line per check, and a last line `N passed, N failed`.
//!
//! ```text
//! recipes_check ADDRESS [NAME …]              the checks, or those whose names begin so
//! recipes_check ADDRESS --crash [NAME …]      all recipes while a server is killed: prints CRASH
//!                                             and waits for a line, thrice
//! recipes_check ADDRESS --read-only FIRST     a server that only reads, and then others: prints
//!                                             MEMBERS and waits for a line
//! recipes_check ADDRESS --hold KIND PATH      takes part beside another client library
//! ```
//!
//! What it keeps true: a check waits for states, never for times, and leaves nothing behind.

use bellwether_client::{Client, Connector, Error};
use std::cell::RefCell;
use std::io::BufRead as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

mod crash;
mod cuts;
mod hold;
mod lines;
mod reading;
mod views;
mod votes;

/// What a check may take.
const LIMIT: Duration = Duration::from_secs(120);

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Checked = Result<(), Failed>;
type Play = fn(Bench) -> Pin<Box<dyn Future<Output = Checked>>>;
type Check = (&'static str, Play);

/// Where a check works.
#[derive(Clone)]
struct Bench {
    address: String,
    /// A path that is this check's own.
    path: String,
}

impl Bench {
    async fn client(&self) -> Result<Client, Error> {
        Connector::new().session_timeout(Duration::from_secs(6)).connect(&self.address).await
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, not {expected:?}").into())
    }
}

fn holds(what: &str, condition: bool) -> Checked {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// Tries until `look` has something to give.
async fn until<T, F: Future<Output = Result<Option<T>, Failed>>>(
    mut look: impl FnMut() -> F,
) -> Result<T, Failed> {
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Removes a node and everything below it.
fn remove<'a>(client: &'a Client, path: &'a str) -> Pin<Box<dyn Future<Output = Checked> + 'a>> {
    Box::pin(async move {
        for name in client.retrying().get_children(path).await.unwrap_or_default() {
            remove(client, &format!("{path}/{name}")).await?;
        }
        match client.retrying().delete(path, None).await {
            Err(Error::Refused { code: bellwether_client::ErrorCode::NoNode, .. }) | Ok(()) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    })
}

fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str()))
}

/// Runs the checks, several at a time, since most of them wait most of the time. Gives how many
/// passed and failed.
async fn run(address: &str, wanted: &[String]) -> Result<(u32, u32), Failed> {
    let ours = [lines::CHECKS, views::CHECKS, votes::CHECKS];
    let all = ours.into_iter().chain(cuts::CHECKS).flatten();
    let left = RefCell::new(all.filter(|(name, _)| is_wanted(name, wanted)));
    let lane = async || {
        let (mut passed, mut failed) = (0, 0);
        loop {
            let next = left.borrow_mut().next();
            let Some((name, check)) = next else { return Ok::<_, Failed>((passed, failed)) };
            match one(address, name, *check).await? {
                Ok(()) => {
                    passed += 1;
                    say(&format!("ok   {name}"));
                }
                Err(why) => {
                    failed += 1;
                    say(&format!("FAIL {name}: {why}"));
                }
            }
        }
    };
    let lanes = tokio::try_join!(lane(), lane(), lane(), lane())?;
    let (passed, failed): (Vec<u32>, Vec<u32>) = <[_; 4]>::from(lanes).into_iter().unzip();
    Ok((passed.iter().sum(), failed.iter().sum()))
}

/// What one check comes to. Its nodes are removed if it passed.
async fn one(address: &str, name: &str, check: Play) -> Result<Checked, Failed> {
    let path = format!("/check-{}", name.replace(' ', "-"));
    let bench = Bench { address: address.to_owned(), path };
    let cleaner = bench.client().await?;
    let done = tokio::time::timeout(LIMIT, check(bench.clone())).await;
    let done = match done {
        Ok(Ok(())) => remove(&cleaner, &bench.path).await,
        Ok(failed) => failed,
        Err(_) => Err(format!("not done within {LIMIT:?}").into()),
    };
    cleaner.close().await;
    Ok(done)
}

/// Waits for a line of whoever was asked for something. It is read in a thread of its own, so that
/// everything else goes on meanwhile.
async fn answered(what: &str) -> Checked {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
    holds(what, line.await?.is_some())
}

#[expect(clippy::print_stdout, reason = "what it prints is what it is for")]
fn say(line: &str) {
    println!("{line}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let totals = match words.as_slice() {
        [address, flag, wanted @ ..] if flag == "--crash" => crash::run(address, wanted).await,
        [address, flag, first] if flag == "--read-only" => {
            reading::run(address, first).await.map(|()| (1, 0))
        }
        [address, flag, kind, path] if flag == "--hold" => {
            return ended(hold::run(address, kind, path).await.map(|()| (0, 0)));
        }
        [address, wanted @ ..] => run(address, wanted).await,
        [] => Err("the address of a server is missing".into()),
    };
    if let Ok((passed, failed)) = &totals {
        say(&format!("{passed} passed, {failed} failed"));
    }
    ended(totals)
}

fn ended(totals: Result<(u32, u32), Failed>) -> ExitCode {
    match totals {
        Ok((_, 0)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            say(&format!("FAIL {why}\n0 passed, 1 failed"));
            ExitCode::FAILURE
        }
    }
}
