//! From a snapshot and the log to a tree.
//!
//! The snapshot may be fuzzy, so every transaction after its start is replayed, whether its effect
//! is in already or not. Digests are compared from the zxid on at which the snapshot was complete;
//! where it does not say so, from the first one that is right.

use crate::acl_table::grants_nothing;
use crate::change::split;
use crate::nodes::{NodeId, ROOT};
use crate::tree::{Now, Tree, TreeOptions};
use bellwether_wire::disk::txn::{Txn, TxnHeader};
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, TxnDigest, TxnRecord};
use bellwether_wire::{OpCode, Zxid};

/// Builds a tree from the items of a snapshot, then the records of the log. Without any item it
/// starts from a new tree.
pub struct Loader {
    tree: Tree,
    stage: Stage,
    /// The zxid in the snapshot's name.
    start: Option<Zxid>,
    digests: Digests,
    /// The parent of the node before, and its path: most nodes have the one of the node before.
    parent: Option<(String, NodeId)>,
    report: LoadReport,
}

/// From where on digests are compared. Before a snapshot was complete the tree is a mixture, and no
/// digest means anything.
#[derive(Clone, Copy)]
enum Digests {
    /// From here.
    Compared,
    /// From this zxid on, at which the snapshot was complete and this was the digest.
    ComparedFrom(Zxid, TxnDigest),
    /// From the first that is right: the snapshot of a leader, which was walked while it wrote,
    /// does not say where it was complete.
    ComparedOnceRight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was given.
    New,
    /// Items come.
    Snapshot { has_root: bool },
    /// Records come.
    Log,
}

/// Why a snapshot cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A node's parent does not stand before it.
    MissingParent { path: Box<str> },
    /// A node stands there twice.
    Duplicate { path: Box<str> },
    /// A node's path cannot be one.
    BadPath { path: Box<str> },
    /// There is no root.
    NoRoot,
    /// An ACL's id is one that no server reaches by counting, and would leave none for later ones.
    AclId { id: i64 },
    /// An item of a snapshot comes after a record of the log.
    OutOfOrder,
    /// An item of a snapshot comes before it was said where the snapshot starts.
    NoStart,
}

/// The ids that ACLs in a snapshot can have: counted from 1, with as many left for later ones.
const ACL_IDS: std::ops::RangeInclusive<i64> = 0..=i64::MAX / 2;

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::MissingParent { path } => write!(f, "the parent of {path:?} is missing"),
            LoadError::Duplicate { path } => write!(f, "the node {path:?} is there twice"),
            LoadError::BadPath { path } => write!(f, "{path:?} is no path of a node"),
            LoadError::NoRoot => write!(f, "the snapshot has no root"),
            LoadError::NoStart => write!(f, "nobody said at which zxid the snapshot starts"),
            LoadError::AclId { id } => write!(f, "{id} is no id of an ACL"),
            LoadError::OutOfOrder => write!(f, "a snapshot's item follows a record of the log"),
        }
    }
}

impl std::error::Error for LoadError {}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Nodes in the tree.
    pub nodes: u64,
    /// Sessions that are alive.
    pub sessions: u64,
    /// Transactions replayed.
    pub txns: u64,
    /// How often the digest was another one than the log or the snapshot has.
    pub digest_mismatches: u64,
    /// Nodes that belonged to sessions which nobody knows, and were deleted.
    pub orphans: u64,
}

impl Loader {
    /// Starts with an empty tree.
    pub fn new(options: TreeOptions) -> Loader {
        let report = LoadReport::default();
        let (stage, digests) = (Stage::New, Digests::Compared);
        Loader { tree: Tree::new(options), stage, start: None, digests, parent: None, report }
    }

    /// Says which zxid the snapshot's name has: the last transaction that it is sure to hold. It
    /// must be said before the first item, or the server could go on from a zxid that was used
    /// already. A snapshot's own note of the last transaction is no substitute: older releases
    /// wrote none, and it was written at the end, while the snapshot may lack what came after its
    /// start.
    pub fn start_at(&mut self, zxid: Zxid) {
        self.start = Some(zxid);
        self.tree.last_processed = zxid;
    }

    /// Takes the next item of a snapshot.
    pub fn item(&mut self, item: &SnapshotItem) -> Result<(), LoadError> {
        match self.stage {
            Stage::New => {
                let start = self.start.ok_or(LoadError::NoStart)?;
                self.tree = Tree::bare(self.tree.options.clone());
                self.tree.last_processed = start;
                self.stage = Stage::Snapshot { has_root: false };
                self.digests = Digests::ComparedOnceRight;
            }
            Stage::Snapshot { .. } => {}
            Stage::Log => return Err(LoadError::OutOfOrder),
        }
        match item {
            SnapshotItem::Session { id, timeout_ms } => {
                self.tree.sessions.insert(*id, *timeout_ms);
            }
            SnapshotItem::Acl { id, .. } if !ACL_IDS.contains(id) => {
                return Err(LoadError::AclId { id: *id });
            }
            SnapshotItem::Acl { id, acl } => self.tree.acls.load(*id, acl.clone()),
            SnapshotItem::Node(node) => self.node(node)?,
            // 0 is what a server writes that has applied nothing since it started.
            SnapshotItem::Digest { zxid, digest } if *zxid > Zxid::ZERO => {
                self.digests = Digests::ComparedFrom(*zxid, *digest);
            }
            SnapshotItem::Digest { .. } => self.digests = Digests::Compared,
            SnapshotItem::LastProcessed(_) => {} // See `start_at`.
        }
        Ok(())
    }

