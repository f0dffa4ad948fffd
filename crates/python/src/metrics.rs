//! What a client counts: `Client.metrics`.
//!
//! The client crate calls a hook for each observation, in the connection's task. Here the hook adds
//! to numbers, and Python asks for them: the worker takes no lock of the interpreter, and a
//! request costs no call into it.
//!
//! What it keeps true: the numbers of one snapshot belong together; nobody holds their lock for
//! longer than an addition or a copy takes.

use bellwether_client::{ErrorCode, Fate, Observation, OpCode, RequestResult, SessionEvent};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::values::values;
use crate::worker::locked;

values! {
    in "bellwether";

    /// The requests of one kind since the client connected.
    OperationMetrics {
        /// How many were done.
        done: u64,
        /// How many the server refused.
        refused: u64,
        /// How many got no answer and certainly did not happen.
        unsent: u64,
        /// How many got no answer and may have happened: the connection was lost behind them.
        in_doubt: u64,
        /// How long all of these took together, in seconds, waiting for a connection included.
        seconds: f64,
    }

    /// What a client did since it connected. Numbers only grow: take the difference of two.
    Metrics {
        /// The requests by the protocol's name for their kind ("create2", "getData", "multi" …),
        /// those of recipes included. What the session sends on its own account (pings, watches
        /// that are set again) is in the bytes alone.
        operations: BTreeMap<String, OperationMetrics>,
        /// How many requests were refused with which code, by its name ("NONODE" …), or by its
        /// number if it has none.
        refusals: BTreeMap<String, u64>,
        /// How many bytes were handed to connections, TLS not counted.
        sent_bytes: u64,
        /// How many bytes of replies and events came.
        received_bytes: u64,
        /// How many watch events came.
        watch_events: u64,
        /// How often the session got a connection; 1 as long as none was lost.
        connections: u64,
        /// How often it lost one.
        disconnections: u64,
        /// How often a server could not be connected to.
        failed_attempts: u64,
    }
}

#[derive(Clone, Copy, Default)]
struct Requests {
    done: u64,
    refused: u64,
    unsent: u64,
    in_doubt: u64,
    took: Duration,
}

impl From<Requests> for OperationMetrics {
    fn from(requests: Requests) -> OperationMetrics {
        let Requests { done, refused, unsent, in_doubt, took } = requests;
        OperationMetrics { done, refused, unsent, in_doubt, seconds: took.as_secs_f64() }
    }
}

#[derive(Clone, Default)]
struct Numbers {
    requests: BTreeMap<OpCode, Requests>,
    refusals: BTreeMap<i32, u64>,
    sent_bytes: u64,
    received_bytes: u64,
    watch_events: u64,
    connections: u64,
    disconnections: u64,
    failed_attempts: u64,
}

/// What a client has counted so far.
#[derive(Default)]
pub(crate) struct Counters(Mutex<Numbers>);

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Counters {
    /// The hook.
    pub(crate) fn count(&self, observation: &Observation<'_>) {
        let numbers = &mut *locked(&self.0);
        match observation {
            Observation::Request { op, took, result } => {
                let requests = numbers.requests.entry(*op).or_default();
                requests.took = requests.took.saturating_add(*took);
                match result {
                    RequestResult::Done => requests.done += 1,
                    RequestResult::Refused(code) => {
                        requests.refused += 1;
                        *numbers.refusals.entry(*code).or_default() += 1;
                    }
                    RequestResult::Unanswered(Fate::DidNotHappen) => requests.unsent += 1,
                    RequestResult::Unanswered(Fate::MayHaveHappened) => requests.in_doubt += 1,
                }
            }
            Observation::Sent(bytes) => numbers.sent_bytes += count(*bytes),
            Observation::Received(bytes) => numbers.received_bytes += count(*bytes),
            Observation::WatchEvent => numbers.watch_events += 1,
            Observation::Session(SessionEvent::Connected { .. }) => numbers.connections += 1,
            Observation::Session(SessionEvent::Disconnected { .. }) => numbers.disconnections += 1,
            Observation::Session(SessionEvent::AttemptFailed { .. }) => {
                numbers.failed_attempts += 1;
            }
            // The client's state tells of it.
            Observation::Session(SessionEvent::Ended(_)) => {}
        }
    }

    /// The numbers at this moment.
    pub(crate) fn snapshot(&self) -> Metrics {
        let numbers = locked(&self.0).clone();
        let name = |code: i32| match ErrorCode::from_code(code) {
            Some(known) => known.name().to_owned(),
            None => code.to_string(),
        };
        let requests = numbers.requests.into_iter();
        Metrics {
            operations: requests.map(|(op, it)| (op.name().to_owned(), it.into())).collect(),
            refusals: numbers.refusals.into_iter().map(|(code, it)| (name(code), it)).collect(),
            sent_bytes: numbers.sent_bytes,
            received_bytes: numbers.received_bytes,
            watch_events: numbers.watch_events,
            connections: numbers.connections,
            disconnections: numbers.disconnections,
            failed_attempts: numbers.failed_attempts,
        }
    }
}
