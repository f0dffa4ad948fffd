//! Step 5: a transaction is in flight until a quorum has it on disk. A single server is a quorum of
//! one: its own log.

use crate::connections::{Queued, Waiting};
use crate::effect::Effect;
use crate::event::{ConnId, LogToken};
use crate::flow::prepare::Prepared;
use crate::flow::reply;
use crate::flow::session::{Origin, Place};
use crate::node::Node;
use bellwether_tree::Now;
use bellwether_wire::OpCode;
use bellwether_wire::client::Request;
use bellwether_wire::disk::TxnRecord;
use std::collections::VecDeque;
use std::sync::Arc;

/// What is in flight, in the order of zxids.
///
/// Invariants: tokens grow from front to back and none repeats; `durable` is below the token of
/// every record that was not reported durable.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    pub(super) in_flight: VecDeque<Proposal>,
    pub(super) durable: LogToken,
    last_token: LogToken,
}

/// Something that commits in its turn.
#[derive(Debug)]
pub(crate) enum Proposal {
    /// A transaction on its way to the log.
    Txn { token: LogToken, origin: Origin, record: Arc<TxnRecord> },
    /// `sync` of this connection: it commits when everything before it has.
    Marker(ConnId),
}

impl Proposals {
    /// How many transactions and markers are in flight.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether something may commit.
    pub(crate) fn has_committable(&self) -> bool {
        match self.in_flight.front() {
            Some(Proposal::Txn { token, .. }) => *token <= self.durable,
            Some(Proposal::Marker(_)) => true,
            None => false,
        }
    }
}

/// Puts a transaction in flight and asks for its place in the log.
pub(crate) fn propose(node: &mut Node, prepared: Prepared, out: &mut Vec<Effect>) {
    let Prepared { origin, record } = prepared;
    let record = Arc::new(record);
    let proposals = &mut node.proposals;
    proposals.last_token = LogToken(proposals.last_token.0 + 1);
    let token = proposals.last_token;
    proposals.in_flight.push_back(Proposal::Txn { token, origin, record: record.clone() });
    out.push(Effect::Append(token, record));
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
    let in_flight = node.proposals.len() > 0;
    if in_flight {
        node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting: Waiting::Marker });
        node.proposals.in_flight.push_back(Proposal::Marker(conn));
    }
    let waiting = Waiting::Read { request: Request::Sync { path }, identities };
    node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting });
    if first && !in_flight {
        reply::drain(node, now, (conn, &mut 1), out);
    }
}
