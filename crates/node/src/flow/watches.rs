//! Step 9: changes fire watches. All their events leave before the reply to the write, and before
//! any later reply: while some are still to be made, nothing else is done.

use crate::audit::Asked;
use crate::effect::Effect;
use crate::event::ConnId;
use crate::flow::apply::Applied;
use crate::flow::session::Origin;
use crate::node::Node;
use bellwether_tree::{Change, Outcome, Progress, WatchKind, WatcherId};
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{EventType, KeeperState, WatchEvent};
use bellwether_wire::{SessionId, Zxid};
use std::sync::Arc;

/// A transaction whose watches have fired; its reply waits for their events.
#[derive(Debug)]
pub(crate) struct Fired {
    pub(super) origin: Origin,
    pub(super) closed: Option<SessionId>,
    pub(super) outcome: Outcome,
    /// What the audit log says of it.
    pub(super) asked: Option<Asked>,
    /// The changes of a session's end where they are audited; nothing elsewhere.
    pub(super) audited: Vec<Change>,
}

/// Takes what the changes fire out of the table.
pub(crate) fn fire(node: &mut Node, applied: Applied) -> Fired {
    let Applied { origin, closed, outcome, changes, asked } = applied;
    let told = &mut node.measures.watchers_told;
    for change in &changes {
        for (event, watchers) in node.watches.fire(change, &mut node.firing) {
            told.record(event, watchers);
        }
    }
    let is_audited = node.settings.audit && closed.is_some();
    let audited = if is_audited { changes } else { Vec::new() };
    Fired { origin, closed, outcome, asked, audited }
}

/// Makes the events that are still to be made, within `visits`.
pub(crate) fn deliver(node: &mut Node, visits: &mut usize, out: &mut Vec<Effect>) -> Progress {
    while *visits > 0 {
        let Some(delivery) = node.firing.next() else { return Progress::Done };
        *visits -= 1;
        let conn = ConnId(delivery.watcher.0);
        let Some(connection) = node.connections.get(conn) else {
            continue; // It was closed meanwhile.
        };
        if node.tree.may_read(&delivery.acl, &connection.identities) {
            let event = event(node.tree.last_processed(), delivery.event, &delivery.path);
            node.counters.watch_events += 1;
            out.push(Effect::Notify(conn, Arc::new(event)));
        }
    }
    if node.firing.is_empty() { Progress::Done } else { Progress::More }
}

fn event(zxid: Zxid, event: EventType, path: &str) -> WatchEvent {
    WatchEvent { zxid, event, state: KeeperState::SyncConnected, path: path.into() }
}

/// Sets a client's watches again, within `visits`. What changed meanwhile fires at once, with no
/// zxid and no look at the ACL, as Apache does it.
pub(crate) fn set_again(
    node: &mut Node,
    (conn, watches): (ConnId, &mut SetWatches),
    visits: &mut usize,
    out: &mut Vec<Effect>,
) -> Progress {
    let since = watches.relative_zxid;
    while *visits > 0 {
        *visits -= 1;
        let (path, kind, missed) = if let Some(path) = watches.data.pop() {
            let missed = match node.tree.stat_of(&path) {
                None => Some(EventType::NodeDeleted),
                Some(stat) => (stat.mzxid > since).then_some(EventType::NodeDataChanged),
            };
            (path, WatchKind::Data, missed)
        } else if let Some(path) = watches.exist.pop() {
            let missed = node.tree.stat_of(&path).map(|_| EventType::NodeCreated);
            (path, WatchKind::Data, missed)
        } else if let Some(path) = watches.child.pop() {
            let missed = match node.tree.stat_of(&path) {
                None => Some(EventType::NodeDeleted),
                Some(stat) => (stat.pzxid > since).then_some(EventType::NodeChildrenChanged),
            };
            (path, WatchKind::Child, missed)
        } else if let Some(path) = watches.persistent.pop() {
            (path, WatchKind::Persistent, None)
        } else if let Some(path) = watches.persistent_recursive.pop() {
            (path, WatchKind::PersistentRecursive, None)
        } else {
            return Progress::Done;
        };
        match missed {
            Some(missed) => {
                out.push(Effect::Notify(conn, Arc::new(event(Zxid(-1), missed, &path))));
            }
            None => {
                node.watches.add(WatcherId(conn.0), &path, kind);
                if kind != WatchKind::Child {
                    node.connections.set_has_watched_data(conn, true);
                }
            }
        }
    }
    Progress::More
}

/// Forgets the watches of closed connections, within `visits`.
pub(crate) fn forget(node: &mut Node, visits: &mut usize) {
    while *visits > 0
        && let Some(conn) = node.forgetting.front()
    {
        let before = node.watches.len();
        match node.watches.forget(WatcherId(conn.0), *visits) {
            Progress::More => *visits = 0,
            Progress::Done => {
                node.forgetting.pop_front();
                // Looking whether there are any is a visit too.
                *visits = visits.saturating_sub(before - node.watches.len() + 1);
            }
        }
    }
}
