//! The server of the simulator: the production node on the production store, with a shell around
//! them that does what the real one does, one thing at a time.
//!
//! The thread of the log and the one of the snapshots are queues here; the world decides when they
//! get their turn. Everything that the node says passes the checkers before it goes anywhere.

use crate::broken::{Break, BrokenDisk};
use crate::checkers::{Checkers, Violation};
use crate::disk::{Chance, SimDisk};
use crate::story::Story;
use bellwether_node::{ConnId, Effect, Event, LogToken, Node, Settings};
use bellwether_store::{Disk, Origin, Recovered, SnapshotWriter, Store, StoreError, StoreOptions};
use bellwether_tree::{Identity, LoadError, Loader, Now, Tree};
use bellwether_wire::client::{ConnectRequest, Request, RequestHeader, xid};
use bellwether_wire::disk::{SnapshotItem, Txn, TxnRecord};
use bellwether_wire::ops::Kind;
use bellwether_wire::{OpCode, Reader, Zxid};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many snapshots are kept.
const RETAIN: usize = 2;

/// A running server.
pub(crate) struct Shell {
    node: Node,
    store: Store,
    disk: Arc<dyn Disk>,
    log: VecDeque<LogWork>,
    /// Reported durable by a broken shell, but not synced.
    unsynced: bool,
    snapshot: Option<Snapshot>,
    connections: BTreeMap<ConnId, Greeting>,
    broken: Option<Break>,
    chance: Chance,
    last_read: Option<bellwether_wire::client::ReplyBody>,
}

/// What the thread of the log has to do, in order.
enum LogWork {
    Append(LogToken, Arc<TxnRecord>),
    Roll,
}

/// What the thread of the snapshots has to do.
struct Snapshot {
    zxid: Zxid,
    writer: Option<SnapshotWriter>,
    slice: Option<(Vec<SnapshotItem>, bool)>,
}

/// How far a connection's greeting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    Expected,
    /// Its frames are held back until the session is made.
    Asked,
    Done,
}

/// What the shell sends to a client.
pub(crate) enum Sent {
    Bytes(ConnId, Vec<u8>),
    Close(ConnId),
}

/// Why a server stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The disk failed it.
    Disk(StoreError),
    /// A checker has something to say.
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Stop {
        Stop::Violation(violation)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Disk(error)
    }
}

type Step<T> = Result<T, Stop>;

/// The world around a step: the clock, the checkers, and where bytes to clients go.
pub(crate) struct Around<'a> {
    pub(crate) now: Now,
    pub(crate) checkers: &'a mut Checkers,
    pub(crate) sent: &'a mut Vec<Sent>,
    pub(crate) story: &'a mut Story,
}

/// What a server is made of.
pub(crate) struct Made<'a> {
    pub(crate) disk: &'a SimDisk,
    pub(crate) options: &'a StoreOptions,
    pub(crate) settings: &'a Settings,
    pub(crate) broken: Option<Break>,
    /// How much one step of the node may do.
    pub(crate) visits_per_step: usize,
    pub(crate) seed: u64,
}

