//! The tree's check of itself, for tests: a walk that compares every figure that is kept.

use crate::change::size_of_node;
use crate::digest;
use crate::nodes::{NodeId, ROOT};
use crate::quota::Quotas;
use crate::tree::Tree;
use bellwether_wire::{Owner, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// What a walk finds.
#[derive(Default)]
struct Found {
    nodes: u32,
    digest: u64,
    data_size: u64,
    ephemerals: BTreeMap<SessionId, BTreeSet<NodeId>>,
    timed: BTreeSet<NodeId>,
    acls: BTreeMap<i64, u64>,
    quotas: Quotas,
}

impl Tree {
    /// Compares every maintained figure with a full walk, for tests.
    pub fn check(&self) -> Result<(), String> {
        let mut found = Found::default();
        self.check_below(ROOT, "", &mut found)?;
        same("nodes", &found.nodes, &self.nodes.len())?;
        same("digest", &found.digest, &self.digest)?;
        same("data size", &found.data_size, &self.data_size)?;
        same("ephemerals", &found.ephemerals, &self.ephemerals)?;
        let count = found.ephemerals.values().map(|ids| ids.len() as u64).sum();
        same("ephemerals count", &count, &self.ephemerals_count)?;
        same("timed nodes", &found.timed, &self.timed.keys().copied().collect())?;
        same("quotas", &found.quotas, &self.quotas)?;
        same("ACLs", &found.acls, &self.acls.counts())
    }

    /// Visits a subtree and returns how many nodes and bytes it has without its top.
    fn check_below(&self, id: NodeId, path: &str, found: &mut Found) -> Result<(u32, u64), String> {
        let node = self.nodes.get(id);
        self.check_node(id, path, found)?;
        let (mut descendants, mut data_bytes, mut children_count) = (0, 0, 0);
        if let Some(children) = node.children() {
            let mut next = children.after(None);
            while let Some((child_name, _)) = next {
                let child_path = format!("{path}/{child_name}");
                let child = self.nodes.find(&child_path);
                let child = child.ok_or_else(|| format!("{child_path} is not in the index"))?;
                same(&child_path, &self.nodes.get(child).parent, &id)?;
                let (child_descendants, child_bytes) =
                    self.check_below(child, &child_path, found)?;
                descendants += 1 + child_descendants;
                data_bytes += self.nodes.get(child).data_len() as u64 + child_bytes;
                children_count += 1;
                next = children.after(next);
            }
            same("children", &children_count, &children.len())?;
            assert!(children_count > 0, "a node without children has no list of them");
        }
        same("descendants", &descendants, &node.descendants())?;
        same("bytes", &(node.data_len() as u64 + data_bytes), &node.subtree_bytes())?;
        Ok((descendants, data_bytes))
    }

    fn check_node(&self, id: NodeId, path: &str, found: &mut Found) -> Result<(), String> {
        let node = self.nodes.get(id);
        found.nodes += 1;
        found.data_size += size_of_node(path, node.data_len());
        if self.options.digest {
            let counts = digest::counts(path, node.data.as_deref(), &node.stat);
            same(path, &counts, &node.counts)?;
            found.digest = found.digest.wrapping_add(u64::from(counts));
        }
        // A snapshot may give the root an owner. As in Apache it means nothing: the root stays.
        let owner = if id == ROOT { 0 } else { node.stat.ephemeral_owner };
        match Owner::decode(owner, self.options.owner_format) {
            Owner::Session(session) => {
                found.ephemerals.entry(session).or_default().insert(id);
            }
            Owner::Container | Owner::Ttl { .. } => {
                found.timed.insert(id);
            }
            Owner::None | Owner::Unknown => {} // They are in no index.
        }
        found.quotas.written(id, path, node.data.as_deref());
        let acl_id = self.acls.id(node.acl);
        if acl_id != bellwether_wire::disk::snapshot::OPEN_ACL_ID {
            *found.acls.entry(acl_id).or_default() += 1;
        }
        same(path, &self.nodes.path(id), &path.to_owned())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, kept: &T) -> Result<(), String> {
    if found == kept { Ok(()) } else { Err(format!("{what}: found {found:?}, kept {kept:?}")) }
}
