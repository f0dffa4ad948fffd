//! Who watches what on this server. Watches are not replicated; a watcher is a connection.
//!
//! A watch costs bytes: each path is stored once, with a list of pairs of a small number for the
//! watcher and a set of modes, and each watcher has the numbers of its paths, so that a connection
//! that closes is forgotten without a scan.
//!
//! Firing takes one-shot watches out of the path's list at once; each watcher's set of paths
//! follows in slices, some with every later call, because for a path that 100,000 connections watch
//! that would stop the world. So a set may hold a path that its watcher no longer watches, never
//! the reverse.

mod firing;
mod walk;

pub use firing::{Delivery, Firing};
pub use walk::{WatchVisit, WatchWalk, WatchesSummary};

use crate::apply::{Change, ChangeKind};
use crate::index::{PathHasher, PathIndex};
use crate::slab::Slab;
use crate::tree::Progress;
use bellwether_wire::client::{EventType, WatcherType};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A watcher is a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WatcherId(pub u64);

/// How a watch was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchKind {
    /// By getData or exists: once.
    Data,
    /// By getChildren: once.
    Child,
    /// By addWatch.
    Persistent,
    /// By addWatch, for everything below too.
    PersistentRecursive,
}

/// How many entries of the watchers' sets one call puts in order at most.
const SETTLED_PER_CALL: usize = 64;

/// The ways in which one watcher watches one path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const NONE: Modes = Modes(0);
    const DATA: Modes = Modes(1);
    const CHILD: Modes = Modes(2);
    const PERSISTENT: Modes = Modes(4);
    const RECURSIVE: Modes = Modes(8);
    const ANY: Modes = Modes(15);
    /// What an event of the node itself concerns: Apache's table of data watches.
    const OF_DATA: Modes = Modes(1 | 4 | 8);
    /// What an event of its children concerns: Apache's table of child watches.
    const OF_CHILDREN: Modes = Modes(2 | 4);

    fn of_kind(kind: WatchKind) -> Modes {
        match kind {
            WatchKind::Data => Modes::DATA,
            WatchKind::Child => Modes::CHILD,
            WatchKind::Persistent => Modes::PERSISTENT,
            WatchKind::PersistentRecursive => Modes::RECURSIVE,
        }
    }

    fn of_type(watches: WatcherType) -> Modes {
        match watches {
            WatcherType::Data => Modes::DATA,
            WatcherType::Children => Modes::CHILD,
            WatcherType::Persistent => Modes::PERSISTENT,
            WatcherType::PersistentRecursive => Modes::RECURSIVE,
            WatcherType::Any => Modes::ANY,
        }
    }

    fn has(self, any: Modes) -> bool {
        self.0 & any.0 != 0
    }

    fn with(self, more: Modes) -> Modes {
        Modes(self.0 | more.0)
    }

    fn without(self, less: Modes) -> Modes {
        Modes(self.0 & !less.0)
    }
}

/// One watcher's watches on a path.
#[derive(Clone, Copy)]
struct Watch {
    watcher: u32,
    modes: Modes,
}

/// The watches on a path, sorted by watcher. Most paths have one watcher.
enum Watches {
    One(Watch),
    Many(Box<ManyWatches>),
}

#[derive(Default)]
struct ManyWatches {
    list: Vec<Watch>,
    /// How many of them are in Apache's table of data watches.
    data: u32,
}

impl Watches {
    fn list(&self) -> &[Watch] {
        match self {
            Watches::One(watch) => std::slice::from_ref(watch),
            Watches::Many(many) => &many.list,
        }
    }

    fn get(&self, watcher: u32) -> Modes {
        let list = self.list();
        let found = list.binary_search_by_key(&watcher, |watch| watch.watcher);
        let watch = found.ok().and_then(|at| list.get(at));
        watch.map_or(Modes::NONE, |watch| watch.modes)
    }

    fn set(&mut self, watcher: u32, modes: Modes) {
        if let Watches::One(only) = self {
            if only.watcher == watcher {
                only.modes = modes;
                return;
            }
            let data = u32::from(only.modes.has(Modes::OF_DATA));
            *self = Watches::Many(Box::new(ManyWatches { list: vec![*only], data }));
        }
        let Watches::Many(many) = self else { unreachable!("one was just made many") };
        let before = match many.list.binary_search_by_key(&watcher, |watch| watch.watcher) {
            Ok(at) if modes == Modes::NONE => many.list.remove(at).modes,
            Ok(at) => {
                let watch = many.list.get_mut(at).expect("it was just found");
                std::mem::replace(&mut watch.modes, modes)
            }
            Err(at) => {
                many.list.insert(at, Watch { watcher, modes });
                Modes::NONE
            }
        };
        many.data -= u32::from(before.has(Modes::OF_DATA));
        many.data += u32::from(modes.has(Modes::OF_DATA));
    }

