//! Averages as text.
//!
//! What it keeps true: the number is the one that Java prints, four digits after the point at most
//! and one at least, rounded half up. It is always written plainly: below a thousandth Java changes
//! to `5.0E-4`, which the pattern of go-zookeeper does not take for a number.

use std::fmt;

/// A quotient, rounded to ten-thousandths.
pub(super) struct Average {
    ten_thousandths: u128,
}

impl Average {
    /// `sum / count`, and 0 of nothing.
    pub(super) fn of(sum: u64, count: u64) -> Average {
        let (sum, count) = (u128::from(sum), u128::from(count));
        let ten_thousandths = (sum * 20_000 + count).checked_div(2 * count).unwrap_or(0);
        Average { ten_thousandths }
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:04}", self.ten_thousandths % 10_000);
        let fraction = fraction.trim_end_matches('0');
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        write!(f, "{}.{fraction}", self.ten_thousandths / 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_has_one_to_four_digits_after_the_point() {
        for (sum, count, expected) in [
            (0, 0, "0.0"),
            (0, 7, "0.0"),
            (8, 1, "8.0"),
            (1, 3, "0.3333"),
            (2, 3, "0.6667"),
            (5, 2, "2.5"),
            (1, 20_000, "0.0001"),
            (1, 20_001, "0.0"),
            (u64::MAX, 1, "18446744073709551615.0"),
        ] {
            assert_eq!(Average::of(sum, count).to_string(), expected, "{sum}/{count}");
        }
    }
}
