//! The table of suites and rounds, and the loop over them.
//!
//! What it keeps true: a round is counted as passed only after the judge has seen all members well;
//! rounds of a suite share an ensemble and all that was ever acknowledged by it, and after a
//! failure the next one gets a new ensemble. Directories of failures are kept and named.
//!
//! What it leaves to others: what a round does (`faults`, `contact`).

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::client::create;
use crate::ensemble::{Ensemble, Ground};
use crate::judge::{History, judge};
use crate::load::{Load, ROOT};
use crate::member::{Kind, Part};
use crate::say;
use crate::settings::Settings;

mod contact;
mod faults;
mod words;

use Kind::{Apache, Bellwether};
use Part::{Observer, Participant};

/// Clients of a load.
const CLIENTS: usize = 6;
/// Writes before something happens, and after it is over.
const ENOUGH: u64 = 200;

const OURS: (Kind, Part) = (Bellwether, Participant);
const THEIRS: (Kind, Part) = (Apache, Participant);

/// Short ticks, so that what is dropped is dropped within seconds; small files, so that a round has
/// many logs and snapshots, and a log can be searched. `preAllocSize` is more than any record of a
/// mixed ensemble: Apache damages its log by a padding that is less (`docs/decisions`, ensembles).
const QUICK: &str = "tickTime=500\ninitLimit=20\nsyncLimit=5\npreAllocSize=256\nsnapCount=2000\n";
/// Nobody is dropped for silence.
const PATIENT: &str = "tickTime=500\ninitLimit=120\nsyncLimit=120\n";
/// A configuration as people copy it from articles.
const BOOK: &str = "tickTime=2000\ninitLimit=5\nsyncLimit=2\n";

/// Rounds on one ensemble.
struct Suite {
    name: &'static str,
    members: &'static [(Kind, Part)],
    lines: &'static str,
    /// Names instead of addresses, and no address to listen on.
    by_name: bool,
    rounds: &'static [Round],
}

struct Round {
    name: &'static str,
    needs: Needs,
    run: fn(&mut Stand) -> Result<(), String>,
}

/// What a round cannot be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Members of ours, who alone promise it.
    Ours,
    /// Members whose disk can be made to fail: ours, with the library of `crates/faults`.
    BadDisks,
}

const fn round(name: &'static str, run: fn(&mut Stand) -> Result<(), String>) -> Round {
    Round { name, needs: Needs::Nothing, run }
}

const fn own_round(name: &'static str, run: fn(&mut Stand) -> Result<(), String>) -> Round {
    Round { name, needs: Needs::Ours, run }
}

const fn disk_round(name: &'static str, run: fn(&mut Stand) -> Result<(), String>) -> Round {
    Round { name, needs: Needs::BadDisks, run }
}