impl Shell {
    /// Starts a server: production recovery, production loader.
    pub(crate) fn start(made: &Made<'_>, around: &mut Around<'_>) -> Step<Shell> {
        let disk: Arc<dyn Disk> =
            Arc::new(BrokenDisk { disk: made.disk.clone(), how: made.broken });
        let mut recovery = Store::open(disk.clone(), made.options.clone(), Box::new(|_| {}))?;
        let mut loader = Loader::new(made.settings.tree.clone());
        let (mut items, mut read) = (Vec::new(), Vec::new());
        for piece in &mut recovery {
            match piece? {
                Recovered::Item(item) => items.push(item),
                Recovered::Txn(record) => read.push(record),
            }
        }
        if let Origin::Snapshot { zxid, .. } = recovery.origin() {
            loader.start_at(*zxid);
        }
        let fresh = *recovery.origin() == Origin::Fresh;
        for item in items {
            loader.item(&item).map_err(|error| not_loaded(&error))?;
        }
        for record in replayed(&read, made.broken) {
            loader.replay(&record).map_err(|error| not_loaded(&error))?;
        }
        let (tree, report) = loader.finish(around.now).map_err(|error| not_loaded(&error))?;
        if report.digest_mismatches > 0 {
            let seen = format!("{} digests differ after a start", report.digest_mismatches);
            return Err(Violation { promise: "recovery", seen }.into());
        }
        // What was read can be shown to clients only once `finish` made it durable.
        let store = recovery.finish()?;
        around.checkers.recovered(&tree, &read, around.now.mono_ms)?;
        if fresh {
            first_snapshot(&disk, made.options, &tree)?;
        }
        Ok(Shell {
            node: Node::new(made.settings.clone(), tree, around.now)
                .with_visits_per_step(made.visits_per_step),
            store,
            disk,
            log: VecDeque::new(),
            unsynced: false,
            snapshot: None,
            connections: BTreeMap::new(),
            broken: made.broken,
            chance: Chance::new(made.seed),
            last_read: None,
        })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// A client has connected.
    pub(crate) fn accept(&mut self, conn: ConnId) {
        self.connections.insert(conn, Greeting::Expected);
    }

    /// Whether frames of the connection may be handed in.
    pub(crate) fn reads_from(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(|greeting| *greeting != Greeting::Asked)
    }

    /// A frame has come.
    pub(crate) fn frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        around: &mut Around<'_>,
    ) -> Step<()> {
        let event = match self.connections.get_mut(&conn) {
            None | Some(Greeting::Asked) => return Ok(()),
            Some(greeting @ Greeting::Expected) => {
                *greeting = Greeting::Asked;
                let Ok(request) = ConnectRequest::decode(frame) else {
                    unreachable!("clients speak the protocol");
                };
                let identity = Identity { scheme: "ip".into(), id: "10.0.0.1".into() };
                around.checkers.connects(conn, identity.clone());
                Event::Connect { conn, request, identities: vec![identity] }
            }
            Some(Greeting::Done) => request(conn, frame, around),
        };
        self.step(event, around)
    }

    /// A connection was cut.
    pub(crate) fn gone(&mut self, conn: ConnId, around: &mut Around<'_>) -> Step<()> {
        self.connections.remove(&conn);
        around.checkers.gone(conn);
        self.step(Event::ClientGone(conn), around)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, around: &mut Around<'_>) -> Step<()> {
        if self.broken == Some(Break::FastTimer) {
            around.now.mono_ms += 1500;
            let result = self.step(Event::Tick, around);
            around.now.mono_ms -= 1500;
            return result;
        }
        self.step(Event::Tick, around)
    }

    /// Goes on with what the node has left, for some steps.
    pub(crate) fn go_on(&mut self, steps_max: usize, around: &mut Around<'_>) -> Step<()> {
        for _ in 0..steps_max {
            if !self.node.has_work() {
                break;
            }
            self.step(Event::Continue, around)?;
        }
        Ok(())
    }

    /// Whether the log or a snapshot waits for the disk.
    pub(crate) fn has_disk_work(&self) -> bool {
        !self.log.is_empty() || self.snapshot.is_some() || self.unsynced
    }

    /// The thread of the log gets its turn: up to `batch_max` records in one sync.
    pub(crate) fn log_turn(&mut self, batch_max: usize, around: &mut Around<'_>) -> Step<()> {
        let mut last = None;
        let mut bytes = 0;
        for _ in 0..batch_max {
            match self.log.pop_front() {
                Some(LogWork::Append(token, record)) => {
                    self.store.append(&record)?;
                    last = Some(token);
                }
                Some(LogWork::Roll) => self.store.roll()?,
                None => break,
            }
        }
        match self.broken {
            Some(Break::AckBeforeSync) if !self.unsynced && last.is_some() => self.unsynced = true,
            Some(Break::AckFailedSync) => match self.store.sync() {
                Ok(report) => bytes = report.bytes,
                Err(error) if last.is_none() => return Err(error.into()),
                Err(_) => {}
            },
            Some(_) | None => {
                bytes = self.store.sync()?.bytes;
                self.unsynced = false;
            }
        }
        match last {
            Some(token) => self.step(Event::Durable { token, bytes }, around),
            None => {
                self.store.idle();
                Ok(())
            }
        }
    }

