//! Ephemeral nodes live exactly as long as their sessions.
//!
//! The naive tree refuses a transaction that ends a session and leaves one of its nodes, and one
//! that creates a node for a session that is not there. What is left is that no member keeps one
//! that the history does not have.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::truth::Truth;
use bellwether_tree::Tree;
use bellwether_wire::SessionId;
use std::collections::BTreeSet;

/// Every ephemeral node of a tree at the end of the history belongs to a session that lives.
pub(in crate::ensemble) fn same(member: usize, tree: &Tree, truth: &Truth) -> Checked {
    let live: BTreeSet<SessionId> = truth.sessions().keys().copied().collect();
    let sessions: BTreeSet<SessionId> = tree.sessions().map(|(session, _)| session).collect();
    if sessions != live {
        let seen = format!("member {member} has the sessions {sessions:?}, not {live:?}");
        return violation("ephemerals", seen);
    }
    let expected: usize = live.iter().map(|session| truth.model().ephemerals(*session).len()).sum();
    let count = tree.ephemerals_count();
    if count != expected as u64 {
        let seen = format!("member {member} has {count} ephemeral nodes, not {expected}");
        return violation("ephemerals", seen);
    }
    Ok(())
}
