//! The digests that the tree had in the past: what `hash` tells, so that two servers' trees can be
//! compared at the same transactions.
//!
//! What it keeps true: an entry is the digest of the whole tree right after that transaction;
//! nothing is noted while a snapshot that was written during changes is being completed.

use bellwether_wire::Zxid;
use std::collections::VecDeque;

/// Apache notes every 128th transaction.
const INTERVAL: i64 = 128;
/// Apache keeps this many.
const LEN_MAX: usize = 1024;

/// The noted digests, oldest first.
#[derive(Default)]
pub(crate) struct DigestLog {
    entries: VecDeque<(Zxid, u64)>,
}

impl DigestLog {
    /// A transaction was applied.
    pub(crate) fn applied(&mut self, zxid: Zxid, digest: u64) {
        // What a server deletes when it starts has the zxid of the last transaction.
        let noted = self.entries.back().is_some_and(|(last, _)| *last == zxid);
        if zxid.0 % INTERVAL != 0 || noted {
            return;
        }
        if self.entries.len() == LEN_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back((zxid, digest));
    }

    /// What was noted means nothing.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.entries.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_128th_is_kept_and_the_oldest_leave() {
        let mut log = DigestLog::default();
        for zxid in 1..=128 * 1025 {
            log.applied(Zxid(zxid), 7);
        }
        let zxids: Vec<i64> = log.entries().map(|(zxid, _)| zxid.0).collect();
        assert_eq!(zxids.len(), LEN_MAX);
        assert_eq!((zxids[0], zxids[1023]), (256, 128 * 1025));
    }
}
