//! A connection under load: frames out in one write, replies skimmed where they lie.
//!
//! What it keeps true: `sent` holds a time per request in flight, oldest first. Replies come in the
//! order of the requests, so that the one due is `expected_xid`.

use super::error::BenchError;
use super::load::Source;
use bellwether_client::{Host, OpCode, SessionId, Zxid};
use bellwether_wire::Reader;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{ConnectRequest, ConnectResponse, frame};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A reply's length and header.
const HEAD_BYTES: usize = 20;

/// How long a server may take to accept a session, and to end it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The session timeout to ask for. No pings are sent, since requests are.
const SESSION_TIMEOUT_MS: i32 = 60_000;

/// No answer to a connect request is longer.
const CONNECT_RESPONSE_BYTES_MAX: usize = 1024;

pub(super) struct Connection {
    stream: TcpStream,
    session: SessionId,
    next_xid: i32,
    expected_xid: i32,
    sent: VecDeque<Instant>,
    /// Frames that are not yet written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// The start of a reply whose head has not arrived wholly.
    head: Vec<u8>,
    /// The reply whose body has not arrived wholly.
    open: Option<OpenReply>,
}

#[derive(Clone, Copy)]
struct OpenReply {
    err: i32,
    bytes_left: usize,
}

/// A reply that has arrived.
pub(super) struct Done {
    /// When its request was sent.
    pub(super) sent: Instant,
    /// 0, or the error's number.
    pub(super) err: i32,
}

impl Connection {
    /// Begins a session.
    pub(super) fn open(host: &Host) -> Result<Connection, BenchError> {
        let failed = |source| BenchError::Connect { server: host.to_string(), source };
        let (stream, session) = greet(host).map_err(failed)?;
        Ok(Connection {
            stream,
            session,
            next_xid: 1,
            expected_xid: 1,
            sent: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            head: Vec::with_capacity(HEAD_BYTES),
            open: None,
        })
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Whether frames are left that the socket did not take.
    pub(super) fn is_waiting_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Queues the next frame of `source`; false if there is none.
    pub(super) fn queue(&mut self, now: Instant, index: usize, source: &mut dyn Source) -> bool {
        let start = self.out.len();
        if !source.next(index, &mut self.out) {
            return false;
        }
        let xid = self.out.get_mut(start + 4..start + 8).expect("a source appends whole frames");
        xid.copy_from_slice(&self.next_xid.to_be_bytes());
        self.next_xid = following(self.next_xid);
        self.sent.push_back(now);
        true
    }

    /// Writes what the socket takes. Whether something is left.
    pub(super) fn flush(&mut self) -> Result<Unsent, BenchError> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Unsent::Some),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(Unsent::None)
    }

    /// Reads once and hands every reply that has arrived wholly to `done`.
    pub(super) fn receive(
        &mut self,
        scratch: &mut [u8],
        done: impl FnMut(Done),
    ) -> Result<(), BenchError> {
        match self.stream.read(scratch) {
            Ok(0) => Err(self.lost(io::Error::other("the server closed it"))),
            Ok(bytes) => self.skim(scratch.get(..bytes).unwrap_or_default(), done),
            Err(error)
                if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted]
                    .contains(&error.kind()) =>
            {
                Ok(())
            }
            Err(error) => Err(self.lost(error)),
        }
    }

    fn skim(&mut self, mut bytes: &[u8], mut done: impl FnMut(Done)) -> Result<(), BenchError> {
        loop {
            if let Some(open) = self.open {
                let Some(rest) = bytes.get(open.bytes_left..) else {
                    let bytes_left = open.bytes_left - bytes.len();
                    self.open = Some(OpenReply { bytes_left, ..open });
                    return Ok(());
                };
                bytes = rest;
                self.open = None;
                let sent = self.sent.pop_front().expect("its xid was the one due");
                done(Done { sent, err: open.err });
            }
            // The head is nearly always in one piece.
            if self.head.is_empty()
                && let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES)
            {
                self.open = Some(self.reply(head)?);
                bytes = rest;
                continue;
            }
            let missing = (HEAD_BYTES - self.head.len()).min(bytes.len());
            let (more, rest) = bytes.split_at(missing);
            self.head.extend_from_slice(more);
            bytes = rest;
            if self.head.len() < HEAD_BYTES {
                return Ok(());
            }
            let head = std::mem::take(&mut self.head);
            self.open = Some(self.reply(&head)?);
        }
    }

    /// The reply that begins with `head`, if it is the one due.
    fn reply(&mut self, head: &[u8]) -> Result<OpenReply, BenchError> {
        let nonsense = |what: String| Err(BenchError::Protocol(what));
        let r = &mut Reader::new(head);
        let decoded = r.int("frame.length").and_then(|len| Ok((len, ReplyHeader::decode(r)?)));
        let (len, header) = decoded.map_err(|error| BenchError::Protocol(error.to_string()))?;
        let body = usize::try_from(len).ok().and_then(|len| len.checked_sub(HEAD_BYTES - 4));
        let Some(bytes_left) = body else {
            return nonsense(format!("the server sent a frame of {len} bytes"));
        };
        if header.xid != self.expected_xid || self.sent.is_empty() {
            let (xid, due) = (header.xid, self.expected_xid);
            return nonsense(format!("the server sent reply {xid} where {due} was due"));
        }
        self.expected_xid = following(self.expected_xid);
        Ok(OpenReply { err: header.err, bytes_left })
    }

    fn lost(&self, source: io::Error) -> BenchError {
        BenchError::Lost { session: self.session.to_string(), source }
    }

    /// Ends the session. What the server answers, and whether, changes no result.
    pub(super) fn close(mut self) {
        self.say_goodbye().ok();
    }

    fn say_goodbye(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = Vec::new();
        let header = RequestHeader { xid: self.next_xid, op: OpCode::CloseSession.code() };
        frame::write(&mut bytes, |out| header.encode(out));
        self.stream.write_all(&bytes)?;
        self.stream.read_exact(&mut [0; HEAD_BYTES])
    }
}

