//! What is said about a configuration: errors, warnings, and where each value came from.
//!
//! What it keeps true: a message names file, line, key and value and says what was expected or what
//! to do; the value of a secret is never part of one.
//!
//! What it leaves to others: finding the mistakes (`sources`, `values`, `build`), and the words on
//! single settings (`table`).

use super::properties::SyntaxError;
use super::{Checked, Config};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value was given. Later variants outrank earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table's default.
    Default,
    /// The configuration of a server that was started without a zoo.cfg.
    Embedded,
    /// `-Dname=value`.
    CommandLine,
    File {
        path: Arc<Path>,
        line: u32,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Embedded => f.write_str("built in"),
            Self::CommandLine => f.write_str("command line"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// A name and a value as they were written; the value of a secret is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub source: Source,
    pub name: String,
    pub shown: String,
}

/// What stands where a secret would.
pub(super) const HIDDEN: &str = "(hidden)";

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, name, shown } = self;
        match source {
            Source::CommandLine => write!(f, "{source}: -D{name}={shown}"),
            Source::Default | Source::Embedded | Source::File { .. } => {
                write!(f, "{source}: {name}={shown}")
            }
        }
    }
}

/// A reason not to start.
#[derive(Debug)]
pub enum ConfigError {
    /// The zoo.cfg cannot be read.
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A line of the zoo.cfg is not written in Java's properties syntax.
    Syntax { source: Source, mistake: SyntaxError },
    /// An argument of the command line is none that is known.
    Argument { found: String, expected: &'static str },
    /// A value cannot be read, or is out of range.
    Value { written: Written, expected: String },
    /// A setting asks for something that does not exist here.
    Refused { written: Written, why: &'static str },
    /// Settings that are good by themselves contradict each other, or one is missing.
    Rule { written: Vec<Written>, rule: String },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "{}: cannot be read: {source}", path.display())
            }
            Self::Syntax { source, mistake } => write!(f, "{source}: {mistake}"),
            Self::Argument { found, expected } => {
                write!(f, "command line: {found}: expected {expected}")
            }
            Self::Value { written, expected } => write!(f, "{written}: expected {expected}"),
            Self::Refused { written, why } => write!(f, "{written}: refused: {why}"),
            Self::Rule { written, rule } => {
                list(f, written)?;
                f.write_str(rule)
            }
        }
    }
}

/// `one, other: `, or nothing.
fn list(f: &mut fmt::Formatter<'_>, written: &[Written]) -> fmt::Result {
    for (position, one) in written.iter().enumerate() {
        write!(f, "{}{one}", if position == 0 { "" } else { ", " })?;
    }
    f.write_str(if written.is_empty() { "" } else { ": " })
}

impl ConfigError {
    /// Errors are shown in the order of the file, those about the command line and about nothing
    /// that was written behind it.
    fn position(&self) -> (u8, u32) {
        let source = match self {
            Self::Syntax { source, .. } => Some(source),
            Self::Value { written, .. } | Self::Refused { written, .. } => Some(&written.source),
            Self::Rule { written, .. } => written.first().map(|written| &written.source),
            Self::Unreadable { .. } | Self::Argument { .. } => None,
        };
        match source {
            Some(Source::File { line, .. }) => (0, *line),
            Some(Source::CommandLine | Source::Embedded | Source::Default) => (1, 0),
            None => (2, 0),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Syntax { .. }
            | Self::Argument { .. }
            | Self::Value { .. }
            | Self::Refused { .. }
            | Self::Rule { .. } => None,
        }
    }
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Good to know; nothing that was asked for is missing.
    Note,
    /// Probably not what was meant, or less safe than the default.
    Warning,
}

/// A remark on a configuration that the server starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub severity: Severity,
    /// What it is about; empty where it is about nothing that was written.
    pub written: Vec<Written>,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.written)?;
        f.write_str(&self.text)
    }
}

/// Everything found so far; a configuration is good when no error is among it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl Findings {
    pub(super) fn note(&mut self, written: Option<Written>, text: impl Into<String>) {
        self.remark(Severity::Note, written, text.into());
    }

    pub(super) fn warn(&mut self, written: Option<Written>, text: impl Into<String>) {
        self.remark(Severity::Warning, written, text.into());
    }

    /// What is said of several settings in the same words is said once.
    fn remark(&mut self, severity: Severity, written: Option<Written>, text: String) {
        let same = |w: &&mut Warning| w.severity == severity && w.text == text;
        match self.warnings.iter_mut().find(same) {
            Some(said) => said.written.extend(written),
            None => {
                let written = written.into_iter().collect();
                self.warnings.push(Warning { severity, written, text });
            }
        }
    }

    /// A configuration with an error is none.
    pub(super) fn conclude(mut self, config: Option<Config>) -> Checked {
        self.errors.sort_by_key(ConfigError::position);
        let config = config.filter(|_| self.errors.is_empty());
        assert!(config.is_some() || !self.errors.is_empty(), "what is missing has its error");
        Checked { config, errors: self.errors, warnings: self.warnings }
    }

    pub(super) fn broken_rule(&mut self, written: Vec<Written>, rule: impl Into<String>) {
        self.errors.push(ConfigError::Rule { written, rule: rule.into() });
    }
}
