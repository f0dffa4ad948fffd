//! A ballot ends once and in one way for everybody, with the votes that stand there, one of each
//! elector.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::lives;
use bellwether_client::recipes::{Ballot, Cast, Outcome, Proposal, Tally, Verdict, Vote};
use bellwether_client::{Client, Error, ErrorCode, Fate};
use bellwether_sim::disk::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One process more than electors: two of them are the same elector.
const PROCESSES: usize = 4;
const ELECTORS: u32 = 3;
const OPEN_MS: u64 = 3_000;
/// From one ballot to the next.
const TURN_MS: u64 = 4_000;

#[derive(Clone, Debug)]
enum Saw {
    /// This elector is going to vote.
    Votes(Vote),
    Cast(Cast, Vote),
    /// An error that says that nothing happened.
    Denied,
    Ended(Outcome),
}

#[derive(Clone, Debug)]
struct Noted {
    ballot: u64,
    elector: String,
    saw: Saw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    ForTheResult,
    /// Wrong: a vote may still be counted, by the leader's clock.
    ByItsOwnClock,
}

async fn elector(here: Here<Noted>, waits: Waits) {
    let mut chance = here.chance();
    let mut done = None;
    while !here.is_over() {
        let client = here.connected(2_000 + chance.below(2_000)).await;
        while !here.is_over() && lives(&client) {
            let ballot = here.now_ms() / TURN_MS;
            if done != Some(ballot) {
                match attend(&here, &client, (ballot, &mut chance, waits)).await {
                    Ok(()) => done = Some(ballot),
                    // A proposal that could not be made, or the session's end.
                    Err(_) => here.pause(50).await,
                }
            }
            here.pause(chance.below(300)).await;
        }
        client.close().await;
    }
}

