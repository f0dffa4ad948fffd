//! At most one leader of an epoch commits.

use super::violation;
use crate::checkers::Checked;
use std::collections::BTreeMap;

/// Who led in each epoch: the member, and which of its lives.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Leaders {
    of: BTreeMap<u32, (usize, u64)>,
}

impl Leaders {
    /// A member began to serve as the leader of an epoch.
    pub(in crate::ensemble) fn leads(&mut self, epoch: u32, leader: (usize, u64)) -> Checked {
        match self.of.insert(epoch, leader) {
            Some(other) if other != leader => violation(
                "one leader per epoch",
                format!("{} and {} both lead in epoch {epoch}", other.0, leader.0),
            ),
            Some(_) => violation("one leader per epoch", format!("{leader:?} leads {epoch} twice")),
            None => Ok(()),
        }
    }

    /// The newest epoch that had a leader.
    pub(in crate::ensemble) fn newest(&self) -> u32 {
        self.of.keys().next_back().copied().unwrap_or(0)
    }
}
