//! Counters, once-only marks and claims: what was acknowledged is counted once, one owner is the
//! first of a key, one has a claim at a time.
//!
//! Seed 30 of the marks once found a session that ended in doubt and denied a mark that stood.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{are_one_after_the_other, lives, tenures};
use bellwether_client::recipes::{Claim, Claimed, Counter, Once};
use bellwether_client::{Client, Fate, Zxid};
use bellwether_sim::disk::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Saw {
    /// One is going to be added, and that leaves so many adds of this process without an answer.
    Adds,
    Added,
    Failed {
        fate: Fate,
        alive: bool,
    },
}

/// What an adder makes of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adds {
    Plainly,
    Exactly,
    /// Wrong: it may be added already.
    Again,
}

async fn adder(here: Here<Saw>, adds: Adds) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(3_000)).await;
        let plain = Counter::new(&client, "/count");
        let counter = if adds == Adds::Exactly { plain.exact() } else { plain };
        while !here.is_over() && lives(&client) {
            here.note(Saw::Adds);
            let mut added = counter.add(1).await;
            while adds == Adds::Again && added.is_err() && lives(&client) {
                added = counter.add(1).await;
            }
            here.note(match added {
                Ok(_) => Saw::Added,
                Err(error) => Saw::Failed { fate: error.fate(), alive: lives(&client) },
            });
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

fn count(seed: u64, adds: Adds) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..4 {
        stage.process(move |here| adder(here, adds));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    stage.finish();
    let notes = stage.notes();
    let times = |saw: fn(&Saw) -> bool| notes.iter().filter(|noted| saw(&noted.what)).count();
    let (began, added) = (times(|saw| *saw == Saw::Adds), times(|saw| *saw == Saw::Added));
    let not = times(|saw| matches!(saw, Saw::Failed { fate: Fate::DidNotHappen, .. }));
    // Those of which nothing was noted any more are in doubt too.
    let most = began - not;
    let nodes = stage.truth().nodes();
    let data = nodes.get("/count").and_then(|(data, _)| *data).expect("it was counted");
    let number: usize = std::str::from_utf8(data).unwrap().parse().unwrap();
    let fits = (added..=most).contains(&number);
    assert!(fits, "{number} were counted, and {added} to {most} are possible");
    if adds == Adds::Exactly {
        let doubts = times(|saw| matches!(saw, Saw::Failed { alive: true, .. }));
        assert_eq!(doubts, 0, "an exact counter fails while its session lives");
    }
    assert!(added > 50, "only {added}: nothing is proved");
}

#[test]
fn a_counter_counts_what_was_acknowledged() {
    seeds::check("a_counter_counts_what_was_acknowledged", |seed| count(seed, Adds::Plainly));
}

#[test]
fn an_exact_counter_leaves_no_doubt_while_the_session_lives() {
    seeds::check("an_exact_counter_leaves_no_doubt_while_the_session_lives", |seed| {
        count(seed, Adds::Exactly);
    });
}

#[test]
fn whoever_adds_once_more_in_doubt_is_found_out() {
    seeds::is_found_out(40, "are possible", |seed| count(seed, Adds::Again));
}

#[derive(Clone, Debug)]
enum Mark {
    Asks(u64, String),
    /// This owner is told that it is the first of this key.
    First(u64, String),
    /// This result of this key stands.
    Stands(u64, Vec<u8>),
    /// An error says that this owner has not set about this key.
    Denied(u64, String),
}

/// How the owners of marks are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    OfTheirOwn,
    /// Wrong: two of one name are one owner.
    All,
}

async fn marker(here: Here<Mark>, names: Names) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(3_000)).await;
        let name = format!("{}-{}", here.process, here.life);
        let owner = if names == Names::All { "all" } else { &*name };
        let once = Once::new(&client, "/once").owner(owner);
        while !here.is_over() && lives(&client) {
            mark(&here, (&once, &name), &mut chance).await;
            here.pause(chance.below(200)).await;
        }
        client.close().await;
    }
}

/// Whatever goes wrong: the next turn is about another key, or the same one again.
async fn mark(here: &Here<Mark>, (once, name): (&Once, &str), chance: &mut Chance) {
    let key = here.now_ms() / 500;
    here.note(Mark::Asks(key, name.to_string()));
    match once.claim(&key.to_string()).await {
        Ok(Claimed::First) => {
            here.note(Mark::First(key, name.to_string()));
            here.pause(chance.below(200)).await;
            let result = chance.any().to_be_bytes();
            if let Ok(true) = once.done(&key.to_string(), &result).await {
                here.note(Mark::Stands(key, result.to_vec()));
            }
        }
        Ok(Claimed::Already { result: Some(result), .. }) => {
            here.note(Mark::Stands(key, result.to_vec()));
        }
        Err(error) if error.fate() == Fate::DidNotHappen => {
            here.note(Mark::Denied(key, name.to_string()));
        }
        Ok(Claimed::Already { result: None, .. }) | Err(_) => {}
    }
}

