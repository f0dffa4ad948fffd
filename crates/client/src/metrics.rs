//! What a client does, for whoever counts it.
//!
//! It leaves the counting to the program: a hook is called for each observation, in the
//! connection's task, and must not wait.

use crate::{Fate, OpCode, SessionEvent};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that a client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation<'a> {
    /// A request was answered, or will not be.
    Request {
        /// Which operation.
        op: OpCode,
        /// The time since the connection's task took it, waiting for a connection included.
        took: Duration,
        /// What became of it.
        result: RequestResult,
    },
    /// So many bytes were handed to a connection.
    Sent(usize),
    /// So many bytes of whole replies and notifications came.
    Received(usize),
    /// A watch event came from the server.
    WatchEvent,
    /// Something about the session changed.
    Session(&'a SessionEvent),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestResult {
    /// It was done.
    Done,
    /// The server refused it, with this code of the protocol.
    Refused(i32),
    /// There was no answer.
    Unanswered(Fate),
}

/// A hook for observations.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&Observation<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    pub(crate) fn new(hook: impl Fn(&Observation<'_>) + Send + Sync + 'static) -> Observer {
        Observer(Arc::new(hook))
    }

    pub(crate) fn observe(&self, observation: &Observation<'_>) {
        (self.0)(observation);
    }
}