async fn attend(
    here: &Here<Noted>,
    client: &Client,
    (number, chance, waits): (u64, &mut Chance, Waits),
) -> Result<(), Error> {
    let elector = format!("e{}", here.process % 3);
    let note = |saw| here.note(Noted { ballot: number, elector: elector.clone(), saw });
    let ballot = Ballot::new(client, &format!("/ballots/{number}"));
    let open_for = Duration::from_millis(OPEN_MS);
    let proposal = Proposal { question: "what?".into(), electors: ELECTORS, open_for };
    match ballot.propose(&proposal).await {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    here.pause(chance.below(OPEN_MS)).await;
    let vote = if chance.one_in(2) { Vote::Yes } else { Vote::No };
    note(Saw::Votes(vote));
    match ballot.vote(&elector, vote).await {
        Ok(cast) => note(Saw::Cast(cast, vote)),
        Err(error) => {
            if error.fate() == Fate::DidNotHappen {
                note(Saw::Denied);
            }
            return Err(error);
        }
    }
    let end = match waits {
        Waits::ForTheResult => ballot.result().await?,
        Waits::ByItsOwnClock => {
            let left = Duration::from_millis(chance.below(OPEN_MS));
            match tokio::time::timeout(left, ballot.result()).await {
                Ok(end) => end?,
                Err(_) => Outcome { verdict: Verdict::Expired, tally: ballot.tally().await? },
            }
        }
    };
    note(Saw::Ended(end));
    Ok(())
}

/// What was noted of one ballot.
#[derive(Default)]
struct Told {
    ends: Vec<Outcome>,
    /// What each elector was going to say.
    said: BTreeMap<String, Vec<Vote>>,
    /// What each elector was told about its vote: that it is this one.
    stands: BTreeMap<String, Vec<Vote>>,
    /// How often an elector was told that its vote does not count.
    late: BTreeMap<String, usize>,
}

fn told(stage: &Stage<Noted>) -> BTreeMap<u64, Told> {
    let mut ballots: BTreeMap<u64, Told> = BTreeMap::new();
    for noted in stage.notes() {
        let Noted { ballot, elector, saw } = noted.what;
        let told = ballots.entry(ballot).or_default();
        match saw {
            Saw::Votes(vote) => told.said.entry(elector).or_default().push(vote),
            Saw::Cast(Cast::Counted(_), vote) | Saw::Cast(Cast::VotedBefore(vote), _) => {
                told.stands.entry(elector).or_default().push(vote);
            }
            Saw::Cast(Cast::Closed(end), _) => {
                told.ends.push(end);
                *told.late.entry(elector).or_default() += 1;
            }
            Saw::Denied => *told.late.entry(elector).or_default() += 1,
            Saw::Ended(end) => told.ends.push(end),
        }
    }
    ballots
}

/// The votes that stand there.
fn votes(stage: &Stage<Noted>, ballot: u64) -> BTreeMap<String, Vote> {
    let directory = format!("/ballots/{ballot}/votes/");
    let nodes = stage.truth().nodes();
    let votes = nodes.iter().filter_map(|(path, (data, _))| {
        let elector = path.strip_prefix(&directory)?;
        let yes = data.is_some_and(|data| **data == *b"yes");
        Some((elector.to_string(), if yes { Vote::Yes } else { Vote::No }))
    });
    votes.collect()
}

fn verdict(tally: Tally) -> Verdict {
    let majority = ELECTORS / 2 + 1;
    match tally {
        Tally { yes, .. } if yes >= majority => Verdict::Accepted,
        Tally { no, .. } if no > ELECTORS - majority => Verdict::Rejected,
        Tally { .. } => Verdict::Expired,
    }
}

fn judge(stage: &Stage<Noted>) {
    let mut verdicts = BTreeSet::new();
    for (ballot, told) in told(stage) {
        let votes = votes(stage, ballot);
        let count = |vote| u32::try_from(votes.values().filter(|it| **it == vote).count()).unwrap();
        let tally = Tally { yes: count(Vote::Yes), no: count(Vote::No) };
        let end = Outcome { verdict: verdict(tally), tally };
        for other in &told.ends {
            assert_eq!(*other, end, "ballot {ballot} has another end than that of {votes:?}");
            verdicts.insert(format!("{:?}", end.verdict));
        }
        for (elector, vote) in &votes {
            let said = told.said.get(elector).map(Vec::as_slice).unwrap_or_default();
            assert!(said.contains(vote), "ballot {ballot}: {elector} never said {vote:?}");
            let late = told.late.get(elector).copied().unwrap_or_default();
            assert!(late < said.len(), "ballot {ballot}: {elector} is counted, and was told not");
        }
        for (elector, stands) in &told.stands {
            let there = votes.get(elector);
            let all = stands.iter().all(|vote| Some(vote) == there);
            assert!(all, "ballot {ballot}: {elector} was told {stands:?}, and said {there:?}");
        }
    }
    assert!(verdicts.len() > 1, "they end in one way only: {verdicts:?}");
}

fn play(seed: u64, waits: Waits) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..PROCESSES {
        stage.process(move |here| elector(here, waits));
    }
    stage.strike(ROUGH);
    stage.run_for(45_000);
    stage.heal();
    let before = stage.notes().len();
    stage.run_until("everybody sees the end of another ballot", 30_000, |stage| {
        let mut saw = [false; PROCESSES];
        stage.with_notes(|notes| {
            for noted in &notes[before..] {
                saw[noted.process] |= matches!(noted.what.saw, Saw::Ended(_));
            }
        });
        saw == [true; PROCESSES]
    });
    stage.finish();
    judge(&stage);
}

#[test]
fn a_ballot_ends_in_one_way_with_the_votes_that_stand_there() {
    seeds::check("a_ballot_ends_in_one_way_with_the_votes_that_stand_there", |seed| {
        play(seed, Waits::ForTheResult);
    });
}

#[test]
fn whoever_closes_a_ballot_by_its_own_clock_is_found_out() {
    seeds::is_found_out(20, "has another end", |seed| play(seed, Waits::ByItsOwnClock));
}
