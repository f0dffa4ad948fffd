//! Clients that write while something goes wrong, and what they were told.
//!
//! Each client has nodes of its own: it creates one, sets it a few times by version, and goes on to
//! the next. When an answer is lost, what became of that one write is not known: the client gives
//! the node up, with both possibilities, and goes on with its session at another member.
//!
//! What it keeps true: what is in the record was acknowledged, with its zxid and the times between
//! which it happened; of each node at most the last write is uncertain.
//!
//! What it leaves to others: whether that is what the members hold (`judge`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bellwether_wire::Zxid;
use bellwether_wire::client::ReplyBody;

use crate::client::{Connection, Opened, Session, Terms, create, set};
use crate::wait::wait_for;

/// A member that is paused never answers, and the client must go on.
const TERMS: Terms = Terms { timeout_ms: 20_000, patience: Duration::from_secs(2) };
/// Between attempts to connect.
const REDIAL_AFTER: Duration = Duration::from_millis(10);
/// How often a node is set before the next one is begun.
const SETS: i32 = 12;
/// Above the nodes of all clients.
pub(crate) const ROOT: &str = "/load";

/// Connection loss and the like come as closed connections; this one is an answer: the session is
/// at another member, so that the write did not happen.
const SESSION_MOVED: i32 = -118;
const SESSION_EXPIRED: i32 = -112;

/// An acknowledged write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) zxid: Zxid,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// What a node must be.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) path: String,
    /// What was acknowledged; `None` if not even the create was.
    pub(crate) certain: Option<Content>,
    /// Whether one more write was sent.
    pub(crate) maybe_next: bool,
}

/// A node after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) version: i32,
}

/// The data of a node at a version.
pub(crate) fn data_at(path: &str, version: i32) -> Vec<u8> {
    format!("{path} {version}").into_bytes()
}

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) acks: Vec<Ack>,
    pub(crate) nodes: Vec<Node>,
    /// What no server may answer.
    pub(crate) wrong: Vec<String>,
    /// How often a connection was lost, and how often a session was.
    pub(crate) lost: u64,
    pub(crate) expired: u64,
}

impl Record {
    fn add(&mut self, other: Record) {
        self.acks.extend(other.acks);
        self.nodes.extend(other.nodes);
        self.wrong.extend(other.wrong);
        self.lost += other.lost;
        self.expired += other.expired;
    }
}

/// Clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Record>>,
}

impl Load {
    /// Starts clients that are spread over the members. `name` makes their nodes their own.
    pub(crate) fn start(addresses: &[SocketAddr], clients: usize, name: u64) -> Load {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients).map(|number| {
            let client = Client {
                addresses: addresses.to_vec(),
                next_address: number,
                base: format!("{ROOT}/{name}-{number}"),
                nodes_begun: 0,
                seen: Zxid::ZERO,
                session: None,
                record: Record::default(),
                stop: Arc::clone(&stop),
                acked: Arc::clone(&acked),
            };
            thread::spawn(|| client.run())
        });
        Load { clients: clients.collect(), stop, acked }
    }

    /// Waits until so many more writes were acknowledged.
    pub(crate) fn more(&self, count: u64) -> Result<(), String> {
        let enough = self.acked.load(Ordering::Relaxed) + count;
        wait_for(&format!("{count} acknowledged writes"), || {
            Ok((self.acked.load(Ordering::Relaxed) >= enough).then_some(()))
        })
    }

    /// Ends the clients and their sessions, and gives what they were told.
    pub(crate) fn end(self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        let mut record = Record::default();
        for client in self.clients {
            record.add(client.join().expect("a client does not panic"));
        }
        record
    }
}

struct Client {
    addresses: Vec<SocketAddr>,
    next_address: usize,
    base: String,
    nodes_begun: u64,
    seen: Zxid,
    session: Option<Session>,
    record: Record,
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
}

impl Client {
    fn run(mut self) -> Record {
        while !self.stopped() {
            let Some(mut connection) = self.connect() else { continue };
            let ended = self.work(&mut connection);
            self.seen = self.seen.max(connection.seen);
            match ended {
                Ok(()) => {
                    self.session = None;
                    connection.close();
                }
                Err(error) if error.kind() == io::ErrorKind::NotConnected => self.session = None,
                Err(_) => self.record.lost += 1,
            }
        }
        self.leave();
        self.record
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The next member in turn, if it serves.
    fn connect(&mut self) -> Option<Connection> {
        let address = *self.addresses.get(self.next_address % self.addresses.len())?;
        self.next_address += 1;
        match Connection::open(address, self.session.as_ref(), self.seen, TERMS) {
            Ok(Opened::Served(connection)) => {
                self.session = Some(connection.session.clone());
                Some(connection)
            }
            Ok(Opened::Expired) => {
                self.session = None;
                self.record.expired += 1;
                None
            }
            Err(_) => {
                thread::sleep(REDIAL_AFTER);
                None
            }
        }
    }

    /// Ends a session that was left behind when its connection was lost, as far as anybody answers.
    fn leave(&mut self) {
        let mut attempts = self.addresses.len();
        while self.session.is_some() && attempts > 0 {
            attempts -= 1;
            if let Some(connection) = self.connect() {
                connection.close();
                self.session = None;
            }
        }
    }

    /// Node after node, until the connection is lost or the end has come.
    fn work(&mut self, connection: &mut Connection) -> io::Result<()> {
        while !self.stopped() {
            let path = format!("{}-{}", self.base, self.nodes_begun);
            self.nodes_begun += 1;
            let mut node = Node { path, certain: None, maybe_next: false };
            let outcome = self.fill(connection, &mut node);
            self.record.nodes.push(node);
            outcome?;
        }
        Ok(())
    }

    fn fill(&mut self, connection: &mut Connection, node: &mut Node) -> io::Result<()> {
        for version in 0..=SETS {
            let data = data_at(&node.path, version);
            let request = match version {
                0 => create(&node.path, &data),
                _ => set(&node.path, &data, version - 1),
            };
            node.maybe_next = true;
            let sent = Instant::now();
            let stat = match connection.call(&request)? {
                Ok(ReplyBody::PathStat(_, stat) | ReplyBody::Stat(stat)) => stat,
                Ok(other) => {
                    return Err(io::Error::other(format!("{other:?}")));
                }
                Err(SESSION_MOVED) => return Err(io::ErrorKind::ConnectionReset.into()),
                Err(SESSION_EXPIRED) => return Err(io::ErrorKind::NotConnected.into()),
                Err(code) => {
                    // Nobody else writes here, so that nothing can be refused.
                    self.record.wrong.push(format!("{} at {version}: error {code}", node.path));
                    return Err(io::ErrorKind::NotConnected.into());
                }
            };
            let content = Content { czxid: stat.czxid, mzxid: stat.mzxid, version: stat.version };
            if content.version != version {
                self.record.wrong.push(format!("{}: {stat:?} after {version}", node.path));
            }
            let ack = Ack { zxid: content.mzxid, sent, answered: Instant::now() };
            self.record.acks.push(ack);
            node.certain = Some(content);
            node.maybe_next = false;
            self.acked.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
