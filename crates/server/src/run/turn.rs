//! A connection's turn: what its socket has, as far as limits allow, becomes events.

use super::Core;
use crate::auth::{self, Credentials, Verdict};
use crate::limits::{FRAME_LENGTH_BYTES, READS_PER_TURN, UNSENT_BYTES_ALL};
use crate::net::clients::{Next, Phase};
use crate::net::oversize::{self, Oversize};
use crate::warn_limited;
use bellwether_node::{ConnId, Event};
use bellwether_tree::Identity;
use bellwether_wire::OpCode;
use bellwether_wire::client::{ConnectRequest, Request, RequestHeader};
use bellwether_wire::jute::{DecodeError, Problem, Reader};
use bellwether_wire::ops::Kind;
use std::io;
use tracing::debug;

/// Why no more was taken from some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// The next frame is not complete: `len` bytes, as far as is known.
    Partial { len: usize },
    /// The connection may not take frames now.
    Full,
    /// It is closing or gone.
    Closed,
}

impl Core {
    /// Sends what is unsent, takes frames that wait, reads what has come.
    pub(super) fn turn(&mut self, conn: ConnId) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let wants_more = self.take_waiting(conn) && self.read(conn, &mut buffer);
        self.buffer = buffer;
        let Some(client) = self.clients.get_mut(conn) else { return };
        client.reads = wants_more && self.stopping.is_none();
        if client.outbox.is_empty() {
            client.arm();
        } else if !client.dirty {
            // The flush at the end of this round arms it.
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    /// Takes frames that came earlier; `true` if the socket may be read for more.
    fn take_waiting(&mut self, conn: ConnId) -> bool {
        let Some(client) = self.clients.get_mut(conn) else { return false };
        if client.partial.is_empty() {
            return true;
        }
        let waiting = client.partial.take();
        let (taken, stopped) = self.take_frames(conn, &waiting);
        if stopped == Stopped::Closed {
            return false; // Nothing is kept for a connection that closes.
        }
        let Some(client) = self.clients.get_mut(conn) else { return false };
        client.partial.put_back(waiting, taken, &mut self.partials);
        if taken > 0 {
            self.turns.extend(std::mem::take(&mut self.starved));
        }
        self.may_read_on(conn, stopped)
    }

    fn may_read_on(&mut self, conn: ConnId, stopped: Stopped) -> bool {
        match stopped {
            Stopped::Closed | Stopped::Full => false,
            Stopped::Partial { len } => {
                let Some(client) = self.clients.get_mut(conn) else { return false };
                let granted = client.partial.grant(len, &mut self.partials);
                if !granted {
                    self.starved.insert(conn);
                }
                granted
            }
        }
    }

    /// Reads what the socket has, up to this turn's share; `true` if it should be waited for.
    fn read(&mut self, conn: ConnId, buffer: &mut [u8]) -> bool {
        for _ in 0..READS_PER_TURN {
            let Some(client) = self.clients.get_mut(conn) else { return false };
            if !client.takes_frames() || self.stopping.is_some() {
                return false;
            }
            let bytes = match client.socket.try_read(buffer) {
                Ok(0) => {
                    self.hung_up(conn);
                    return false;
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    debug!(conn = conn.0, %error, "a connection broke");
                    self.close_now(conn);
                    return false;
                }
            };
            self.instant = self.clock.moment();
            self.figures.counts.bytes_received += u64::try_from(bytes).unwrap_or(0);
            let input = buffer.get(..bytes).unwrap_or_default();
            if !self.received(conn, input) {
                return false;
            }
            if bytes < buffer.len() {
                // Most likely that was all; the task finds out without a system call of ours.
                return true;
            }
        }
        true
    }

    /// Takes the frames in what was read and keeps the rest; `true` if more may be read.
    fn received(&mut self, conn: ConnId, input: &[u8]) -> bool {
        let now_ms = self.clock.now().mono_ms;
        let Some(client) = self.clients.get_mut(conn) else { return false };
        client.grew_ms = now_ms;
        if client.partial.is_empty() {
            let (taken, stopped) = self.take_frames(conn, input);
            if stopped == Stopped::Closed {
                return false;
            }
            let Some(client) = self.clients.get_mut(conn) else { return false };
            client.partial.extend(input.get(taken..).unwrap_or_default());
            self.may_read_on(conn, stopped)
        } else {
            client.partial.extend(input);
            self.take_waiting(conn)
        }
    }

    /// Takes frames while it may; returns how many bytes they were and why it stopped.
    fn take_frames(&mut self, conn: ConnId, input: &[u8]) -> (usize, Stopped) {
        let result = self.take_run(conn, input);
        if self.unclocked > 0 {
            self.read_clock();
        }
        result
    }

    fn take_run(&mut self, conn: ConnId, input: &[u8]) -> (usize, Stopped) {
        let max_bytes = self.frame_bytes_max();
        let mut taken = 0;
        loop {
            let crowded = self.is_crowded() && self.waits_for_replies(conn);
            let must_wait = crowded || self.audit_is_full();
            let Some(client) = self.clients.get_mut(conn) else { return (taken, Stopped::Closed) };
            match client.phase {
                Phase::Closing { .. } => return (taken, Stopped::Closed),
                Phase::New | Phase::Connecting | Phase::Open => {}
            }
            let rest = input.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                return (taken, Stopped::Partial { len: 4 });
            }
            // Whoever takes its replies is served even while others together have too much unsent.
            let too_much = self.unsent >= UNSENT_BYTES_ALL && !client.outbox.is_empty();
            if too_much || !client.takes_frames() {
                return (taken, Stopped::Full);
            }
            if must_wait {
                self.throttled.insert(conn);
                return (taken, Stopped::Full);
            }
            if let Some(oversize) = &mut client.oversize {
                taken += oversize.pass(rest);
                if oversize.has_passed() {
                    self.too_long(conn);
                }
                continue;
            }
            let (next, address) = (client.next(rest, max_bytes), client.peer);
            if let Next::Partial { len } | Next::Frame { len, .. } = next
                && !self.fits(conn, len.saturating_sub(FRAME_LENGTH_BYTES))
            {
                return (taken, Stopped::Closed);
            }
            match next {
                Next::Partial { len } => return (taken, Stopped::Partial { len }),
                Next::Frame { body, len } => {
                    taken += len;
                    self.frame(conn, body);
                }
                Next::Word(word) => {
                    if let Some(len) = self.lacks_argument(word, rest) {
                        return (taken, Stopped::Partial { len });
                    }
                    self.four_letter_word(conn, word, rest);
                    return (input.len(), Stopped::Closed);
                }
                Next::TooLong { bytes } => {
                    taken += FRAME_LENGTH_BYTES;
                    if let Some(client) = self.clients.get_mut(conn) {
                        client.oversize = Some(Box::new(Oversize::new(bytes)));
                    }
                }
                Next::Impossible(len) => {
                    self.figures.counts.requests_too_large += 1;
                    warn_limited!(self.figures.repeats, "impossible frame", %address, len, max = max_bytes,
                            "a connection was closed: it announced a frame of a length that no \
                             request has, or does not speak this protocol");
                    self.dismiss(conn);
                    return (taken, Stopped::Closed);
                }
            }
        }
    }

