//! Which watches this client holds, by path: who is told of an event, what is set again after a
//! reconnect, what the server may forget.
//!
//! A server keeps one watch per connection, path and kind, however many values of this client
//! stand behind it. So it is told to forget only when the last of them is gone.

use crate::limits::SET_WATCHES_BYTES;
use bellwether_wire::Zxid;
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{EventType, Request, WatchEvent, WatcherType};
use std::collections::{BTreeMap, BTreeSet};

/// A watch value of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchId(pub(crate) u64);

/// The kinds of watches that setWatches tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WatchKind {
    /// On a node that was there, by getData or exists; fires once.
    Data,
    /// On a node that was not there, by exists; fires once.
    Exist,
    /// On the children's names; fires once.
    Child,
    /// Until it is removed, on the node and its children's names.
    Persistent,
    /// Until it is removed, on the node and all below it.
    PersistentRecursive,
}

impl WatchKind {
    const ALL: [WatchKind; 5] = [
        WatchKind::Data,
        WatchKind::Exist,
        WatchKind::Child,
        WatchKind::Persistent,
        WatchKind::PersistentRecursive,
    ];

    /// What removeWatches calls it. A server keeps data and exist watches as one.
    pub(crate) fn watcher_type(self) -> WatcherType {
        match self {
            WatchKind::Data | WatchKind::Exist => WatcherType::Data,
            WatchKind::Child => WatcherType::Children,
            WatchKind::Persistent => WatcherType::Persistent,
            WatchKind::PersistentRecursive => WatcherType::PersistentRecursive,
        }
    }

    fn is_persistent(self) -> bool {
        match self {
            WatchKind::Persistent | WatchKind::PersistentRecursive => true,
            WatchKind::Data | WatchKind::Exist | WatchKind::Child => false,
        }
    }
}

type ByPath = BTreeMap<Box<str>, BTreeSet<WatchId>>;

/// The watches that the server is believed to hold for this session.
///
/// Invariant: `by_id` and the five maps hold the same watches; no set in a map is empty.
#[derive(Debug, Default)]
pub(crate) struct WatchTable {
    by_id: BTreeMap<WatchId, (WatchKind, Box<str>)>,
    data: ByPath,
    exist: ByPath,
    child: ByPath,
    persistent: ByPath,
    persistent_recursive: ByPath,
}

impl WatchTable {
    pub(crate) fn add(&mut self, id: WatchId, kind: WatchKind, path: &str) {
        self.map_mut(kind).entry(path.into()).or_default().insert(id);
        self.by_id.insert(id, (kind, path.into()));
    }

    /// Forgets a watch; gives its kind and path if it was held.
    pub(crate) fn remove(&mut self, id: WatchId) -> Option<(WatchKind, Box<str>)> {
        let (kind, path) = self.by_id.remove(&id)?;
        let map = self.map_mut(kind);
        if let Some(ids) = map.get_mut(&path) {
            ids.remove(&id);
            if ids.is_empty() {
                map.remove(&path);
            }
        }
        Some((kind, path))
    }

    /// Whether any watch stands behind the one that the server would forget.
    pub(crate) fn needs(&self, watcher: WatcherType, path: &str) -> bool {
        WatchKind::ALL
            .iter()
            .filter(|kind| kind.watcher_type() == watcher)
            .any(|kind| self.map(*kind).contains_key(path))
    }

