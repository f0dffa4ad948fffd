//! The four-letter words: what a server tells about itself to whoever connects and asks.
//!
//! What it keeps true: the texts are Apache 3.9.5's to the letter, because health checks and
//! clients read them with patterns; a word that is not on the list of allowed ones is not answered;
//! no metric is a number that was not measured; nothing here reads a clock, a file or a socket.
//!
//! What it leaves to others: recognising the four bytes, gathering the figures, sending the text
//! and closing the connection.
//!
//! Reading order: `words` (the rows), `texts` (what a word says), `metrics` (the rows of `mntr`),
//! `unmeasured` (Apache's metrics that are not in it, and why).

use bellwether_node::Status;
use std::collections::BTreeMap;

mod decimal;
mod figures;
mod metrics;
mod texts;
mod unmeasured;
mod words;

pub use figures::{
    ConnectionFigures, Mode, NamespaceFigures, ResponseSizes, ShellFigures, Startup, Summary,
};
pub use metrics::{METRICS, METRICS_COMPAT_HEADER, Metric, Origin, metrics_compat_rows};
pub use unmeasured::{UNMEASURED, Unmeasured};
pub use words::{WORDS, WORDS_COMPAT_HEADER, Word, words_compat_rows};

/// What `srvr`, `stat` and `mntr` say the version is.
///
/// Clients take the version that they talk to from its first three numbers. The date is that of the
/// release, not of the compiler's run: the same sources give the same program. Its form is that of
/// 3.9; other forms are of older releases.
pub const VERSION: &str =
    concat!("3.9.5-bellwether-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-21 00:00 UTC");

/// The server at one moment.
pub struct View<'a> {
    /// What it is to its clients.
    pub mode: Mode,
    /// What the node tells.
    pub status: Status,
    /// What the shell counted.
    pub shell: ShellFigures,
    /// Every open connection, the asking one included. Only `stat` needs it; any other word may be
    /// given none.
    pub connections: Vec<ConnectionFigures>,
    /// Whether a word is on the list of allowed ones (`4lw.commands.whitelist`).
    pub allows: &'a dyn Fn(&str) -> bool,
    /// The text of `conf`. Called for that word alone, because the sizes of directories are in it.
    pub conf: &'a dyn Fn() -> String,
    /// What is counted by the first names of paths. Called for `mntr` alone, because every quota is
    /// looked at.
    pub quotas: &'a dyn Fn() -> BTreeMap<String, NamespaceFigures>,
}

/// The word that four bytes are, if they are one. Anything else is the length of a frame.
#[must_use]
pub fn word(bytes: [u8; 4]) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.name.as_bytes() == bytes)
}

/// The whole answer to a word; after it the connection is closed.
#[must_use]
pub fn answer(word: &Word, view: &View<'_>) -> String {
    if !(view.allows)(word.name) {
        return format!("{} is not executed because it is not in the whitelist.\n", word.name);
    }
    (word.text)(word, view)
}

#[cfg(test)]
mod tests;
