//! `largeRequestThreshold`, `largeRequestMaxBytes`: how many bytes of large requests may be in
//! flight.
//!
//! What it keeps true: a large request counts from the moment it is handed in until it has its
//! reply, or its connection is gone.
//!
//! What it leaves to others: closing the connections of those that do not fit (`run`), and telling
//! how many requests of a connection wait (`node`).

use bellwether_node::ConnId;
use std::collections::{BTreeMap, VecDeque};

/// The settings, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeRequestSettings {
    /// A request of more bytes is large.
    pub threshold_bytes: u64,
    /// How many bytes of them may be in flight.
    pub in_flight_bytes_max: u64,
}

/// What is in flight.
///
/// Invariant: `in_flight_bytes` is the sum of all entries of `of_connection`.
#[derive(Debug, Default)]
pub(crate) struct LargeRequests {
    settings: Option<LargeRequestSettings>,
    in_flight_bytes: u64,
    /// Per connection, which of its requests were large, and how large.
    of_connection: BTreeMap<ConnId, VecDeque<(u64, u64)>>,
}

impl LargeRequests {
    pub(crate) fn new(settings: Option<LargeRequestSettings>) -> LargeRequests {
        LargeRequests { settings, ..LargeRequests::default() }
    }

    /// Whether a request of this size is large.
    pub(crate) fn is_large(&self, bytes: u64) -> bool {
        self.settings.is_some_and(|settings| bytes > settings.threshold_bytes)
    }

    /// Whether a large request of this size fits, once those that `answered` says are done are let
    /// go: it tells how many requests of a connection have their replies.
    pub(crate) fn has_room(&mut self, bytes: u64, answered: impl Fn(ConnId) -> u64) -> bool {
        let Some(settings) = self.settings else { return true };
        let in_flight_bytes = &mut self.in_flight_bytes;
        self.of_connection.retain(|conn, requests| {
            let answered = answered(*conn);
            while let Some((number, bytes)) = requests.front().copied()
                && number <= answered
            {
                *in_flight_bytes -= bytes;
                requests.pop_front();
            }
            !requests.is_empty()
        });
        self.in_flight_bytes.saturating_add(bytes) <= settings.in_flight_bytes_max
    }

    /// The connection's request of this number, counted from 1, is in flight.
    pub(crate) fn hand_in(&mut self, conn: ConnId, number: u64, bytes: u64) {
        self.in_flight_bytes += bytes;
        self.of_connection.entry(conn).or_default().push_back((number, bytes));
    }

    /// A connection is gone.
    pub(crate) fn leave(&mut self, conn: ConnId) {
        for (_, bytes) in self.of_connection.remove(&conn).into_iter().flatten() {
            self.in_flight_bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited() -> LargeRequests {
        let settings = LargeRequestSettings { threshold_bytes: 10, in_flight_bytes_max: 100 };
        LargeRequests::new(Some(settings))
    }

    #[test]
    fn a_request_is_large_above_the_threshold() {
        assert!(!limited().is_large(10) && limited().is_large(11));
        assert!(!LargeRequests::new(None).is_large(u64::MAX));
    }

    #[test]
    fn bytes_are_free_again_once_their_request_is_answered() {
        let mut large = limited();
        let (a, b) = (ConnId(1), ConnId(2));
        assert!(large.has_room(100, |_| 0) && !large.has_room(101, |_| 0));
        large.hand_in(a, 1, 60);
        large.hand_in(a, 3, 30);
        assert!(large.has_room(10, |_| 0) && !large.has_room(11, |_| 0));
        assert!(!large.has_room(11, |conn| if conn == b { 9 } else { 0 }));
        assert!(large.has_room(70, |_| 2) && !large.has_room(71, |_| 2), "the third is not done");
        large.hand_in(b, 1, 70);
        assert!(!large.has_room(1, |_| 0));
        large.leave(b);
        assert!(large.has_room(70, |_| 0));
        assert!(large.has_room(100, |_| 3));
    }
}
