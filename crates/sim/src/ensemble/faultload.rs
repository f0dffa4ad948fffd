//! What goes wrong in a run, as a file says it: which faults, how often, for how long.

use super::words::{Span, lines, problem};

/// Every faultload: its name and its text.
pub(super) const FILES: &[(&str, &str)] = &[
    ("calm", include_str!("../../faultloads/calm.txt")),
    ("crashes", include_str!("../../faultloads/crashes.txt")),
    ("power", include_str!("../../faultloads/power.txt")),
    ("partitions", include_str!("../../faultloads/partitions.txt")),
    ("leaders", include_str!("../../faultloads/leaders.txt")),
    ("pauses", include_str!("../../faultloads/pauses.txt")),
    ("wires", include_str!("../../faultloads/wires.txt")),
    ("disks", include_str!("../../faultloads/disks.txt")),
    ("clocks", include_str!("../../faultloads/clocks.txt")),
    ("elections", include_str!("../../faultloads/elections.txt")),
    ("everything", include_str!("../../faultloads/everything.txt")),
];

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// Something that goes wrong, and for most of them ends after a while.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            pub(super) fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            fn from_name(name: &str) -> Option<Fault> {
                match name { $($name => Some(Fault::$variant),)* _ => None }
            }
        }
    };
}

faults! {
    /// The members fall into two groups that do not hear each other.
    Partition "partition";
    /// One member is not heard by another, which it hears.
    OneWay "one-way";
    /// Nobody hears the leader, or it hears nobody, or both.
    IsolateLeader "isolate-leader";
    /// A process is killed and starts again.
    Crash "crash";
    CrashLeader "crash-leader";
    /// A machine loses its power: what was not synced is anybody's guess.
    PowerLoss "power-loss";
    /// All of them at once.
    PowerLossOfAll "power-loss-of-all";
    /// The power fails in the middle of what the disk does.
    PowerLossMidWrite "power-loss-mid-write";
    /// A process is stopped and goes on.
    Pause "pause";
    PauseLeader "pause-leader";
    /// A stream is cut behind any byte.
    Cut "cut";
    /// All streams of a member are slow.
    SlowLink "slow-link";
    /// The disk of a member answers to nothing.
    StallDisk "stall-disk";
    /// Writes and syncs of a member fail now and then.
    DiskErrors "disk-errors";
    FullDisk "full-disk";
    /// The wall clock of a member jumps.
    WallJump "wall-jump";
}

/// A line of a faultload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) every_us: Span,
    pub(super) fault: Fault,
    pub(super) for_us: Span,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(super) struct Faultload {
    pub(super) rows: Vec<Row>,
    /// How long bytes travel.
    pub(super) delay_us: Span,
    /// How long a sync takes.
    pub(super) sync_us: Span,
    /// By how many millionths clocks are fast or slow, at most.
    pub(super) drift_ppm: u64,
    /// How far clocks of the wall are off when the run begins, at most.
    pub(super) wall_off_ms: u64,
    /// Of how many syncs one is reported late: a cut of the log may be known of before it.
    pub(super) late_report_one_in: Option<u64>,
    /// Of how many records one is lost on its way to a learner, when another follows it at once.
    pub(super) lost_record_one_in: Option<u64>,
}

impl Faultload {
    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Result<Faultload, String>> {
        let (_, text) = FILES.iter().find(|(other, _)| *other == name)?;
        Some(Faultload::parse(name, text))
    }

    pub(super) fn parse(name: &str, text: &str) -> Result<Faultload, String> {
        let mut load = Faultload {
            rows: Vec::new(),
            delay_us: Span { min: 100, max: 1000 },
            sync_us: Span { min: 100, max: 2000 },
            drift_ppm: 100,
            wall_off_ms: 2000,
            late_report_one_in: None,
            lost_record_one_in: None,
        };
        for (number, line) in lines(text) {
            let file = || format!("faultloads/{name}.txt");
            load.line(line).map_err(|what| problem(&file(), number, &what))?;
        }
        Ok(load)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["delay", span] => self.delay_us = Span::of_times(span)?,
            ["sync", span] => self.sync_us = Span::of_times(span)?,
            ["drift-ppm", number] => self.drift_ppm = Span::of_numbers(number)?.max,
            ["wall-off-ms", number] => self.wall_off_ms = Span::of_numbers(number)?.max,
            ["late-report-one-in", number] => {
                self.late_report_one_in = Some(Span::of_numbers(number)?.max);
            }
            ["lost-record-one-in", number] => {
                self.lost_record_one_in = Some(Span::of_numbers(number)?.max);
            }
            ["every", every, fault] => self.rows.push(Row::new(every, fault, "0us")?),
            ["every", every, fault, "for", span] => self.rows.push(Row::new(every, fault, span)?),
            _ => {
                return Err("expected delay, sync, drift-ppm, wall-off-ms, \
                     late-report-one-in, lost-record-one-in or every TIME FAULT [for TIME]"
                    .into());
            }
        }
        Ok(())
    }
}

impl Row {
    fn new(every: &str, fault: &str, span: &str) -> Result<Row, String> {
        let known = Fault::from_name(fault).ok_or_else(|| format!("{fault:?} is no fault"))?;
        let (every_us, for_us) = (Span::of_times(every)?, Span::of_times(span)?);
        Ok(Row { every_us, fault: known, for_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_faultload_can_be_read() {
        for (name, _) in FILES {
            Faultload::named(name).unwrap().unwrap();
        }
    }

    #[test]
    fn a_line_that_means_nothing_is_named() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Faultload::parse("x", text).unwrap_err(), expected);
        };
        check("every 2s flood", "faultloads/x.txt, line 1: \"flood\" is no fault");
        check(
            "# good\nevery 2 crash",
            "faultloads/x.txt, line 2: \"2\" is no time: expected a number and us, ms or s",
        );
    }
}
