//! A subtree in memory: each settled snapshot is the tree as it was between two transactions, never
//! an earlier one than the last, and the newest is in the end the tree.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::mirror;
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, lives};
use crate::writes::ensure;
use bellwether_client::recipes::{Snapshot, Subtree};
use bellwether_client::{Client, Data, Error, Stat, Zxid};
use std::collections::BTreeMap;

const ROOT: &str = "/m";
const CHANGERS: usize = 2;
const VIEWERS: usize = 2;

/// By path: when it was created and changed, and its data.
type Nodes = BTreeMap<String, (Zxid, Zxid, Vec<u8>)>;

#[derive(Clone, Debug)]
struct Shown {
    /// Counts the views of a process's life: the first snapshot of a view may be of any time.
    view: usize,
    settled: bool,
    nodes: Nodes,
}

/// What a viewer takes for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Snapshots,
    /// Wrong: the tree goes on between the reads.
    Reads,
}

fn node(path: &str, data: &[u8], stat: &Stat) -> (String, (Zxid, Zxid, Vec<u8>)) {
    (path.to_string(), (stat.czxid, stat.mzxid, data.to_vec()))
}

fn nodes(snapshot: &Snapshot) -> Nodes {
    snapshot.iter().map(|(path, it)| node(path, &it.data, &it.stat)).collect()
}

fn tree(all: &BTreeMap<&str, (Option<&Data>, Stat)>) -> Nodes {
    let below = all.iter().filter(|(path, _)| **path == ROOT || path.starts_with("/m/"));
    let data = |data: Option<&Data>| data.map_or(vec![], |data| data.to_vec());
    below.map(|(path, (bytes, stat))| node(path, &data(*bytes), stat)).collect()
}

async fn changer(here: Here<Shown>, calm: Calm) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(3_000).await;
        ensure(&here, &client, ROOT).await;
        while !here.is_over() && lives(&client) {
            if !calm.has_come() {
                mirror::change(&client, &mut chance).await;
            }
            here.pause(chance.below(100)).await;
        }
        client.close().await;
    }
}

async fn viewer(here: Here<Shown>, takes: Takes) {
    let mut view = 0;
    while !here.is_over() {
        let client = here.connected(3_000).await;
        while !here.is_over() && lives(&client) {
            view += 1;
            // It ends with the session, or when it is over.
            look(&here, &client, (view, takes)).await.ok();
        }
        client.close().await;
    }
}

async fn look(
    here: &Here<Shown>,
    client: &Client,
    (view, takes): (usize, Takes),
) -> Result<(), Error> {
    if takes == Takes::Reads {
        let nodes = read_all(client).await?;
        here.note(Shown { view, settled: true, nodes });
        here.pause(50).await;
        return Ok(());
    }
    let subtree = Subtree::open(client, ROOT).await?;
    let mut changes = subtree.watch();
    loop {
        let (_, snapshot) = tokio::select! {
            biased;
            next = changes.next() => next?,
            () = here.over() => return Ok(()),
        };
        here.note(Shown { view, settled: snapshot.is_settled(), nodes: nodes(&snapshot) });
    }
}

/// One node after the other.
async fn read_all(client: &Client) -> Result<Nodes, Error> {
    let mut found = Nodes::new();
    let mut left = vec![ROOT.to_string()];
    while let Some(path) = left.pop() {
        let Ok((data, stat)) = client.get_data(&path).await else { continue };
        found.extend([node(&path, &data.unwrap_or_default(), &stat)]);
        let Ok(names) = client.get_children(&path).await else { continue };
        left.extend(names.iter().map(|name| format!("{path}/{name}")));
    }
    Ok(found)
}

/// Holds what was shown against the trees that there were. Gives how many snapshots were settled.
fn judge(stage: &Stage<Shown>) -> usize {
    let mut places: BTreeMap<Nodes, Vec<usize>> = BTreeMap::new();
    places.entry(Nodes::new()).or_default().push(0);
    for (place, all) in stage.truth().trees().enumerate() {
        places.entry(tree(&all)).or_default().push(place);
    }
    let mut last: BTreeMap<(usize, u64, usize), usize> = BTreeMap::new();
    let mut settled = 0;
    for noted in stage.notes().iter().filter(|noted| noted.what.settled) {
        let at = places.get(&noted.what.nodes);
        let at = at.unwrap_or_else(|| panic!("such a tree there never was: {noted:?}"));
        let last = last.entry((noted.process, noted.life, noted.what.view)).or_default();
        let later = at.iter().find(|place| **place >= *last);
        *last = *later.unwrap_or_else(|| panic!("an earlier tree came later: {noted:?}"));
        settled += 1;
    }
    settled
}

fn play(seed: u64, takes: Takes) -> usize {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    for _ in 0..CHANGERS {
        let calm = calm.clone();
        stage.process(move |here| changer(here, calm.clone()));
    }
    for _ in 0..VIEWERS {
        stage.process(move |here| viewer(here, takes));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    calm.begin();
    stage.run_until("the snapshots are equal to the tree", 10_000, |stage| {
        let truth = tree(&stage.truth().nodes());
        let mut equal = false;
        stage.with_notes(|notes| {
            equal = (CHANGERS..CHANGERS + VIEWERS).all(|seat| {
                let last = notes.iter().rev().find(|noted| noted.process == seat);
                last.is_some_and(|noted| noted.what.nodes == truth)
            });
        });
        equal
    });
    stage.finish();
    judge(&stage)
}

#[test]
fn a_snapshot_is_the_tree_between_two_transactions() {
    seeds::check("a_snapshot_is_the_tree_between_two_transactions", |seed| {
        let settled = play(seed, Takes::Snapshots);
        assert!(settled > 50, "only {settled} snapshots: nothing is proved");
    });
}

#[test]
fn a_snapshot_of_single_reads_is_found_out() {
    seeds::is_found_out(20, "such a tree there never was", |seed| {
        play(seed, Takes::Reads);
    });
}
