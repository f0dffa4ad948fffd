//! What is a quorum: a majority of the voters, or of the weights in a majority of the groups.
//!
//! As Apache's `QuorumMaj` and `QuorumHierarchical`: a group whose weights add up to nothing does
//! not count, a voter of weight 0 never leads, and a group is as heavy as everybody whom its line
//! names, voter or not.

use bellwether_wire::quorum::{EnsembleConfig, Quorums, ServerId};
use std::collections::{BTreeMap, BTreeSet};

/// The only group of an ensemble without groups.
const EVERYBODY: i64 = 0;

/// Who votes, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// By their ids. They are few, and asked about for every transaction.
    voters: Vec<(ServerId, Share)>,
    /// The weights of the groups that count. Invariant: none is 0.
    groups: Vec<(i64, i64)>,
}

/// What one voter adds, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    group: i64,
    weight: i64,
}

impl Quorum {
    /// That of an ensemble.
    pub fn of(config: &EnsembleConfig) -> Quorum {
        let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
        let mut voters = Vec::new();
        match &config.quorums {
            Quorums::Majority => {
                for (server, _) in config.participants() {
                    voters.push((server, Share { group: EVERYBODY, weight: 1 }));
                    *totals.entry(EVERYBODY).or_default() += 1;
                }
            }
            Quorums::Hierarchical { groups, weights } => {
                let weight = |server: &ServerId| weights.get(server).copied().unwrap_or_default();
                for (server, group) in groups {
                    let total = totals.entry(*group).or_default();
                    *total = total.saturating_add(weight(server));
                }
                for (server, _) in config.participants() {
                    let group = groups.get(&server).copied();
                    let group = group.expect("every participant is in a group");
                    voters.push((server, Share { group, weight: weight(&server) }));
                }
            }
        }
        totals.retain(|_group, weight| *weight != 0);
        voters.sort_by_key(|(server, _)| *server);
        Quorum { voters, groups: totals.into_iter().collect() }
    }

    /// Whether these are one. Who does not vote counts for nothing.
    pub fn is_quorum(&self, servers: &BTreeSet<ServerId>) -> bool {
        self.holds(|server| servers.contains(&server))
    }

    /// Whether those of whom this holds are one. Who does not vote is not asked about.
    pub fn holds(&self, of: impl Fn(ServerId) -> bool) -> bool {
        let has_won = |(group, total): &&(i64, i64)| {
            let members = self.voters.iter().filter(|(_, share)| share.group == *group);
            let mut have: i64 = 0;
            for (server, share) in members {
                if of(*server) {
                    have = have.saturating_add(share.weight);
                }
            }
            have > *total / 2
        };
        self.groups.iter().filter(has_won).count() > self.groups.len() / 2
    }

    /// Whether it votes.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.share(server).is_some()
    }

    /// Whether it may lead.
    pub fn may_lead(&self, server: ServerId) -> bool {
        self.share(server).is_some_and(|share| share.weight != 0)
    }

    /// Everybody who votes.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.voters.iter().map(|(server, _)| *server)
    }

    fn share(&self, server: ServerId) -> Option<Share> {
        self.voters.iter().find(|(voter, _)| *voter == server).map(|(_, share)| *share)
    }
}
