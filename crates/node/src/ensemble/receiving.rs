//! A leader's tree on its way here: into a second tree and a file at once. When both are whole they
//! take the place of the old ones; until then the old ones stay.

use crate::effect::{Effect, EnsembleEffect};
use crate::node::Node;
use bellwether_tree::{Loader, Now, Pending, Progress, Tree};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use bellwether_zab::{Input, LeaderLink};
use std::sync::Arc;
use tracing::warn;

/// More than an empty tree has.
const SYSTEM_NODES_MAX: usize = 64;

/// A snapshot that comes from the leader.
pub(crate) struct Receiving {
    zxid: Zxid,
    stage: Stage,
}

enum Stage {
    /// Items come by this link, once the writer of an older snapshot has ended.
    Items { link: LeaderLink, loader: Box<Loader> },
    /// All came; the file is being finished.
    Saving(Box<Tree>),
    /// The file takes the place of the older ones.
    Adopting(Box<Tree>),
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving").field("zxid", &self.zxid).finish_non_exhaustive()
    }
}

/// A snapshot is announced. One that is being written here is given up for it.
pub(crate) fn begin(node: &mut Node, (link, zxid): (LeaderLink, Zxid), out: &mut Vec<Effect>) {
    abandon_own(node, out);
    let mut loader = Loader::new(node.tree.options().clone());
    loader.start_at(zxid);
    let stage = Stage::Items { link, loader: Box::new(loader) };
    node.ensemble.receiving = Some(Receiving { zxid, stage });
    out.push(Effect::Ensemble(EnsembleEffect::ReceiveSnapshot(zxid)));
}

/// More of it.
pub(crate) fn items(
    node: &mut Node,
    now: Now,
    (from, items, last): (LeaderLink, Vec<SnapshotItem>, bool),
    out: &mut Vec<Effect>,
) {
    let Some(receiving) = &mut node.ensemble.receiving else { return };
    let Stage::Items { link, loader } = &mut receiving.stage else { return };
    if *link != from {
        return; // Of a link that was given up.
    }
    for item in &items {
        if let Err(error) = loader.item(item) {
            warn!(%error, "the leader's snapshot cannot be loaded; asking again");
            fail(node, now, out);
            return;
        }
    }
    if last {
        let loader = std::mem::replace(loader.as_mut(), Loader::new(node.tree.options().clone()));
        match loader.finish(now) {
            Ok((tree, _report)) => receiving.stage = Stage::Saving(Box::new(tree)),
            Err(error) => {
                warn!(%error, "the leader's snapshot cannot be loaded; asking again");
                fail(node, now, out);
                return;
            }
        }
    }
    out.push(Effect::SnapshotSlice { items, last });
    node.tell_peer(now, Input::SnapshotPart(from), out);
}

/// The leader has nothing: an empty tree takes the place of this one, as if it had come.
pub(crate) fn begin_empty(node: &mut Node, now: Now, out: &mut Vec<Effect>) {
    let no_link = LeaderLink::default();
    begin(node, (no_link, Zxid::ZERO), out);
    let empty = Tree::new(node.tree.options().clone());
    let (mut cursor, mut all) = (empty.snapshot_start(), Vec::new());
    while empty.snapshot_next(&mut cursor, SYSTEM_NODES_MAX, &mut all) == Progress::More {}
    items(node, now, (no_link, all, true), out);
}

fn fail(node: &mut Node, now: Now, out: &mut Vec<Effect>) {
    end(node, out);
    node.tell_peer(now, Input::SnapshotFailed, out);
}

/// Gives up the snapshot of the tree that is about to be replaced.
fn abandon_own(node: &mut Node, out: &mut Vec<Effect>) {
    if node.snapshots.is_running() {
        node.snapshots.ended();
        abandon(node, out);
    }
}

fn abandon(node: &mut Node, out: &mut Vec<Effect>) {
    node.abandoned += 1;
    out.push(Effect::Ensemble(EnsembleEffect::AbandonSnapshot));
}

/// The link is gone. What is not being adopted is given up.
pub(crate) fn end(node: &mut Node, out: &mut Vec<Effect>) {
    let Some(receiving) = &node.ensemble.receiving else { return };
    match receiving.stage {
        Stage::Items { .. } | Stage::Saving(_) => {
            node.ensemble.receiving = None;
            abandon(node, out);
        }
        Stage::Adopting(_) => {} // The disk says how it ends.
    }
}

/// The writer is through with the snapshot of the leader.
pub(crate) fn written(node: &mut Node, now: Now, saved: bool, out: &mut Vec<Effect>) {
    let Some(Receiving { zxid, stage }) = node.ensemble.receiving.take() else {
        unreachable!("a snapshot is received")
    };
    match stage {
        Stage::Saving(tree) if saved => {
            node.ensemble.receiving = Some(Receiving { zxid, stage: Stage::Adopting(tree) });
            out.push(Effect::Ensemble(EnsembleEffect::AdoptSnapshot(zxid)));
            node.tell_peer(now, Input::SnapshotComplete, out);
        }
        Stage::Saving(_) | Stage::Items { .. } => {
            warn!(%zxid, "the leader's snapshot could not be written; asking again");
            node.tell_peer(now, Input::SnapshotFailed, out);
        }
        Stage::Adopting(_) => unreachable!("its writer ended before"),
    }
}

/// The file has its name, or nothing was changed.
pub(crate) fn adopted(node: &mut Node, now: Now, adopted: bool, out: &mut Vec<Effect>) {
    let receiving = node.ensemble.receiving.take();
    let Some(Receiving { zxid, stage: Stage::Adopting(tree) }) = receiving else {
        unreachable!("only a snapshot that is being adopted is")
    };
    if adopted {
        replace(node, now, *tree);
        node.ensemble.fuzzy = true;
        node.tell_peer(now, Input::SnapshotReceived(zxid), out);
    } else {
        node.tell_peer(now, Input::SnapshotFailed, out);
    }
}

/// The log was cut; this tree is what is left.
pub(crate) fn truncated(
    node: &mut Node,
    now: Now,
    (tree, recent): (Box<Tree>, Vec<Arc<TxnRecord>>),
    out: &mut Vec<Effect>,
) {
    abandon_own(node, out);
    let last = tree.last_processed();
    replace(node, now, *tree);
    node.ensemble.fuzzy = false;
    node.tell_peer(now, Input::Truncated { last, recent }, out);
}

fn replace(node: &mut Node, now: Now, tree: Tree) {
    node.tree = tree;
    node.pending = Pending::new();
    node.show_config(now);
}
