//! A committed transaction's effect on the tree.

use crate::tree::{Now, Tree};
use bellwether_wire::client::ReplyBody;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{Acl, ErrorCode};
use std::sync::Arc;

/// What a transaction answers to the client that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reply, or the code of a refused write.
    pub result: Result<ReplyBody, ErrorCode>,
    /// Whether the tree has the digest that the transaction carries; `None`: nothing to compare.
    pub digest_matches: Option<bool>,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
}

/// A change that watches may fire for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Box<str>,
    /// The node's ACL; of a deleted node, its last one.
    pub acl: Arc<[Acl]>,
    /// The parent's ACL.
    pub parent_acl: Arc<[Acl]>,
}

impl Tree {
    /// Applies a committed transaction and appends what watches may fire for.
    pub fn apply(&mut self, now: Now, record: &TxnRecord, changes: &mut Vec<Change>) -> Outcome {
        let _ = (now, record, changes);
        unimplemented!()
    }
}
