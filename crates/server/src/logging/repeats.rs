//! Limits how often one event is logged, where clients or a broken disk could repeat it for ever.
//!
//! What it keeps true: of the events of one key, the first few of each span of time are written; of
//! the others only their number is, once the span is over. Time is an argument.
//!
//! What it leaves to others: the events. Usually through `warn_limited!`:
//!
//! ```text
//! warn_limited!(self.repeats, "accept", error = %error, "cannot accept connections; ...");
//! ```

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many events of a key are written per span.
const FIRST: u64 = 5;
const SPAN: Duration = Duration::from_secs(60);

/// Counts events by key. A key stands for one place in the code, so the number of keys is bounded.
#[derive(Debug)]
pub struct RateLimit {
    first: u64,
    span: Duration,
    spans: Mutex<BTreeMap<&'static str, Span>>,
}

#[derive(Debug)]
struct Span {
    begun: Instant,
    count: u64,
}

/// What to do with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Write,
    /// Write, and say that so many were dropped before it.
    WriteAfter {
        dropped: u64,
    },
    Drop,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(FIRST, SPAN)
    }
}

impl RateLimit {
    /// The first `first` events of a key are written in each `span`.
    #[must_use]
    pub const fn new(first: u64, span: Duration) -> Self {
        Self { first, span, spans: Mutex::new(BTreeMap::new()) }
    }

    /// Counts an event and says whether to write it.
    pub fn turn(&self, key: &'static str, now: Instant) -> Turn {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let span = spans.entry(key).or_insert(Span { begun: now, count: 0 });
        if now.saturating_duration_since(span.begun) < self.span {
            span.count += 1;
            return if span.count <= self.first { Turn::Write } else { Turn::Drop };
        }
        let dropped = span.count.saturating_sub(self.first);
        *span = Span { begun: now, count: 1 };
        if dropped == 0 { Turn::Write } else { Turn::WriteAfter { dropped } }
    }

    /// The keys whose span is over, with how many of their events were dropped, each once. Called
    /// now and then, it reports repeats that have ended.
    pub fn ended(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        spans.retain(|&key, span| {
            let runs = now.saturating_duration_since(span.begun) < self.span;
            let dropped = span.count.saturating_sub(self.first);
            if !runs && dropped > 0 {
                ended.push((key, dropped));
            }
            runs
        });
        ended
    }

    /// Logs what `ended` reports.
    pub fn log_ended(&self, now: Instant) {
        for (key, dropped) in self.ended(now) {
            log_dropped(key, dropped);
        }
    }
}

/// The line that stands for events that were dropped.
pub fn log_dropped(key: &'static str, dropped: u64) {
    tracing::warn!(event = key, "repeated {dropped} times more; those were not logged");
}

/// `tracing::warn!` through a `RateLimit`: the limit, a key, and what `warn!` takes.
#[macro_export]
macro_rules! warn_limited {
    ($limit:expr, $key:literal, $($event:tt)+) => {
        match $limit.turn($key, ::std::time::Instant::now()) {
            $crate::logging::repeats::Turn::Drop => {}
            $crate::logging::repeats::Turn::Write => ::tracing::warn!($($event)+),
            $crate::logging::repeats::Turn::WriteAfter { dropped } => {
                $crate::logging::repeats::log_dropped($key, dropped);
                ::tracing::warn!($($event)+);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_written_and_the_rest_counted() {
        let limit = RateLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.turn("a", at(0)), Turn::Write);
        assert_eq!(limit.turn("a", at(1)), Turn::Write);
        assert_eq!(limit.turn("a", at(2)), Turn::Drop);
        assert_eq!(limit.turn("a", at(9)), Turn::Drop);
        assert_eq!(limit.turn("b", at(9)), Turn::Write);
        assert_eq!(limit.turn("a", at(10)), Turn::WriteAfter { dropped: 2 });
        assert_eq!(limit.turn("a", at(11)), Turn::Write);
        assert_eq!(limit.turn("a", at(12)), Turn::Drop);
        assert_eq!(limit.ended(at(15)), []);
        assert_eq!(limit.ended(at(20)), [("a", 1)]);
        assert_eq!(limit.ended(at(30)), []);
        assert_eq!(limit.turn("a", at(31)), Turn::Write);
    }

    #[test]
    fn a_span_without_drops_ends_in_silence() {
        let limit = RateLimit::new(1, Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(limit.turn("a", start), Turn::Write);
        assert_eq!(limit.turn("a", start + Duration::from_secs(1)), Turn::Write);
        assert_eq!(limit.ended(start + Duration::from_secs(2)), []);
    }

    #[test]
    fn the_macro_writes_what_warn_writes() {
        let limit = RateLimit::default();
        for port in 0..20 {
            warn_limited!(limit, "test", port, "a {}", "message");
        }
        assert_eq!(limit.turn("test", Instant::now()), Turn::Drop);
    }
}
