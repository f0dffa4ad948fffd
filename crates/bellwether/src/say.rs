//! Output of the subcommands: results to stdout, everything about them to stderr.
//!
//! A reader that went away (`bellwether cli ls / | head -1`) is no error: what it does not want is
//! not written.

use std::fmt::Display;
use std::io::Write as _;

/// A line of result.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// Bytes of result, and the end of the line.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).ok();
}

/// A line about what is done, or why it failed.
pub(crate) fn error(text: impl Display) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}
