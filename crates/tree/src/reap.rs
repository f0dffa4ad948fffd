//! Which container and TTL nodes are to go.
//!
//! A container goes when it has no child but had one, or, where that is wanted, when it never had
//! one for long enough. A TTL node goes when it has no child and its data was not set for longer
//! than its time to live. The time is counted by the monotonic clock, so a step of the wall clock
//! deletes nothing; what was loaded continues from what its mtime said at the start.

use crate::nodes::NodeId;
use crate::tree::{Now, Progress, Tree};
use bellwether_wire::Owner;
use std::ops::Bound::{Excluded, Unbounded};

/// How far a look through the container and TTL nodes has come.
#[derive(Clone, Debug)]
pub struct ReapCursor {
    /// The last one looked at. What is created meanwhile is seen now or the next time.
    after: Option<NodeId>,
}

impl Tree {
    /// Begins a look through the container and TTL nodes.
    pub fn reap_start(&self) -> ReapCursor {
        ReapCursor { after: None }
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
        let now_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let from = cursor.after.map_or(Unbounded, Excluded);
        let mut rest = self.timed.range((from, Unbounded));
        for (id, touched_ms) in rest.by_ref().take(visits_max.max(1)) {
            cursor.after = Some(*id);
            if self.is_over(*id, now_ms.saturating_sub(*touched_ms), never_used_ms) {
                out.push(self.nodes.path(*id).into());
            }
        }
        if rest.next().is_some() { Progress::More } else { Progress::Done }
    }

    fn is_over(&self, id: NodeId, untouched_ms: i64, never_used_ms: u64) -> bool {
        let node = self.nodes.get(id);
        if node.below.is_some() {
            return false;
        }
        let never_used_ms = i64::try_from(never_used_ms).unwrap_or(i64::MAX);
        match Owner::decode(node.stat.ephemeral_owner, self.options.owner_format) {
            Owner::Container if node.stat.cversion > 0 => true,
            Owner::Container => never_used_ms != 0 && untouched_ms > never_used_ms,
            Owner::Ttl { ttl_ms } => ttl_ms != 0 && untouched_ms > ttl_ms,
            Owner::None | Owner::Session(_) | Owner::Unknown => false, // They are not in the index.
        }
    }

    /// Sets how long the loaded nodes have been untouched: the wall clock is asked this once.
    pub(crate) fn start_clocks(&mut self, now: Now) {
        let now_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let nodes = &self.nodes;
        for (id, touched_ms) in &mut self.timed {
            let untouched_ms = now.wall_ms.saturating_sub(nodes.get(*id).stat.mtime);
            // An mtime in the future means that a clock was wrong, not that the node lives longer.
            *touched_ms = now_ms.saturating_sub(untouched_ms.max(0));
        }
    }
}
