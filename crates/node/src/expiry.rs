//! When sessions expire: deadlines rounded up to the tick, as Apache's `ExpiryQueue` rounds them.
//!
//! Time is monotonic. A session that is closing has no deadline any more.

use bellwether_wire::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The deadlines of all live sessions.
///
/// Invariant: `deadlines` and `buckets` say the same; no bucket is empty.
#[derive(Debug)]
pub(crate) struct Expiry {
    tick_ms: u64,
    deadlines: BTreeMap<SessionId, u64>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
}

impl Expiry {
    pub(crate) fn new(tick_ms: u64) -> Expiry {
        Expiry { tick_ms, deadlines: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// The deadline that a sign of life at `now_ms` gives.
    pub(crate) fn deadline(&self, now_ms: u64, timeout_ms: i32) -> u64 {
        let end = now_ms + u64::try_from(timeout_ms).unwrap_or(0);
        (end / self.tick_ms + 1) * self.tick_ms
    }

    /// A session begins or shows a sign of life. Its deadline moves back when it came back with a
    /// shorter timeout.
    pub(crate) fn touch(&mut self, session: SessionId, now_ms: u64, timeout_ms: i32) {
        let deadline = self.deadline(now_ms, timeout_ms);
        let former = self.deadlines.get(&session).copied();
        if former == Some(deadline) {
            return;
        }
        if let Some(former) = former {
            self.leave_bucket(session, former);
        }
        self.deadlines.insert(session, deadline);
        self.buckets.entry(deadline).or_default().insert(session);
    }

    /// A session closes, or is about to.
    pub(crate) fn remove(&mut self, session: SessionId) {
        if let Some(deadline) = self.deadlines.remove(&session) {
            self.leave_bucket(session, deadline);
        }
    }

    /// Whether the session is alive: known and not closing.
    pub(crate) fn is_live(&self, session: SessionId) -> bool {
        self.deadlines.contains_key(&session)
    }

    /// When a session expires if nothing is heard of it; `None` if it is not alive.
    pub(crate) fn deadline_of(&self, session: SessionId) -> Option<u64> {
        self.deadlines.get(&session).copied()
    }

    /// How many deadlines there are.
    pub(crate) fn buckets_count(&self) -> usize {
        self.buckets.len()
    }

    /// The first deadline after `after`, and how many sessions have it.
    pub(crate) fn next_bucket(&self, after: Option<u64>) -> Option<(u64, usize)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (deadline, bucket) = self.buckets.range((after, Bound::Unbounded)).next()?;
        Some((*deadline, bucket.len()))
    }

    /// The first session after `after` that has this deadline.
    pub(crate) fn next_in_bucket(
        &self,
        deadline: u64,
        after: Option<SessionId>,
    ) -> Option<SessionId> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.buckets.get(&deadline)?.range((after, Bound::Unbounded)).next().copied()
    }

    /// Takes a session whose deadline has passed.
    pub(crate) fn pop_expired(&mut self, now_ms: u64) -> Option<SessionId> {
        let (deadline, bucket) = self.buckets.first_key_value()?;
        if *deadline > now_ms {
            return None;
        }
        let session = *bucket.first()?;
        self.remove(session);
        Some(session)
    }

    /// When the next session expires, if nothing else happens.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    fn leave_bucket(&mut self, session: SessionId, deadline: u64) {
        let bucket = self.buckets.get_mut(&deadline).expect("every deadline has its bucket");
        bucket.remove(&session);
        if bucket.is_empty() {
            self.buckets.remove(&deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_to_the_next_tick() {
        let expiry = Expiry::new(2000);
        assert_eq!(expiry.deadline(1, 4000), 6000);
        assert_eq!(expiry.deadline(2000, 4000), 8000);
    }

    #[test]
    fn a_touch_moves_the_deadline() {
        let mut expiry = Expiry::new(1000);
        let session = SessionId(1);
        expiry.touch(session, 0, 5000);
        expiry.touch(session, 3000, 5000);
        assert_eq!(expiry.next_deadline(), Some(9000));
        expiry.touch(session, 3000, 1000);
        assert_eq!(expiry.pop_expired(4999), None);
        assert_eq!(expiry.pop_expired(5000), Some(session));
        assert!(!expiry.is_live(session));
        assert_eq!(expiry.next_deadline(), None);
    }
}
