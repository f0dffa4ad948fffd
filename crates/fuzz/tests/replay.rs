//! Every committed input, and a few changed ones, break no promise.

use bellwether_fuzz::{Failure, TARGETS, run, to_hex};

/// How many inputs each target is given: some seconds for all of them.
const INPUTS: u64 = 300;

#[test]
fn committed_inputs_and_some_changed_ones_break_no_promise() {
    for target in TARGETS {
        assert!(!target.corpus().is_empty(), "{} has no corpus", target.name);
        let finished = run(target, 1, |inputs| inputs < INPUTS);
        let finished = finished.unwrap_or_else(|Failure { input, message, .. }| {
            panic!("{}: {message}\n{}", target.name, to_hex(&input))
        });
        assert!(finished.accepted > 0, "{} accepted nothing", target.name);
    }
}

#[test]
fn a_seed_gives_the_same_run() {
    for target in TARGETS.iter().filter(|target| target.name == "request") {
        let twice = [(); 2].map(|()| run(target, 7, |inputs| inputs < INPUTS).map(|f| f.accepted));
        assert_eq!(twice[0].as_ref().ok(), twice[1].as_ref().ok());
    }
}
