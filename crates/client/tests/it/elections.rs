//! An election: one leads at a time, fences grow, and whoever looks on sees in the end who leads.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, are_one_after_the_other, lives, tenures};
use bellwether_client::recipes::Election;
use bellwether_client::{Client, Error, Zxid};

const TIMEOUT_MS: u64 = 1_500;
const CANDIDATES: usize = 3;
const OBSERVERS: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Saw {
    /// It led for certain, with this fencing token.
    Leads(Zxid),
    /// It was told that this one leads.
    Led(Option<Zxid>),
}

/// What a leader or an observer looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Always,
    /// Wrong: it may be another by then.
    Once,
}

async fn candidate(here: Here<Saw>, calm: Calm, looks: Looks) {
    let mut chance = here.chance();
    // Whoever does not look must have the time to be wrong.
    let longest_ms = if looks == Looks::Once { 8_000 } else { TIMEOUT_MS };
    while !here.is_over() {
        let client = here.connected(TIMEOUT_MS + chance.below(TIMEOUT_MS)).await;
        let election = Election::new(&client, "/office");
        while !here.is_over() && lives(&client) {
            let elected = tokio::select! {
                biased;
                elected = election.campaign(b"me") => elected,
                () = here.over() => break,
            };
            let Ok(leadership) = elected else { break };
            let until_ms = here.now_ms() + chance.below(longest_ms);
            while !here.is_over() && (here.now_ms() < until_ms || calm.has_come()) {
                match leadership.check() {
                    Ok(fence) => here.note(Saw::Leads(fence.0)),
                    Err(_) if looks == Looks::Once => here.note(Saw::Leads(leadership.fence().0)),
                    Err(_) => break,
                }
                here.pause(20).await;
            }
            leadership.resign().await.ok();
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

async fn observer(here: Here<Saw>, looks: Looks) {
    while !here.is_over() {
        let client = here.connected(3_000).await;
        while !here.is_over() && lives(&client) {
            // It ends with the session, or when it is over.
            look_on(&here, &client, looks).await.ok();
        }
        client.close().await;
    }
}

async fn look_on(here: &Here<Saw>, client: &Client, looks: Looks) -> Result<(), Error> {
    let mut leaders = Election::new(client, "/office").observe().await?;
    loop {
        let leader = tokio::select! {
            biased;
            leader = leaders.next() => leader?,
            () = here.over() => return Ok(()),
        };
        here.note(Saw::Led(leader.map(|leader| leader.fence.0)));
        if looks == Looks::Once {
            here.over().await;
        }
    }
}

/// The fence of the candidate whose number is the lowest.
fn leader(stage: &Stage<Saw>) -> Option<Zxid> {
    let nodes = stage.truth().nodes();
    let candidates = nodes.iter().filter_map(|(path, (_, stat))| {
        let number = path.strip_prefix("/office/")?.rsplit("__").next()?;
        Some((number, stat.czxid))
    });
    candidates.min().map(|(_, czxid)| czxid)
}

/// Whether the observers see the one that leads, and it knows.
fn is_plain_who_leads(stage: &Stage<Saw>) -> bool {
    let Some(leader) = leader(stage) else { return false };
    let now_ms = stage.now_ms();
    let mut agreed = false;
    stage.with_notes(|notes| {
        let sees = |seat: usize| {
            let last = notes.iter().rev().find(|noted| noted.process == seat);
            last.is_some_and(|it| matches!(it.what, Saw::Led(Some(seen)) if seen == leader))
        };
        let mut recent = notes.iter().rev().take_while(|noted| noted.at_ms + 100 > now_ms);
        let leads = |what: Saw| matches!(what, Saw::Leads(fence) if fence == leader);
        agreed =
            recent.any(|noted| leads(noted.what)) && (CANDIDATES..CANDIDATES + OBSERVERS).all(sees);
    });
    agreed
}

/// Plays it to its end. Gives how many terms there were.
fn play(seed: u64, leaders: Looks, observers: Looks) -> usize {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    for _ in 0..CANDIDATES {
        let calm = calm.clone();
        stage.process(move |here| candidate(here, calm.clone(), leaders));
    }
    for _ in 0..OBSERVERS {
        stage.process(move |here| observer(here, observers));
    }
    stage.strike(ROUGH);
    stage.run_for(40_000);
    stage.heal();
    calm.begin();
    stage.run_until("it is plain who leads", 20_000, is_plain_who_leads);
    stage.finish();
    let terms = tenures(stage.notes().iter().filter_map(|noted| match noted.what {
        Saw::Leads(fence) => Some((noted.at_ms, fence, ())),
        Saw::Led(_) => None,
    }));
    are_one_after_the_other(&terms);
    terms.len()
}

#[test]
fn one_leads_at_a_time_and_observers_see_who() {
    seeds::check("one_leads_at_a_time_and_observers_see_who", |seed| {
        let terms = play(seed, Looks::Always, Looks::Always);
        assert!(terms > 5, "only {terms} terms: nothing is proved");
    });
}

#[test]
fn a_leader_that_looks_only_once_is_found_out() {
    seeds::is_found_out(20, "two hold it", |seed| {
        play(seed, Looks::Once, Looks::Always);
    });
}

#[test]
fn an_observer_that_looks_only_once_is_found_out() {
    let reason = "waited in vain: it is plain who leads";
    seeds::is_found_out(20, reason, |seed| {
        play(seed, Looks::Always, Looks::Once);
    });
}
