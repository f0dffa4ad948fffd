//! Whoever reads after a sync sees every write that was acknowledged before the sync was asked for,
//! whoever wrote it.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::client::Asked;
use bellwether_wire::client::Reply;

/// A sync was answered.
pub(in crate::ensemble) fn answered(asked: &Asked, reply: &Reply) -> Checked {
    if reply.result.is_ok() && reply.zxid < asked.told_before {
        let before = asked.told_before;
        let seen = format!("a sync shows {}, {before} was acknowledged before", reply.zxid);
        return violation("sync then read", seen);
    }
    Ok(())
}
