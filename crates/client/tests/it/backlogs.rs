//! A long queue whose worker loses its connection while others put: whatever it keeps in mind of
//! the queue, it takes all of it in the end.

use crate::faults::{CALM_MEMBERS, Fault, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, lives};
use bellwether_client::recipes::Queue;
use bellwether_client::{AddWatchMode, Change, Client, Error, PersistentWatcher};
use std::collections::BTreeSet;

const PATH: &str = "/queue";
const ENTRIES: &str = "/queue/entries";
/// So many that it is worth while to keep their names.
const LONG: usize = 80;
/// How often the worker is cut off.
const CUTS: u64 = 8;
const WORKER: usize = 0;

#[derive(Clone, Debug)]
enum Saw {
    Put(Vec<String>),
    Done(String),
}

/// How the worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    AsItIs,
    /// Wrong: nobody tells of what was put while the connection was lost.
    WhatItIsToldOf,
}

async fn producer(here: Here<Saw>, calm: Calm) {
    let mut chance = here.chance();
    let mut number = 0;
    while !here.is_over() {
        let client = here.connected(6_000).await;
        let queue = Queue::new(&client, PATH);
        while !here.is_over() && lives(&client) {
            if !calm.has_come() {
                let count = if number == 0 { LONG } else { 1 + chance.index(3) };
                let name = |number| format!("{}-{number}", here.life);
                let put: Vec<String> = (number..number + count).map(name).collect();
                number += count;
                if queue.put_all(put.iter().map(String::as_bytes), 100).await.is_ok() {
                    here.note(Saw::Put(put));
                }
            }
            here.pause(chance.below(200)).await;
        }
        client.close().await;
    }
}

async fn worker(here: Here<Saw>, takes: Takes) {
    while !here.is_over() {
        let client = here.connected(6_000).await;
        match takes {
            Takes::AsItIs => work(&here, &client).await,
            // It ends with the session, or when it is over.
            Takes::WhatItIsToldOf => work_by_hand(&here, &client).await.unwrap_or_default(),
        }
        client.close().await;
    }
}

/// One value for the whole session, so that it may keep what it knows.
async fn work(here: &Here<Saw>, client: &Client) {
    let queue = Queue::new(client, PATH);
    while !here.is_over() && lives(client) {
        let item = tokio::select! {
            biased;
            item = queue.take() => item,
            () = here.over() => return,
        };
        let Ok(item) = item else { continue };
        let data = String::from_utf8_lossy(&item.data).into_owned();
        here.pause(40).await;
        if item.done().await.is_ok() {
            here.note(Saw::Done(data));
        }
    }
}

async fn work_by_hand(here: &Here<Saw>, client: &Client) -> Result<(), Error> {
    let retrying = client.retrying();
    retrying.ensure_path(ENTRIES).await?;
    let mut watcher = retrying.add_watch(ENTRIES, AddWatchMode::PersistentRecursive).await?;
    let path = |name: &str| format!("{ENTRIES}/{name}");
    let names = retrying.get_children(ENTRIES).await?;
    let mut kept: BTreeSet<String> = names.iter().map(|name| path(name)).collect();
    while !here.is_over() && lives(client) {
        take_in(&mut watcher, &mut kept)?;
        let Some(entry) = kept.pop_first() else {
            here.pause(20).await;
            continue;
        };
        // What is there no more is done already.
        let Ok((data, _)) = retrying.get_data(&entry).await else { continue };
        here.pause(40).await;
        if retrying.delete(&entry, None).await.is_ok() {
            let data = data.unwrap_or_default();
            here.note(Saw::Done(String::from_utf8_lossy(&data).into_owned()));
        }
    }
    Ok(())
}

fn take_in(watcher: &mut PersistentWatcher, kept: &mut BTreeSet<String>) -> Result<(), Error> {
    while let Some(change) = watcher.try_changed() {
        match change {
            Ok(Change::Event(event)) if event.path.contains("/entry-") => {
                kept.insert(event.path.to_string());
            }
            Ok(Change::Event(_) | Change::Gap) => {}
            Err(_) => return Err(Error::ConnectionLost),
        }
    }
    Ok(())
}

fn left(stage: &Stage<Saw>) -> usize {
    let nodes = stage.truth().nodes();
    nodes.keys().filter(|path| path.starts_with("/queue/entries/")).count()
}

/// What was put, and what was done, by what is known of it.
fn known(stage: &Stage<Saw>) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut put, mut done) = (BTreeSet::new(), BTreeSet::new());
    for noted in stage.notes() {
        match noted.what {
            Saw::Put(entries) => put.extend(entries),
            Saw::Done(entry) => drop(done.insert(entry)),
        }
    }
    (put, done)
}

fn play(seed: u64, takes: Takes) {
    let faults = if seed.is_multiple_of(2) { CALM_MEMBERS } else { ROUGH_MEMBERS };
    let mut stage = Stage::new(seed, faults);
    let calm = Calm::default();
    assert_eq!(stage.process(move |here| worker(here, takes)), WORKER);
    let its = calm.clone();
    stage.process(move |here| producer(here, its.clone()));
    stage.run_until("the queue is long", 30_000, |stage| left(stage) > LONG / 2);
    for cut in 0..CUTS {
        let fault = if (seed + cut).is_multiple_of(3) { Fault::Break } else { Fault::CutOff };
        stage.hit(WORKER, fault, 300 + (seed * 131 + cut * 577) % 2_500);
        stage.run_for(1_500);
    }
    // Nothing is put once it can hear again.
    stage.hit(WORKER, Fault::CutOff, 1_500);
    stage.run_for(1_000);
    calm.begin();
    stage.run_for(500);
    stage.heal();
    stage.run_until("the queue is empty", 60_000, |stage| left(stage) == 0);
    // The last of it may be done, and its worker not know yet.
    stage.run_for(2_000);
    stage.finish();
    let (put, done) = known(&stage);
    assert!(put.len() > LONG, "only {} were put: nothing is proved", put.len());
    // Whoever is done and loses its session before it hears of that does not know.
    assert!(done.len() > LONG / 2, "only {} are known to be done: nothing is proved", done.len());
}

#[test]
fn a_worker_that_was_cut_off_takes_what_was_put_meanwhile() {
    seeds::check("a_worker_that_was_cut_off_takes_what_was_put_meanwhile", |seed| {
        play(seed, Takes::AsItIs);
    });
}

#[test]
fn a_worker_that_takes_what_it_is_told_of_is_found_out() {
    seeds::is_found_out(20, "waited in vain: the queue is empty", |seed| {
        play(seed, Takes::WhatItIsToldOf);
    });
}