    /// Takes the next record of the log.
    pub fn replay(&mut self, record: &TxnRecord) -> Result<(), LoadError> {
        self.end_snapshot()?;
        self.report.txns += 1;
        // Nobody watches, and the clocks of containers and TTL nodes start in the end.
        let outcome = self.tree.apply(Now { mono_ms: 0, wall_ms: 0 }, record, None);
        let zxid = record.header.zxid;
        match self.digests {
            Digests::Compared => {}
            Digests::ComparedFrom(complete_at, _) if zxid < complete_at => return Ok(()),
            Digests::ComparedFrom(complete_at, digest) => {
                self.begin_to_compare();
                if zxid == complete_at {
                    self.compare(digest);
                }
            }
            Digests::ComparedOnceRight if outcome.digest_matches != Some(true) => return Ok(()),
            Digests::ComparedOnceRight => self.begin_to_compare(),
        }
        if outcome.digest_matches == Some(false) {
            self.report.digest_mismatches += 1;
        }
        Ok(())
    }

    /// Up to here the tree was a mixture.
    fn begin_to_compare(&mut self) {
        self.digests = Digests::Compared;
        self.tree.digest_log.clear();
    }

    /// The tree.
    pub fn finish(mut self, now: Now) -> Result<(Tree, LoadReport), LoadError> {
        self.end_snapshot()?;
        match self.digests {
            Digests::Compared => {}
            Digests::ComparedFrom(..) | Digests::ComparedOnceRight => self.tree.digest_log.clear(),
        }
        self.tree.add_system_nodes();
        self.delete_orphans();
        self.tree.start_clocks(now);
        self.report.nodes = u64::from(self.tree.nodes.len());
        self.report.sessions = self.tree.sessions_count();
        Ok((self.tree, self.report))
    }

    fn node(&mut self, node: &SnapshotNode) -> Result<(), LoadError> {
        let SnapshotNode { path, data, acl_id, stat } = node;
        let (data, acl_id, stat) = (data.clone(), *acl_id, *stat);
        let tree = &mut self.tree;
        tree.loaded_max = tree.loaded_max.max(stat.czxid);
        if path.is_empty() {
            if self.stage == (Stage::Snapshot { has_root: true }) {
                return Err(LoadError::Duplicate { path: path.clone() });
            }
            self.stage = Stage::Snapshot { has_root: true };
            tree.set_node_data("", ROOT, data, |root| *root = stat);
            let acl = tree.acls.loaded(acl_id);
            let acl = acl.unwrap_or_else(|| tree.acls.acquire(&[grants_nothing()]));
            tree.nodes.get_mut(ROOT).acl = acl;
            return Ok(());
        }
        let Some((parent_path, name)) = split(path) else {
            return Err(LoadError::BadPath { path: path.clone() });
        };
        let has_root = self.stage == (Stage::Snapshot { has_root: true });
        let parent = match &self.parent {
            Some((known, parent)) if known == parent_path => Some(*parent),
            Some(_) | None => tree.nodes.find(parent_path),
        };
        let Some(parent) = parent.filter(|_| has_root) else {
            return Err(LoadError::MissingParent { path: path.clone() });
        };
        if tree.nodes.find(path).is_some() {
            return Err(LoadError::Duplicate { path: path.clone() });
        }
        let acl = tree.acls.loaded(acl_id);
        let acl = acl.unwrap_or_else(|| tree.acls.acquire(&[grants_nothing()]));
        tree.attach_to(parent, path, name, data, (acl, stat));
        if self.parent.as_ref().is_none_or(|(_, known)| *known != parent) {
            self.parent = Some((parent_path.to_owned(), parent));
        }
        Ok(())
    }

    /// Everything of the snapshot is there; a digest of this very moment can be compared at once.
    fn end_snapshot(&mut self) -> Result<(), LoadError> {
        match self.stage {
            Stage::Snapshot { has_root: false } => return Err(LoadError::NoRoot),
            Stage::Snapshot { has_root: true } => {
                self.tree.acls.purge();
                self.tree.recount_quotas();
            }
            Stage::New => {}
            Stage::Log => return Ok(()),
        }
        self.stage = Stage::Log;
        let start = self.tree.last_processed;
        if let Digests::ComparedFrom(complete_at, digest) = self.digests
            && complete_at <= start
        {
            self.digests = Digests::Compared;
            // Its start may be later than the last transaction before it.
            if complete_at == start {
                self.compare(digest);
            }
        }
        Ok(())
    }

    fn compare(&mut self, digest: TxnDigest) {
        let comparable = self.tree.options.digest && digest.version == TxnDigest::VERSION;
        if comparable && digest.digest != self.tree.digest.cast_signed() {
            self.report.digest_mismatches += 1;
        }
    }

    /// Deletes what belongs to sessions that do not exist, as Apache does when it starts: their end
    /// was in the part of the log that the snapshot replaced.
    fn delete_orphans(&mut self) {
        let tree = &mut self.tree;
        let is_dead = |id: &&bellwether_wire::SessionId| !tree.sessions.contains_key(id);
        let dead: Vec<_> = tree.ephemerals.keys().filter(is_dead).copied().collect();
        let zxid = tree.last_processed;
        for session in dead {
            let count = tree.ephemerals_count;
            let op = OpCode::CloseSession;
            let header = TxnHeader { session, cxid: 0, zxid, time_ms: 0, op };
            let txn = Txn::CloseSession { paths: None };
            let record = TxnRecord { header, txn, digest: None };
            tree.apply(Now { mono_ms: 0, wall_ms: 0 }, &record, None);
            self.report.orphans += count - tree.ephemerals_count;
        }
    }
}
