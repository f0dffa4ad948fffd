//! The core without sockets, disk or moving clocks, for tests that feed it bytes.
//!
//! What it keeps true: nothing is decided here; bytes go the way they go in a server, from the read
//! of a socket on. The log is on stable storage only once there is nothing to be read, so that what
//! is answered depends on the bytes and not on the pieces in which they came.
//!
//! What it leaves to others: what must hold of the answers.

#![expect(clippy::missing_panics_doc, reason = "a test is meant to panic where a promise breaks")]

use super::{Core, Message, Parts, SnapshotFiles};
use crate::admin::ShellFigures;
use crate::clock::Clock;
use crate::config::{self, Args};
use crate::disk::snapshots::Opener;
use crate::disk::{BatchTimes, Log, LogTask, Synced};
use crate::net::clients::Client;
use crate::net::socket::Socket;
use crate::quorum::log_source::LogReader;
use crate::start::node_settings;
use crate::systemd::Systemd;
use bellwether_node::{ConnId, LogToken, Node};
use bellwether_tree::Tree;
use bellwether_wire::Zxid;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

/// More rounds than any test needs.
const ROUNDS_MAX: usize = 100_000;

/// A server's core, and the other ends of its connections.
pub struct Offline {
    pub(super) core: Core,
    log: Receiver<LogTask>,
    /// The last record that is not on stable storage yet.
    appended: Option<LogToken>,
    lines: BTreeMap<ConnId, Line>,
}

/// The other end of a connection.
struct Line {
    wire: Arc<Wire>,
    wanted: UnboundedReceiver<Interest>,
    interest: Option<Interest>,
    is_open: bool,
}

/// A socket in memory.
#[derive(Debug, Default)]
struct Wire(Mutex<Traffic>);

#[derive(Debug, Default)]
struct Traffic {
    /// Pieces that one read takes each.
    pieces: VecDeque<Vec<u8>>,
    hung_up: bool,
    /// How many bytes it still takes; `None` for any number.
    room: Option<usize>,
    sent: Vec<u8>,
}

impl Wire {
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket for Wire {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut traffic = self.traffic();
        let Some(piece) = traffic.pieces.front_mut() else {
            return if traffic.hung_up { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        };
        let bytes = piece.len().min(buffer.len());
        let rest = piece.split_off(bytes);
        if let Some(place) = buffer.get_mut(..bytes) {
            place.copy_from_slice(piece);
        }
        if rest.is_empty() {
            traffic.pieces.pop_front();
        } else {
            *piece = rest;
        }
        Ok(bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let traffic = &mut *self.traffic();
        if traffic.room == Some(0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = traffic.sent.len();
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        traffic.sent.extend(bytes.take(traffic.room.unwrap_or(usize::MAX)));
        let taken = traffic.sent.len() - before;
        traffic.room = traffic.room.map(|room| room - taken);
        Ok(taken)
    }
}

/// No test is long enough for a snapshot.
struct NoSnapshots;

impl SnapshotFiles for NoSnapshots {
    fn own(&self, _: Zxid) -> Opener {
        unreachable!("snapCount is larger than any test")
    }

    fn received(&self, _: Zxid) -> Opener {
        unreachable!("there is no leader")
    }

    fn log_reader(&self) -> LogReader {
        unreachable!("there is no learner")
    }
}

impl Offline {
    /// A server with an empty tree and these `-D` properties, by name and value.
    #[must_use]
    pub fn new(properties: &[(&str, &str)]) -> Offline {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let args = Args { zoo_cfg: None, properties: properties.iter().map(owned).collect() };
        let config = config::load(&args).expect("the properties of a test are good").0;
        let (clock, settings) = (Clock::held(), node_settings(&config, [1, 2]));
        let node = Node::new(settings.clone(), Tree::new(settings.tree), clock.now());
        let (tasks, log) = channel();
        let parts = Parts {
            config,
            client_port: 2181,
            clock,
            seed: 1,
            node,
            log: Log::to(tasks),
            audit: None,
            snapshots: Box::new(NoSnapshots),
            systemd: Systemd::default(),
            figures: ShellFigures::default(),
            sockets: None,
            begun: Vec::new(),
            on_serving: None,
        };
        let core = Core::new(parts, super::queue());
        Offline { core, log, appended: None, lines: BTreeMap::new() }
    }

    /// A client connects.
    pub fn connect(&mut self) -> ConnId {
        let (wants, wanted) = tokio::sync::mpsc::unbounded_channel();
        let wire = Arc::new(Wire::default());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        assert!(self.core.admits(peer), "a test has few connections");
        let descriptor = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is new");
        let socket = wire.clone();
        let conn = self.core.connected(peer, descriptor, |_| (socket, wants));
        self.lines.insert(conn, Line { wire, wanted, interest: None, is_open: true });
        conn
    }

    /// Bytes come, which one read takes if it can.
    pub fn send(&mut self, conn: ConnId, piece: &[u8]) {
        if !piece.is_empty() {
            self.line(conn).wire.traffic().pieces.push_back(piece.to_vec());
        }
    }

    /// The client closes its side.
    pub fn hang_up(&mut self, conn: ConnId) {
        self.line(conn).wire.traffic().hung_up = true;
    }

    /// The client takes this many bytes more and then none; `None`: it takes everything.
    pub fn takes(&mut self, conn: ConnId, room: Option<usize>) {
        self.line(conn).wire.traffic().room = room;
    }

    /// Everything that was sent to a client.
    pub fn sent(&self, conn: ConnId) -> Vec<u8> {
        self.line(conn).wire.traffic().sent.clone()
    }

    /// Whether the server has not closed the connection.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.line(conn).is_open
    }

    /// The tree's last zxid and digest.
    pub fn tree(&self) -> (Zxid, u64) {
        let tree = self.core.node.tree();
        (tree.last_processed(), tree.digest())
    }

    fn line(&self, conn: ConnId) -> &Line {
        self.lines.get(&conn).expect("it was connected")
    }

    /// Goes on until there is nothing to do.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.take_log();
            if let Some(conn) = self.ready() {
                self.round(Message::Ready(conn));
            } else if self.core.is_busy() {
                self.core.go_on();
            } else if let Some(token) = self.appended.take() {
                let (elapsed, times) = (Duration::ZERO, BatchTimes::default());
                let synced = Synced { token, bytes: 1, records: 1, elapsed, times };
                self.round(Message::Synced(synced));
            } else {
                return self.check();
            }
        }
        panic!("the core never comes to rest");
    }

