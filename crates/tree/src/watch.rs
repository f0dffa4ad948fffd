//! Who watches what on this server. Watches are not replicated.

use crate::apply::Change;
use crate::tree::Progress;
use bellwether_wire::Acl;
use bellwether_wire::client::{EventType, WatcherType};
use std::sync::Arc;

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

/// The watches of all connections.
pub struct WatchTable {}

/// Deliveries still to be made.
#[derive(Default)]
pub struct Firing {}

/// An event for one watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom to tell.
    pub watcher: WatcherId,
    /// What happened.
    pub event: EventType,
    /// Where.
    pub path: Arc<str>,
    /// Who may not read this is not told.
    pub acl: Arc<[Acl]>,
}

impl WatchTable {
    /// No watches.
    pub fn new(hash_seed: [u64; 2]) -> WatchTable {
        let _ = hash_seed;
        WatchTable {}
    }

    /// Sets a watch.
    pub fn add(&mut self, watcher: WatcherId, path: &str, kind: WatchKind) {
        let _ = (watcher, path, kind);
        unimplemented!()
    }

    /// Whether there is a watch of that type (checkWatches).
    pub fn contains(&self, watcher: WatcherId, path: &str, watches: WatcherType) -> bool {
        let _ = (watcher, path, watches);
        unimplemented!()
    }

    /// Removes the watches of that type (removeWatches); whether there was one.
    pub fn remove(&mut self, watcher: WatcherId, path: &str, watches: WatcherType) -> bool {
        let _ = (watcher, path, watches);
        unimplemented!()
    }

    /// Takes out what a change fires; the deliveries are pulled from `out`.
    pub fn fire(&mut self, change: &Change, out: &mut Firing) {
        let _ = (change, out);
        unimplemented!()
    }

    /// Removes up to `visits_max` watches of a closed connection.
    pub fn forget(&mut self, watcher: WatcherId, visits_max: usize) -> Progress {
        let _ = (watcher, visits_max);
        unimplemented!()
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many paths are watched.
    pub fn paths_count(&self) -> usize {
        unimplemented!()
    }

    /// How many connections watch.
    pub fn watchers_count(&self) -> usize {
        unimplemented!()
    }
}

impl Firing {
    /// Nothing to deliver.
    pub fn new() -> Firing {
        Firing::default()
    }

    /// The next delivery.
    pub fn next(&mut self) -> Option<Delivery> {
        unimplemented!()
    }

    /// Whether nothing is left to deliver.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
}
