//! From a snapshot and the log to a tree.

use crate::tree::{Now, Tree, TreeOptions};
use bellwether_wire::disk::{SnapshotItem, TxnRecord};

/// Builds a tree from the items of a snapshot, then the records of the log.
pub struct Loader {
    tree: Tree,
}

/// Why a snapshot or a log cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A node's parent does not stand before it.
    MissingParent { path: Box<str> },
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::MissingParent { path } => write!(f, "the parent of {path} is missing"),
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
    /// Replayed transactions after which the digest was another one than they carry.
    pub digest_mismatches: u64,
}

impl Loader {
    /// Starts with an empty tree.
    pub fn new(options: TreeOptions) -> Loader {
        Loader { tree: Tree::new(options) }
    }

    /// Takes the next item of a snapshot.
    pub fn item(&mut self, item: SnapshotItem) -> Result<(), LoadError> {
        let _ = item;
        unimplemented!()
    }

    /// Takes the next record of the log.
    pub fn replay(&mut self, record: &TxnRecord) -> Result<(), LoadError> {
        let _ = record;
        unimplemented!()
    }

    /// The tree.
    pub fn finish(self, now: Now) -> Result<(Tree, LoadReport), LoadError> {
        drop(self.tree);
        let _ = now;
        unimplemented!()
    }
}
