//! Until when a session lives for certain, as whoever stands on it may ask at any moment.
//!
//! The holder of a lock, or a leader, has to stop *before* its session can have expired at a
//! server. A server counts from the last thing that it heard; all that a client knows of that is
//! when it sent what was answered. So certainty is a moment of the monotonic clock, moved ahead by
//! answers and by nothing else: a process that was stopped for an hour finds, at its first look,
//! that the moment has passed.

use crate::Client;
use crate::session::Session;
use bellwether_wire::SessionId;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What the connection task writes and every clone of a client reads.
#[derive(Debug)]
pub(crate) struct Certainty {
    start: Instant,
    /// Milliseconds after `start`; 0 if the session is not certain.
    until_ms: AtomicU64,
    session: AtomicI64,
}

impl Certainty {
    pub(crate) fn new(start: Instant) -> Certainty {
        Certainty { start, until_ms: AtomicU64::new(0), session: AtomicI64::new(0) }
    }

    /// Takes over what the session knows. It comes before the answer that it follows from is handed
    /// on, so that whoever has the answer finds it here.
    pub(crate) fn follow(&self, session: &Session) {
        let until = session.certain_until().map_or(0, |until| until.0);
        self.until_ms.store(until, Ordering::Release);
        let id = session.id().unwrap_or(SessionId::NONE);
        self.session.store(id.0, Ordering::Release);
    }
}

impl Client {
    /// The moment until which the session lives for certain, whatever happens to the connection:
    /// two thirds of the session timeout after the last request that was answered had been sent.
    /// `None` before the first connection and after the session's end.
    ///
    /// It moves ahead with every answer; while nothing is asked, with the pings. The clock is the
    /// monotonic one, which goes on while the process is stopped.
    pub fn certain_until(&self) -> Option<Instant> {
        let certainty = &self.shared.certainty;
        match certainty.until_ms.load(Ordering::Acquire) {
            0 => None,
            until_ms => Some(certainty.start + Duration::from_millis(until_ms)),
        }
    }

    /// Whether the session lives for certain at this moment. If not, a server may have let it
    /// expire, and what it owned may be someone else's.
    pub fn is_certain(&self) -> bool {
        self.certain_until().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the session is not certain to live. That may pass, if a server is reached in
    /// time; whoever did not act on it is then where they were.
    pub async fn doubt(&self) {
        let mut state = self.shared.state.clone();
        while let Some(until) = self.certain_until().filter(|until| Instant::now() < *until) {
            // An end moves the moment back; everything else moves it ahead.
            tokio::select! {
                biased;
                changed = state.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// The session's number, the last one that a server gave.
    pub fn session_id(&self) -> SessionId {
        SessionId(self.shared.certainty.session.load(Ordering::Acquire))
    }
}
