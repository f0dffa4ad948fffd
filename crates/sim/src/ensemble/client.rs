//! A client of the ensemble: its session moves from member to member, several requests are in
//! flight, and it knows what it was told. It speaks bytes, in frames, as every client does.

use super::network::StreamId;
use crate::checkers::{Violation, violation};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, ReplyBody, Request, RequestHeader, WatchEvent, xid,
};
use bellwether_wire::{ErrorCode, OpCode, Reader, SessionId, Zxid};
use std::collections::VecDeque;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) session: SessionId,
    pub(super) timeout_ms: i32,
    /// The newest zxid that it has seen, over all its connections.
    pub(super) seen: Zxid,
    pub(super) asked: VecDeque<Asked>,
    pub(super) last_sent_us: u64,
    pub(super) last_heard_us: u64,
    last_xid: i32,
    frames: Frames,
    pub(super) unsent: Vec<u8>,
}

/// Whether a client has a connection, and to which member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Away,
    Connecting { stream: StreamId, member: usize },
    Connected { stream: StreamId, member: usize },
}

/// A request that waits for its reply.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) xid: i32,
    pub(super) request: Request,
    /// The newest write that anybody had been told of when this was asked.
    pub(super) told_before: Zxid,
}

/// What a client is told.
#[derive(Debug)]
pub(super) enum Told {
    Connected(ConnectResponse),
    /// Its session is not there any more.
    Expired,
    Reply(Asked, Reply),
    Event(WatchEvent),
}

impl Client {
    pub(super) fn new(timeout_ms: i32) -> Client {
        Client {
            link: Link::Away,
            session: SessionId::NONE,
            timeout_ms,
            seen: Zxid::ZERO,
            asked: VecDeque::new(),
            last_sent_us: 0,
            last_heard_us: 0,
            last_xid: 0,
            frames: Frames::default(),
            unsent: Vec::new(),
        }
    }

    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.link {
            Link::Away => None,
            Link::Connecting { stream, .. } | Link::Connected { stream, .. } => Some(stream),
        }
    }

    /// Writes its connect request.
    pub(super) fn connect(&mut self, stream: StreamId, member: usize, now_us: u64) {
        self.link = Link::Connecting { stream, member };
        self.last_sent_us = now_us;
        self.last_heard_us = now_us;
        self.asked.clear();
        self.frames = Frames::default();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: self.timeout_ms,
            session: self.session,
            password: self.session.password().0.into(),
            read_only: Some(false),
        };
        self.unsent.clear();
        frame(&mut self.unsent, |bytes| request.encode(bytes));
    }

    /// Writes a request.
    pub(super) fn ask(&mut self, request: Request, told_before: Zxid, now_us: u64) {
        let op = request.op();
        let fixed = [
            (OpCode::Ping, xid::PING),
            (OpCode::Auth, xid::AUTH),
            (OpCode::SetWatches, xid::SET_WATCHES),
            (OpCode::SetWatches2, xid::SET_WATCHES),
        ];
        let fixed = fixed.iter().find(|(fixed, _)| *fixed == op).map(|(_, xid)| *xid);
        let xid = fixed.unwrap_or_else(|| {
            self.last_xid += 1;
            self.last_xid
        });
        self.last_sent_us = now_us;
        frame(&mut self.unsent, |bytes| {
            RequestHeader { xid, op: op.code() }.encode(bytes);
            request.encode(bytes);
        });
        self.asked.push_back(Asked { xid, request, told_before });
    }

    /// The connection is gone. What was asked and not answered may or may not have happened.
    pub(super) fn gone(&mut self) {
        self.link = Link::Away;
        self.asked.clear();
        self.unsent.clear();
    }

    /// It begins a session of its own.
    pub(super) fn begin_anew(&mut self) {
        self.session = SessionId::NONE;
        self.seen = Zxid::ZERO;
    }

    /// Bytes have come.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// The next thing that it is told.
    pub(super) fn next_told(&mut self) -> Result<Option<Told>, Violation> {
        let Some(frame) = self.frames.next() else { return Ok(None) };
        let told = match self.link {
            Link::Away => return Ok(None),
            Link::Connecting { .. } => connected(frame)?,
            Link::Connected { .. } => reply(frame, &mut self.asked)?,
        };
        match &told {
            Told::Reply(_, reply) => self.seen = self.seen.max(reply.zxid),
            Told::Connected(_) | Told::Expired | Told::Event(_) => {}
        }
        Ok(Some(told))
    }
}

fn broken<T>(seen: impl Into<String>) -> Result<T, Violation> {
    match violation("client", seen) {
        Err(violation) => Err(violation),
        Ok(()) => unreachable!("it is always one"),
    }
}

fn connected(frame: &[u8]) -> Result<Told, Violation> {
    let Ok(response) = ConnectResponse::decode(frame) else {
        return broken("a connect response cannot be decoded");
    };
    if response.timeout_ms == 0 {
        return Ok(Told::Expired);
    }
    if response.password != response.session.password() {
        return broken("the password is not the session's");
    }
    Ok(Told::Connected(response))
}

fn reply(frame: &[u8], asked: &mut VecDeque<Asked>) -> Result<Told, Violation> {
    let r = &mut Reader::new(frame);
    let Ok(header) = ReplyHeader::decode(r) else {
        return broken("a reply has no header");
    };
    if header.xid == xid::NOTIFICATION {
        return match WatchEvent::decode_body(header.zxid, r) {
            Ok(event) if r.remaining() == 0 => Ok(Told::Event(event)),
            result => broken(format!("a watch event is {result:?}")),
        };
    }
    let Some(first) = asked.pop_front() else {
        return broken(format!("nothing was asked, but answered: {header:?}"));
    };
    if first.xid != header.xid {
        return broken(format!("{} waits for its reply, {header:?} came", first.xid));
    }
    let result = match header.err {
        0 => match ReplyBody::decode(first.request.op(), r) {
            Ok(body) if r.remaining() == 0 => Ok(body),
            result => return broken(format!("the reply to {:?} is {result:?}", first.request)),
        },
        code => match ErrorCode::from_code(code) {
            Some(code) => Err(code),
            None => return broken(format!("{code} is no error code")),
        },
    };
    Ok(Told::Reply(first, Reply { xid: header.xid, zxid: header.zxid, result }))
}

/// Appends a frame: the length of what `write` appends, and that.
pub(super) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4).expect("frames are short here");
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&length.to_be_bytes());
    }
}

/// Bytes of a stream, as frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Invariant: what is before it was read.
    start: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a frame is all there.
    pub(super) fn has_whole(&self) -> bool {
        let left = self.buffer.get(self.start..).unwrap_or_default();
        let length = left.first_chunk::<4>().map(|head| u32::from_be_bytes(*head));
        let length = length.and_then(|length| usize::try_from(length).ok());
        length.is_some_and(|length| left.len() >= 4 + length)
    }

    /// The next frame that is all there.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let left = self.buffer.get(self.start..)?;
        let length = u32::from_be_bytes(*left.first_chunk::<4>()?);
        let end = 4 + usize::try_from(length).ok()?;
        let frame = left.get(4..end)?;
        self.start += end;
        Some(frame)
    }
}