/// Whether a connection waits for its socket to take more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    None,
    Some,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn following(xid: i32) -> i32 {
    xid.checked_add(1).unwrap_or(1)
}

fn greet(host: &Host) -> io::Result<(TcpStream, SessionId)> {
    let mut addresses = (&*host.name, host.port).to_socket_addrs()?;
    let address = addresses.next().ok_or(io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: SESSION_TIMEOUT_MS,
        session: SessionId::NONE,
        password: Box::new([0; 16]),
        read_only: Some(false),
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, |out| request.encode(out));
    stream.write_all(&bytes)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let Some(frame::Length::Frame(len)) = frame::length(&length, CONNECT_RESPONSE_BYTES_MAX) else {
        return Err(io::Error::other("it does not speak ZooKeeper's protocol"));
    };
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    let response = ConnectResponse::decode(&body).map_err(io::Error::other)?;
    if response.session == SessionId::NONE {
        return Err(io::Error::other("it refused a session"));
    }
    stream.set_nonblocking(true)?;
    Ok((stream, response.session))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A connection with `in_flight` requests, whose server is nobody.
    fn waiting(in_flight: usize) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Connection {
            stream: TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
            session: SessionId(7),
            next_xid: 1 + i32::try_from(in_flight).unwrap(),
            expected_xid: 1,
            sent: std::iter::repeat_n(Instant::now(), in_flight).collect(),
            out: Vec::new(),
            written: 0,
            head: Vec::new(),
            open: None,
        }
    }

    fn reply(xid: i32, err: i32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, |out| {
            out.extend_from_slice(&xid.to_be_bytes());
            out.extend_from_slice(&9i64.to_be_bytes());
            out.extend_from_slice(&err.to_be_bytes());
            out.extend_from_slice(body);
        });
        bytes
    }

    #[test]
    fn replies_are_counted_however_they_are_cut() {
        let bytes = [reply(1, 0, b"body"), reply(2, -101, b""), reply(3, 0, &[7; 50])].concat();
        for piece in 1..=bytes.len() {
            let mut connection = waiting(3);
            let mut errors = Vec::new();
            for part in bytes.chunks(piece) {
                connection.skim(part, |done| errors.push(done.err)).unwrap();
            }
            assert_eq!(errors, [0, -101, 0], "in pieces of {piece}");
            assert_eq!(connection.in_flight(), 0);
        }
    }

    #[test]
    fn a_reply_that_is_not_due_is_refused() {
        let refused = |in_flight, bytes: &[u8]| {
            waiting(in_flight).skim(bytes, |_| ()).unwrap_err().to_string()
        };
        assert_eq!(refused(2, &reply(2, 0, b"")), "the server sent reply 2 where 1 was due");
        assert_eq!(refused(0, &reply(1, 0, b"")), "the server sent reply 1 where 1 was due");
        assert_eq!(refused(1, &[0; 20]), "the server sent a frame of 0 bytes");
    }
}
