//! A seed is a run: what is found can be found again. And runs do what they are for.

use crate::writes;

fn tale(seed: u64) -> Vec<String> {
    let mut stage = writes::writers(seed);
    stage.tell_everything();
    stage.run_for(30_000);
    stage.heal();
    stage.finish();
    stage.tale()
}

#[test]
fn two_runs_of_a_seed_are_the_same_to_the_line() {
    for seed in [1, 2] {
        let (first, second) = (tale(seed), tale(seed));
        assert!(first.len() > 1000, "seed {seed} tells nothing");
        for (line, (one, other)) in first.iter().zip(&second).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {line}");
        }
        assert_eq!(first.len(), second.len());
    }
    assert_ne!(tale(1), tale(2));
}

#[test]
fn runs_do_what_they_are_for() {
    let lines: Vec<String> = (0..20).flat_map(tale).collect();
    for what in [
        "--- Stop of",
        "--- Kill of",
        "--- Vanish of",
        "--- CutOff of",
        "--- Break of",
        "goes on, Timers first",
        "goes on, Sockets first",
        "is heard again",
        "life 2: Done",
        "fate: MayHaveHappened",
        "Ended(Expired)",
        "connects to 4 as",
        "--- crash-leader",
        "--- partition",
        "--- power-loss-of-all",
    ] {
        assert!(lines.iter().any(|line| line.contains(what)), "there was no {what:?}");
    }
}
