//! The runner's own connection: it makes a scenario's root with all rights, and leaves the server
//! as it found it.
//!
//! What it keeps true: whatever a scenario did, no session and no node of it is left.

use super::Play;
use crate::connection::{Connection, Heard};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::{Create, RequestHeader};
use bellwether_wire::client::{ConnectRequest, ConnectResponse, ReplyBody, Request, xid};
use bellwether_wire::{Acl, OpCode, Reader, SessionId, Zxid};

/// The runner as a client; no scenario's client has such a name.
pub(super) const CONTROL: &str = "(runner)";
/// Longer than any scenario takes; where less is allowed, waits keep it alive.
const TIMEOUT_MS: i32 = 60_000;
/// Where quotas stand.
const QUOTAS: &str = "/zookeeper/quota";

impl Play<'_> {
    /// Makes the node that `~` stands for.
    pub(super) fn prepare(&mut self, number: usize) -> Result<(), String> {
        let path = format!("/s{number:03}");
        self.own_session()?;
        let acl = Some(vec![Acl::world_all()]);
        let create = Create { path: path.as_str().into(), data: None, acl, flags: 0 };
        let (header, _) = self.ask(&Request::Create(create))?;
        if header.err != 0 {
            return Err(format!("cannot make {path}: error {}", header.err));
        }
        let root = Request::Exists { path: "/".into(), watch: false };
        if let (_, Some(ReplyBody::Stat(stat))) = self.ask(&root)? {
            self.shown.root_cversion = stat.cversion;
        }
        self.shown.place.root = path;
        self.shown.place.base = header.zxid.0;
        Ok(())
    }

    /// Connects, after a restart with the session that it had, and proves to be super; where the
    /// server's settings let nobody prove anything, it stays who it is.
    fn own_session(&mut self) -> Result<(), String> {
        self.greet_again()?;
        let auth = Request::Auth { scheme: "digest".into(), auth: Some((*b"super:test").into()) };
        match self.try_ask(&auth) {
            Some((header, _)) if header.err == 0 => Ok(()),
            Some(_) => self.greet_again(),
            None => Err("the server does not answer the runner".into()),
        }
    }

    fn greet_again(&mut self) -> Result<(), String> {
        let (connection, response) = greet(self, self.control_session)?;
        let response = response.ok_or("the server gives the runner no session")?;
        self.control = Some(connection);
        self.control_session = response.session;
        self.shown.meet(response.session, CONTROL);
        Ok(())
    }

    /// Asks with all rights; the session is made again when the server was restarted.
    pub(super) fn ask(
        &mut self,
        request: &Request,
    ) -> Result<(ReplyHeader, Option<ReplyBody>), String> {
        match self.try_ask(request) {
            Some(answer) => Ok(answer),
            None => {
                self.own_session()?;
                self.try_ask(request).ok_or_else(|| "the server does not answer the runner".into())
            }
        }
    }

    fn try_ask(&mut self, request: &Request) -> Option<(ReplyHeader, Option<ReplyBody>)> {
        let connection = self.control.as_mut()?;
        let op = request.op();
        let xid = if op == OpCode::Ping { xid::PING } else { 1 };
        let mut body = Vec::new();
        request.encode(&mut body);
        connection.request(RequestHeader { xid, op: op.code() }, &body);
        connection.pending.clear();
        match connection.next_frame() {
            Heard::Frame(frame) => {
                let mut r = Reader::new(&frame);
                let header = ReplyHeader::decode(&mut r).ok()?;
                let body = (header.err == 0).then(|| ReplyBody::decode(op, &mut r).ok()).flatten();
                Some((header, body))
            }
            Heard::Closed | Heard::Silence => None,
        }
    }

    /// Ends all sessions and removes the scenario's nodes.
    pub(super) fn clean(mut self) -> Result<(), String> {
        if self.server.pid().is_none() {
            self.server.up()?;
        }
        let mut sessions = std::mem::take(&mut self.left);
        let clients = std::mem::take(&mut self.clients);
        for client in clients.into_values() {
            if client.alive {
                sessions.push(client.session);
            }
        }
        for session in sessions {
            self.end(session)?;
        }
        let root = self.shown.place.root.clone();
        self.remove(&format!("{QUOTAS}{root}"))?;
        self.remove(&root)?;
        self.ask(&Request::CloseSession).map(|_| ())
    }

    fn end(&self, session: SessionId) -> Result<(), String> {
        let (mut connection, response) = greet(self, session)?;
        if response.is_some() {
            let header = RequestHeader { xid: 1, op: OpCode::CloseSession.code() };
            connection.request(header, &[]);
            while let Heard::Frame(_) = connection.next_frame() {}
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), String> {
        let mut paths = vec![path.to_owned()];
        let mut at = 0;
        while let Some(path) = paths.get(at).cloned() {
            let list = Request::GetChildren { path: path.as_str().into(), watch: false };
            if let (_, Some(ReplyBody::Children(names))) = self.ask(&list)? {
                paths.extend(names.names().iter().map(|name| format!("{path}/{name}")));
            }
            at += 1;
        }
        for path in paths.iter().rev() {
            self.ask(&Request::Delete { path: path.as_str().into(), version: -1 })?;
        }
        Ok(())
    }
}

/// Connects with a session; none when the server does not have it.
fn greet(
    play: &Play<'_>,
    session: SessionId,
) -> Result<(Connection, Option<ConnectResponse>), String> {
    let mut connection = Connection::open(play.server.address())?;
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: TIMEOUT_MS,
        session,
        password: session.password().0.into(),
        read_only: Some(false),
    };
    let mut body = Vec::new();
    request.encode(&mut body);
    connection.send(&body);
    let Heard::Frame(frame) = connection.next_frame() else { return Ok((connection, None)) };
    let response = ConnectResponse::decode(&frame).ok();
    Ok((connection, response.filter(|response| response.timeout_ms > 0)))
}
