//! Step 6: the log says how far it is on stable storage. Only this lets proposals commit.

use crate::effect::Effect;
use crate::node::Node;
use bellwether_tree::Now;
use bellwether_zab::{Input, LogToken};

/// Everything up to `token` survives a power loss; `bytes` were written for it.
pub(crate) fn durable(
    node: &mut Node,
    now: Now,
    (token, bytes): (LogToken, u64),
    out: &mut Vec<Effect>,
) {
    let former = node.durable;
    assert!(token >= former, "the log reported {token:?} after {former:?}");
    node.durable = token;
    node.snapshots.logged(token.0 - former.0, bytes);
    node.tell_peer(now, Input::Durable(token), out);
}
