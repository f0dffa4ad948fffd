//! A group: whoever looks on knows in the end exactly those who are there.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, lives};
use bellwether_client::recipes::{Group, MemberChange};
use bellwether_client::{Client, Error};
use std::collections::BTreeSet;

const PATH: &str = "/group";
const MEMBERS: usize = 3;
const WATCHERS: usize = 2;

#[derive(Clone, Debug)]
enum Saw {
    Joined(String),
    /// These are there.
    There(BTreeSet<String>),
}

/// What a watcher takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    EverySingleChange,
    /// Wrong: some have left.
    WhoJoins,
}

async fn member(here: Here<Saw>, calm: Calm) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(1_500)).await;
        let group = Group::new(&client, PATH);
        while !here.is_over() && lives(&client) {
            let Ok(mut membership) = group.join(b"0").await else { break };
            here.note(Saw::Joined(membership.name().to_string()));
            let until_ms = here.now_ms() + chance.below(3_000);
            while !here.is_over() && lives(&client) && (here.now_ms() < until_ms || calm.has_come())
            {
                if chance.one_in(20) {
                    membership.update(b"1").await.ok();
                }
                here.pause(50).await;
            }
            match chance.below(2) {
                0 => drop(membership),
                _ => drop(membership.leave().await),
            }
            here.pause(chance.below(500)).await;
        }
        client.close().await;
    }
}

async fn watcher(here: Here<Saw>, takes: Takes) {
    while !here.is_over() {
        let client = here.connected(3_000).await;
        while !here.is_over() && lives(&client) {
            // It ends with the session, or when it is over.
            look_on(&here, &client, takes).await.ok();
        }
        client.close().await;
    }
}

async fn look_on(here: &Here<Saw>, client: &Client, takes: Takes) -> Result<(), Error> {
    let mut changes = Group::new(client, PATH).watch().await?;
    let mut there = BTreeSet::new();
    loop {
        let change = tokio::select! {
            biased;
            change = changes.next() => change?,
            () = here.over() => return Ok(()),
        };
        match change {
            MemberChange::Joined(member) => {
                assert!(there.insert(member.name.to_string()), "{member:?} joins twice");
            }
            MemberChange::Updated(member) => {
                assert!(there.contains(&*member.name), "{member:?} is not there");
            }
            MemberChange::Left(member) if takes == Takes::EverySingleChange => {
                assert!(there.remove(&*member.name), "{member:?} leaves twice");
            }
            MemberChange::Left(_) => {}
        }
        here.note(Saw::There(there.clone()));
    }
}

/// Whether those that live are there, nobody else, and everybody knows.
fn is_plain_who_is_there(stage: &Stage<Saw>) -> bool {
    let nodes = stage.truth().nodes();
    let names = nodes.keys().filter_map(|path| path.strip_prefix("/group/"));
    let there: BTreeSet<String> = names.map(str::to_string).collect();
    let mut plain = false;
    stage.with_notes(|notes| {
        let last = |seat| notes.iter().rev().find(|noted| noted.process == seat);
        let joined = |seat| match last(seat).map(|noted| &noted.what) {
            Some(Saw::Joined(name)) => Some(name.clone()),
            Some(Saw::There(_)) | None => None,
        };
        let joined: BTreeSet<String> = (0..MEMBERS).filter_map(joined).collect();
        let knows = |seat| {
            last(seat).is_some_and(|it| matches!(&it.what, Saw::There(seen) if *seen == there))
        };
        plain =
            there.len() == MEMBERS && there == joined && (MEMBERS..MEMBERS + WATCHERS).all(knows);
    });
    plain
}

fn play(seed: u64, takes: Takes) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    for _ in 0..MEMBERS {
        let calm = calm.clone();
        stage.process(move |here| member(here, calm.clone()));
    }
    for _ in 0..WATCHERS {
        stage.process(move |here| watcher(here, takes));
    }
    stage.strike(ROUGH);
    stage.run_for(30_000);
    stage.heal();
    calm.begin();
    stage.run_until("it is plain who is there", 20_000, is_plain_who_is_there);
    stage.finish();
    let changes = stage.notes().len();
    assert!(changes > 30, "only {changes} changes: nothing is proved");
}

#[test]
fn watchers_of_a_group_know_in_the_end_who_is_there() {
    seeds::check("watchers_of_a_group_know_in_the_end_who_is_there", |seed| {
        play(seed, Takes::EverySingleChange);
    });
}

#[test]
fn a_watcher_that_never_lets_go_is_found_out() {
    seeds::is_found_out(20, "waited in vain: it is plain who is there", |seed| {
        play(seed, Takes::WhoJoins);
    });
}
