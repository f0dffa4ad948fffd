//! The state as the items of a snapshot, in slices, while transactions go on being applied.

use crate::tree::{Progress, Tree};
use bellwether_wire::disk::SnapshotItem;

/// How far a snapshot has come.
#[derive(Debug)]
pub struct SnapshotCursor {}

impl Tree {
    /// Begins a snapshot.
    pub fn snapshot_start(&self) -> SnapshotCursor {
        unimplemented!()
    }

    /// Appends the items of up to `visits_max` sessions, ACLs or nodes.
    pub fn snapshot_next(
        &self,
        cursor: &mut SnapshotCursor,
        visits_max: usize,
        out: &mut Vec<SnapshotItem>,
    ) -> Progress {
        let _ = (cursor, visits_max, out);
        unimplemented!()
    }
}