fn marks(seed: u64, names: Names) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..4 {
        stage.process(move |here| marker(here, names));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    stage.finish();
    let mut firsts: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut results: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    // How often each owner asked for a key and was not told that it had not got it.
    let mut asked: BTreeMap<(u64, String), usize> = BTreeMap::new();
    for noted in stage.notes() {
        match noted.what {
            Mark::Asks(key, name) => *asked.entry((key, name)).or_default() += 1,
            Mark::Denied(key, name) => *asked.entry((key, name)).or_default() -= 1,
            Mark::First(key, name) => drop(firsts.entry(key).or_default().insert(name)),
            Mark::Stands(key, result) => {
                let known = results.entry(key).or_insert_with(|| result.clone());
                assert_eq!(*known, result, "key {key} has two results");
            }
        }
    }
    for (key, owners) in &firsts {
        assert_eq!(owners.len(), 1, "key {key} has several first owners: {owners:?}");
    }
    let nodes = stage.truth().nodes();
    for (key, result) in &results {
        let data = nodes.get(&*format!("/once/keys/{key}")).and_then(|(data, _)| *data);
        let stands = data.is_some_and(|data| data.ends_with(result));
        assert!(stands, "the result of key {key} was not kept");
    }
    for ((key, name), _) in asked.iter().filter(|(_, times)| **times == 0) {
        let data = nodes.get(&*format!("/once/keys/{key}")).and_then(|(data, _)| *data);
        let owns =
            data.is_some_and(|data| data.split(|it| *it == b'\n').next() == Some(name.as_bytes()));
        assert!(!owns, "{name} has key {key}, and was told not");
    }
    assert!(results.len() > 20, "only {} results: nothing is proved", results.len());
}

#[test]
fn a_key_has_one_first_owner_and_one_result() {
    seeds::check("a_key_has_one_first_owner_and_one_result", |seed| {
        marks(seed, Names::OfTheirOwn);
    });
}

#[test]
fn owners_that_share_a_name_are_found_out() {
    seeds::is_found_out(20, "has several first owners", |seed| marks(seed, Names::All));
}

/// All the trouble that there is with members whose clocks agree as a claim needs it. They are off
/// by 20 ms at most, and in the 150 s of a run by 15 ms more: two of them differ by 70 ms. Of a
/// claim of 1,000 ms an owner trusts in 900 by its clock, which are 909 if that is slow by a
/// hundredth: 91 ms are left.
fn agreeing() -> String {
    let faults = disagreeing().replace("drift-ppm 2000", "drift-ppm 100\n    wall-off-ms 20");
    assert_ne!(faults, disagreeing(), "nothing was replaced");
    faults
}

/// Others lead all the time, and their clocks differ by up to four seconds.
fn disagreeing() -> String {
    format!("{ROUGH_MEMBERS}\n    every 3s..9s crash-leader for 100ms..1s")
}

/// The shortest time that is claimed.
const CLAIMED_MS_MIN: u64 = 1_000;

/// It is this one's for certain, with this fencing token.
#[derive(Clone, Copy, Debug)]
struct Has(Zxid);

/// When an owner looks whether it still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Always,
    /// Wrong: its time may be over.
    Once,
}

async fn claimant(here: Here<Has>, looks: Looks) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(3_000)).await;
        while !here.is_over() && lives(&client) {
            let claim = Claim::new(&client, "/claim");
            own(&here, (&client, &claim), (&mut chance, looks)).await;
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

async fn own(
    here: &Here<Has>,
    (client, claim): (&Client, &Claim),
    (chance, looks): (&mut Chance, Looks),
) {
    let more_ms = if chance.one_in(3) { 5_000 } else { 1_500 };
    let length = Duration::from_millis(CLAIMED_MS_MIN + chance.below(more_ms));
    let taken = tokio::select! {
        biased;
        taken = claim.take(length) => taken,
        () = here.over() => return,
    };
    let Ok(mut tenure) = taken else { return };
    let until_ms = here.now_ms() + chance.below(4_000);
    while here.now_ms() < until_ms && lives(client) {
        match tenure.check() {
            Ok(fence) => here.note(Has(fence.0)),
            Err(_) if looks == Looks::Once => here.note(Has(tenure.fence().0)),
            // It may be renewed if nobody has taken it.
            Err(_) => {}
        }
        if looks == Looks::Always
            && chance.one_in(20)
            && !matches!(tenure.renew(length).await, Ok(true))
        {
            return;
        }
        here.pause(20).await;
    }
    if chance.one_in(2) {
        tenure.release().await.ok();
    }
}

fn claims(seed: u64, faults: &str, looks: Looks) -> usize {
    let mut stage = Stage::new(seed, faults);
    for _ in 0..4 {
        stage.process(move |here| claimant(here, looks));
    }
    stage.strike(ROUGH);
    stage.run_for(40_000);
    stage.heal();
    // Not each of them: a claim has no line, and who asks the leader itself is faster.
    let before = stage.notes().len();
    stage.run_until("it is taken ten times more", 60_000, |stage| {
        let mut fences = BTreeSet::new();
        stage.with_notes(|notes| fences.extend(notes[before..].iter().map(|it| it.what.0)));
        fences.len() > 10
    });
    stage.finish();
    assert!(stage.now_ms() < 150_000, "the clocks differ by more than it says above");
    let notes = stage.notes();
    let times = tenures(notes.iter().map(|noted| (noted.at_ms, noted.what.0, ())));
    are_one_after_the_other(&times);
    times.len()
}

#[test]
fn one_has_a_claim_at_a_time_and_the_next_follows() {
    seeds::check("one_has_a_claim_at_a_time_and_the_next_follows", |seed| {
        let times = claims(seed, &agreeing(), Looks::Always);
        assert!(times > 10, "only {times} times: nothing is proved");
    });
}

#[test]
fn an_owner_that_does_not_look_is_found_out() {
    seeds::is_found_out(20, "two hold it", |seed| {
        claims(seed, &agreeing(), Looks::Once);
    });
}

/// The next leader takes a claim for over while its owner trusts in it.
#[test]
fn leaders_whose_clocks_disagree_are_found_out() {
    seeds::is_found_out(60, "two hold it", |seed| {
        claims(seed, &disagreeing(), Looks::Always);
    });
}
