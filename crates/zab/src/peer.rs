//! A member of an ensemble: its role, and the only place where the role changes.
//!
//! Looking, it votes; leading, it proposes; following or observing, it obeys. Every role owns what
//! only it needs and is dropped as a whole when it ends; what outlives it is the [`Core`]: the
//! history, the epochs, the vote.

use crate::effect::{Effect, LeaderLink, LearnerLink, News, Out};
use crate::election::Election;
use crate::history::History;
#[cfg(feature = "canaries")]
use crate::history::LogToken;
use crate::input::Input;
use crate::leader::Leader;
use crate::learner::Learner;
use crate::quorum::Quorum;
use crate::settings::Settings;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, Packet, PeerState, ServerId, Vote};
use std::sync::Arc;
use tracing::info;

/// One member, or a single server.
#[derive(Debug)]
pub struct Peer {
    core: Core,
    role: Role,
}

/// What a member is doing.
#[derive(Debug)]
enum Role {
    /// A single server: a quorum of one, which needs no election and has no epochs.
    Alone,
    /// A role has ended while the disk was cutting the log or taking over a snapshot: nobody knows
    /// what to vote for before it is done.
    Settling,
    Looking(Election),
    Leading(Box<Leader>),
    /// Following or observing.
    Learning(Box<Learner>),
}

/// What outlives a role. Lent to whoever plays it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) quorum: Quorum,
    pub(crate) history: History,
    /// The last epoch promised: `acceptedEpoch`, as it is on disk.
    pub(crate) accepted_epoch: u32,
    /// The last epoch whose history was taken over: `currentEpoch`, as it is on disk.
    pub(crate) current_epoch: u32,
    /// What it answers to those who look for a leader.
    pub(crate) vote: Vote,
    /// The logical clock of elections.
    pub(crate) round: i64,
    /// The log could not be cut to where the leader wanted it: the next leader is asked for a
    /// whole snapshot.
    pub(crate) needs_snapshot: bool,
    /// Nobody is blamed for silence before this, monotonic milliseconds: whoever was stopped for a
    /// while finds what was sent to it in its sockets.
    pub(crate) patient_until_ms: u64,
    /// The highest epoch that a server was shut out with: the next one that this peer proposes is
    /// above it.
    pub(crate) epoch_floor: u32,
    last_step_ms: u64,
    next_leader_link: u64,
}

/// What a leader knows of a learner.
#[derive(Clone, Debug)]
pub struct LearnerStatus {
    /// Its link.
    pub link: LearnerLink,
    /// Its id, once it has said it.
    pub id: Option<ServerId>,
    /// Whether it votes.
    pub learner_type: LearnerType,
    /// Whether it is up to date and was heard lately.
    pub synced: bool,
    /// The last zxid that it acknowledged.
    pub acked: Zxid,
    /// How many bytes of records are held back for it in this crate.
    pub held_bytes: usize,
}

/// What recovery found.
#[derive(Debug)]
pub struct Found {
    /// The zxid of the tree, and the last in the log.
    pub last: Zxid,
    /// The last records before it, without a gap.
    pub recent: Vec<Arc<TxnRecord>>,
    /// `acceptedEpoch`.
    pub accepted_epoch: u32,
    /// `currentEpoch`.
    pub current_epoch: u32,
}

/// What becomes of a role after an input.
#[derive(Debug)]
#[must_use]
pub(crate) enum Next {
    /// It goes on.
    Stay,
    /// It ends, for this reason, and an election begins.
    Look(Box<str>),
    /// The election is over and this peer won it.
    Lead,
    /// The election is over and this server won it.
    Learn(ServerId),
}

/// Whether the history of a role that ends is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settles {
    /// It is.
    AtOnce,
    /// The disk is cutting the log or taking over a snapshot, and will say how it went.
    Later,
}

impl Core {
    /// The vote for itself.
    pub(crate) fn own_vote(&self) -> Vote {
        match self.settings.learner_type {
            LearnerType::Participant => Vote {
                leader: self.settings.my_id,
                zxid: self.history.received(),
                peer_epoch: i64::from(self.current_epoch),
            },
            LearnerType::Observer => Vote::NONE,
        }
    }

    /// A number for a connection to a leader.
    pub(crate) fn leader_link(&mut self) -> LeaderLink {
        self.next_leader_link += 1;
        LeaderLink(self.next_leader_link)
    }

