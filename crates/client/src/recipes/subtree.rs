//! A subtree kept in memory: a snapshot that some server had at one moment, and what changed since.
//!
//! What it keeps true: a snapshot that is [`Snapshot::is_settled`] is the subtree as it was between
//! two transactions. A server tells of a change before it answers any read that shows it; so when a
//! round of reads is answered and no further event has come, nothing changed in between but what
//! was read.
//!
//! One recursive watch covers all. After a gap everything is read again, and what is told is the
//! difference.

use super::line::ended;
use super::nodes::child;
use crate::{AddWatchMode, Change, Client, Data, Error, ErrorCode, EventType, MultiRead};
use crate::{PersistentWatcher, ReadResult, SessionEnd, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Nodes in one request.
const NODES_PER_READ: usize = 64;
/// Rounds of reading that were overtaken by changes before a snapshot is shown all the same.
const ROUNDS_MAX: usize = 64;

/// A node of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data; null is empty here.
    pub data: Data,
    /// Its stat.
    pub stat: Stat,
}

/// A subtree as it was at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    nodes: BTreeMap<Box<str>, Arc<Node>>,
    settled: bool,
}

impl Snapshot {
    /// The node at this path, as the client names it.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).map(|node| &**node)
    }

    /// The names of a node's children that are here, and the children, in the order of names.
    pub fn children<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below =
            self.nodes.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let length = prefix.len();
        below
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter_map(move |(path, node)| Some((path.get(length..)?, &**node)))
            .filter(|(name, _)| !name.is_empty() && !name.contains('/'))
    }

    /// Every node, in the order of paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (&**path, &**node))
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none: not even the root of the subtree is there.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether the subtree was like this between two transactions. It is not only when changes
    /// came so fast that no quiet moment was found for a long time.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// What leads from an earlier one to this.
    pub fn changes_since(&self, before: &Snapshot) -> Vec<NodeChange> {
        let mut changes = Vec::new();
        for (path, old) in before.nodes.iter().rev() {
            if !self.nodes.contains_key(path) {
                changes.push(NodeChange::Removed { path: path.clone(), node: old.clone() });
            }
        }
        for (path, node) in &self.nodes {
            let (path, node) = (path.clone(), node.clone());
            match before.nodes.get(&path) {
                None => changes.push(NodeChange::Added { path, node }),
                // Another node of the same name has another czxid; a change, another mzxid.
                Some(old) if old.stat.czxid != node.stat.czxid => {
                    changes.push(NodeChange::Removed { path: path.clone(), node: old.clone() });
                    changes.push(NodeChange::Added { path, node });
                }
                Some(old) if old.stat.mzxid != node.stat.mzxid => {
                    changes.push(NodeChange::Changed { path, node, before: old.clone() });
                }
                Some(_) => {}
            }
        }
        changes
    }
}

/// One node's part in what changed. What was removed comes first, children before parents; what was
/// added, parents before children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// It is there.
    Added {
        /// Its path.
        path: Box<str>,
        /// The node.
        node: Arc<Node>,
    },
    /// Its data was set.
    Changed {
        /// Its path.
        path: Box<str>,
        /// The node.
        node: Arc<Node>,
        /// The node as it was.
        before: Arc<Node>,
    },
    /// It is not there any more.
    Removed {
        /// Its path.
        path: Box<str>,
        /// The node as it was.
        node: Arc<Node>,
    },
}

/// What the readers see.
#[derive(Clone, Debug)]
struct Published {
    snapshot: Arc<Snapshot>,
    /// Why there will be no other.
    end: Option<Error>,
}

/// A subtree in memory, kept up to date until it is dropped or the session ends.
///
/// It is meant for up to some ten thousand nodes: every change makes a new map of them if somebody
/// holds the one before.
#[derive(Debug)]
pub struct Subtree {
    published: watch::Receiver<Published>,
    keeper: JoinHandle<()>,
}

impl Subtree {
    /// Reads the subtree at `root` and begins to follow it. The root need not be there.
    ///
    /// Nodes that this client may not read are left out.
    pub async fn open(client: &Client, root: &str) -> Result<Subtree, Error> {
        let mut keeper = Keeper::begin(client, root).await?;
        let first = Published { snapshot: keeper.snapshot.clone(), end: None };
        let (tell, published) = watch::channel(first);
        let keeper = tokio::spawn(async move { keeper.run(tell).await });
        Ok(Subtree { published, keeper })
    }

