//! Watch events come exactly once, to exactly those who watch, and before any reply that shows the
//! change.
//!
//! It is checked where the client reads: whatever shows a zxid shows every transaction up to it, so
//! that the events of all of them must have come on this connection.

use super::violation;
use crate::checkers::{Checked, Violation};
use crate::ensemble::client::Asked;
use crate::ensemble::truth::{Change, Truth};
use crate::model::{ModelChangeKind, parent};
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{AddWatchMode, EventType, Reply, Request, WatchEvent};
use bellwether_wire::{ErrorCode, Zxid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const PROMISE: &str = "watches";

/// How a node is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds {
    data: bool,
    child: bool,
    persistent: bool,
    recursive: bool,
}

/// The watches of a connection.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Watches {
    set: BTreeMap<Box<str>, Kinds>,
    /// How many transactions were shown on this connection.
    shown: usize,
    /// Events of them that have not come.
    due: VecDeque<(Zxid, EventType, Box<str>)>,
    /// What a setWatches that is under way has told was missed.
    missed: Vec<(EventType, Box<str>)>,
}

impl Watches {
    /// Those of a connection whose client has seen this.
    pub(in crate::ensemble) fn new(seen: Zxid, truth: &Truth) -> Watches {
        Watches { shown: truth.place_behind(seen), ..Watches::default() }
    }

    /// What is watched here, for whoever comes back and sets it again.
    pub(in crate::ensemble) fn paths(&self) -> Vec<Box<str>> {
        self.set.keys().cloned().collect()
    }

    /// An event came.
    pub(in crate::ensemble) fn event(&mut self, event: &WatchEvent, truth: &Truth) -> Checked {
        if event.zxid == Zxid(-1) {
            self.missed.push((event.event, event.path.clone()));
            return Ok(());
        }
        self.show(event.zxid, truth);
        let same = |(zxid, kind, path): &(Zxid, EventType, Box<str>)| {
            *zxid == event.zxid && *kind == event.event && *path == event.path
        };
        match self.due.iter().position(same) {
            Some(place) if self.due.iter().take(place).all(|(zxid, ..)| *zxid == event.zxid) => {
                self.due.remove(place);
                Ok(())
            }
            Some(_) => violation(PROMISE, format!("{event:?} comes before {:?}", self.due.front())),
            None => violation(PROMISE, format!("{event:?} was not due")),
        }
    }

    /// A reply came.
    pub(in crate::ensemble) fn reply(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        truth: &Truth,
    ) -> Checked {
        self.show(reply.zxid, truth);
        if let Some(due) = self.due.front() {
            let zxid = reply.zxid;
            return violation(PROMISE, format!("{due:?} did not come before a reply of {zxid}"));
        }
        self.answered(asked, reply, truth)
    }

    /// A reply sets watches.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most requests have no watch")]
    fn answered(&mut self, asked: &Asked, reply: &Reply, truth: &Truth) -> Checked {
        let ok = reply.result.is_ok();
        let absent = matches!(reply.result, Err(ErrorCode::NoNode));
        match &asked.request {
            Request::Exists { path, watch: true } if ok || absent => self.kinds(path).data = true,
            Request::GetData { path, watch: true } if ok => self.kinds(path).data = true,
            Request::GetChildren { path, watch: true }
            | Request::GetChildren2 { path, watch: true }
                if ok =>
            {
                self.kinds(path).child = true;
            }
            Request::AddWatch { path, mode } if ok => {
                if *mode == AddWatchMode::PersistentRecursive.code() {
                    self.kinds(path).recursive = true;
                } else {
                    self.kinds(path).persistent = true;
                }
            }
            Request::SetWatches(watches) | Request::SetWatches2(watches) if ok => {
                return self.set_again(watches, reply.zxid, truth);
            }
            _ => {}
        }
        Ok(())
    }

    fn kinds(&mut self, path: &str) -> &mut Kinds {
        self.set.entry(path.into()).or_default()
    }

    /// Whatever is shown includes everything before.
    fn show(&mut self, zxid: Zxid, truth: &Truth) {
        if self.set.is_empty() {
            self.shown = self.shown.max(truth.place_behind(zxid));
            return;
        }
        while let Some(record) = truth.record(self.shown) {
            let at = record.header.zxid;
            if at > zxid {
                break;
            }
            for change in truth.changes_of(self.shown) {
                self.changed(at, change);
            }
            self.shown += 1;
        }
    }

    fn changed(&mut self, zxid: Zxid, change: &Change) {
        let path = &*change.path;
        let event = match change.kind {
            ModelChangeKind::Created => EventType::NodeCreated,
            ModelChangeKind::Deleted => EventType::NodeDeleted,
            ModelChangeKind::DataChanged => EventType::NodeDataChanged,
        };
        let with_children = change.kind == ModelChangeKind::Deleted;
        let mut fires = self.above(path);
        if let Some(kinds) = self.set.get_mut(path) {
            fires |= kinds.data || kinds.persistent || (with_children && kinds.child);
            kinds.data = false;
            kinds.child &= !with_children;
        }
        if fires {
            self.due.push_back((zxid, event, path.into()));
        }
        if change.kind == ModelChangeKind::DataChanged {
            return;
        }
        let above = parent(path);
        if let Some(kinds) = self.set.get_mut(above) {
            let fires = kinds.child || kinds.persistent;
            kinds.child = false;
            if fires {
                self.due.push_back((zxid, EventType::NodeChildrenChanged, above.into()));
            }
        }
    }

    /// Whether the node or one above it is watched with everything below.
    fn above(&self, path: &str) -> bool {
        let mut at = path;
        loop {
            if self.set.get(at).is_some_and(|kinds| kinds.recursive) {
                return true;
            }
            if at == "/" {
                return false;
            }
            at = parent(at);
        }
    }

    /// What was missed is told, what was not is watched.
    fn set_again(&mut self, watches: &SetWatches, zxid: Zxid, truth: &Truth) -> Checked {
        let mut expected = BTreeSet::new();
        let since = watches.relative_zxid;
        for path in &watches.data {
            match truth.at(path, zxid) {
                None => drop(expected.insert((EventType::NodeDeleted, path.clone()))),
                Some(state) if state.stat.mzxid > since => {
                    expected.insert((EventType::NodeDataChanged, path.clone()));
                }
                Some(_) => self.kinds(path).data = true,
            }
        }
        for path in &watches.exist {
            match truth.at(path, zxid) {
                Some(_) => drop(expected.insert((EventType::NodeCreated, path.clone()))),
                None => self.kinds(path).data = true,
            }
        }
        for path in &watches.child {
            match truth.at(path, zxid) {
                None => drop(expected.insert((EventType::NodeDeleted, path.clone()))),
                Some(state) if state.stat.pzxid > since => {
                    expected.insert((EventType::NodeChildrenChanged, path.clone()));
                }
                Some(_) => self.kinds(path).child = true,
            }
        }
        for path in &watches.persistent {
            self.kinds(path).persistent = true;
        }
        for path in &watches.persistent_recursive {
            self.kinds(path).recursive = true;
        }
        let told: BTreeSet<_> = std::mem::take(&mut self.missed).into_iter().collect();
        if told != expected {
            return violation(PROMISE, format!("{told:?} was told as missed, not {expected:?}"));
        }
        Ok(())
    }
}

/// Whether every event has come that a connection was due.
pub(in crate::ensemble) fn none_due(watches: &Watches) -> Result<(), Violation> {
    match watches.due.front() {
        Some(due) => violation(PROMISE, format!("{due:?} never came")),
        None => Ok(()),
    }
}
