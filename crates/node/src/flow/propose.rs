//! Step 5: a transaction is in flight until a quorum has it on disk. A single server is a quorum of
//! one: its own log.

use crate::connections::{Queued, Waiting};
use crate::effect::Effect;
use crate::ensemble::{self, milestones};
use crate::event::ConnId;
use crate::flow::prepare::Prepared;
use crate::flow::reply;
use crate::flow::session::{Origin, Place};
use crate::node::Node;
use bellwether_tree::Now;
use bellwether_wire::client::Request;
use bellwether_wire::{OpCode, Zxid};
use std::collections::VecDeque;
use std::sync::Arc;

/// What waits for its commit here: on a server that proposes, every transaction in the order of
/// zxids; on a learner, what its own clients asked to be in step with.
///
/// Invariant: markers stand where they came among the transactions.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    pub(super) in_flight: VecDeque<Proposal>,
    /// The last number for which a quorum is known to follow this leader.
    pub(crate) confirmed: u64,
}

/// Something that commits in its turn.
#[derive(Debug)]
pub(crate) enum Proposal {
    /// A transaction that `zab` has.
    Txn { zxid: Zxid, origin: Origin },
    /// `sync`: it commits when everything before it has, and a quorum still followed this leader
    /// after it came.
    Marker { conn: ConnId, after: Zxid, confirmation: u64 },
}

impl Proposals {
    /// How many transactions and markers are in flight.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// How many of them are markers.
    pub(crate) fn markers(&self) -> usize {
        let is_marker = |proposal: &&Proposal| matches!(proposal, Proposal::Marker { .. });
        self.in_flight.iter().filter(is_marker).count()
    }

    /// Forgets everything: this server proposes nothing any more.
    pub(crate) fn clear(&mut self) {
        *self = Proposals::default();
    }
}

/// Puts a transaction in flight and asks for its place in the log.
pub(crate) fn propose(node: &mut Node, now: Now, prepared: Prepared, out: &mut Vec<Effect>) {
    let Prepared { origin, record } = prepared;
    let zxid = record.header.zxid;
    milestones::proposes(node, &record);
    node.proposals.in_flight.push_back(Proposal::Txn { zxid, origin });
    node.peer_does(now, out, |peer, said| peer.propose(now.mono_ms, Arc::new(record), said));
}

/// `sync`: a marker behind everything that is in flight, or a read if nothing is.
pub(crate) fn marker(
    node: &mut Node,
    now: Now,
    (place, path): (Place, Box<str>),
    out: &mut Vec<Effect>,
) {
    let Place { conn, xid, arrived_ms, identities, .. } = place;
    let Some(connection) = node.connections.get(conn) else { return };
    let op = OpCode::Sync;
    let first = connection.queue.is_empty();
    let session = connection.session;
    let waits = node.proposals.len() > 0 || !node.ensemble.is_alone();
    if waits {
        node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting: Waiting::Marker });
    }
    if waits && node.ensemble.is_learner() {
        node.ensemble.syncs.push_back(conn);
        let mut payload = Vec::new();
        Request::Sync { path: path.clone() }.encode(&mut payload);
        ensemble::forward(node, now, (session, xid, op), (payload, &identities), out);
    } else if waits {
        mark(node, now, conn, out);
    }
    let waiting = Waiting::Read { request: Request::Sync { path }, identities };
    node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting });
    if first && !waits {
        reply::drain(node, now, (conn, &mut 1), out);
    }
}

/// A marker behind everything that is proposed.
fn mark(node: &mut Node, now: Now, conn: ConnId, out: &mut Vec<Effect>) {
    let confirmation = node.peer_does(now, out, |peer, said| peer.confirm(now.mono_ms, said));
    let after = node.peer.history().received();
    node.proposals.in_flight.push_back(Proposal::Marker { conn, after, confirmation });
}

/// A learner's marker behind everything that its leader has committed so far.
pub(crate) fn mark_synced(node: &mut Node, conn: ConnId) {
    let after = node.peer.history().committed();
    node.proposals.in_flight.push_back(Proposal::Marker { conn, after, confirmation: 0 });
}
