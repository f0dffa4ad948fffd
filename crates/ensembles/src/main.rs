//! Ensembles of real processes: ours, Apache's, and both together, with everything that can happen
//! to them, and their figures.
//!
//! What it keeps true: the whole run is in network namespaces of its own, so that neither ports nor
//! partitions concern anybody else. Prints a line per round and last `N passed, N failed`; ends
//! with 0 if nothing failed, 1 if something did, 2 if the run did not take place.
//!
//! In reading order: `settings`, `network`, `member`, `ensemble`, `client`, `load`, `judge`,
//! `rounds`, `bench`. What it leaves to others: building the servers and saying how they are
//! started; `cargo xtask` does that.
#![expect(clippy::print_stdout, reason = "its results are read by a person and by xtask")]

mod bench;
mod client;
mod ensemble;
mod judge;
mod load;
mod member;
mod network;
mod rounds;
mod settings;
mod wait;

use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

use settings::{Settings, USAGE, Wish};

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let inside = arguments.first().is_some_and(|word| word == network::INSIDE);
    if inside {
        arguments.remove(0);
    }
    let settings = match Settings::parse(&arguments) {
        Ok(settings) => settings,
        Err(why) => {
            say(&format!("ensembles: {why}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    if settings.list {
        rounds::list();
        return ExitCode::SUCCESS;
    }
    let why = match inside {
        true => match work(&settings) {
            Ok(code) => return code,
            Err(why) => why,
        },
        false => network::enter(&arguments),
    };
    say(&format!("ensembles: {why}"));
    ExitCode::from(2)
}

fn work(settings: &Settings) -> Result<ExitCode, String> {
    let directory = &settings.work;
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    network::begin(directory)?;
    match settings.wish {
        Wish::Rounds => {
            let totals = rounds::run(settings);
            say(&format!("{} passed, {} failed", totals.passed, totals.failed));
            let good = totals.failed == 0 && totals.passed > 0;
            if good {
                fs::remove_dir_all(directory)
                    .map_err(|error| format!("cannot remove {}: {error}", directory.display()))?;
            }
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Wish::Bench => bench::run(settings).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints a line; who reads it may have gone.
fn say(line: &str) {
    println!("{line}");
}
