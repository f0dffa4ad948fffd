//! What a person and CI read: one line per check, and the counts in the last line.
//!
//! Keeps true: the last line is `N passed, N failed` and nothing else, the counts are those of the
//! tests that ran and not of the programs that ran them, and a check that ran nothing has failed.
//! Leaves to the stages what is checked.

#![expect(clippy::print_stdout, reason = "standard output is what this module is for")]

use std::time::Instant;

/// How many of the last lines of a failed program are shown.
const TAIL_LINES: usize = 40;

/// What a check that did not fail counts for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    count: u64,
    note: String,
}

impl Passed {
    /// A check that is one check.
    pub(crate) fn one() -> Self {
        Self { count: 1, note: String::new() }
    }

    /// A check that is one check and has something to say.
    pub(crate) fn noting(note: impl Into<String>) -> Self {
        Self { count: 1, note: note.into() }
    }

    /// A check that stands for the tests of a program.
    pub(crate) fn many(count: u64, what: &str) -> Self {
        Self { count, note: format!("{count} {what}") }
    }

    /// The same with more to say.
    pub(crate) fn and(self, note: &str) -> Self {
        Self { note: format!("{}; {note}", self.note), ..self }
    }
}

/// Why a check failed, and how the tests behind it went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    passed: u64,
    failed: u64,
    why: String,
}

impl Failure {
    /// A program of several tests, some of which failed.
    pub(crate) fn many(passed: u64, failed: u64, why: impl Into<String>) -> Self {
        Self { passed, failed: failed.max(1), why: why.into() }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { passed: 0, failed: 1, why }
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Self {
        Self::from(why.to_owned())
    }
}

/// The counts of one run of `cargo xtask`.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: u64,
    failed: u64,
}

impl Report {
    /// Runs one check, prints its line, and says whether it passed.
    pub(crate) fn check(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Result<Passed, Failure>,
    ) -> bool {
        let start = Instant::now();
        let result = run();
        let line = self.count(name, result);
        let (first, rest) = line.split_once('\n').unwrap_or((&line, ""));
        println!("{first} ({:.1} s)", start.elapsed().as_secs_f64());
        if !rest.is_empty() {
            println!("{rest}");
        }
        first.starts_with("ok")
    }

    /// Says that a foreign test does not apply, and why; it counts neither way.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("skip {name}: {why}");
    }

    /// Prints the last line; true when nothing failed and something passed.
    pub(crate) fn finish(self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }

    fn count(&mut self, name: &str, result: Result<Passed, Failure>) -> String {
        match result {
            Ok(Passed { count: 0, .. }) => {
                self.failed += 1;
                format!("FAIL {name}: it ran nothing")
            }
            Ok(Passed { count, note }) => {
                self.passed += count;
                if note.is_empty() {
                    format!("ok   {name}")
                } else {
                    format!("ok   {name}: {note}")
                }
            }
            Err(Failure { passed, failed, why }) => {
                self.passed += passed;
                self.failed += failed;
                format!("FAIL {name}: {}", why.trim_end().replace('\n', "\n     "))
            }
        }
    }
}

/// Prints a line that belongs to no check.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The last lines of a program's output, for a failure's message.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown: Vec<&str> = lines.iter().rev().take(TAIL_LINES).rev().copied().collect();
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_tests_and_not_the_programs() {
        let mut report = Report::default();
        report.count("unit", Ok(Passed::many(12, "tests")));
        report.count("more", Err(Failure::many(3, 2, "two broke")));
        assert_eq!((report.passed, report.failed), (15, 2));
    }

    #[test]
    fn a_check_that_ran_nothing_fails() {
        let mut report = Report::default();
        assert_eq!(report.count("unit", Ok(Passed::many(0, "tests"))), "FAIL unit: it ran nothing");
        assert_eq!((report.passed, report.failed), (0, 1));
    }

    #[test]
    fn a_failure_always_counts() {
        let mut report = Report::default();
        report.count("link", Err(Failure::many(0, 0, "did not build")));
        report.count("fmt", Err("differs".into()));
        assert_eq!((report.passed, report.failed), (0, 2));
    }

    #[test]
    fn an_empty_run_does_not_pass() {
        assert!(!Report::default().finish());
    }

    #[test]
    fn shows_the_reason_and_then_the_tail() {
        let line = Report::default().count("build", Err("exit 1\nerror: x\nerror: y\n".into()));
        assert_eq!(line, "FAIL build: exit 1\n     error: x\n     error: y");
    }

    #[test]
    fn the_tail_keeps_the_end() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let kept = tail(&text);
        assert!(kept.starts_with("line 60\n") && kept.ends_with("line 99"), "{kept}");
        assert_eq!(tail("one\n"), "one");
    }
}
