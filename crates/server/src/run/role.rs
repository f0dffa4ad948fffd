//! What this member is doing, and since when: for the figures.
//!
//! What it keeps true: a role is counted from the round in which it began; one that begins and ends
//! within a round is not seen.

use super::Core;
use crate::admin::{EnsembleFigures, LeaderFigures, Mode, ResponseSizes};
use bellwether_node::Summary;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, PeerState};
use bellwether_zab::Serving;
use std::time::Instant;

/// What was seen of the roles of a member.
#[derive(Debug)]
pub(super) struct Roles {
    looked: u64,
    /// Since when it looks for a leader.
    looking: Option<Instant>,
    /// Since when nobody is served.
    unavailable: Option<Instant>,
    /// Since when it leads and serves.
    leading: Option<Instant>,
    election_ms: Summary,
    unavailable_ms: Summary,
    leader_unavailable_ms: Summary,
    proposal_sizes: Option<ResponseSizes>,
    proposals: u64,
}

impl Roles {
    /// A member begins by looking.
    pub(super) fn new(now: Instant) -> Roles {
        Roles {
            looked: 1,
            looking: Some(now),
            unavailable: Some(now),
            leading: None,
            election_ms: Summary::default(),
            unavailable_ms: Summary::default(),
            leader_unavailable_ms: Summary::default(),
            proposal_sizes: None,
            proposals: 0,
        }
    }

    /// What `srst` starts anew.
    pub(super) fn reset(&mut self) {
        let now = Instant::now();
        let (looking, unavailable) = (self.looking, self.unavailable);
        *self = Roles { looked: 0, looking, unavailable, leading: self.leading, ..Roles::new(now) };
    }
}

impl Core {
    /// Notices what this member has become.
    pub(super) fn notice_role(&mut self) {
        if self.sockets.is_none() {
            return;
        }
        let now = self.instant;
        let is_looking = self.node.peer().state() == PeerState::Looking;
        let serving = self.node.serving();
        let leads = matches!(serving, Some(Serving::Leader { .. }));
        let roles = &mut self.roles;
        let since = |then: Instant| millis(now.saturating_duration_since(then));
        match (roles.looking, is_looking) {
            (None, true) => {
                roles.looked += 1;
                roles.looking = Some(now);
            }
            (Some(then), false) => {
                roles.election_ms.record(since(then));
                roles.looking = None;
            }
            (None, false) | (Some(_), true) => {}
        }
        match (roles.unavailable, serving.is_some()) {
            (None, false) => {
                roles.unavailable = Some(now);
                roles.leading = None;
            }
            (Some(then), true) => {
                roles.unavailable = None;
                roles.unavailable_ms.record(since(then));
                if leads {
                    roles.leader_unavailable_ms.record(since(then));
                    roles.leading = Some(now);
                    (roles.proposal_sizes, roles.proposals) = (None, 0);
                }
                self.figures.serves_from(now);
            }
            (None, true) | (Some(_), false) => {}
        }
    }

    /// Counts what a leader proposes.
    pub(super) fn count_proposal(&mut self, record: &TxnRecord) {
        if self.roles.leading.is_some() {
            let bytes = u64::try_from(record.encoded_bytes()).unwrap_or(u64::MAX);
            self.roles.proposals += 1;
            self.roles.proposal_sizes = Some(ResponseSizes::with(self.roles.proposal_sizes, bytes));
        }
    }

    /// What it is to its clients.
    pub(super) fn mode(&self) -> Mode {
        if !self.serves_clients() {
            return Mode::NotServing;
        }
        match self.node.serving() {
            None => Mode::NotServing,
            Some(Serving::Alone) => Mode::Standalone,
            Some(Serving::Leader { .. }) => Mode::Leader,
            Some(Serving::Follower { .. }) => Mode::Follower,
            Some(Serving::Observer { .. }) => Mode::Observer,
        }
    }

    /// What a member tells; `None` of a server that runs alone.
    pub(super) fn ensemble_figures(&self) -> Option<EnsembleFigures> {
        let member = self.config.member.as_ref()?;
        let roles = &self.roles;
        Some(EnsembleFigures {
            voters: count(member.ensemble.participants().count()),
            looked: roles.looked,
            election_ms: roles.election_ms,
            unavailable_ms: roles.unavailable_ms,
            leader_unavailable_ms: roles.leader_unavailable_ms,
            leading: roles.leading.map(|since| self.leader_figures(since)),
        })
    }

    fn leader_figures(&self, since: Instant) -> LeaderFigures {
        let learners = self.node.peer().learners();
        let servers = self.config.member.as_ref().map(|member| &member.ensemble.servers);
        let is_voter = |id| {
            let spec = servers.and_then(|servers| servers.get(&id));
            spec.is_some_and(|spec| spec.role == LearnerType::Participant)
        };
        let (mut followers, mut others, mut observers) = (0, 0, 0);
        for learner in learners.iter().filter(|learner| learner.synced) {
            match learner.learner_type {
                LearnerType::Observer => observers += 1,
                LearnerType::Participant if learner.id.is_some_and(is_voter) => followers += 1,
                LearnerType::Participant => others += 1,
            }
        }
        LeaderFigures {
            uptime_ms: millis(self.instant.saturating_duration_since(since)),
            learners: count(learners.iter().filter(|learner| learner.id.is_some()).count()),
            synced_followers: followers,
            synced_non_voters: others,
            synced_observers: observers,
            pending_syncs: count(self.node.status().pending_syncs),
            proposal_sizes: self.roles.proposal_sizes,
            proposals: self.roles.proposals,
        }
    }
}

fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
