//! A blocking client: requests in a pipeline, replies in their order, a session that can move.
//!
//! What it keeps true: a reply is matched with the oldest request; every wait has an end, after
//! which the connection is of no use.
//!
//! What it leaves to others: what a lost connection means for a write (`load`).

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::{Create, Request};
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, ReplyBody, RequestHeader, frame, xid,
};
use bellwether_wire::{Acl, OpCode, Reader, SessionId, Zxid};

/// A connect attempt on this machine is answered at once, or by nobody.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// The longest frame that a server may send: the children of the largest node of any round.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// What identifies a session to any member.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    id: SessionId,
    password: Box<[u8]>,
}

/// How a client asks to be served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) timeout_ms: i32,
    /// How long it waits for a reply before it gives the server up.
    pub(crate) patience: Duration,
}

impl Terms {
    /// For whoever writes and reads while nothing is wrong.
    pub(crate) const CALM: Terms = Terms { timeout_ms: 60_000, patience: Duration::from_secs(60) };
}

/// What a server made of a connect request.
#[derive(Debug)]
pub(crate) enum Opened {
    Served(Connection),
    /// The session is gone.
    Expired,
}

/// A connection with a session.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) session: Session,
    next_xid: i32,
    out: Vec<u8>,
    pending: VecDeque<(i32, OpCode)>,
    /// The newest zxid that this connection was told.
    pub(crate) seen: Zxid,
}

/// A reply: the body, or the error's number.
pub(crate) type Answer = Result<ReplyBody, i32>;

impl Connection {
    /// Begins a session, or takes one up.
    pub(crate) fn open(
        address: SocketAddr,
        session: Option<&Session>,
        seen: Zxid,
        terms: Terms,
    ) -> io::Result<Opened> {
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(terms.patience))?;
        stream.set_write_timeout(Some(terms.patience))?;
        stream.write_all(&greeting(session, seen, terms))?;
        Self::welcomed(stream, seen)
    }

    /// A session of its own, from a server that is known to serve.
    pub(crate) fn begin(address: SocketAddr, terms: Terms) -> io::Result<Connection> {
        match Self::open(address, None, Zxid::ZERO, terms)? {
            Opened::Served(connection) => Ok(connection),
            Opened::Expired => Err(io::Error::other("it refuses a session")),
        }
    }

    /// Reads the answer to a greeting that was sent.
    pub(crate) fn welcomed(mut stream: TcpStream, seen: Zxid) -> io::Result<Opened> {
        let bytes = read_frame(&mut stream)?;
        let response = ConnectResponse::decode(&bytes).map_err(io::Error::other)?;
        if response.timeout_ms == 0 {
            return Ok(Opened::Expired);
        }
        let session = Session { id: response.session, password: response.password.0.into() };
        let (out, pending) = (Vec::new(), VecDeque::new());
        Ok(Opened::Served(Connection { stream, session, next_xid: 1, out, pending, seen }))
    }

    /// Puts a request behind those that the next [`Connection::flush`] sends.
    pub(crate) fn queue(&mut self, request: &Request) {
        let (xid, op) = (self.next_xid, request.op());
        self.next_xid += 1;
        self.pending.push_back((xid, op));
        frame::write(&mut self.out, |out| {
            RequestHeader { xid, op: op.code() }.encode(out);
            request.encode(out);
        });
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// The reply to the oldest request that has none.
    pub(crate) fn reply(&mut self) -> io::Result<Answer> {
        loop {
            let bytes = read_frame(&mut self.stream)?;
            let r = &mut Reader::new(&bytes);
            let header = ReplyHeader::decode(r).map_err(io::Error::other)?;
            if [xid::NOTIFICATION, xid::PING].contains(&header.xid) {
                continue;
            }
            let due = self.pending.pop_front();
            let Some((_, op)) = due.filter(|(xid, _)| *xid == header.xid) else {
                let what = format!("a reply to {} where {due:?} was due", header.xid);
                return Err(io::Error::other(what));
            };
            self.seen = self.seen.max(header.zxid);
            if header.err != 0 {
                return Ok(Err(header.err));
            }
            return ReplyBody::decode(op, r).map(Ok).map_err(io::Error::other);
        }
    }

    pub(crate) fn call(&mut self, request: &Request) -> io::Result<Answer> {
        self.queue(request);
        self.flush()?;
        self.reply()
    }

    /// Like `call`, where a refusal is a failure too.
    pub(crate) fn expect(&mut self, request: &Request) -> Result<ReplyBody, String> {
        let told = |why: String| format!("{:?}: {why}", request.op());
        let answer = self.call(request).map_err(|error| told(error.to_string()))?;
        answer.map_err(|code| told(format!("error {code}")))
    }

    /// Sends many requests, no more than `window` of them unanswered, and gives the answers.
    pub(crate) fn pipeline(
        &mut self,
        requests: &[Request],
        window: usize,
    ) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(window) {
            chunk.iter().for_each(|request| self.queue(request));
            self.flush()?;
            for _ in chunk {
                answers.push(self.reply()?);
            }
        }
        Ok(answers)
    }

    /// Ends the session; a server that does not answer lets it expire.
    pub(crate) fn close(mut self) {
        let header = RequestHeader { xid: self.next_xid, op: OpCode::CloseSession.code() };
        frame::write(&mut self.out, |out| header.encode(out));
        if self.flush().is_ok() {
            while read_frame(&mut self.stream).is_ok() {}
        }
    }
}

/// The first frame of a connection.
pub(crate) fn greeting(session: Option<&Session>, seen: Zxid, terms: Terms) -> Vec<u8> {
    let fresh = || Box::from([0; 16]);
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: seen,
        timeout_ms: terms.timeout_ms,
        session: session.map_or(SessionId::NONE, |session| session.id),
        password: session.map_or_else(fresh, |session| session.password.clone()),
        read_only: Some(false),
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, |out| request.encode(out));
    bytes
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let Some(frame::Length::Frame(length)) = frame::length(&length, FRAME_BYTES_MAX) else {
        return Err(io::Error::other("a frame of an impossible length"));
    };
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A create of a node that anybody may change, answered with its stat.
pub(crate) fn create(path: &str, data: &[u8]) -> Request {
    Request::Create2(Create {
        path: path.into(),
        data: Some(data.into()),
        acl: Some(vec![Acl::world_all()]),
        flags: 0,
    })
}

/// A set of data; -1 takes any version.
pub(crate) fn set(path: &str, data: &[u8], version: i32) -> Request {
    Request::SetData { path: path.into(), data: Some(data.into()), version }
}
