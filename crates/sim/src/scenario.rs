//! Text scenarios: commands above, the trace of what a single server did below `----`. (Those of
//! ensembles are in a folder of their own: [`crate::ensemble`].)
//!
//! A file is one rule, named as a claim. Its blocks share one server; between two blocks stands a
//! blank line. [`run`] replays the commands on the production [`bellwether_node::Node`] and puts
//! the traces in, so that a file is right exactly if it does not change. The language is listed in
//! `scenarios/README.md`. Nothing here decides whether a trace is good: a person does, reading the
//! diff before it is committed.

pub(crate) mod command;
mod server;
pub(crate) mod words;

use crate::ensemble::scenario::Stage;
use server::Server;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

const SEPARATOR: &str = "----";

/// What stands in the repository.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Why a scenario could not be run at all.
#[derive(Debug)]
pub enum ScenarioError {
    /// A command means nothing.
    Command { line: usize, command: String, problem: String },
    /// The file could not be read or written.
    File { doing: &'static str, path: PathBuf, source: io::Error },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScenarioError::Command { line, command, problem } => {
                write!(f, "line {line}: {command:?}: {problem}")
            }
            ScenarioError::File { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for ScenarioError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ScenarioError::File { source, .. } => Some(source),
            ScenarioError::Command { .. } => None,
        }
    }
}

/// The text with every trace replaced by the one that was seen.
pub fn run(text: &str) -> Result<String, ScenarioError> {
    let mut actor = Actor::of(text);
    let mut out = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line == SEPARATOR {
            while lines.next_if(|(_, expected)| !expected.is_empty()).is_some() {}
            for line in actor.take_trace() {
                out.push_str(&line);
                out.push('\n');
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            actor.command(line).map_err(|problem| ScenarioError::Command {
                line: index + 1,
                command: line.to_string(),
                problem,
            })?;
        }
    }
    Ok(out)
}

/// Who plays: one server, or an ensemble.
enum Actor {
    Server(Box<Server>),
    Ensemble(Box<Stage>),
}

impl Actor {
    /// Ensembles begin with `cluster`.
    fn of(text: &str) -> Actor {
        match text.lines().any(|line| line.starts_with("cluster ")) {
            true => Actor::Ensemble(Box::new(Stage::new())),
            false => Actor::Server(Box::new(Server::new())),
        }
    }

    fn command(&mut self, line: &str) -> Result<(), String> {
        match self {
            Actor::Server(server) => server.command(line),
            Actor::Ensemble(stage) => stage.command(line),
        }
    }

    fn take_trace(&mut self) -> Vec<String> {
        match self {
            Actor::Server(server) => server.take_trace(),
            Actor::Ensemble(stage) => stage.take_trace(),
        }
    }
}

/// What became of one file.
#[derive(Debug)]
pub enum Verdict {
    /// The trace is the one in the file.
    Same,
    /// The trace is another one; the file was rewritten if that was asked for.
    Differs { line: usize, expected: String, seen: String },
    /// It could not be run.
    Failed(ScenarioError),
}

/// What to do with a trace that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDifference {
    /// Say so.
    Report,
    /// Write it into the file, and say so.
    Rewrite,
}

/// The scenarios of the repository, by name.
pub fn all() -> Result<Vec<PathBuf>, ScenarioError> {
    let dirs = [directory(), directory().join("ensemble")];
    let failed = |source| ScenarioError::File { doing: "list", path: directory(), source };
    let mut paths = Vec::new();
    let entries = dirs.map(std::fs::read_dir).into_iter().collect::<Result<Vec<_>, _>>();
    for entry in entries.map_err(failed)?.into_iter().flatten() {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs one file.
pub fn run_file(path: &Path, on_difference: OnDifference) -> Verdict {
    match try_file(path, on_difference) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Failed(error),
    }
}

fn try_file(path: &Path, on_difference: OnDifference) -> Result<Verdict, ScenarioError> {
    let file =
        |doing| move |source| ScenarioError::File { doing, path: path.to_path_buf(), source };
    let expected = std::fs::read_to_string(path).map_err(file("read"))?;
    let seen = run(&expected)?;
    if seen == expected {
        return Ok(Verdict::Same);
    }
    if on_difference == OnDifference::Rewrite {
        std::fs::write(path, &seen).map_err(file("write"))?;
    }
    let same = expected.lines().zip(seen.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(nothing)").to_string();
    Ok(Verdict::Differs { line: same + 1, expected: line(&expected), seen: line(&seen) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_replaced_and_everything_else_stays() {
        let text = "# A claim.\nstart\n----\nwrong\nlines\n\nc1 connect\n----\n";
        let seen = run(text).unwrap();
        assert!(seen.starts_with("# A claim.\nstart\n----\n\nc1 connect\n----\nappend 0x1 "));
        assert_eq!(run(&seen).unwrap(), seen);
    }

    #[test]
    fn a_command_that_means_nothing_is_named_with_its_line() {
        let error = run("start\n----\n\nflush the disk\n----\n").unwrap_err();
        assert!(error.to_string().starts_with("line 4: \"flush the disk\""), "{error}");
        assert!(run("tick\n----\n").is_err(), "nothing was started");
    }
}
