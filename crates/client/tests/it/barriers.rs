//! Barriers: nobody passes one that is up, and who enters a double one finds the others there.

use crate::faults::{Fault, ROUGH, ROUGH_MEMBERS, Rate, Span, rate};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, lives};
use bellwether_client::Zxid;
use bellwether_client::recipes::{Barrier, DoubleBarrier};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const WAITERS: usize = 3;
const TOGETHER: usize = 3;

/// Nobody is killed: what the keeper of a barrier had asked for could happen in its next life.
const ALIVE: &[Rate] = &[
    rate(Span(4_000, 16_000), Fault::Stop, Span(200, 6_000)),
    rate(Span(5_000, 20_000), Fault::CutOff, Span(300, 6_000)),
    rate(Span(2_000, 9_000), Fault::Break, Span(0, 0)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saw {
    /// It is up from here on for certain.
    Raised,
    /// It may be down from here on.
    Lowers,
    /// Somebody has passed who began to wait then.
    Passed { since_ms: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    AsLongAsItTakes,
    /// Wrong: it is up still.
    ForAWhile,
}

async fn keeper(here: Here<Saw>, calm: Calm) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(2_000)).await;
        let barrier = Barrier::new(&client, "/barrier");
        while !here.is_over() && lives(&client) {
            if !calm.has_come() && barrier.raise().await.is_ok() {
                here.note(Saw::Raised);
                here.pause(chance.below(2_000)).await;
            }
            here.note(Saw::Lowers);
            barrier.lower().await.ok();
            here.pause(chance.below(500)).await;
        }
        client.close().await;
    }
}

async fn waiter(here: Here<Saw>, waits: Waits) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(2_000)).await;
        let barrier = Barrier::new(&client, "/barrier");
        while !here.is_over() && lives(&client) {
            let since_ms = here.now_ms();
            let passed = match waits {
                Waits::AsLongAsItTakes => barrier.wait().await.is_ok(),
                Waits::ForAWhile => barrier.wait_within(Duration::from_millis(300)).await.is_ok(),
            };
            if passed {
                here.note(Saw::Passed { since_ms });
            }
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

fn wait(seed: u64, waits: Waits) -> usize {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    let kept = calm.clone();
    let keeper = stage.process(move |here| keeper(here, kept.clone()));
    for _ in 0..WAITERS {
        stage.process(move |here| waiter(here, waits));
    }
    stage.strike(ALIVE);
    stage.run_for(40_000);
    stage.heal();
    calm.begin();
    let before = stage.notes().len();
    stage.run_until("everybody passes", 20_000, |stage| {
        let mut passed = BTreeSet::new();
        stage.with_notes(|notes| passed.extend(notes[before..].iter().map(|it| it.process)));
        (1..=WAITERS).all(|seat| passed.contains(&seat))
    });
    stage.finish();
    let notes = stage.notes();
    let (mut up, mut since) = (Vec::new(), None);
    for noted in notes.iter().filter(|noted| noted.process == keeper) {
        match noted.what {
            Saw::Raised => since = since.or(Some(noted.at_ms)),
            Saw::Lowers => up.extend(since.take().map(|since_ms| (since_ms, noted.at_ms))),
            Saw::Passed { .. } => {} // The keeper does not wait.
        }
    }
    for noted in &notes {
        let Saw::Passed { since_ms } = noted.what else { continue };
        let was_up = up.iter().find(|(from, to)| *from < since_ms && noted.at_ms < *to);
        assert_eq!(was_up, None, "{noted:?} passed while it was up");
    }
    up.len()
}

#[test]
fn nobody_passes_a_barrier_that_is_up() {
    seeds::check("nobody_passes_a_barrier_that_is_up", |seed| {
        let times = wait(seed, Waits::AsLongAsItTakes);
        assert!(times > 5, "it was up only {times} times: nothing is proved");
    });
}

#[test]
fn a_waiter_that_loses_patience_is_found_out() {
    seeds::is_found_out(20, "passed while it was up", |seed| {
        wait(seed, Waits::ForAWhile);
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    /// The one whose node was created then is in.
    In(Zxid),
    /// It was told that all have left that got in with it.
    Out(Zxid),
}

/// What a participant does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// All have to name the same number.
    EntersWithFewer,
    /// Some are there still.
    LeavesEarly,
}

async fn participant(here: Here<Party>, wrong: Wrong) {
    let mut chance = here.chance();
    let together = if wrong == Wrong::EntersWithFewer { TOGETHER - 1 } else { TOGETHER };
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(1_500)).await;
        let barrier = DoubleBarrier::new(&client, "/double");
        while !here.is_over() && lives(&client) {
            let entered = tokio::select! {
                biased;
                entered = barrier.enter(together) => entered,
                () = here.over() => break,
            };
            let Ok(inside) = entered else { break };
            let Ok(fence) = inside.check() else { continue };
            let until_ms = here.now_ms() + chance.below(1_000);
            while here.now_ms() < until_ms && inside.check().is_ok() {
                here.note(Party::In(fence.0));
                here.pause(20).await;
            }
            let left = match wrong {
                Wrong::LeavesEarly => inside.leave_within(Duration::from_millis(20)).await.is_ok(),
                Wrong::Nothing | Wrong::EntersWithFewer => tokio::select! {
                    biased;
                    left = inside.leave() => left.is_ok(),
                    () = here.over() => break,
                },
            };
            if left {
                here.note(Party::Out(fence.0));
            }
        }
        client.close().await;
    }
}

