//! Which container and TTL nodes are to go.

use crate::tree::{Now, Progress, Tree};

/// How far a look through the container and TTL nodes has come.
#[derive(Debug)]
pub struct ReapCursor {}

impl Tree {
    /// Begins a look through the container and TTL nodes.
    pub fn reap_start(&self) -> ReapCursor {
        unimplemented!()
    }

    /// Looks at up to `visits_max` of them and appends the paths of those that are to go.
    /// `never_used_ms` is the age at which a container that never had a child goes, 0 for never.
    pub fn reap_next(
        &self,
        now: Now,
        cursor: &mut ReapCursor,
        visits_max: usize,
        never_used_ms: u64,
        out: &mut Vec<Box<str>>,
    ) -> Progress {
        let _ = (now, cursor, visits_max, never_used_ms, out);
        unimplemented!()
    }
}
