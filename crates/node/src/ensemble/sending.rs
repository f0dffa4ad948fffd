//! A leader's tree on its way to learners: a walk for each, in slices that its link asks for.
//!
//! The walk is fuzzy, as that of a snapshot on disk: what changes meanwhile may be in it or not,
//! and comes again in the proposals behind it.

use crate::effect::{Effect, EnsembleEffect};
use crate::node::Node;
use bellwether_tree::{Now, Progress, SnapshotCursor};
use bellwether_wire::quorum::Packet;
use bellwether_zab::{Input, LearnerLink};
use std::collections::BTreeMap;

/// The walks that are under way.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    of: BTreeMap<LearnerLink, Walk>,
}

struct Walk {
    cursor: SnapshotCursor,
    /// The link has taken the last slice.
    taken: bool,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Walks {
    pub(crate) fn taken(&mut self, link: LearnerLink) {
        if let Some(walk) = self.of.get_mut(&link) {
            walk.taken = true;
        }
    }

    pub(crate) fn end(&mut self, link: LearnerLink) {
        self.of.remove(&link);
    }

    /// Whether a link waits for a slice.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.of.values().any(|walk| walk.taken)
    }
}

/// Announces the tree as it is and begins to walk.
pub(crate) fn begin(node: &mut Node, link: LearnerLink, out: &mut Vec<Effect>) {
    node.measures.ensemble.snapshot_syncs += 1;
    let snap = Packet::Snap { zxid: node.tree.last_processed() };
    out.push(Effect::Ensemble(EnsembleEffect::Peer(bellwether_zab::Effect::ToLearner(link, snap))));
    let walk = Walk { cursor: node.tree.snapshot_start(), taken: true };
    node.ensemble.walks.of.insert(link, walk);
}

/// Hands out the next slice to each link that waits, within `visits`.
pub(crate) fn go_on(node: &mut Node, now: Now, visits: usize, out: &mut Vec<Effect>) {
    let waits = |(link, walk): (&LearnerLink, &Walk)| walk.taken.then_some(*link);
    let links: Vec<LearnerLink> = node.ensemble.walks.of.iter().filter_map(waits).collect();
    let share = (visits / links.len().max(1)).max(1);
    for link in links {
        let Some(walk) = node.ensemble.walks.of.get_mut(&link) else { continue };
        walk.taken = false;
        let mut items = Vec::with_capacity(share);
        let last = match node.tree.snapshot_next(&mut walk.cursor, share, &mut items) {
            Progress::More => false,
            Progress::Done => true,
        };
        let slice = EnsembleEffect::SnapshotToLearner { link, items, last };
        out.push(Effect::Ensemble(slice));
        if last {
            node.ensemble.walks.end(link);
            node.tell_peer(now, Input::SnapshotSent(link), out);
        }
    }
}
