//! A ballot: a proposal that so many electors vote on, accepted by more than half of them before a
//! deadline.
//!
//! What it keeps true: every vote and every closing is one multi that also sets the tally at the
//! version that was read. So votes are counted one after the other, none after the closing, and the
//! result is written by whatever closes: once, and never changed.

use super::exact::unknown;
use super::line::ended;
use super::nodes::{child, ensure_above, read};
use crate::{Client, Create, CreateMode, Error, ErrorCode, Multi, Stat};
use serde_json::{Value, json};
use std::time::Duration;

/// A ballot at a path.
#[derive(Clone, Debug)]
pub struct Ballot {
    client: Client,
    path: Box<str>,
}

/// What is voted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The question.
    pub question: Box<str>,
    /// How many may vote. More than half of them accept it, present or not.
    pub electors: u32,
    /// How long it is open, from its creation by the leader's clock.
    pub open_for: Duration,
}

/// What an elector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// For the proposal.
    Yes,
    /// Against it.
    No,
}

/// How many have said what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// For the proposal.
    pub yes: u32,
    /// Against it.
    pub no: u32,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More than half of the electors said yes.
    Accepted,
    /// So many said no that no majority was possible any more.
    Rejected,
    /// The deadline came first.
    Expired,
}

/// The end of a ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The votes that were counted.
    pub tally: Tally,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// It is counted; with the votes up to it.
    Counted(Tally),
    /// This elector had voted before, and this is what was said then.
    VotedBefore(Vote),
    /// The ballot had ended.
    Closed(Outcome),
}

impl Vote {
    fn word(self) -> &'static str {
        match self {
            Vote::Yes => "yes",
            Vote::No => "no",
        }
    }

    fn of(word: &[u8]) -> Option<Vote> {
        [Vote::Yes, Vote::No].into_iter().find(|vote| vote.word().as_bytes() == word)
    }
}

impl Verdict {
    const ALL: [Verdict; 3] = [Verdict::Accepted, Verdict::Rejected, Verdict::Expired];

    fn word(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Rejected => "rejected",
            Verdict::Expired => "expired",
        }
    }
}

impl Tally {
    fn with(self, vote: Vote) -> Tally {
        match vote {
            Vote::Yes => Tally { yes: self.yes.saturating_add(1), ..self },
            Vote::No => Tally { no: self.no.saturating_add(1), ..self },
        }
    }

    /// What so many votes decide, if they do.
    fn decides(self, electors: u32) -> Option<Verdict> {
        let needed = electors / 2 + 1;
        if self.yes >= needed {
            return Some(Verdict::Accepted);
        }
        let possible = electors.saturating_sub(self.no);
        (possible < needed).then_some(Verdict::Rejected)
    }
}

/// The state of a ballot that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    tally: Tally,
    version: i32,
}

impl Ballot {
    /// The ballot at `path`.
    pub fn new(client: &Client, path: &str) -> Ballot {
        Ballot { client: client.clone(), path: path.into() }
    }

    fn at(&self, name: &str) -> String {
        child(&self.path, name)
    }

