//! The fault plan: which calls on watched files are delayed, cut short or failed.
//!
//! A plan is a list of rules separated by `;` or line ends. A rule is a call and conditions:
//!
//! ```text
//! fdatasync delay_ms=200 every=50
//! write errno=ENOSPC after=1000 path=log.
//! sync errno=EIO after=20 once
//! write short every=7
//! ```
//!
//! `after=N` lets the first N matching calls pass, `every=N` takes every Nth of the rest,
//! `times=N` stops after N (`once` is `times=1`), `path=TEXT` asks that the path, which begins with
//! a slash that stands for the watched directory, contains TEXT.
//! A rule counts only the calls that match it, so a plan means the same in every run.

use std::fmt;
use std::time::Duration;

/// The calls that can be named in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Open,
    Write,
    Fsync,
    Fdatasync,
    Dirsync,
    Truncate,
    Allocate,
    Rename,
    Unlink,
    Link,
    Mkdir,
}

const CALLS: [(Call, &str); 11] = [
    (Call::Open, "open"),
    (Call::Write, "write"),
    (Call::Fsync, "fsync"),
    (Call::Fdatasync, "fdatasync"),
    (Call::Dirsync, "dirsync"),
    (Call::Truncate, "truncate"),
    (Call::Allocate, "allocate"),
    (Call::Rename, "rename"),
    (Call::Unlink, "unlink"),
    (Call::Link, "link"),
    (Call::Mkdir, "mkdir"),
];

const ERRNOS: [(i32, &str); 6] = [
    (libc::EIO, "EIO"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EDQUOT, "EDQUOT"),
    (libc::EROFS, "EROFS"),
    (libc::EMFILE, "EMFILE"),
    (libc::EINTR, "EINTR"),
];

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = CALLS.iter().find(|(call, _)| call == self).map_or("?", |(_, name)| name);
        f.write_str(name)
    }
}

/// The name of an error number, for the record of what was fired.
pub fn errno_name(errno: i32) -> &'static str {
    ERRNOS.iter().find(|(number, _)| *number == errno).map_or("?", |(_, name)| name)
}

#[derive(Debug, Clone)]
struct Rule {
    calls: Vec<Call>,
    path: Option<String>,
    after: u64,
    every: u64,
    times: Option<u64>,
    delay: Duration,
    errno: Option<i32>,
    short: bool,
    seen: u64,
    fired: u64,
}

/// What is to happen to one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub delay: Duration,
    pub errno: Option<i32>,
    pub short: bool,
}

/// All rules, with their counts.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    rules: Vec<Rule>,
}

/// A rule that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    pub rule: String,
    pub problem: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault rule `{}`: {}", self.rule, self.problem)
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let rules = text
            .split([';', '\n'])
            .map(str::trim)
            .filter(|rule| !rule.is_empty() && !rule.starts_with('#'))
            .map(|rule| {
                Rule::parse(rule).map_err(|problem| PlanError { rule: rule.to_owned(), problem })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Whether any rule names this call: when none does, its path need not be looked up.
    pub fn concerns(&self, call: Call) -> bool {
        self.rules.iter().any(|rule| rule.calls.contains(&call))
    }

    /// Counts the call and says what is to happen to it. Delays add up; the first error wins.
    pub fn decide(&mut self, call: Call, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            if rule.fires(call, path) {
                verdict.delay += rule.delay;
                verdict.errno = verdict.errno.or(rule.errno);
                verdict.short |= rule.short;
            }
        }
        verdict
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut rule = Self {
            calls: calls_named(words.next().unwrap_or_default())?,
            path: None,
            after: 0,
            every: 1,
            times: None,
            delay: Duration::ZERO,
            errno: None,
            short: false,
            seen: 0,
            fired: 0,
        };
        for word in words {
            rule.read_condition(word)?;
        }
        if rule.delay.is_zero() && rule.errno.is_none() && !rule.short {
            return Err("does nothing: give errno=, delay_ms= or short".to_owned());
        }
        Ok(rule)
    }

    fn read_condition(&mut self, word: &str) -> Result<(), String> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<u64>().map_err(|error| format!("`{word}`: {error}"));
        match key {
            "path" => self.path = Some(value.to_owned()),
            "after" => self.after = number()?,
            "every" => self.every = number()?.max(1),
            "times" => self.times = Some(number()?),
            "once" => self.times = Some(1),
            "delay_ms" => self.delay = Duration::from_millis(number()?),
            "short" => self.short = true,
            "errno" => {
                let known = ERRNOS.iter().find(|(_, name)| *name == value);
                let (errno, _) =
                    known.ok_or_else(|| format!("`{value}` is no error known here"))?;
                self.errno = Some(*errno);
            }
            _ => return Err(format!("`{word}` is no condition known here")),
        }
        Ok(())
    }

    fn fires(&mut self, call: Call, path: &str) -> bool {
        let matches = self.calls.contains(&call)
            && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()));
        if !matches {
            return false;
        }
        self.seen += 1;
        let due = self.seen > self.after
            && (self.seen - self.after).is_multiple_of(self.every)
            && self.times.is_none_or(|times| self.fired < times);
        self.fired += u64::from(due);
        due
    }
}

fn calls_named(name: &str) -> Result<Vec<Call>, String> {
    match name {
        "any" => Ok(CALLS.iter().map(|(call, _)| *call).collect()),
        "sync" => Ok(vec![Call::Fsync, Call::Fdatasync]),
        _ => CALLS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(call, _)| vec![*call])
            .ok_or_else(|| format!("`{name}` is no call known here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the calls 1 to `calls` a one-rule plan fails.
    fn check(plan: &str, calls: u64, failed: &[u64]) {
        let mut plan = Plan::parse(plan).expect("the plan is well formed");
        let fired: Vec<u64> = (1..=calls)
            .filter(|_| plan.decide(Call::Write, "/d/log.1").errno == Some(libc::EIO))
            .collect();
        assert_eq!(fired, failed);
    }

    #[test]
    fn conditions_select_calls_by_count() {
        check("write errno=EIO", 3, &[1, 2, 3]);
        check("write errno=EIO after=2", 4, &[3, 4]);
        check("write errno=EIO after=2 once", 4, &[3]);
        check("write errno=EIO every=2 times=2", 9, &[2, 4]);
        check("any errno=EIO path=log.", 1, &[1]);
        check("write errno=EIO path=snapshot.", 2, &[]);
        check("sync errno=EIO", 2, &[]);
        check("# a remark\n write errno=EIO once", 2, &[1]);
    }

    #[test]
    fn rules_combine() {
        let mut plan = Plan::parse("write delay_ms=2; any delay_ms=3; write short").expect("plan");
        let verdict = plan.decide(Call::Write, "/x");
        assert_eq!(verdict.delay, Duration::from_millis(5));
        assert!(verdict.short && verdict.errno.is_none());
        assert!(plan.concerns(Call::Mkdir));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (plan, problem) in [
            ("wriet errno=EIO", "`wriet` is no call"),
            ("write errno=EWHAT", "`EWHAT` is no error"),
            ("write errno=EIO after=x", "`after=x`: invalid digit"),
            ("write errno=EIO soon", "`soon` is no condition"),
            ("write after=3", "does nothing"),
        ] {
            let error = Plan::parse(plan).expect_err(plan).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
