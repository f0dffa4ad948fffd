//! A replica that gets frames of three connections.
//!
//! What it holds: nothing panics; every reply and record can be read; the tree fits together; and
//! the records that were logged make the same tree again, so that no answer was about a state that
//! a restart would not find.

#![expect(clippy::unwrap_in_result, reason = "a target panics where a promise is broken")]

use crate::Verdict;
use crate::disk::tree_options;
use bellwether_node::{ConnId, Effect, Event, Node, ReaperSettings, Settings};
use bellwether_server::auth::{self, AuthFigures, AuthSettings, Credentials};
use bellwether_tree::{Loader, Now, Tree, TreeOptions};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{ConnectRequest, Request, RequestHeader};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::ops::Kind;
use bellwether_wire::{OpCode, Reader};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The ways to connect that an input can name.
const SLOTS: usize = 3;
/// More steps than any input needs.
const STEPS_MAX: usize = 100_000;
/// Long enough for every session to expire and every container to go.
const SILENCE_MS: u64 = 100_000;

fn settings() -> Settings {
    Settings {
        tick_ms: 2_000,
        session_timeout_ms_min: 4_000,
        session_timeout_ms_max: 40_000,
        server_id: 1,
        reconfig_enabled: false,
        audit: true,
        enforced_schemes: Vec::new(),
        throttle: None,
        snap_count: 20,
        snap_bytes: 0,
        snapshot_last_zxid: true,
        reaper: ReaperSettings { interval_ms: 1_000, per_minute_max: 10_000, never_used_ms: 1_000 },
        seed: 1,
        tree: TreeOptions { enforce_quota: true, ..tree_options() },
    }
}

/// A way to connect, and what became of the connection.
#[derive(Clone, Copy, Default)]
struct Slot {
    conn: Option<ConnId>,
    connected: bool,
}

struct World {
    node: Node,
    now: Now,
    slots: [Slot; SLOTS],
    conns: u64,
    log: Vec<TxnRecord>,
    replies: usize,
}

pub(crate) fn replica(bytes: &[u8]) -> Verdict {
    let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
    let node = Node::new(settings(), Tree::new(tree_options()), now);
    let slots = [Slot::default(); SLOTS];
    let mut world = World { node, now, slots, conns: 0, log: Vec::new(), replies: 0 };
    for (slot, frame) in frames(bytes) {
        world.pass(1);
        world.frame(slot, frame);
    }
    let replies = world.replies;
    world.check();
    for _ in 0..SILENCE_MS / 500 {
        world.pass(500);
        world.step(Event::Tick);
    }
    assert_eq!(world.node.status().sessions, 0, "a silent session lives on");
    assert_eq!(world.node.status().watch_count, 0, "nobody watches, but a watch is there");
    world.check();
    Verdict::accepted_if(replies > 0)
}