    /// The newest snapshot. It goes on being shown after the session's end.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.borrow().snapshot.clone()
    }

    /// Whoever wants to be told of changes.
    pub fn watch(&self) -> SubtreeWatch {
        SubtreeWatch { published: self.published.clone(), last: Arc::default() }
    }
}

impl Drop for Subtree {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Tells what changed in a [`Subtree`], beginning with nothing: the first update adds everything.
#[derive(Clone, Debug)]
pub struct SubtreeWatch {
    published: watch::Receiver<Published>,
    last: Arc<Snapshot>,
}

impl SubtreeWatch {
    /// Waits for a snapshot that differs from the one before, and tells what changed. A slow reader
    /// misses what came and went, never where it led.
    pub async fn next(&mut self) -> Result<(Vec<NodeChange>, Arc<Snapshot>), Error> {
        loop {
            let now = self.published.borrow_and_update().clone();
            let changes = now.snapshot.changes_since(&self.last);
            if !changes.is_empty() {
                self.last = now.snapshot.clone();
                return Ok((changes, now.snapshot));
            }
            if let Some(end) = now.end {
                return Err(end);
            }
            if self.published.changed().await.is_err() {
                return Err(ended(SessionEnd::Closed));
            }
        }
    }
}

/// What has to be read.
#[derive(Debug, Default)]
struct Stale {
    everything: bool,
    paths: BTreeSet<Box<str>>,
}

/// The task that follows.
#[derive(Debug)]
struct Keeper {
    client: Client,
    root: Box<str>,
    watcher: PersistentWatcher,
    snapshot: Arc<Snapshot>,
}

impl Keeper {
    async fn begin(client: &Client, root: &str) -> Result<Keeper, Error> {
        let retrying = client.retrying();
        let watcher = retrying.add_watch(root, AddWatchMode::PersistentRecursive).await?;
        let (client, root) = (client.clone(), root.into());
        let mut keeper = Keeper { client, root, watcher, snapshot: Arc::default() };
        keeper.catch_up(Stale { everything: true, paths: BTreeSet::new() }).await?;
        Ok(keeper)
    }

    async fn run(&mut self, tell: watch::Sender<Published>) {
        loop {
            let followed = self.follow().await;
            let snapshot = self.snapshot.clone();
            match followed {
                Ok(()) => drop(tell.send_replace(Published { snapshot, end: None })),
                Err(error) => {
                    tracing::info!(root = %self.root, %error, "a subtree is not followed any more");
                    tell.send_replace(Published { snapshot, end: Some(error) });
                    return;
                }
            }
        }
    }

    /// Waits for a change and takes in everything up to a quiet moment.
    async fn follow(&mut self) -> Result<(), Error> {
        let mut stale = Stale::default();
        stale.take(self.watcher.changed().await.map_err(ended)?);
        self.catch_up(stale).await
    }

    async fn catch_up(&mut self, mut stale: Stale) -> Result<(), Error> {
        for _ in 0..ROUNDS_MAX {
            self.pending(&mut stale)?;
            match self.read(&stale).await {
                Ok(()) => stale = Stale::default(),
                // What is read next may be what another server has.
                Err(Error::ConnectionLost) => stale.everything = true,
                Err(error) => return Err(error),
            }
            self.pending(&mut stale)?;
            if stale.is_empty() {
                Arc::make_mut(&mut self.snapshot).settled = true;
                return Ok(());
            }
        }
        Arc::make_mut(&mut self.snapshot).settled = false;
        Ok(())
    }

    fn pending(&mut self, stale: &mut Stale) -> Result<(), Error> {
        while let Some(change) = self.watcher.try_changed() {
            stale.take(change.map_err(ended)?);
        }
        Ok(())
    }

    async fn read(&mut self, stale: &Stale) -> Result<(), Error> {
        if stale.everything {
            return self.read_everything().await;
        }
        let paths: Vec<&Box<str>> = stale.paths.iter().collect();
        for some in paths.chunks(NODES_PER_READ) {
            let request = some.iter().fold(MultiRead::new(), |reads, path| reads.get_data(path));
            let results = self.client.multi_read(request).await?;
            let snapshot = Arc::make_mut(&mut self.snapshot);
            for (path, result) in some.iter().zip(results) {
                snapshot.put(path, result)?;
            }
        }
        Ok(())
    }

