//! One server under test: its connections, and what they were told, written so that two servers'
//! transcripts can be compared.

use crate::plan::{Connect, Mutation, Secret, Sent, Step, Which, place};
use crate::random::SLOTS;
use crate::shown::Shown;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::{Create, RequestHeader};
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, ReplyBody, Request, WatchEvent, frame, xid,
};
use bellwether_wire::{Acl, OpCode, Reader, SessionId, Zxid};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reply may take before its absence counts as the observation.
const PATIENCE: Duration = Duration::from_secs(4);
/// A session with a timeout below this is waited for when its connection ends.
const SHORT_TIMEOUT_MS: i32 = 5_000;

/// What was seen after one step, a line each.
pub(crate) type Lines = Vec<String>;

struct Pending {
    xid: i32,
    op: i32,
    /// Sent by the driver itself, to see that everything has settled.
    barrier: bool,
}

struct Conn {
    stream: TcpStream,
    input: Vec<u8>,
    pending: VecDeque<Pending>,
    greeted: bool,
}

#[derive(Default)]
struct Slot {
    conn: Option<Conn>,
    session: SessionId,
    timeout_ms: i32,
    closed: bool,
}

/// One server and the sessions of one run.
pub(crate) struct Side {
    address: SocketAddr,
    control: Conn,
    slots: Vec<Slot>,
    shown: Shown,
    last_zxid: i64,
    leftover: Vec<SessionId>,
}

impl Side {
    /// Connects with all rights and makes the run's own node.
    pub(crate) fn start(address: SocketAddr, run: u64) -> io::Result<Side> {
        let mut control = Conn::open(address)?;
        control.send_connect(&connect_request(SessionId::NONE, 600_000))?;
        let shown = Shown::new(format!("/r{run:08}"));
        let slots = (0..SLOTS).map(|_| Slot::default()).collect();
        let mut side = Side { address, control, slots, shown, last_zxid: 0, leftover: Vec::new() };
        side.control.next_frame(PATIENCE)?;
        let auth = Some((*b"super:secret").into());
        side.ask(&Request::Auth { scheme: "digest".into(), auth })?;
        if let (_, Some(ReplyBody::Stat(root))) =
            side.ask(&Request::Exists { path: "/".into(), watch: false })?
        {
            side.shown.root = root;
        }
        let path = side.shown.prefix.clone().into();
        let acl = Some(vec![Acl::world_all()]);
        let (header, _) = side.ask(&Request::Create(Create { path, data: None, acl, flags: 0 }))?;
        side.shown.base = header.zxid.0;
        Ok(side)
    }

    /// Does one step and reports what every connection saw until all was quiet.
    pub(crate) fn step(&mut self, step: &Step) -> io::Result<Lines> {
        let mut lines = Lines::new();
        match step {
            Step::Open { slot, connect } => self.open(*slot, connect, &mut lines)?,
            Step::Batch { slot, sent } => self.send(*slot, sent, &mut lines),
            Step::Bytes { slot, bytes } => {
                if let Some(conn) = self.slot(*slot).conn.as_mut() {
                    if conn.stream.write_all(bytes).is_err() {
                        lines.push("(the bytes could not be sent)".into());
                    }
                    // A frame that was announced and not sent would hang the connection.
                    let (xid, op) = match bytes_xid(bytes) {
                        _ if bytes.len() == 12 => (xid::PING, OpCode::Ping.code()),
                        xid => (xid, OpCode::SetData.code()),
                    };
                    if bytes.len() > 4 && bytes != b"ruok" {
                        conn.pending.push_back(Pending { xid, op, barrier: false });
                    }
                }
            }
            Step::Drop { slot } => {
                self.slot(*slot).conn = None;
                self.await_expiry(*slot, &mut lines)?;
            }
        }
        self.settle(&mut lines)?;
        Ok(lines)
    }

    fn slot(&mut self, slot: usize) -> &mut Slot {
        self.slots.get_mut(slot).expect("a stream uses the slots there are")
    }

