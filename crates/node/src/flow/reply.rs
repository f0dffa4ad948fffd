//! Step 10: outcomes become replies, in the order of the requests of each connection.

use crate::audit;
use crate::connections::{Queued, Waiting};
use crate::effect::Effect;
use crate::event::ConnId;
use crate::flow::session::{Origin, drop_connection};
use crate::flow::watches::{self, Fired};
use crate::node::Node;
use bellwether_tree::{Identity, Now, Progress, WatchKind, WatcherId};
use bellwether_wire::client::{
    AddWatchMode, ClientInfo, ConnectResponse, Reply, ReplyBody, Request, WatcherType,
};
use bellwether_wire::{ErrorCode, SessionId};

/// Tells whoever asked for a transaction what came of it.
pub(crate) fn outcome(
    node: &mut Node,
    now: Now,
    (fired, visits): (Fired, &mut usize),
    out: &mut Vec<Effect>,
) {
    let Fired { origin, closed, outcome, asked, audited } = fired;
    let mut audit = |event| out.push(Effect::Audit(Box::new(event)));
    if let Some(session) = closed {
        audit::ended(session, &audited, &mut audit);
    }
    if let Some(asked) = asked {
        asked.lines(&outcome.result, &mut audit);
    }
    match origin {
        Origin::Client(conn) => {
            let answer = match closed {
                Some(_) => Waiting::LastAnswer(outcome.result),
                None => Waiting::Answer(outcome.result),
            };
            committed(node, conn, answer);
            drain(node, now, (conn, visits), out);
        }
        Origin::Connecting(conn) => connected(node, now, conn, out),
        Origin::Internal => {
            if let Some(session) = closed {
                close_expired(node, session, out);
            }
        }
    }
}

/// The session of a connection is made. Its time runs from here on: however long the disk took, the
/// client could not say anything meanwhile.
fn connected(node: &mut Node, now: Now, conn: ConnId, out: &mut Vec<Effect>) {
    let Some(connection) = node.connections.get(conn) else {
        return; // It was closed meanwhile; the session expires in its time.
    };
    let session = connection.session;
    if node.expiry.is_live(session) {
        node.expiry.touch(session, now.mono_ms, connection.timeout_ms);
    }
    let response = ConnectResponse {
        timeout_ms: connection.timeout_ms,
        session,
        password: session.password(),
        read_only: connection.read_only_known.then_some(false),
    };
    out.push(Effect::Connected(conn, response));
}

fn close_expired(node: &mut Node, session: SessionId, out: &mut Vec<Effect>) {
    if let Some(conn) = node.connections.owner_of(session) {
        out.push(Effect::Close(conn));
        drop_connection(node, conn);
    }
}

/// The connection's oldest write has its answer; what waited behind it may go on. Reads that were
/// left for a later step may stand before it.
fn committed(node: &mut Node, conn: ConnId, answer: Waiting) {
    let Some(connection) = node.connections.get_mut(conn) else {
        return; // It was closed meanwhile.
    };
    let mut proposed = connection.queue.iter_mut().filter(|queued| match &queued.waiting {
        Waiting::Commit | Waiting::Marker => true,
        Waiting::Read { .. } | Waiting::Answer(_) | Waiting::LastAnswer(_) => false,
        Waiting::SetWatches(_) => false,
    });
    let queued = proposed.next().expect("a write waits for its commit");
    assert!(matches!(queued.waiting, Waiting::Commit), "replies leave in the order of requests");
    queued.waiting = answer;
}

/// A `sync` of the connection has its turn; the reply waits in the queue right behind it.
pub(crate) fn marker(
    node: &mut Node,
    now: Now,
    (conn, visits): (ConnId, &mut usize),
    out: &mut Vec<Effect>,
) {
    node.connections.dequeue_marker(conn);
    drain(node, now, (conn, visits), out);
}

/// Answers what waits at the front of a connection's queue and needs nothing but its turn, within
/// `visits`.
pub(crate) fn drain(
    node: &mut Node,
    now: Now,
    (conn, visits): (ConnId, &mut usize),
    out: &mut Vec<Effect>,
) {
    while let Some(front) = node.connections.get(conn).and_then(|c| c.queue.front()) {
        match &front.waiting {
            Waiting::Commit | Waiting::Marker | Waiting::SetWatches(_) => return,
            Waiting::Read { .. } | Waiting::Answer(_) | Waiting::LastAnswer(_) => {}
        }
        if *visits == 0 {
            node.draining.push_back(conn);
            return;
        }
        *visits -= 1;
        let Some(queued) = node.connections.dequeue(conn) else { return };
        let Queued { xid, arrived_ms, waiting } = queued;
        let result = match waiting {
            Waiting::Answer(result) => result,
            Waiting::LastAnswer(result) => {
                send(node, now, (conn, xid, arrived_ms, result), out);
                out.push(Effect::Close(conn));
                drop_connection(node, conn);
                return;
            }
            Waiting::Read {
                request: Request::SetWatches(mut watches) | Request::SetWatches2(mut watches),
                ..
            } => {
                // They are taken from the end, in the order in which they were sent.
                watches.reverse();
                let waiting = Waiting::SetWatches(watches);
                node.connections.requeue(conn, Queued { xid, arrived_ms, waiting });
                node.setting_watches.push_back(conn);
                return;
            }
            Waiting::Read { request, identities } => read(node, (conn, &request, &identities)),
            Waiting::Commit | Waiting::Marker | Waiting::SetWatches(_) => {
                unreachable!("the front was looked at above")
            }
        };
        send(node, now, (conn, xid, arrived_ms, result), out);
    }
}