    /// Level by level, so that a request has many nodes.
    async fn read_everything(&mut self) -> Result<(), Error> {
        let mut found = Snapshot::default();
        let mut level: Vec<Box<str>> = vec![self.root.clone()];
        while !level.is_empty() {
            let mut below = Vec::new();
            for some in level.chunks(NODES_PER_READ) {
                let request = some
                    .iter()
                    .fold(MultiRead::new(), |reads, path| reads.get_data(path).get_children(path));
                let mut results = self.client.multi_read(request).await?.into_iter();
                for path in some {
                    let data = results.next().unwrap_or(ReadResult::Refused(ErrorCode::NoNode));
                    found.put(path, data)?;
                    below
                        .extend(results.next().into_iter().flat_map(|names| below_of(path, names)));
                }
            }
            level = below;
        }
        self.snapshot = Arc::new(found);
        Ok(())
    }
}

/// The paths of what a read of children gave.
fn below_of(parent: &str, children: ReadResult) -> Vec<Box<str>> {
    match children {
        ReadResult::Children(names) => {
            names.iter().map(|name| child(parent, name).into()).collect()
        }
        ReadResult::Data(..) | ReadResult::Refused(_) => Vec::new(),
    }
}

impl Snapshot {
    /// Takes in what was read of a node; what is not there or may not be read is left out.
    fn put(&mut self, path: &str, result: ReadResult) -> Result<(), Error> {
        match result {
            ReadResult::Data(data, stat) => {
                let data = data.unwrap_or_default();
                self.nodes.insert(path.into(), Arc::new(Node { data, stat }));
            }
            ReadResult::Refused(ErrorCode::NoNode | ErrorCode::NoAuth) => {
                self.nodes.remove(path);
            }
            ReadResult::Refused(code) => {
                let op = crate::OpCode::MultiRead;
                return Err(Error::Refused { op, path: path.into(), code });
            }
            ReadResult::Children(_) => {} // Asked for beside the data, and taken there.
        }
        Ok(())
    }
}

impl Stale {
    fn is_empty(&self) -> bool {
        !self.everything && self.paths.is_empty()
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Gap => self.everything = true,
            Change::Event(event) => match event.event {
                EventType::NodeCreated | EventType::NodeDeleted | EventType::NodeDataChanged => {
                    self.paths.insert(event.path);
                }
                // A recursive watch tells of every child by its own path. The rest concerns the
                // watch, not the nodes.
                EventType::None
                | EventType::NodeChildrenChanged
                | EventType::DataWatchRemoved
                | EventType::ChildWatchRemoved
                | EventType::PersistentWatchRemoved => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zxid;

    fn snapshot(nodes: &[(&str, i64, i64)]) -> Snapshot {
        let node = |&(path, czxid, mzxid): &(&str, i64, i64)| {
            let stat = Stat { czxid: Zxid(czxid), mzxid: Zxid(mzxid), ..Stat::default() };
            (path.into(), Arc::new(Node { data: Data::default(), stat }))
        };
        Snapshot { nodes: nodes.iter().map(node).collect(), settled: true }
    }

    #[test]
    fn the_difference_of_two_snapshots_is_told_in_an_order_that_can_be_replayed() {
        let before = snapshot(&[("/a", 1, 1), ("/a/b", 2, 2), ("/a/b/c", 3, 3), ("/d", 4, 4)]);
        let after = snapshot(&[("/a", 1, 5), ("/d", 6, 6), ("/d/e", 7, 7)]);
        let told: Vec<String> = after
            .changes_since(&before)
            .into_iter()
            .map(|change| match change {
                NodeChange::Added { path, .. } => format!("+{path}"),
                NodeChange::Changed { path, .. } => format!("={path}"),
                NodeChange::Removed { path, .. } => format!("-{path}"),
            })
            .collect();
        assert_eq!(told, ["-/a/b/c", "-/a/b", "=/a", "-/d", "+/d", "+/d/e"]);
        assert!(after.changes_since(&after).is_empty());
    }

    #[test]
    fn children_are_those_one_level_down() {
        let tree = snapshot(&[("/a", 1, 1), ("/a/b", 2, 2), ("/a/b/c", 3, 3), ("/a-b", 4, 4)]);
        let names = |path: &str| tree.children(path).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("/a"), ["b"]);
        assert_eq!(names("/"), ["a", "a-b"]);
        assert_eq!(names("/a/b/c"), [""; 0]);
    }
}
