//! Locks that several have at once: nobody reads beside a writer, no more have a lease than there
//! are, and after all faults everybody gets what it waits for.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Tenure, lives, tenures};
use bellwether_client::recipes::{Held, RwLock, Semaphore};
use bellwether_client::{Client, Error, Zxid};

const TIMEOUT_MS: u64 = 1_500;
const PROCESSES: usize = 4;
const LEASES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Lease,
}

#[derive(Clone, Copy, Debug)]
struct Holds(Zxid, Kind);

/// What a program wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    ReadOrWrite,
    /// Wrong: others read too.
    ReadToWrite,
    OneOf(usize),
}

async fn acquire(client: &Client, wants: Wants, kind: Kind) -> Result<Held, Error> {
    let lock = RwLock::new(client, "/shared");
    match (wants, kind) {
        (Wants::OneOf(leases), _) => Semaphore::new(client, "/leases", leases)?.acquire().await,
        (Wants::ReadOrWrite, Kind::Write) => lock.write().await,
        (Wants::ReadOrWrite | Wants::ReadToWrite, _) => lock.read().await,
    }
}

async fn holder(here: Here<Holds>, wants: Wants) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(TIMEOUT_MS + chance.below(TIMEOUT_MS)).await;
        while !here.is_over() && lives(&client) {
            let kind = match wants {
                Wants::OneOf(_) => Kind::Lease,
                Wants::ReadOrWrite | Wants::ReadToWrite if chance.one_in(2) => Kind::Write,
                Wants::ReadOrWrite | Wants::ReadToWrite => Kind::Read,
            };
            let held = tokio::select! {
                biased;
                held = acquire(&client, wants, kind) => held,
                () = here.over() => break,
            };
            let Ok(held) = held else { break };
            let until_ms = here.now_ms() + chance.below(TIMEOUT_MS);
            while here.now_ms() < until_ms
                && let Ok(fence) = held.check()
            {
                here.note(Holds(fence.0, kind));
                here.pause(20).await;
            }
            held.release().await.ok();
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

/// Plays it to its end. Gives what was held, in the order of fences.
fn play(seed: u64, wants: Wants) -> Vec<Tenure<Kind>> {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..PROCESSES {
        stage.process(move |here| holder(here, wants));
    }
    stage.strike(ROUGH);
    stage.run_for(40_000);
    stage.heal();
    let before = stage.notes().len();
    stage.run_until("everybody has held it", 30_000, |stage| {
        let mut had = [false; PROCESSES];
        stage.with_notes(|notes| notes[before..].iter().for_each(|it| had[it.process] = true));
        had == [true; PROCESSES]
    });
    stage.finish();
    let notes = stage.notes();
    tenures(notes.iter().map(|noted| (noted.at_ms, noted.what.0, noted.what.1)))
}

/// How many of this kind are held when this tenure has just begun, it included.
fn beside(tenure: &Tenure<Kind>, all: &[Tenure<Kind>], kind: Kind) -> usize {
    let at_ms = tenure.first_ms;
    let others = all.iter().filter(|other| other.fence != tenure.fence && other.kind == kind);
    others.filter(|other| other.first_ms <= at_ms && at_ms < other.last_ms).count()
}

fn no_reader_beside_a_writer(all: &[Tenure<Kind>]) {
    for tenure in all.iter().filter(|tenure| tenure.first_ms < tenure.last_ms) {
        let writers = beside(tenure, all, Kind::Write);
        assert_eq!(writers, 0, "somebody writes beside {tenure:?}");
        if tenure.kind == Kind::Write {
            assert_eq!(beside(tenure, all, Kind::Read), 0, "somebody reads beside {tenure:?}");
        }
    }
    let readers_together = all.iter().any(|tenure| beside(tenure, all, Kind::Read) > 0);
    assert!(readers_together && all.len() > 20, "nothing is proved: {}", all.len());
}

fn no_more_than_there_are(all: &[Tenure<Kind>]) {
    let most = all
        .iter()
        .filter(|tenure| tenure.first_ms < tenure.last_ms)
        .map(|tenure| 1 + beside(tenure, all, Kind::Lease))
        .max();
    assert!(most <= Some(LEASES), "{most:?} have one of {LEASES} leases");
    assert!(most == Some(LEASES) && all.len() > 20, "nothing is proved: {}", all.len());
}

#[test]
fn nobody_reads_or_writes_beside_a_writer() {
    seeds::check("nobody_reads_or_writes_beside_a_writer", |seed| {
        no_reader_beside_a_writer(&play(seed, Wants::ReadOrWrite));
    });
}

#[test]
fn whoever_writes_with_the_lock_of_a_reader_is_found_out() {
    seeds::is_found_out(20, "beside Tenure", |seed| {
        no_reader_beside_a_writer(&play(seed, Wants::ReadToWrite));
    });
}

#[test]
fn no_more_have_a_lease_than_there_are() {
    seeds::check("no_more_have_a_lease_than_there_are", |seed| {
        no_more_than_there_are(&play(seed, Wants::OneOf(LEASES)));
    });
}

#[test]
fn whoever_counts_one_lease_too_many_is_found_out() {
    seeds::is_found_out(20, "Some(3) have one of 2 leases", |seed| {
        no_more_than_there_are(&play(seed, Wants::OneOf(LEASES + 1)));
    });
}