/// Goes on with the oldest setWatches that is under way, within `visits`.
pub(crate) fn set_watches(node: &mut Node, now: Now, visits: &mut usize, out: &mut Vec<Effect>) {
    let Some(conn) = node.setting_watches.pop_front() else { return };
    let Some(mut queued) = node.connections.dequeue(conn) else {
        return; // It was closed meanwhile.
    };
    let Waiting::SetWatches(watches) = &mut queued.waiting else {
        unreachable!("a connection that sets watches has them at its front")
    };
    match watches::set_again(node, (conn, watches), visits, out) {
        Progress::More => {
            node.connections.requeue(conn, queued);
            node.setting_watches.push_back(conn);
        }
        Progress::Done => {
            let result = Ok(ReplyBody::Empty);
            send(node, now, (conn, queued.xid, queued.arrived_ms, result), out);
            drain(node, now, (conn, visits), out);
        }
    }
}

fn send(
    node: &mut Node,
    now: Now,
    (conn, xid, arrived_ms, result): (ConnId, i32, u64, Result<ReplyBody, ErrorCode>),
    out: &mut Vec<Effect>,
) {
    node.counters.latency.record(now.mono_ms.saturating_sub(arrived_ms));
    let zxid = node.tree.last_processed();
    out.push(Effect::Reply(conn, Reply { xid, zxid, result }));
}

/// Answers a read, and sets the watch that it asks for.
fn read(
    node: &mut Node,
    (conn, request, identities): (ConnId, &Request, &[Identity]),
) -> Result<ReplyBody, ErrorCode> {
    let watcher = WatcherId(conn.0);
    let watches = &mut node.watches;
    match request {
        Request::Ping => Ok(ReplyBody::Empty),
        Request::Sync { path } => Ok(ReplyBody::Path(path.clone())),
        Request::WhoAmI => Ok(ReplyBody::WhoAmI(identities.iter().map(client_info).collect())),
        Request::AddWatch { path, mode } => {
            let kind = match AddWatchMode::from_code(*mode) {
                Some(AddWatchMode::Persistent) => WatchKind::Persistent,
                Some(AddWatchMode::PersistentRecursive) => WatchKind::PersistentRecursive,
                None => return Err(ErrorCode::MarshallingError),
            };
            watches.add(watcher, path, kind);
            Ok(ReplyBody::ErrorRecord)
        }
        Request::CheckWatches { path, watcher: kind } => {
            let kind = WatcherType::from_code(*kind).ok_or(ErrorCode::MarshallingError)?;
            let there = watches.contains(watcher, path, kind);
            if there { Ok(ReplyBody::Empty) } else { Err(ErrorCode::NoWatcher) }
        }
        Request::RemoveWatches { path, watcher: kind } => {
            let kind = WatcherType::from_code(*kind).ok_or(ErrorCode::MarshallingError)?;
            let removed = watches.remove(watcher, path, kind);
            if removed { Ok(ReplyBody::Empty) } else { Err(ErrorCode::NoWatcher) }
        }
        Request::Create(_)
        | Request::Create2(_)
        | Request::CreateContainer(_)
        | Request::CreateTtl { .. }
        | Request::Delete { .. }
        | Request::SetData { .. }
        | Request::SetAcl { .. }
        | Request::Check { .. }
        | Request::Multi(_)
        | Request::Reconfig { .. }
        | Request::CloseSession => unreachable!("a write is proposed, not read"),
        Request::Auth { .. } | Request::Sasl { .. } => unreachable!("answered on arrival"),
        Request::SetWatches(_) | Request::SetWatches2(_) => unreachable!("done in slices"),
        Request::Exists { .. }
        | Request::GetData { .. }
        | Request::GetAcl { .. }
        | Request::GetChildren { .. }
        | Request::GetChildren2 { .. }
        | Request::MultiRead(_)
        | Request::GetEphemerals { .. }
        | Request::GetAllChildrenNumber { .. } => read_tree(node, (conn, request, identities)),
    }
}

fn read_tree(
    node: &mut Node,
    (conn, request, identities): (ConnId, &Request, &[Identity]),
) -> Result<ReplyBody, ErrorCode> {
    let session = node.connections.get(conn).map_or(SessionId::NONE, |c| c.session);
    let result = node.tree.read(request, session, identities);
    let absent =
        matches!(request, Request::Exists { .. }) && matches!(result, Err(ErrorCode::NoNode));
    if result.is_ok() || absent {
        watch(node, conn, request);
    }
    result
}

/// Sets the one-shot watch that a successful read asks for, if it asks for one. Within a multiRead
/// Apache loses the flag: none is set there.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "four reads have a watch flag, nothing else has"
)]
fn watch(node: &mut Node, conn: ConnId, request: &Request) {
    let (path, kind) = match request {
        Request::Exists { path, watch: true } | Request::GetData { path, watch: true } => {
            (path, WatchKind::Data)
        }
        Request::GetChildren { path, watch: true }
        | Request::GetChildren2 { path, watch: true } => (path, WatchKind::Child),
        _ => return,
    };
    node.watches.add(WatcherId(conn.0), path, kind);
}

/// Who a connection is, without the secret part of a digest identity.
fn client_info(identity: &Identity) -> ClientInfo {
    let user = match &*identity.scheme {
        "digest" => identity.id.split(':').next().unwrap_or_default().into(),
        _ => identity.id.clone(),
    };
    ClientInfo { scheme: identity.scheme.clone(), user }
}