    fn new(settings: Settings, found: Found, now_ms: u64) -> Core {
        let Found { last, recent, accepted_epoch, current_epoch } = found;
        let mut core = Core {
            quorum: Quorum::of(&settings.config),
            history: History::new(last, recent, settings.commit_log_count),
            accepted_epoch,
            current_epoch,
            vote: Vote::NONE,
            round: 0,
            needs_snapshot: false,
            patient_until_ms: now_ms,
            epoch_floor: 0,
            last_step_ms: now_ms,
            next_leader_link: 0,
            settings,
        };
        core.vote = core.own_vote();
        core
    }

    /// What was under way when a role ended: the disk has done it all the same, the others have
    /// gone.
    pub(crate) fn late(&mut self, input: Input) {
        match input {
            Input::Durable(token) => {
                #[cfg(feature = "canaries")]
                let token = self.completed(token);
                drop(self.history.sync_to(token));
            }
            Input::AcceptedEpochSaved(epoch) => self.accepted_epoch = epoch,
            Input::CurrentEpochSaved(epoch) => self.current_epoch = epoch,
            Input::Tick
            | Input::Notification { .. }
            | Input::LearnerConnected(_)
            | Input::FromLearner(..)
            | Input::LearnerGone(_)
            | Input::LogRead { .. }
            | Input::LogUnreadable { .. }
            | Input::SnapshotSent(_)
            | Input::LeaderConnected(_)
            | Input::FromLeader(..)
            | Input::LeaderGone(_)
            | Input::SnapshotPart(_) => {}
            Input::Truncated { .. }
            | Input::TruncationImpossible
            | Input::SnapshotComplete
            | Input::SnapshotReceived(_)
            | Input::SnapshotFailed => unreachable!("no role begins before these are known"),
        }
    }

    /// Following or observing.
    pub(crate) fn learning_state(&self) -> PeerState {
        match self.settings.learner_type {
            LearnerType::Participant => PeerState::Following,
            LearnerType::Observer => PeerState::Observing,
        }
    }

    /// Appends a record and asks for its place in the log.
    pub(crate) fn append(&mut self, record: Arc<TxnRecord>, out: &mut Out) {
        let token = self.history.append(record.clone());
        out.effects.push(Effect::Append(token, record));
    }

    /// The log was cut, or a snapshot has come.
    pub(crate) fn replace_history(&mut self, last: Zxid, recent: Vec<Arc<TxnRecord>>) {
        self.history.replace(last, recent);
        self.needs_snapshot = false;
    }

    /// The token that a completion stands for in a broken peer.
    #[cfg(feature = "canaries")]
    pub(crate) fn completed(&self, token: LogToken) -> LogToken {
        if self.settings.is_broken(crate::Break::CompletionOfTruncatedAppend) {
            self.history.mistaken(token)
        } else {
            token
        }
    }

    /// Whether a peer that was last heard at `heard_ms` has been silent for `limit_ms`.
    pub(crate) fn is_silent(&self, now_ms: u64, heard_ms: u64, limit_ms: u64) -> bool {
        now_ms > self.patient_until_ms && now_ms.saturating_sub(heard_ms) > limit_ms
    }
}

impl Peer {
    /// A single server.
    pub fn alone(settings: Settings, found: Found, now_ms: u64) -> Peer {
        Peer { core: Core::new(settings, found, now_ms), role: Role::Alone }
    }

    /// A member, which begins by looking for a leader.
    pub fn member(settings: Settings, found: Found, now_ms: u64, out: &mut Out) -> Peer {
        let mut core = Core::new(settings, found, now_ms);
        let election = Election::begin(&mut core, now_ms, out);
        Peer { core, role: Role::Looking(election) }
    }

    /// Takes one input and says what follows from it.
    pub fn step(&mut self, now_ms: u64, input: Input, out: &mut Out) {
        let tick_ms = self.core.settings.tick_ms;
        if now_ms.saturating_sub(self.core.last_step_ms) > tick_ms {
            self.core.patient_until_ms = now_ms + tick_ms;
        }
        self.core.last_step_ms = now_ms;
        let core = &mut self.core;
        let next = match &mut self.role {
            Role::Alone => alone(core, input),
            Role::Settling => settle(core, input, out),
            Role::Looking(election) => election.step(core, now_ms, input, out),
            Role::Leading(leader) => leader.step(core, now_ms, input, out),
            Role::Learning(learner) => learner.step(core, now_ms, input, out),
        };
        self.follow(now_ms, next, out);
        self.core.history.check();
    }

