//! The one loop: messages in, `Node::step`, effects out.
//!
//! The core owns the node and all connections; nobody else touches them. It takes every message
//! that has arrived, performs what follows, and only then hands the log its batch and the sockets
//! their replies: batches are what has arrived meanwhile, never a wait.
//!
//! The loop keeps true: effects are performed in their order; the core never blocks; it stops
//! reading from whoever has too much unanswered or unsent.

mod audited;
mod effects;
pub(crate) mod ensemble;
mod limits;
pub mod offline;
mod snapshots;
mod turn;
pub(crate) mod words;

use self::ensemble::Sockets;
use self::words::Sorters;
use crate::admin::ShellFigures;
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::snapshots::{Opener, Writing};
use crate::disk::{Log, LogFailure, LogTask, Synced};
use crate::environment::Environment;
use crate::figures::Figures;
use crate::limits::{
    CLOSING_STALL, CORE_BATCH, CORE_MESSAGES, FRAMES_PER_CLOCK, PARTIAL_STALL, READ_BYTES,
    START_EXTENSION, START_EXTENSION_EVERY_MS, STOP_PATIENCE, SWEEP_EVERY_MS, TELLING_PATIENCE,
};
use crate::net::clients::{Client, Phase};
use crate::net::large::LargeRequests;
use crate::net::listen::{Admission, Descriptor};
use crate::net::partial::PartialBudget;
use crate::net::readiness::{self, Wants};
use crate::net::socket::Socket;
use crate::net::tokens::Tokens;
use crate::quorum::QuorumMessage;
use crate::quorum::log_source::{LogRead, LogReader};
use crate::systemd::Systemd;
use crate::warn_limited;
use bellwether_node::{ByConn, ConnId, Effect, Event, LogToken, Node};
use bellwether_store::SealedSnapshot;
use bellwether_tree::Tree;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_zab::{Input, Serving};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// What others tell the core.
pub(crate) enum Message {
    /// A client connected.
    Accepted { stream: TcpStream, peer: SocketAddr, descriptor: Descriptor },
    /// A socket can be read or written.
    Ready(ConnId),
    /// A socket that is neither read nor written at the moment is broken.
    Broken(ConnId),
    /// The log's thread has a batch on stable storage.
    Synced(Synced),
    /// The log's thread has failed and said why.
    LogFailed,
    /// The thread of this snapshot wants the next slice.
    SliceTaken { number: u64 },
    /// A leader's snapshot is whole and durable, but not in place.
    SnapshotSealed { number: u64, sealed: Box<SealedSnapshot> },
    /// The snapshot's thread is through.
    SnapshotEnded { number: u64, saved: bool },
    /// Something of the sockets between members.
    Quorum(QuorumMessage),
    /// Something that is for the peer alone.
    Peer(Input),
    /// The log was cut, and this is what is left.
    Truncated { tree: Box<Tree>, recent: Vec<Arc<TxnRecord>> },
    /// A leader's snapshot took the place of the history.
    SnapshotAdopted,
    /// Records for a learner. The permit is given back when they are handed in.
    LogRead(LogRead),
    /// The audit log has room again.
    AuditDrained,
    /// Stop: answer what is in flight, and no more.
    Stop,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it was asked to.
    Stopped,
    /// The log failed.
    LogFailed,
    /// The port for elections cannot be opened.
    NoElectionPort,
}

