//! A mirror that follows a persistent recursive watch, and reads everything again after a gap, ends
//! equal to the tree.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::writes::ensure;
use bellwether_client::{
    AddWatchMode, Change, Client, Create, CreateMode, Error, ErrorCode, SessionState,
};
use bellwether_sim::disk::Chance;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const ROOT: &str = "/m";

type Nodes = BTreeMap<String, Vec<u8>>;

/// What a mirror makes of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtGap {
    ReadAgain,
    /// Wrong: nobody will tell what happened meanwhile.
    GoOn,
}

#[derive(Clone, Copy, Debug)]
struct Nothing;

/// Changes nodes at random until it is over.
async fn changer(here: Here<Nothing>) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(3_000).await;
        ensure(&here, &client, ROOT).await;
        while !here.is_over() && !matches!(client.state(), SessionState::Ended(_)) {
            change(&client, &mut chance).await;
            here.pause(chance.below(100)).await;
        }
        client.close().await;
    }
}

/// Whatever becomes of it.
pub(crate) async fn change(client: &Client, chance: &mut Chance) {
    let path = match chance.below(3) {
        0 => format!("{ROOT}/{}", chance.below(5)),
        _ => format!("{ROOT}/{}/{}", chance.below(5), chance.below(3)),
    };
    let data = chance.any().to_be_bytes();
    match chance.below(3) {
        0 => client.create(Create::new(&path, CreateMode::Persistent).data(&data)).await.err(),
        1 => client.set_data(&path, &data, None).await.err(),
        _ => client.delete(&path, None).await.err(),
    };
}

async fn mirror(here: Here<Nothing>, nodes: Arc<Mutex<Nodes>>, at_gap: AtGap) {
    while !here.is_over() {
        let client = here.connected(3_000).await;
        // It ends with the session, or when it is over.
        follow(&here, &client, (&nodes, at_gap)).await.ok();
        client.close().await;
    }
}

async fn follow(
    here: &Here<Nothing>,
    client: &Client,
    (nodes, at_gap): (&Mutex<Nodes>, AtGap),
) -> Result<(), Error> {
    ensure(here, client, ROOT).await;
    let mut watcher = client.add_watch(ROOT, AddWatchMode::PersistentRecursive).await?;
    read_all(client, nodes).await?;
    while !here.is_over() {
        let change = tokio::select! {
            biased;
            change = watcher.changed() => change,
            () = here.over() => return Ok(()),
        };
        let done = match change {
            Ok(Change::Event(event)) => read(client, &event.path, nodes).await,
            Ok(Change::Gap) if at_gap == AtGap::GoOn => Ok(()),
            Ok(Change::Gap) => read_all(client, nodes).await,
            Err(_) => return Ok(()),
        };
        match done {
            // There will be a gap when the connection is back.
            Ok(()) | Err(Error::ConnectionLost) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads one node.
async fn read(client: &Client, path: &str, nodes: &Mutex<Nodes>) -> Result<(), Error> {
    match client.get_data(path).await {
        Ok((data, _)) => {
            let data = data.as_deref().unwrap_or_default().to_vec();
            nodes.lock().unwrap().insert(path.to_string(), data);
        }
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            nodes.lock().unwrap().remove(path);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Reads the whole tree, and forgets what is not there.
async fn read_all(client: &Client, nodes: &Mutex<Nodes>) -> Result<(), Error> {
    let fresh = Mutex::new(Nodes::new());
    let mut left = vec![ROOT.to_string()];
    while let Some(path) = left.pop() {
        read(client, &path, &fresh).await?;
        match client.get_children(&path).await {
            Ok(names) => left.extend(names.iter().map(|name| format!("{path}/{name}"))),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    *nodes.lock().unwrap() = fresh.into_inner().unwrap();
    Ok(())
}

fn truth(stage: &Stage<Nothing>) -> Nodes {
    let nodes = stage.truth().nodes();
    let mirrored = nodes.iter().filter(|(path, _)| **path == ROOT || path.starts_with("/m/"));
    let data = |data: Option<&bellwether_client::Data>| data.map_or(vec![], |data| data.to_vec());
    mirrored.map(|(path, (bytes, _))| (path.to_string(), data(*bytes))).collect()
}

fn play(seed: u64, at_gap: AtGap) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let mirrors: [Arc<Mutex<Nodes>>; 2] = Default::default();
    let changers = [stage.process(changer), stage.process(changer)];
    for nodes in mirrors.clone() {
        stage.process(move |here| mirror(here, nodes.clone(), at_gap));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    stage.run_for(5_000);
    for seat in changers {
        stage.end(seat);
    }
    stage.run_until("the mirrors are equal to the tree", 10_000, |stage| {
        let truth = truth(stage);
        mirrors.iter().all(|nodes| *nodes.lock().unwrap() == truth)
    });
    stage.finish();
}

#[test]
fn a_mirror_that_reads_again_after_a_gap_ends_equal_to_the_tree() {
    seeds::check("a_mirror_that_reads_again_after_a_gap_ends_equal_to_the_tree", |seed| {
        play(seed, AtGap::ReadAgain);
    });
}

#[test]
fn a_mirror_that_ignores_gaps_is_found_out() {
    seeds::is_found_out(100, "waited in vain: the mirrors are equal to the tree", |seed| {
        play(seed, AtGap::GoOn);
    });
}
