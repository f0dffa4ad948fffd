//! What is counted, marked and voted while a server is killed.

use super::{Desk, Log, Turn, lives, pause, whatever};
use crate::{Checked, equal, holds};
use bellwether_client::recipes::{
    Ballot, Cast, Claimed, Counter, Once, Outcome, Proposal, Verdict, Vote,
};
use bellwether_client::{Client, ErrorCode, Fate};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What became of adding one.
#[derive(Clone, Copy, Debug)]
enum Added {
    To(i64),
    Not,
    Perhaps { alive: bool },
}

async fn count(desk: &Desk, make: fn(Counter) -> Counter) -> Result<Vec<Added>, crate::Failed> {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, _| {
        let added = make(Counter::new(client, desk_of.path())).add(1).await;
        log_of.note(match &added {
            Ok(new) => Added::To(*new),
            Err(error) if error.fate() == Fate::DidNotHappen => Added::Not,
            Err(_) => Added::Perhaps { alive: lives(client) },
        });
        if added.is_ok() {
            desk_of.step();
        }
        pause(1).await;
        Ok(whatever(added)?)
    };
    desk.crew(3, turn).await?;
    let added = log.take();
    let client = desk.client(0).await?;
    client.retrying().sync(desk.path()).await?;
    let found = usize::try_from(Counter::new(&client, desk.path()).get().await?)?;
    judge_count(&added, found)?;
    Ok(added)
}

fn judge_count(added: &[Added], found: usize) -> Checked {
    let numbers: Vec<i64> = added.iter().filter_map(number).collect();
    let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
    equal("numbers that only one came to", distinct.len(), numbers.len())?;
    let doubts = added.iter().filter(|it| matches!(it, Added::Perhaps { .. })).count();
    let possible = numbers.len()..=numbers.len() + doubts;
    holds(&format!("{found} counted, {possible:?} possible"), possible.contains(&found))
}

fn number(added: &Added) -> Option<i64> {
    match added {
        Added::To(number) => Some(*number),
        Added::Not | Added::Perhaps { .. } => None,
    }
}

pub(super) async fn counter(desk: Desk) -> Checked {
    count(&desk, |counter| counter).await.map(drop)
}

/// In doubt only when its session has ended.
pub(super) async fn exact_counter(desk: Desk) -> Checked {
    let added = count(&desk, Counter::exact).await?;
    let doubt = added.iter().find(|it| matches!(it, Added::Perhaps { alive: true }));
    holds(&format!("{doubt:?}, and the session lives"), doubt.is_none())
}

/// What an owner was told of a key.
#[derive(Clone, Debug)]
enum Mark {
    First(usize),
    Stands(Vec<u8>),
}

/// Three owners go through the same keys.
pub(super) async fn once(desk: Desk) -> Checked {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, Turn { worker, number }: Turn| {
        let once = Once::new(client, desk_of.path()).owner(&format!("owner {worker}"));
        let key = number.to_string();
        match once.claim(&key).await? {
            Claimed::First => {
                log_of.note((number, Mark::First(worker)));
                let result = format!("by {worker}");
                if once.done(&key, result.as_bytes()).await? {
                    log_of.note((number, Mark::Stands(result.into())));
                }
                desk_of.step();
            }
            Claimed::Already { result, .. } => {
                let stands = result.map(|result| (number, Mark::Stands(result.to_vec())));
                stands.into_iter().for_each(|it| log_of.note(it));
            }
        }
        Ok(())
    };
    desk.crew(3, turn).await?;
    let client = desk.client(0).await?;
    client.retrying().sync(desk.path()).await?;
    let once = Once::new(&client, desk.path());
    for (key, result) in &judge_marks(log.take())? {
        let stands = once.result(&key.to_string()).await?;
        equal(&format!("{key} at last"), stands.as_deref(), Some(result.as_slice()))?;
    }
    Ok(())
}

/// The result of each key that has one.
fn judge_marks(record: Vec<(usize, Mark)>) -> Result<BTreeMap<usize, Vec<u8>>, crate::Failed> {
    let (mut first, mut results) = (BTreeMap::new(), BTreeMap::new());
    for (key, mark) in record {
        match mark {
            Mark::First(owner) => {
                equal(&format!("the first of {key}"), *first.entry(key).or_insert(owner), owner)?;
            }
            Mark::Stands(result) => {
                let stands = results.entry(key).or_insert_with(|| result.clone());
                equal(&format!("the result of {key}"), &result, stands)?;
            }
        }
    }
    holds("somebody was the first, and done", !first.is_empty() && !results.is_empty())?;
    Ok(results)
}

