//! Until when a session lives for certain, as whoever stands on it may ask at any moment.
//!
//! The holder of a lock, or a leader, has to stop *before* its session can have expired at a
//! server. The leader counts from the last thing that it heard; all that a client knows of that is
//! when it sent what a quorum agreed on. So certainty is a moment of the monotonic clock, moved
//! ahead by answers to writes and by nothing else: a process that was stopped for an hour finds, at
//! its first look, that the moment has passed.
//!
//! The clock is the process's own, and the leader's runs at another speed. Of the third of a
//! timeout that is left, a sixth of the timeout is for the time between two questions, and half a
//! tick for what a follower that dies had not told its leader. The rest is for the clocks: a tenth
//! with a timeout of five ticks, a sixteenth with one of four. In the simulator, clocks of clients
//! run within a hundredth, those of members within a five-hundredth.
//!
//! What a server answers by itself moves nothing. A follower that its leader does not hear answers
//! reads and pings for as long as `syncLimit` allows, while the leader lets its sessions expire. A
//! leader that was stopped for long answers `sync`, and takes sessions over, until it notices that
//! nobody follows it. Both were found in the simulator, with sessions of three ticks.

use crate::Client;
use crate::connection::Control;
use crate::error::Error;
use crate::session::{Session, confirmation};
use bellwether_wire::SessionId;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
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
    /// two thirds of the session timeout after the last write had been sent that was answered, the
    /// beginning of the session included. `None` before the first connection and after the end of
    /// the session.
    ///
    /// Reads and pings do not move it ahead; while somebody holds a [`Certain`], a write that
    /// changes nothing is sent where pings would be. The clock is the monotonic one, which goes on
    /// while the process is stopped.
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

    /// Keeps the session certain, as far as servers can be reached, until the value is dropped. It
    /// costs a write per sixth of the session timeout (a multi of one check: a record in the log,
    /// no change of the tree), however many hold one.
    pub fn keep_certain(&self) -> Certain {
        // If the connection task has ended, so has the session.
        self.shared.control.send(Control::Keep).ok();
        Certain { control: self.shared.control.clone() }
    }

    /// Asks a quorum whether the session lives, so that it is certain.
    pub async fn confirm(&self) -> Result<(), Error> {
        loop {
            match self.call("", &confirmation(), None).await {
                Err(Error::ConnectionLost) => {}
                known => return known.map(drop),
            }
        }
    }

    /// Waits until the session is not certain to live. That may pass, if a server is reached in
    /// time; whoever did not act on it is then where they were.
    pub async fn doubt(&self) {
        let _kept = self.keep_certain();
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

/// Keeps a session certain. See [`Client::keep_certain`].
#[derive(Debug)]
#[must_use = "dropping it ends what it is for"]
pub struct Certain {
    control: mpsc::UnboundedSender<Control>,
}

impl Drop for Certain {
    fn drop(&mut self) {
        // If the connection task has ended, so has the session.
        self.control.send(Control::NeedNotKeep).ok();
    }
}
