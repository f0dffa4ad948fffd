//! The clients under load: each sends writes ahead of their replies until the server is gone, and
//! keeps what was sent and what was acknowledged.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::model::{Kind, Op, Outcome, Subtree, parent_of};
use super::server::Server;
use super::wire::{Connection, Session};
use super::{Finding, FindingKind};
use crate::rng::Rng;

/// A client has at most this power of two of requests without a reply.
const WINDOW_BITS_MAX: u32 = 6;
/// The replies that a client may still read although the server has sent no more.
pub(super) const WINDOW_MAX: u64 = 1 << WINDOW_BITS_MAX;
/// Beyond this many nodes a client deletes more than it creates.
const NODES_COUNT_TARGET: usize = 120;

/// One request of the round that may have reached the server.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) op: Op,
    pub(super) expected: Outcome,
    /// The zxid of the reply, once there is one.
    pub(super) acknowledged: Option<i64>,
}

/// One client, over all rounds of a chain.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) root: String,
    /// The subtree as it was when the round began.
    pub(super) base: Subtree,
    /// The session of this round, once the server has given it out.
    pub(super) session: Option<Session>,
    /// The requests of this round in order. Replies come in order too, so the acknowledged ones
    /// come first.
    pub(super) sent: Vec<Sent>,
    pub(super) acknowledged_count: usize,
    pub(super) zxid_max: i64,
    names_count: u64,
}

impl Client {
    pub(super) fn new(index: u64) -> Self {
        Self {
            root: format!("/c{index}"),
            base: Subtree::default(),
            session: None,
            sent: Vec::new(),
            acknowledged_count: 0,
            zxid_max: 0,
            names_count: 0,
        }
    }

    /// Forgets the round that ended; `base` is what the server was seen to hold.
    pub(super) fn begin_round(&mut self, base: Subtree) {
        self.base = base;
        self.session = None;
        self.sent.clear();
        self.acknowledged_count = 0;
    }
}

/// When the power fails: as the reply with this number arrives, a moment later, or when told to.
pub(super) struct Trigger {
    acks_target: AtomicU64,
    acks_count: AtomicU64,
    pause: Duration,
    struck: AtomicBool,
    hastened: AtomicBool,
}

impl Trigger {
    pub(super) fn new(acks_target: u64, pause: Duration) -> Self {
        Self {
            acks_target: AtomicU64::new(acks_target),
            acks_count: AtomicU64::new(0),
            pause,
            struck: AtomicBool::new(false),
            hastened: AtomicBool::new(false),
        }
    }

    pub(super) fn acks_count(&self) -> u64 {
        self.acks_count.load(Ordering::SeqCst)
    }

    pub(super) fn has_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// Whether an error was seen, before the power failed, that the server must end for.
    pub(super) fn was_hastened(&self) -> bool {
        self.hastened.load(Ordering::SeqCst)
    }

    /// Strikes after this many more replies, if that is sooner than planned.
    pub(super) fn hasten(&self, more_acks: u64) {
        self.hastened.store(true, Ordering::SeqCst);
        self.acks_target.fetch_min(self.acks_count() + more_acks, Ordering::SeqCst);
    }

    fn acknowledged(&self, server: &Server) {
        let count = self.acks_count.fetch_add(1, Ordering::SeqCst) + 1;
        let due = count >= self.acks_target.load(Ordering::SeqCst);
        if due {
            self.strike_after(self.pause, server);
        }
    }

    /// The power fails now, unless it already has.
    pub(super) fn strike(&self, server: &Server) {
        self.strike_after(Duration::ZERO, server);
    }

    fn strike_after(&self, pause: Duration, server: &Server) {
        if !self.struck.swap(true, Ordering::SeqCst) {
            std::thread::sleep(pause);
            server.strike();
        }
    }
}

