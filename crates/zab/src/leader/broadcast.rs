//! Broadcast: what is proposed is sent, acknowledged and committed.
//!
//! What it keeps true:
//! - A transaction is committed once a quorum of the participants has it on disk, and in the order
//!   of zxids. This peer is one of them and no more: others may be done before its own disk is.
//! - An ack stands for everything before it, since a learner's disk takes proposals in their order.
//!   It counts only on the link by which it came: whoever connects again may have cut its log.
//! - Followers are told of a commit with COMMIT, observers with INFORM; proposals and commits go to
//!   whoever was sent NEWLEADER, whether or not it has acknowledged it.

use super::canary;
use super::learners::{Learner, Learners, Serving, Stage};
use super::liveness::Rounds;
use super::sync::{Synchronisation, Terms};
use super::syncs::Syncs;
use crate::effect::{LearnerLink, Out};
use crate::peer::Core;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, Packet};
use std::sync::Arc;

/// The leader serves: everything that it has received before is committed.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) terms: Terms,
    /// Which beat of the two in a tick comes next.
    pub(super) beat: Beat,
    pub(super) rounds: Rounds,
    pub(super) syncs: Syncs,
}

/// The leader pings twice a tick and counts its learners once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Ping,
    PingAndCount,
}

impl Broadcast {
    pub(super) fn begin(synchronised: &Synchronisation) -> Broadcast {
        Broadcast {
            terms: synchronised.terms.clone(),
            beat: Beat::Ping,
            rounds: Rounds::default(),
            syncs: Syncs::default(),
        }
    }

    /// The last zxid that was given away.
    pub(super) fn last_proposed(&self, core: &Core) -> Zxid {
        core.history.received().max(Zxid::first_of(self.terms.epoch))
    }

    /// Puts a transaction in flight.
    pub(super) fn propose(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (learners, record): (&mut Learners, Arc<TxnRecord>),
        out: &mut Out,
    ) {
        let zxid = record.header.zxid;
        assert_eq!(Some(zxid), self.last_proposed(core).next(), "zxids have no gaps in an epoch");
        learners.send_to_all(core, out, |learner| {
            if learner.learner_type == LearnerType::Observer || !learner.is_forwarded_to() {
                return None;
            }
            if let Stage::Serving(serving) = &mut learner.stage {
                serving.await_ack(zxid, now_ms);
            }
            Some(Packet::Proposal { record: record.clone() })
        });
        core.append(record, out);
        if canary::acks_before_sync(core) {
            self.commit(core, learners, zxid, out);
        }
    }

    /// Commits what a quorum has, after one of its members has said that it has everything up to
    /// `acked`.
    pub(super) fn commit(
        &mut self,
        core: &mut Core,
        learners: &mut Learners,
        acked: Zxid,
        out: &mut Out,
    ) {
        let has = |id| -> Zxid {
            if id == core.settings.my_id {
                return own_mark(core);
            }
            learners.by_id(id).map_or(Zxid::ZERO, Learner::acked)
        };
        let committed = core.history.committed();
        let is_quorum =
            |zxid: Zxid| core.quorum.holds(|id| has(id) >= zxid) || canary::commits_alone(core);
        let mark = if is_quorum(acked) {
            acked
        } else {
            // What nobody has acknowledged just now had no quorum before.
            let candidates = core.quorum.voters().map(|voter| has(voter).min(acked));
            let good = candidates.filter(|zxid| *zxid > committed && is_quorum(*zxid));
            good.max().unwrap_or(committed)
        };
        if mark > committed {
            for record in core.history.uncommitted() {
                if record.header.zxid > mark {
                    break;
                }
                self.syncs.answer_before(record.header.zxid, learners, out);
                learners.send_to_all(core, out, |learner| learner.told_of(core, record));
            }
            core.history.commit_to(mark);
            self.answer_syncs(core, learners, out);
        }
    }

    /// A learner that was synchronised may serve clients.
    pub(super) fn admit(&mut self, core: &Core, now_ms: u64, learner: &mut Learner, out: &mut Out) {
        let mut serving = Serving::default();
        if let Some(zxid) = core.history.uncommitted().next_back().map(|record| record.header.zxid)
            && learner.learner_type == LearnerType::Participant
        {
            serving.await_ack(zxid, now_ms);
        }
        learner.heard_ms = now_ms;
        learner.stage = Stage::Serving(serving);
        learner.send(Packet::UpToDate, out);
        self.join_round(core, learner, out);
    }

    /// A learner has everything up to this zxid on disk. Gives whether that can be.
    pub(super) fn acked(
        &mut self,
        core: &mut Core,
        (learners, link): (&mut Learners, LearnerLink),
        zxid: Zxid,
        out: &mut Out,
    ) -> Plausible {
        if zxid > self.last_proposed(core) {
            return Plausible::No;
        }
        // The answer to UPTODATE has the zxid of NEWLEADER.
        if zxid.counter() == 0 {
            return Plausible::Yes;
        }
        if let Some(learner) = learners.get_mut(link)
            && let Stage::Serving(serving) = &mut learner.stage
        {
            serving.acked(zxid);
            if zxid > core.history.committed() && learner.votes(core) {
                self.commit(core, learners, zxid, out);
            }
        }
        Plausible::Yes
    }
}

/// Whether a peer can have sent this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plausible {
    Yes,
    No,
}

impl Serving {
    /// A proposal was sent to it.
    fn await_ack(&mut self, zxid: Zxid, now_ms: u64) {
        self.newest = (zxid, now_ms);
        self.awaited.get_or_insert(self.newest);
    }

    /// It acknowledged. The next one to be awaited is the newest of those that were sent meanwhile,
    /// as in Apache, so that the time of every single one need not be kept.
    fn acked(&mut self, zxid: Zxid) {
        self.acked = self.acked.max(zxid);
        if self.awaited.is_some_and(|(awaited, _)| awaited <= zxid) {
            self.awaited = (self.newest.0 > zxid).then_some(self.newest);
        }
    }
}

impl Learner {
    /// Up to where it has acknowledged. An observer's acks do not count.
    fn acked(&self) -> Zxid {
        let votes = self.learner_type == LearnerType::Participant;
        self.stage.serving().filter(|_| votes).map_or(Zxid::ZERO, |serving| serving.acked)
    }

    /// How it learns that a record is committed.
    fn told_of(&self, core: &Core, record: &Arc<TxnRecord>) -> Option<Packet> {
        let is_newcomer = self.stage.serving().is_none();
        if !self.is_forwarded_to() || is_newcomer && canary::keeps_commits_from_newcomers(core) {
            return None;
        }
        Some(match self.learner_type {
            LearnerType::Participant => Packet::Commit { zxid: record.header.zxid },
            LearnerType::Observer => Packet::Inform { record: record.clone() },
        })
    }
}

/// Up to where this peer has everything on disk.
fn own_mark(core: &Core) -> Zxid {
    if canary::acks_before_sync(core) { core.history.received() } else { core.history.durable() }
}