/// Everything that the loop owns.
///
/// Invariants: `partials` counts what the clients' incomplete frames hold; `unsent` is the sum of
/// the clients' unsent copies as of their last flush or effect.
pub(crate) struct Core {
    config: Config,
    /// The port that is bound, which the configuration may leave to the system.
    client_port: u16,
    clock: Clock,
    /// The time of the next step: the end of the last one, the last read of a socket, or the
    /// beginning of this round, whichever was last.
    instant: Instant,
    /// Steps since then.
    unclocked: u32,
    node: Node,
    clients: ByConn<Client>,
    admission: Admission,
    tokens: Tokens,
    large: LargeRequests,
    partials: PartialBudget,
    unsent: usize,
    log: Log,
    log_batch: Vec<(LogToken, Arc<TxnRecord>)>,
    /// The snapshot that is being written.
    snapshot: Option<Writing>,
    /// The thread of one that was given up.
    abandoned: Option<JoinHandle<()>>,
    /// How many there were.
    snapshot_number: u64,
    /// A leader's snapshot that waits to be put in place.
    sealed: Option<Box<SealedSnapshot>>,
    /// The log is being cut: what a snapshot would show of it may not stay.
    truncating: bool,
    snapshots: Box<dyn SnapshotFiles>,
    figures: Figures,
    systemd: Systemd,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    /// `None` where nothing is audited.
    audit: Option<AuditLog>,
    /// Connections to be flushed at the end of this round, once each.
    dirty: Vec<ConnId>,
    /// Connections that have frames and may take them again.
    turns: VecDeque<ConnId>,
    /// Connections that are not read from because too much is outstanding in all, and something of
    /// theirs.
    throttled: BTreeSet<ConnId>,
    /// Connections that wait for a part of the budget for large frames.
    starved: BTreeSet<ConnId>,
    /// Connections whose four-letter word is still being answered and that have room for more.
    tellers: VecDeque<ConnId>,
    sorters: Sorters,
    /// What `stmk` set.
    trace_mask: i64,
    environment: Environment,
    /// One buffer for all reads.
    buffer: Vec<u8>,
    effects: Vec<Effect>,
    next_conn: u64,
    next_sweep_ms: u64,
    next_watchdog: Option<Instant>,
    stopping: Option<Instant>,
    log_failed: bool,
    /// The sockets of a member of an ensemble.
    sockets: Option<Sockets>,
    /// What the node asked for when it was made.
    begun: Vec<Effect>,
    /// Told once clients are served.
    on_serving: Option<Box<dyn FnOnce()>>,
    /// When systemd is told next that the start takes longer: an ensemble may be without a quorum.
    next_extension_ms: u64,
    no_election_port: bool,
}

/// Makes snapshot files; behind a trait so that the loop does not know the disk.
pub(crate) trait SnapshotFiles: Send {
    /// What opens the file of a snapshot of this server's tree.
    fn own(&self, zxid: Zxid) -> Opener;

    /// What opens the file of a leader's.
    fn received(&self, zxid: Zxid) -> Opener;

    /// What reads the logs.
    fn log_reader(&self) -> LogReader;
}

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) client_port: u16,
    pub(crate) clock: Clock,
    /// What chance derives from.
    pub(crate) seed: u64,
    pub(crate) node: Node,
    pub(crate) log: Log,
    pub(crate) audit: Option<AuditLog>,
    pub(crate) snapshots: Box<dyn SnapshotFiles>,
    pub(crate) systemd: Systemd,
    pub(crate) figures: ShellFigures,
    /// `None` for a server that runs alone.
    pub(crate) sockets: Option<Sockets>,
    /// What the node asked for when it was made.
    pub(crate) begun: Vec<Effect>,
    /// Told once clients are served.
    pub(crate) on_serving: Option<Box<dyn FnOnce()>>,
}

/// The two ends of the queue to the core.
pub(crate) type Queue = (mpsc::Sender<Message>, mpsc::Receiver<Message>);

/// The queue to the core.
pub(crate) fn queue() -> Queue {
    mpsc::channel(CORE_MESSAGES)
}

impl Core {
    pub(crate) fn new(parts: Parts, (sender, messages): Queue) -> Core {
        let Parts { config, client_port, clock, seed, node, log, audit, .. } = parts;
        let Parts { snapshots, systemd, figures, sockets, begun, on_serving, .. } = parts;
        let next_watchdog = systemd.watchdog.map(|every| clock.moment() + every);
        Core {
            admission: Admission::new(config.max_client_cnxns, config.max_cnxns),
            tokens: Tokens::new(config.throttles.connections, clock.now().mono_ms, seed),
            large: LargeRequests::new(config.throttles.large_requests),
            figures: Figures::new(figures),
            config,
            client_port,
            clock,
            instant: clock.moment(),
            unclocked: 0,
            node,
            clients: ByConn::default(),
            partials: PartialBudget::default(),
            unsent: 0,
            log,
            log_batch: Vec::new(),
            audit,
            snapshot: None,
            abandoned: None,
            snapshot_number: 0,
            sealed: None,
            truncating: false,
            snapshots,
            systemd,
            messages,
            sender,
            dirty: Vec::new(),
            turns: VecDeque::new(),
            throttled: BTreeSet::new(),
            starved: BTreeSet::new(),
            tellers: VecDeque::new(),
            sorters: Sorters::default(),
            trace_mask: words::TRACE_MASK_DEFAULT,
            environment: Environment::read(),
            buffer: vec![0; READ_BYTES],
            effects: Vec::new(),
            next_conn: 1,
            next_sweep_ms: 0,
            next_watchdog,
            stopping: None,
            log_failed: false,
            sockets,
            begun,
            on_serving,
            next_extension_ms: 0,
            no_election_port: false,
        }
    }