    /// Changes the role.
    fn follow(&mut self, now_ms: u64, next: Next, out: &mut Out) {
        let core = &mut self.core;
        let role = match next {
            Next::Stay => return,
            Next::Look(reason) => {
                info!(%reason, "looking for a leader");
                let settles = self.role.end(core, out);
                out.news.push(News::StopServing);
                match settles {
                    Settles::Later => Role::Settling,
                    Settles::AtOnce => Role::Looking(Election::begin(core, now_ms, out)),
                }
            }
            Next::Lead => Role::Leading(Box::new(Leader::begin(core, now_ms, out))),
            Next::Learn(leader) => {
                Role::Learning(Box::new(Learner::begin(core, now_ms, leader, out)))
            }
        };
        self.role = role;
    }

    /// When to send the next [`Input::Tick`] if nothing else happens, monotonic milliseconds.
    pub fn next_deadline(&self) -> u64 {
        // Never more than half a tick away, so that a longer silence is known to be a stall.
        let soon = self.core.last_step_ms + (self.core.settings.tick_ms / 2).max(1);
        let role = match &self.role {
            Role::Alone | Role::Settling => soon,
            Role::Looking(election) => election.next_deadline(),
            Role::Leading(leader) => leader.next_deadline(&self.core),
            Role::Learning(learner) => learner.next_deadline(&self.core),
        };
        soon.min(role).max(self.core.last_step_ms + 1)
    }

    /// Puts a transaction in flight. Only where `Serving::Alone` or `Serving::Leader` was told,
    /// with the zxid after the one before.
    pub fn propose(&mut self, now_ms: u64, record: Arc<TxnRecord>, out: &mut Out) {
        match &mut self.role {
            Role::Alone => self.core.append(record, out),
            Role::Leading(leader) => leader.propose(&mut self.core, now_ms, record, out),
            Role::Settling | Role::Looking(_) | Role::Learning(_) => {
                unreachable!("only a leader proposes")
            }
        }
    }

    /// The next committed record, for the tree.
    pub fn next_committed(&mut self) -> Option<Arc<TxnRecord>> {
        self.core.history.deliver()
    }

    /// Whether there is one.
    pub fn has_committed(&self) -> bool {
        self.core.history.has_committed()
    }

    /// Asks whether a quorum still follows this leader; [`News::Confirmed`] answers with the number
    /// given here. A single server knows at once.
    pub fn confirm(&mut self, now_ms: u64, out: &mut Out) -> u64 {
        match &mut self.role {
            Role::Leading(leader) => leader.confirm(&mut self.core, now_ms, out),
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Learning(_) => {
                out.news.push(News::Confirmed(0));
                0
            }
        }
    }

    /// A learner forwards a `sync`: it is answered in its turn among the commits, once a quorum is
    /// known to follow this leader since.
    pub fn sync(&mut self, link: LearnerLink, out: &mut Out) {
        match &mut self.role {
            Role::Leading(leader) => leader.sync(&self.core, link, out),
            // The role ended in this very step.
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Learning(_) => {}
        }
    }

    /// Gives up leading: it cannot go on for this reason.
    pub fn resign(&mut self, now_ms: u64, reason: &str, out: &mut Out) {
        match &self.role {
            Role::Leading(_) => self.follow(now_ms, Next::Look(reason.into()), out),
            // A role that ended meanwhile has nothing to give up.
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Learning(_) => {}
        }
    }

    /// Sends a packet of a learner to its leader: a request, a question about a session, the answer
    /// to a ping. Dropped where the leader is gone: its clients are told so.
    #[expect(clippy::wrong_self_convention, reason = "it sends, and converts nothing")]
    pub fn to_leader(&mut self, packet: Packet, out: &mut Out) {
        match &mut self.role {
            Role::Learning(learner) => learner.send(packet, out),
            // The role ended in this very step.
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Leading(_) => {}
        }
    }