    /// Takes out and returns who is told of `event`. One-shot watches are spent by it.
    pub(crate) fn fire(&mut self, event: &WatchEvent) -> BTreeSet<WatchId> {
        use WatchKind::{Child, Data, Exist, Persistent, PersistentRecursive};
        let kinds: &[WatchKind] = match event.event {
            EventType::NodeCreated | EventType::NodeDataChanged => {
                &[Data, Exist, Persistent, PersistentRecursive]
            }
            EventType::NodeDeleted => &[Data, Exist, Child, Persistent, PersistentRecursive],
            EventType::NodeChildrenChanged => &[Child, Persistent],
            // No server sends these: a client that removes a watch knows of it already.
            EventType::None
            | EventType::DataWatchRemoved
            | EventType::ChildWatchRemoved
            | EventType::PersistentWatchRemoved => &[],
        };
        let mut told = BTreeSet::new();
        for kind in kinds {
            match kind {
                Data | Exist | Child => {
                    let spent = self.map_mut(*kind).remove(&event.path).unwrap_or_default();
                    for id in &spent {
                        self.by_id.remove(id);
                    }
                    told.extend(spent);
                }
                Persistent => told.extend(self.persistent.get(&event.path).into_iter().flatten()),
                PersistentRecursive => {
                    let above = ancestors(&event.path);
                    told.extend(
                        above.filter_map(|path| self.persistent_recursive.get(path)).flatten(),
                    );
                }
            }
        }
        told
    }

    /// The requests that set every watch again on another connection.
    pub(crate) fn set_again(&self, relative_zxid: Zxid) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut batch = SetWatches { relative_zxid, ..SetWatches::default() };
        let mut batch_bytes = 0;
        for kind in WatchKind::ALL {
            for path in self.map(kind).keys() {
                if batch_bytes > 0 && batch_bytes + path.len() + 4 > SET_WATCHES_BYTES {
                    let fresh = SetWatches { relative_zxid, ..SetWatches::default() };
                    requests.push(request_of(std::mem::replace(&mut batch, fresh)));
                    batch_bytes = 0;
                }
                batch_bytes += path.len() + 4;
                paths_mut(&mut batch, kind).push(path.clone());
            }
        }
        if batch_bytes > 0 {
            requests.push(request_of(batch));
        }
        requests
    }

    /// The watches for which the server sends no events of what happened between two connections.
    pub(crate) fn persistent_ids(&self) -> Vec<WatchId> {
        let persistent = self.by_id.iter().filter(|(_, (kind, _))| kind.is_persistent());
        persistent.map(|(id, _)| *id).collect()
    }

    fn map(&self, kind: WatchKind) -> &ByPath {
        match kind {
            WatchKind::Data => &self.data,
            WatchKind::Exist => &self.exist,
            WatchKind::Child => &self.child,
            WatchKind::Persistent => &self.persistent,
            WatchKind::PersistentRecursive => &self.persistent_recursive,
        }
    }

    fn map_mut(&mut self, kind: WatchKind) -> &mut ByPath {
        match kind {
            WatchKind::Data => &mut self.data,
            WatchKind::Exist => &mut self.exist,
            WatchKind::Child => &mut self.child,
            WatchKind::Persistent => &mut self.persistent,
            WatchKind::PersistentRecursive => &mut self.persistent_recursive,
        }
    }
}

fn paths_mut(watches: &mut SetWatches, kind: WatchKind) -> &mut Vec<Box<str>> {
    match kind {
        WatchKind::Data => &mut watches.data,
        WatchKind::Exist => &mut watches.exist,
        WatchKind::Child => &mut watches.child,
        WatchKind::Persistent => &mut watches.persistent,
        WatchKind::PersistentRecursive => &mut watches.persistent_recursive,
    }
}

/// Servers before 3.6 know only the older request, so it is used where it suffices.
fn request_of(watches: SetWatches) -> Request {
    if watches.persistent.is_empty() && watches.persistent_recursive.is_empty() {
        Request::SetWatches(Box::new(watches))
    } else {
        Request::SetWatches2(Box::new(watches))
    }
}

