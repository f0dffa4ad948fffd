//! The small language of workloads and of what goes wrong: a line is a name and its values.

use crate::disk::Chance;

/// A file that means nothing, and where.
pub(super) fn problem(file: &str, line: usize, what: &str) -> String {
    format!("{file}, line {line}: {what}")
}

/// From so much to so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Span {
    pub(super) fn draw(self, chance: &mut Chance) -> u64 {
        self.min + chance.below(self.max - self.min + 1)
    }

    /// `3` or `3..8`.
    pub(super) fn of_numbers(text: &str) -> Result<Span, String> {
        Span::of(text, |text| text.parse().map_err(|_wrong| format!("{text:?} is no number")))
    }

    /// `20us`, `5ms` or `2s..8s`, as microseconds.
    pub(super) fn of_times(text: &str) -> Result<Span, String> {
        Span::of(text, time_us)
    }

    fn of(text: &str, one: impl Fn(&str) -> Result<u64, String>) -> Result<Span, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let span = Span { min: one(min)?, max: one(max)? };
        if span.min > span.max { Err(format!("{text:?} ends before it begins")) } else { Ok(span) }
    }
}

fn time_us(text: &str) -> Result<u64, String> {
    let units = [("us", 1), ("ms", 1000), ("s", 1_000_000)];
    for (unit, us) in units {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<u64>()
        {
            return Ok(number * us);
        }
    }
    Err(format!("{text:?} is no time: expected a number and us, ms or s"))
}

/// The lines of a file that say something, with their numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
