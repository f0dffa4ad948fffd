//! Prefix consistency and total order: whatever member serves clients, its tree is the result of a
//! beginning of the one history, without a gap and in order.
//!
//! Each member's trail — what it has in its log since a snapshot — is followed as it goes into the
//! tree. Who shows a transaction first says what its place in the history is.

use super::violation;
use crate::checkers::{Checked, Violation};
use crate::ensemble::truth::Truth;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use std::collections::VecDeque;
use std::sync::Arc;

const PROMISE: &str = "prefix consistency";

/// What a member has, and how much of it has been compared.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Trail {
    /// The snapshot that its log goes on from.
    base: Zxid,
    records: VecDeque<Arc<TxnRecord>>,
    /// How many of the records are known to stand in the history.
    compared: usize,
}

impl Trail {
    /// A start has read this.
    pub(in crate::ensemble) fn started(base: Zxid, records: Vec<Arc<TxnRecord>>) -> Trail {
        Trail { base, records: records.into(), compared: 0 }
    }

    pub(in crate::ensemble) fn appended(&mut self, record: Arc<TxnRecord>) {
        self.records.push_back(record);
    }

    /// The log was cut behind this zxid.
    pub(in crate::ensemble) fn truncated(&mut self, last: Zxid) {
        let kept = self.records.partition_point(|record| record.header.zxid <= last);
        self.records.truncate(kept);
        self.compared = 0;
    }

    /// Where it begins.
    pub(in crate::ensemble) fn base(&self) -> Zxid {
        self.base
    }

    /// What it has behind one record that is in it, up to another that is.
    pub(in crate::ensemble) fn between(
        &self,
        after: Zxid,
        up_to: Zxid,
    ) -> Option<Vec<Arc<TxnRecord>>> {
        let place = |zxid| self.records.binary_search_by_key(&zxid, |record| record.header.zxid);
        // A snapshot may be named by the first zxid of an epoch, which no transaction has.
        let begins_behind = after == self.base || self.base.counter() == 0 && after < self.base;
        let from = if begins_behind { 0 } else { place(after).ok()? + 1 };
        let records = self.records.range(from..=place(up_to).ok()?);
        Some(records.cloned().collect())
    }

    /// Where it ends.
    pub(in crate::ensemble) fn last(&self) -> Zxid {
        self.records.back().map_or(self.base, |record| record.header.zxid)
    }

    /// Whether the record of this zxid is in it, or below it.
    pub(in crate::ensemble) fn has(&self, zxid: Zxid) -> bool {
        let found = self.records.binary_search_by_key(&zxid, |record| record.header.zxid);
        zxid <= self.base || found.is_ok()
    }

    /// The member shows that it has applied everything up to `zxid`. Gives what nobody had shown.
    pub(in crate::ensemble) fn shown(
        &mut self,
        member: usize,
        zxid: Zxid,
        truth: &Truth,
    ) -> Result<Vec<Arc<TxnRecord>>, Violation> {
        if self.records.get(self.compared).is_none_or(|next| next.header.zxid > zxid) {
            return Ok(Vec::new());
        }
        let mut place = self.place(member, truth)?;
        let mut news = Vec::new();
        while let Some(record) = self.records.get(self.compared) {
            if record.header.zxid > zxid {
                break;
            }
            match truth.record(place) {
                Some(expected) if expected == record => {}
                Some(expected) => {
                    let seen = format!(
                        "member {member} has applied {} where the others have {}: {record:?}, not \
                         {expected:?}",
                        record.header.zxid, expected.header.zxid
                    );
                    return Err(Violation { promise: PROMISE, seen });
                }
                None => news.push(record.clone()),
            }
            place += 1;
            self.compared += 1;
        }
        Ok(news)
    }

    /// Which place in the history comes next.
    fn place(&self, member: usize, truth: &Truth) -> Result<usize, Violation> {
        let last = match self.compared.checked_sub(1) {
            Some(last) => self.records.get(last).map_or(self.base, |record| record.header.zxid),
            None => self.base,
        };
        let place = truth.place_behind(last);
        let before = place.checked_sub(1).and_then(|place| truth.record(place));
        let known = before.is_some_and(|record| record.header.zxid == last);
        // A snapshot may be named by the first zxid of an epoch, which no transaction has.
        if known || last.counter() == 0 {
            return Ok(place);
        }
        let seen = format!("member {member} has a snapshot of {last}, which was never committed");
        Err(Violation { promise: PROMISE, seen })
    }

    /// How many records a member has applied that it should have been asked for by now.
    pub(in crate::ensemble) fn complete(&self, member: usize, truth: &Truth) -> Checked {
        let last = truth.last();
        if self.last() < last {
            let seen = format!("member {member} ends at {}, the history at {last}", self.last());
            return violation(PROMISE, seen);
        }
        Ok(())
    }
}
