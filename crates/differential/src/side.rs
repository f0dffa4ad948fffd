//! One server under test: its connections, and what they were told, written so that two servers'
//! transcripts can be compared.
//!
//! Keeps true: between steps nothing is in flight, and no session is about to expire — one with a
//! short timeout is left to expire within the step in which it connects. So every zxid is that of
//! its request, whatever time the machine takes.

use crate::conn::{Answer, Conn, Pending};
use crate::plan::{Batch, Connect, LONG_TIMEOUT_MS, Mutation, Secret, Sent, Step, Which, place};
use crate::random::SLOTS;
use crate::shown::Shown;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::{Create, RequestHeader};
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, ReplyBody, Request, WatchEvent, frame, xid,
};
use bellwether_wire::{Acl, OpCode, Reader, SessionId, Zxid};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A session with a timeout below this is left to expire at once.
const EXPIRES_BELOW_MS: i32 = 5_000;
/// How long an expiry may take, with much room for a busy machine.
const EXPIRY_MAX: Duration = Duration::from_secs(30);
/// How often a server is asked whether a session has expired.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What stands at the top from the beginning.
const FIXED: [&str; 3] = ["/zookeeper", "/zookeeper/config", "/zookeeper/quota"];

/// What was seen after one step, a line each.
pub(crate) type Lines = Vec<String>;

/// A line while its step goes on.
struct Line {
    slot: usize,
    /// The other slot whose part of the tree an event is about.
    about: Option<usize>,
    text: String,
}

#[derive(Default)]
struct Slot {
    conn: Option<Conn>,
    session: SessionId,
}

/// One server and the sessions of one run.
pub(crate) struct Side {
    address: SocketAddr,
    control: Conn,
    slots: Vec<Slot>,
    shown: Shown,
    /// The last zxid when the last step had settled.
    last_zxid: i64,
    leftover: Vec<SessionId>,
    lines: Vec<Line>,
}

impl Side {
    /// Connects with all rights and makes the run's own nodes: one, and one below it for each slot.
    pub(crate) fn start(address: SocketAddr, run: u64) -> io::Result<Side> {
        let mut control = Conn::open(address)?;
        control.connect(SessionId::NONE, LONG_TIMEOUT_MS)?;
        let slots = (0..SLOTS).map(|_| Slot::default()).collect();
        let mut side = Side {
            address,
            control,
            slots,
            shown: Shown::new(format!("/r{run:08}")),
            last_zxid: 0,
            leftover: Vec::new(),
            lines: Vec::new(),
        };
        let auth = Some((*b"super:secret").into());
        let (header, _) = side.ask(&Request::Auth { scheme: "digest".into(), auth })?;
        if header.err != 0 {
            return Err(io::Error::other(format!("{address} does not know super:secret")));
        }
        if let (_, Some(ReplyBody::Stat(root))) =
            side.ask(&Request::Exists { path: "/".into(), watch: false })?
        {
            side.shown.root = root;
        }
        let prefix = side.shown.prefix.clone();
        side.shown.zxids.base = side.make(&prefix)?;
        for slot in 0..SLOTS {
            side.last_zxid = side.make(&format!("{prefix}/{slot}"))?;
        }
        Ok(side)
    }

    fn make(&mut self, path: &str) -> io::Result<i64> {
        let acl = Some(vec![Acl::world_all()]);
        let create = Create { path: path.into(), data: None, acl, flags: 0 };
        let (header, _) = self.ask(&Request::Create(create))?;
        if header.err == 0 {
            return Ok(header.zxid.0);
        }
        let address = self.address;
        Err(io::Error::other(format!("{address} does not create {path}: error {}", header.err)))
    }

    /// Does one step and reports what every connection saw until all was quiet.
    pub(crate) fn step(&mut self, step: &Step) -> io::Result<Lines> {
        match step {
            Step::Open { slot, connect } => self.open(*slot, connect)?,
            Step::Send(batches) => {
                if batches.len() > 1 {
                    self.shown.zxids.begin_together(self.last_zxid);
                }
                batches.iter().for_each(|batch| self.send(batch));
            }
            Step::Bytes { slot, bytes } => self.send_bytes(*slot, bytes),
            Step::Drop { slot } => self.slot(*slot).conn = None,
        }
        self.settle()?;
        let mut lines = std::mem::take(&mut self.lines);
        if self.shown.zxids.are_together() {
            // What one slot is told of another's part comes at any moment, but in its order.
            lines.sort_by_key(|line| (line.slot, line.about));
        }
        self.shown.zxids.settle(self.last_zxid, lines.iter_mut().map(|line| &mut line.text));
        Ok(lines.into_iter().map(|line| format!("{} {}", line.slot, line.text)).collect())
    }

