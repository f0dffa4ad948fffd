//! Writes are linearizable: one that was asked for after another was acknowledged, by anybody,
//! comes behind it.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::client::Asked;
use bellwether_wire::Zxid;

/// A write was answered with its transaction.
pub(in crate::ensemble) fn answered(asked: &Asked, zxid: Zxid) -> Checked {
    let before = asked.told_before;
    if zxid <= before {
        let seen = format!("{asked:?} became {zxid}, and {before} was acknowledged before");
        return violation("linearizable writes", seen);
    }
    Ok(())
}
