//! What recipes give and take: values of Python that cannot be changed.

use bellwether_client::recipes as rust;
use pyo3::conversion::IntoPyObject as _;
use pyo3::prelude::*;
use std::collections::BTreeMap;

use crate::errors::Trouble;
use crate::values::{Stat, given_as_they_are, seconds, values};

values! {
    in "bellwether.recipes";

    /// Someone in the line for a lock, a lease or an office.
    Contender {
        /// The name of its node.
        name: String,
        /// What it says of itself.
        data: Vec<u8>,
        /// Its fencing token.
        fence: i64,
        /// Its session's number.
        session: i64,
        /// When it came into the line: milliseconds since 1970, by the leader's clock.
        since_ms: i64,
    }

    /// A member of a group.
    Member {
        /// The name of its node, which no other member has or will have.
        name: String,
        /// What it says of itself.
        data: Vec<u8>,
        /// When it joined: milliseconds since 1970, by the leader's clock.
        since_ms: i64,
        /// Where it stands in the order of joining.
        czxid: i64,
        /// Its session's number.
        session: i64,
    }

    /// What happened in a group.
    MemberChange {
        /// "joined", "updated" (it says something else of itself) or "left".
        kind: String,
        /// The member; one that left, as it was.
        member: Member,
    }

    /// A node of a snapshot.
    Node {
        /// Its data.
        data: Vec<u8>,
        /// Its stat.
        stat: Stat,
    }

    /// One node's part in what changed in a subtree.
    NodeChange {
        /// "added", "changed" (its data was set) or "removed".
        kind: String,
        /// Its path.
        path: String,
        /// The node; one that was removed, as it was.
        node: Node,
        /// For "changed": the node as it was; else None.
        before: Option<Node>,
    }

    /// What is voted on.
    Proposal {
        /// The question.
        question: String,
        /// How many may vote. More than half of them accept it, present or not.
        electors: u32,
        /// How many seconds it is open, from its creation by the leader's clock.
        open_for: f64,
    }

    /// How many have said what.
    Tally {
        /// For the proposal.
        yes: u32,
        /// Against it.
        no: u32,
    }

    /// The end of a ballot.
    Outcome {
        /// "accepted", "rejected" (no majority was possible any more) or "expired".
        verdict: String,
        /// The votes that were counted.
        tally: Tally,
    }

    /// What became of a vote.
    Cast {
        /// "counted", "voted-before" (this elector had) or "closed" (the ballot had ended).
        kind: String,
        /// For "counted": the votes up to it; else None.
        tally: Option<Tally>,
        /// For "voted-before": what was said then; else None.
        vote: Option<String>,
        /// For "closed": how it ended; else None.
        outcome: Option<Outcome>,
    }

    /// Whose a claim is.
    Claimant {
        /// The owner's name.
        owner: String,
        /// Until when: milliseconds since 1970, by the leader's clock. It may be over.
        deadline_ms: i64,
    }

    /// Whose a key of once-only marks is.
    Claimed {
        /// "first" (the caller's: it is to be done by it) or "already" (somebody has set about it,
        /// or the caller itself has done it).
        kind: String,
        /// For "already": who; else None.
        by: Option<String>,
        /// For "already": when, in milliseconds since 1970, by the leader's clock; else None.
        when_ms: Option<i64>,
        /// For "already": what came out; None as long as it is not done.
        result: Option<Vec<u8>>,
    }

    /// An instance of a service.
    #[signature (id, address, port, weight=1, health="up".to_owned(), metadata=BTreeMap::new(), registered_ms=0)]
    Instance {
        /// Its id, which no other instance of the service has.
        id: String,
        /// Where it listens: a name or an address.
        address: String,
        /// And the port.
        port: u16,
        /// Its share of the work, beside that of the others.
        weight: u32,
        /// What it says of its health: "up", "draining" (it takes nothing new) or "down".
        health: String,
        /// Whatever else it says of itself: text by text.
        metadata: BTreeMap<String, String>,
        /// When it registered: milliseconds since 1970, by its own clock; `register` sets it.
        registered_ms: i64,
    }

    /// Somebody who can have partitions.
    #[signature (id, weight=1)]
    Worker {
        /// Its name, which is nobody else's.
        id: String,
        /// Its share, beside the weights of the others. One of 0 gets nothing.
        weight: u32,
    }
}
given_as_they_are!(
    Claimant,
    Claimed,
    Contender,
    Member,
    MemberChange,
    Node,
    NodeChange,
    Proposal,
    Tally,
    Outcome,
    Cast,
    Instance
);

impl From<rust::Contender> for Contender {
    fn from(contender: rust::Contender) -> Contender {
        let rust::Contender { name, data, fence, session, since_ms } = contender;
        let (fence, session) = (fence.0.0, session.0);
        Contender { name: name.into(), data: data.to_vec(), fence, session, since_ms }
    }
}

impl From<rust::Member> for Member {
    fn from(member: rust::Member) -> Member {
        let rust::Member { name, data, since_ms, czxid, session } = member;
        let (czxid, session) = (czxid.0, session.0);
        Member { name: name.into(), data: data.to_vec(), since_ms, czxid, session }
    }
}

impl From<rust::MemberChange> for MemberChange {
    fn from(change: rust::MemberChange) -> MemberChange {
        let (kind, member) = match change {
            rust::MemberChange::Joined(member) => ("joined", member),
            rust::MemberChange::Updated(member) => ("updated", member),
            rust::MemberChange::Left(member) => ("left", member),
        };
        MemberChange { kind: kind.to_owned(), member: member.into() }
    }
}

