//! Measurements of one thing: how many, how large, and how they are spread.
//!
//! What it keeps true: recording costs a few additions and no allocation, and the memory is the
//! same after any number of measurements. Values below 64 are kept as they are, larger ones to
//! about three in a hundred, so that percentiles are those of everything measured and not of a
//! sample.

/// Measurements of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there were.
    pub count: u64,
    /// All together.
    pub sum: u64,
    /// The smallest; 0 of none.
    pub min: u64,
    /// The largest; 0 of none.
    pub max: u64,
}

impl Summary {
    /// Adds a measurement.
    pub fn record(&mut self, value: u64) {
        self.record_all(value, 1);
    }

    /// Adds a measurement that was made `count` times.
    pub fn record_all(&mut self, value: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += count;
        self.sum = self.sum.saturating_add(value.saturating_mul(count));
    }
}

/// Below this every value has a bucket of its own.
const EXACT: u64 = 64;
/// From there on each power of two has this many buckets.
const PER_POWER: u64 = 32;
const EXACT_BITS: u32 = EXACT.ilog2();
const POWER_BITS: u32 = PER_POWER.ilog2();
/// Values are not told apart from here on: 2^40 microseconds are twelve days.
const BITS_MAX: u32 = 40;
/// The buckets of all values below `1 << BITS_MAX`: 64 exact ones, and 32 for each of 34 powers.
const BUCKETS: usize = 64 + 34 * 32;

/// Measurements of one thing, and how they are spread.
#[derive(Clone, Debug)]
pub struct Histogram {
    summary: Summary,
    buckets: Box<[u64]>,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { summary: Summary::default(), buckets: vec![0; BUCKETS].into() }
    }
}

impl Histogram {
    /// Adds a measurement.
    pub fn record(&mut self, value: u64) {
        self.record_all(value, 1);
    }

    /// Adds a measurement that was made `count` times.
    pub fn record_all(&mut self, value: u64, count: u64) {
        self.summary.record_all(value, count);
        let bucket = self.buckets.get_mut(bucket(value)).expect("every value has a bucket");
        *bucket += count;
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.summary = Summary::default();
        self.buckets.fill(0);
    }

    /// All of them together.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The value that this many of a thousand measurements do not exceed; 0 of none.
    pub fn per_mille(&self, per_mille: u64) -> u64 {
        let rank = u128::from(self.summary.count) * u128::from(per_mille);
        let rank = u64::try_from(rank.div_ceil(1000)).unwrap_or(u64::MAX);
        let mut below = 0;
        for (at, count) in (0..).zip(&self.buckets) {
            below += count;
            if below >= rank && below > 0 {
                return largest(at).clamp(self.summary.min, self.summary.max);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    let value = value.min((1 << BITS_MAX) - 1);
    let bucket = if value < EXACT {
        value
    } else {
        let bits = value.ilog2();
        let within = (value >> (bits - POWER_BITS)) - PER_POWER;
        EXACT + u64::from(bits - EXACT_BITS) * PER_POWER + within
    };
    usize::try_from(bucket).expect("there are few buckets")
}

/// The largest value of a bucket.
fn largest(bucket: u64) -> u64 {
    let Some(above) = bucket.checked_sub(EXACT) else { return bucket };
    let (power, within) = (above / PER_POWER, above % PER_POWER);
    let width = 1 << (power + u64::from(EXACT_BITS - POWER_BITS));
    (PER_POWER + within + 1) * width - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_close_to_its_end() {
        let mut last = 0;
        for bits in 0..BITS_MAX {
            for value in [(1 << bits) - 1, 1 << bits, (1 << bits) + 1, (1 << bits) * 7 / 4] {
                let end = largest(u64::try_from(bucket(value)).expect("few"));
                assert!(end >= value, "{value} {end}");
                assert!(value < EXACT || end - value <= value / 32, "{value} {end}");
                if value < EXACT {
                    assert_eq!(end, value);
                }
            }
            let at = bucket(1 << bits);
            assert!(at > last || bits == 0, "{bits}");
            last = at;
        }
        assert_eq!((bucket((1 << BITS_MAX) - 1), bucket(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
    }

    #[test]
    fn percentiles_are_those_of_all_measurements() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.per_mille(500), histogram.per_mille(999)), (0, 0));
        (1..=1000).for_each(|value| histogram.record(value));
        for (per_mille, exact) in [(500, 500), (950, 950), (990, 990), (999, 999)] {
            let told = histogram.per_mille(per_mille);
            assert!((exact..=exact + exact / 32).contains(&told), "{exact}: {told}");
        }
        assert_eq!(histogram.per_mille(1000), 1000);
        let summary = Summary { count: 1000, sum: 500_500, min: 1, max: 1000 };
        assert_eq!(histogram.summary(), summary);
        histogram.reset();
        histogram.record_all(7, 3);
        assert_eq!((histogram.per_mille(1), histogram.per_mille(999)), (7, 7));
        assert_eq!(histogram.summary(), Summary { count: 3, sum: 21, min: 7, max: 7 });
    }
}