    fn frame_bytes_max(&self) -> usize {
        usize::try_from(self.config.jute_max_buffer).unwrap_or(usize::MAX)
    }

    /// A frame beyond the limit has passed. Its client gets an error in the order of its requests,
    /// unless it would take it for something else.
    fn too_long(&mut self, conn: ConnId) {
        let max = self.frame_bytes_max();
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some(oversize) = client.oversize.take() else { return };
        client.received += 1;
        self.figures.counts.packets_received += 1;
        self.figures.counts.requests_too_large += 1;
        let (address, bytes) = (client.peer, oversize.bytes());
        let header = oversize.header().ok().filter(oversize::is_answerable);
        let Some((header, op)) = header.and_then(|h| Some((h, OpCode::from_code(h.op)?))) else {
            warn_limited!(self.figures.repeats, "too long to answer", %address, bytes, max,
                    "a connection was closed: a frame is longer than jute.maxbuffer, and its client \
                     would not understand an error; raise jute.maxbuffer here, or let the client \
                     ask for less at once");
            return self.dismiss(conn);
        };
        let path = oversize.path().unwrap_or_default();
        warn_limited!(self.figures.repeats, "too long", %address, %op, path, bytes, max,
                "a request was refused with MARSHALLINGERROR: it is longer than jute.maxbuffer; store \
                 less in a node or put less into a multi, or raise jute.maxbuffer here and at every \
                 client that reads it");
        let problem = Problem::TooLong(bytes);
        let request = Some(Err(DecodeError { what: "frame", offset: 0, problem }));
        client.asked += 1;
        self.figures.counts.requests_handed_in += 1;
        self.step(Event::Frame { conn, header, request });
    }