impl From<&rust::Node> for Node {
    fn from(node: &rust::Node) -> Node {
        Node { data: node.data.to_vec(), stat: node.stat.into() }
    }
}

impl From<rust::NodeChange> for NodeChange {
    fn from(change: rust::NodeChange) -> NodeChange {
        let told = |kind: &str, path: Box<str>, node: &rust::Node, before: Option<&rust::Node>| {
            NodeChange {
                kind: kind.to_owned(),
                path: path.into(),
                node: node.into(),
                before: before.map(Node::from),
            }
        };
        match change {
            rust::NodeChange::Added { path, node } => told("added", path, &node, None),
            rust::NodeChange::Changed { path, node, before } => {
                told("changed", path, &node, Some(&before))
            }
            rust::NodeChange::Removed { path, node } => told("removed", path, &node, None),
        }
    }
}

impl Proposal {
    pub(super) fn to_core(&self) -> Result<rust::Proposal, Trouble> {
        let open_for = seconds("open_for", self.open_for)?;
        Ok(rust::Proposal { question: (*self.question).into(), electors: self.electors, open_for })
    }
}

impl From<rust::Proposal> for Proposal {
    fn from(proposal: rust::Proposal) -> Proposal {
        let rust::Proposal { question, electors, open_for } = proposal;
        Proposal { question: question.into(), electors, open_for: open_for.as_secs_f64() }
    }
}

impl From<rust::Tally> for Tally {
    fn from(tally: rust::Tally) -> Tally {
        Tally { yes: tally.yes, no: tally.no }
    }
}

impl From<rust::Outcome> for Outcome {
    fn from(outcome: rust::Outcome) -> Outcome {
        let verdict = match outcome.verdict {
            rust::Verdict::Accepted => "accepted",
            rust::Verdict::Rejected => "rejected",
            rust::Verdict::Expired => "expired",
        };
        Outcome { verdict: verdict.to_owned(), tally: outcome.tally.into() }
    }
}

/// A vote by its word.
pub(super) fn vote_of(word: &str) -> Result<rust::Vote, Trouble> {
    match word {
        "yes" => Ok(rust::Vote::Yes),
        "no" => Ok(rust::Vote::No),
        _ => Err(Trouble::Argument(format!("vote={word:?}: expected \"yes\" or \"no\""))),
    }
}

impl From<rust::Cast> for Cast {
    fn from(cast: rust::Cast) -> Cast {
        let of =
            |kind: &str| Cast { kind: kind.to_owned(), tally: None, vote: None, outcome: None };
        match cast {
            rust::Cast::Counted(tally) => Cast { tally: Some(tally.into()), ..of("counted") },
            rust::Cast::VotedBefore(vote) => {
                let word = match vote {
                    rust::Vote::Yes => "yes",
                    rust::Vote::No => "no",
                };
                Cast { vote: Some(word.to_owned()), ..of("voted-before") }
            }
            rust::Cast::Closed(outcome) => Cast { outcome: Some(outcome.into()), ..of("closed") },
        }
    }
}

/// A health by its word.
pub(super) fn health_of(word: &str) -> Result<rust::Health, Trouble> {
    match word {
        "up" => Ok(rust::Health::Up),
        "draining" => Ok(rust::Health::Draining),
        "down" => Ok(rust::Health::Down),
        _ => {
            let why = format!("health={word:?}: expected \"up\", \"draining\" or \"down\"");
            Err(Trouble::Argument(why))
        }
    }
}

impl Instance {
    pub(super) fn to_core(&self) -> Result<rust::Instance, Trouble> {
        Ok(rust::Instance {
            weight: self.weight,
            health: health_of(&self.health)?,
            metadata: self.metadata.clone(),
            registered_ms: self.registered_ms,
            ..rust::Instance::new(&self.id, &self.address, self.port)
        })
    }
}

impl From<rust::Claimant> for Claimant {
    fn from(claimant: rust::Claimant) -> Claimant {
        Claimant { owner: claimant.owner.into(), deadline_ms: claimant.deadline_ms }
    }
}

impl From<rust::Claimed> for Claimed {
    fn from(claimed: rust::Claimed) -> Claimed {
        match claimed {
            rust::Claimed::First => {
                Claimed { kind: "first".to_owned(), by: None, when_ms: None, result: None }
            }
            rust::Claimed::Already { by, when_ms, result } => Claimed {
                kind: "already".to_owned(),
                by: Some(by.into()),
                when_ms: Some(when_ms),
                result: result.map(|result| result.to_vec()),
            },
        }
    }
}

impl From<rust::Instance> for Instance {
    fn from(instance: rust::Instance) -> Instance {
        let rust::Instance { id, address, port, weight, health, metadata, registered_ms } =
            instance;
        let health = match health {
            rust::Health::Up => "up",
            rust::Health::Draining => "draining",
            rust::Health::Down => "down",
        };
        let (id, address, health) = (id.into(), address.into(), health.to_owned());
        Instance { id, address, port, weight, health, metadata, registered_ms }
    }
}

impl Worker {
    pub(super) fn to_core(&self) -> rust::Worker {
        rust::Worker::new(&self.id).weight(self.weight)
    }
}