    /// Opens the ballot. `NODEEXISTS` if there is one at this path.
    pub async fn propose(&self, proposal: &Proposal) -> Result<(), Error> {
        if proposal.electors == 0 {
            return Err(Error::Argument("a ballot has at least one elector"));
        }
        ensure_above(&self.client, &self.path).await?;
        let open_ms = u64::try_from(proposal.open_for.as_millis()).unwrap_or(u64::MAX);
        let token = self.client.unique_name();
        let words = json!({
            "question": &*proposal.question,
            "electors": proposal.electors,
            "open_ms": open_ms,
            "token": token,
        });
        let data = words.to_string();
        let node = |path: &str, data: &str| {
            Create::new(path, CreateMode::Persistent).data(data.as_bytes())
        };
        loop {
            let all = Multi::new()
                .create(node(&self.path, &data))
                .create(node(&self.at("votes"), ""))
                .create(node(&self.at("clock"), ""))
                .create(node(&self.at("tally"), &tally_words(Tally::default(), None)));
            match self.client.multi(all).await {
                Ok(_) => return Ok(()),
                Err(Error::ConnectionLost) => {}
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                    let (found, _) = self.client.retrying().get_data(&self.path).await?;
                    let ours = found.as_deref() == Some(data.as_bytes());
                    return if ours { Ok(()) } else { Err(error) };
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is voted on, and when it was proposed and is due, by the leader's clock, in
    /// milliseconds since 1970.
    async fn terms(&self) -> Result<(Proposal, i64), Error> {
        let (data, stat) = self.client.retrying().get_data(&self.path).await?;
        let words = parse(&data.unwrap_or_default())?;
        let number = |name: &str| words.get(name).and_then(Value::as_u64);
        let electors = number("electors").and_then(|count| u32::try_from(count).ok());
        let (Some(electors), Some(open_ms)) = (electors, number("open_ms")) else {
            return Err(UNREADABLE);
        };
        let question = words.get("question").and_then(Value::as_str).unwrap_or_default().into();
        let due_ms = stat.ctime.saturating_add(i64::try_from(open_ms).unwrap_or(i64::MAX));
        let open_for = Duration::from_millis(open_ms);
        Ok((Proposal { question, electors, open_for }, due_ms))
    }

    /// What is voted on.
    pub async fn proposal(&self) -> Result<Proposal, Error> {
        self.terms().await.map(|(proposal, _)| proposal)
    }

    /// Votes as this elector. Each elector has one vote, whichever process or session casts it: one
    /// that is repeated counts once.
    pub async fn vote(&self, elector: &str, vote: Vote) -> Result<Cast, Error> {
        if elector.is_empty() || elector.contains('/') {
            return Err(Error::Argument("an elector's name is the name of a node"));
        }
        let (proposal, due_ms) = self.terms().await?;
        let path = self.at(&format!("votes/{elector}"));
        let mut doubted = false;
        loop {
            let stands = self.stands(&path).await;
            let (count, said) = if doubted { stands.map_err(unknown)? } else { stands? };
            match (said, count) {
                (Some(said), _) if doubted && said == vote => {
                    return self.tally().await.map(Cast::Counted);
                }
                (Some(said), _) => return Ok(Cast::VotedBefore(said)),
                (None, Err(outcome)) => return Ok(Cast::Closed(outcome)),
                (None, Ok(count)) => {
                    if self.server_time_ms().await? >= due_ms {
                        self.close(count, Verdict::Expired).await?;
                        continue;
                    }
                    let tally = count.tally.with(vote);
                    let node = Create::new(&path, CreateMode::Persistent);
                    let voted = Multi::new().create(node.data(vote.word().as_bytes()));
                    let all = self.counted(voted, tally, tally.decides(proposal.electors), count);
                    match self.settle(all).await? {
                        Settled::Done => return Ok(Cast::Counted(tally)),
                        Settled::Doubt => doubted = true,
                        Settled::Overtaken => {}
                    }
                }
            }
        }
    }

    /// The votes so far, or how it ended, and then what stands at this path: what does not stand
    /// there when the end has been read was not counted.
    async fn stands(&self, path: &str) -> Result<(Result<Count, Outcome>, Option<Vote>), Error> {
        let count = self.count().await?;
        let said = match read(&self.client, path).await? {
            Some((data, _)) => Some(Vote::of(&data).ok_or(UNREADABLE)?),
            None => None,
        };
        Ok((count, said))
    }

    /// The votes so far, or how it ended.
    async fn count(&self) -> Result<Result<Count, Outcome>, Error> {
        let (data, stat) = self.client.retrying().get_data(&self.at("tally")).await?;
        let words = parse(&data.unwrap_or_default())?;
        let number = |name: &str| {
            let count = words.get(name).and_then(Value::as_u64).ok_or(UNREADABLE)?;
            u32::try_from(count).map_err(|_too_many| UNREADABLE)
        };
        let tally = Tally { yes: number("yes")?, no: number("no")? };
        let word = words.get("verdict").and_then(Value::as_str);
        Ok(match Verdict::ALL.into_iter().find(|verdict| Some(verdict.word()) == word) {
            Some(verdict) => Err(Outcome { verdict, tally }),
            None => Ok(Count { tally, version: stat.version }),
        })
    }

    /// A multi that also sets the tally, if it is the one that was read, and the result.
    fn counted(&self, multi: Multi, tally: Tally, ends: Option<Verdict>, read: Count) -> Multi {
        let words = tally_words(tally, ends);
        let multi = multi.set_data(&self.at("tally"), words.as_bytes(), Some(read.version));
        match ends {
            Some(_) => {
                let result = Create::new(&self.at("result"), CreateMode::Persistent);
                multi.create(result.data(words.as_bytes()))
            }
            None => multi,
        }
    }

    async fn close(&self, read: Count, verdict: Verdict) -> Result<(), Error> {
        let all = self.counted(Multi::new(), read.tally, Some(verdict), read);
        self.settle(all).await.map(drop)
    }

    async fn settle(&self, all: Multi) -> Result<Settled, Error> {
        match self.client.multi(all).await {
            Ok(_) => Ok(Settled::Done),
            Err(Error::ConnectionLost) => Ok(Settled::Doubt),
            Err(error) => match error.code() {
                Some(ErrorCode::BadVersion | ErrorCode::NodeExists) => Ok(Settled::Overtaken),
                Some(_) | None => Err(error),
            },
        }
    }

    /// The leader's clock, read by a write.
    async fn server_time_ms(&self) -> Result<i64, Error> {
        loop {
            match self.client.set_data(&self.at("clock"), b"", None).await {
                Ok(Stat { mtime, .. }) => return Ok(mtime),
                Err(Error::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The votes so far.
    pub async fn tally(&self) -> Result<Tally, Error> {
        Ok(match self.count().await? {
            Ok(count) => count.tally,
            Err(outcome) => outcome.tally,
        })
    }

    /// How it ended; `None` if it has not.
    pub async fn outcome(&self) -> Result<Option<Outcome>, Error> {
        Ok(self.count().await?.err())
    }

    /// Waits for the end. Whoever waits when the deadline passes closes the ballot.
    pub async fn result(&self) -> Result<Outcome, Error> {
        let (_, due_ms) = self.terms().await?;
        loop {
            let watched = self.client.exists_and_watch(&self.at("result")).await;
            let watcher = match watched {
                Ok((_, watcher)) => watcher,
                Err(Error::ConnectionLost) => continue,
                Err(error) => return Err(error),
            };
            let count = match self.count().await? {
                Err(outcome) => return Ok(outcome),
                Ok(count) => count,
            };
            let left_ms = due_ms.saturating_sub(self.server_time_ms().await?);
            match u64::try_from(left_ms) {
                Ok(left_ms @ 1..) => {
                    tokio::select! {
                        biased;
                        fired = watcher.changed() => drop(fired.map_err(ended)?),
                        () = tokio::time::sleep(Duration::from_millis(left_ms)) => {}
                    }
                }
                Ok(_) | Err(_) => self.close(count, Verdict::Expired).await?,
            }
        }
    }
}

/// What became of a multi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Done,
    /// The connection was lost.
    Doubt,
    /// Another vote, or the closing, came first.
    Overtaken,
}

const UNREADABLE: Error = Error::Argument("what is stored at this path is not a ballot");

fn parse(data: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(data).map_err(|_not_json| UNREADABLE)
}

fn tally_words(tally: Tally, verdict: Option<Verdict>) -> String {
    let verdict = verdict.map(Verdict::word);
    json!({ "yes": tally.yes, "no": tally.no, "verdict": verdict }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yes: u32, no: u32, electors: u32, expected: Option<Verdict>) {
        assert_eq!(Tally { yes, no }.decides(electors), expected, "{yes}:{no} of {electors}");
    }

    #[test]
    fn more_than_half_of_all_electors_decide() {
        check(1, 0, 1, Some(Verdict::Accepted));
        check(0, 1, 1, Some(Verdict::Rejected));
        check(1, 0, 3, None);
        check(2, 0, 3, Some(Verdict::Accepted));
        check(2, 0, 4, None);
        check(3, 1, 4, Some(Verdict::Accepted));
        check(2, 2, 4, Some(Verdict::Rejected));
        check(0, 2, 4, Some(Verdict::Rejected));
        check(2, 1, 5, None);
    }
}
