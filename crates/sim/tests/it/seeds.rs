//! A few fixed seeds, and those that once found something. The stage `sim` runs thousands.

use bellwether_sim::{Run, Telling, run};

/// Seeds that have failed: a session that expired at birth, the id of a session that had ended, an
/// end that was judged too early.
const ONCE_FAILED: &[u64] = &[130, 678, 700, 787, 793, 2526, 12_637, 34_082, 35_134];

#[test]
fn seeds_pass() {
    for seed in (0..100).chain(ONCE_FAILED.iter().copied()) {
        let violation = run(seed, None, Telling::Verdict).violation;
        assert_eq!(violation, None, "repeat it with: cargo xtask sim {seed}");
    }
}

#[test]
fn a_seed_is_a_run_to_the_byte() {
    for seed in [3, 130] {
        let Run { story, .. } = run(seed, None, Telling::Everything);
        assert!(story.len() > 100, "seed {seed} tells nothing");
        assert_eq!(story, run(seed, None, Telling::Everything).story);
    }
}

#[test]
fn runs_do_what_they_are_for() {
    let runs: Vec<Run> = (0..50).map(|seed| run(seed, None, Telling::Everything)).collect();
    let said = |what: &str| {
        runs.iter().flat_map(|run| &run.story).filter(|line| line.contains(what)).count()
    };
    for what in [
        "crash: PowerLost",
        "crash: Killed",
        "the disk failed",
        "the start fails",
        "slice of",
        "event NodeDeleted",
        "deleteContainer",
        "closeSession",
        "multi [create",
        "SESSIONEXPIRED",
        "is stopped for",
        "clock steps",
        "garbled",
        "NOAUTH",
    ] {
        assert!(said(what) > 0, "in 50 runs there was no {what:?}");
    }
}
