//! Watch events come exactly once, to exactly those who watch and may read, and before anything
//! else that shows the change.
//!
//! When the model applies a transaction, the events that it must fire are written down; none may be
//! left when the next transaction, or any reply that shows this one, is seen.

use super::replies::may;
use super::{Checked, Seen, violation};
use crate::model::{Model, ModelChange, ModelChangeKind, parent};
use bellwether_node::ConnId;
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{AddWatchMode, WatcherType};
use bellwether_wire::client::{EventType, OpResult, Reply, ReplyBody, Request, WatchEvent};
use bellwether_wire::{ErrorCode, Perms, Zxid};
use std::collections::{BTreeMap, BTreeSet};

/// How a watch was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Data,
    Child,
    Persistent,
    Recursive,
}

/// The watches of all connections, and the events that are due.
#[derive(Debug, Default)]
pub(super) struct Watches {
    set: BTreeSet<(String, Kind, ConnId)>,
    zxid: Zxid,
    due: BTreeMap<(ConnId, EventType, String), usize>,
    /// Events that may or may not come.
    optional: BTreeSet<(ConnId, EventType, String)>,
    /// Events without a zxid: a setWatches that is under way tells what was missed.
    missed: BTreeMap<ConnId, Vec<(EventType, String)>>,
}

impl Watches {
    /// The model has applied a transaction.
    pub(super) fn applied(
        &mut self,
        zxid: Zxid,
        changes: &[ModelChange],
        connections: &BTreeMap<ConnId, Seen>,
    ) {
        self.zxid = zxid;
        for change in changes {
            let mut told = BTreeSet::new();
            let path = &*change.path;
            match change.kind {
                ModelChangeKind::Created => {
                    self.fire(EventType::NodeCreated, (path, &[Kind::Data]), &mut told);
                }
                ModelChangeKind::DataChanged => {
                    self.fire(EventType::NodeDataChanged, (path, &[Kind::Data]), &mut told);
                }
                ModelChangeKind::Deleted => {
                    let kinds = [Kind::Data, Kind::Child];
                    self.fire(EventType::NodeDeleted, (path, &kinds), &mut told);
                }
            }
            self.note(told, &change.acl, connections);
            if change.kind != ModelChangeKind::DataChanged {
                let mut told = BTreeSet::new();
                let above = parent(path);
                self.fire(EventType::NodeChildrenChanged, (above, &[Kind::Child]), &mut told);
                self.note(told, &change.parent_acl, connections);
            }
        }
    }

    /// Takes the one-shot watches of these kinds on a node, and looks at the others.
    fn fire(
        &mut self,
        event: EventType,
        (path, one_shot): (&str, &[Kind]),
        told: &mut BTreeSet<(ConnId, EventType, String)>,
    ) {
        self.set.retain(|(watched, kind, conn)| {
            let here = watched == path;
            let fires = match kind {
                Kind::Data | Kind::Child => here && one_shot.contains(kind),
                Kind::Persistent => here,
                Kind::Recursive => event != EventType::NodeChildrenChanged && above(watched, path),
            };
            if fires {
                told.insert((*conn, event, path.to_string()));
            }
            !fires || matches!(kind, Kind::Persistent | Kind::Recursive)
        });
    }

    fn note(
        &mut self,
        told: BTreeSet<(ConnId, EventType, String)>,
        acl: &[bellwether_wire::Acl],
        connections: &BTreeMap<ConnId, Seen>,
    ) {
        for key in told {
            match connections.get(&key.0) {
                Some(seen) if !may(acl, Perms::READ, &seen.identities) => {}
                Some(seen) if seen.proved => {
                    self.optional.insert(key);
                }
                Some(_) => *self.due.entry(key).or_default() += 1,
                None => {} // It was closed before the server applied this.
            }
        }
    }

    /// An event was sent.
    pub(super) fn event(&mut self, conn: ConnId, event: &WatchEvent) -> Checked {
        let key = (conn, event.event, event.path.to_string());
        match self.due.get_mut(&key) {
            Some(count) if event.zxid == self.zxid => {
                *count -= 1;
                if *count == 0 {
                    self.due.remove(&key);
                }
                Ok(())
            }
            Some(_) | None if self.optional.remove(&key) => Ok(()),
            Some(_) | None => violation("watches", format!("{conn:?} was not due {event:?}")),
        }
    }

    /// Something is about to be shown that must come after every event.
    pub(super) fn before_reply(&mut self, connections: &BTreeMap<ConnId, Seen>) -> Checked {
        let alive = |conn: &ConnId| connections.get(conn).is_some_and(|seen| !seen.gone);
        match self.due.keys().find(|(conn, ..)| alive(conn)) {
            Some(due) => violation("watches", format!("{due:?} of {} was not told", self.zxid)),
            None => {
                self.due.clear();
                self.optional.clear();
                Ok(())
            }
        }
    }

    /// An event without a zxid was sent.
    pub(super) fn told_again(&mut self, conn: ConnId, event: &WatchEvent) {
        let missed = self.missed.entry(conn).or_default();
        missed.push((event.event, event.path.to_string()));
    }

