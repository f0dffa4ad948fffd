//! A simulated client: one session after another, several requests in flight, and its own view of
//! what it was told. It speaks bytes, as every client does.

use crate::checkers::{Checked, violation};
use bellwether_node::ConnId;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, ReplyBody, Request, RequestHeader, WatchEvent, xid,
};
use bellwether_wire::{OpCode, Reader, SessionId, Zxid};
use std::collections::VecDeque;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) state: State,
    pub(crate) session: SessionId,
    pub(crate) timeout_ms: i32,
    /// The newest zxid that it has seen, over all its connections.
    pub(crate) seen: Zxid,
    last_xid: i32,
    /// What it waits for, in order: xid and operation.
    waiting: VecDeque<(i32, i32)>,
    pub(crate) last_sent_ms: u64,
}

/// Whether a client has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Away,
    Connecting(ConnId),
    Connected(ConnId),
}

impl Client {
    pub(crate) fn new(timeout_ms: i32) -> Client {
        Client {
            state: State::Away,
            session: SessionId::NONE,
            timeout_ms,
            seen: Zxid::ZERO,
            last_xid: 0,
            waiting: VecDeque::new(),
            last_sent_ms: 0,
        }
    }

    pub(crate) fn connection(&self) -> Option<ConnId> {
        match self.state {
            State::Away => None,
            State::Connecting(conn) | State::Connected(conn) => Some(conn),
        }
    }

    /// How many requests wait for their reply.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Connects, with its session if it has one. `guess`: with a wrong password.
    pub(crate) fn connect(&mut self, conn: ConnId, guess: bool, now_ms: u64) -> Vec<u8> {
        self.state = State::Connecting(conn);
        self.last_sent_ms = now_ms;
        self.waiting.clear();
        let mut password = self.session.password().0;
        if guess {
            password = [7; 16];
        }
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: self.timeout_ms,
            session: self.session,
            password: password.into(),
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        bytes
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, request: &Request, now_ms: u64) -> Vec<u8> {
        let op = request.op();
        self.last_xid += 1;
        let fixed = [
            (OpCode::Ping, xid::PING),
            (OpCode::Auth, xid::AUTH),
            (OpCode::SetWatches, xid::SET_WATCHES),
            (OpCode::SetWatches2, xid::SET_WATCHES),
        ];
        let xid =
            fixed.iter().find(|(fixed, _)| *fixed == op).map_or(self.last_xid, |(_, xid)| *xid);
        let mut bytes = self.header(xid, op.code(), now_ms);
        request.encode(&mut bytes);
        bytes
    }

    /// Sends an operation with a body that means nothing.
    pub(crate) fn ask_raw(&mut self, op: i32, now_ms: u64) -> Vec<u8> {
        self.last_xid += 1;
        let mut bytes = self.header(self.last_xid, op, now_ms);
        bytes.push(0xff);
        bytes
    }

    fn header(&mut self, xid: i32, op: i32, now_ms: u64) -> Vec<u8> {
        self.last_sent_ms = now_ms;
        self.waiting.push_back((xid, op));
        let mut bytes = Vec::new();
        RequestHeader { xid, op }.encode(&mut bytes);
        bytes
    }

    /// The connection is closed. What was asked and not answered may or may not have happened.
    pub(crate) fn closed(&mut self) {
        self.state = State::Away;
        self.waiting.clear();
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> Checked {
        match self.state {
            State::Away => Ok(()),
            State::Connecting(conn) => self.connected(conn, frame),
            State::Connected(_) => self.told(frame),
        }
    }

    fn connected(&mut self, conn: ConnId, frame: &[u8]) -> Checked {
        let Ok(response) = ConnectResponse::decode(frame) else {
            return violation("client", "a connect response cannot be decoded");
        };
        if response.timeout_ms == 0 {
            self.session = SessionId::NONE;
            self.seen = Zxid::ZERO;
            return Ok(());
        }
        if response.password != response.session.password() {
            return violation("client", "the password is not the session's");
        }
        self.session = response.session;
        self.state = State::Connected(conn);
        Ok(())
    }

    fn told(&mut self, frame: &[u8]) -> Checked {
        let r = &mut Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(r) else {
            return violation("client", "a reply has no header");
        };
        if header.xid == xid::NOTIFICATION {
            return match WatchEvent::decode_body(header.zxid, r) {
                Ok(_) if r.remaining() == 0 => Ok(()),
                result => violation("client", format!("a watch event is {result:?}")),
            };
        }
        let Some(place) = self.waiting.iter().position(|(xid, _)| *xid == header.xid) else {
            return violation("client", format!("nobody waits for {header:?}"));
        };
        let (_, op) = self.waiting.remove(place).expect("it was found there");
        self.seen = self.seen.max(header.zxid);
        if op == OpCode::CloseSession.code() {
            self.session = SessionId::NONE;
            self.seen = Zxid::ZERO;
        }
        let decoded = match OpCode::from_code(op) {
            Some(op) if header.err == 0 => ReplyBody::decode(op, r).map(|_| ()),
            Some(_) | None => Ok(()),
        };
        match decoded {
            Ok(()) if r.remaining() == 0 => Ok(()),
            result => violation("client", format!("a reply to {op} is {result:?}")),
        }
    }
}
