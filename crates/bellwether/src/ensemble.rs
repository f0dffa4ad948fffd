//! `bellwether ensemble status`: every member at one glance, and whether one may be taken down.
//!
//! It asks four-letter words, so it works on Apache's members and on ours alike. What a member does
//! not tell is said to be unknown, never guessed.

mod ask;
mod report;

use crate::say;
use bellwether_client::{Host, Servers};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
usage: bellwether ensemble status --servers HOST:PORT,HOST:PORT,… [--json]

Asks every member what it is and prints role, epoch, zxid, how far it is behind, connections and
version, the differences in configuration that matter, and for each member whether taking it down
is safe at this moment. Exit code 0: clients are served and any one member can be lost; 1: not so;
2: the command line is wrong.

Members answer `srvr` by default; with `4lw.commands.whitelist=srvr,conf,mntr` in their zoo.cfg they
tell their configuration too.
";

/// The command line is wrong.
const EXIT_USAGE: u8 = 2;

/// What the command line asks for.
enum Wish {
    Usage,
    Status { servers: Vec<Host>, json: bool },
}

pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let (servers, json) = match parse(args) {
        Ok(Wish::Status { servers, json }) => (servers, json),
        Ok(Wish::Usage) => {
            say::line(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say::error(format!("bellwether ensemble: {error}\n\n{}", USAGE.trim_end()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let members = match runtime {
        Ok(runtime) => runtime.block_on(ask::all(&servers)),
        Err(error) => {
            say::error(format!("bellwether ensemble: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let report = report::Report::new(members);
    say::line(if json { report.to_json().to_string() } else { report.to_string() });
    if report.can_lose_any() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same for people, for those who have the members at hand.
pub(crate) async fn status(servers: &[Host]) -> String {
    report::Report::new(ask::all(servers).await).to_string()
}

fn parse(args: Vec<OsString>) -> Result<Wish, lexopt::Error> {
    let (mut servers, mut json, mut status) = (None, false, false);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("servers") | Short('s') => {
                let text = parser.value()?.string()?;
                let list = Servers::parse(&text);
                let list = list.map_err(|error| lexopt::Error::from(format!("{error}")))?;
                servers = Some(list.hosts().to_vec());
            }
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok(Wish::Usage),
            Value(word) if !status && word == "status" => status = true,
            Short(_) | Long(_) | Value(_) => return Err(arg.unexpected()),
        }
    }
    match (status, servers) {
        (true, Some(servers)) => Ok(Wish::Status { servers, json }),
        (true, None) => Err("--servers is missing: name the members' client ports".into()),
        (false, _) => Err("expected `status`".into()),
    }
}
