//! `bellwether quickstart ensemble`: three members on loopback in one terminal, for people who want
//! to see an election: kill one, and watch the others.
//!
//! Each member is a process of its own, with a zoo.cfg that a real one could have. What they log is
//! printed line by line with the member's number. Nothing is left running when this ends.

mod members;

use crate::say;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use members::Members;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

const USAGE: &str = "\
usage: bellwether quickstart ensemble [--members N] [--dir DIR]

Starts N members (3; 1 to 7) of an ensemble on 127.0.0.1, with their data below DIR (a new directory
below the system's temporary one), and prints what they log. Then it takes commands:

  kill N      kill -9 member N
  pause N     stop its process; `go N` lets it go on
  start N     start it again
  status      who leads, who follows
  quit        stop everything (so does Ctrl-C)
";

const COMMANDS: &str = "commands: kill N, start N, pause N, go N, status, quit";

/// The command line is wrong.
const EXIT_USAGE: u8 = 2;

/// The command line, if it does not ask for the usage.
struct Wish {
    members: u8,
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let wish = match parse(args) {
        Ok(Some(wish)) => wish,
        Ok(None) => {
            say::line(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say::error(format!("bellwether quickstart: {error}\n\n{}", USAGE.trim_end()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(live(wish));
            // A thread that waits for the terminal must not be waited for.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(format!("bellwether quickstart: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn live(wish: Wish) -> std::io::Result<()> {
    let dir = wish.dir.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("bellwether-ensemble-{}", std::process::id()))
    });
    let mut members = Members::create(&dir, wish.members)?;
    for member in 1..=wish.members {
        members.start(member)?;
    }
    say::line(format!("data below {}", dir.display()));
    say::line(format!("clients:  bellwether cli -server {}", members.servers()));
    say::line(COMMANDS);
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) if line.trim() == "quit" => break,
                Some(line) => command(&mut members, line.trim()).await,
                None => break,
            },
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                break;
            }
            line = members.next_line() => say::line(line),
        }
    }
    members.stop().await;
    say::line(format!("stopped; the data stay below {}", dir.display()));
    Ok(())
}

async fn command(members: &mut Members, line: &str) {
    let mut words = line.split_whitespace();
    let (verb, number) = (words.next().unwrap_or_default(), words.next());
    let done = match (verb, number.map(str::parse)) {
        ("", None) => Ok(()),
        ("status", None) => {
            say::line(members.status().await);
            Ok(())
        }
        ("kill", Some(Ok(member))) => members.kill(member),
        ("pause", Some(Ok(member))) => members.pause(member),
        ("go", Some(Ok(member))) => members.go(member),
        ("start", Some(Ok(member))) => members.start(member),
        (_, _) => Err(std::io::Error::other(format!("{line:?} is no command; {COMMANDS}"))),
    };
    if let Err(error) = done {
        say::error(error.to_string());
    }
}

/// `None`: the usage was asked for.
fn parse(args: Vec<OsString>) -> Result<Option<Wish>, lexopt::Error> {
    let mut wish = Wish { members: 3, dir: None };
    let mut is_ensemble = false;
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("members") | Short('n') => {
                wish.members = parser.value()?.parse()?;
                if !(1..=7).contains(&wish.members) {
                    return Err("--members: expected 1 to 7".into());
                }
            }
            Long("dir") | Short('d') => wish.dir = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            Value(word) if !is_ensemble && word == "ensemble" => is_ensemble = true,
            Short(_) | Long(_) | Value(_) => return Err(arg.unexpected()),
        }
    }
    if is_ensemble { Ok(Some(wish)) } else { Err("expected `ensemble`".into()) }
}