    fn slot(&mut self, slot: usize) -> &mut Slot {
        self.slots.get_mut(slot).expect("a stream uses the slots there are")
    }

    fn say(&mut self, slot: usize, text: impl Into<String>) {
        self.lines.push(Line { slot, about: None, text: text.into() });
    }

    fn send_bytes(&mut self, slot: usize, bytes: &[u8]) {
        let Some(conn) = self.slot(slot).conn.as_mut() else { return };
        let sent = conn.stream.write_all(bytes);
        // A frame that was announced and not sent would hang the connection.
        let (xid, op) = match bytes_xid(bytes) {
            _ if bytes.len() == 12 => (xid::PING, OpCode::Ping.code()),
            xid => (xid, OpCode::SetData.code()),
        };
        if bytes.len() > 4 && bytes != b"ruok" {
            conn.pending.push_back(Pending { xid, op, barrier: false });
        }
        if sent.is_err() {
            self.say(slot, "(the bytes could not be sent)");
        }
    }

    fn open(&mut self, slot: usize, connect: &Connect) -> io::Result<()> {
        let before = self.last_zxid;
        let request = self.connect_request(connect);
        let mut conn = Conn::open(self.address)?;
        let mut body = Vec::new();
        request.encode(&mut body);
        connect.mutation.apply(&mut body);
        conn.send(|out| out.extend_from_slice(&body))?;
        let answer = conn.next_frame()?;
        let former = self.slot(slot).conn.take();
        let mut expires = None;
        match answer {
            Answer::Frame(frame) => {
                let response = ConnectResponse::decode(&frame).map_err(io::Error::other)?;
                let is_new = !self.shown.knows(response.session);
                let text = self.shown.connected(&response, &frame);
                self.say(slot, format!("connected {text}"));
                if response.timeout_ms > 0 {
                    conn.greeted = true;
                    self.adopt(slot, response.session);
                    // A session that begins takes a zxid, and one that ends takes another.
                    let after = before + if is_new { 2 } else { 1 };
                    expires = (response.timeout_ms < EXPIRES_BELOW_MS).then_some(after);
                }
            }
            Answer::Closed => self.say(slot, "refused"),
            Answer::Silence => self.say(slot, "not answered"),
        }
        self.part(slot, former)?;
        match expires {
            Some(zxid) => {
                drop(conn);
                self.await_expiry(slot, zxid)
            }
            None => {
                self.slot(slot).conn = Some(conn);
                Ok(())
            }
        }
    }

    fn connect_request(&mut self, connect: &Connect) -> ConnectRequest {
        let session = match connect.session {
            Which::New => SessionId::NONE,
            Which::Of(other) => self.slot(other).session,
            Which::Unknown(id) => SessionId(id),
        };
        let honest =
            matches!((connect.password, &connect.mutation), (Secret::Right, Mutation::None));
        if !honest && matches!(connect.session, Which::Of(_)) {
            // Deliberate: the former connection outlives a connect with another password.
            let of_it = self.slots.iter_mut().filter(|slot| slot.session == session);
            of_it.for_each(|slot| slot.conn = None);
        }
        let password = match connect.password {
            Secret::Right => session.password().0.to_vec(),
            Secret::Wrong => vec![9; 16],
            Secret::Short => vec![9; 3],
            Secret::Empty => Vec::new(),
            Secret::Zeros => vec![0; 16],
        };
        ConnectRequest {
            protocol_version: connect.protocol,
            last_zxid_seen: Zxid(connect.seen.saturating_add(self.shown.zxids.base)),
            timeout_ms: connect.timeout_ms,
            session,
            password: password.into(),
            read_only: connect.read_only,
        }
    }