    fn open(&mut self, slot: usize, connect: &Connect, lines: &mut Lines) -> io::Result<()> {
        let honest =
            matches!((connect.password, &connect.mutation), (Secret::Right, Mutation::None));
        let session = match connect.session {
            Which::New => SessionId::NONE,
            Which::Of(other) => {
                let session = self.slot(other).session;
                // Apache closes the session's connection before it looks at the password.
                for at in (0..self.slots.len()).filter(|_| !honest) {
                    if self.slot(at).session == session && self.slot(at).conn.take().is_some() {
                        self.await_expiry(at, lines)?;
                    }
                }
                session
            }
            Which::Unknown(id) => SessionId(id),
        };
        let password = match connect.password {
            Secret::Right => session.password().0.to_vec(),
            Secret::Wrong => vec![9; 16],
            Secret::Short => vec![9; 3],
            Secret::Empty => Vec::new(),
            Secret::Zeros => vec![0; 16],
        };
        let request = ConnectRequest {
            protocol_version: connect.protocol,
            last_zxid_seen: Zxid(connect.seen.saturating_add(self.shown.base)),
            timeout_ms: connect.timeout_ms,
            session,
            password: password.into(),
            read_only: connect.read_only,
        };
        let mut conn = Conn::open(self.address)?;
        let mut body = Vec::new();
        request.encode(&mut body);
        connect.mutation.apply(&mut body);
        conn.send(|out| out.extend_from_slice(&body))?;
        let answer = conn.next_frame(PATIENCE)?;
        let former = self.slot(slot).conn.take();
        match answer {
            Answer::Frame(frame) => {
                let response = ConnectResponse::decode(&frame).map_err(io::Error::other)?;
                lines.push(format!("{slot} connected {}", self.shown.connected(&response, &frame)));
                if response.timeout_ms > 0 {
                    conn.greeted = true;
                    self.adopt(slot, &response);
                }
            }
            Answer::Closed => lines.push(format!("{slot} refused")),
            Answer::Silence => lines.push(format!("{slot} not answered")),
        }
        self.part(slot, former, lines);
        self.slot(slot).conn = Some(conn);
        Ok(())
    }

    /// A slot gets another session; the former one is closed at the end of the run.
    fn adopt(&mut self, slot: usize, response: &ConnectResponse) {
        let former = self.slot(slot).session;
        if former != SessionId::NONE && former != response.session {
            self.leftover.push(former);
        }
        let slot = self.slot(slot);
        slot.session = response.session;
        slot.timeout_ms = response.timeout_ms;
        slot.closed = false;
    }

    /// What the slot's former connection was told last; it is given up.
    fn part(&mut self, slot: usize, former: Option<Conn>, lines: &mut Lines) {
        let Some(mut former) = former else { return };
        if former.send_barrier().is_err() {
            lines.push(format!("{slot} former: closed"));
            return;
        }
        loop {
            match former.next_frame(PATIENCE) {
                Ok(Answer::Frame(frame)) => {
                    let line = self.line(&mut former, &frame);
                    let Some(line) = line else {
                        lines.push(format!("{slot} former: open"));
                        return;
                    };
                    lines.push(format!("{slot} former: {line}"));
                }
                Ok(Answer::Closed) | Err(_) => {
                    lines.push(format!("{slot} former: closed"));
                    return;
                }
                Ok(Answer::Silence) => {
                    lines.push(format!("{slot} former: silent"));
                    return;
                }
            }
        }
    }

    fn send(&mut self, slot: usize, sent: &[Sent], lines: &mut Lines) {
        let (prefix, base) = (self.shown.prefix.clone(), self.shown.base);
        let Some(conn) = self.slot(slot).conn.as_mut() else { return };
        let mut out = Vec::new();
        for Sent { xid, op, request, mutation } in sent {
            let mut body = Vec::new();
            if let Some(request) = request {
                place(request, &prefix, base).encode(&mut body);
            }
            mutation.apply(&mut body);
            frame::write(&mut out, |out| {
                RequestHeader { xid: *xid, op: *op }.encode(out);
                out.extend_from_slice(&body);
            });
            conn.pending.push_back(Pending { xid: *xid, op: *op, barrier: false });
        }
        if conn.stream.write_all(&out).is_err() {
            lines.push(format!("{slot} cannot be written to"));
        }
    }

    /// Waits until every connection has answered what it was asked, then once more with a ping.
    fn settle(&mut self, lines: &mut Lines) -> io::Result<()> {
        for at in 0..self.slots.len() {
            self.drain(at, lines)?;
        }
        for at in 0..self.slots.len() {
            if let Some(conn) = self.slot(at).conn.as_mut() {
                // A connection that is closed shows it when it is read.
                let _closed = conn.send_barrier().is_err();
            }
            self.drain(at, lines)?;
        }
        let (header, _) = self.ask(&Request::Ping)?;
        self.last_zxid = header.zxid.0;
        Ok(())
    }

