//! Step 3: who asks, whether its session lives, and its place in the order of its connection.
//!
//! A write goes on to `prepare` at once, so that a client's writes are pipelined; a read is
//! answered at once unless something of the same connection waits before it. Sessions begin, move
//! between connections, are closed and expire here.

use crate::audit::Asked;
use crate::connections::{Connection, Queued, Waiting};
use crate::effect::Effect;
use crate::ensemble::{self, Doubt, Owner};
use crate::event::ConnId;
use crate::flow::{prepare, propose, reply};
use crate::limits::{IDENTITIES_BYTES_MAX, IDENTITIES_MAX};
use crate::node::Node;
use crate::statistics::Statistics;
use bellwether_tree::{Identity, Now, Write};
use bellwether_wire::client::request::WRITTEN_PATH;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, ReplyBody, Request, RequestHeader,
};
use bellwether_wire::jute::{DecodeError, Problem, Put as _};
use bellwether_wire::ops::Kind;
use bellwether_wire::{ErrorCode, OpCode, SessionId, Zxid};
use std::collections::VecDeque;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// The last counter that a leader gives out: Apache's leader, too, never proposes the one after it.
const COUNTER_MAX: u32 = u32::MAX - 1;

/// A write that may be prepared: its session was checked and its place in the order is taken.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) origin: Origin,
    pub(crate) session: SessionId,
    pub(crate) cxid: i32,
    pub(crate) identities: Arc<[Identity]>,
    pub(crate) write: Write,
}

/// Who waits for the outcome of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A request of this connection; its place in the queue is a [`Waiting::Commit`].
    Client(ConnId),
    /// A connection whose session is being made.
    Connecting(ConnId),
    /// The server itself.
    Internal,
}

/// A client's first frame: a new session, or an old one on a new connection.
pub(crate) fn connect(
    node: &mut Node,
    now: Now,
    (conn, request, identities): (ConnId, ConnectRequest, Vec<Identity>),
    out: &mut Vec<Effect>,
) {
    let last = node.tree.last_processed();
    if node.ensemble.serving().is_none() {
        out.push(Effect::Close(conn));
        return;
    }
    if request.last_zxid_seen > last || last == Zxid::MISSING {
        // It has seen a newer state than ours: another member must serve it.
        info!(
            session = %request.session, seen = %request.last_zxid_seen,
            %last,
            "refusing a client that has seen a later zxid; it will try another server"
        );
        out.push(Effect::Close(conn));
        return;
    }
    let settings = &node.settings;
    let timeout_ms =
        request.timeout_ms.clamp(settings.session_timeout_ms_min, settings.session_timeout_ms_max);
    let connection = Connection {
        session: request.session,
        timeout_ms,
        since: Zxid::ZERO,
        read_only_known: request.read_only.is_some(),
        identities: identities.into(),
        queue: VecDeque::new(),
        arrived_ms: now.mono_ms,
        statistics: Statistics::default(),
        has_watched_data: false,
    };
    if request.session == SessionId::NONE {
        begin_session(node, now, (conn, connection), out);
    } else {
        node.counters.resumed_sessions += 1;
        resume_session(node, now, (conn, connection, &request.password), out);
    }
}

fn begin_session(
    node: &mut Node,
    now: Now,
    (conn, mut connection): (ConnId, Connection),
    out: &mut Vec<Effect>,
) {
    let session = node.take_session_id();
    connection.session = session;
    let (timeout_ms, arrived_ms) = (connection.timeout_ms, connection.arrived_ms);
    node.connections.insert(conn, connection);
    if node.ensemble.is_proposer() {
        node.expiry.touch(session, now.mono_ms, timeout_ms);
    }
    if node.throttle.is_on() {
        node.throttle.hold_session(conn, session, arrived_ms);
    } else {
        make(node, now, (conn, session), out);
    }
}

