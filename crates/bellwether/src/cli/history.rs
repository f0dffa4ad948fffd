//! The lines of this run by their numbers, for `history` and `redo`.

use std::collections::VecDeque;

/// How many lines are kept. A script may have any number.
const LINES_MAX: usize = 1000;

/// Numbered lines; the newest is the one that runs.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    /// The number of the first line that is kept.
    first: usize,
}

impl History {
    pub(super) fn add(&mut self, line: &str) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.first += 1;
        }
        self.lines.push_back(line.to_owned());
    }

    /// The number that the next line will have.
    pub(super) fn next(&self) -> usize {
        self.first + self.lines.len()
    }

    /// The number of the line that runs.
    pub(super) fn current(&self) -> usize {
        self.next().saturating_sub(1)
    }

    pub(super) fn get(&self, number: usize) -> Option<String> {
        self.lines.get(number.checked_sub(self.first)?).cloned()
    }

    /// The line that runs was a wish for another one.
    pub(super) fn replace_current(&mut self, line: String) {
        if let Some(current) = self.lines.back_mut() {
            *current = line;
        }
    }

    /// The last lines with their numbers, the oldest first.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = (usize, &str)> {
        let skipped = self.lines.len().saturating_sub(count);
        let lines = self.lines.iter().enumerate().skip(skipped);
        lines.map(|(place, line)| (self.first + place, line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_when_old_lines_go() {
        let mut history = History::default();
        assert_eq!((history.current(), history.get(0)), (0, None));
        for number in 0..LINES_MAX + 5 {
            history.add(&format!("line {number}"));
        }
        assert_eq!(history.get(4), None);
        assert_eq!(history.get(5).as_deref(), Some("line 5"));
        assert_eq!(history.current(), LINES_MAX + 4);
        history.replace_current("other".to_owned());
        let last: Vec<_> = history.last(2).collect();
        assert_eq!(last, [(LINES_MAX + 3, "line 1003"), (LINES_MAX + 4, "other")]);
    }
}
