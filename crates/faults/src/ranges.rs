//! A set of byte ranges of one file: what was written since its last sync.
//!
//! Invariant: the spans are disjoint, non-empty, and no two of them touch.

use std::collections::BTreeMap;

/// Disjoint half-open spans, by their start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    end_by_start: BTreeMap<u64, u64>,
}

impl Ranges {
    /// The single span `start..end`, or nothing when it is empty.
    pub fn one(start: u64, end: u64) -> Self {
        let mut ranges = Self::default();
        ranges.insert(start, end);
        ranges
    }

    /// Adds `start..end`, merging it with every span that it overlaps or touches.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        let touched: Vec<(u64, u64)> = self
            .end_by_start
            .range(..=end)
            .rev()
            .map(|(&s, &e)| (s, e))
            .take_while(|&(_, e)| e >= start)
            .collect();
        for (s, e) in touched {
            self.end_by_start.remove(&s);
            start = start.min(s);
            end = end.max(e);
        }
        self.end_by_start.insert(start, end);
    }

    pub fn clear(&mut self) {
        self.end_by_start.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.end_by_start.is_empty()
    }

    /// The spans in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.end_by_start.iter().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inserted: &[(u64, u64)], expected: &[(u64, u64)]) {
        let mut ranges = Ranges::default();
        for &(start, end) in inserted {
            ranges.insert(start, end);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), expected, "inserting {inserted:?}");
    }

    #[test]
    fn spans_that_overlap_or_touch_become_one() {
        check(&[], &[]);
        check(&[(5, 5)], &[]);
        check(&[(0, 4), (4, 8)], &[(0, 8)]);
        check(&[(4, 8), (0, 4)], &[(0, 8)]);
        check(&[(0, 4), (5, 8)], &[(0, 4), (5, 8)]);
        check(&[(0, 2), (4, 6), (8, 10), (1, 9)], &[(0, 10)]);
        check(&[(0, 100), (10, 20)], &[(0, 100)]);
        check(&[(10, 20), (0, 100)], &[(0, 100)]);
    }
}
