//! Step 8: a committed transaction changes the tree. It cannot fail: what could go wrong was
//! decided when it was prepared.

use crate::audit::Asked;
use crate::ensemble::milestones;
use crate::flow::session::Origin;
use crate::node::Node;
use bellwether_tree::{Change, Now, Outcome};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{OpCode, SessionId};
use std::sync::Arc;
use tracing::error;

/// A transaction whose effects are in the tree, with what has to be told.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(super) origin: Origin,
    /// Set if the transaction ended this session.
    pub(super) closed: Option<SessionId>,
    pub(super) outcome: Outcome,
    pub(super) changes: Vec<Change>,
    /// What the audit log says of it; nothing where nothing is audited.
    pub(super) asked: Option<Asked>,
}

/// Applies a transaction.
pub(crate) fn apply(
    node: &mut Node,
    now: Now,
    (origin, record): (Origin, Arc<TxnRecord>),
) -> Applied {
    milestones::commits(node, now, &record);
    let mut changes = Vec::new();
    let closes = record.header.op == OpCode::CloseSession;
    let told = !node.watches.is_empty() || (closes && node.settings.audit);
    let watched = told.then_some(&mut changes);
    let outcome = node.tree.apply(now, &record, watched);
    node.pending.applied(record.header.zxid);
    // A wall clock that was set back in between tells nothing.
    if let Ok(ms) = u64::try_from(now.wall_ms.saturating_sub(record.header.time_ms)) {
        node.measures.propagation_ms.record(ms);
    }
    if outcome.digest_matches == Some(false) && !node.ensemble.fuzzy {
        node.counters.digest_mismatches += 1;
        error!(
            zxid = %record.header.zxid,
            "the tree's digest differs from the one prepared for this transaction: a bug, or memory \
             that fails; compare with another copy of the data before trusting this server"
        );
    }
    let closed = closes.then_some(record.header.session);
    let forwarded = |node: &mut Node| match origin {
        Origin::Client(conn) if node.settings.audit => {
            node.audits.take_forwarded((conn, record.header.cxid))
        }
        Origin::Client(_) | Origin::Connecting(_) | Origin::Internal => None,
    };
    let asked = node.audits.take(record.header.zxid).or_else(|| forwarded(node));
    Applied { origin, closed, outcome, changes, asked }
}
