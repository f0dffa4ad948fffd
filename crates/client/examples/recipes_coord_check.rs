//! Checks barriers, queues, counters, once-only marks and claims against a running server.
//!
//! `recipes_coord_check HOST:PORT` prints `ok NAME` or `FAIL NAME: why` for each check, and last
//! `N passed, N failed`. Its nodes are below `/recipes-coord-check`, which is removed first.
//!
//! Most operations are done once for each request that they send, with the connection cut just
//! before that request or just after its answer, and once for each moment at which their future
//! may be dropped.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use bellwether_client::{Client, Connector, Error, ErrorCode};
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::Duration;

#[path = "recipes_coord_check/barriers.rs"]
mod barriers;
#[path = "recipes_coord_check/flaky.rs"]
mod flaky;
#[path = "recipes_coord_check/marks.rs"]
mod marks;
#[path = "recipes_coord_check/queues.rs"]
mod queues;

use flaky::{Cut, Flaky, Plan};

/// What a check comes to.
pub(crate) type Checked = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Fails the check if it does not hold.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+).into());
        }
    };
}
pub(crate) use ensure;

/// A check takes no longer than this, or it hangs.
const CHECK_LIMIT: Duration = Duration::from_secs(120);

/// How long to look for something that shall not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

const BASE: &str = "/recipes-coord-check";

/// What all checks share.
pub(crate) struct World {
    pub(crate) address: String,
    /// A client whose connection stays.
    pub(crate) steady: Client,
    /// One whose connection is cut according to plan.
    pub(crate) flaky: Client,
    plan: Plan,
}

impl World {
    async fn new(address: &str) -> Result<World, Error> {
        let plan = Plan::default();
        let connector = Connector::new().session_timeout(Duration::from_secs(10));
        let steady = connector.connect(address).await?;
        let flaky = connector.connect_over(Flaky::new(&plan), address).await?;
        Ok(World { address: address.into(), steady, flaky, plan })
    }

    /// A client of its own.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        Connector::new().session_timeout(Duration::from_secs(10)).connect(&self.address).await
    }

    /// Runs it with the connection of the flaky client cut at each of the requests that it sends,
    /// before and after, until one run sends no more of them. It is told the number of the run.
    pub(crate) async fn with_every_cut(&self, run: impl AsyncFn(usize) -> Checked) -> Checked {
        let mut number = 0;
        for cut in [Cut::Before, Cut::After] {
            for request in 1.. {
                self.plan.arm(cut, request);
                number += 1;
                let done = run(number).await;
                let was_cut = self.plan.disarm();
                done.map_err(|error| format!("cut {cut:?} request {request}: {error}"))?;
                if !was_cut {
                    ensure!(request > 1, "no connection was cut");
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Waits until it holds.
pub(crate) async fn until(holds: impl AsyncFn() -> Result<bool, Error>) -> Checked {
    let wait = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), Error>(())
    };
    match tokio::time::timeout(Duration::from_secs(20), wait).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("what was waited for did not come".into()),
    }
}

/// The names below a path, in order; none if it is missing.
pub(crate) async fn names(client: &Client, path: &str) -> Result<Vec<Box<str>>, Error> {
    client.retrying().sync(path).await?;
    match client.retrying().get_children(path).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
        Ok(mut names) => {
            names.sort();
            Ok(names)
        }
        known => known,
    }
}

/// A future that is dropped after it was polled so often; `None` if that came first.
pub(crate) struct Polled<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

pub(crate) fn polled<F: Future>(times: usize, inner: F) -> Polled<F> {
    Polled { inner: Box::pin(inner), left: times }
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.left = self.left.saturating_sub(1);
        match self.inner.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn remove_all(client: &Client, path: &str) -> Result<(), Error> {
    for name in names(client, path).await? {
        Box::pin(remove_all(client, &format!("{path}/{name}"))).await?;
    }
    match client.retrying().delete(path, None).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
        known => known,
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Runs a check that is told a path of its own.
    async fn check(&mut self, name: &str, check: impl AsyncFnOnce(String) -> Checked) {
        let path = format!("{BASE}/{}", name.replace(' ', "-"));
        let why = match tokio::time::timeout(CHECK_LIMIT, Box::pin(check(path))).await {
            Ok(Ok(())) => {
                self.passed += 1;
                println!("ok {name}");
                return;
            }
            Ok(Err(why)) => why.to_string(),
            Err(_) => format!("it hangs: no end after {CHECK_LIMIT:?}"),
        };
        self.failed += 1;
        println!("FAIL {name}: {why}");
    }
}

async fn check_all(address: &str) -> Result<Tally, Error> {
    let world = World::new(address).await?;
    remove_all(&world.steady, BASE).await?;
    let mut tally = Tally::default();
    barriers::check(&world, &mut tally).await;
    queues::check(&world, &mut tally).await;
    marks::check(&world, &mut tally).await;
    world.flaky.close().await;
    world.steady.close().await;
    Ok(tally)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        println!("usage: recipes_coord_check HOST:PORT");
        return ExitCode::FAILURE;
    };
    match check_all(&address).await {
        Ok(Tally { passed, failed }) => {
            println!("{passed} passed, {failed} failed");
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("FAIL start: {error}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}