    /// Whether anybody watches in Apache's table of data watches.
    fn has_data(&self) -> bool {
        match self {
            Watches::One(watch) => watch.modes.has(Modes::OF_DATA),
            Watches::Many(many) => many.data > 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.list().iter().all(|watch| watch.modes == Modes::NONE)
    }
}

struct WatchedPath {
    path: Box<str>,
    watches: Watches,
}

struct Watcher {
    id: WatcherId,
    /// The paths it watches, and some that it no longer does.
    paths: BTreeSet<u32>,
    /// How many of its watches are in Apache's table of data watches.
    data: u32,
}

/// How many watches there are, as Apache counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Pairs of path and watcher in the table of data watches.
    data: usize,
    /// The same in the table of child watches.
    child: usize,
    /// The same with a persistent recursive watch.
    recursive: usize,
    /// Paths in the table of data watches.
    data_paths: usize,
}

impl Counts {
    fn change(&mut self, before: Modes, after: Modes) {
        let change = |count: &mut usize, table| {
            *count -= usize::from(before.has(table));
            *count += usize::from(after.has(table));
        };
        // Adding first would do as well; what is subtracted was added before.
        change(&mut self.data, Modes::OF_DATA);
        change(&mut self.child, Modes::OF_CHILDREN);
        change(&mut self.recursive, Modes::RECURSIVE);
    }

    /// As [`Self::change`], for the watcher whose watch it is.
    fn change_of(&mut self, watcher: &mut Watcher, before: Modes, after: Modes) {
        self.change(before, after);
        watcher.data -= u32::from(before.has(Modes::OF_DATA));
        watcher.data += u32::from(after.has(Modes::OF_DATA));
    }

    /// A path was or is in the table of data watches.
    fn change_path(&mut self, had_data: bool, has_data: bool) {
        self.data_paths -= usize::from(had_data);
        self.data_paths += usize::from(has_data);
    }
}

/// The watches of all connections.
///
/// Invariants: every path in `paths` is in `index` and has a watch; every watch's path is in its
/// watcher's set; every watcher has a path in its set.
pub struct WatchTable {
    paths: Slab<WatchedPath>,
    index: PathIndex,
    hasher: PathHasher,
    watchers: Slab<Watcher>,
    by_id: BTreeMap<WatcherId, u32>,
    /// Pairs of watcher and path that may have to leave the watcher's set.
    unsettled: VecDeque<(u32, u32)>,
    counts: Counts,
}

