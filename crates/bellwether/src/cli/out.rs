//! Where results go: as zkCli's text, or as a line of JSON each.
//!
//! Results go to stdout, everything about them to stderr. Colours are for terminals only, and not
//! when `NO_COLOR` is set.

use super::failure::Failed;
use super::format;
use crate::say;
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::IsTerminal as _;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As zkCli prints.
    Text,
    /// A JSON value per line.
    Json,
}

/// Whom a stream is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A terminal: colours and hints help.
    Person,
    /// A file or a pipe.
    Program,
}

/// The output of the shell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    pub(super) style: Style,
    pub(super) stdout: Reader,
    pub(super) stderr: Reader,
}

fn reader(is_terminal: bool) -> Reader {
    if is_terminal { Reader::Person } else { Reader::Program }
}

/// Whether the environment forbids colours.
pub(super) fn colours_forbidden() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

impl Out {
    pub(super) fn new(style: Style) -> Out {
        Out {
            style,
            stdout: reader(std::io::stdout().is_terminal()),
            stderr: reader(std::io::stderr().is_terminal()),
        }
    }

    pub(super) fn is_json(self) -> bool {
        self.style == Style::Json
    }

    /// A line of text; nothing where JSON is written.
    pub(super) fn text(self, text: impl Display) {
        if !self.is_json() {
            say::line(text);
        }
    }

    /// A value; nothing where text is written.
    pub(super) fn value(self, value: &Value) {
        if self.is_json() {
            say::line(value);
        }
    }

    /// A node's data as it is, or as a terminal can bear it.
    pub(super) fn data(self, data: &[u8]) {
        match self.stdout {
            Reader::Person => say::line(format::for_terminal(data)),
            Reader::Program => say::bytes(data),
        }
    }

    /// Something about what is done, for a reader of text.
    pub(super) fn note(self, text: impl Display) {
        if !self.is_json() {
            say::error(text);
        }
    }

    /// A failure.
    pub(super) fn failed(self, failed: &Failed) {
        if self.is_json() {
            let mut value = json!({ "error": failed.kind, "message": failed.text });
            if let (Some(hint), Value::Object(fields)) = (failed.hint, &mut value) {
                fields.insert("hint".to_owned(), hint.into());
            }
            return say::error(value);
        }
        match self.stderr {
            Reader::Person if !colours_forbidden() => {
                say::error(format_args!("\x1b[31m{}\x1b[0m", failed.text));
            }
            Reader::Person | Reader::Program => say::error(&failed.text),
        }
        if let (Reader::Person, Some(hint)) = (self.stderr, failed.hint) {
            say::error(format_args!("hint: {hint}"));
        }
    }
}
