//! Deletes containers that lost their last child and TTL nodes that outlived their time.
//!
//! Candidates are found in slices, and no more than so many per minute become transactions. A
//! candidate is checked again when its deletion is prepared, as any other request is.

use crate::settings::ReaperSettings;
use bellwether_tree::{Now, Progress, ReapCursor, Tree};

/// The reaper's place in its round.
#[derive(Debug)]
pub(crate) struct Reaper {
    settings: ReaperSettings,
    next_round_ms: u64,
    round: Option<ReapCursor>,
    /// How many deletions this minute may still begin, and when it ends.
    left: u64,
    minute_ends_ms: u64,
}

impl Reaper {
    pub(crate) fn new(settings: ReaperSettings, now: Now) -> Reaper {
        Reaper {
            settings,
            next_round_ms: now.mono_ms + settings.interval_ms,
            round: None,
            left: settings.per_minute_max,
            minute_ends_ms: now.mono_ms + 60_000,
        }
    }

    /// When it wants to be called again.
    pub(crate) fn next_deadline(&self) -> u64 {
        self.next_round_ms
    }

    /// Whether a round is under way.
    pub(crate) fn is_walking(&self) -> bool {
        self.round.is_some() && self.left > 0
    }

    /// Begins a round if it is time.
    pub(crate) fn tick(&mut self, now: Now, tree: &Tree) {
        if now.mono_ms >= self.minute_ends_ms {
            self.left = self.settings.per_minute_max;
            self.minute_ends_ms = now.mono_ms + 60_000;
        }
        if now.mono_ms >= self.next_round_ms {
            self.next_round_ms = now.mono_ms + self.settings.interval_ms;
            if self.round.is_none() {
                self.round = Some(tree.reap_start());
            }
        }
    }

    /// The next candidates for deletion, found within `visits`.
    pub(crate) fn candidates(&mut self, now: Now, tree: &Tree, visits: usize) -> Vec<Box<str>> {
        let mut paths = Vec::new();
        let Some(cursor) = &mut self.round else { return paths };
        let never_used_ms = self.settings.never_used_ms;
        let visits = visits.min(usize::try_from(self.left).unwrap_or(visits));
        match tree.reap_next(now, cursor, visits, never_used_ms, &mut paths) {
            Progress::More => {}
            Progress::Done => self.round = None,
        }
        self.left -= u64::try_from(paths.len()).unwrap_or(self.left).min(self.left);
        paths
    }
}
