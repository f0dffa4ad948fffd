//! Ballots.

use super::{Bench, Check, Checked, equal, holds};
use bellwether_client::recipes::{Ballot, Cast, Proposal, Tally, Verdict, Vote};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("ballot accepts", |bench| Box::pin(ballot_accepts(bench))),
    ("ballot rejects", |bench| Box::pin(ballot_rejects(bench))),
    ("ballot expires", |bench| Box::pin(ballot_expires(bench))),
    ("ballot counts many at once", |bench| Box::pin(ballot_counts_many(bench))),
];

fn proposal(electors: u32, open_for: Duration) -> Proposal {
    Proposal { question: "upgrade?".into(), electors, open_for }
}

const LONG: Duration = Duration::from_secs(600);

async fn ballot_accepts(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let ballot = Ballot::new(&one, &bench.path);
    ballot.propose(&proposal(3, LONG)).await?;
    holds("there is one", ballot.propose(&proposal(3, LONG)).await.is_err())?;
    let waiting = Ballot::new(&two, &bench.path);
    let result = tokio::spawn(async move { waiting.result().await });
    let first = ballot.vote("a", Vote::Yes).await?;
    equal("the first", first, Cast::Counted(Tally { yes: 1, no: 0 }))?;
    let again = ballot.vote("a", Vote::No).await?;
    equal("an elector has one vote", again, Cast::VotedBefore(Vote::Yes))?;
    equal("it is open", ballot.outcome().await?, None)?;
    ballot.vote("b", Vote::Yes).await?;
    let outcome = result.await??;
    equal("the verdict", outcome.verdict, Verdict::Accepted)?;
    let late = ballot.vote("c", Vote::No).await?;
    equal("too late", late, Cast::Closed(outcome))
}

async fn ballot_rejects(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let ballot = Ballot::new(&client, &bench.path);
    ballot.propose(&proposal(4, LONG)).await?;
    for elector in ["a", "b"] {
        ballot.vote(elector, Vote::No).await?;
    }
    let outcome = ballot.result().await?;
    equal("the verdict", outcome.verdict, Verdict::Rejected)?;
    equal("the votes", outcome.tally, Tally { yes: 0, no: 2 })
}

async fn ballot_expires(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let ballot = Ballot::new(&client, &bench.path);
    ballot.propose(&proposal(3, Duration::from_millis(300))).await?;
    ballot.vote("a", Vote::Yes).await?;
    let outcome = ballot.result().await?;
    equal("the verdict", outcome.verdict, Verdict::Expired)?;
    let late = ballot.vote("b", Vote::Yes).await?;
    equal("too late", late, Cast::Closed(outcome))
}

async fn ballot_counts_many(bench: Bench) -> Checked {
    const ELECTORS: u32 = 21;
    let client = bench.client().await?;
    let ballot = Ballot::new(&client, &bench.path);
    ballot.propose(&proposal(ELECTORS, LONG)).await?;
    let mut voting = tokio::task::JoinSet::new();
    for number in 0..ELECTORS {
        let ballot = ballot.clone();
        let vote = if number % 3 == 0 { Vote::No } else { Vote::Yes };
        voting.spawn(async move { ballot.vote(&format!("e{number}"), vote).await });
    }
    let outcome = ballot.result().await?;
    equal("the verdict", outcome.verdict, Verdict::Accepted)?;
    equal("as many as it takes", outcome.tally.yes, ELECTORS / 2 + 1)?;
    let mut counted = 0;
    while let Some(cast) = voting.join_next().await {
        match cast?? {
            Cast::Counted(_) => counted += 1,
            Cast::Closed(closed) => equal("all see the same end", closed, outcome)?,
            Cast::VotedBefore(vote) => return Err(format!("nobody voted before: {vote:?}").into()),
        }
    }
    equal("what was counted", counted, outcome.tally.yes + outcome.tally.no)
}
