//! The few ways in which the tree changes; each keeps every figure about it up to date.
//!
//! They know nothing of transactions, sessions' rights or watches: [`crate::apply`] and
//! [`crate::load`] do. Paths are those of nodes that exist, `""` for the root.

use crate::acl_table::AclRef;
use crate::digest;
use crate::nodes::{Node, NodeId, ROOT};
use crate::tree::Tree;
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, ErrorCode, Owner, Zxid};

/// What a path and its data add to [`Tree::approximate_data_size`]. Java counts a string's length
/// in UTF-16 code units, and the root under both its names.
pub(crate) fn size_of_node(path: &str, data_len: usize) -> u64 {
    let chars = if path.is_ascii() { path.len() } else { path.encode_utf16().count() };
    let size = chars as u64 + data_len as u64;
    if path.is_empty() { 2 * size + 1 } else { size }
}

/// The path of a node's parent and its name. `None` for the root, and for what is no path: `/` is
/// a name of the root, but no parent's path, or `//a` would be a name of `/a`.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/').filter(|(parent, name)| !name.is_empty() && *parent != "/")
}

impl Tree {
    /// Adds a node where none is. The caller has seen that its parent exists and made `acl` count.
    pub(crate) fn attach(
        &mut self,
        path: &str,
        data: Option<Data>,
        acl: AclRef,
        stat: StatPersisted,
    ) -> NodeId {
        let (parent_path, name) = split(path).expect("the caller split the path");
        let parent = self.nodes.find(parent_path).expect("the caller saw the parent");
        self.attach_to(parent, path, name, data, (acl, stat))
    }

    /// As [`Tree::attach`], for who knows the parent.
    pub(crate) fn attach_to(
        &mut self,
        parent: NodeId,
        path: &str,
        name: &str,
        data: Option<Data>,
        (acl, stat): (AclRef, StatPersisted),
    ) -> NodeId {
        let counts = self.counts(path, data.as_deref(), &stat);
        let node = Node { parent, name: name.into(), data, acl, below: None, counts, stat };
        let id = self.nodes.insert(path, node);
        self.count(id, path);
        id
    }

    /// Removes a node and what is below it: nothing, but in the replay of a log over a snapshot
    /// that already holds the children which a later node at this path had.
    pub(crate) fn detach(&mut self, path: &str, id: NodeId) {
        let mut at = id;
        let mut at_path = path.to_owned();
        loop {
            let children = self.nodes.get(at).children();
            if let Some((name, _)) = children.and_then(|children| children.after(None)) {
                at_path.push('/');
                at_path.push_str(name);
                at = self.nodes.find(&at_path).expect("a child's name leads to it");
                continue;
            }
            self.uncount(at, &at_path);
            let node = self.nodes.remove(&at_path, at);
            self.acls.release(node.acl);
            if at == id {
                return;
            }
            let end = at_path.len() - node.name.len() - 1;
            at_path.truncate(end);
            at = node.parent;
        }
    }

    /// Changes a node's stat, but for its owner.
    pub(crate) fn change_stat(
        &mut self,
        path: &str,
        id: NodeId,
        change: impl FnOnce(&mut StatPersisted),
    ) {
        let enabled = self.options.digest;
        let node = self.nodes.get_mut(id);
        change(&mut node.stat);
        let before = node.counts;
        if enabled {
            node.counts = digest::counts(path, node.data.as_deref(), &node.stat);
        }
        let after = node.counts;
        self.replace_digest(before, after);
    }

    /// A child was created: the parent's figures are raised and never lowered, because a replay
    /// over a later snapshot comes across creates whose effect is already in. -1 means one more
    /// than there is.
    pub(crate) fn raise_cversion(&mut self, path: &str, id: NodeId, cversion: i32, zxid: Zxid) {
        self.change_stat(path, id, |stat| {
            let cversion = if cversion == -1 { stat.cversion.wrapping_add(1) } else { cversion };
            if cversion > stat.cversion {
                stat.cversion = cversion;
                stat.pzxid = zxid;
            }
        });
    }

    /// Sets a node's data, and changes its stat.
    pub(crate) fn set_node_data(
        &mut self,
        path: &str,
        id: NodeId,
        data: Option<Data>,
        change: impl FnOnce(&mut StatPersisted),
    ) {
        let enabled = self.options.digest;
        let len_before = self.nodes.set_data(id, data);
        let node = self.nodes.get_mut(id);
        let before = node.counts;
        change(&mut node.stat);
        if enabled {
            node.counts = digest::counts(path, node.data.as_deref(), &node.stat);
        }
        let after = node.counts;
        let len = node.data_len();
        let key = if id == ROOT { "" } else { path };
        self.data_size -= size_of_node(key, len_before);
        self.data_size += size_of_node(key, len);
        self.replace_digest(before, after);
    }

    /// Sets a node's ACL and its version.
    pub(crate) fn set_node_acl(
        &mut self,
        path: &str,
        acl: &[Acl],
        aversion: i32,
    ) -> Result<NodeId, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        self.replace_acl(id, acl);
        self.change_stat(path, id, |stat| stat.aversion = aversion);
        Ok(id)
    }

    /// Sets a node's ACL and nothing else.
    pub(crate) fn replace_acl(&mut self, id: NodeId, acl: &[Acl]) {
        let acl = self.acls.acquire(acl);
        let before = std::mem::replace(&mut self.nodes.get_mut(id).acl, acl);
        self.acls.release(before);
    }

    /// Takes a node into the figures about the whole.
    pub(crate) fn count(&mut self, id: NodeId, path: &str) {
        let node = self.nodes.get(id);
        self.data_size += size_of_node(path, node.data_len());
        match Owner::decode(node.stat.ephemeral_owner, self.options.owner_format) {
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(id);
                self.ephemerals_count += 1;
            }
            Owner::Container | Owner::Ttl { .. } => {
                self.timed.insert(id, 0);
            }
            Owner::None | Owner::Unknown => {} // They end only when a client deletes them.
        }
        self.digest = self.digest.wrapping_add(u64::from(self.nodes.get(id).counts));
        self.quotas.written(id, path, self.nodes.get(id).data.as_deref());
    }

    fn uncount(&mut self, id: NodeId, path: &str) {
        self.quotas.removed(path);
        self.digest = self.digest.wrapping_sub(u64::from(self.nodes.get(id).counts));
        let node = self.nodes.get(id);
        self.data_size -= size_of_node(path, node.data_len());
        match Owner::decode(node.stat.ephemeral_owner, self.options.owner_format) {
            Owner::Session(session) => {
                let ids = self.ephemerals.get_mut(&session).expect("its ephemeral nodes are there");
                ids.remove(&id);
                if ids.is_empty() {
                    self.ephemerals.remove(&session);
                }
                self.ephemerals_count -= 1;
            }
            Owner::Container | Owner::Ttl { .. } => {
                self.timed.remove(&id);
            }
            Owner::None | Owner::Unknown => {} // They are in no index.
        }
    }

    /// Notes that a container or TTL node was created or its data set.
    pub(crate) fn touch(&mut self, id: NodeId, mono_ms: i64) {
        if let Some(touched) = self.timed.get_mut(&id) {
            *touched = mono_ms;
        }
    }

    /// What a node counts in the digest.
    pub(crate) fn counts(&self, path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u32 {
        if self.options.digest { digest::counts(path, data, stat) } else { 0 }
    }

    fn replace_digest(&mut self, before: u32, after: u32) {
        self.digest = self.digest.wrapping_sub(u64::from(before)).wrapping_add(u64::from(after));
    }
}
