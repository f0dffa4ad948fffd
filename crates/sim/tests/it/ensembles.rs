//! Ensembles from seeds: a few fixed ones, and all that once found something. The stage `sim` runs
//! thousands.

use bellwether_sim::Telling;
use bellwether_sim::ensemble::{EnsembleBreak, EnsembleRun, run_ensemble};

/// Seeds that have failed, one in a line, with what they found.
const ONCE_FAILED: &str = include_str!("../../seeds/ensembles.txt");

fn once_failed() -> impl Iterator<Item = u64> {
    let lines = ONCE_FAILED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn seeds_of_ensembles_pass() {
    for seed in (0..20).chain(once_failed()) {
        let violation = run_ensemble(seed, None, Telling::Verdict).violation;
        assert_eq!(violation, None, "repeat it with: cargo xtask sim ensemble {seed}");
    }
}

#[test]
fn a_seed_of_an_ensemble_is_a_run_to_the_byte() {
    for seed in [2, 6] {
        let EnsembleRun { tale, .. } = run_ensemble(seed, None, Telling::Everything);
        assert!(tale.len() > 100, "seed {seed} tells nothing");
        assert_eq!(tale, run_ensemble(seed, None, Telling::Everything).tale);
    }
}

#[test]
fn runs_of_ensembles_do_what_they_are_for() {
    let run = |seed| run_ensemble(seed, None, Telling::Everything);
    let runs: Vec<EnsembleRun> = (0..40).map(run).collect();
    let said = |what: &str| {
        runs.iter().flat_map(|run| &run.tale).filter(|line| line.contains(what)).count()
    };
    for what in [
        "ends: PowerLost",
        "ends: Killed",
        "--- partition",
        "--- one-way",
        "--- pause-leader",
        "--- cut",
        "--- slow-link",
        "--- stall-disk",
        ": DIFF",
        ": TRUNC",
        ": SNAP",
        ": INFORM",
        ": REVALIDATE",
        ": SYNC",
        ": REQUEST",
        "reads its log",
        "adopts the snapshot",
        "is told that its session has expired",
        "event NodeDeleted",
        "Observer {",
    ] {
        assert!(said(what) > 0, "in 40 runs there was no {what:?}");
    }
}

/// How many seeds a broken ensemble may survive.
const SEEDS: u64 = 200;

fn found(how: EnsembleBreak) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let violation = run_ensemble(seed, Some(how), Telling::Verdict).violation?;
        Some((seed, violation.to_string()))
    })
}

#[test]
fn every_broken_ensemble_is_found_out() {
    let mut survivors = Vec::new();
    for how in EnsembleBreak::all() {
        match found(how) {
            Some((seed, seen)) => println!("{}: seed {seed}: {seen:.100}", how.name()),
            None => survivors.push(how.name()),
        }
    }
    assert!(survivors.is_empty(), "not found within {SEEDS} seeds: {survivors:?}");
}