/// Makes the session of a connection, unless its client has left or its time has run out while it
/// was held back.
pub(crate) fn make(
    node: &mut Node,
    now: Now,
    (conn, session): (ConnId, SessionId),
    out: &mut Vec<Effect>,
) {
    let is_live = node.ensemble.is_learner() || node.expiry.is_live(session);
    let Some(connection) = node.connections.get(conn).filter(|_| is_live) else {
        node.expiry.remove(session);
        return;
    };
    let (timeout_ms, identities) = (connection.timeout_ms, connection.identities.clone());
    node.throttle.session_begins();
    if node.ensemble.is_learner() {
        node.ensemble.creating.insert(session, conn);
        let mut payload = Vec::new();
        payload.put_int(timeout_ms);
        let op = OpCode::CreateSession;
        ensemble::forward(node, now, (session, 0, op), (payload, &identities), out);
        return;
    }
    let origin = Origin::Connecting(conn);
    let write = Write::CreateSession { timeout_ms };
    submit(node, now, Admitted { origin, session, cxid: 0, identities, write }, out);
}

fn resume_session(
    node: &mut Node,
    now: Now,
    (conn, connection, password): (ConnId, Connection, &[u8]),
    out: &mut Vec<Effect>,
) {
    let session = connection.session;
    let read_only = connection.read_only_known.then_some(false);
    let is_password = session.password().0 == *password;
    if is_password && node.ensemble.is_learner() {
        ensemble::ask_leader(node, now, (conn, connection), out);
        return;
    }
    let is_live = node.expiry.is_live(session);
    if is_password && !is_live && !node.ensemble.is_alone() {
        ensemble::doubt(node, now, Doubt::Client { conn, read_only }, out);
        return;
    }
    if !is_password || !is_live {
        debug!(%session, "a session that a client wants back has expired, or its password is wrong");
        tell_expired(conn, read_only, out);
        return;
    }
    node.expiry.touch(session, now.mono_ms, connection.timeout_ms);
    if !node.ensemble.is_alone() {
        node.ensemble.owners.insert(session, Owner::Here);
    }
    take_over(node, (conn, connection), out);
}

/// The session that a client wants is not there.
pub(crate) fn tell_expired(conn: ConnId, read_only: Option<bool>, out: &mut Vec<Effect>) {
    out.push(Effect::Connected(conn, ConnectResponse::expired(read_only)));
    out.push(Effect::Close(conn));
}

/// The session lives, and is served on this connection from here on.
pub(crate) fn take_over(
    node: &mut Node,
    (conn, connection): (ConnId, Connection),
    out: &mut Vec<Effect>,
) {
    let session = connection.session;
    let read_only = connection.read_only_known.then_some(false);
    // The client has left its former connection, whether or not that one has noticed.
    if let Some(former) = node.connections.owner_of(session) {
        drop_connection(node, former);
        out.push(Effect::Close(former));
    }
    let timeout_ms = connection.timeout_ms;
    node.connections.insert(conn, connection);
    out.push(Effect::Connected(
        conn,
        ConnectResponse { timeout_ms, session, password: session.password(), read_only },
    ));
}

/// Who asked for something, and where its answer belongs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) conn: ConnId,
    pub(crate) xid: i32,
    pub(crate) arrived_ms: u64,
    session: SessionId,
    /// Who the connection was when the request came.
    pub(super) identities: Arc<[Identity]>,
}

/// A request that may be admitted, or held back before.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) place: Place,
    pub(crate) header: RequestHeader,
    body: Option<Result<Request, DecodeError>>,
}

impl Call {
    /// The operation, unless clients may not send it or nobody knows it.
    pub(crate) fn op(&self) -> Option<OpCode> {
        let allowed = |op: &OpCode| op.kind() != Kind::Internal && *op != OpCode::Check;
        OpCode::from_code(self.header.op).filter(allowed).filter(|_| self.body.is_some())
    }
}

