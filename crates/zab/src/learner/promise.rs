//! What a learner may promise, as values that only the event that makes it true can make.
//!
//! [`super::line::Line`] takes one of these for every promise it sends, so that none can leave from
//! anywhere else: ACKEPOCH needs [`EpochAccepted`], the ACK of NEWLEADER needs [`EpochSaved`] and
//! the [`AllSynced`] of the moment when saving it was asked for, the ACK of a proposal needs
//! [`crate::history::Synced`].

use crate::history::AllSynced;
use crate::input::Input;
use crate::peer::Core;

/// `acceptedEpoch` is on disk with this epoch.
#[derive(Debug)]
pub(super) struct EpochAccepted {
    epoch: u32,
    counts: Counts,
}

/// Whether an acceptance is the first of its epoch by this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// It is.
    Anew,
    /// The epoch had been accepted before, and may have been counted.
    NotAgain,
}

/// `currentEpoch` is on disk with this epoch.
#[derive(Debug)]
pub(super) struct EpochSaved(u32);

/// What the disk has said.
#[derive(Debug)]
pub(super) enum Saved {
    Accepted(EpochAccepted),
    Current(EpochSaved),
}

impl Saved {
    /// Hears of an epoch that was saved; gives back what is something else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "two inputs say that an epoch is saved")]
    pub(super) fn hear(core: &mut Core, input: Input) -> Result<Saved, Input> {
        match input {
            Input::AcceptedEpochSaved(epoch) => {
                core.accepted_epoch = epoch;
                Ok(Saved::Accepted(EpochAccepted { epoch, counts: Counts::Anew }))
            }
            Input::CurrentEpochSaved(epoch) => {
                core.current_epoch = epoch;
                Ok(Saved::Current(EpochSaved(epoch)))
            }
            input => Err(input),
        }
    }
}

impl EpochAccepted {
    /// The last epoch that was accepted, before this leader named it.
    pub(super) fn before(core: &Core) -> EpochAccepted {
        EpochAccepted { epoch: core.accepted_epoch, counts: Counts::NotAgain }
    }

    /// Which epoch.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What ACKEPOCH says of the epoch of the history: nothing where it must not count again.
    pub(super) fn counted(&self, core: &Core) -> Option<u32> {
        match self.counts {
            Counts::Anew => Some(core.current_epoch),
            Counts::NotAgain => None,
        }
    }

    /// A lie.
    #[cfg(feature = "canaries")]
    pub(super) fn forged(epoch: u32) -> EpochAccepted {
        EpochAccepted { epoch, counts: Counts::Anew }
    }
}

impl EpochSaved {
    /// Which epoch.
    pub(super) fn epoch(&self) -> u32 {
        self.0
    }
}

/// Everything that the synchronisation brought was on disk when saving `currentEpoch` was asked
/// for, and then that was on disk: the history is that of the new leader.
#[derive(Debug)]
pub(super) struct HistoryTaken {
    epoch: u32,
}

impl HistoryTaken {
    /// Of both, in this order.
    pub(super) fn of(_records: AllSynced, epoch: EpochSaved) -> HistoryTaken {
        HistoryTaken { epoch: epoch.0 }
    }

    /// Which epoch's.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }
}
