//! The four-letter words, a row each.
//!
//! What it keeps true: every word that Apache 3.9.5 knows has a row, so that none is taken for the
//! length of a frame; what a word says comes from its row.

use super::{View, texts};

/// A four-letter word.
#[derive(Debug)]
pub struct Word {
    /// The four bytes.
    pub name: &'static str,
    /// The first release of ZooKeeper that had it.
    pub since: &'static str,
    /// What it tells, or does.
    pub doc: &'static str,
    /// What this server does with it, for `docs/COMPAT.md`.
    pub support: &'static str,
    pub(super) text: fn(&Word, &View<'_>) -> String,
}

const fn row(
    name: &'static str,
    since: &'static str,
    doc: &'static str,
    support: &'static str,
    text: fn(&Word, &View<'_>) -> String,
) -> Word {
    Word { name, since, doc, support, text }
}

const NO: &str = "no: it belongs to Apache's logging; one line that says so";
const YES: &str = "yes";
const LATER: &str = "later; until then one line that says so";

/// Every word, in the alphabet's order.
#[rustfmt::skip]
pub const WORDS: &[Word] = &[
    row("conf", "3.3", "settings in effect", YES, texts::conf),
    row("cons", "3.3", "connections in full", LATER, texts::later),
    row("crst", "3.3", "resets the figures of connections", LATER, texts::later),
    row("dirs", "3.5", "bytes in the data directories", LATER, texts::later),
    row("dump", "3.0", "sessions and their ephemeral nodes", LATER, texts::later),
    row("envi", "3.0", "the process and its system", LATER, texts::later),
    row("gtmk", "3.5", "the trace mask", NO, texts::never),
    row("hash", "3.6", "digests of recent transactions", LATER, texts::later),
    row("isro", "3.4", "`rw`, or `ro` for a server that only reads", YES, texts::isro),
    row("mntr", "3.4", "the metrics below, a line each", YES, texts::mntr),
    row("ruok", "3.0", "`imok`", YES, texts::ruok),
    row("srst", "3.0", "resets the figures of the server", LATER, texts::later),
    row("srvr", "3.3", "the server in short", YES, texts::srvr),
    row("stat", "3.0", "the server in short, and its connections", YES, texts::stat),
    row("stmk", "3.5", "sets the trace mask", NO, texts::never),
    row("wchc", "3.3", "watches by session", LATER, texts::later),
    row("wchp", "3.3", "watches by path", LATER, texts::later),
    row("wchs", "3.3", "how many watches there are", LATER, texts::later),
];

/// The rows of the section on four-letter words in `docs/COMPAT.md`.
#[must_use]
pub fn words_compat_rows() -> Vec<String> {
    let row = |word: &Word| format!("| `{}` | {} | {} |", word.name, word.doc, word.support);
    WORDS.iter().map(row).collect()
}

/// What stands above `words_compat_rows`.
pub const WORDS_COMPAT_HEADER: &str =
    "| word | what it tells | what this server does |\n|---|---|---|";
