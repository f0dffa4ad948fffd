//! What is said about a write is true: what was acknowledged is there, what did not happen never
//! shows up, what may have happened happened at most once.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use bellwether_client::{
    Client, Create, CreateMode, Error, ErrorCode, Fate, SessionEnd, SessionState,
};
use bellwether_sim::disk::Chance;
use std::collections::BTreeMap;

/// What became of a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It was acknowledged, with this path.
    Done { asked: String, path: String },
    /// Or it was not.
    Failed { asked: String, fate: Fate },
    /// The session is over.
    Ended(SessionEnd),
}

/// What a program makes of a create of which it does not know whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InDoubt {
    LeaveIt,
    /// Wrong: it may be there already.
    Repeat,
}

/// A node that everybody wants to be there.
pub(crate) async fn ensure<T>(here: &Here<T>, client: &Client, path: &str) {
    while !matches!(client.state(), SessionState::Ended(_)) {
        match client.create(Create::new(path, CreateMode::Persistent)).await {
            Ok(_) => return,
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return,
            Err(_) => here.pause(20).await,
        }
    }
}

/// Creates nodes, each with a name of its own, until it is over.
async fn writer(here: Here<Wrote>, in_doubt: InDoubt) {
    let mut chance = here.chance();
    let mut number = 0;
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(4_000)).await;
        ensure(&here, &client, "/w").await;
        while !here.is_over() && !matches!(client.state(), SessionState::Ended(_)) {
            number += 1;
            let asked = format!("/w/{}-{}-{number}-", here.process, here.life);
            write(&here, &client, asked, (&mut chance, in_doubt)).await;
            here.pause(chance.below(400)).await;
        }
        if let SessionState::Ended(end) = client.state() {
            here.note(Wrote::Ended(end));
        }
        client.close().await;
    }
}

async fn write(
    here: &Here<Wrote>,
    client: &Client,
    asked: String,
    (chance, in_doubt): (&mut Chance, InDoubt),
) {
    let modes = [CreateMode::Persistent, CreateMode::PersistentSequential];
    let create = Create::new(&asked, modes[chance.index(modes.len())]);
    loop {
        match client.create(create.clone()).await {
            Ok(created) => {
                let path = created.path.into();
                return here.note(Wrote::Done { asked, path });
            }
            Err(Error::ConnectionLost) if in_doubt == InDoubt::Repeat => {}
            Err(error) => return here.note(Wrote::Failed { asked, fate: error.fate() }),
        }
    }
}

/// Four processes that write, and everything that goes wrong with them.
pub(crate) fn writers(seed: u64) -> Stage<Wrote> {
    on_stage(seed, InDoubt::LeaveIt)
}

fn on_stage(seed: u64, in_doubt: InDoubt) -> Stage<Wrote> {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..4 {
        stage.process(move |here| writer(here, in_doubt));
    }
    stage.strike(ROUGH);
    stage
}

/// Plays it to its end and holds what was said against what is there. Gives how much was said.
fn play(mut stage: Stage<Wrote>) -> Said {
    stage.run_for(30_000);
    stage.heal();
    stage.finish();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for path in stage.truth().created() {
        if path.starts_with("/w/") {
            // Without the number of a sequential one.
            let dash = path.rfind('-').expect("each name ends with a dash");
            *times.entry(path[..=dash].to_string()).or_default() += 1;
        }
    }
    for (asked, times) in &times {
        assert_eq!(*times, 1, "{asked} was created {times} times");
    }
    let (nodes, mut said) = (stage.truth().nodes(), Said::default());
    for noted in stage.notes() {
        match &noted.what {
            Wrote::Done { asked, path } => {
                said.done += 1;
                assert!(nodes.contains_key(&**path), "{noted:?} is not there");
                assert!(times.contains_key(asked));
            }
            Wrote::Failed { asked, fate: Fate::DidNotHappen } => {
                said.not += 1;
                assert!(!times.contains_key(asked), "{noted:?}, and it was created");
            }
            Wrote::Failed { asked, fate: Fate::MayHaveHappened } => {
                said.in_doubt += 1;
                said.in_doubt_and_done += usize::from(times.contains_key(asked));
            }
            Wrote::Ended(_) => {} // The program has begun another one.
        }
    }
    said
}

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    done: usize,
    not: usize,
    in_doubt: usize,
    in_doubt_and_done: usize,
}

#[test]
fn what_is_said_about_a_write_is_true() {
    seeds::check("what_is_said_about_a_write_is_true", |seed| {
        let said = play(on_stage(seed, InDoubt::LeaveIt));
        assert!(said.done > 50, "too little was done to prove anything: {said:?}");
        println!("seed {seed}: {said:?}");
    });
}

#[test]
fn whoever_repeats_what_may_have_happened_is_found_out() {
    seeds::is_found_out(20, "was created", |seed| {
        play(on_stage(seed, InDoubt::Repeat));
    });
}
