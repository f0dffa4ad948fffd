//! The setting 4lw.commands.whitelist.
//!
//! What it keeps true: `srvr` is always allowed, because zkServer.sh depends on it; nothing else is
//! unless it is named.
//!
//! What it leaves to others: which words exist.

use std::collections::BTreeSet;

/// The four-letter words that are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FourLetterWords {
    All,
    Only(BTreeSet<String>),
}

impl FourLetterWords {
    /// `list` as it stands in the setting. A server that serves reads alone, where
    /// readonlymode.enabled allows it, is recognised by `isro`.
    pub(super) fn parse(list: &str, read_only_mode: bool) -> Self {
        let mut words: BTreeSet<String> =
            list.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        if words.contains("*") {
            return Self::All;
        }
        words.insert("srvr".to_owned());
        if read_only_mode {
            words.insert("isro".to_owned());
        }
        Self::Only(words)
    }

    /// Whether `word` is answered.
    #[must_use]
    pub fn allow(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(words) => words.contains(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_is_always_answered_and_isro_where_reads_alone_are_allowed() {
        for (list, read_only, allowed, denied) in [
            ("", false, "srvr", "isro"),
            ("srvr", true, "isro", "stat"),
            (" stat , ruok,", false, "ruok", "mntr"),
            ("stat, *", false, "mntr", ""),
        ] {
            let words = FourLetterWords::parse(list, read_only);
            assert!(words.allow("srvr") && words.allow(allowed), "{list}");
            assert!(words == FourLetterWords::All || !words.allow(denied), "{list}");
        }
    }
}
