//! The tree of a member is the one that the history describes, when it begins to serve and when
//! everything has healed; then all trees and their digests are equal.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::truth::Truth;
use bellwether_tree::{Identity, Tree};
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::{SessionId, Zxid};
use std::collections::BTreeMap;

const PROMISE: &str = "equal trees";

/// Compares a tree with the history, node by node.
pub(in crate::ensemble) fn same(member: usize, tree: &Tree, truth: &Truth) -> Checked {
    if let Err(seen) = tree.check() {
        return violation(PROMISE, format!("member {member}: {seen}"));
    }
    let zxid = tree.last_processed();
    let superuser = [Identity { scheme: "super".into(), id: "".into() }];
    let mut count = 1;
    for (path, state) in truth.nodes_at(zxid) {
        count += 1;
        if path.starts_with("/zookeeper") {
            continue;
        }
        let request = Request::GetData { path: path.into(), watch: false };
        let seen = tree.read(&request, SessionId::NONE, &superuser);
        let expected = Ok(ReplyBody::Data(state.data.clone(), state.stat));
        if seen != expected {
            let seen = format!("at {zxid} {path} is {seen:?} on member {member}, not {expected:?}");
            return violation(PROMISE, seen);
        }
    }
    // The root counts twice, as Apache counts it.
    if tree.node_count() != count {
        let nodes = tree.node_count();
        let seen = format!("at {zxid} member {member} has {nodes} nodes, the history {count}");
        return violation(PROMISE, seen);
    }
    Ok(())
}

/// What members noted as their digests at one zxid is the same.
pub(in crate::ensemble) fn digest_logs(trees: &[(usize, &Tree)]) -> Checked {
    let mut noted: BTreeMap<Zxid, (usize, u64)> = BTreeMap::new();
    for (member, tree) in trees {
        for (zxid, digest) in tree.digest_log() {
            let (other, first) = *noted.entry(zxid).or_insert((*member, digest));
            if first != digest {
                let seen = format!("at {zxid} members {other} and {member} noted other digests");
                return violation(PROMISE, seen);
            }
        }
    }
    Ok(())
}

/// Everything has healed: all digests are the same.
pub(in crate::ensemble) fn digests(digests: &[(usize, u64)]) -> Checked {
    let Some((_, first)) = digests.first() else { return Ok(()) };
    match digests.iter().find(|(_, digest)| digest != first) {
        Some(_) => violation(PROMISE, format!("the digests differ: {digests:?}")),
        None => Ok(()),
    }
}
