//! What a member takes for the time: its clocks run faster or slower than the true one, began
//! somewhere else, and the one of the wall jumps.

use bellwether_tree::Now;

const WALL_START_MS: i64 = 1_600_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of a machine. They go on while no process runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What the monotonic clock showed when the run began.
    mono_start_us: u64,
    /// By how many millionths it is fast.
    drift_ppm: i32,
    /// How far the clock of the wall is off.
    wall_off_ms: i64,
}

impl Clock {
    pub(super) fn new(mono_start_ms: u64, drift_ppm: i32, wall_off_ms: i64) -> Clock {
        Clock { mono_start_us: mono_start_ms * 1000, drift_ppm, wall_off_ms }
    }

    /// What it shows at a true time.
    pub(super) fn now(&self, true_us: u64) -> Now {
        let passed_us = self.passed_us(true_us);
        let wall = WALL_START_MS + self.wall_off_ms;
        Now {
            mono_ms: (self.mono_start_us + passed_us) / 1000,
            wall_ms: wall + i64::try_from(passed_us / 1000).expect("a run is short"),
        }
    }

    /// The true time at which the monotonic clock will show this.
    pub(super) fn true_us_of(&self, mono_ms: u64) -> u64 {
        let passed_us = i128::from((mono_ms * 1000).saturating_sub(self.mono_start_us));
        let rate = MILLION + i128::from(self.drift_ppm);
        // Rounded up: not before it shows it.
        let true_us = (passed_us * MILLION + rate - 1) / rate;
        u64::try_from(true_us).expect("a run is short")
    }

    /// The clock of the wall jumps.
    pub(super) fn jump(&mut self, ms: i64) {
        self.wall_off_ms += ms;
    }

    fn passed_us(&self, true_us: u64) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        u64::try_from(i128::from(true_us) * rate / MILLION).expect("a run is short")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_the_clock_shows_it_and_not_before() {
        for drift_ppm in [-20_000, -3, 0, 7, 50_000] {
            let clock = Clock::new(1234, drift_ppm, 0);
            for mono_ms in [1234, 1235, 2000, 77_777] {
                let at_us = clock.true_us_of(mono_ms);
                assert_eq!(clock.now(at_us).mono_ms, mono_ms, "{drift_ppm}");
                assert!(at_us == 0 || clock.now(at_us - 1).mono_ms < mono_ms, "{drift_ppm}");
            }
        }
    }
}
