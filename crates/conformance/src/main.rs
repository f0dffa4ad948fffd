//! Plays text scenarios on Apache ZooKeeper and on this server, which have to print the same.
//!
//! What it keeps true: there is one expected output, and it is recorded from Apache. Where this
//! server differs on purpose the scenario says why and holds both.
//!
//! What it leaves to others: building the servers and saying how they are started; `cargo xtask`
//! does that. `conformance/README.md` explains the scenarios.
#![expect(clippy::print_stdout, reason = "its results are read by a person and by xtask")]

mod connection;
mod launch;
mod play;
mod request;
mod run;
mod scenario;
mod shown;
mod words;

use launch::Recipe;
use scenario::Side;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
conformance --scenarios DIR --work DIR --apache FILE --bellwether FILE [NAME …]
  Plays the scenarios whose names contain a NAME, or all. FILE holds a server's command, a word per
  line, with {properties} where -D goes. With UPDATE_EXPECT=1 the outputs are recorded.";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    scenarios: PathBuf,
    work: PathBuf,
    apache: PathBuf,
    bellwether: PathBuf,
    filters: Vec<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let place = match argument.as_str() {
                "--scenarios" => &mut options.scenarios,
                "--work" => &mut options.work,
                "--apache" => &mut options.apache,
                "--bellwether" => &mut options.bellwether,
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ => {
                    options.filters.push(argument);
                    continue;
                }
            };
            *place = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?.into();
        }
        let given = [&options.scenarios, &options.work, &options.apache, &options.bellwether];
        if given.iter().any(|path| path.as_os_str().is_empty()) {
            return Err("one of the four places is missing".into());
        }
        Ok(options)
    }

    fn recipe(&self, side: Side, file: &Path) -> Result<Recipe, String> {
        Ok(Recipe { side, command: launch::command(file)?, work: self.work.clone() })
    }
}

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("conformance: {why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn work() -> Result<bool, String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let scenarios = scenario::load(&options.scenarios, &options.filters)?;
    if scenarios.is_empty() {
        return Err("no scenario has such a name".into());
    }
    let apache = options.recipe(Side::Apache, &options.apache)?;
    let ours = options.recipe(Side::Ours, &options.bellwether)?;
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        return run::record(scenarios, &apache, &ours);
    }
    Ok(run::compare(&scenarios, &apache, &ours))
}