/// Two against one, by turns; whoever votes late may find it closed.
fn vote(Turn { worker, number }: Turn) -> Vote {
    let with_the_most = !(worker + number).is_multiple_of(3);
    if with_the_most == number.is_multiple_of(2) { Vote::Yes } else { Vote::No }
}

pub(super) async fn ballot(desk: Desk) -> Checked {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, turn: Turn| {
        let ballot = Ballot::new(client, &format!("{}/{}", desk_of.path(), turn.number));
        let ended = desk_of.unless_over(attend(&ballot, turn)).await;
        if let Some(ended) = ended.transpose()? {
            log_of.note((turn.number, ended));
            desk_of.step();
        }
        Ok(())
    };
    desk.crew(3, turn).await?;
    let mut ballots: BTreeMap<usize, Vec<(Cast, Outcome)>> = BTreeMap::new();
    for (number, ended) in log.take() {
        ballots.entry(number).or_default().push(ended);
    }
    for (number, ended) in &ballots {
        judge(*number, ended).map_err(|why| format!("ballot {number}: {why}"))?;
    }
    let whole = ballots.values().filter(|ended| ended.len() == 3).count();
    holds("some were seen to their end by all, both ways", whole > 2)
}

async fn attend(ballot: &Ballot, turn: Turn) -> Result<(Cast, Outcome), crate::Failed> {
    let open_for = Duration::from_secs(3600);
    let proposal = Proposal { question: "what?".into(), electors: 3, open_for };
    match ballot.propose(&proposal).await {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let (elector, vote) = (format!("elector {}", turn.worker), vote(turn));
    let cast = ballot.vote(&elector, vote).await?;
    holds("an elector has voted as it did", !matches!(cast, Cast::VotedBefore(it) if it != vote))?;
    Ok((cast, ballot.result().await?))
}

fn judge(number: usize, ended: &[(Cast, Outcome)]) -> Checked {
    let verdict = if number.is_multiple_of(2) { Verdict::Accepted } else { Verdict::Rejected };
    let end = ended.first().ok_or("nobody saw its end")?.1;
    equal("the verdict", end.verdict, verdict)?;
    for (cast, outcome) in ended {
        equal("what all are told", outcome, &end)?;
        if let Cast::Closed(closed) = cast {
            equal("what the late are told", closed, &end)?;
        }
    }
    let counted = ended.iter().filter(|(cast, _)| !matches!(cast, Cast::Closed(_))).count();
    let votes = usize::try_from(end.tally.yes + end.tally.no)?;
    let all = ended.len() == 3;
    holds(
        &format!("{counted} of {votes} votes"),
        if all { counted == votes } else { counted <= votes },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_client::recipes::Tally;

    #[test]
    fn an_addition_lost_or_made_twice_is_found_out() {
        let added = [Added::To(1), Added::Not, Added::To(3), Added::Perhaps { alive: true }];
        assert!(judge_count(&added, 2).is_ok() && judge_count(&added, 3).is_ok());
        assert!(judge_count(&added, 1).is_err(), "one is lost");
        assert!(judge_count(&added, 4).is_err(), "one is counted twice");
        assert!(judge_count(&[Added::To(1), Added::To(1)], 2).is_err(), "from the same number");
    }

    #[test]
    fn two_that_are_first_or_two_results_are_found_out() {
        let (first, stands) = (|owner| (1, Mark::First(owner)), |it| (1, Mark::Stands(vec![it])));
        assert!(judge_marks(vec![first(0), stands(7), first(0), stands(7)]).is_ok());
        assert!(judge_marks(vec![first(0), stands(7), first(1)]).is_err());
        assert!(judge_marks(vec![first(0), stands(7), stands(8)]).is_err());
        assert!(judge_marks(vec![first(0)]).is_err(), "nothing is proved");
    }

    #[test]
    fn a_ballot_that_ends_otherwise_for_some_is_found_out() {
        let of = |yes, no| Outcome { verdict: Verdict::Accepted, tally: Tally { yes, no } };
        let counted = |end: Outcome| (Cast::Counted(end.tally), end);
        let late = |end: Outcome| (Cast::Closed(end), end);
        let (end, other) = (of(2, 0), of(2, 1));
        assert!(judge(2, &[counted(end), counted(end), late(end)]).is_ok());
        assert!(judge(2, &[counted(end), counted(end), late(other)]).is_err(), "two ends");
        assert!(judge(1, &[counted(end), counted(end), late(end)]).is_err(), "the other verdict");
        assert!(judge(2, &[counted(end), late(end), late(end)]).is_err(), "too few votes");
    }
}
