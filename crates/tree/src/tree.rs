//! The replicated state as a whole: nodes, ACLs, sessions, and the figures kept about them.
//!
//! Every figure (digest, sizes, counts, who owns what) is kept up to date by the few changes in
//! [`crate::change`] and never computed by a walk; [`Tree::check`] walks, for tests, and compares.

use crate::acl::{self, Identity};
use crate::acl_table::AclTable;
use crate::digest_log::DigestLog;
use crate::index::PathHasher;
use crate::nodes::{Node, NodeId, Nodes, ROOT};
use crate::quota::Quotas;
use crate::schemes::Schemes;
use bellwether_wire::limits::{EXTRA_BUFFER_BYTES, MAX_BUFFER_BYTES};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, OwnerFormat, Perms, SessionId, Zxid};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Both clocks. Monotonic for expiry, wall only for stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since some start; never steps back.
    pub mono_ms: u64,
    /// Milliseconds since 1970; may step.
    pub wall_ms: i64,
}

/// Whether sliced work has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// All is done.
    Done,
}

/// The settings that the tree obeys.
#[derive(Clone, Debug)]
pub struct TreeOptions {
    /// Seeds of the hash tables.
    pub hash_seed: [u64; 2],
    /// How owners are read: `extendedTypesEnabled`, `emulate353TTLNodes`.
    pub owner_format: OwnerFormat,
    /// Whether transactions carry digests (`digest.enabled`).
    pub digest: bool,
    /// Whether ACLs are not checked (`skipACL`).
    pub skip_acl: bool,
    /// The schemes of access lists.
    pub schemes: Schemes,
    /// Whether closeSession lists the nodes to delete (`closeSessionTxn.enabled`).
    pub close_session_list: bool,
    /// Whether a write that exceeds a hard quota is refused (`enforceQuota`).
    pub enforce_quota: bool,
    /// The longest transaction that a log's reader takes, in bytes: a longer one is refused.
    pub txn_bytes_max: usize,
}

impl TreeOptions {
    /// What a server has that sets nothing of this.
    pub fn new(hash_seed: [u64; 2]) -> TreeOptions {
        TreeOptions {
            hash_seed,
            owner_format: OwnerFormat::default(),
            digest: true,
            skip_acl: false,
            schemes: Schemes::default(),
            close_session_list: true,
            enforce_quota: false,
            txn_bytes_max: MAX_BUFFER_BYTES + EXTRA_BUFFER_BYTES,
        }
    }
}

/// The replicated state.
pub struct Tree {
    pub(crate) options: TreeOptions,
    pub(crate) nodes: Nodes,
    pub(crate) acls: AclTable,
    /// Timeouts in milliseconds.
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Invariant: the nodes that belong to each session, and no empty set.
    pub(crate) ephemerals: BTreeMap<SessionId, BTreeSet<NodeId>>,
    pub(crate) ephemerals_count: u64,
    /// Container and TTL nodes: when each was created or its data last set, on the monotonic clock.
    /// Before the clock's start (below 0) for what was loaded.
    pub(crate) timed: BTreeMap<NodeId, i64>,
    pub(crate) quotas: Quotas,
    pub(crate) digest: u64,
    pub(crate) digest_log: DigestLog,
    pub(crate) data_size: u64,
    pub(crate) last_processed: Zxid,
    /// The newest node of the snapshot that was loaded: newer than the last transaction only where
    /// the log after the snapshot is missing.
    pub(crate) loaded_max: Zxid,
}

impl std::fmt::Debug for Tree {
    /// A tree may be large: it is told by its figures.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree")
            .field("last_processed", &self.last_processed)
            .field("nodes", &self.nodes.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// The nodes that exist always: they cannot be deleted.
const SYSTEM_NODES: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG_NODE];
/// Where the ensemble's configuration stands.
const CONFIG_NODE: &str = "/zookeeper/config";

/// Whether `path` is one of the nodes that exist always.
pub(crate) fn is_system_node(path: &str) -> bool {
    SYSTEM_NODES.contains(&path)
}

impl Tree {
    /// A tree with the system nodes: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Tree {
        let mut tree = Tree::bare(options);
        tree.add_system_nodes();
        tree
    }