/// `path` and every path above it, the root last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        bellwether_wire::path::split(path).map(|(parent, _)| parent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::client::KeeperState;

    fn event(event: EventType, path: &str) -> WatchEvent {
        WatchEvent { zxid: Zxid(1), event, state: KeeperState::SyncConnected, path: path.into() }
    }

    /// One watch of each kind on `/a`, numbered in the order of [`WatchKind::ALL`].
    fn one_of_each() -> WatchTable {
        let mut table = WatchTable::default();
        for (id, kind) in (0..).zip(WatchKind::ALL) {
            table.add(WatchId(id), kind, "/a");
        }
        table
    }

    #[track_caller]
    fn check(fired: EventType, path: &str, told: &[u64]) {
        let mut table = one_of_each();
        let ids: Vec<u64> = table.fire(&event(fired, path)).iter().map(|id| id.0).collect();
        assert_eq!(ids, told, "{fired:?} {path}");
        let again: Vec<u64> = table.fire(&event(fired, path)).iter().map(|id| id.0).collect();
        let lasting: Vec<u64> = told.iter().copied().filter(|id| *id >= 3).collect();
        assert_eq!(again, lasting, "{fired:?} {path}, a second time");
    }

    #[test]
    fn an_event_reaches_the_kinds_that_it_concerns_and_spends_the_one_shot_ones() {
        check(EventType::NodeCreated, "/a", &[0, 1, 3, 4]);
        check(EventType::NodeDataChanged, "/a", &[0, 1, 3, 4]);
        check(EventType::NodeDeleted, "/a", &[0, 1, 2, 3, 4]);
        check(EventType::NodeChildrenChanged, "/a", &[2, 3]);
        check(EventType::NodeDataChanged, "/a/b/c", &[4]);
        check(EventType::NodeDataChanged, "/ab", &[]);
        check(EventType::None, "/a", &[]);
    }

    #[test]
    fn a_recursive_watch_on_the_root_sees_everything() {
        let mut table = WatchTable::default();
        table.add(WatchId(1), WatchKind::PersistentRecursive, "/");
        assert_eq!(table.fire(&event(EventType::NodeCreated, "/a/b")).len(), 1);
        assert_eq!(table.fire(&event(EventType::NodeDataChanged, "/")).len(), 1);
    }

    #[test]
    fn the_server_forgets_only_what_nobody_needs() {
        let mut table = WatchTable::default();
        table.add(WatchId(1), WatchKind::Data, "/a");
        table.add(WatchId(2), WatchKind::Exist, "/a");
        table.remove(WatchId(1));
        assert!(table.needs(WatcherType::Data, "/a"), "the exist watch is the same to the server");
        assert!(!table.needs(WatcherType::Children, "/a"));
        table.remove(WatchId(2));
        assert!(!table.needs(WatcherType::Data, "/a"));
        assert_eq!(table.remove(WatchId(2)), None);
    }

    #[test]
    fn watches_are_set_again_by_the_oldest_request_that_can() {
        let mut table = WatchTable::default();
        assert_eq!(table.set_again(Zxid(5)), []);
        table.add(WatchId(1), WatchKind::Data, "/a");
        let expected =
            SetWatches { relative_zxid: Zxid(5), data: vec!["/a".into()], ..SetWatches::default() };
        assert_eq!(table.set_again(Zxid(5)), [Request::SetWatches(Box::new(expected.clone()))]);
        table.add(WatchId(2), WatchKind::Persistent, "/p");
        let expected = SetWatches { persistent: vec!["/p".into()], ..expected };
        assert_eq!(table.set_again(Zxid(5)), [Request::SetWatches2(Box::new(expected))]);
        assert_eq!(table.persistent_ids(), [WatchId(2)]);
    }

    #[test]
    fn many_watches_are_set_again_in_pieces_below_the_limit_and_none_is_lost() {
        let mut table = WatchTable::default();
        let long = "x".repeat(1000);
        for id in 0..1000 {
            table.add(WatchId(id), WatchKind::ALL[(id % 5) as usize], &format!("/{id}{long}"));
        }
        let requests = table.set_again(Zxid(5));
        assert!(requests.len() >= 8, "{}", requests.len());
        let mut paths = 0;
        for request in &requests {
            let mut out = Vec::new();
            request.encode(&mut out);
            assert!(out.len() < SET_WATCHES_BYTES + 64, "{}", out.len());
            let (Request::SetWatches(watches) | Request::SetWatches2(watches)) = request else {
                panic!("{request:?} sets no watches");
            };
            paths += watches.data.len() + watches.exist.len() + watches.child.len();
            paths += watches.persistent.len() + watches.persistent_recursive.len();
        }
        assert_eq!(paths, 1000);
    }
}