    /// Runs until it is told to stop, or cannot go on.
    pub(crate) async fn run(&mut self) -> Ended {
        let mut batch = Vec::with_capacity(CORE_BATCH);
        for effect in std::mem::take(&mut self.begun) {
            self.perform(effect);
        }
        self.tell_of_serving();
        loop {
            let deadline = self.deadline();
            let busy = self.is_busy();
            tokio::select! {
                biased;
                _count = self.messages.recv_many(&mut batch, CORE_BATCH) => {}
                // The runtime looks at its sockets before it comes back.
                () = tokio::task::yield_now(), if busy => {}
                () = tokio::time::sleep_until(deadline.into()), if !busy => {}
            }
            self.clock.read_wall();
            self.instant = self.clock.moment();
            for message in batch.drain(..) {
                self.message(message);
            }
            self.go_on();
            if self.log_failed {
                return Ended::LogFailed;
            }
            if self.no_election_port {
                return Ended::NoElectionPort;
            }
            if self.has_stopped() {
                return Ended::Stopped;
            }
        }
    }

    /// Whether there is something to go on with at once.
    fn is_busy(&self) -> bool {
        self.node.has_work()
            || !self.turns.is_empty()
            || !self.tellers.is_empty()
            || self.sockets.as_ref().is_some_and(Sockets::is_busy)
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Accepted { stream, peer, descriptor } => {
                self.accepted(stream, peer, descriptor);
            }
            Message::Broken(conn) => self.close_now(conn),
            Message::Ready(conn) => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.reported();
                    self.turn(conn);
                }
            }
            Message::Synced(synced) => {
                let (token, bytes) = (synced.token, synced.bytes);
                self.figures.synced(&synced, self.config.fsync_warning_threshold_ms);
                self.step(Event::Durable { token, bytes });
            }
            Message::LogFailed => {
                self.step(Event::LogFailed);
                self.log_failed = true;
            }
            Message::SliceTaken { number } => self.slice_of_file_taken(number),
            Message::SnapshotSealed { number, sealed } => self.snapshot_sealed(number, sealed),
            Message::SnapshotEnded { number, saved } => self.snapshot_ended(number, saved),
            Message::Quorum(message) => self.quorum_message(message),
            Message::Peer(input) => {
                if matches!(input, Input::TruncationImpossible) {
                    self.truncating = false;
                }
                self.step(Event::Peer(input));
            }
            Message::Truncated { tree, recent } => {
                self.truncating = false;
                self.step(Event::Truncated { tree, recent });
            }
            Message::SnapshotAdopted => self.step(Event::SnapshotAdopted { adopted: true }),
            Message::LogRead(read) => self.log_read(read),
            Message::AuditDrained => {} // Who waits for it has a turn at the end of each round.
            Message::Stop => {
                info!("stopping: requests in flight are answered, new ones are not taken");
                self.systemd.notify("STOPPING=1");
                self.stopping = Some(self.clock.moment() + STOP_PATIENCE);
            }
        }
    }

    /// What follows from a round of messages.
    fn go_on(&mut self) {
        let now = self.clock.now();
        if self.audit_is_full() {
            self.node.postpone_expiry(now);
        }
        if now.mono_ms >= self.node.next_deadline() {
            self.step(Event::Tick);
        } else if self.node.has_work() {
            self.step(Event::Continue);
        }
        if !self.is_crowded() && !self.audit_is_full() {
            self.turns.extend(std::mem::take(&mut self.throttled));
        }
        for _ in 0..self.turns.len() {
            if let Some(conn) = self.turns.pop_front() {
                self.turn(conn);
            }
        }
        self.hand_over_audit();
        self.send_log_batch();
        self.flush_links();
        self.tell_on();
        for conn in std::mem::take(&mut self.dirty) {
            self.flush(conn);
        }
        self.tell_of_serving();
        if now.mono_ms >= self.next_sweep_ms {
            self.sweep(now.mono_ms);
        }
        self.feed_watchdog();
    }

    /// Hands the log what has gathered for it.
    fn send_log_batch(&mut self) {
        if !self.log_batch.is_empty() {
            let records = std::mem::take(&mut self.log_batch);
            self.log.send(LogTask::Append(records, self.instant));
        }
    }

    fn deadline(&self) -> Instant {
        let mut deadline = self.clock.instant(self.node.next_deadline().min(self.next_sweep_ms));
        if let Some(watchdog) = self.next_watchdog {
            deadline = deadline.min(watchdog);
        }
        if let Some(stopping) = self.stopping {
            deadline = deadline.min(stopping);
        }
        deadline
    }

    /// One step of the node, and what it asks for. Frames come in runs and cost less than a look at
    /// the clock does: it is read once per [`FRAMES_PER_CLOCK`] of them. The end of one step is the
    /// beginning of the next.
    fn step(&mut self, event: Event) {
        let is_frame = matches!(event, Event::Frame { .. });
        let mut effects = std::mem::take(&mut self.effects);
        self.node.step(self.clock.at(self.instant), event, &mut effects);
        self.unclocked += 1;
        if !is_frame || self.unclocked == FRAMES_PER_CLOCK {
            self.read_clock();
        }
        self.perform_all(effects);
    }

    /// Hands the node a packet of another member, one of several.
    fn take(&mut self, input: Input) {
        let mut effects = std::mem::take(&mut self.effects);
        self.node.take(self.clock.at(self.instant), input, &mut effects);
        self.perform_all(effects);
    }

    /// Does what the node asks for, and keeps the room for what it asks next.
    fn perform_all(&mut self, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            self.perform(effect);
        }
        self.effects = effects;
    }

    /// Ends the time of the steps since the clock was last read.
    fn read_clock(&mut self) {
        let ended = self.clock.moment();
        self.figures.stepped(ended.saturating_duration_since(self.instant));
        self.instant = ended;
        self.unclocked = 0;
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr, descriptor: Descriptor) {
        if !self.admits(peer) {
            return;
        }
        let keep_alive = self.config.client_tcp_keep_alive;
        let set = socket2::SockRef::from(&stream).set_keepalive(keep_alive);
        if let Err(error) = set.and_then(|()| stream.set_nodelay(true)) {
            debug!(%error, "a connection was gone before it was used");
        }
        let stream = Arc::new(stream);
        let core = self.sender.clone();
        let spawn =
            |conn| (stream.clone() as Arc<dyn Socket>, readiness::spawn(conn, stream, core));
        self.connected(peer, descriptor, spawn);
    }

    fn admits(&mut self, peer: SocketAddr) -> bool {
        if self.stopping.is_some() {
            return false;
        }
        if let Err(setting) = self.admission.admit(peer.ip()) {
            self.figures.counts.connections_rejected += 1;
            warn_limited!(
                self.figures.repeats,
                "too many connections",
                address = %peer.ip().to_canonical(),
                setting,
                "too many connections: one was closed; raise the setting if they are wanted"
            );
            return false;
        }
        true
    }

    /// A connection begins: `open` gives its socket and what waits for that.
    fn connected(
        &mut self,
        peer: SocketAddr,
        descriptor: Descriptor,
        open: impl FnOnce(ConnId) -> (Arc<dyn Socket>, Wants),
    ) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let (socket, wants) = open(conn);
        let client = Client::new(socket, peer, self.clock.now(), (wants, descriptor));
        self.clients.insert(conn, client);
        // The connect request has often come together with the connection.
        self.turn(conn);
        conn
    }

    /// Closes what stays too long without a session, holds memory that others wait for, or does
    /// not take its last replies.
    fn sweep(&mut self, now_ms: u64) {
        let sessionless_ms = u64::from(self.config.sessionless_timeout_ms);
        let [stall_ms, closing_ms, telling_ms] = [PARTIAL_STALL, CLOSING_STALL, TELLING_PATIENCE]
            .map(|stall| u64::try_from(stall.as_millis()).unwrap_or(u64::MAX));
        let others_wait = !self.starved.is_empty();
        let mut late = Vec::new();
        for (conn, client) in self.clients.iter() {
            let reason = match client.phase {
                Phase::New if now_ms.saturating_sub(client.accepted_ms) >= sessionless_ms => {
                    "it sent no connect request in time"
                }
                Phase::Closing { since_ms }
                    if !client.outbox.is_empty()
                        && now_ms.saturating_sub(since_ms) >= closing_ms =>
                {
                    "it does not take its last replies"
                }
                Phase::Closing { .. }
                    if client.telling.is_some()
                        && now_ms.saturating_sub(client.grew_ms) >= telling_ms =>
                {
                    "it takes the answer to its four-letter word too slowly"
                }
                Phase::New | Phase::Connecting | Phase::Open | Phase::Closing { .. } => {
                    let stalled = now_ms.saturating_sub(client.grew_ms) >= stall_ms;
                    if !(others_wait && stalled && client.partial.is_granted()) {
                        continue;
                    }
                    "it holds memory for a frame that it does not complete, and others wait for it"
                }
            };
            late.push((conn, reason));
        }
        for (conn, reason) in late {
            debug!(conn = conn.0, reason, "a connection is closed");
            match self.clients.get(conn).map(|client| client.phase) {
                Some(Phase::New) => self.figures.counts.sessionless_expired += 1,
                Some(Phase::Connecting | Phase::Open | Phase::Closing { .. }) | None => {
                    self.figures.counts.connections_dropped += 1;
                }
            }
            self.close_now(conn);
        }
        self.figures.repeats.log_ended(self.clock.moment());
        self.next_sweep_ms = now_ms + SWEEP_EVERY_MS;
    }

    /// The server is ready when it serves for the first time.
    fn tell_of_serving(&mut self) {
        if self.on_serving.is_none() {
            return;
        }
        if self.serves_clients() {
            self.systemd.notify("READY=1");
            if let Some(told) = self.on_serving.take() {
                told();
            }
            return;
        }
        let now_ms = self.clock.now().mono_ms;
        if now_ms >= self.next_extension_ms {
            self.systemd.notify(START_EXTENSION);
            self.next_extension_ms = now_ms + START_EXTENSION_EVERY_MS;
        }
    }

    /// Whether clients may ask for sessions.
    pub(crate) fn serves_clients(&self) -> bool {
        match self.node.serving() {
            None => false,
            Some(Serving::Alone | Serving::Follower { .. } | Serving::Observer { .. }) => true,
            Some(Serving::Leader { .. }) => {
                self.config.member.as_ref().is_none_or(|member| member.leader_serves)
            }
        }
    }

    fn feed_watchdog(&mut self) {
        let (Some(every), Some(next)) = (self.systemd.watchdog, self.next_watchdog) else { return };
        let now = self.clock.moment();
        if now >= next {
            self.systemd.notify("WATCHDOG=1");
            self.next_watchdog = Some(now + every / 2);
        }
    }

    /// Whether a stop is complete: everything is answered and sent, or patience is at its end.
    fn has_stopped(&mut self) -> bool {
        let Some(until) = self.stopping else { return false };
        let answered = self.node.in_flight() == 0 && !self.node.has_work();
        let sent = self.clients.iter().all(|(_, client)| client.outbox.is_empty());
        let late = self.clock.moment() >= until;
        if late && !(answered && sent) {
            warn!(
                in_flight = self.node.in_flight(),
                "stopped before every reply was sent; clients learn from their reconnect what became \
                 of their requests"
            );
        }
        (answered && sent) || late
    }

    /// Ends the log's thread after what is queued.
    pub(crate) fn close_log(&mut self) -> Result<(), LogFailure> {
        self.log.stop()
    }
}

/// How long a duration is, in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