    /// The thread of the snapshots gets its turn.
    pub(crate) fn snapshot_turn(&mut self, around: &mut Around<'_>) -> Step<()> {
        let Some(snapshot) = &mut self.snapshot else { return Ok(()) };
        match snapshot.turn(&self.disk, self.store.options()) {
            Ok(Turn::Nothing) => Ok(()),
            Ok(Turn::Taken) => self.step(Event::SnapshotSliceTaken, around),
            Ok(Turn::Saved) => {
                self.snapshot = None;
                self.step(Event::SnapshotEnded { saved: true }, around)?;
                // What cannot be purged now is purged after the next one.
                drop(self.store.purge(RETAIN));
                Ok(())
            }
            Err(_) => {
                // The log has everything: a snapshot that fails is given up.
                self.snapshot = None;
                self.step(Event::SnapshotEnded { saved: false }, around)
            }
        }
    }

    fn step(&mut self, event: Event, around: &mut Around<'_>) -> Step<()> {
        let mut out = Vec::new();
        self.node.step(around.now, event, &mut out);
        self.spoil(&mut out);
        for effect in out {
            self.perform(effect, around)?;
        }
        around.checkers.stepped(self.node.tree().last_processed())?;
        Ok(())
    }

    fn perform(&mut self, effect: Effect, around: &mut Around<'_>) -> Step<()> {
        let now_ms = around.now.mono_ms;
        let mut bytes = Vec::new();
        around.story.effect(&effect);
        match effect {
            Effect::Connected(conn, response) => {
                around.checkers.connected(conn, &response, now_ms)?;
                self.connections.insert(conn, Greeting::Done);
                response.encode(&mut bytes);
                around.sent.push(Sent::Bytes(conn, bytes));
            }
            Effect::Reply(conn, reply) => {
                around.checkers.reply(conn, &reply)?;
                reply.encode(&mut bytes);
                around.sent.push(Sent::Bytes(conn, bytes));
            }
            Effect::Notify(conn, event) => {
                around.checkers.event(conn, &event)?;
                event.encode(&mut bytes);
                around.sent.push(Sent::Bytes(conn, bytes));
            }
            Effect::Close(conn) => {
                around.checkers.closed(conn);
                self.connections.remove(&conn);
                around.sent.push(Sent::Close(conn));
            }
            Effect::Audit(_) => {} // As below; what a line says is shown by scenarios.
            Effect::QuotaExceeded(_) => {} // A line in a log that nobody reads here.
            Effect::Append(token, record) => {
                around.checkers.appended(&record, now_ms)?;
                self.log.push_back(LogWork::Append(token, record));
            }
            Effect::Ensemble(_) => unreachable!("a single server has no ensemble"),
            Effect::StartSnapshot(zxid) => {
                self.log.push_back(LogWork::Roll);
                self.snapshot = Some(Snapshot { zxid, writer: None, slice: None });
            }
            Effect::SnapshotSlice { items, last } => {
                let snapshot = self.snapshot.as_mut().expect("a slice belongs to a snapshot");
                snapshot.slice = Some((items, last));
            }
        }
        Ok(())
    }

    /// What a broken shell does to the effects.
    fn spoil(&mut self, out: &mut Vec<Effect>) {
        let Some(broken) = self.broken else { return };
        let is_event = |effect: &Effect| matches!(effect, Effect::Notify(..));
        let is_reply = |effect: &Effect| matches!(effect, Effect::Reply(..));
        let event = out.iter().position(is_event);
        let reply = out.iter().rposition(is_reply);
        match (broken, event, reply) {
            (Break::ReplyBeforeEvent, Some(event), Some(reply)) if event < reply => {
                let moved = out.remove(reply);
                out.insert(event, moved);
            }
            (Break::LoseEvent, Some(event), _) if self.chance.one_in(4) => {
                out.remove(event);
            }
            (Break::RepeatEvent, Some(event), _) if self.chance.one_in(4) => {
                if let Some(Effect::Notify(conn, again)) = out.get(event) {
                    let again = Effect::Notify(*conn, again.clone());
                    out.insert(event, again);
                }
            }
            (Break::SwapReplies, _, Some(reply)) => swap_replies(out, reply),
            (Break::StaleRead, _, Some(reply)) => self.stale_read(out, reply),
            (_, _, _) => {}
        }
    }