/// A request of a connection whose session is made.
pub(crate) fn request(
    node: &mut Node,
    now: Now,
    (conn, header, body): (ConnId, RequestHeader, Option<Result<Request, DecodeError>>),
    out: &mut Vec<Effect>,
) {
    let Some(connection) = node.connections.get(conn) else {
        return; // It was closed, and its last frames were on their way already.
    };
    let session = connection.session;
    let proves = [OpCode::Auth, OpCode::Sasl].map(OpCode::code).contains(&header.op);
    if !proves && !may_ask(&node.settings.enforced_schemes, &connection.identities) {
        require_authentication(node, conn, header, out);
        return;
    }
    if node.ensemble.is_learner() {
        node.ensemble.touched.insert(session, connection.timeout_ms);
    } else if node.expiry.is_live(session) {
        node.expiry.touch(session, now.mono_ms, connection.timeout_ms);
    }
    let is_ping = header.op == OpCode::Ping.code();
    let place = Place {
        conn,
        xid: if is_ping { bellwether_wire::client::xid::PING } else { header.xid },
        arrived_ms: now.mono_ms,
        session,
        identities: connection.identities.clone(),
    };
    let asked = Call { place, header, body };
    if proves {
        answer_sasl(node, asked, out);
    } else if node.throttle.is_on() {
        node.throttle.hold_request(asked);
    } else {
        admit(node, now, asked, out);
    }
}

/// SASL, and an auth packet that could not be decoded: outside the order of requests.
fn answer_sasl(node: &mut Node, asked: Call, out: &mut Vec<Effect>) {
    let Place { conn, xid, session, .. } = asked.place;
    match asked.body {
        Some(Ok(_)) => {
            // Without a provider Apache answers with a null token.
            let result = Ok(ReplyBody::Token(None));
            out.push(Effect::Reply(conn, Reply { xid, zxid: Zxid::ZERO, result }));
        }
        Some(Err(error)) => {
            info!(%session, %error, "closing a connection whose authentication cannot be decoded");
            out.push(Effect::Close(conn));
            drop_connection(node, conn);
        }
        None => refuse_operation(node, conn, asked.header, out),
    }
}

/// A request whose turn it is. Its connection may be gone by now; a write is done all the same.
pub(crate) fn admit(node: &mut Node, now: Now, asked: Call, out: &mut Vec<Effect>) {
    let op = asked.op();
    let Call { place, header, body } = asked;
    let Some((op, body)) = op.zip(body) else {
        refuse_operation(node, place.conn, header, out);
        return;
    };
    let session = place.session;
    match (op.kind(), body) {
        (Kind::Write, Ok(body)) => write(node, now, (place, op, Some(body)), out),
        (Kind::Write, Err(error)) if takes_a_zxid(op, &error) => {
            debug!(%session, %op, %error, "a write could not be decoded");
            write(node, now, (place, op, None), out);
        }
        (Kind::Read | Kind::Internal, _)
            if node.ensemble.is_proposer() && !node.expiry.is_live(session) =>
        {
            let refusal = Waiting::Answer(Err(ErrorCode::SessionExpired));
            read(node, now, (place, op, refusal), out);
        }
        (Kind::Read | Kind::Internal, Ok(Request::Sync { path })) => {
            propose::marker(node, now, (place, path), out);
        }
        (Kind::Read | Kind::Internal, Ok(request)) => {
            let identities = place.identities.clone();
            read(node, now, (place, op, Waiting::Read { request, identities }), out);
        }
        // A write other than a multi that cannot be decoded is no transaction either, and not even
        // its session is looked at.
        (Kind::Write | Kind::Read | Kind::Internal, Err(error)) => {
            debug!(%session, %op, %error, "a request could not be decoded");
            let refusal = Waiting::Answer(Err(ErrorCode::MarshallingError));
            read(node, now, (place, op, refusal), out);
        }
    }
}

/// Answers a request with an error, in its place of the order.
pub(crate) fn refuse(
    node: &mut Node,
    now: Now,
    (place, op): (Place, OpCode),
    error: ErrorCode,
    out: &mut Vec<Effect>,
) {
    read(node, now, (place, op, Waiting::Answer(Err(error))), out);
}

/// Apache gives a zxid to a multi that it cannot decode, unless it stumbles over a null; over the
/// null path of a create or delete it stumbles later. A frame beyond the limit it would not have
/// read at all.
fn takes_a_zxid(op: OpCode, error: &DecodeError) -> bool {
    match error.problem {
        Problem::Truncated | Problem::Length(_) | Problem::Unknown(_) | Problem::Trailing => {
            op == OpCode::Multi
        }
        Problem::Null => error.what == WRITTEN_PATH,
        Problem::TooLong(_) => false,
    }
}