    fn drain(&mut self, at: usize, lines: &mut Lines) -> io::Result<()> {
        let Some(mut conn) = self.slot(at).conn.take() else { return Ok(()) };
        while !conn.pending.is_empty() {
            match conn.next_frame(PATIENCE) {
                Ok(Answer::Frame(frame)) => {
                    if let Some(line) = self.line(&mut conn, &frame) {
                        self.slot(at).closed |= line.contains("closeSession");
                        lines.push(format!("{at} {line}"));
                    }
                }
                Ok(Answer::Closed) | Err(_) => {
                    lines.push(format!("{at} closed"));
                    return self.await_expiry(at, lines);
                }
                Ok(Answer::Silence) => {
                    lines.push(format!("{at} silent with {} replies due", conn.pending.len()));
                    conn.pending.clear();
                }
            }
        }
        self.slot(at).conn = Some(conn);
        Ok(())
    }

    /// What a frame says; nothing for the answer to a barrier.
    fn line(&mut self, conn: &mut Conn, frame: &[u8]) -> Option<String> {
        if frame.starts_with(b"imok") {
            return Some("imok".into());
        }
        let mut r = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut r) else {
            return Some(format!("no header: {frame:x?}"));
        };
        if header.xid == xid::NOTIFICATION && is_event(&r) {
            return Some(match WatchEvent::decode_body(header.zxid, &mut r) {
                Ok(event) => self.shown.event(&event, header.err),
                Err(error) => format!("event that cannot be read: {error}"),
            });
        }
        let at = conn.pending.iter().position(|p| p.xid == header.xid);
        let pending = at.and_then(|at| conn.pending.remove(at));
        match pending {
            Some(Pending { barrier: true, .. }) => None,
            Some(Pending { op, .. }) => {
                let order = at.filter(|at| *at > 0).map(|_| "early ").unwrap_or_default();
                Some(format!("{order}{}", self.shown.reply(&header, op, &mut r)))
            }
            None => Some(format!("unasked xid {} err {}", header.xid, header.err)),
        }
    }

    /// A session with a short timeout whose connection ended expires before anything else happens,
    /// so that the runs stay comparable.
    fn await_expiry(&mut self, at: usize, lines: &mut Lines) -> io::Result<()> {
        let slot = self.slot(at);
        if slot.timeout_ms == 0 || slot.timeout_ms >= SHORT_TIMEOUT_MS || slot.closed {
            return Ok(());
        }
        slot.closed = true;
        let before = self.last_zxid.max(self.ask(&Request::Ping)?.0.zxid.0);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let (header, _) = self.ask(&Request::Ping)?;
            if header.zxid.0 > before {
                lines.push(format!("{at} expired"));
                return Ok(());
            }
            // The others are kept alive meanwhile.
            for slot in &mut self.slots {
                if let Some(conn) = slot.conn.as_mut() {
                    let _closed = conn.send_barrier().is_err();
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        lines.push(format!("{at} did not expire"));
        Ok(())
    }

    /// Asks with all rights and waits for the reply.
    fn ask(&mut self, request: &Request) -> io::Result<(ReplyHeader, Option<ReplyBody>)> {
        let op = request.op();
        let xid = if op == OpCode::Ping { xid::PING } else { 1 };
        self.control.send(|out| {
            RequestHeader { xid, op: op.code() }.encode(out);
            request.encode(out);
        })?;
        let Answer::Frame(frame) = self.control.next_frame(PATIENCE)? else {
            return Err(io::Error::other(format!("no answer to {op}")));
        };
        let mut r = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut r).map_err(io::Error::other)?;
        let body = (header.err == 0).then(|| ReplyBody::decode(op, &mut r).ok()).flatten();
        Ok((header, body))
    }

    /// The tree as it is at the end: data, stat, ACL and the number of descendants of every node.
    pub(crate) fn tree(&mut self) -> io::Result<Lines> {
        let mut lines = Lines::new();
        let mut paths = vec!["/zookeeper".to_owned(), self.shown.prefix.clone()];
        for request in [
            Request::Exists { path: "/".into(), watch: false },
            Request::GetChildren2 { path: "/".into(), watch: false },
            Request::GetData { path: "/".into(), watch: false },
        ] {
            let (header, body) = self.ask(&request)?;
            lines.push(self.shown.body(OpCode::Exists, header.err, body.as_ref()));
        }
        while let Some(path) = paths.pop() {
            let text: Box<str> = path.clone().into();
            for request in [
                Request::GetData { path: text.clone(), watch: false },
                Request::GetAcl { path: text.clone() },
                Request::GetAllChildrenNumber { path: text.clone() },
                Request::GetChildren2 { path: text, watch: false },
            ] {
                let (header, body) = self.ask(&request)?;
                let said = self.shown.body(request.op(), header.err, body.as_ref());
                lines.push(format!("{} {said}", self.shown.path(&path)));
                if let Some(ReplyBody::Children2(names, _)) = &body {
                    let mut names = names.names();
                    names.sort();
                    paths.extend(names.iter().map(|name| format!("{path}/{name}")));
                }
            }
        }
        Ok(lines)
    }

    /// Ends all sessions and removes the run's own node.
    pub(crate) fn clean(mut self) -> io::Result<()> {
        let mut sessions = std::mem::take(&mut self.leftover);
        sessions.extend(self.slots.iter().map(|slot| slot.session));
        for session in sessions.into_iter().filter(|session| *session != SessionId::NONE) {
            let mut conn = Conn::open(self.address)?;
            conn.send_connect(&connect_request(session, 30_000))?;
            if let Answer::Frame(frame) = conn.next_frame(PATIENCE)?
                && ConnectResponse::decode(&frame).is_ok_and(|response| response.timeout_ms > 0)
            {
                conn.send(|out| RequestHeader { xid: 1, op: -11 }.encode(out))?;
                while let Answer::Frame(_) = conn.next_frame(PATIENCE)? {}
            }
        }
        self.slots.clear();
        // Everything at the top whose name begins with the run's.
        let mut paths = Vec::new();
        let request = Request::GetChildren { path: "/".into(), watch: false };
        if let (_, Some(ReplyBody::Children(names))) = self.ask(&request)? {
            paths.extend(names.names().iter().map(|name| format!("/{name}")));
        }
        paths.retain(|path| path.starts_with(&self.shown.prefix));
        let mut at = 0;
        while let Some(path) = paths.get(at).cloned() {
            let request = Request::GetChildren { path: path.clone().into(), watch: false };
            if let (_, Some(ReplyBody::Children(names))) = self.ask(&request)? {
                paths.extend(names.names().iter().map(|name| format!("{path}/{name}")));
            }
            at += 1;
        }
        for path in paths.iter().rev() {
            self.ask(&Request::Delete { path: path.as_str().into(), version: -1 })?;
        }
        self.control.send(|out| RequestHeader { xid: 1, op: -11 }.encode(out))?;
        self.control.next_frame(PATIENCE)?;
        Ok(())
    }
}