    fn stale_read(&mut self, out: &mut [Effect], reply: usize) {
        use bellwether_wire::client::ReplyBody;
        if let Some(Effect::Reply(_, reply)) = out.get_mut(reply)
            && let Ok(body @ ReplyBody::Data(..)) = &mut reply.result
        {
            let fresh = body.clone();
            if let Some(stale) = self.last_read.take().filter(|_| self.chance.one_in(4)) {
                *body = stale;
            }
            self.last_read = Some(fresh);
        }
    }
}

/// Exchanges a reply with the one before it, if both are for the same connection.
fn swap_replies(out: &mut [Effect], reply: usize) {
    let Some(Effect::Reply(conn, _)) = out.get(reply) else { return };
    let is_same = |effect: &Effect| matches!(effect, Effect::Reply(other, _) if other == conn);
    if let Some(former) = out.iter().take(reply).rposition(is_same) {
        out.swap(former, reply);
    }
}

fn request(conn: ConnId, frame: &[u8], around: &mut Around<'_>) -> Event {
    let r = &mut Reader::new(frame);
    let header = RequestHeader::decode(r).expect("clients speak the protocol");
    let op = OpCode::from_code(header.op);
    let request = op.map(|op| Request::decode(op, r));
    if let Some(Ok(Request::Auth { scheme, auth })) = &request {
        // The simulator's users are who they say they are, but for one.
        let id = String::from_utf8_lossy(auth.as_deref().unwrap_or_default());
        let identity = (id != "nobody").then(|| Identity { scheme: scheme.clone(), id: id.into() });
        around.checkers.proves(conn, identity.clone());
        let proved = identity.map(|identity| vec![identity]);
        return Event::Authenticated { conn, xid: header.xid, proved };
    }
    let is_ping = op == Some(OpCode::Ping);
    let expected = if is_ping { xid::PING } else { header.xid };
    let outside = op
        .is_none_or(|op| op.kind() == Kind::Internal || matches!(op, OpCode::Sasl | OpCode::Check));
    let body = request.as_ref().and_then(|request| request.as_ref().ok()).cloned();
    let write = op.is_some_and(|op| op.kind() == Kind::Write);
    let body = body.filter(|_| !outside);
    around.checkers.asks(conn, (expected, body, write), around.now.mono_ms);
    Event::Frame { conn, header, request }
}

fn not_loaded(error: &LoadError) -> Stop {
    Violation { promise: "recovery", seen: format!("what is on the disk does not load: {error}") }
        .into()
}

/// What a start replays; a broken one does not replay all of it.
fn replayed(read: &[TxnRecord], broken: Option<Break>) -> Vec<TxnRecord> {
    let mut read = read.to_vec();
    match broken {
        Some(Break::ForgetLastTxn) => {
            read.pop();
        }
        Some(Break::HalfMulti) => {
            for record in &mut read {
                if let Txn::Multi(parts) = &mut record.txn {
                    parts.truncate(1);
                }
            }
        }
        Some(Break::ForgetCloses) => {
            read.retain(|record| !matches!(record.txn, Txn::CloseSession { .. }));
        }
        Some(_) | None => {}
    }
    read
}

/// A log needs a snapshot to start from.
fn first_snapshot(disk: &Arc<dyn Disk>, options: &StoreOptions, tree: &Tree) -> Step<()> {
    let mut writer = SnapshotWriter::create(disk.clone(), options, tree.last_processed())?;
    let mut cursor = tree.snapshot_start();
    let mut items = Vec::new();
    while tree.snapshot_next(&mut cursor, 100, &mut items) == bellwether_tree::Progress::More {}
    for item in &items {
        writer.write(item)?;
    }
    writer.finish()?;
    Ok(())
}

enum Turn {
    Nothing,
    Taken,
    Saved,
}

impl Snapshot {
    fn turn(&mut self, disk: &Arc<dyn Disk>, options: &StoreOptions) -> Result<Turn, StoreError> {
        let Some((items, last)) = self.slice.take() else { return Ok(Turn::Nothing) };
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => SnapshotWriter::create(disk.clone(), options, self.zxid)?,
        };
        for item in &items {
            writer.write(item)?;
        }
        if last {
            writer.finish()?;
            return Ok(Turn::Saved);
        }
        self.writer = Some(writer);
        Ok(Turn::Taken)
    }
}
