//! A queue: what was put is taken, by one at a time, until somebody is done with it, and never
//! again; nothing is taken that was not put.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, are_one_after_the_other, lives, tenures};
use bellwether_client::recipes::{Item, Queue};
use bellwether_client::{Fate, Zxid};
use bellwether_sim::disk::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PATH: &str = "/queue";
const ENTRIES: &str = "/queue/entries/";

#[derive(Clone, Debug)]
enum Saw {
    /// It is going to be put.
    Puts(String),
    Put(String),
    /// It was not put, or perhaps it was.
    Failed(String, Fate),
    Took(Taken),
    /// It is this one's for certain.
    Works(Taken),
    /// Somebody is going to be done with it.
    Finishes(String),
    Done(Taken),
}

#[derive(Clone, Debug)]
struct Taken {
    data: String,
    entry: String,
    fence: Zxid,
}

impl Taken {
    fn of(item: &Item) -> Taken {
        let data = String::from_utf8_lossy(&item.data).into_owned();
        Taken { data, entry: item.name().to_string(), fence: item.fence().0 }
    }
}

/// What programs do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// What may be in the queue already is put once more.
    PutsAgain,
    /// The entry may be another's by then.
    LooksOnce,
}

async fn producer(here: Here<Saw>, calm: Calm, wrong: Wrong) {
    let mut chance = here.chance();
    let mut number = 0;
    let mut many = chance.one_in(3);
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(3_000)).await;
        let queue = Queue::new(&client, PATH);
        if std::mem::take(&mut many) {
            put_many(&here, &queue).await;
        }
        while !here.is_over() && lives(&client) {
            if !calm.has_come() {
                number += 1;
                let data = format!("{}-{}-{number}", here.process, here.life);
                here.note(Saw::Puts(data.clone()));
                let priority = if chance.one_in(4) { 5 } else { 100 };
                match queue.put(data.as_bytes(), priority).await {
                    Ok(()) => here.note(Saw::Put(data)),
                    // The number is that of the next attempt too.
                    Err(_) if wrong == Wrong::PutsAgain => number -= 1,
                    Err(error) => here.note(Saw::Failed(data, error.fate())),
                }
            }
            here.pause(chance.below(600)).await;
        }
        client.close().await;
    }
}

/// So many that those who take them keep a list.
const MANY: usize = 50;

/// Puts many at once, all or none.
async fn put_many(here: &Here<Saw>, queue: &Queue) {
    let data: Vec<String> =
        (0..MANY).map(|number| format!("{}-{}-many-{number}", here.process, here.life)).collect();
    let note = |saw: fn(String) -> Saw| data.iter().cloned().for_each(|data| here.note(saw(data)));
    note(Saw::Puts);
    match queue.put_all(data.iter().map(|data| data.as_bytes()), 100).await {
        Ok(()) => note(Saw::Put),
        Err(error) => {
            let failed = |data: &String| here.note(Saw::Failed(data.clone(), error.fate()));
            data.iter().for_each(failed);
        }
    }
}

async fn worker(here: Here<Saw>, wrong: Wrong) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(1_500)).await;
        let mut queue = Queue::new(&client, PATH);
        if chance.one_in(2) {
            queue = queue.lease(Duration::from_millis(500));
        }
        while !here.is_over() && lives(&client) {
            let item = tokio::select! {
                biased;
                item = queue.take() => item,
                () = here.over() => break,
            };
            let Ok(item) = item else { break };
            work(&here, item, (&mut chance, wrong)).await;
        }
        client.close().await;
    }
}

async fn work(here: &Here<Saw>, item: Item, (chance, wrong): (&mut Chance, Wrong)) {
    let taken = Taken::of(&item);
    here.note(Saw::Took(taken.clone()));
    let until_ms = here.now_ms() + chance.below(600);
    while here.now_ms() < until_ms {
        if item.check().is_err() && wrong != Wrong::LooksOnce {
            return;
        }
        here.note(Saw::Works(taken.clone()));
        here.pause(20).await;
    }
    match chance.below(8) {
        0 => drop(item),
        1 => drop(item.give_back().await),
        _ => {
            here.note(Saw::Finishes(taken.data.clone()));
            if item.done().await.is_ok() {
                here.note(Saw::Done(taken));
            }
        }
    }
}