fn write(
    node: &mut Node,
    now: Now,
    (place, op, body): (Place, OpCode, Option<Request>),
    out: &mut Vec<Effect>,
) {
    let Place { conn, xid, arrived_ms, session, identities } = place;
    let audits = node.settings.audit;
    let asked = audits.then(|| Asked::of(body.as_ref(), session, &identities)).flatten();
    if node.connections.get(conn).is_some() {
        let waiting = Waiting::Commit;
        node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting });
    }
    if node.ensemble.is_learner() {
        let mut payload = Vec::new();
        // A multi that cannot be decoded is refused where it gets its zxid.
        if let Some(body) = body {
            body.encode(&mut payload);
        }
        if let Some(asked) = asked {
            node.audits.put_forwarded((conn, xid), asked);
        }
        ensemble::forward(node, now, (session, xid, op), (payload, &identities), out);
        return;
    }
    let write = decide(node, session, body);
    let origin = Origin::Client(conn);
    submit(node, now, Admitted { origin, session, cxid: xid, identities, write }, out);
    if let Some(asked) = asked {
        node.audits.put(node.last_zxid, asked);
    }
}

/// What is to be prepared for a request of this session; `None` for one that cannot be decoded.
pub(crate) fn decide(node: &mut Node, session: SessionId, body: Option<Request>) -> Write {
    let live = node.expiry.is_live(session);
    let write = match body {
        Some(Request::CloseSession) => Write::CloseSession,
        None => Write::Malformed,
        Some(Request::Reconfig { .. }) if !node.settings.reconfig_enabled => {
            Write::Refused(ErrorCode::ReconfigDisabled)
        }
        // The parts of a multi are refused one by one.
        Some(Request::Multi(parts)) => Write::Request(Request::Multi(parts)),
        Some(_) if !live => Write::Refused(ErrorCode::SessionExpired),
        Some(Request::Reconfig { .. }) => Write::Refused(ErrorCode::Unimplemented),
        Some(request) => Write::Request(request),
    };
    if matches!(write, Write::CloseSession) {
        // From here on its other requests are refused, as after its end.
        node.expiry.remove(session);
        node.ensemble.owners.remove(&session);
    }
    write
}

fn read(
    node: &mut Node,
    now: Now,
    (place, op, waiting): (Place, OpCode, Waiting),
    out: &mut Vec<Effect>,
) {
    let Place { conn, xid, arrived_ms, .. } = place;
    let Some(connection) = node.connections.get(conn) else {
        return; // It was closed while the request was held back.
    };
    let waits = !connection.queue.is_empty();
    node.connections.enqueue(conn, Queued { xid, op, arrived_ms, waiting });
    if !waits {
        reply::drain(node, now, (conn, &mut 1), out);
    }
}

/// Whether a connection is somebody by a scheme that everybody must be somebody by.
fn may_ask(enforced: &[Box<str>], identities: &[Identity]) -> bool {
    enforced.is_empty() || identities.iter().any(|identity| enforced.contains(&identity.scheme))
}

/// A request of a client that should have authenticated first: Apache answers it outside the order
/// of requests, with no zxid, and closes. The session is not touched and lives on.
fn require_authentication(
    node: &mut Node,
    conn: ConnId,
    header: RequestHeader,
    out: &mut Vec<Effect>,
) {
    info!(
        op = header.op,
        needed = node.settings.enforced_schemes.join(","),
        "closing a connection whose client did not authenticate first; see enforce.auth.schemes"
    );
    let result = Err(ErrorCode::SessionClosedRequireSaslAuth);
    out.push(Effect::Reply(conn, Reply { xid: header.xid, zxid: Zxid::ZERO, result }));
    out.push(Effect::Close(conn));
    drop_connection(node, conn);
}

/// An operation that clients may not send, or that nobody knows: Apache answers it outside the
/// order of requests, with no zxid, and closes.
fn refuse_operation(node: &mut Node, conn: ConnId, header: RequestHeader, out: &mut Vec<Effect>) {
    if node.connections.get(conn).is_none() {
        return; // It was closed while the request was held back.
    }
    info!(op = header.op, "closing a connection that sent an operation which clients may not send");
    let result = Err(ErrorCode::Unimplemented);
    out.push(Effect::Reply(conn, Reply { xid: header.xid, zxid: Zxid(-1), result }));
    out.push(Effect::Close(conn));
    drop_connection(node, conn);
}

