//! The replica: its state, and one line per event.
//!
//! A step first takes the event, then goes on with what is under way, in this order: events of
//! fired watches, the reply that waits for them, the next commits, events that came meanwhile, and
//! only then what nobody waits for. So nothing overtakes a watch event.

use crate::audit::Audits;
use crate::connections::Connections;
use crate::effect::Effect;
use crate::event::{ConnId, Event};
use crate::expiry::Expiry;
use crate::flow::commit::{self, Committed};
use crate::flow::propose::Proposals;
use crate::flow::throttle::{self, Throttle, ThrottleFigures};
use crate::flow::watches::{self, Fired};
use crate::flow::{apply, log, reply, session};
use crate::limits::VISITS_PER_STEP;
use crate::reaper::Reaper;
use crate::settings::Settings;
use crate::snapshots::Snapshots;
use crate::statistics::Statistics;
use crate::status::{ConnectionStatus, Counters, Measures, Status};
use bellwether_tree::{Firing, Now, Pending, Progress, Tree, WatchTable};
use bellwether_wire::{SessionId, Zxid};
use std::collections::VecDeque;

/// One replica.
///
/// Invariants: `tree.last_processed() <= last_zxid`; `unreplied` is set or `firing` is empty
/// between commits; after `log_failed` nothing is acknowledged.
pub struct Node {
    pub(crate) settings: Settings,
    pub(crate) tree: Tree,
    pub(crate) pending: Pending,
    pub(crate) watches: WatchTable,
    pub(crate) connections: Connections,
    pub(crate) expiry: Expiry,
    pub(crate) proposals: Proposals,
    pub(crate) snapshots: Snapshots,
    pub(crate) counters: Counters,
    /// What is put aside for the audit log of requests in flight.
    pub(crate) audits: Audits,
    pub(crate) measures: Measures,
    /// The zxid given out last.
    pub(crate) last_zxid: Zxid,
    /// Events of fired watches that are still to be made.
    pub(crate) firing: Firing,
    /// Closed connections whose watches are still in the table.
    pub(crate) forgetting: VecDeque<ConnId>,
    /// Connections whose setWatches is under way.
    pub(crate) setting_watches: VecDeque<ConnId>,
    /// Connections with more requests that need nothing but their turn than one step answers.
    pub(crate) draining: VecDeque<ConnId>,
    pub(crate) throttle: Throttle,
    reaper: Reaper,
    /// The transaction whose watches are firing.
    unreplied: Option<Fired>,
    /// Events that came while watches were firing.
    backlog: VecDeque<Event>,
    next_session: SessionId,
    last_step_ms: u64,
    /// No session expires before this, monotonic milliseconds: after a stall its clients must get
    /// their chance to be heard.
    expiry_not_before_ms: u64,
    log_failed: bool,
    visits_per_step: usize,
}

impl Node {
    /// A node that serves `tree`. Its sessions get a full timeout from `now`.
    pub fn new(settings: Settings, tree: Tree, now: Now) -> Node {
        let mut expiry = Expiry::new(settings.tick_ms);
        let mut next_session = SessionId::first(now.wall_ms, settings.server_id);
        for (session, timeout_ms) in tree.sessions() {
            expiry.touch(session, now.mono_ms, timeout_ms);
            // A clock that was set back must not bring an id back, neither of a session that lives
            // nor of one that ended: its client may still ask for it, and would get another's.
            // Every session took a zxid, so there were never more of them than zxids.
            if session >= next_session {
                let zxids = i64::from(tree.last_processed().counter());
                next_session = SessionId(session.0.wrapping_add(zxids)).next();
            }
        }
        let hash_seed = settings.tree.hash_seed;
        Node {
            snapshots: Snapshots::new(&settings),
            reaper: Reaper::new(settings.reaper, now),
            throttle: Throttle::new(settings.throttle),
            last_zxid: tree.last_processed(),
            tree,
            pending: Pending::new(),
            watches: WatchTable::new(hash_seed),
            connections: Connections::default(),
            expiry,
            proposals: Proposals::default(),
            counters: Counters::default(),
            audits: Audits::default(),
            measures: Measures::default(),
            firing: Firing::new(),
            forgetting: VecDeque::new(),
            setting_watches: VecDeque::new(),
            draining: VecDeque::new(),
            unreplied: None,
            backlog: VecDeque::new(),
            next_session,
            last_step_ms: now.mono_ms,
            expiry_not_before_ms: now.mono_ms,
            log_failed: false,
            visits_per_step: VISITS_PER_STEP,
            settings,
        }
    }