impl WatchTable {
    /// No watches.
    pub fn new(hash_seed: [u64; 2]) -> WatchTable {
        WatchTable {
            paths: Slab::new(),
            index: PathIndex::new(),
            hasher: PathHasher::new(hash_seed),
            watchers: Slab::new(),
            by_id: BTreeMap::new(),
            unsettled: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Sets a watch.
    pub fn add(&mut self, watcher: WatcherId, path: &str, kind: WatchKind) {
        self.settle();
        let watcher = self.watcher(watcher);
        let path = self.path(path, watcher);
        let watches = &mut self.paths.get_mut(path).expect("it was just found").watches;
        let (had_data, before) = (watches.has_data(), watches.get(watcher));
        let after = before.with(Modes::of_kind(kind));
        watches.set(watcher, after);
        self.counts.change_path(had_data, watches.has_data());
        let watcher = self.watchers.get_mut(watcher).expect("it was just found");
        watcher.paths.insert(path);
        self.counts.change_of(watcher, before, after);
    }

    /// Whether there is a watch of that type (checkWatches).
    pub fn contains(&self, watcher: WatcherId, path: &str, watches: WatcherType) -> bool {
        let Some(watcher) = self.by_id.get(&watcher) else { return false };
        let Some(path) = self.find(path, self.hasher.hash(path)) else { return false };
        self.modes(path, *watcher).has(Modes::of_type(watches))
    }

    /// Removes the watches of that type (removeWatches); whether there was one.
    pub fn remove(&mut self, watcher: WatcherId, path: &str, watches: WatcherType) -> bool {
        self.settle();
        let Some(watcher) = self.by_id.get(&watcher).copied() else { return false };
        let Some(path) = self.find(path, self.hasher.hash(path)) else { return false };
        let removed = self.take(path, watcher, Modes::of_type(watches));
        self.settle_one(watcher, path);
        removed
    }

    /// Takes out what a change fires; the deliveries are pulled from `out`.
    ///
    /// A watcher is told once of an event, however many of its watches it concerns, and once that a
    /// node is deleted, be it by a data watch or by a child watch.
    ///
    /// Returns what was looked for and how many watch it, as Apache counts: whoever has both kinds
    /// of watches on a deleted node counts twice.
    pub fn fire(&mut self, change: &Change, out: &mut Firing) -> [(EventType, usize); 3] {
        let (event, of_children) = match change.kind {
            ChangeKind::Created => (EventType::NodeCreated, true),
            ChangeKind::Deleted => (EventType::NodeDeleted, true),
            ChangeKind::DataChanged => (EventType::NodeDataChanged, false),
        };
        let mut counts = [(event, 0), (event, 0), (EventType::NodeChildrenChanged, 0)];
        if self.paths.len() == 0 {
            return counts;
        }
        let [of_node, of_node_as_parent, of_parent] = &mut counts;
        let path = &*change.path;
        let hash = self.hasher.hash(path);
        let mut told = Vec::new();
        self.trigger(path, hash, Modes::OF_DATA, &mut told);
        self.trigger_above(path, &mut told);
        of_node.1 = told.len();
        self.deliver(event, path, &change.acl, &told, out);
        if change.kind == ChangeKind::Deleted {
            let mut others = Vec::new();
            self.trigger(path, hash, Modes::OF_CHILDREN, &mut others);
            of_node_as_parent.1 = others.len();
            others.retain(|watcher| told.binary_search(watcher).is_err());
            self.deliver(event, path, &change.acl, &others, out);
        }
        if of_children && let Some((parent, _)) = bellwether_wire::path::split(path) {
            let mut told = Vec::new();
            self.trigger(parent, self.hasher.hash(parent), Modes::OF_CHILDREN, &mut told);
            of_parent.1 = told.len();
            self.deliver(of_parent.0, parent, &change.parent_acl, &told, out);
        }
        self.settle();
        counts
    }

    /// Removes up to `visits_max` watches of a closed connection.
    pub fn forget(&mut self, watcher: WatcherId, visits_max: usize) -> Progress {
        self.settle();
        for _ in 0..visits_max.max(1) {
            let Some(watcher) = self.by_id.get(&watcher).copied() else { return Progress::Done };
            let paths = &self.watchers.get(watcher).expect("by_id holds live watchers").paths;
            let path = *paths.first().expect("a watcher has a path");
            self.take(path, watcher, Modes::ANY);
            self.settle_one(watcher, path);
        }
        if self.by_id.contains_key(&watcher) { Progress::More } else { Progress::Done }
    }

    /// How many watches there are, as Apache's `zk_watch_count` counts them: pairs of path and
    /// watcher, a persistent watch as two, since it is in both of Apache's tables.
    pub fn len(&self) -> usize {
        self.counts.data + self.counts.child
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many paths are watched.
    pub fn paths_count(&self) -> usize {
        self.paths.len() as usize
    }

    /// How many connections watch; one whose last watch has just fired may be counted still.
    pub fn watchers_count(&self) -> usize {
        self.by_id.len()
    }

    fn watcher(&mut self, id: WatcherId) -> u32 {
        let watchers = &mut self.watchers;
        let new = || watchers.insert(Watcher { id, paths: BTreeSet::new(), data: 0 });
        *self.by_id.entry(id).or_insert_with(new)
    }

    /// The number of a path, which gets one with an empty watch of `watcher` if it has none.
    fn path(&mut self, path: &str, watcher: u32) -> u32 {
        let hash = self.hasher.hash(path);
        if let Some(found) = self.find(path, hash) {
            return found;
        }
        let watches = Watches::One(Watch { watcher, modes: Modes::NONE });
        let new = self.paths.insert(WatchedPath { path: path.into(), watches });
        self.index.insert(hash, new);
        new
    }

    fn find(&self, path: &str, hash: u64) -> Option<u32> {
        self.index.find(hash, |id| self.paths.get(id).is_some_and(|found| *found.path == *path))
    }

    fn modes(&self, path: u32, watcher: u32) -> Modes {
        self.paths.get(path).map_or(Modes::NONE, |path| path.watches.get(watcher))
    }

    /// Removes modes of one watch; whether it had any of them.
    fn take(&mut self, path: u32, watcher: u32, modes: Modes) -> bool {
        let before = self.modes(path, watcher);
        let after = before.without(modes);
        if before == after {
            return false;
        }
        let watches = &mut self.paths.get_mut(path).expect("it has a watch").watches;
        let had_data = watches.has_data();
        watches.set(watcher, after);
        self.counts.change_path(had_data, watches.has_data());
        let watcher = self.watchers.get_mut(watcher).expect("who has a watch is known");
        self.counts.change_of(watcher, before, after);
        self.drop_unwatched(path);
        true
    }

    /// Appends who watches `path` in one of `modes`, sorted; their one-shot watches among these are
    /// gone.
    fn trigger(&mut self, path: &str, hash: u64, modes: Modes, out: &mut Vec<u32>) {
        let Some(id) = self.find(path, hash) else { return };
        let once = match modes {
            Modes::OF_DATA => Modes::DATA,
            Modes::OF_CHILDREN => Modes::CHILD,
            _ => Modes::NONE,
        };
        let (counts, unsettled) = (&mut self.counts, &mut self.unsettled);
        let (watchers, mut data_lost) = (&mut self.watchers, 0);
        let mut fire = |watch: &mut Watch| {
            let before = watch.modes;
            if before.has(modes) {
                out.push(watch.watcher);
                watch.modes = before.without(once);
                if watch.modes != before {
                    let watcher = watchers.get_mut(watch.watcher);
                    let watcher = watcher.expect("who has a watch is known");
                    counts.change_of(watcher, before, watch.modes);
                    data_lost += u32::from(before.has(Modes::OF_DATA))
                        - u32::from(watch.modes.has(Modes::OF_DATA));
                }
            }
            if watch.modes == Modes::NONE {
                unsettled.push_back((watch.watcher, id));
            }
            watch.modes != Modes::NONE
        };
        let watches = &mut self.paths.get_mut(id).expect("the index holds live paths").watches;
        let had_data = watches.has_data();
        match watches {
            Watches::One(watch) => {
                fire(watch);
            }
            Watches::Many(many) => {
                many.list.retain_mut(fire);
                many.data -= data_lost;
            }
        }
        self.counts.change_path(had_data, watches.has_data());
        self.drop_unwatched(id);
    }

    /// Appends who watches recursively from above `path`; `out` stays sorted and without
    /// duplicates.
    fn trigger_above(&mut self, path: &str, out: &mut Vec<u32>) {
        if self.counts.recursive == 0 || path == "/" {
            return;
        }
        self.trigger("/", self.hasher.hash("/"), Modes::RECURSIVE, out);
        for (len, hash) in self.hasher.parents(path) {
            let parent = path.get(..len).expect("a slash stands there");
            self.trigger(parent, hash, Modes::RECURSIVE, out);
        }
        out.sort_unstable();
        out.dedup();
    }

    fn deliver(
        &self,
        event: EventType,
        path: &str,
        acl: &std::sync::Arc<[bellwether_wire::Acl]>,
        watchers: &[u32],
        out: &mut Firing,
    ) {
        let id = |watcher: &u32| self.watchers.get(*watcher).expect("who has a watch is known").id;
        out.push(event, path, acl, watchers.iter().map(id).collect());
    }

    fn drop_unwatched(&mut self, id: u32) {
        if self.paths.get(id).is_some_and(|path| path.watches.is_empty()) {
            let path = self.paths.remove(id).expect("it was just seen");
            let was_there = self.index.remove(self.hasher.hash(&path.path), id);
            assert!(was_there, "every watched path is in the index");
        }
    }

    fn settle(&mut self) {
        for _ in 0..SETTLED_PER_CALL {
            let Some((watcher, path)) = self.unsettled.pop_front() else { return };
            self.settle_one(watcher, path);
        }
    }

    /// Takes a path out of a watcher's set, unless the watcher watches it. Both numbers may have
    /// been given out again meanwhile; then this says the truth about those.
    fn settle_one(&mut self, watcher: u32, path: u32) {
        if self.modes(path, watcher) != Modes::NONE {
            return;
        }
        let Some(entry) = self.watchers.get_mut(watcher) else { return };
        entry.paths.remove(&path);
        if entry.paths.is_empty() {
            let id = entry.id;
            self.watchers.remove(watcher);
            self.by_id.remove(&id);
        }
    }
}