/// Loads the server with one client until the connection ends, and says what was wrong with the
/// replies.
pub(super) fn run(
    client: &mut Client,
    server: &Server,
    trigger: &Trigger,
    mut rng: Rng,
) -> Vec<Finding> {
    match drive(client, server, trigger, &mut rng) {
        Ok(findings) => findings,
        Err(error) if is_end(&error) => Vec::new(),
        Err(error) => {
            vec![Finding::new(FindingKind::WrongReply, format!("{}: {error}", client.root))]
        }
    }
}

/// Whether the connection ended because the server did: what a round is about.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

fn drive(
    client: &mut Client,
    server: &Server,
    trigger: &Trigger,
    rng: &mut Rng,
) -> io::Result<Vec<Finding>> {
    let mut connection = connect(server.address, client.zxid_max)?;
    client.session = Some(connection.session.clone());
    let window = 1 << rng.below(u64::from(WINDOW_BITS_MAX) + 1);
    let close_after = rng.chance(1, 8).then(|| rng.between(20, 300));
    let mut ahead = client.base.clone();
    let mut findings = Vec::new();
    let mut closing = false;
    while !closing || client.acknowledged_count < client.sent.len() {
        while !closing && client.sent.len() - client.acknowledged_count < window {
            closing = close_after.is_some_and(|count| client.sent.len() as u64 >= count);
            let op = if closing { Op::CloseSession } else { next_op(client, &ahead, rng) };
            let expected = ahead.apply(&op, None);
            connection.queue(&op);
            client.sent.push(Sent { op, expected, acknowledged: None });
        }
        connection.flush()?;
        // At least one reply, and then as many as make the next burst worth sending.
        let outstanding = client.sent.len() - client.acknowledged_count;
        for _ in 0..(outstanding / 2).max(1) {
            findings.extend(take_reply(client, &mut connection)?);
            trigger.acknowledged(server);
        }
    }
    Ok(findings)
}

fn connect(address: SocketAddr, last_zxid: i64) -> io::Result<Connection> {
    Connection::open(address, None, last_zxid)?
        .ok_or_else(|| io::Error::other("the server refused a new session"))
}

fn take_reply(client: &mut Client, connection: &mut Connection) -> io::Result<Option<Finding>> {
    let place = client.acknowledged_count;
    let sent = client.sent.get_mut(place).ok_or_else(|| io::Error::other("nothing was asked"))?;
    let reply = connection.reply_to(&sent.op)?;
    sent.acknowledged = Some(reply.zxid);
    client.acknowledged_count += 1;
    let wrong = if reply.outcome != sent.expected {
        Some(format!("expected {:?}, got {:?}", sent.expected, reply.outcome))
    } else if reply.zxid <= client.zxid_max {
        Some(format!("zxid {:#x} after {:#x}", reply.zxid, client.zxid_max))
    } else {
        None
    };
    client.zxid_max = client.zxid_max.max(reply.zxid);
    Ok(wrong.map(|wrong| Finding::new(FindingKind::WrongReply, format!("{:?}: {wrong}", sent.op))))
}

/// The client's next write, given the subtree after all that it has sent.
fn next_op(client: &mut Client, ahead: &Subtree, rng: &mut Rng) -> Op {
    if !ahead.nodes.contains_key(&client.root) {
        let path = client.root.clone();
        return Op::Create { path, data: Vec::new(), kind: Kind::Persistent };
    }
    if rng.chance(1, 7) { multi(client, ahead, rng) } else { single(client, ahead, rng) }
}

fn single(client: &mut Client, ahead: &Subtree, rng: &mut Rng) -> Op {
    let crowded = ahead.nodes.len() > NODES_COUNT_TARGET;
    match rng.below(20) {
        0..=5 if !crowded => create(client, ahead, rng),
        0..=7 => delete(ahead, rng),
        8 => existing(ahead, rng, |path, _, rng| Op::Create {
            path,
            data: payload(rng),
            kind: Kind::Persistent,
        }),
        9 => Op::Delete { path: format!("{}/never", client.root), version: -1 },
        10 => existing(ahead, rng, |path, version, rng| Op::Set {
            path,
            data: payload(rng),
            version: version + 1,
        }),
        draw => existing(ahead, rng, |path, version, rng| Op::Set {
            path,
            data: payload(rng),
            version: if draw < 15 { version } else { -1 },
        }),
    }
}

