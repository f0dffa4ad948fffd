//! Going through all ephemeral nodes, session by session, one visit at a time: for the four-letter
//! word `dump`. Between two visits the tree may change; what stays is seen.

use crate::nodes::NodeId;
use crate::tree::Tree;
use bellwether_wire::SessionId;
use std::ops::Bound;

/// How far a walk has come.
#[derive(Clone, Copy, Debug)]
pub struct EphemeralWalk {
    /// The session that was told last, and the number from which its nodes are still to be told.
    told: Option<(SessionId, NodeId)>,
}

/// What one visit saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EphemeralVisit {
    /// A session that owns nodes.
    Owner(SessionId),
    /// The path of a node that it owns.
    Path(String),
    /// Everything was seen.
    End,
}

impl EphemeralWalk {
    /// A walk from the first session on.
    pub fn start() -> EphemeralWalk {
        EphemeralWalk { told: None }
    }

    /// The next visit.
    pub fn next(&mut self, tree: &Tree) -> EphemeralVisit {
        let owned = self.told.and_then(|(session, from)| {
            let node = *tree.ephemerals.get(&session)?.range(from..).next()?;
            Some((session, node))
        });
        if let Some((session, node)) = owned {
            self.told = Some((session, node + 1));
            return EphemeralVisit::Path(tree.nodes.path(node));
        }
        let after = self.told.map_or(Bound::Unbounded, |(session, _)| Bound::Excluded(session));
        let Some((session, _)) = tree.ephemerals.range((after, Bound::Unbounded)).next() else {
            return EphemeralVisit::End;
        };
        self.told = Some((*session, 0));
        EphemeralVisit::Owner(*session)
    }
}

impl Tree {
    /// How many sessions own nodes.
    pub fn ephemeral_owners(&self) -> usize {
        self.ephemerals.len()
    }
}
