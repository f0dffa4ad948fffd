//! Both clocks, read together. Nothing else in the server asks for the time of the core.

use bellwether_tree::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a wall clock shows that stands still.
const HELD_WALL_MS: i64 = 1_700_000_000_000;

/// The clocks of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// The wall clock as it was last read, milliseconds since 1970.
    wall_ms: i64,
    /// The moment at which a test has stopped both clocks.
    held: Option<Instant>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now(), wall_ms: wall_ms(), held: None }
    }

    /// Clocks that stand still.
    pub(crate) fn held() -> Clock {
        let start = Instant::now();
        Clock { start, wall_ms: HELD_WALL_MS, held: Some(start) }
    }

    /// Reads the wall clock. Its milliseconds are for stamps only, so once a round is enough.
    pub(crate) fn read_wall(&mut self) {
        if self.held.is_none() {
            self.wall_ms = wall_ms();
        }
    }

    /// This moment.
    pub(crate) fn moment(&self) -> Instant {
        self.held.unwrap_or_else(Instant::now)
    }

    /// The time at this moment.
    pub(crate) fn now(&self) -> Now {
        self.at(self.moment())
    }

    /// The time at `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Now {
        let mono = instant.saturating_duration_since(self.start).as_millis();
        Now { mono_ms: u64::try_from(mono).unwrap_or(u64::MAX), wall_ms: self.wall_ms }
    }

    /// The instant of a monotonic time.
    pub(crate) fn instant(&self, mono_ms: u64) -> Instant {
        self.start + std::time::Duration::from_millis(mono_ms)
    }
}

/// Milliseconds since 1970; 0 for a clock that is set before it.
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