/// The shell checked an auth packet. Its answer does not wait for anything, and has no zxid.
pub(crate) fn authenticated(
    node: &mut Node,
    (conn, xid, proved): (ConnId, i32, Option<Vec<Identity>>),
    out: &mut Vec<Effect>,
) {
    let Some(connection) = node.connections.get_mut(conn) else { return };
    let known = connection.identities.clone();
    let new = proved.map(|proved| {
        proved.into_iter().filter(|identity| !known.contains(identity)).collect::<Vec<_>>()
    });
    let result = match new {
        None => Err(ErrorCode::AuthFailed),
        Some(new) if new.is_empty() => Ok(ReplyBody::Empty),
        Some(new) if fit(&known, &new) => {
            connection.identities = known.iter().cloned().chain(new).collect();
            Ok(ReplyBody::Empty)
        }
        Some(_) => {
            let session = connection.session;
            warn!(
                %session,
                "closing a connection that proved more than 64 identities, or longer ones than 16 \
                 KiB together: let its client use fewer"
            );
            Err(ErrorCode::AuthFailed)
        }
    };
    let failed = result.is_err();
    out.push(Effect::Reply(conn, Reply { xid, zxid: Zxid::ZERO, result }));
    if failed {
        out.push(Effect::Close(conn));
        drop_connection(node, conn);
    }
}

/// Whether a connection may have these identities besides those it has.
fn fit(known: &[Identity], new: &[Identity]) -> bool {
    let bytes = |identities: &[Identity]| -> usize {
        identities.iter().map(|identity| identity.scheme.len() + identity.id.len()).sum()
    };
    known.len() + new.len() <= IDENTITIES_MAX && bytes(known) + bytes(new) <= IDENTITIES_BYTES_MAX
}

/// A connection is gone. Its session lives on until it expires or comes back.
pub(crate) fn gone(node: &mut Node, conn: ConnId) {
    node.ensemble.gone(conn);
    drop_connection(node, conn);
}

pub(crate) fn drop_connection(node: &mut Node, conn: ConnId) {
    if node.connections.remove(conn).is_some() {
        node.forgetting.push_back(conn);
    }
}

/// Ends sessions that gave no sign of life in time, within `visits`. Each becomes a transaction
/// with a list of its ephemeral nodes, which is the costly part.
pub(crate) fn expire(node: &mut Node, now: Now, mut visits: usize, out: &mut Vec<Effect>) {
    while visits > 0 {
        let Some(session) = node.expiry.pop_expired(now.mono_ms) else { return };
        visits = visits.saturating_sub(1 + node.tree.ephemerals_count_of(session));
        debug!(%session, "a session expires");
        node.counters.sessions_expired += 1;
        node.ensemble.owners.remove(&session);
        let identities = Arc::new([]);
        let write = Write::CloseSession;
        let origin = Origin::Internal;
        submit(node, now, Admitted { origin, session, cxid: 0, identities, write }, out);
    }
}

/// Deletes a container or TTL node, if it still may be deleted when this is prepared.
pub(crate) fn reap(node: &mut Node, now: Now, path: Box<str>, out: &mut Vec<Effect>) {
    let write = Write::DeleteContainer { path };
    let (origin, identities) = (Origin::Internal, Arc::new([]));
    submit(
        node,
        now,
        Admitted { origin, session: SessionId::NONE, cxid: 0, identities, write },
        out,
    );
}

/// Prepares and proposes. A leader whose counter is used up resigns: the next epoch has a new one.
pub(crate) fn submit(node: &mut Node, now: Now, admitted: Admitted, out: &mut Vec<Effect>) {
    if !node.ensemble.is_alone() && node.last_zxid.counter() >= COUNTER_MAX {
        let why = "the zxids of this epoch are used up";
        node.peer_does(now, out, |peer, said| peer.resign(now.mono_ms, why, said));
    }
    if !node.ensemble.is_proposer() {
        return; // With the role went the connection.
    }
    let prepared = prepare::prepare(node, now, admitted, out);
    propose::propose(node, now, prepared, out);
}
