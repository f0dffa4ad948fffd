//! The nodes themselves: a slab of them, and the way from a path to one.
//!
//! A node stores its own name only; its path is what its ancestors' names make. `"/"` and `""` both
//! mean the root, as they do in every client request.

use crate::acl_table::AclRef;
use crate::children::Children;
use crate::index::{PathHasher, PathIndex};
use crate::slab::Slab;
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Data, Owner, OwnerFormat, Stat};

/// A node's place in the slab.
pub(crate) type NodeId = u32;

/// The root's id: it is made first and never removed.
pub(crate) const ROOT: NodeId = 0;

/// A znode.
pub(crate) struct Node {
    /// The root is its own parent.
    pub(crate) parent: NodeId,
    /// The last component of its path; empty for the root.
    pub(crate) name: Box<str>,
    pub(crate) data: Option<Data>,
    pub(crate) acl: AclRef,
    pub(crate) children: Option<Box<Children>>,
    /// How many nodes are below it.
    pub(crate) descendants: u32,
    /// What it counts in the digest; see [`crate::digest`].
    pub(crate) counts: u32,
    pub(crate) stat: StatPersisted,
}

impl Node {
    pub(crate) fn children_count(&self) -> u32 {
        self.children.as_ref().map_or(0, |children| children.len())
    }

    pub(crate) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// The stat that clients see.
    pub(crate) fn wire_stat(&self, format: OwnerFormat) -> Stat {
        let stat = &self.stat;
        let children = i32::try_from(self.children_count()).unwrap_or(i32::MAX);
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            // The stored one counts creates. Each child that is gone was one delete more.
            cversion: stat.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: stat.aversion,
            ephemeral_owner: Owner::decode(stat.ephemeral_owner, format).on_the_wire(),
            data_length: i32::try_from(self.data_len()).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: stat.pzxid,
        }
    }
}

/// All nodes.
///
/// Invariant: every node but the root is in the index under the hash of its path, and in its
/// parent's children.
pub(crate) struct Nodes {
    slab: Slab<Node>,
    index: PathIndex,
    hasher: PathHasher,
}

impl Nodes {
    /// Only the root.
    pub(crate) fn new(hasher: PathHasher, root: Node) -> Nodes {
        let mut slab = Slab::new();
        let id = slab.insert(root);
        assert_eq!(id, ROOT, "an empty slab starts at 0");
        Nodes { slab, index: PathIndex::new(), hasher }
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> u32 {
        self.slab.len()
    }

    pub(crate) fn hash(&self, path: &str) -> u64 {
        self.hasher.hash(path)
    }

    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        self.find_hashed(path, self.hash(path))
    }

    /// As [`Nodes::find`], for who has hashed the path already.
    pub(crate) fn find_hashed(&self, path: &str, hash: u64) -> Option<NodeId> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        self.index.find(hash, |id| self.is_at(id, path))
    }

    pub(crate) fn get(&self, id: NodeId) -> &Node {
        self.slab.get(id).expect("node ids are not kept beyond their node")
    }

    /// As [`Nodes::get`], for who kept an id while nodes may have gone.
    pub(crate) fn try_get(&self, id: NodeId) -> Option<&Node> {
        self.slab.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        self.slab.get_mut(id).expect("node ids are not kept beyond their node")
    }

    /// Adds a node at `path`, where none is; its parent is `node.parent`.
    pub(crate) fn insert(&mut self, path: &str, node: Node) -> NodeId {
        let parent = node.parent;
        let children = &mut self.get_mut(parent).children;
        children.get_or_insert_default().insert(&node.name);
        self.count_descendants(parent, |descendants| descendants + 1);
        let id = self.slab.insert(node);
        self.index.insert(self.hash(path), id);
        id
    }

    /// Takes the node at `path` out, which has no children and is not the root.
    pub(crate) fn remove(&mut self, path: &str, id: NodeId) -> Node {
        assert_ne!(id, ROOT, "the root is never removed");
        let was_there = self.index.remove(self.hash(path), id);
        assert!(was_there, "every node is in the index");
        let node = self.slab.remove(id).expect("node ids are not kept beyond their node");
        let siblings = &mut self.get_mut(node.parent).children;
        if let Some(children) = siblings {
            children.remove(&node.name);
            if children.len() == 0 {
                *siblings = None;
            }
        }
        self.count_descendants(node.parent, |descendants| descendants - 1);
        node
    }

    /// A node's path. The root's is `""` here, as it is on disk.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let node = self.get(at);
            names.push(&*node.name);
            at = node.parent;
        }
        names.iter().rev().flat_map(|name| ["/", name]).collect()
    }

    fn count_descendants(&mut self, from: NodeId, change: impl Fn(u32) -> u32) {
        let mut at = from;
        loop {
            let node = self.get_mut(at);
            node.descendants = change(node.descendants);
            if at == ROOT {
                return;
            }
            at = node.parent;
        }
    }

    /// Whether the node's path is `path`: its names are compared from the last one up.
    fn is_at(&self, id: NodeId, path: &str) -> bool {
        let (mut at, mut rest) = (id, path);
        while at != ROOT {
            let node = self.get(at);
            let Some(above) = rest.strip_suffix(&*node.name) else { return false };
            let Some(above) = above.strip_suffix('/') else { return false };
            (at, rest) = (node.parent, above);
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_compact() {
        assert!(size_of::<Node>() <= 120, "{}", size_of::<Node>());
    }

    fn node(parent: NodeId, name: &str) -> Node {
        Node {
            parent,
            name: name.into(),
            data: None,
            acl: AclRef::OPEN,
            children: None,
            descendants: 0,
            counts: 0,
            stat: StatPersisted::default(),
        }
    }

    #[test]
    fn a_path_finds_its_node_and_nothing_else_does() {
        let mut nodes = Nodes::new(PathHasher::new([1, 2]), node(ROOT, ""));
        let a = nodes.insert("/a", node(ROOT, "a"));
        let ab = nodes.insert("/a/b", node(a, "b"));
        assert_eq!(nodes.find("/a/b"), Some(ab));
        assert_eq!(nodes.path(ab), "/a/b");
        assert_eq!((nodes.find("/"), nodes.find("")), (Some(ROOT), Some(ROOT)));
        for stranger in ["a", "//a", "/a/", "/b", "/a//b", "a/b", "/a/b/", "b"] {
            assert_eq!(nodes.find(stranger), None, "{stranger}");
        }
        assert_eq!(nodes.get(ROOT).descendants, 2);
        nodes.remove("/a/b", ab);
        assert_eq!(nodes.find("/a/b"), None);
        assert_eq!((nodes.get(ROOT).descendants, nodes.get(a).children_count()), (1, 0));
    }
}
