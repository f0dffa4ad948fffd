//! The replica: its state, and one line per event.
//!
//! A step first takes the event, then goes on with what is under way, in this order: events of
//! fired watches, the reply that waits for them, the next commits, events that came meanwhile, and
//! only then what nobody waits for. So nothing overtakes a watch event.

use crate::audit::Audits;
use crate::connections::Connections;
use crate::effect::{Effect, EnsembleEffect};
use crate::ensemble::milestones::{self, Milestones};
use crate::ensemble::{self, Ensemble, receiving, sending};
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
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{SessionId, Zxid};
use bellwether_zab::{Found, Input, LogToken, Out, Peer, Serving};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a member of an ensemble must be told beyond what a single server is.
#[derive(Debug)]
pub struct Membership {
    /// Its place in the ensemble.
    pub settings: bellwether_zab::Settings,
    /// The last records of the log, without a gap.
    pub recent: Vec<Arc<TxnRecord>>,
    /// `acceptedEpoch`.
    pub accepted_epoch: u32,
    /// `currentEpoch`.
    pub current_epoch: u32,
}

/// One replica.
///
/// Invariants: `tree.last_processed() <= last_zxid` where it proposes; `unreplied` is set or
/// `firing` is empty between commits; after `log_failed` nothing is acknowledged.
pub struct Node {
    pub(crate) settings: Settings,
    pub(crate) peer: Peer,
    pub(crate) ensemble: Ensemble,
    pub(crate) milestones: Milestones,
    /// Empty between steps; kept for its memory.
    peer_said: Out,
    /// The last token that the log reported.
    pub(crate) durable: LogToken,
    /// Writers of snapshots that were given up and have not reported their end.
    pub(crate) abandoned: usize,
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
    /// A single server, which serves `tree`. Its sessions get a full timeout from `now`.
    pub fn new(settings: Settings, tree: Tree, now: Now) -> Node {
        let found = Found {
            last: tree.last_processed(),
            recent: Vec::new(),
            accepted_epoch: 0,
            current_epoch: 0,
        };
        let alone = bellwether_zab::Settings::alone(settings.tick_ms);
        let peer = Peer::alone(alone, found, now.mono_ms);
        let mut node = Node::with(settings, tree, now, (peer, Ensemble::alone()));
        for (session, timeout_ms) in node.tree.sessions() {
            node.expiry.touch(session, now.mono_ms, timeout_ms);
        }
        node
    }

