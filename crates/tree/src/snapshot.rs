//! The state as the items of a snapshot, in slices, while transactions go on being applied.
//!
//! Such a snapshot is fuzzy: what it holds was true at different times, all of them at or after its
//! start. The replay of the log from its start makes it whole, if two things hold that Apache's
//! server relies on too when it reads the file:
//!
//! - A node is written only if it was there when its parent was written, because the parent's count
//!   of creates must not be older than its children: Apache corrects that for `create`, but not for
//!   the other three. So children that are newer than that are left out, with all below them; the
//!   replay creates them.
//! - A node refers to an ACL of the table, which was written before. One that has a newer ACL is
//!   written with an ACL that grants nothing; the replay sets it.
//!
//! The cursor keeps nothing that a change could invalidate: per level the node's id and the zxid
//! that created it, by which it sees that the node is gone, and the name after which to go on. A
//! path alone would have to be looked up from the root in every slice, however deep it is.

use crate::acl_table::grants_nothing;
use crate::children::Place;
use crate::nodes::{NodeId, ROOT};
use crate::tree::{Progress, Tree};
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, TxnDigest};
use bellwether_wire::{SessionId, Zxid};
use std::ops::Bound::{Excluded, Unbounded};

/// How much data a slice holds, give or take a node's: whoever takes slices waits for room between
/// them, and with data of 1 MB each a thousand nodes would be a gigabyte.
const SLICE_BYTES_MAX: usize = 1 << 20;

fn data_len(item: &SnapshotItem) -> usize {
    let SnapshotItem::Node(node) = item else { return 0 };
    node.data.as_ref().map_or(0, |data| data.len())
}

/// How far a snapshot has come.
#[derive(Debug)]
pub struct SnapshotCursor {
    zxid: Zxid,
    stage: Stage,
    /// The ACLs up to this id are in the table; the next id is that of the one that grants nothing.
    acl_id_max: i64,
    /// The nodes from the root to the place that was reached.
    stack: Vec<Level>,
    /// The path of the last of them.
    path: String,
}

#[derive(Debug)]
enum Stage {
    Sessions { after: Option<SessionId> },
    Acls { after: i64 },
    Nodes,
    Closing,
    Done,
}

/// A node that was written and whose children are being visited.
#[derive(Debug)]
struct Level {
    id: NodeId,
    /// An id is given out again; together with this it names one node for good.
    czxid: Zxid,
    /// The newest transaction when the node was written.
    written_at: Zxid,
    /// The child visited last, and where it was.
    after: Option<(Box<str>, Place)>,
    path_len: usize,
}

impl SnapshotCursor {
    /// The zxid at its start, after which the replay of the log has to begin.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }
}

impl Tree {
    /// Begins a snapshot.
    pub fn snapshot_start(&self) -> SnapshotCursor {
        SnapshotCursor {
            zxid: self.last_processed,
            stage: Stage::Sessions { after: None },
            acl_id_max: self.acls.last_id(),
            stack: Vec::new(),
            path: String::new(),
        }
    }

    /// Appends the items of up to `visits_max` sessions, ACLs or nodes; fewer where their data
    /// reach [`SLICE_BYTES_MAX`].
    pub fn snapshot_next(
        &self,
        cursor: &mut SnapshotCursor,
        visits_max: usize,
        out: &mut Vec<SnapshotItem>,
    ) -> Progress {
        let mut bytes = 0;
        for _ in 0..visits_max.max(1) {
            let begun = out.len();
            match cursor.stage {
                Stage::Sessions { after } => self.snapshot_session(cursor, after, out),
                Stage::Acls { after } => self.snapshot_acl(cursor, after, out),
                Stage::Nodes => self.snapshot_child(cursor, out),
                Stage::Closing => {
                    self.snapshot_close(out);
                    cursor.stage = Stage::Done;
                }
                Stage::Done => return Progress::Done,
            }
            bytes += out.get(begun..).unwrap_or_default().iter().map(data_len).sum::<usize>();
            if bytes >= SLICE_BYTES_MAX {
                break;
            }
        }
        if matches!(cursor.stage, Stage::Done) { Progress::Done } else { Progress::More }
    }

    fn snapshot_session(
        &self,
        cursor: &mut SnapshotCursor,
        after: Option<SessionId>,
        out: &mut Vec<SnapshotItem>,
    ) {
        let from = after.map_or(Unbounded, Excluded);
        match self.sessions.range((from, Unbounded)).next() {
            Some((id, timeout_ms)) => {
                out.push(SnapshotItem::Session { id: *id, timeout_ms: *timeout_ms });
                cursor.stage = Stage::Sessions { after: Some(*id) };
            }
            None => cursor.stage = Stage::Acls { after: 0 },
        }
    }

    fn snapshot_acl(&self, cursor: &mut SnapshotCursor, after: i64, out: &mut Vec<SnapshotItem>) {
        if let Some((id, acl)) = self.acls.next(after, cursor.acl_id_max) {
            out.push(SnapshotItem::Acl { id, acl: acl.to_vec() });
            cursor.stage = Stage::Acls { after: id };
            return;
        }
        out.push(SnapshotItem::Acl { id: cursor.acl_id_max + 1, acl: vec![grants_nothing()] });
        self.snapshot_node(cursor, ROOT, out);
        cursor.stage = Stage::Nodes;
    }

    /// Visits the next child, or leaves a node that has no more.
    fn snapshot_child(&self, cursor: &mut SnapshotCursor, out: &mut Vec<SnapshotItem>) {
        let Some(level) = cursor.stack.last_mut() else {
            cursor.stage = Stage::Closing;
            return;
        };
        cursor.path.truncate(level.path_len);
        let node = self.nodes.try_get(level.id).filter(|node| node.stat.czxid == level.czxid);
        let children = node.and_then(|node| node.children());
        let after = level.after.as_ref().map(|(name, place)| (&**name, *place));
        let Some((name, place)) = children.and_then(|children| children.after(after)) else {
            cursor.stack.pop();
            return;
        };
        level.after = Some((name.into(), place));
        let written_at = level.written_at;
        cursor.path.push('/');
        cursor.path.push_str(name);
        let child = self.nodes.find(&cursor.path).expect("a child's name leads to it");
        if self.nodes.get(child).stat.czxid <= written_at {
            self.snapshot_node(cursor, child, out);
        }
    }

    /// Writes a node, whose path the cursor has, and goes on with its children.
    fn snapshot_node(&self, cursor: &mut SnapshotCursor, id: NodeId, out: &mut Vec<SnapshotItem>) {
        let node = self.nodes.get(id);
        let acl_id = self.acls.id(node.acl).min(cursor.acl_id_max + 1);
        out.push(SnapshotItem::Node(SnapshotNode {
            path: cursor.path.as_str().into(),
            data: node.data.clone(),
            acl_id,
            stat: node.stat,
        }));
        if node.below.is_some() {
            cursor.stack.push(Level {
                id,
                czxid: node.stat.czxid,
                written_at: self.last_processed.max(self.loaded_max),
                after: None,
                path_len: cursor.path.len(),
            });
        }
    }

    fn snapshot_close(&self, out: &mut Vec<SnapshotItem>) {
        if self.options.digest {
            let digest = self.digest.cast_signed();
            let digest = TxnDigest { version: TxnDigest::VERSION, digest };
            out.push(SnapshotItem::Digest { zxid: self.last_processed, digest });
        }
    }
}