    /// The same node with other steps: the simulator makes them so small that whatever can be cut
    /// into slices is.
    pub fn with_visits_per_step(self, visits_per_step: usize) -> Node {
        assert!(visits_per_step > 0, "a step that may do nothing never ends anything");
        Node { visits_per_step, ..self }
    }

    /// Takes one event and asks for what follows from it.
    ///
    /// `now` carries both clocks: the monotonic one for expiry and timers, the wall only for the
    /// stamp of a transaction.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        if self.log_failed {
            return;
        }
        self.notice_stall(now);
        let waits = self.unreplied.is_some() || !self.backlog.is_empty();
        if waits && !matches!(event, Event::Continue) {
            self.backlog.push_back(event);
        } else {
            self.handle(now, event, out);
        }
        self.go_on(now, out);
    }

    fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.tick(now, out),
            Event::Continue => {} // What is under way goes on after every event.
            Event::Connect { conn, request, identities } => {
                session::connect(self, now, (conn, request, identities), out);
            }
            Event::Frame { conn, header, request } => {
                session::request(self, now, (conn, header, request), out);
            }
            Event::Authenticated { conn, xid, proved } => {
                session::authenticated(self, (conn, xid, proved), out);
            }
            Event::ClientGone(conn) => session::gone(self, conn),
            Event::Durable { token, bytes } => log::durable(self, token, bytes),
            Event::LogFailed => self.fail(out),
            Event::SnapshotSliceTaken => self.snapshots.slice_taken(),
            Event::SnapshotEnded { saved: _ } => self.snapshots.ended(),
        }
    }

    /// Goes on with what is under way, as far as one step may go.
    fn go_on(&mut self, now: Now, out: &mut Vec<Effect>) {
        let mut visits = self.visits_per_step;
        while visits > 0 && !self.log_failed {
            match watches::deliver(self, &mut visits, out) {
                Progress::More => return,
                Progress::Done => {}
            }
            if let Some(fired) = self.unreplied.take() {
                // The reply itself belongs to the transaction, whatever its watches used up.
                visits = visits.max(1);
                reply::outcome(self, now, (fired, &mut visits), out);
            }
            if !self.setting_watches.is_empty() {
                // A write behind it on the same connection must find it answered, and it compares
                // with the tree as it is in its place of the order.
                reply::set_watches(self, now, &mut visits, out);
                continue;
            }
            match commit::next(self) {
                Some(Committed::Txn { origin, record }) => {
                    let applied = apply::apply(self, now, (origin, record));
                    self.unreplied = Some(watches::fire(self, applied));
                }
                Some(Committed::Marker(conn)) => {
                    reply::marker(self, now, (conn, &mut visits), out);
                }
                None => match self.backlog.pop_front() {
                    Some(event) => self.handle(now, event, out),
                    None => break,
                },
            }
            // What came before may have used up all of them.
            visits = visits.saturating_sub(1);
        }
        if self.log_failed {
            return;
        }
        let nothing_waits = self.unreplied.is_none() && self.firing.is_empty();
        if nothing_waits && self.backlog.is_empty() {
            throttle::release(self, now, &mut visits, out);
        }
        for _ in 0..self.draining.len() {
            let Some(conn) = self.draining.pop_front() else { break };
            reply::drain(self, now, (conn, &mut visits), out);
        }
        self.housekeeping(now, visits, out);
    }

    /// What nobody waits for, with what is left of the step.
    fn housekeeping(&mut self, now: Now, mut visits: usize, out: &mut Vec<Effect>) {
        watches::forget(self, &mut visits);
        if visits > 0 && self.reaper.is_walking() {
            for path in self.reaper.candidates(now, &self.tree, visits) {
                session::reap(self, now, path, out);
            }
        } else if visits > 0 {
            self.snapshots.go_on(&self.settings, (&self.tree, visits), out);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        if now.mono_ms >= self.expiry_not_before_ms {
            session::expire(self, now, self.visits_per_step, out);
        }
        self.reaper.tick(now, &self.tree);
    }

    /// A process that was stopped, or a machine that slept, finds its clients' signs of life in its
    /// sockets: a tick's time is given to read them before anybody expires.
    fn notice_stall(&mut self, now: Now) {
        if now.mono_ms.saturating_sub(self.last_step_ms) > self.settings.tick_ms {
            self.expiry_not_before_ms = now.mono_ms + self.settings.tick_ms;
        }
        self.last_step_ms = now.mono_ms;
    }

    /// The shell takes no frames at the moment, so that nobody can give a sign of life: nobody
    /// expires before they had a tick's time again.
    pub fn postpone_expiry(&mut self, now: Now) {
        self.expiry_not_before_ms = now.mono_ms + self.settings.tick_ms;
    }

    /// The log failed: what is in flight may or may not be on the disk, so nobody is told anything.
    fn fail(&mut self, out: &mut Vec<Effect>) {
        self.log_failed = true;
        out.extend(self.connections.ids().map(Effect::Close));
    }

    /// When to send the next [`Event::Tick`] if nothing else happens, monotonic milliseconds.
    ///
    /// Never more than half a tick away, so that a longer silence is known to be a stall.
    pub fn next_deadline(&self) -> u64 {
        let soon = self.last_step_ms + (self.settings.tick_ms / 2).max(1);
        let expiry = self.expiry.next_deadline().unwrap_or(soon).max(self.expiry_not_before_ms);
        let throttle = self.throttle.deadline_ms().unwrap_or(soon);
        soon.min(expiry).min(self.reaper.next_deadline()).min(throttle).max(self.last_step_ms + 1)
    }

    /// Whether an [`Event::Continue`] should be sent as soon as the effects are performed.
    pub fn has_work(&self) -> bool {
        !self.log_failed
            && (self.unreplied.is_some()
                || self.proposals.has_committable()
                || !self.backlog.is_empty()
                || !self.setting_watches.is_empty()
                || !self.draining.is_empty()
                || throttle::has_work(self, self.last_step_ms)
                || !self.forgetting.is_empty()
                || self.reaper.is_walking()
                || self.snapshots.is_waited_for())
    }

    /// How many requests came and have no reply yet, or are in flight for a client that has left.
    pub fn outstanding(&self) -> usize {
        self.connections.queued().max(self.proposals.len()) + self.backlog.len()
    }

    /// How many more are held back.
    pub fn held_back(&self) -> usize {
        self.throttle.len()
    }

    /// How many transactions wait for the log.
    pub fn in_flight(&self) -> usize {
        self.proposals.len()
    }

    /// The tree, for reading.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The watches, for reading.
    pub fn watches(&self) -> &WatchTable {
        &self.watches
    }

    /// A connection that has a session, or gets one.
    pub fn connection(&self, conn: ConnId) -> Option<ConnectionStatus> {
        self.connections.get(conn).map(|connection| ConnectionStatus {
            session: connection.session,
            timeout_ms: connection.timeout_ms,
            queued: connection.queue.len() + self.throttle.len_of(conn),
            expires_ms: self.expiry.deadline_of(connection.session),
            statistics: connection.statistics,
        })
    }

    /// Starts the statistics of a connection anew.
    pub fn reset_connection_statistics(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.statistics = Statistics::default();
        }
    }

    /// Starts the statistics anew.
    pub fn reset_statistics(&mut self) {
        self.counters = Counters::default();
        self.throttle.figures = ThrottleFigures::default();
        self.measures = Measures::default();
    }

    /// What was measured with percentiles.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// What it tells of itself.
    pub fn status(&self) -> Status {
        let counters = &self.counters;
        Status {
            last_processed: self.tree.last_processed(),
            digest: self.tree.digest(),
            node_count: self.tree.node_count(),
            ephemerals_count: self.tree.ephemerals_count(),
            approximate_data_size: self.tree.approximate_data_size(),
            sessions: self.expiry.len(),
            connections: self.connections.len(),
            watch_count: self.watches.len(),
            data_watches: self.watches.summary(),
            watching_connections: self.connections.watching(),
            session_deadlines: self.expiry.buckets_count(),
            ephemeral_owners: self.tree.ephemeral_owners(),
            outstanding: self.outstanding(),
            latency: counters.latency,
            watch_events: counters.watch_events,
            sessions_expired: counters.sessions_expired,
            digest_mismatches: counters.digest_mismatches,
            snapshot_running: self.snapshots.is_running(),
            throttle: self.throttle.figures,
        }
    }

    pub(crate) fn take_session_id(&mut self) -> SessionId {
        let id = self.next_session;
        self.next_session = id.next();
        id
    }
}
