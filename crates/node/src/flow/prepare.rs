//! Step 4: an admitted write becomes a transaction, against what is applied and what is in flight.
//!
//! A refused write is a transaction too: it takes a zxid, so that its reply keeps its place.

use crate::effect::Effect;
use crate::flow::session::{Admitted, Origin};
use crate::node::Node;
use bellwether_tree::{Caller, Now, Stamp};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;

/// A transaction that has a zxid and is not proposed yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) origin: Origin,
    pub(super) record: TxnRecord,
}

/// Gives the write the next zxid.
pub(crate) fn prepare(
    node: &mut Node,
    now: Now,
    admitted: Admitted,
    out: &mut Vec<Effect>,
) -> Prepared {
    // A single server has no epochs: its counter runs on into the next one, as Apache's does. A
    // leader resigns before its counter is used up.
    node.last_zxid = Zxid(node.last_zxid.0 + 1);
    let stamp = Stamp { zxid: node.last_zxid, time_ms: now.wall_ms };
    let Admitted { origin, session, cxid, identities, write } = admitted;
    let caller = Caller { session, cxid, identities: &identities };
    let record = node.tree.prepare(&mut node.pending, stamp, caller, write);
    out.extend(node.pending.take_exceeded().into_iter().map(Effect::QuotaExceeded));
    Prepared { origin, record }
}