/// Several writes at once, of which in every third multi one fails.
fn multi(client: &mut Client, ahead: &Subtree, rng: &mut Rng) -> Op {
    let mut ops = Vec::new();
    let mut after = ahead.clone();
    for _ in 0..rng.between(2, 6) {
        let op = single(client, &after, rng);
        // Only the one below may fail, so that most multis change something.
        if !matches!(after.apply(&op, None), Outcome::Failed(_)) {
            ops.push(op);
        }
    }
    if rng.chance(1, 3) {
        let place = usize::try_from(rng.below(ops.len() as u64 + 1)).unwrap_or(0);
        let path = format!("{}/never", client.root);
        ops.insert(place, Op::Check { path, version: -1 });
    } else {
        ops.push(existing(&after, rng, |path, version, _| Op::Check { path, version }));
    }
    Op::Multi(ops)
}

fn create(client: &mut Client, ahead: &Subtree, rng: &mut Rng) -> Op {
    client.names_count += 1;
    let number = client.names_count;
    // Children go below the root or below one of its directories; those never have leaf names.
    let directories: Vec<&String> = ahead
        .nodes
        .keys()
        .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with('d')))
        .collect();
    let parent = pick(&directories, rng).map_or(&client.root, |path| *path);
    let parent = if rng.chance(1, 2) { &client.root } else { parent };
    let (name, kind) = match rng.below(10) {
        0 if parent == &client.root => (format!("d{number}"), Kind::Persistent),
        1 | 2 => (format!("e{number}"), Kind::Ephemeral),
        3 | 4 => ("s".to_owned(), Kind::Sequential),
        _ => (format!("n{number}"), Kind::Persistent),
    };
    Op::Create { path: format!("{parent}/{name}"), data: payload(rng), kind }
}

fn delete(ahead: &Subtree, rng: &mut Rng) -> Op {
    let children_counts = ahead.children_counts();
    let leaves: Vec<(&String, i32)> = ahead
        .nodes
        .iter()
        .filter(|(path, _)| {
            !parent_of(path).is_empty() && !children_counts.contains_key(path.as_str())
        })
        .map(|(path, node)| (path, node.version))
        .collect();
    match pick(&leaves, rng) {
        Some((path, version)) => {
            let version = if rng.chance(1, 2) { *version } else { -1 };
            Op::Delete { path: (*path).clone(), version }
        }
        None => existing(ahead, rng, |path, version, _| Op::Delete { path, version: version + 1 }),
    }
}

/// A write to any node that is there.
fn existing(ahead: &Subtree, rng: &mut Rng, op: impl Fn(String, i32, &mut Rng) -> Op) -> Op {
    let nodes: Vec<(String, i32)> =
        ahead.nodes.iter().map(|(path, node)| (path.clone(), node.version)).collect();
    let (path, version) = pick(&nodes, rng).expect("a client's root is never deleted").clone();
    op(path, version, rng)
}

fn pick<'a, T>(among: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    if among.is_empty() {
        return None;
    }
    among.get(usize::try_from(rng.below(among.len() as u64)).ok()?)
}

/// Mostly small, now and then several disk pages; no two are alike.
fn payload(rng: &mut Rng) -> Vec<u8> {
    let bytes_count = match rng.below(50) {
        0 => rng.between(4_000, 20_000),
        1..=9 => rng.between(200, 2_000),
        _ => rng.between(0, 120),
    };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < bytes_count {
        bytes.extend_from_slice(&rng.next_u64().to_be_bytes());
    }
    bytes
}
