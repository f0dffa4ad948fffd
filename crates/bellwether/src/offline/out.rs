//! Results of the offline commands: text for a person or one JSON object per line.

use super::Failure;
use super::json::Object;
use std::io::{BufWriter, StdoutLock, Write};

/// Where results go.
pub(super) struct Out {
    json: bool,
    writer: BufWriter<StdoutLock<'static>>,
}

impl Out {
    pub(super) fn new(json: bool) -> Out {
        Out { json, writer: BufWriter::with_capacity(64 << 10, std::io::stdout().lock()) }
    }

    /// One result, in the form that was asked for.
    pub(super) fn say(
        &mut self,
        text: impl FnOnce() -> String,
        object: impl FnOnce() -> Object,
    ) -> Result<(), Failure> {
        let line = if self.json { object().finish() } else { text() };
        self.write(&line)
    }

    /// What only a person reads.
    pub(super) fn text(&mut self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.write(&text()) }
    }

    /// Lets everything be seen that was said.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(gone)
    }

    fn write(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.writer, "{line}").map_err(gone)
    }
}

fn gone(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Failure::ReaderGone
    } else {
        Failure::Directory(format!("cannot write the output: {error}"))
    }
}
