//! Connections between members: the election port's votes, and the quorum port's links.
//!
//! Everything waits until a command, or `settle`, delivers it. What is sent over a way that is cut
//! waits; of votes for a server that is not there or not reachable only the newest is kept.

use bellwether_wire::Zxid;
use bellwether_wire::quorum::{Notification, Packet};
use bellwether_zab::{LeaderLink, LearnerLink};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Everything under way.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// Votes, by sender and receiver.
    pub(crate) votes: BTreeMap<(i64, i64), VecDeque<Notification>>,
    /// Attempts to connect that nobody has answered.
    pub(crate) dials: VecDeque<Dial>,
    /// Links, by the number that the leader's shell gave them.
    pub(crate) links: BTreeMap<LearnerLink, Link>,
    /// Ways over which nothing comes.
    pub(crate) cuts: BTreeSet<(i64, i64)>,
    /// Leaders that are played by hand: they take every connection.
    pub(crate) hands: BTreeSet<i64>,
    last_link: u64,
}

/// An attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) learner: i64,
    pub(crate) link: LeaderLink,
    pub(crate) leader: i64,
}

/// A connection of a learner to a leader.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) learner: i64,
    pub(crate) leader: i64,
    /// What the learner calls it.
    pub(crate) leader_link: LeaderLink,
    /// The epoch that the leader proposed by it.
    pub(crate) epoch: u32,
    /// How many acks the learner has sent by it. The first is that of NEWLEADER.
    pub(crate) acks: u32,
    pub(crate) to_leader: VecDeque<Item>,
    pub(crate) to_learner: VecDeque<Item>,
    /// The leader closed it, or has gone: it is told nothing more.
    pub(crate) closed_by_leader: bool,
    /// Likewise the learner.
    pub(crate) closed_by_learner: bool,
}

/// What a link transports.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Packet(Packet),
    /// What follows SNAP: a whole tree.
    Tree(Zxid),
    /// The other side is gone.
    End,
}

impl Network {
    pub(crate) fn is_cut(&self, from: i64, to: i64) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// A connection that was accepted.
    pub(crate) fn connect(&mut self, dial: Dial) -> LearnerLink {
        self.last_link += 1;
        let number = LearnerLink(self.last_link);
        let Dial { learner, link: leader_link, leader } = dial;
        let link = Link {
            learner,
            leader,
            leader_link,
            epoch: 0,
            acks: 0,
            to_leader: VecDeque::new(),
            to_learner: VecDeque::new(),
            closed_by_leader: false,
            closed_by_learner: false,
        };
        self.links.insert(number, link);
        number
    }

    /// The link that a learner calls so.
    pub(crate) fn link_of(&mut self, learner: i64, link: LeaderLink) -> Option<&mut Link> {
        self.links.values_mut().find(|one| one.learner == learner && one.leader_link == link)
    }

    /// Everything that a server which is gone took part in ends.
    pub(crate) fn lose(&mut self, server: i64) {
        self.votes.retain(|(from, _), _| *from != server);
        for (_, queue) in self.votes.iter_mut().filter(|((_, to), _)| *to == server) {
            queue.drain(..queue.len().saturating_sub(1));
        }
        self.dials.retain(|dial| dial.learner != server);
        for link in self.links.values_mut() {
            if link.learner == server && !link.closed_by_learner {
                link.close_by_learner();
            }
            if link.leader == server && !link.closed_by_leader {
                link.close_by_leader();
            }
        }
    }

    /// Forgets links that nobody speaks by.
    pub(crate) fn sweep(&mut self) {
        self.links.retain(|_, link| {
            (!link.to_leader.is_empty() || !link.closed_by_learner) && !link.closed_by_leader
                || (!link.to_learner.is_empty() || !link.closed_by_leader)
                    && !link.closed_by_learner
        });
    }
}

impl Link {
    /// What is queued still comes, and then the end.
    pub(crate) fn close_by_leader(&mut self) {
        self.closed_by_leader = true;
        self.to_leader.clear();
        self.to_learner.push_back(Item::End);
    }

    pub(crate) fn close_by_learner(&mut self) {
        self.closed_by_learner = true;
        self.to_learner.clear();
        self.to_leader.push_back(Item::End);
    }
}
