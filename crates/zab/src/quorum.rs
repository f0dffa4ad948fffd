//! What is a quorum: a majority of the voters, or of the weights in a majority of the groups.
//!
//! As Apache's `QuorumMaj` and `QuorumHierarchical`: a group whose weights add up to nothing does
//! not count, and a voter of weight 0 never leads.

use bellwether_wire::quorum::{EnsembleConfig, LearnerType, ServerId};
use std::collections::{BTreeMap, BTreeSet};

/// Who votes, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The voters and their weights.
    weights: BTreeMap<ServerId, u64>,
    /// The group of each voter; everybody is in the same one where there are none.
    groups: BTreeMap<ServerId, i64>,
}

impl Quorum {
    /// That of an ensemble.
    pub fn of(config: &EnsembleConfig) -> Quorum {
        let is_voter = |server: &&ServerId| {
            config.servers.get(server).is_some_and(|spec| spec.role == LearnerType::Participant)
        };
        let voters: Vec<ServerId> = config.servers.keys().filter(is_voter).copied().collect();
        let weight = |server: &ServerId| config.weights.get(server).copied().unwrap_or(1);
        Quorum {
            weights: voters.iter().map(|server| (*server, weight(server))).collect(),
            groups: config.groups.clone(),
        }
    }

    /// Whether these are one. Who does not vote counts for nothing.
    pub fn is_quorum(&self, servers: &BTreeSet<ServerId>) -> bool {
        let mut all: BTreeMap<i64, u64> = BTreeMap::new();
        let mut have: BTreeMap<i64, u64> = BTreeMap::new();
        for (server, weight) in &self.weights {
            let group = self.groups.get(server).copied().unwrap_or_default();
            *all.entry(group).or_default() += weight;
            if servers.contains(server) {
                *have.entry(group).or_default() += weight;
            }
        }
        all.retain(|_group, weight| *weight > 0);
        let won = |group: &i64, weight: &u64| have.get(group).is_some_and(|have| 2 * have > *weight);
        let groups = all.iter().filter(|(group, weight)| won(group, weight)).count();
        2 * groups > all.len()
    }

    /// Whether it votes.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.weights.contains_key(&server)
    }

    /// Whether it may lead.
    pub fn may_lead(&self, server: ServerId) -> bool {
        self.weights.get(&server).is_some_and(|weight| *weight > 0)
    }

    /// Everybody who votes.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.weights.keys().copied()
    }
}
