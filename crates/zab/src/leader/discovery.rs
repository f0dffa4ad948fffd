//! The first stages of leading: the ensemble agrees on an epoch that nobody has used.
//!
//! What it keeps true: the epoch is above every one that a quorum has promised, nobody hears of it
//! before it is on this peer's disk, and it is used only if a quorum promises it whose histories
//! hold nothing that this one lacks.
//!
//! Each stage makes the next one and is dropped.

use super::learners::Learner;
use crate::peer::Core;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::ServerId;
use std::collections::BTreeSet;

/// No epoch can be above this one: the highest bit of a zxid is its sign.
pub(super) const EPOCH_MAX: u32 = i32::MAX as u32;

/// A quorum is awaited, to say which epochs it has promised.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) since_ms: u64,
    /// Who has said it, this peer included.
    pub(super) heard: BTreeSet<ServerId>,
    /// The highest epoch that anybody named.
    promised_max: u32,
}

/// The epoch is on its way to this peer's disk.
#[derive(Debug)]
pub(super) struct Promising {
    pub(super) epoch: u32,
}

/// A quorum is awaited, to promise the epoch.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) since_ms: u64,
    pub(super) epoch: u32,
    /// Who has, this peer included.
    pub(super) promised: BTreeSet<ServerId>,
}

/// What an answer to LEADERINFO means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EpochAck {
    /// It is a promise, or says nothing.
    Fine,
    /// The learner's history has what this peer's lacks.
    AheadOfLeader,
}

impl Discovery {
    pub(super) fn begin(core: &Core, now_ms: u64) -> Discovery {
        Discovery {
            since_ms: now_ms,
            heard: [core.settings.my_id].into(),
            promised_max: core.epoch_floor,
        }
    }

    /// A learner named the epoch that it has promised.
    pub(super) fn hear(&mut self, core: &Core, learner: &Learner, promised: u32) {
        self.promised_max = self.promised_max.max(promised);
        if learner.votes(core) {
            self.heard.insert(learner.id);
        }
    }

    /// The epoch to promise, once a quorum was heard.
    pub(super) fn promise(&self, core: &Core) -> Option<Result<Promising, NoEpoch>> {
        if !core.quorum.is_quorum(&self.heard) {
            return None;
        }
        let promised = self.promised_max.max(core.accepted_epoch);
        Some(match promised.checked_add(1) {
            Some(epoch) if epoch <= EPOCH_MAX => Ok(Promising { epoch }),
            Some(_) | None => Err(NoEpoch),
        })
    }
}

/// Every epoch is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoEpoch;

impl Promising {
    /// It is on disk, which is this peer's own promise.
    pub(super) fn saved(&self, core: &Core, now_ms: u64) -> Agreement {
        let promised = [core.settings.my_id].into();
        Agreement { since_ms: now_ms, epoch: self.epoch, promised }
    }
}

impl Agreement {
    /// A learner answered LEADERINFO. It promises nothing where it had promised the same epoch
    /// before, perhaps to another leader, and names no `current_epoch` then.
    pub(super) fn answered(
        &mut self,
        core: &Core,
        learner: &Learner,
        last: Zxid,
        current_epoch: Option<u32>,
    ) -> EpochAck {
        let Some(current_epoch) = current_epoch else { return EpochAck::Fine };
        let own = (core.current_epoch, core.history.received());
        if (current_epoch, last) > own && !super::canary::leads_with_less(core) {
            return EpochAck::AheadOfLeader;
        }
        if learner.votes(core) && last != Zxid::MISSING {
            self.promised.insert(learner.id);
        }
        EpochAck::Fine
    }

    /// Whether enough have.
    pub(super) fn is_settled(&self, core: &Core) -> bool {
        core.quorum.is_quorum(&self.promised)
    }
}
