//! A checker that finds nothing proves nothing: every server that is broken on purpose must be
//! found out, within so many seeds.

use bellwether_sim::{Break, Telling, run};

/// How many seeds a broken server may survive.
const SEEDS: u64 = 300;

fn found(how: Break) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let violation = run(seed, Some(how), Telling::Verdict).violation?;
        Some((seed, violation.to_string()))
    })
}

#[test]
fn every_broken_server_is_found_out() {
    let survivors: Vec<_> =
        Break::ALL.iter().filter(|how| found(**how).is_none()).map(|how| how.name()).collect();
    assert!(survivors.is_empty(), "not found within {SEEDS} seeds: {survivors:?}");
}

#[test]
fn what_is_broken_is_what_is_found() {
    let promises = [
        (Break::AckBeforeSync, "durability"),
        (Break::AckFailedSync, "durability"),
        (Break::ForgetLastTxn, "recovery"),
        (Break::SwapReplies, "order"),
        (Break::ReplyBeforeEvent, "watches"),
        (Break::LoseEvent, "watches"),
        (Break::RepeatEvent, "watches"),
        (Break::HalfMulti, "recovery"),
        (Break::ForgetCloses, "recovery"),
        (Break::FastTimer, "sessions"),
        (Break::StaleRead, "replies"),
    ];
    for (how, promise) in promises {
        let (seed, seen) = found(how).expect("another test finds it");
        assert!(seen.starts_with(promise), "{}: seed {seed}: {seen}", how.name());
    }
}