    fn frame(&mut self, conn: ConnId, body: &[u8]) {
        let is_serving = self.serves_clients();
        let Some(client) = self.clients.get_mut(conn) else { return };
        client.received += 1;
        self.figures.counts.packets_received += 1;
        match client.phase {
            Phase::New => match ConnectRequest::decode(body) {
                Ok(_) if !is_serving => {
                    debug!(conn = conn.0, "a client was sent away: nobody is served here now");
                    self.dismiss(conn);
                }
                Ok(request) => {
                    client.phase = Phase::Connecting;
                    if !self.draws_a_token(conn, &request) {
                        return;
                    }
                    let Some(client) = self.clients.get(conn) else { return };
                    let identities = auth::by_connection(client.peer.ip(), &self.config.auth);
                    self.step(Event::Connect { conn, request, identities });
                }
                Err(error) => {
                    debug!(conn = conn.0, %error, "this is no connect request");
                    self.dismiss(conn);
                }
            },
            Phase::Open => self.request(conn, body),
            Phase::Connecting | Phase::Closing { .. } => {
                unreachable!("no frame is taken in this phase")
            }
        }
    }

    fn request(&mut self, conn: ConnId, body: &[u8]) {
        let mut r = Reader::new(body);
        let header = match RequestHeader::decode(&mut r) {
            Ok(header) => header,
            Err(error) => {
                debug!(conn = conn.0, %error, "a frame without a header");
                self.dismiss(conn);
                return;
            }
        };
        let body_bytes = r.remaining();
        let op = OpCode::from_code(header.op).filter(|op| op.kind() != Kind::Internal);
        let request = op.map(|op| Request::decode(op, &mut r));
        let event = match request {
            Some(Ok(Request::Auth { scheme, auth })) => {
                let Some(proved) = self.proved(conn, &scheme, auth.as_deref()) else { return };
                Event::Authenticated { conn, xid: header.xid, proved }
            }
            request => {
                if header.op != OpCode::Sasl.code() && !self.counts_as_large(conn, body_bytes) {
                    return;
                }
                self.figures.counts.requests_handed_in += 1;
                Event::Frame { conn, header, request }
            }
        };
        self.step(event);
    }

    /// What an auth packet proves, or that it failed; `None` if the connection was closed for it.
    fn proved(
        &mut self,
        conn: ConnId,
        scheme: &str,
        secret: Option<&[u8]>,
    ) -> Option<Option<Vec<Identity>>> {
        let credentials = Credentials { secret, peer: self.clients.get(conn)?.peer.ip() };
        let figures = &mut self.figures.counts.auth;
        match auth::authenticate(scheme, &credentials, &self.config.auth, figures) {
            Verdict::Proved(identities) => Some(Some(identities)),
            Verdict::Failed => Some(None),
            Verdict::HangUp { reason } => {
                let address = credentials.peer;
                warn_limited!(self.figures.repeats, "hung up", %address, reason,
                        "a connection was closed when its client authenticated");
                self.close_now(conn);
                None
            }
        }
    }

    /// The client closed its side. What it asked for before is still answered: a script may send a
    /// four-letter word and close at once.
    fn hung_up(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        if client.phase == Phase::Open {
            self.figures.counts.connections_dropped += 1;
        }
        self.dismiss(conn);
    }

    /// Closes a connection that nothing more is expected of, behind what it was answered before.
    pub(super) fn dismiss(&mut self, conn: ConnId) {
        self.step(Event::ClientGone(conn));
        self.close_after_sending(conn);
    }
}