#[rustfmt::skip]
const SUITES: &[Suite] = &[
    Suite { name: "three", members: &[OURS; 3], lines: QUICK, by_name: false, rounds: &[
        round("writes", faults::writes),
        round("follower-killed", faults::follower_killed),
        round("leader-killed", faults::leader_killed),
        round("follower-paused", faults::follower_paused),
        round("follower-paused-briefly", faults::follower_paused_briefly),
        round("leader-paused", faults::leader_paused),
        round("all-killed", faults::all_killed),
        round("each-restarted", faults::each_restarted),
        round("follower-from-nothing", faults::follower_from_nothing),
        round("behind-in-memory", faults::behind_in_memory),
        round("behind-in-log", faults::behind_in_log),
        round("behind-far", faults::behind_far),
        round("uncommitted-suffix", faults::uncommitted_suffix),
        round("follower-cut-off", faults::follower_cut_off),
        round("leader-cut-off", faults::leader_cut_off),
        round("follower-mute", faults::follower_mute),
        round("leader-mute", faults::leader_mute),
        round("all-cut-off", faults::all_cut_off),
        disk_round("slow-disk-of-follower", faults::slow_disk_of_follower),
        disk_round("slow-disk-of-leader", faults::slow_disk_of_leader),
        disk_round("failing-disk-of-follower", faults::failing_disk_of_follower),
        disk_round("failing-disk-of-leader", faults::failing_disk_of_leader),
        disk_round("full-disk", faults::full_disk),
    ] },
    Suite { name: "five", members: &[OURS; 5], lines: QUICK, by_name: false, rounds: &[
        round("two-followers-killed", faults::two_followers_killed),
        round("leader-and-follower-killed", faults::leader_and_follower_killed),
        round("leader-killed-twice", faults::leader_killed_twice),
        round("all-killed", faults::all_killed),
        round("two-paused", faults::two_paused),
        round("leader-in-the-minority", faults::leader_in_the_minority),
    ] },
    Suite { name: "book", members: &[OURS; 3], lines: BOOK, by_name: true, rounds: &[
        round("each-killed", faults::each_killed),
    ] },
    Suite { name: "patient", members: &[OURS; 3], lines: PATIENT, by_name: false, rounds: &[
        own_round("follower-stalled", faults::follower_stalled),
    ] },
    Suite { name: "contact", members: &[OURS, THEIRS, THEIRS], lines: QUICK, by_name: false, rounds: &[
        round("writes-under-apache", contact::writes_under_theirs),
        round("ours-follows-by-diff", contact::ours_follows_by_diff),
        round("ours-follows-by-log", contact::ours_follows_by_log),
        round("ours-follows-by-trunc", contact::ours_follows_by_trunc),
        round("ours-follows-by-snap", contact::ours_follows_by_snap),
        round("apache-leader-killed", contact::their_leader_killed),
        round("writes-under-ours", contact::writes_under_ours),
        round("apache-follows-by-diff", contact::theirs_follows_by_diff),
        round("apache-follows-by-log", contact::theirs_follows_by_log),
        round("apache-follows-by-trunc", contact::theirs_follows_by_trunc),
        round("apache-follows-by-snap", contact::theirs_follows_by_snap),
        round("our-leader-killed", contact::our_leader_killed),
        round("all-killed", faults::all_killed),
    ] },
    Suite { name: "contact-observer", members: &[THEIRS, THEIRS, (Bellwether, Observer)], lines: QUICK, by_name: false, rounds: &[
        round("writes", faults::writes),
        round("observer-killed", contact::observer_killed),
        round("observer-by-diff", contact::observer_by_diff),
        round("observer-by-snap", contact::observer_by_snap),
        round("leader-killed", faults::leader_killed),
    ] },
    Suite { name: "words", members: &[OURS, THEIRS, THEIRS, (Bellwether, Observer), (Apache, Observer)], lines: QUICK, by_name: false, rounds: &[
        own_round("members-say-what-apaches-say", words::members_say_what_apaches_say),
    ] },
    Suite { name: "contact-majority", members: &[OURS, THEIRS, OURS], lines: QUICK, by_name: false, rounds: &[
        round("leader-killed", faults::leader_killed),
        round("all-killed", faults::all_killed),
        round("each-restarted", faults::each_restarted),
    ] },
];

/// An ensemble, and what its clients were told.
struct Stand {
    ensemble: Ensemble,
    /// The members that are ours, whoever plays them.
    ours: Vec<u8>,
    history: History,
    loads: u64,
    home: PathBuf,
}

