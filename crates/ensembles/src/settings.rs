//! What the command line says: whose servers, how they are started, and where they keep things.
//!
//! What it keeps true: what is missing or unknown is refused before anything is started.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use lexopt::Arg;

use crate::member::Kind;

pub(crate) const USAGE: &str = "\
ensembles rounds --apache FILE --work DIR [--bellwether FILE] [--faults LIBRARY] [OPTIONS] [NAME …]
ensembles bench --load PROGRAM --work DIR [--apache FILE] [--bellwether FILE] [OPTIONS] [NAME …]
  Rounds of faults on ensembles of real processes, and their figures. FILE holds a server's command,
  a word per line, with {properties} where -D goes. A NAME is a part of the names of suites and
  rounds, or of figures.
  --subject KIND   bellwether (the default) or apache: whose members the rounds of one kind have;
                   with apache those of a mixed ensemble are Apache's as well
  --faults LIBRARY what is preloaded into a member whose disk is to be bad
  --load PROGRAM   bellwether, for its load generator
  --soak MINUTES   repeat everything for so long, with a fresh ensemble each time
  --list           print the names";

/// Lines that every member has: every word is allowed, and sessions outlive what a round does.
pub(crate) const COMMON_LINES: &str = "admin.enableServer=false\n4lw.commands.whitelist=*\n\
    maxClientCnxns=0\nmaxSessionTimeout=60000\n";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Rounds,
    Bench,
}

/// The command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) wish: Wish,
    apache: Vec<String>,
    bellwether: Vec<String>,
    properties: Vec<String>,
    pub(crate) faults: Option<PathBuf>,
    pub(crate) load: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) subject: Kind,
    pub(crate) soak_minutes: Option<u64>,
    pub(crate) list: bool,
    pub(crate) names: Vec<String>,
}

impl Settings {
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Settings, String> {
        let mut settings = Settings {
            wish: Wish::Rounds,
            apache: Vec::new(),
            bellwether: Vec::new(),
            properties: Vec::new(),
            faults: None,
            load: PathBuf::new(),
            work: PathBuf::new(),
            subject: Kind::Bellwether,
            soak_minutes: None,
            list: false,
            names: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut wish = None;
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Arg::Value(word) => {
                    let word = word.to_string_lossy().into_owned();
                    match (wish, word.as_str()) {
                        (None, "rounds") => wish = Some(Wish::Rounds),
                        (None, "bench") => wish = Some(Wish::Bench),
                        (None, other) => return Err(format!("no such command: {other}")),
                        (Some(_), _) => settings.names.push(word),
                    }
                }
                Arg::Long("list") => settings.list = true,
                Arg::Long(name) => {
                    let name = name.to_owned();
                    let value = parser.value().map_err(|error| error.to_string())?;
                    settings.set(&name, &value)?;
                }
                Arg::Short(letter) => return Err(format!("there is no option -{letter}")),
            }
        }
        settings.wish = wish.ok_or("a command is missing")?;
        settings.check()?;
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &OsString) -> Result<(), String> {
        let text = value.to_string_lossy().into_owned();
        match name {
            "apache" => self.apache = command(Path::new(value))?,
            "bellwether" => self.bellwether = command(Path::new(value))?,
            "faults" => self.faults = Some(value.into()),
            "load" => self.load = value.into(),
            "work" => self.work = value.into(),
            "subject" => {
                self.subject = match text.as_str() {
                    "apache" => Kind::Apache,
                    "bellwether" => Kind::Bellwether,
                    other => return Err(format!("no such kind of server: {other}")),
                }
            }
            "soak" => {
                let minutes = text.parse().map_err(|error| format!("--soak {text}: {error}"))?;
                self.soak_minutes = Some(minutes);
            }
            other => return Err(format!("there is no option --{other}")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.list {
            return Ok(());
        }
        if self.work.as_os_str().is_empty() {
            return Err("--work is missing".to_owned());
        }
        if self.wish == Wish::Bench && self.load.as_os_str().is_empty() {
            return Err("--load is missing".to_owned());
        }
        if self.command(self.subject).is_empty() {
            return Err(format!("the command of {} is missing", self.subject));
        }
        Ok(())
    }

    /// How a server of a kind is started.
    pub(crate) fn command(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Apache => &self.apache,
            Kind::Bellwether => &self.bellwether,
        }
    }

    pub(crate) fn properties(&self) -> &[String] {
        &self.properties
    }

    /// Whether something is asked for by this name.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }
}

fn command(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Settings::parse(&words)
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for wrong in
            ["", "dance", "rounds", "rounds --work x", "rounds --subject raft", "bench --x 1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let listed = parse("rounds --list three/ five/").expect("names need no servers");
        assert!(listed.wants("three/writes") && !listed.wants("book/each-killed"));
        assert_eq!((listed.wish, listed.subject), (Wish::Rounds, Kind::Bellwether));
    }
}
