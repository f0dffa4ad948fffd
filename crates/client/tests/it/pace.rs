//! How fast the clock of a client's machine runs. Members have clocks of their own, which
//! `drift-ppm` in their faults says; nobody's is the stage's.
//!
//! What it keeps true: clocks show whole milliseconds, and never more than have passed at their
//! pace.

use bellwether_sim::disk::Chance;
use std::ops::RangeInclusive;

const MILLION: u128 = 1_000_000;

/// What clocks of client machines do unless a test says otherwise: within a hundredth. That is
/// twenty times what NTP turns a clock by, and a hundred times what a bad quartz is off.
pub(crate) const DRIFTING: Paces = Paces { ppm_min: -10_000, ppm_max: 10_000 };

/// By how many millionths a clock is fast: below 0, slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace(i32);

/// The paces among which chance draws that of each machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paces {
    ppm_min: i32,
    ppm_max: i32,
}

impl Paces {
    pub(crate) fn of(ppm: RangeInclusive<i32>) -> Paces {
        let (ppm_min, ppm_max) = ppm.into_inner();
        assert!(-1_000_000 < ppm_min && ppm_min <= ppm_max, "no clock stands still");
        Paces { ppm_min, ppm_max }
    }

    pub(crate) fn draw(self, chance: &mut Chance) -> Pace {
        let width = u64::from(self.ppm_max.abs_diff(self.ppm_min));
        let above = i32::try_from(chance.below(width + 1)).unwrap();
        Pace(self.ppm_min + above)
    }
}

impl Pace {
    /// What the clock shows when so much time has passed.
    pub(crate) fn shown_ms(self, true_ms: u64) -> u64 {
        whole(u128::from(true_ms) * self.rate() / MILLION)
    }

    /// The first millisecond at which the clock shows this.
    pub(crate) fn true_ms(self, shown_ms: u64) -> u64 {
        whole((u128::from(shown_ms) * MILLION).div_ceil(self.rate()))
    }

    /// The last millisecond that is not behind the moment at which the clock begins to show this.
    pub(crate) fn true_ms_before(self, shown_ms: u64) -> u64 {
        whole(u128::from(shown_ms) * MILLION / self.rate())
    }

    fn rate(self) -> u128 {
        MILLION.checked_add_signed(i128::from(self.0)).unwrap()
    }
}

fn whole(ms: u128) -> u64 {
    u64::try_from(ms).unwrap()
}

#[test]
fn a_clock_shows_a_time_when_it_has_come_and_not_before() {
    for ppm in [-500_000, -10_000, -3, 0, 7, 10_000, 250_000] {
        let pace = Pace(ppm);
        for shown_ms in [0, 1, 2, 99, 100, 77_777] {
            let at_ms = pace.true_ms(shown_ms);
            assert!(pace.shown_ms(at_ms) >= shown_ms, "{ppm}");
            assert!(at_ms == 0 || pace.shown_ms(at_ms - 1) < shown_ms, "{ppm}");
            assert!((at_ms.saturating_sub(1)..=at_ms).contains(&pace.true_ms_before(shown_ms)));
        }
        assert_eq!(pace.shown_ms(1_000_000), whole(pace.rate()), "{ppm}");
    }
}