/// What was noted, sorted.
#[derive(Default)]
struct Seen {
    began: BTreeSet<String>,
    put: BTreeSet<String>,
    failed: BTreeMap<String, Fate>,
    finished: BTreeSet<String>,
    /// By data: the entries, and the highest fence.
    took: BTreeMap<String, (BTreeSet<String>, Zxid)>,
    works: BTreeMap<String, Vec<(u64, Zxid, ())>>,
    done: BTreeMap<String, Vec<Zxid>>,
}

impl Seen {
    fn of(stage: &Stage<Saw>) -> Seen {
        let mut seen = Seen::default();
        for noted in stage.notes() {
            match noted.what {
                Saw::Puts(data) => drop(seen.began.insert(data)),
                Saw::Put(data) => drop(seen.put.insert(data)),
                Saw::Failed(data, fate) => drop(seen.failed.insert(data, fate)),
                Saw::Finishes(data) => drop(seen.finished.insert(data)),
                Saw::Took(taken) => {
                    let took = seen.took.entry(taken.data).or_default();
                    took.0.insert(taken.entry);
                    took.1 = took.1.max(taken.fence);
                }
                Saw::Works(taken) => {
                    let works = seen.works.entry(taken.entry).or_default();
                    works.push((noted.at_ms, taken.fence, ()));
                }
                Saw::Done(taken) => {
                    seen.done.entry(taken.data).or_default().push(taken.fence);
                }
            }
        }
        seen
    }
}

fn entries<'a>(paths: impl Iterator<Item = &'a str>) -> usize {
    paths.filter(|path| path.strip_prefix(ENTRIES).is_some_and(|name| !name.contains('/'))).count()
}

fn play(seed: u64, wrong: Wrong) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    for _ in 0..2 {
        let calm = calm.clone();
        stage.process(move |here| producer(here, calm.clone(), wrong));
    }
    for _ in 0..3 {
        stage.process(move |here| worker(here, wrong));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    calm.begin();
    stage.run_for(1_000);
    stage.run_until("the queue is empty", 60_000, |stage| {
        entries(stage.truth().nodes().into_keys()) == 0
    });
    stage.finish();
    judge(&stage);
}

fn judge(stage: &Stage<Saw>) {
    let seen = Seen::of(stage);
    for (data, (entries, last)) in &seen.took {
        assert!(seen.began.contains(data), "{data} was never put");
        assert_eq!(entries.len(), 1, "{data} was put {} times", entries.len());
        let fate = seen.failed.get(data);
        assert_ne!(fate, Some(&Fate::DidNotHappen), "{data} was not put, and taken");
        let done = seen.done.get(data).map(Vec::as_slice).unwrap_or_default();
        assert!(done.len() <= 1, "{data} was done {} times", done.len());
        assert!(done.iter().all(|fence| fence == last), "{data} came back after it was done");
    }
    for (entry, works) in &seen.works {
        assert!(!works.is_empty(), "{entry}");
        are_one_after_the_other(&tenures(works.iter().copied()));
    }
    for data in &seen.put {
        assert!(seen.finished.contains(data), "{data} is gone, and nobody was done with it");
    }
    assert_eq!(entries(stage.truth().created()), seen.took.len(), "an entry was never taken");
    let Seen { put, took, .. } = &seen;
    assert!(put.len() > 30, "nothing is proved: {} put, {} taken", put.len(), took.len());
}

#[test]
fn what_was_put_is_done_by_one_at_a_time() {
    seeds::check("what_was_put_is_done_by_one_at_a_time", |seed| play(seed, Wrong::Nothing));
}

#[test]
fn a_producer_that_puts_again_is_found_out() {
    seeds::is_found_out(100, "was put 2 times", |seed| play(seed, Wrong::PutsAgain));
}

#[test]
fn a_worker_that_looks_only_once_is_found_out() {
    seeds::is_found_out(20, "two hold it", |seed| play(seed, Wrong::LooksOnce));
}