fn bytes_xid(bytes: &[u8]) -> i32 {
    bytes.get(4..8).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| i32::from_be_bytes(*b))
}

/// A reply to a request whose own xid is -1 looks like an event but for its body.
fn is_event(r: &Reader<'_>) -> bool {
    r.remaining() >= 12
}

fn connect_request(session: SessionId, timeout_ms: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms,
        session,
        password: session.password().0.into(),
        read_only: Some(false),
    }
}

/// What a connection had to say.
enum Answer {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

impl Conn {
    fn open(address: SocketAddr) -> io::Result<Conn> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Conn { stream, input: Vec::new(), pending: VecDeque::new(), greeted: false })
    }

    fn send(&mut self, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = Vec::new();
        frame::write(&mut out, body);
        self.stream.write_all(&out)
    }

    fn send_connect(&mut self, request: &ConnectRequest) -> io::Result<()> {
        self.send(|out| request.encode(out))
    }

    fn send_barrier(&mut self) -> io::Result<()> {
        let (xid, op) = (xid::PING, OpCode::Ping.code());
        self.pending.push_back(Pending { xid, op, barrier: true });
        if !self.greeted {
            return Ok(());
        }
        self.send(|out| RequestHeader { xid, op }.encode(out))
    }

    fn next_frame(&mut self, patience: Duration) -> io::Result<Answer> {
        let end = Instant::now() + patience;
        loop {
            let len = match frame::length(&self.input, 1 << 24) {
                Some(frame::Length::Frame(len)) => len,
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