    /// A slot gets another session; the former one is closed at the end of the run.
    fn adopt(&mut self, slot: usize, session: SessionId) {
        let former = std::mem::replace(&mut self.slot(slot).session, session);
        if former != SessionId::NONE && former != session {
            self.leftover.push(former);
        }
    }

    /// What the slot's former connection was told last; it is given up.
    fn part(&mut self, slot: usize, former: Option<Conn>) -> io::Result<()> {
        let Some(mut former) = former else { return Ok(()) };
        if former.send_barrier().is_err() {
            self.say(slot, "former: closed");
            return Ok(());
        }
        loop {
            let last = match former.next_frame() {
                Ok(Answer::Frame(frame)) => match self.read(slot, &mut former, &frame) {
                    Some((_, text)) => {
                        self.say(slot, format!("former: {text}"));
                        continue;
                    }
                    None => "former: open",
                },
                Ok(Answer::Closed) | Err(_) => "former: closed",
                Ok(Answer::Silence) => "former: silent",
            };
            self.say(slot, last);
            return Ok(());
        }
    }

    fn send(&mut self, batch: &Batch) {
        let Batch { slot, sent } = batch;
        let Shown { prefix, zxids, .. } = &self.shown;
        let state = self.slots.get_mut(*slot).expect("a stream uses the slots there are");
        let Some(conn) = state.conn.as_mut() else { return };
        let mut out = Vec::new();
        for Sent { xid, op, request, mutation } in sent {
            let mut body = Vec::new();
            if let Some(request) = request {
                place(request, prefix, &|zxid| zxids.place(zxid)).encode(&mut body);
            }
            mutation.apply(&mut body);
            frame::write(&mut out, |out| {
                RequestHeader { xid: *xid, op: *op }.encode(out);
                out.extend_from_slice(&body);
            });
            conn.pending.push_back(Pending { xid: *xid, op: *op, barrier: false });
        }
        if conn.stream.write_all(&out).is_err() {
            self.say(*slot, "cannot be written to");
        }
    }

    /// Waits until every connection has answered what it was asked, then once more with a ping.
    fn settle(&mut self) -> io::Result<()> {
        for at in 0..self.slots.len() {
            self.drain(at);
        }
        for at in 0..self.slots.len() {
            if let Some(conn) = self.slot(at).conn.as_mut() {
                // A connection that is closed shows it when it is read.
                let _closed = conn.send_barrier().is_err();
            }
            self.drain(at);
        }
        self.last_zxid = self.newest_zxid()?;
        Ok(())
    }

    fn newest_zxid(&mut self) -> io::Result<i64> {
        Ok(self.ask(&Request::Ping)?.0.zxid.0)
    }

    fn drain(&mut self, at: usize) {
        let Some(mut conn) = self.slot(at).conn.take() else { return };
        let mut ends = false;
        while ends || !conn.pending.is_empty() {
            match conn.next_frame() {
                Ok(Answer::Frame(frame)) => {
                    if let Some((about, text)) = self.read(at, &mut conn, &frame) {
                        ends |= is_last(&text);
                        self.lines.push(Line { slot: at, about, text });
                    }
                }
                Ok(Answer::Closed) | Err(_) => {
                    self.say(at, "closed");
                    return;
                }
                Ok(Answer::Silence) => {
                    self.say(at, format!("silent with {} replies due", conn.pending.len()));
                    conn.pending.clear();
                    ends = false;
                }
            }
        }
        self.slot(at).conn = Some(conn);
    }

