//! `sync` for learners: answered in step with the commits that they are told of.
//!
//! What it keeps true: a sync is answered behind the commit of everything that was proposed before
//! it came, and before the commit of anything that was proposed after. A learner counts on that: it
//! answers its client's requests in their order, and Apache's leaves a client without an answer
//! whose write is committed before the sync in front of it.
//!
//! A quorum that acknowledges a proposal made after a sync came has followed this leader since, as
//! one that answers a ping sent after it has.

use super::broadcast::Broadcast;
use super::learners::Learners;
use crate::effect::{LearnerLink, Out};
use crate::peer::Core;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::Packet;
use std::collections::VecDeque;

/// Syncs of learners that wait for their turn, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    waiting: VecDeque<Waiting>,
    /// The last round of pings that a quorum answered.
    confirmed: u64,
}

#[derive(Debug)]
struct Waiting {
    link: LearnerLink,
    /// What was proposed last when it came.
    after: Zxid,
    /// The round of pings that confirms it.
    round: u64,
}

impl Broadcast {
    /// A learner forwards a sync.
    pub(super) fn sync(
        &mut self,
        core: &Core,
        (learners, link): (&mut Learners, LearnerLink),
        out: &mut Out,
    ) {
        let after = core.history.received();
        let round = self.confirm(core, learners, out);
        self.syncs.waiting.push_back(Waiting { link, after, round });
        self.answer_syncs(core, learners, out);
    }

    /// A quorum answered the pings of this round.
    pub(super) fn confirmed(
        &mut self,
        core: &Core,
        (learners, round): (&mut Learners, u64),
        out: &mut Out,
    ) {
        self.syncs.confirmed = round;
        self.answer_syncs(core, learners, out);
    }

    /// Answers those whose turn has come.
    pub(super) fn answer_syncs(&mut self, core: &Core, learners: &mut Learners, out: &mut Out) {
        let (committed, confirmed) = (core.history.committed(), self.syncs.confirmed);
        self.syncs.answer(learners, out, |sync| sync.after <= committed && sync.round <= confirmed);
    }
}

impl Syncs {
    /// Answers those that came before this was proposed: it is about to be committed.
    pub(super) fn answer_before(&mut self, zxid: Zxid, learners: &mut Learners, out: &mut Out) {
        self.answer(learners, out, |sync| sync.after < zxid);
    }

    fn answer(
        &mut self,
        learners: &mut Learners,
        out: &mut Out,
        has_its_turn: impl Fn(&Waiting) -> bool,
    ) {
        while let Some(sync) = self.waiting.pop_front_if(|sync| has_its_turn(sync)) {
            // One that left meanwhile asks again elsewhere.
            if let Some(learner) = learners.get_mut(sync.link) {
                learner.send(Packet::Sync, out);
            }
        }
    }
}