impl Stand {
    fn new(settings: &Settings, suite: &Suite, number: u64) -> Result<Stand, String> {
        let home = settings.work.join(format!("{}-{number}", suite.name));
        // An earlier run that failed may have kept a directory of this name.
        match fs::remove_dir_all(&home) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("cannot remove {}: {error}", home.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let played = |kind: Kind| match kind {
            Apache => Apache,
            Bellwether => settings.subject,
        };
        let members: Vec<(Kind, Part)> =
            suite.members.iter().map(|(kind, part)| (played(*kind), *part)).collect();
        let ours = (1..).zip(suite.members).filter(|(_, (kind, _))| *kind == Bellwether);
        let ours = ours.map(|(sid, _)| sid).collect();
        let form = (members.as_slice(), suite.lines, suite.by_name);
        let ensemble = Ensemble::new(settings, form, Ground::Namespaces, &home)?;
        let mut stand = Stand { ensemble, ours, history: History::default(), loads: 0, home };
        stand.ensemble.start_all().map_err(|why| stand.ensemble.explain(&why))?;
        let first = *stand.ensemble.sids().first().ok_or("a suite without members")?;
        let mut connection = stand.ensemble.connection(first)?;
        connection.expect(&create(ROOT, b""))?;
        connection.close();
        Ok(stand)
    }

    /// Those that are Apache's in every case.
    fn theirs(&self) -> Vec<u8> {
        self.ensemble.others(&self.ours)
    }

    /// Does something while clients write, waits until all members serve again, and takes what
    /// the clients were told into the history.
    fn under_load(
        &mut self,
        act: impl FnOnce(&mut Ensemble, &Load) -> Result<(), String>,
    ) -> Result<(), String> {
        self.loads += 1;
        let load = Load::start(&self.ensemble.addresses(), CLIENTS, self.loads);
        let ensemble = &mut self.ensemble;
        let acted = load
            .more(ENOUGH)
            .and_then(|()| act(ensemble, &load))
            .and_then(|()| ensemble.whole())
            .and_then(|()| load.more(ENOUGH));
        let record = load.end();
        let (lost, expired) = (record.lost, record.expired);
        acted
            .map_err(|why| format!("{why}; {lost} connections lost, {expired} sessions expired"))?;
        self.history.add(record)
    }
}

/// How the rounds went.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// Runs what is asked for, once or for as long as a soak lasts.
pub(crate) fn run(settings: &Settings) -> Totals {
    let begun = Instant::now();
    let time = settings.soak_minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let mut totals = Totals::default();
    let mut number = 0;
    loop {
        for suite in SUITES {
            number += 1;
            run_suite(settings, suite, number, &mut totals);
        }
        if time.is_none_or(|time| begun.elapsed() >= time) {
            return totals;
        }
    }
}

/// The names of all rounds.
pub(crate) fn list() {
    for suite in SUITES {
        for round in suite.rounds {
            say(&format!("{}/{}", suite.name, round.name));
        }
    }
}

fn run_suite(settings: &Settings, suite: &Suite, number: u64, totals: &mut Totals) {
    let mut stand: Option<Stand> = None;
    let mut ensembles = 0;
    for round in suite.rounds {
        let name = format!("{}/{}", suite.name, round.name);
        if !settings.wants(&name) {
            continue;
        }
        let lacks = if round.needs == Needs::Nothing {
            None
        } else if settings.subject != Bellwether {
            Some("members of ours")
        } else {
            let needs_library = round.needs == Needs::BadDisks && settings.faults.is_none();
            needs_library.then_some("--faults")
        };
        if let Some(lacks) = lacks {
            say(&format!("skip {name}: it needs {lacks}"));
            continue;
        }
        let begun = Instant::now();
        let outcome = match stand.take() {
            Some(stand) => Ok(stand),
            None => {
                ensembles += 1;
                Stand::new(settings, suite, number * 100 + ensembles)
            }
        };
        let outcome = outcome.and_then(|mut stand| match play(&mut stand, round) {
            Ok(note) => Ok((stand, note)),
            Err(why) => {
                let why = stand.ensemble.explain(&why);
                Err(format!("{why}\n  kept: {}", stand.home.display()))
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Ok((good, note)) => {
                totals.passed += 1;
                say(&format!("ok   {name}: {note} ({seconds:.1} s)"));
                stand = Some(good);
            }
            Err(why) => {
                totals.failed += 1;
                say(&format!("FAIL {name}: {why} ({seconds:.1} s)"));
            }
        }
    }
    if let Some(Stand { ensemble, home, .. }) = stand {
        drop(ensemble);
        // What cannot be removed stays below the directory that we were given.
        let _left = fs::remove_dir_all(home);
    }
}

fn play(stand: &mut Stand, round: &Round) -> Result<String, String> {
    (round.run)(stand)?;
    stand.ensemble.whole()?;
    judge(&mut stand.ensemble, &stand.history)
}