/// For each participant that was there when the barrier was open to it: the opening, and how many
/// were there at once at most, it included, up to then.
fn openings(stage: &Stage<Party>) -> BTreeMap<Zxid, (Zxid, usize)> {
    let (mut most, mut found) = (BTreeMap::new(), BTreeMap::new());
    for tree in stage.truth().trees() {
        let below = tree.iter().filter_map(|(path, it)| Some((path.strip_prefix("/double/")?, it)));
        let ready = tree.get("/double/ready").map(|(data, stat)| {
            let text = data.and_then(|data| std::str::from_utf8(data).ok());
            let later = text.and_then(|text| text.parse().ok()).map(Zxid);
            later.map_or(stat.czxid, |later| later.max(stat.czxid))
        });
        let there: Vec<Zxid> =
            below.filter(|(name, _)| *name != "ready").map(|(_, (_, stat))| stat.czxid).collect();
        for czxid in &there {
            let most: &mut usize = most.entry(*czxid).or_default();
            *most = there.len().max(*most);
            if let Some(opening) = ready.filter(|opening| czxid < opening) {
                found.entry(*czxid).or_insert((opening, *most));
            }
        }
    }
    found
}

fn meet(seed: u64, wrong: Wrong) -> usize {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..=TOGETHER {
        stage.process(move |here| participant(here, wrong));
    }
    stage.strike(ROUGH);
    stage.run_for(40_000);
    stage.heal();
    let before = stage.notes().len();
    stage.run_until("they meet again, several times", 60_000, |stage| {
        let mut met = BTreeSet::new();
        stage.with_notes(|notes| {
            met.extend(notes[before..].iter().filter_map(|noted| match noted.what {
                Party::In(fence) => Some(fence),
                Party::Out(_) => None,
            }));
        });
        met.len() > 3 * TOGETHER
    });
    stage.finish();
    let (openings, notes) = (openings(&stage), stage.notes());
    let mut last: BTreeMap<Zxid, u64> = BTreeMap::new();
    for noted in &notes {
        let Party::In(fence) = noted.what else { continue };
        let (opening, most) =
            *openings.get(&fence).unwrap_or_else(|| panic!("{noted:?}: it was not open"));
        assert!(most >= TOGETHER, "{noted:?} got in when {most} were there");
        last.insert(opening, noted.at_ms.max(last.get(&opening).copied().unwrap_or_default()));
    }
    for noted in &notes {
        let Party::Out(fence) = noted.what else { continue };
        let in_ms = openings.get(&fence).and_then(|(opening, _)| last.get(opening)).copied();
        assert!(in_ms <= Some(noted.at_ms), "{noted:?} before others were, at {in_ms:?}");
    }
    last.len()
}

#[test]
fn so_many_enter_together_and_leave_together() {
    seeds::check("so_many_enter_together_and_leave_together", |seed| {
        let times = meet(seed, Wrong::Nothing);
        assert!(times > 4, "they met only {times} times: nothing is proved");
    });
}

#[test]
fn a_participant_that_counts_fewer_is_found_out() {
    seeds::is_found_out(20, "got in when 2 were there", |seed| {
        meet(seed, Wrong::EntersWithFewer);
    });
}

#[test]
fn a_participant_that_leaves_early_is_found_out() {
    seeds::is_found_out(20, "before others were", |seed| {
        meet(seed, Wrong::LeavesEarly);
    });
}