    /// What a frame says, and which other slot's part it is about; nothing for the answer to a
    /// barrier.
    fn read(
        &mut self,
        slot: usize,
        conn: &mut Conn,
        frame: &[u8],
    ) -> Option<(Option<usize>, String)> {
        let plain = |text: String| Some((None, text));
        if frame.starts_with(b"imok") {
            return plain("imok".into());
        }
        let mut r = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut r) else {
            return plain(format!("no header: {frame:x?}"));
        };
        if header.xid == xid::NOTIFICATION && is_event(&r) {
            return match WatchEvent::decode_body(header.zxid, &mut r) {
                Ok(event) => {
                    let part = part_of(&self.shown.path(&event.path));
                    let about = part.filter(|part| *part != slot);
                    Some((about, self.shown.event(&event, header.err)))
                }
                Err(error) => plain(format!("event that cannot be read: {error}")),
            };
        }
        let at = conn.pending.iter().position(|p| p.xid == header.xid);
        let pending = at.and_then(|at| conn.pending.remove(at));
        match pending {
            Some(Pending { barrier: true, .. }) => None,
            Some(Pending { op, .. }) => {
                let order = at.filter(|at| *at > 0).map(|_| "early ").unwrap_or_default();
                plain(format!("{order}{}", self.shown.reply(slot, &header, op, &mut r)))
            }
            None => plain(format!("unasked xid {} err {}", header.xid, header.err)),
        }
    }

    /// Waits until the session that has just been left has expired, so that its last transaction
    /// stands at the same place of every run.
    fn await_expiry(&mut self, slot: usize, zxid: i64) -> io::Result<()> {
        let end = Instant::now() + EXPIRY_MAX;
        while self.newest_zxid()? < zxid {
            if Instant::now() > end {
                self.say(slot, "did not expire");
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.say(slot, "expired");
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
        let Answer::Frame(frame) = self.control.next_frame()? else {
            return Err(io::Error::other(format!("{} does not answer {op}", self.address)));
        };
        let mut r = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut r).map_err(io::Error::other)?;
        let body = (header.err == 0).then(|| ReplyBody::decode(op, &mut r).ok()).flatten();
        Ok((header, body))
    }

    /// Every node there is, those of other runs apart, parents before their children.
    fn paths(&mut self) -> io::Result<Vec<String>> {
        let mut paths = vec!["/".to_owned()];
        let mut at = 0;
        while let Some(path) = paths.get(at).cloned() {
            let request = Request::GetChildren { path: path.as_str().into(), watch: false };
            if let (_, Some(ReplyBody::Children(names))) = self.ask(&request)? {
                let mut names = names.names();
                names.sort();
                let parent = if path == "/" { "" } else { &path };
                paths.extend(names.iter().map(|name| format!("{parent}/{name}")));
            }
            at += 1;
        }
        Ok(paths)
    }

    /// The tree as it is at the end: data, stat, ACL, children and the number of descendants of
    /// every node.
    pub(crate) fn tree(&mut self) -> io::Result<Lines> {
        let mut lines = Lines::new();
        for path in self.paths()? {
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
            }
        }
        Ok(lines)
    }

    /// Ends all sessions and removes every node that was not there in the beginning.
    pub(crate) fn clean(mut self) -> io::Result<()> {
        let mut sessions = std::mem::take(&mut self.leftover);
        sessions.extend(self.slots.iter().map(|slot| slot.session));
        for session in sessions.into_iter().filter(|session| *session != SessionId::NONE) {
            let mut conn = Conn::open(self.address)?;
            if let Answer::Frame(frame) = conn.connect(session, LONG_TIMEOUT_MS)?
                && ConnectResponse::decode(&frame).is_ok_and(|response| response.timeout_ms > 0)
            {
                conn.close_session()?;
            }
        }
        for path in self.paths()?.iter().rev() {
            if path != "/" && !FIXED.contains(&path.as_str()) {
                self.ask(&Request::Delete { path: path.as_str().into(), version: -1 })?;
            }
        }
        self.control.close_session()
    }
}

/// Whether the server closes the connection behind this reply. Apache does so in its own time, and
/// may answer a ping before that.
fn is_last(text: &str) -> bool {
    let unknown = text.ends_with(" zxid -1 UNIMPLEMENTED");
    unknown || text.starts_with("closeSession xid") || text.ends_with(" AUTHFAILED")
}

/// The slot whose own part of the tree this is.
fn part_of(path: &str) -> Option<usize> {
    let part = path.strip_prefix("~/")?.split('/').next()?;
    // The numbers of sequential nodes are longer.
    if part.len() == 1 { part.parse().ok() } else { None }
}

fn bytes_xid(bytes: &[u8]) -> i32 {
    bytes.get(4..8).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| i32::from_be_bytes(*b))
}

/// A reply to a request whose own xid is -1 looks like an event but for its body.
fn is_event(r: &Reader<'_>) -> bool {
    r.remaining() >= 12
}
