//! Step 6: the log says how far it is on stable storage. Only this lets proposals commit.

use crate::event::LogToken;
use crate::node::Node;

/// Everything up to `token` survives a power loss.
pub(crate) fn durable(node: &mut Node, token: LogToken, bytes: u64) {
    let former = node.proposals.durable;
    assert!(token >= former, "the log reported {token:?} after {former:?}");
    node.proposals.durable = token;
    node.snapshots.logged(token.0 - former.0, bytes);
}
