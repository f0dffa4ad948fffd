//! What a member counts and measures of its ensemble, from what passes between the node and its
//! peer.
//!
//! What it keeps true: a time is measured from the event that begins it to the one that ends it,
//! both on this member's clock, but for latencies, which begin with the leader's stamp as Apache's
//! do; nothing here changes what the node does.
//!
//! What it leaves to others: telling it (`Node::status`, `Node::measures`).

use crate::node::Node;
use crate::status::{EnsembleMeasures, EnsembleStatus, LeaderStatus};
use bellwether_tree::Now;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, Packet, PeerState};
use bellwether_zab::{Effect, Input, LearnerStatus, Serving};

/// When something began that goes on, monotonic milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    /// Looking for a leader.
    looking: Option<u64>,
    /// Serving nobody.
    unavailable: Option<u64>,
    /// Getting in step with a leader.
    syncing: Option<u64>,
    /// Serving clients, in the role that it plays.
    serving: Option<u64>,
}

fn since(begun: Option<u64>, now: Now) -> u64 {
    begun.map_or(0, |begun| now.mono_ms.saturating_sub(begun))
}

/// From the leader's stamp until now. A wall clock that was set back in between tells nothing.
fn age(record: &TxnRecord, now: Now) -> Option<u64> {
    u64::try_from(now.wall_ms.saturating_sub(record.header.time_ms)).ok()
}

/// The member began to look for a leader, for the first time or after a role that has ended.
pub(crate) fn looks(node: &mut Node, now: Now) {
    node.measures.ensemble.elections += 1;
    let milestones = &mut node.milestones;
    milestones.looking = Some(now.mono_ms);
    milestones.unavailable.get_or_insert(now.mono_ms);
    (milestones.syncing, milestones.serving) = (None, None);
}

/// The peer has taken something in, and was in this state before.
pub(crate) fn passed(node: &mut Node, now: Now, before: PeerState) {
    let after = node.peer.state();
    if before == after {
        return;
    }
    match after {
        PeerState::Looking => looks(node, now),
        PeerState::Leading | PeerState::Following => {
            let looked_ms = since(node.milestones.looking.take(), now);
            node.measures.ensemble.election_ms.record(looked_ms);
        }
        // An observer asks who leads, and Apache does not count that.
        PeerState::Observing => node.milestones.looking = None,
    }
}

/// Something comes for the peer.
pub(crate) fn comes(node: &mut Node, now: Now, input: &Input) {
    let Input::FromLeader(_, packet) = input else { return };
    let is_in_step = node.ensemble.is_learner();
    let measures = &mut node.measures.ensemble;
    match packet {
        Packet::Proposal { record } if is_in_step => {
            measures.proposals_received += 1;
            age(record, now).into_iter().for_each(|ms| measures.proposal_ms.record(ms));
        }
        Packet::Commit { .. } | Packet::Inform { .. } if is_in_step => {
            measures.commits_received += 1;
        }
        Packet::Diff { .. } | Packet::Trunc { .. } | Packet::Snap { .. } => {
            node.milestones.syncing = Some(now.mono_ms);
        }
        // What comes while the member is being brought into step is no news of the ensemble.
        Packet::Proposal { .. } | Packet::Commit { .. } | Packet::Inform { .. } => {}
        Packet::Request { .. }
        | Packet::Ack { .. }
        | Packet::Ping { .. }
        | Packet::Revalidate { .. }
        | Packet::RevalidateReply { .. }
        | Packet::Sync
        | Packet::CommitAndActivate { .. }
        | Packet::InformAndActivate { .. }
        | Packet::NewLeader { .. }
        | Packet::FollowerInfo { .. }
        | Packet::ObserverInfo { .. }
        | Packet::UpToDate
        | Packet::LeaderInfo { .. }
        | Packet::AckEpoch { .. } => {}
    }
}

/// The peer asks for something.
pub(crate) fn goes(measures: &mut EnsembleMeasures, effect: &Effect) {
    if let Effect::ToLearner(_, Packet::Diff { .. } | Packet::Trunc { .. }) = effect {
        measures.record_syncs += 1;
    }
}

/// The member begins to serve.
pub(crate) fn serves(node: &mut Node, now: Now, serving: Serving) {
    let milestones = &mut node.milestones;
    let (unavailable, syncing) = (milestones.unavailable.take(), milestones.syncing.take());
    milestones.serving = Some(now.mono_ms);
    let measures = &mut node.measures.ensemble;
    measures.unavailable_ms.record(since(unavailable, now));
    match serving {
        Serving::Alone => unreachable!("a single server serves from its start"),
        Serving::Leader { .. } => {
            measures.leader_unavailable_ms.record(since(unavailable, now));
            measures.proposal_sizes = None;
        }
        Serving::Follower { .. } => measures.follower_sync_ms.record(since(syncing, now)),
        Serving::Observer { .. } => measures.observer_sync_ms.record(since(syncing, now)),
    }
}

/// The leader proposes.
pub(crate) fn proposes(node: &mut Node, record: &TxnRecord) {
    if let Some(Serving::Leader { .. }) = node.ensemble.serving() {
        let bytes = u64::try_from(record.encoded_bytes()).unwrap_or(u64::MAX);
        node.measures.ensemble.proposed(bytes);
    }
}

/// A transaction has a quorum, and is about to be applied.
pub(crate) fn commits(node: &mut Node, now: Now, record: &TxnRecord) {
    let measures = &mut node.measures.ensemble;
    match node.ensemble.serving() {
        // What it found when it began to lead was committed by another one.
        Some(Serving::Leader { epoch }) if record.header.zxid.epoch() == epoch => {
            measures.commits += 1;
            age(record, now).into_iter().for_each(|ms| measures.quorum_ack_ms.record(ms));
        }
        Some(Serving::Follower { .. } | Serving::Observer { .. }) => {
            age(record, now).into_iter().for_each(|ms| measures.commit_propagation_ms.record(ms));
        }
        Some(Serving::Alone | Serving::Leader { .. }) | None => {}
    }
}

/// The member's place in its ensemble; `None` of a single server.
pub(crate) fn status(node: &Node) -> Option<EnsembleStatus> {
    if node.ensemble.is_alone() {
        return None;
    }
    let serving = node.ensemble.serving();
    let leads = matches!(serving, Some(Serving::Leader { .. }));
    let learns = node.ensemble.is_learner();
    Some(EnsembleStatus {
        serving_since_ms: node.milestones.serving,
        voters: node.peer.quorum().voters().count(),
        follows: learns.then(|| node.peer.vote().leader),
        leader: leads.then(|| leader_status(node)),
    })
}

fn leader_status(node: &Node) -> LeaderStatus {
    let learners = node.peer.learners();
    let synced = |wanted: LearnerType| {
        let is_it = move |learner: &&LearnerStatus| learner.learner_type == wanted;
        learners.iter().filter(|learner| learner.synced).filter(is_it)
    };
    let votes =
        |learner: &&LearnerStatus| learner.id.is_some_and(|id| node.peer.quorum().is_voter(id));
    let followers = synced(LearnerType::Participant).count();
    LeaderStatus {
        synced_followers: followers,
        synced_non_voting_followers: followers
            - synced(LearnerType::Participant).filter(votes).count(),
        synced_observers: synced(LearnerType::Observer).count(),
        pending_syncs: node.proposals.markers(),
        learners: learners.len(),
    }
}
