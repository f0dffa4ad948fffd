//! Step 7: what a quorum has on disk commits, strictly in the order of zxids.

use crate::event::ConnId;
use crate::flow::propose::Proposal;
use crate::flow::session::Origin;
use crate::node::Node;
use bellwether_wire::disk::TxnRecord;
use std::sync::Arc;

/// Something that a quorum has on disk.
#[derive(Debug)]
pub(crate) enum Committed {
    /// A transaction, to be applied.
    Txn { origin: Origin, record: Arc<TxnRecord> },
    /// A `sync` of this connection, whose turn has come.
    Marker(ConnId),
}

/// Takes the next proposal that may commit.
pub(crate) fn next(node: &mut Node) -> Option<Committed> {
    let proposals = &mut node.proposals;
    if !proposals.has_committable() {
        return None;
    }
    Some(match proposals.in_flight.pop_front()? {
        Proposal::Txn { origin, record, .. } => Committed::Txn { origin, record },
        Proposal::Marker(conn) => Committed::Marker(conn),
    })
}