    /// A member of an ensemble, which begins by looking for a leader.
    pub fn member(
        settings: Settings,
        membership: Membership,
        tree: Tree,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Node {
        let Membership { settings: place, recent, accepted_epoch, current_epoch } = membership;
        let unused = unused_session(&recent, settings.server_id);
        let found = Found { last: tree.last_processed(), recent, accepted_epoch, current_epoch };
        let mut said = Out::default();
        let peer = Peer::member(place, found, now.mono_ms, &mut said);
        let mut node = Node::with(settings, tree, now, (peer, Ensemble::member()));
        node.next_session = unused.map_or(node.next_session, |id| id.max(node.next_session));
        milestones::looks(&mut node, now);
        node.show_config(now);
        node.pass_on(now, said, out);
        node
    }

    fn with(settings: Settings, tree: Tree, now: Now, (peer, ensemble): (Peer, Ensemble)) -> Node {
        let next_session = SessionId::first(now.wall_ms, settings.server_id);
        let hash_seed = settings.tree.hash_seed;
        let mut node = Node {
            peer,
            ensemble,
            milestones: Milestones::default(),
            peer_said: Out::default(),
            durable: LogToken::default(),
            abandoned: 0,
            expiry: Expiry::new(settings.tick_ms),
            snapshots: Snapshots::new(&settings),
            reaper: Reaper::new(settings.reaper, now),
            throttle: Throttle::new(settings.throttle),
            last_zxid: tree.last_processed(),
            tree,
            pending: Pending::new(),
            watches: WatchTable::new(hash_seed),
            connections: Connections::default(),
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
        };
        node.pass_session_ids();
        node
    }

    /// A sign of life of a session; nothing if it is closing.
    pub(crate) fn touch_live(&mut self, now: Now, session: SessionId) {
        let timeout_ms = self.tree.session_timeout_ms(session);
        if let Some(timeout_ms) = timeout_ms.filter(|_| self.expiry.is_live(session)) {
            self.expiry.touch(session, now.mono_ms, timeout_ms);
        }
    }

    /// A clock that was set back must not bring an id back, neither of a session that lives nor of
    /// one that ended: its client may still ask for it, and would get another's. Every session took
    /// a zxid, so there were never more of them than zxids.
    pub(crate) fn pass_session_ids(&mut self) {
        let zxids = i64::from(self.tree.last_processed().counter());
        for (session, _timeout_ms) in self.tree.sessions() {
            let is_own = session.server() == self.settings.server_id;
            if is_own && session >= self.next_session {
                self.next_session = SessionId(session.0.wrapping_add(zxids)).next();
            }
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
        // What the ensemble says is in no order with what clients ask.
        if waits && !matches!(event, Event::Continue | Event::Peer(_)) {
            self.backlog.push_back(event);
        } else {
            self.handle(now, event, out);
        }
        self.go_on(now, out);
    }

    /// Takes an input of the peer to which others will follow at once. What waits for it goes on
    /// with the next step, which the last of them, or [`Event::Continue`], has to be.
    pub fn take(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        if !self.log_failed {
            self.notice_stall(now);
            self.tell_peer(now, input, out);
        }
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
            Event::Durable { token, bytes } => log::durable(self, now, (token, bytes), out),
            Event::LogFailed => self.fail(out),
            Event::SnapshotSliceTaken => self.snapshots.slice_taken(),
            Event::SnapshotEnded { saved } => self.snapshot_ended(now, saved, out),
            Event::Peer(input) => self.tell_peer(now, input, out),
            Event::Truncated { tree, recent } => {
                receiving::truncated(self, now, (tree, recent), out);
            }
            Event::SnapshotFromLeader { link, items, last } => {
                receiving::items(self, now, (link, items, last), out);
            }
            Event::SnapshotAdopted { adopted } => receiving::adopted(self, now, adopted, out),
            Event::LearnerSliceTaken(link) => self.ensemble.walks.taken(link),
        }
    }

    /// Hands an input to the peer, and on what follows from it.
    pub(crate) fn tell_peer(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        milestones::comes(self, now, &input);
        self.peer_does(now, out, |peer, said| peer.step(now.mono_ms, input, said));
    }

    /// Lets the peer do something, and hands on what follows from it.
    pub(crate) fn peer_does<T>(
        &mut self,
        now: Now,
        out: &mut Vec<Effect>,
        does: impl FnOnce(&mut Peer, &mut Out) -> T,
    ) -> T {
        let mut said = std::mem::take(&mut self.peer_said);
        let before = self.peer.state();
        let done = does(&mut self.peer, &mut said);
        milestones::passed(self, now, before);
        self.pass_on(now, said, out);
        done
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "one effect of zab has a name of its own")]
    fn pass_on(&mut self, now: Now, mut said: Out, out: &mut Vec<Effect>) {
        let measures = &mut self.measures.ensemble;
        out.extend(said.effects.drain(..).map(|effect| match effect {
            bellwether_zab::Effect::Append(token, record) => Effect::Append(token, record),
            effect => {
                milestones::goes(measures, &effect);
                Effect::Ensemble(EnsembleEffect::Peer(effect))
            }
        }));
        for news in said.news.drain(..) {
            ensemble::news(self, now, news, out);
        }
        self.peer_said = said;
    }

    fn snapshot_ended(&mut self, now: Now, saved: bool, out: &mut Vec<Effect>) {
        if self.abandoned > 0 {
            self.abandoned -= 1;
        } else if self.ensemble.receiving.is_some() {
            receiving::written(self, now, saved, out);
        } else {
            self.snapshots.ended();
        }
    }

