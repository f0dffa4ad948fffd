//! No acknowledged write is lost.
//!
//! It cannot be lost if three things hold, and they are what is checked: a quorum has on its disks
//! what any member shows; nobody acknowledges what its own disk does not have; and what a disk has
//! promised is there after every start.

use super::violation;
use crate::checkers::Checked;
use bellwether_wire::Zxid;

const PROMISE: &str = "acknowledged writes";

/// What a member's disk holds for certain, and what the member has said about it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ensemble) struct Disk {
    /// The log is synced up to here.
    pub(in crate::ensemble) synced: Zxid,
    /// The member has acknowledged up to here.
    pub(in crate::ensemble) acknowledged: Zxid,
    /// The log is being cut behind this: a start after a loss of power completes it.
    pub(in crate::ensemble) cut: Option<Zxid>,
    pub(in crate::ensemble) accepted_epoch: u32,
    pub(in crate::ensemble) current_epoch: u32,
    /// What the leader that it follows has proposed.
    pub(in crate::ensemble) proposed_epoch: u32,
}

impl Disk {
    /// The member acknowledges a proposal, or with the first zxid of an epoch its new leader.
    pub(in crate::ensemble) fn acknowledges(&mut self, member: usize, zxid: Zxid) -> Checked {
        if zxid.counter() == 0 {
            let epoch = zxid.epoch();
            if self.current_epoch != epoch {
                let saved = self.current_epoch;
                let seen = format!("{member} acknowledges epoch {epoch}, its disk says {saved}");
                return violation(PROMISE, seen);
            }
            self.acknowledged = self.acknowledged.max(self.synced);
            return Ok(());
        }
        if self.synced < zxid {
            let synced = self.synced;
            let seen = format!("{member} acknowledges {zxid}, its disk has {synced}");
            return violation(PROMISE, seen);
        }
        self.acknowledged = self.acknowledged.max(zxid);
        Ok(())
    }

    /// The member promises to follow nobody of an earlier epoch.
    pub(in crate::ensemble) fn promises(&self, member: usize) -> Checked {
        let epoch = self.proposed_epoch;
        if self.accepted_epoch < epoch {
            let saved = self.accepted_epoch;
            let seen = format!("{member} promises epoch {epoch}, its disk says {saved}");
            return violation("epochs", seen);
        }
        Ok(())
    }

    /// A leader had the log cut: what was acknowledged behind the point was another leader's.
    pub(in crate::ensemble) fn truncated(&mut self, last: Zxid) {
        self.synced = self.synced.min(last);
        self.acknowledged = self.acknowledged.min(last);
        self.cut = None;
    }

    /// A start has read a log up to `last`.
    pub(in crate::ensemble) fn started(&mut self, member: usize, last: Zxid) -> Checked {
        if let Some(cut) = self.cut.take() {
            self.acknowledged = self.acknowledged.min(cut);
        }
        if last < self.acknowledged {
            let acknowledged = self.acknowledged;
            let seen = format!("{member} acknowledged {acknowledged} and starts with {last}");
            return violation(PROMISE, seen);
        }
        self.synced = last;
        Ok(())
    }
}

/// Somebody shows what was not shown before: `holders` of `voters` have it on their disks.
pub(in crate::ensemble) fn shown(zxid: Zxid, (holders, voters): (usize, usize)) -> Checked {
    if 2 * holders <= voters {
        let seen = format!("{zxid} is shown, and {holders} of {voters} disks have it");
        return violation(PROMISE, seen);
    }
    Ok(())
}

/// A client was told that its write is done, and the history has something else.
pub(in crate::ensemble) fn told(zxid: Zxid, last: Zxid) -> Checked {
    if zxid > last {
        return violation(
            PROMISE,
            format!("a client was told of {zxid}, the history ends at {last}"),
        );
    }
    Ok(())
}
