//! What proposed transactions will change, for the requests that are prepared before they apply.
//!
//! A request is judged by the tree as it will be when everything before it has been applied, so
//! pipelined writes that depend on each other come out as if they were made one by one. A node
//! whose newest pending change is applied is looked up in the tree again.
//!
//! The root's path is `""` here.

use crate::quota::Exceeded;
use crate::tree::Tree;
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, SessionId, Zxid};
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a request needs to know of a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeView {
    pub(crate) stat: StatPersisted,
    pub(crate) children: u32,
    pub(crate) acl: Arc<[Acl]>,
    pub(crate) data: Option<Data>,
    /// What it counts in the digest; see [`crate::digest`].
    pub(crate) counts: u32,
}

/// A path, and its hash in the tree's index.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) path: &'a str,
    pub(crate) hash: u64,
}

impl<'a> Key<'a> {
    pub(crate) fn new(tree: &Tree, path: &'a str) -> Key<'a> {
        let path = if path == "/" { "" } else { path };
        Key { path, hash: tree.nodes.hash(path) }
    }
}

/// A change of one node: its state after it, `None` for a deleted node.
pub(crate) struct NodeChange {
    pub(crate) state: Option<NodeView>,
    /// What the change adds to the digest.
    pub(crate) digest: u64,
    /// The session that a created node belongs to.
    pub(crate) owner: Option<SessionId>,
}

/// What becomes of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SessionChange {
    Begins,
    Ends,
}

struct PendingNode {
    hash: u64,
    path: Arc<str>,
    /// The newest transaction that changes it.
    zxid: Zxid,
    state: Option<NodeView>,
}

struct Queued {
    zxid: Zxid,
    subject: Subject,
}

enum Subject {
    Node { hash: u64, path: Arc<str>, digest: u64, owner: Option<SessionId> },
    Session(SessionId),
}

/// What a change of a node replaced.
struct Undo {
    hash: u64,
    path: Arc<str>,
    replaced: Option<PendingNode>,
}

/// Changes that are proposed and not yet applied.
///
/// Invariants: `nodes` has the newest change of every node in `queue`; `digest` is the sum of what
/// the queue's changes add; `ephemerals` counts the queue's changes that create each path for a
/// session.
#[derive(Default)]
pub struct Pending {
    nodes: HashTable<PendingNode>,
    sessions: BTreeMap<SessionId, (Zxid, SessionChange)>,
    ephemerals: BTreeMap<(SessionId, Arc<str>), u32>,
    queue: VecDeque<Queued>,
    digest: u64,
    /// What the changes of the write in preparation replaced, oldest first; `None` outside.
    undo: Option<Vec<Undo>>,
    /// What the writes prepared of late exceed; see [`crate::quota`].
    pub(crate) exceeded: Vec<Exceeded>,
}

impl Pending {
    /// Nothing is pending.
    pub fn new() -> Pending {
        Pending::default()
    }

    /// Forgets what `zxid` and those before it changed: the tree has it.
    pub fn applied(&mut self, zxid: Zxid) {
        while let Some(oldest) = self.queue.pop_front_if(|queued| queued.zxid <= zxid) {
            match &oldest.subject {
                Subject::Node { hash, path, .. } => {
                    let is_it = |node: &PendingNode| node.path == *path && node.zxid == oldest.zxid;
                    // A newer change of the node, which is still pending, stays.
                    if let Ok(found) = self.nodes.find_entry(*hash, is_it) {
                        found.remove();
                    }
                }
                Subject::Session(session) => {
                    if self.sessions.get(session).is_some_and(|(newest, _)| *newest == oldest.zxid)
                    {
                        self.sessions.remove(session);
                    }
                }
            }
            self.uncount(oldest.subject);
        }
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many changes are pending.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// What is known here of a node: `None` nothing, `Some(None)` that it will be deleted.
    pub(crate) fn get(&self, key: Key<'_>) -> Option<Option<&NodeView>> {
        let node = self.nodes.find(key.hash, |node| *node.path == *key.path)?;
        Some(node.state.as_ref())
    }

    /// What will have become of a session, if that is pending.
    pub(crate) fn session(&self, session: SessionId) -> Option<SessionChange> {
        self.sessions.get(&session).map(|(_, change)| *change)
    }

    /// The paths that pending changes create for a session; some may be deleted again.
    pub(crate) fn ephemeral_paths(&self, session: SessionId) -> impl Iterator<Item = &Arc<str>> {
        let from = (session, Arc::from(""));
        let own =
            self.ephemerals.range(from..).take_while(move |((owner, _), _)| *owner == session);
        own.map(|((_, path), _)| path)
    }

    /// What the pending changes will add to the tree's digest.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn change_node(&mut self, zxid: Zxid, key: Key<'_>, change: NodeChange) {
        let NodeChange { state, digest, owner } = change;
        let found = self.nodes.find_mut(key.hash, |node| *node.path == *key.path);
        let (path, replaced) = match found {
            Some(node) => {
                let path = Arc::clone(&node.path);
                let (hash, path2) = (key.hash, Arc::clone(&path));
                let new = PendingNode { hash, path: path2, zxid, state };
                (path, Some(std::mem::replace(node, new)))
            }
            None => {
                let path: Arc<str> = key.path.into();
                let new = PendingNode { hash: key.hash, path: Arc::clone(&path), zxid, state };
                self.nodes.insert_unique(key.hash, new, |node| node.hash);
                (path, None)
            }
        };
        if let Some(undo) = &mut self.undo {
            undo.push(Undo { hash: key.hash, path: Arc::clone(&path), replaced });
        }
        if let Some(session) = owner {
            *self.ephemerals.entry((session, Arc::clone(&path))).or_default() += 1;
        }
        self.digest = self.digest.wrapping_add(digest);
        let subject = Subject::Node { hash: key.hash, path, digest, owner };
        self.queue.push_back(Queued { zxid, subject });
    }

    pub(crate) fn change_session(&mut self, zxid: Zxid, session: SessionId, change: SessionChange) {
        self.sessions.insert(session, (zxid, change));
        self.queue.push_back(Queued { zxid, subject: Subject::Session(session) });
    }

    /// From here on changes can be taken back.
    pub(crate) fn begin_undo(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// The changes since [`Pending::begin_undo`] stay.
    pub(crate) fn keep(&mut self) {
        self.undo = None;
    }

    /// The changes since [`Pending::begin_undo`] are taken back.
    pub(crate) fn roll_back(&mut self) {
        let undo = self.undo.take().expect("it was begun");
        for Undo { hash, path, replaced } in undo.into_iter().rev() {
            let newest = self.queue.pop_back().expect("every change was queued");
            self.uncount(newest.subject);
            let found = self.nodes.find_entry(hash, |node| node.path == path);
            let mut found = found.ok().expect("what is undone was done");
            match replaced {
                Some(node) => *found.get_mut() = node,
                None => {
                    found.remove();
                }
            }
        }
    }

    fn uncount(&mut self, subject: Subject) {
        match subject {
            Subject::Node { path, digest, owner, .. } => {
                self.digest = self.digest.wrapping_sub(digest);
                let Some(session) = owner else { return };
                let key = (session, path);
                let count = self.ephemerals.get_mut(&key).expect("every creation was counted");
                *count -= 1;
                if *count == 0 {
                    self.ephemerals.remove(&key);
                }
            }
            Subject::Session(_) => {} // It has no part in the figures.
        }
    }
}