    /// A reply sets and removes watches.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most requests have no watch")]
    pub(super) fn answered(
        &mut self,
        conn: ConnId,
        (request, reply): (&Request, &Reply),
        model: &Model,
    ) -> Checked {
        let result = &reply.result;
        let absent = matches!(result, Err(ErrorCode::NoNode));
        match request {
            Request::Exists { path, watch: true } if result.is_ok() || absent => {
                self.add(conn, path, Kind::Data);
            }
            Request::GetData { path, watch: true } if result.is_ok() => {
                self.add(conn, path, Kind::Data);
            }
            Request::GetChildren { path, watch: true }
            | Request::GetChildren2 { path, watch: true }
                if result.is_ok() =>
            {
                self.add(conn, path, Kind::Child);
            }
            Request::MultiRead(parts) => {
                if let Ok(ReplyBody::Multi(results)) = result {
                    self.multi_read(conn, parts, results);
                }
            }
            Request::AddWatch { path, mode } if result.is_ok() => {
                let recursive = AddWatchMode::PersistentRecursive.code();
                let kind = if *mode == recursive { Kind::Recursive } else { Kind::Persistent };
                self.add(conn, path, kind);
            }
            Request::RemoveWatches { path, watcher } => {
                return self.remove(conn, (path, *watcher), result);
            }
            Request::CheckWatches { path, watcher } => {
                return self.check(conn, (path, *watcher), result);
            }
            Request::SetWatches(watches) | Request::SetWatches2(watches) if result.is_ok() => {
                return self.set_again(conn, watches, model);
            }
            _ => {}
        }
        Ok(())
    }

    fn multi_read(&mut self, conn: ConnId, parts: &[Request], results: &[OpResult]) {
        for (part, result) in parts.iter().zip(results) {
            match (part, result) {
                (Request::GetData { path, watch: true }, OpResult::GetData(..)) => {
                    self.add(conn, path, Kind::Data);
                }
                (Request::GetChildren { path, watch: true }, OpResult::GetChildren(_)) => {
                    self.add(conn, path, Kind::Child);
                }
                (_, _) => {} // It failed, or it asked for no watch.
            }
        }
    }

    fn add(&mut self, conn: ConnId, path: &str, kind: Kind) {
        self.set.insert((path.to_string(), kind, conn));
    }

    fn matching(&self, conn: ConnId, path: &str, watcher: i32) -> Vec<(String, Kind, ConnId)> {
        let kinds: &[Kind] = match WatcherType::from_code(watcher) {
            Some(WatcherType::Children) => &[Kind::Child],
            Some(WatcherType::Data) => &[Kind::Data],
            Some(WatcherType::Persistent) => &[Kind::Persistent],
            Some(WatcherType::PersistentRecursive) => &[Kind::Recursive],
            Some(WatcherType::Any) => &[Kind::Data, Kind::Child, Kind::Persistent, Kind::Recursive],
            None => &[],
        };
        let keys = kinds.iter().map(|kind| (path.to_string(), *kind, conn));
        keys.filter(|key| self.set.contains(key)).collect()
    }

    fn remove(
        &mut self,
        conn: ConnId,
        watch: (&str, i32),
        result: &Result<ReplyBody, ErrorCode>,
    ) -> Checked {
        self.check(conn, watch, result)?;
        for key in self.matching(conn, watch.0, watch.1) {
            self.set.remove(&key);
        }
        Ok(())
    }

    fn check(
        &self,
        conn: ConnId,
        (path, watcher): (&str, i32),
        result: &Result<ReplyBody, ErrorCode>,
    ) -> Checked {
        let there = !self.matching(conn, path, watcher).is_empty();
        let answer = match result {
            Ok(_) => true,
            Err(ErrorCode::NoWatcher) => false,
            Err(_) => return Ok(()), // Its session is ending, or it could not be understood.
        };
        if answer != there {
            let what = format!("{conn:?} asked for a watch {watcher} on {path}: {result:?}");
            return violation("watches", what);
        }
        Ok(())
    }

    /// What was missed is told, what was not is watched.
    fn set_again(&mut self, conn: ConnId, watches: &SetWatches, model: &Model) -> Checked {
        let mut expected = Vec::new();
        let since = watches.relative_zxid;
        for path in &watches.data {
            match model.nodes.get(&**path) {
                None => expected.push((EventType::NodeDeleted, path.to_string())),
                Some(node) if node.stat.mzxid > since => {
                    expected.push((EventType::NodeDataChanged, path.to_string()));
                }
                Some(_) => self.add(conn, path, Kind::Data),
            }
        }
        for path in &watches.exist {
            match model.nodes.get(&**path) {
                Some(_) => expected.push((EventType::NodeCreated, path.to_string())),
                None => self.add(conn, path, Kind::Data),
            }
        }
        for path in &watches.child {
            match model.nodes.get(&**path) {
                None => expected.push((EventType::NodeDeleted, path.to_string())),
                Some(node) if node.stat.pzxid > since => {
                    expected.push((EventType::NodeChildrenChanged, path.to_string()));
                }
                Some(_) => self.add(conn, path, Kind::Child),
            }
        }
        for path in &watches.persistent {
            self.add(conn, path, Kind::Persistent);
        }
        for path in &watches.persistent_recursive {
            self.add(conn, path, Kind::Recursive);
        }
        let told = self.missed.remove(&conn).unwrap_or_default();
        if told != expected {
            return violation("watches", format!("{conn:?} was told {told:?}, not {expected:?}"));
        }
        Ok(())
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.set.retain(|(_, _, watcher)| *watcher != conn);
        self.due.retain(|(watcher, ..), _| *watcher != conn);
        self.missed.remove(&conn);
    }

    pub(super) fn crashed(&mut self) {
        self.set.clear();
        self.due.clear();
        self.optional.clear();
        self.missed.clear();
    }
}

/// Whether `path` is `watched` or below it.
fn above(watched: &str, path: &str) -> bool {
    watched == "/"
        || path == watched
        || path.strip_prefix(watched).is_some_and(|rest| rest.starts_with('/'))
}
