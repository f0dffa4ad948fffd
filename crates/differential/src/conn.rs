//! One connection to a server: frames out, frames in, and which replies are still due.

use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{ConnectRequest, frame, xid};
use bellwether_wire::{OpCode, SessionId, Zxid};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reply may take before its absence counts as the observation: far more than a busy
/// machine needs.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest frame that is taken from a server.
const FRAME_BYTES_MAX: usize = 1 << 24;

/// A reply that is due.
pub(crate) struct Pending {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    /// Sent by the driver itself, to see that everything has settled.
    pub(crate) barrier: bool,
}

/// What a connection had to say.
pub(crate) enum Answer {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

/// A connection.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    pub(crate) pending: VecDeque<Pending>,
    /// Whether the connect request was granted; before that nothing but it may be sent.
    pub(crate) greeted: bool,
}

impl Conn {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Conn> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Conn { stream, input: Vec::new(), pending: VecDeque::new(), greeted: false })
    }

    pub(crate) fn send(&mut self, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = Vec::new();
        frame::write(&mut out, body);
        self.stream.write_all(&out)
    }

    /// Sends an ordinary connect request and waits for the answer.
    pub(crate) fn connect(&mut self, session: SessionId, timeout_ms: i32) -> io::Result<Answer> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms,
            session,
            password: session.password().0.into(),
            read_only: Some(false),
        };
        self.send(|out| request.encode(out))?;
        self.next_frame()
    }

    /// Ends the session and waits for the end of the connection.
    pub(crate) fn close_session(&mut self) -> io::Result<()> {
        let op = OpCode::CloseSession.code();
        self.send(|out| RequestHeader { xid: 1, op }.encode(out))?;
        while let Answer::Frame(_) = self.next_frame()? {}
        Ok(())
    }

    /// Asks for a sign that everything before it has been dealt with.
    pub(crate) fn send_barrier(&mut self) -> io::Result<()> {
        let (xid, op) = (xid::PING, OpCode::Ping.code());
        self.pending.push_back(Pending { xid, op, barrier: true });
        if !self.greeted {
            return Ok(());
        }
        self.send(|out| RequestHeader { xid, op }.encode(out))
    }

    pub(crate) fn next_frame(&mut self) -> io::Result<Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let len = match frame::length(&self.input, FRAME_BYTES_MAX) {
                Some(frame::Length::Frame(len)) => len,
                // Four letters or what they are answered with: all that there is.
                Some(frame::Length::Impossible(_)) => self.input.len() - 4,
                None => usize::MAX - 4,
            };
            if self.input.len() >= len + 4 {
                let frame = self.input.get(4..len + 4).unwrap_or_default().to_vec();
                self.input.drain(..len + 4);
                return Ok(Answer::Frame(frame));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Answer::Silence);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Answer::Closed),
                Ok(bytes) => self.input.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Answer::Closed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {} // Out of patience.
                Err(error) => return Err(error),
            }
        }
    }
}