    /// Sends a leader's answer to a learner, behind everything that was sent to it before.
    #[expect(clippy::wrong_self_convention, reason = "it sends, and converts nothing")]
    pub fn to_learner(&mut self, link: LearnerLink, packet: Packet, out: &mut Out) {
        match &mut self.role {
            Role::Leading(leader) => leader.send(link, packet, out),
            // The role ended in this very step.
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Learning(_) => {}
        }
    }

    /// What it tells those who ask: looking, following, leading or observing.
    pub fn state(&self) -> PeerState {
        match &self.role {
            Role::Alone | Role::Leading(_) => PeerState::Leading,
            Role::Settling | Role::Looking(_) => PeerState::Looking,
            Role::Learning(_) => self.core.learning_state(),
        }
    }

    /// The history, for reading.
    pub fn history(&self) -> &History {
        &self.core.history
    }

    /// The text of the ensemble's configuration, and its version; `None` for a single server.
    pub fn config(&self) -> Option<(String, i64)> {
        match &self.role {
            Role::Alone => None,
            Role::Settling | Role::Looking(_) | Role::Leading(_) | Role::Learning(_) => {
                let config = &self.core.settings.config;
                Some((config.to_string(), config.version))
            }
        }
    }

    /// What a quorum is, for reading.
    pub fn quorum(&self) -> &Quorum {
        &self.core.quorum
    }

    /// The vote, for reading.
    pub fn vote(&self) -> Vote {
        self.core.vote
    }

    /// `acceptedEpoch` and `currentEpoch`.
    pub fn epochs(&self) -> (u32, u32) {
        (self.core.accepted_epoch, self.core.current_epoch)
    }

    /// What a leader knows of its learners; nothing in any other role.
    pub fn learners(&self) -> Vec<LearnerStatus> {
        match &self.role {
            Role::Leading(leader) => leader.learners(),
            Role::Alone | Role::Settling | Role::Looking(_) | Role::Learning(_) => Vec::new(),
        }
    }
}

impl Role {
    /// Ends it: closes its connections and says whether the disk still works on the history.
    fn end(&mut self, core: &mut Core, out: &mut Out) -> Settles {
        match self {
            Role::Alone | Role::Settling | Role::Looking(_) => Settles::AtOnce,
            Role::Leading(leader) => {
                leader.end(core, out);
                Settles::AtOnce
            }
            Role::Learning(learner) => learner.end(core, out),
        }
    }
}

/// A single server: what its own disk has is committed.
fn alone(core: &mut Core, input: Input) -> Next {
    match input {
        Input::Durable(token) => {
            if let Some(durable) = core.history.durable_to(token) {
                core.history.commit_to(durable);
            }
        }
        Input::Tick => {} // Nothing is awaited of anybody.
        Input::Notification { .. }
        | Input::LearnerConnected(_)
        | Input::FromLearner(..)
        | Input::LearnerGone(_)
        | Input::LogRead { .. }
        | Input::LogUnreadable { .. }
        | Input::SnapshotSent(_)
        | Input::LeaderConnected(_)
        | Input::FromLeader(..)
        | Input::LeaderGone(_)
        | Input::AcceptedEpochSaved(_)
        | Input::CurrentEpochSaved(_)
        | Input::Truncated { .. }
        | Input::TruncationImpossible
        | Input::SnapshotPart(_)
        | Input::SnapshotComplete
        | Input::SnapshotReceived(_)
        | Input::SnapshotFailed => unreachable!("a single server asked for none of this"),
    }
    Next::Stay
}

/// Waits for the disk to say how the history ends.
#[expect(clippy::wildcard_enum_match_arm, reason = "`late` names every other input")]
fn settle(core: &mut Core, input: Input, out: &mut Out) -> Next {
    let settled = match input {
        Input::Truncated { last, recent } => {
            core.replace_history(last, recent);
            true
        }
        Input::SnapshotReceived(zxid) => {
            core.replace_history(zxid, Vec::new());
            true
        }
        Input::TruncationImpossible => {
            core.needs_snapshot = true;
            true
        }
        Input::SnapshotFailed => true,
        Input::LearnerConnected(link) => {
            out.effects.push(Effect::CloseLearner(link));
            false
        }
        input => {
            core.late(input);
            false
        }
    };
    if settled { Next::Look("what was begun on the disk has ended".into()) } else { Next::Stay }
}