/// A slot and a frame's length in two bytes, then the frame.
fn frames(mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut frames = Vec::new();
    while let Some(([slot, high, low], rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (frame, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        frames.push((usize::from(*slot) % SLOTS, frame));
        bytes = rest;
    }
    frames
}

impl World {
    fn pass(&mut self, ms: u32) {
        self.now.mono_ms += u64::from(ms);
        self.now.wall_ms += i64::from(ms);
    }

    fn frame(&mut self, slot: usize, body: &[u8]) {
        let place = self.slots.get_mut(slot).expect("it is below the number of slots");
        let event = match *place {
            Slot { conn: Some(conn), connected: true } => {
                request(conn, body).unwrap_or(Event::ClientGone(conn))
            }
            Slot { conn: Some(_), connected: false } => return,
            Slot { conn: None, .. } => {
                let Ok(request) = ConnectRequest::decode(body) else { return };
                self.conns += 1;
                let conn = ConnId(self.conns);
                *place = Slot { conn: Some(conn), connected: false };
                {
                    let identities = auth::by_connection(PEER, &AuthSettings::default());
                    Event::Connect { conn, request, identities }
                }
            }
        };
        if let Event::ClientGone(_) = event {
            *place = Slot::default();
        }
        self.step(event);
    }

    /// Gives the event to the node and does at once what it asks for, until it asks no more.
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = events.pop_front() {
            let mut effects = Vec::new();
            self.node.step(self.now, event, &mut effects);
            for effect in effects {
                events.extend(self.perform(effect));
            }
            if events.is_empty() && self.node.has_work() {
                events.push_back(Event::Continue);
            }
            steps += 1;
            assert!(steps < STEPS_MAX, "the node never comes to rest");
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Connected(conn, _) => {
                let slot = self.slots.iter_mut().find(|slot| slot.conn == Some(conn));
                slot.expect("only who waits is told").connected = true;
            }
            Effect::Reply(conn, reply) => {
                let known = self.slots.iter().any(|slot| slot.conn == Some(conn));
                assert!(known, "a reply for a connection that is gone");
                let mut bytes = Vec::new();
                reply.encode(&mut bytes);
                let header = ReplyHeader::decode(&mut Reader::new(&bytes)).expect("a reply");
                assert_eq!(header.err == 0, reply.result.is_ok(), "an error that says 0");
                self.replies += 1;
            }
            Effect::Notify(conn, event) => {
                let known = self.slots.iter().any(|slot| slot.conn == Some(conn));
                assert!(known, "an event for a connection that is gone");
                event.encode(&mut Vec::new());
            }
            Effect::Close(conn) => {
                for slot in self.slots.iter_mut().filter(|slot| slot.conn == Some(conn)) {
                    *slot = Slot::default();
                }
                return Some(Event::ClientGone(conn));
            }
            Effect::Audit(event) => {
                let line = event.line("server");
                assert!(!line.contains(char::is_control) || line.contains('\t'), "{line}");
                assert_eq!(line.lines().count(), 1, "{line}");
            }
            Effect::QuotaExceeded(exceeded) => {
                assert!(!exceeded.on.is_empty(), "the root has no quota");
            }
            Effect::Append(token, record) => {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                assert_eq!(TxnRecord::decode(&bytes).as_ref(), Ok(&*record), "a record is lost");
                self.log.push((*record).clone());
                let bytes = bytes.len() as u64;
                return Some(Event::Durable { token, bytes });
            }
            Effect::Ensemble(_) => unreachable!("a single server has no ensemble"),
            Effect::StartSnapshot(zxid) => {
                assert!(zxid <= self.node.tree().last_processed(), "a snapshot of the future");
            }
            Effect::SnapshotSlice { last: false, .. } => return Some(Event::SnapshotSliceTaken),
            Effect::SnapshotSlice { last: true, .. } => {
                return Some(Event::SnapshotEnded { saved: true });
            }
        }
        None
    }

    /// The tree against itself, and against what the log makes of nothing.
    fn check(&self) {
        let tree = self.node.tree();
        assert_eq!(tree.check(), Ok(()), "the tree does not fit together");
        assert_eq!(self.node.status().digest_mismatches, 0, "a digest was predicted wrongly");
        let mut loader = Loader::new(tree_options());
        for record in &self.log {
            loader.replay(record).expect("no snapshot, no error");
        }
        let (again, report) = loader.finish(self.now).expect("no snapshot, no error");
        assert_eq!(report.digest_mismatches, 0, "the log's digests are not the tree's");
        assert_eq!(report.orphans, 0, "an ephemeral node has no session");
        assert_eq!(again.digest(), tree.digest(), "a restart finds another tree");
        assert_eq!(again.last_processed(), tree.last_processed(), "a restart finds another zxid");
    }
}

/// A frame as the server hands it in; `None` closes the connection.
fn request(conn: ConnId, body: &[u8]) -> Option<Event> {
    let mut r = Reader::new(body);
    let header = RequestHeader::decode(&mut r).ok()?;
    let op = OpCode::from_code(header.op).filter(|op| op.kind() != Kind::Internal);
    let request = op.map(|op| Request::decode(op, &mut r));
    if let Some(Ok(Request::Auth { scheme, auth })) = request {
        let credentials = Credentials { secret: auth.as_deref(), peer: PEER };
        let (settings, mut figures) = (AuthSettings::default(), AuthFigures::default());
        let proved = match auth::authenticate(&scheme, &credentials, &settings, &mut figures) {
            auth::Verdict::Proved(identities) => Some(identities),
            auth::Verdict::Failed => None,
            auth::Verdict::HangUp { .. } => return None,
        };
        return Some(Event::Authenticated { conn, xid: header.xid, proved });
    }
    Some(Event::Frame { conn, header, request })
}
