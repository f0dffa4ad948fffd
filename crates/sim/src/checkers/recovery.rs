//! The tree is the one that the log describes: after every start, and whenever a server has nothing
//! left to do.

use super::{Checked, violation};
use crate::model::Model;
use bellwether_tree::{Identity, Tree};
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{SessionId, Zxid};

/// A start applies everything that it reads: the next record is appended behind it.
pub(super) fn complete(tree: Zxid, read: &[TxnRecord]) -> Checked {
    match read.last().map(|record| record.header.zxid) {
        Some(log) if log > tree => {
            violation("recovery", format!("the tree is at {tree}, what was read ends at {log}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Compares tree and model, node by node.
pub(super) fn same(tree: &Tree, model: &Model) -> Checked {
    if let Err(seen) = tree.check() {
        return violation("recovery", seen);
    }
    if tree.last_processed() != model.zxid {
        let (tree, model) = (tree.last_processed(), model.zxid);
        return violation("recovery", format!("the tree is at {tree}, the log at {model}"));
    }
    // The root counts twice, as Apache counts it.
    if tree.node_count() != model.nodes.len() as u64 + 1 {
        let (tree, model) = (tree.node_count(), model.nodes.len() + 1);
        return violation("recovery", format!("the tree has {tree} nodes, the log says {model}"));
    }
    let sessions: Vec<_> = tree.sessions().collect();
    let expected: Vec<_> = model.sessions.iter().map(|(id, ms)| (*id, *ms)).collect();
    if sessions != expected {
        return violation("recovery", format!("sessions are {sessions:?}, not {expected:?}"));
    }
    let superuser = [Identity { scheme: "super".into(), id: "".into() }];
    for (path, node) in model.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper")) {
        let request = Request::GetData { path: path.as_str().into(), watch: false };
        let seen = tree.read(&request, SessionId::NONE, &superuser);
        let expected = Ok(ReplyBody::Data(node.data.clone(), node.wire_stat()));
        if seen != expected {
            return violation("recovery", format!("{path} is {seen:?}, not {expected:?}"));
        }
    }
    Ok(())
}
