//! No acknowledged write is lost, and a zxid that anybody has seen stands for one transaction
//! for ever.

use super::{Checked, violation};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use std::sync::Arc;

/// The newest transaction that anybody was told of.
#[derive(Debug, Default)]
pub(super) struct Durability {
    told: Zxid,
}

impl Durability {
    /// Somebody was told of `zxid`, and so of everything before it.
    pub(super) fn told(&mut self, zxid: Zxid) {
        self.told = self.told.max(zxid);
    }

    /// What a start has read must reach what was told and what was applied, and be what was
    /// appended.
    pub(super) fn recovered(
        &mut self,
        (last, applied): (Zxid, Zxid),
        (read, history): (&[TxnRecord], &[Arc<TxnRecord>]),
    ) -> Checked {
        if last < self.told {
            let told = self.told;
            return violation("durability", format!("{told} was told of, {last} is the last left"));
        }
        for record in read {
            let zxid = record.header.zxid;
            let index = usize::try_from(zxid.0 - 1).unwrap_or(usize::MAX);
            match history.get(index) {
                Some(appended) if **appended == *record => {}
                Some(_) => return violation("durability", format!("{zxid} has changed")),
                None => return violation("durability", format!("{zxid} was never appended")),
            }
        }
        if last < applied {
            let seen = format!("{applied} was applied, {last} is the last left");
            return violation("durability", seen);
        }
        // What a start has shown to its clients is in its log for good.
        self.told = last;
        Ok(())
    }
}
