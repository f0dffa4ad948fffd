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
    pub(crate) below: Option<Box<Below>>,
    /// What it counts in the digest; see [`crate::digest`].
    pub(crate) counts: u32,
    pub(crate) stat: StatPersisted,
}

/// What is below a node: at least one child.
#[derive(Default)]
pub(crate) struct Below {
    pub(crate) children: Children,
    /// How many nodes are below it, at any depth.
    pub(crate) descendants: u32,
    /// The bytes of their data: with them, a quota set on a node knows at once what is there.
    pub(crate) data_bytes: u64,
}

impl Node {
    pub(crate) fn children(&self) -> Option<&Children> {
        self.below.as_ref().map(|below| &below.children)
    }

    pub(crate) fn children_count(&self) -> u32 {
        self.children().map_or(0, Children::len)
    }

    /// How many nodes are below it, at any depth.
    pub(crate) fn descendants(&self) -> u32 {
        self.below.as_ref().map_or(0, |below| below.descendants)
    }

    /// The bytes of its data and of all data below it.
    pub(crate) fn subtree_bytes(&self) -> u64 {
        self.data_len() as u64 + self.below.as_ref().map_or(0, |below| below.data_bytes)
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
        let bytes = node.data_len() as u64;
        self.get_mut(parent).below.get_or_insert_default().children.insert(&node.name);
        self.count_below(parent, |below| {
            below.descendants += 1;
            below.data_bytes += bytes;
        });
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
        let bytes = node.data_len() as u64;
        self.count_below(node.parent, |below| {
            below.descendants -= 1;
            below.data_bytes -= bytes;
        });
        let siblings = &mut self.get_mut(node.parent).below;
        if let Some(below) = siblings {
            below.children.remove(&node.name);
            if below.children.len() == 0 {
                *siblings = None;
            }
        }
        node
    }

    /// Replaces a node's data and returns how many bytes the former had.
    pub(crate) fn set_data(&mut self, id: NodeId, data: Option<Data>) -> usize {
        let node = self.get_mut(id);
        let len_before = node.data_len();
        node.data = data;
        let (len, parent) = (node.data_len(), node.parent);
        if len != len_before && id != ROOT {
            self.count_below(parent, |below| {
                below.data_bytes = below.data_bytes - len_before as u64 + len as u64;
            });
        }
        len_before
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

    /// Changes what is kept about what is below `from` and each node above it.
    fn count_below(&mut self, from: NodeId, change: impl Fn(&mut Below)) {
        let mut at = from;
        loop {
            let node = self.get_mut(at);
            change(node.below.as_mut().expect("it has a child, which is being counted"));
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
            below: None,
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
        assert_eq!(nodes.get(ROOT).descendants(), 2);
        nodes.remove("/a/b", ab);
        assert_eq!(nodes.find("/a/b"), None);
        assert_eq!((nodes.get(ROOT).descendants(), nodes.get(a).children_count()), (1, 0));
    }
}