    /// One round with what is ready, or with nothing.
    #[cfg(test)]
    pub(super) fn one_round(&mut self) {
        match self.ready() {
            Some(conn) => self.round(Message::Ready(conn)),
            None => self.core.go_on(),
        }
    }

    fn round(&mut self, message: Message) {
        self.core.message(message);
        self.core.go_on();
    }

    fn take_log(&mut self) {
        for task in self.log.try_iter() {
            match task {
                LogTask::Append(records, _) => {
                    self.appended = records.last().map(|(token, _)| *token).or(self.appended);
                }
                LogTask::Roll => {} // There is no file.
                LogTask::SaveAcceptedEpoch(_)
                | LogTask::SaveCurrentEpoch(_)
                | LogTask::Truncate { .. }
                | LogTask::Adopt(_) => unreachable!("a single server has no leader"),
            }
        }
    }

    /// A connection whose socket has what the core waits for.
    fn ready(&mut self) -> Option<ConnId> {
        for (conn, line) in &mut self.lines {
            line.is_open = loop {
                match line.wanted.try_recv() {
                    Ok(interest) => line.interest = Some(interest),
                    Err(TryRecvError::Empty) => break true,
                    Err(TryRecvError::Disconnected) => break false,
                }
            };
            let Some(interest) = line.interest.filter(|_| line.is_open) else { continue };
            let traffic = line.wire.traffic();
            let readable = !traffic.pieces.is_empty() || traffic.hung_up;
            let writable = interest.is_writable() && traffic.room != Some(0);
            if writable || (interest.is_readable() && readable) {
                line.interest = None;
                return Some(*conn);
            }
        }
        None
    }

    /// What must hold of a core at rest.
    fn check(&self) {
        let core = &self.core;
        let granted: usize = core.clients.iter().map(|(_, client)| client.partial.granted()).sum();
        assert_eq!(core.partials.used(), granted, "the budget for incomplete frames");
        let leaks = |client: &Client| client.partial.is_empty() && client.partial.granted() > 0;
        assert!(
            !core.clients.iter().any(|(_, client)| leaks(client)),
            "a part of it is held for nothing"
        );
        assert_eq!(core.unsent, 0, "sockets that take everything");
        assert!(core.throttled.is_empty() && core.starved.is_empty(), "nobody holds others up");
        for (conn, line) in &self.lines {
            let is_client = core.clients.get(*conn).is_some();
            assert_eq!(is_client, line.is_open, "a connection is open and forgotten");
            let pieces = line.wire.traffic().pieces.len();
            assert!(!line.is_open || pieces == 0, "an open connection is not read from");
        }
        assert_eq!(core.node.tree().check(), Ok(()), "the tree does not fit together");
    }
}