    /// Only the root, before anything is loaded.
    pub(crate) fn bare(options: TreeOptions) -> Tree {
        let stat = StatPersisted::default();
        let digest = options.digest;
        let root = Node {
            parent: ROOT,
            name: "".into(),
            data: Some(std::sync::Arc::from([])),
            acl: crate::acl_table::AclRef::OPEN,
            below: None,
            counts: if digest { crate::digest::counts("", None, &stat) } else { 0 },
            stat,
        };
        let nodes = Nodes::new(PathHasher::new(options.hash_seed), root);
        let mut tree = Tree {
            options,
            nodes,
            acls: AclTable::new(),
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            ephemerals_count: 0,
            timed: BTreeMap::new(),
            quotas: Quotas::default(),
            digest: 0,
            digest_log: DigestLog::default(),
            data_size: 0,
            last_processed: Zxid::ZERO,
            loaded_max: Zxid::ZERO,
        };
        tree.count(ROOT, "");
        tree
    }

    /// Adds those of the system nodes that are missing.
    pub(crate) fn add_system_nodes(&mut self) {
        for path in SYSTEM_NODES {
            if self.nodes.find(path).is_none() {
                let data = Some(std::sync::Arc::from([]));
                self.attach(path, data, crate::acl_table::AclRef::OPEN, StatPersisted::default());
                if path == CONFIG_NODE {
                    // Apache sets this ACL with version -1, which the node then has.
                    let acl = Acl { perms: Perms::READ, ..Acl::world_all() };
                    self.set_node_acl(path, &[acl], -1).expect("it was just added");
                }
            }
        }
    }

    /// An epoch begins whose first zxid stands for everything that was committed before: clients
    /// that move between members have then all seen the same.
    pub fn begin_epoch(&mut self, first: Zxid) {
        self.last_processed = self.last_processed.max(first);
    }

    /// Writes the ensemble's configuration into its node. Every member does it for itself, outside
    /// any transaction; the node counts in no digest. `version` is the configuration's own, which
    /// clients see as the node's zxid; the node's version stays at Apache's -1.
    pub fn show_config(&mut self, now: Now, (text, version): (&str, i64)) {
        let data = Some(std::sync::Arc::from(text.as_bytes()));
        let node = self.nodes.find(CONFIG_NODE).expect("system nodes exist always");
        self.set_node_data(CONFIG_NODE, node, data, |stat| {
            stat.mtime = now.wall_ms;
            stat.mzxid = Zxid(version);
            stat.version = -1;
        });
    }

    /// The settings.
    pub fn options(&self) -> &TreeOptions {
        &self.options
    }

    /// Whether `acl` lets any of `identities` read: the filter of watch events.
    pub fn may_read(&self, acl: &[Acl], identities: &[Identity]) -> bool {
        self.permits(acl, Perms::READ, identities)
    }

    pub(crate) fn permits(&self, acl: &[Acl], wanted: Perms, identities: &[Identity]) -> bool {
        let options = &self.options;
        options.skip_acl || acl::permits(&options.schemes, acl, wanted, identities)
    }

    /// The newest transaction whose effects are all in.
    pub fn last_processed(&self) -> Zxid {
        self.last_processed
    }

    /// The digest of all nodes; 0 where digests are switched off.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The digests after every 128th transaction, the last 1,024 of them, oldest first.
    pub fn digest_log(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.digest_log.entries()
    }

    /// What was noted while the tree was a mixture, of a snapshot that was walked while its sender
    /// wrote and of the transactions behind it, means nothing.
    pub fn forget_digest_log(&mut self) {
        self.digest_log.clear();
    }

    /// How many nodes there are as Apache counts them: the root twice, for its names `""` and `/`.
    pub fn node_count(&self) -> u64 {
        u64::from(self.nodes.len()) + 1
    }

    /// How many of them belong to sessions.
    pub fn ephemerals_count(&self) -> u64 {
        self.ephemerals_count
    }

    /// How many nodes belong to this session.
    pub fn ephemerals_count_of(&self, session: SessionId) -> usize {
        self.ephemerals.get(&session).map_or(0, BTreeSet::len)
    }

    /// The lengths of all paths (in UTF-16 code units) and data, the root again counted twice.
    pub fn approximate_data_size(&self) -> u64 {
        self.data_size
    }

    /// How many sessions there are.
    pub fn sessions_count(&self) -> u64 {
        self.sessions.len() as u64
    }

    /// The session after this one, by id, and its timeout in milliseconds; the first after `None`.
    pub fn session_after(&self, session: Option<SessionId>) -> Option<(SessionId, i32)> {
        let after = session.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.sessions.range((after, Bound::Unbounded)).next();
        next.map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    /// The sessions and their timeouts in milliseconds, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions.iter().map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    /// A session's timeout in milliseconds; `None` where there is no such session.
    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }
}
