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
    /// A `sync`, whose turn has come.
    Marker(ConnId),
}

/// Whether something may commit.
pub(crate) fn is_ready(node: &Node) -> bool {
    match node.proposals.in_flight.front() {
        Some(Proposal::Marker { after, confirmation, .. })
            if *after <= node.peer.history().delivered() =>
        {
            // A quorum that has what was proposed later has followed this leader since.
            let overtaken = *after < node.peer.history().committed();
            overtaken || *confirmation <= node.proposals.confirmed
        }
        Some(Proposal::Marker { .. } | Proposal::Txn { .. }) | None => node.peer.has_committed(),
    }
}

/// Takes the next that may commit.
pub(crate) fn next(node: &mut Node) -> Option<Committed> {
    if !is_ready(node) {
        return None;
    }
    match node.proposals.in_flight.front() {
        Some(Proposal::Marker { conn, after, .. }) if *after <= node.peer.history().delivered() => {
            let conn = *conn;
            node.proposals.in_flight.pop_front();
            Some(Committed::Marker(conn))
        }
        Some(Proposal::Txn { zxid, origin }) => {
            let (zxid, origin) = (*zxid, *origin);
            let record = node.peer.next_committed()?;
            if record.header.zxid == zxid {
                node.proposals.in_flight.pop_front();
                return Some(Committed::Txn { origin, record });
            }
            // The history that a leader began with comes before what it proposed itself.
            assert!(record.header.zxid < zxid, "{zxid} was proposed and did not commit");
            Some(Committed::Txn { origin: Origin::Internal, record })
        }
        Some(Proposal::Marker { .. }) | None => {
            let record = node.peer.next_committed()?;
            let origin = node.ensemble.origin_of(&node.connections, &record);
            Some(Committed::Txn { origin, record })
        }
    }
}
