//! Looking for a server that writes, while one that only reads has the session.
//!
//! A server that has lost its ensemble goes on reading, and a client that allows that stays with
//! it. Every other server is asked in turn, over a connection of its own, whether it writes (the
//! word `isro`); as soon as one does, the session moves there.

use crate::hosts::Host;
use crate::limits::{SEEK_MS_FIRST, SEEK_MS_MAX, SEEK_PATIENCE_MS};
use crate::time::Millis;

/// What a server answered to `isro`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// `rw`.
    Yes,
    /// `ro`, something else, or nothing.
    No,
}

#[derive(Debug)]
pub(super) struct Seek {
    state: State,
    pause: Millis,
}

#[derive(Debug)]
enum State {
    /// Nobody is asked before this.
    Pausing { until: Millis },
    /// Somebody is being asked.
    Asking,
    /// This one writes. The session moves when nothing is on its way, or at the latest then.
    Found { server: Host, deadline: Millis },
}

impl Seek {
    pub(super) fn new(now: Millis) -> Seek {
        let pause = Millis(SEEK_MS_FIRST);
        Seek { state: State::Pausing { until: now.plus(pause) }, pause }
    }

    /// When it has something to do.
    pub(super) fn next_deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Pausing { until } => Some(*until),
            State::Asking => None,
            State::Found { deadline, .. } => Some(*deadline),
        }
    }

    /// Whether it is time to ask somebody.
    pub(super) fn asks(&mut self, now: Millis) -> bool {
        let due = matches!(self.state, State::Pausing { until } if until <= now);
        if due {
            self.state = State::Asking;
        }
        due
    }

    /// An answer.
    pub(super) fn on_answer(&mut self, now: Millis, server: Host, writes: Writes) {
        let State::Asking = self.state else { return };
        self.state = match writes {
            Writes::Yes => State::Found { server, deadline: now.plus(Millis(SEEK_PATIENCE_MS)) },
            Writes::No => {
                self.pause = Millis(self.pause.0.saturating_mul(2).min(SEEK_MS_MAX));
                State::Pausing { until: now.plus(self.pause) }
            }
        };
    }

    /// Where to move at this moment, if anywhere.
    pub(super) fn target(&self, now: Millis, idle: bool) -> Option<&Host> {
        match &self.state {
            State::Found { server, deadline } if idle || *deadline <= now => Some(server),
            State::Found { .. } | State::Pausing { .. } | State::Asking => None,
        }
    }
}
