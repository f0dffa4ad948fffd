//! One socket of a scenario: frames out, frames in, and which replies are due.
//!
//! What it keeps true: nothing is decided by a time. A reply that does not come is missed only
//! after the reply to a later ping came, since replies keep the order of requests; a deadline ends
//! a scenario whose server hangs.
//!
//! What it leaves to others: what the frames say.

use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{frame, xid};
use bellwether_wire::{OpCode, Reader, client::reply::ReplyHeader};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// After this a ping is sent behind a request that has no reply. Only the speed depends on it.
const IMPATIENCE: Duration = Duration::from_millis(500);
/// A server that says nothing for so long hangs.
const DEADLINE: Duration = Duration::from_secs(30);
/// Frames from a server are never longer.
const FRAME_BYTES_MAX: usize = 1 << 26;

/// A request without its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    /// A ping of ours, which the scenario does not show.
    pub(crate) barrier: bool,
}

/// What a connection had to say.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    pub(crate) pending: VecDeque<Pending>,
    /// Whether pings may be sent: not before it has a session, and not within half a frame.
    pub(crate) steady: bool,
    /// Whether a connect response came.
    pub(crate) greeted: bool,
    /// Frames that wait for `flush`.
    pub(crate) held: Option<Vec<u8>>,
    pub(crate) next_xid: i32,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Connection, String> {
        let problem = |error| format!("cannot connect to {address}: {error}");
        let stream = TcpStream::connect(address).map_err(problem)?;
        stream.set_nodelay(true).map_err(problem)?;
        Ok(Connection {
            stream,
            input: Vec::new(),
            pending: VecDeque::new(),
            steady: false,
            greeted: false,
            held: None,
            next_xid: 1,
        })
    }

    /// Writes bytes. A connection that was closed shows it when it is read.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _closed = self.stream.write_all(bytes).is_err();
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end_output(&mut self) {
        let _closed = self.stream.shutdown(std::net::Shutdown::Write).is_err();
    }

    /// Sends a frame, or keeps it for `flush`.
    pub(crate) fn send(&mut self, body: &[u8]) {
        let mut out = Vec::new();
        frame::write(&mut out, |out| out.extend_from_slice(body));
        match &mut self.held {
            Some(held) => held.extend(out),
            None => self.write(&out),
        }
    }

    pub(crate) fn request(&mut self, header: RequestHeader, body: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend_from_slice(body);
        self.send(&bytes);
        self.pending.push_back(Pending { xid: header.xid, op: header.op, barrier: false });
    }

    /// Sends a ping whose reply says that everything before it was said.
    pub(crate) fn barrier(&mut self) {
        let header = RequestHeader { xid: xid::PING, op: OpCode::Ping.code() };
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        header.encode(&mut bytes);
        frame::write(&mut out, |out| out.extend_from_slice(&bytes));
        self.write(&out);
        self.pending.push_back(Pending { xid: header.xid, op: header.op, barrier: true });
    }

    /// The next frame while replies are due, with a ping behind them when it does not come soon.
    pub(crate) fn next_of_pending(&mut self) -> Heard {
        if self.pending.iter().any(|pending| pending.barrier) || !self.steady {
            return self.next(DEADLINE);
        }
        match self.next(IMPATIENCE) {
            Heard::Silence => {
                self.barrier();
                self.next(DEADLINE)
            }
            heard @ (Heard::Frame(_) | Heard::Closed) => heard,
        }
    }

    /// The next frame, however long it takes.
    pub(crate) fn next_frame(&mut self) -> Heard {
        self.next(DEADLINE)
    }

    fn next(&mut self, patience: Duration) -> Heard {
        let end = Instant::now() + patience;
        loop {
            if let Some(frame) = self.take_frame() {
                return Heard::Frame(frame);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Silence;
            }
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return Heard::Closed;
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Heard::Closed,
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => return Heard::Closed,
            }
        }
    }

    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let length = match frame::length(&self.input, FRAME_BYTES_MAX)? {
            frame::Length::Frame(length) => length,
            // Not a frame: the text of a four-letter word, shown as it is.
            frame::Length::Impossible(_) => return Some(std::mem::take(&mut self.input)),
        };
        let end = length + 4;
        if self.input.len() < end {
            return None;
        }
        let frame = self.input.get(4..end).unwrap_or_default().to_vec();
        self.input.drain(..end);
        Some(frame)
    }

    /// The request that a reply is for, and those before it that stay without one.
    pub(crate) fn answered(&mut self, header: &ReplyHeader) -> (Vec<Pending>, Option<Pending>) {
        let Some(at) = self.pending.iter().position(|pending| pending.xid == header.xid) else {
            return (Vec::new(), None);
        };
        let found = self.pending.remove(at);
        // Only a barrier tells that others were passed over: auth is answered out of its turn.
        let passed = match found {
            Some(found) if found.barrier => self.pending.drain(..at).collect(),
            Some(_) | None => Vec::new(),
        };
        (passed, found)
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Whether a frame is a watch event: a reply to a request whose own xid is -1 has no body like it.
pub(crate) fn is_event(header: &ReplyHeader, rest: &Reader<'_>) -> bool {
    header.xid == xid::NOTIFICATION && header.err == 0 && rest.remaining() >= 12
}