    /// What clients had asked is forgotten with their connections.
    pub(crate) fn forget_requests(&mut self) {
        self.audits = Audits::default();
        self.expiry = Expiry::new(self.settings.tick_ms);
        self.firing = Firing::new();
        self.unreplied = None;
        self.setting_watches.clear();
        self.draining.clear();
        self.throttle.forget();
        self.backlog.retain(|event| !event.is_of_a_client());
    }

    /// Writes the ensemble's configuration into its node, as every member does for itself.
    pub(crate) fn show_config(&mut self, now: Now) {
        if let Some((text, version)) = self.peer.config() {
            self.tree.show_config(now, (&text, version));
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
                None if ensemble::is_opening(self) => ensemble::open(self, now, out),
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
        if visits > 0 && self.ensemble.walks.is_waited_for() {
            sending::go_on(self, now, visits, out);
        }
        if visits > 0 && self.reaper.is_walking() {
            for path in self.reaper.candidates(now, &self.tree, visits) {
                session::reap(self, now, path, out);
            }
        } else if visits > 0 && self.ensemble.may_save() {
            self.snapshots.go_on(&self.settings, (&self.tree, visits), out);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.tell_peer(now, Input::Tick, out);
        if !self.ensemble.is_proposer() {
            return;
        }
        if now.mono_ms >= self.expiry_not_before_ms {
            session::expire(self, now, self.visits_per_step, out);
        }
        self.reaper.tick(now, &self.tree);
    }

    /// In which role clients are served; `None` while they are not.
    pub fn serving(&self) -> Option<Serving> {
        self.ensemble.serving()
    }

    /// The peer, for reading.
    pub fn peer(&self) -> &Peer {
        &self.peer
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
        let own = soon.min(expiry).min(self.reaper.next_deadline()).min(throttle);
        own.min(self.peer.next_deadline()).max(self.last_step_ms + 1)
    }

    /// Whether an [`Event::Continue`] should be sent as soon as the effects are performed.
    pub fn has_work(&self) -> bool {
        !self.log_failed
            && (self.unreplied.is_some()
                || commit::is_ready(self)
                || ensemble::is_opening(self)
                || !self.backlog.is_empty()
                || !self.setting_watches.is_empty()
                || !self.draining.is_empty()
                || throttle::has_work(self, self.last_step_ms)
                || !self.forgetting.is_empty()
                || self.reaper.is_walking()
                || self.snapshots.is_waited_for()
                || self.ensemble.walks.is_waited_for())
    }

    /// How many requests came and have no reply yet, or are in flight for a client that has left.
    pub fn outstanding(&self) -> usize {
        self.connections.queued().max(self.in_flight()) + self.backlog.len()
    }

    /// How many more are held back.
    pub fn held_back(&self) -> usize {
        self.throttle.len()
    }

    /// How many transactions wait for the log.
    pub fn in_flight(&self) -> usize {
        self.proposals.len().max(self.peer.history().in_flight())
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
            serving: self.serving(),
            ensemble: milestones::status(self),
            last_processed: self.tree.last_processed(),
            digest: self.tree.digest(),
            node_count: self.tree.node_count(),
            ephemerals_count: self.tree.ephemerals_count(),
            approximate_data_size: self.tree.approximate_data_size(),
            sessions: match self.ensemble.is_proposer() {
                true => self.expiry.len(),
                // There is no room for more of them.
                false => usize::try_from(self.tree.sessions_count()).unwrap_or(usize::MAX),
            },
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
            resumed_sessions: counters.resumed_sessions,
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

/// An id behind those that the log tells of: what [`Node::pass_session_ids`] does for sessions that
/// ended before this start. The time of a record stands for the ids that were given out then.
fn unused_session(recent: &[Arc<TxnRecord>], server: u8) -> Option<SessionId> {
    let behind = |record: &Arc<TxnRecord>| {
        let (session, then) = (record.header.session, record.header.time_ms);
        let given_out = SessionId::first(then, server);
        if session.server() == server { given_out.max(session.next()) } else { given_out }
    };
    recent.iter().map(behind).max()
}
