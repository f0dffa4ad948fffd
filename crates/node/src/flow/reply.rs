//! Step 10: outcomes become replies, in the order of the requests of each connection.

use crate::audit;
use crate::connections::{Queued, Waiting};
use crate::effect::Effect;
use crate::event::ConnId;
use crate::flow::session::{Origin, drop_connection};
use crate::flow::watches::{self, Fired};
use crate::node::Node;
use crate::statistics::Answered;
use bellwether_tree::{Identity, Now, Progress, Schemes, WatchKind, WatcherId};
use bellwether_wire::client::{
    AddWatchMode, ClientInfo, ConnectResponse, Reply, ReplyBody, Request, WatcherType,
};
use bellwether_wire::ops::Kind;
use bellwether_wire::{ErrorCode, OpCode, SessionId};

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
        // The session is served elsewhere: Apache never says so, it closes.
        Origin::Client(conn) if outcome.result == Err(ErrorCode::SessionMoved) => {
            out.push(Effect::Close(conn));
            drop_connection(node, conn);
        }
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
    node.throttle.session_began();
    let Some(connection) = node.connections.get(conn) else {
        return; // It was closed meanwhile; the session expires in its time.
    };
    let session = connection.session;
    let request = Answered {
        op: Some(OpCode::CreateSession),
        cxid: 0,
        arrived_ms: connection.arrived_ms,
        zxid: node.tree.last_processed(),
    };
    if node.expiry.is_live(session) {
        node.expiry.touch(session, now.mono_ms, connection.timeout_ms);
    }
    let response = ConnectResponse {
        timeout_ms: connection.timeout_ms,
        session,
        password: session.password(),
        read_only: connection.read_only_known.then_some(false),
    };
    let latency_ms = now.mono_ms.saturating_sub(request.arrived_ms);
    node.counters.latency.record(latency_ms);
    node.measures.update_latency_ms.record(latency_ms);
    node.connections.answered(conn, now, request);
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
    loop {
        if *visits == 0 {
            if node.connections.is_ready(conn) {
                node.draining.push_back(conn);
            }
            return;
        }
        let Some(queued) = node.connections.dequeue_ready(conn) else { return };
        *visits -= 1;
        let Queued { xid, op, arrived_ms, waiting } = queued;
        let result = match waiting {
            Waiting::Answer(result) => result,
            Waiting::LastAnswer(result) => {
                send(node, now, (conn, xid, op, arrived_ms, result), out);
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
                node.connections.requeue(conn, Queued { xid, op, arrived_ms, waiting });
                node.setting_watches.push_back(conn);
                return;
            }
            Waiting::Read { request, identities } => read(node, (conn, &request, &identities)),
            Waiting::Commit | Waiting::Marker | Waiting::SetWatches(_) => {
                unreachable!("only what is ready is taken")
            }
        };
        send(node, now, (conn, xid, op, arrived_ms, result), out);
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
            send(node, now, (conn, queued.xid, queued.op, queued.arrived_ms, result), out);
            drain(node, now, (conn, visits), out);
        }
    }
}

fn send(
    node: &mut Node,
    now: Now,
    (conn, xid, op, arrived_ms, result): (ConnId, i32, OpCode, u64, Result<ReplyBody, ErrorCode>),
    out: &mut Vec<Effect>,
) {
    let latency_ms = now.mono_ms.saturating_sub(arrived_ms);
    node.counters.latency.record(latency_ms);
    match op.kind() {
        Kind::Write => node.measures.update_latency_ms.record(latency_ms),
        Kind::Read | Kind::Internal => node.measures.read_latency_ms.record(latency_ms),
    }
    let zxid = node.tree.last_processed();
    let request = Answered { op: told_op(op, &result), cxid: xid, arrived_ms, zxid };
    node.connections.answered(conn, now, request);
    out.push(Effect::Reply(conn, Reply { xid, zxid, result }));
}

/// The operation that the figures of the connection name. Apache names none where it did not come
/// to look at it: a write that was refused, any request of a session that has expired.
fn told_op(op: OpCode, result: &Result<ReplyBody, ErrorCode>) -> Option<OpCode> {
    let looked_at = match result {
        Ok(_) => true,
        Err(ErrorCode::SessionExpired) => false,
        Err(_) => op.kind() != Kind::Write,
    };
    looked_at.then_some(op)
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
        Request::WhoAmI => {
            let schemes = &node.tree.options().schemes;
            let info = |identity| client_info(schemes, identity);
            Ok(ReplyBody::WhoAmI(identities.iter().map(info).collect()))
        }
        Request::AddWatch { path, mode } => {
            let kind = match AddWatchMode::from_code(*mode) {
                Some(AddWatchMode::Persistent) => WatchKind::Persistent,
                Some(AddWatchMode::PersistentRecursive) => WatchKind::PersistentRecursive,
                None => return Err(ErrorCode::MarshallingError),
            };
            watches.add(watcher, path, kind);
            node.connections.set_has_watched_data(conn, true);
            Ok(ReplyBody::ErrorRecord)
        }
        Request::CheckWatches { path, watcher: kind } => {
            let kind = WatcherType::from_code(*kind).ok_or(ErrorCode::MarshallingError)?;
            let there = watches.contains(watcher, path, kind);
            if there { Ok(ReplyBody::Empty) } else { Err(ErrorCode::NoWatcher) }
        }
        Request::RemoveWatches { path, watcher: kind } => {
            let kind = WatcherType::from_code(*kind).ok_or(ErrorCode::MarshallingError)?;
            let before = watches.data_watches_of(watcher);
            let removed = watches.remove(watcher, path, kind);
            if before > 0 && watches.data_watches_of(watcher) == 0 {
                node.connections.set_has_watched_data(conn, false);
            }
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
    if kind == WatchKind::Data {
        node.connections.set_has_watched_data(conn, true);
    }
}

/// Who a connection is, without what its scheme keeps secret. `super`, which is no scheme, has no
/// name.
fn client_info(schemes: &Schemes, identity: &Identity) -> ClientInfo {
    let user = schemes.get(&identity.scheme).map_or("", |scheme| (scheme.user)(&identity.id));
    ClientInfo { scheme: identity.scheme.clone(), user: user.into() }
}
