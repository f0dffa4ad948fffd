//! The four-letter words: what a server tells about itself to whoever connects and asks.
//!
//! What it keeps true: the texts are Apache 3.9.5's to the letter, because health checks and
//! clients read them with patterns; a word that is not on the list of allowed ones is not answered;
//! no metric is a number that was not measured; nothing here reads a clock, a file or a socket.
//!
//! What it leaves to others: recognising the four bytes, gathering the figures, going through the
//! lists, sending the text and closing the connection.
//!
//! Reading order: `words` (the rows), `parts` (what an answer is made of), `texts` (what is said at
//! once), `lines` (what is said of each thing of a list), `metrics` (the rows of `mntr`),
//! `unmeasured` (Apache's metrics that are not in it, and why).

use bellwether_node::{Measures, Status};
use bellwether_wire::Zxid;
use std::collections::BTreeMap;

mod decimal;
mod figures;
pub(crate) mod lines;
mod metrics;
mod parts;
mod texts;
mod unmeasured;
mod words;

pub use figures::{
    ConnectionFigures, Mode, NamespaceFigures, ResponseSizes, SettingFigures, ShellFigures,
    ShellMeasures, Startup,
};
pub use metrics::{METRICS, METRICS_COMPAT_HEADER, Metric, Origin, metrics_compat_rows};
pub use parts::{Answer, Detail, Part};
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
    /// What the node measured.
    pub measures: &'a Measures,
    /// What the shell measured.
    pub shell_measures: &'a ShellMeasures,
    /// The time of both, monotonic milliseconds.
    pub now_ms: u64,
    /// What it was told.
    pub settings: SettingFigures,
    /// The number that `stmk` set.
    pub trace_mask: i64,
    /// What is gathered only for the word that tells it.
    pub facts: &'a dyn Facts,
}

/// What costs more than looking at a counter.
pub trait Facts {
    /// The text of `conf`.
    fn conf(&self) -> String;
    /// The bytes of the snapshots' directory and of the logs', as far as they were looked up.
    fn directory_bytes(&self) -> (u64, u64);
    /// What `envi` tells after the version.
    fn environment(&self) -> Vec<(&'static str, String)>;
    /// The tree's digests after some transactions, oldest first.
    fn digests(&self) -> Vec<(Zxid, u64)>;
    /// What is counted by the first names of paths; every quota is looked at.
    fn quotas(&self) -> BTreeMap<String, NamespaceFigures>;
}

/// The word that four bytes are, if they are one. Anything else is the length of a frame.
#[must_use]
pub fn word(bytes: [u8; 4]) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.name.as_bytes() == bytes)
}

impl View<'_> {
    /// How long clients are served, milliseconds: by this process, or by this member in its role.
    fn uptime_ms(&self) -> u64 {
        match &self.status.ensemble {
            None => self.shell.uptime_ms,
            Some(ensemble) => {
                ensemble.serving_since_ms.map_or(0, |since| self.now_ms.saturating_sub(since))
            }
        }
    }
}

/// The answer to a word; after it the connection is closed. `allows` says whether a word is on the
/// list of allowed ones (`4lw.commands.whitelist`).
#[must_use]
pub fn answer(word: &Word, mode: Mode, allows: impl Fn(&str) -> bool) -> Answer {
    if !allows(word.name) {
        let why = "is not executed because it is not in the whitelist.\n";
        return Answer::Refused(format!("{} {why}", word.name));
    }
    match (mode, word.not_serving) {
        (Mode::NotServing, Some(text)) => Answer::Refused(text.to_owned()),
        (Mode::NotServing, None) | (Mode::Standalone | Mode::Leader, _) => {
            Answer::Parts(word.parts)
        }
        (Mode::Follower | Mode::Observer, _) => {
            Answer::Parts(word.parts_of_learner.unwrap_or(word.parts))
        }
    }
}

#[cfg(test)]
mod tests;
