//! A member: a machine that goes on, and now and then a process on it, which runs the production
//! node on the production store.
//!
//! The process does what the real shell does, one thing at a time: bytes become events in the order
//! in which they arrived, effects are performed in their order, the log has its own thread and so
//! have the snapshots. Everything that the node says passes the checkers before it goes anywhere.

mod disk_work;
mod election_port;
mod links;

use super::broken::Break;
use super::checkers::{Checkers, Serves};
use super::clock::Clock;
use super::faultload::Faultload;
use super::network::{Network, Side, StreamId};
use super::queue::Queue;
use super::tale::Tale;
use super::world::{Action, Owner};
use crate::checkers::Violation;
use crate::disk::{Chance, SimDisk};
use bellwether_node::{Effect, EnsembleEffect, Event, Membership, Node, Settings};
use bellwether_store::{Disk, Origin, Recovered, SnapshotWriter, Store, StoreError, StoreOptions};
use bellwether_tree::{LoadError, Loader, Now, Progress, Tree};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use bellwether_wire::quorum::ServerId;
use bellwether_zab::{Input, Serving};
use disk_work::DiskWork;
use election_port::ElectionPort;
use links::Links;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What becomes of a process whose node has work for ever.
const STEPS_MAX: usize = 100_000;

/// A machine and its process.
pub(super) struct Member {
    /// Its place among the members, from 1 on, which is its id.
    pub(super) number: usize,
    pub(super) disk: SimDisk,
    pub(super) clock: Clock,
    pub(super) made: Made,
    pub(super) process: Option<Process>,
    /// Stopped: what arrives waits in its sockets.
    pub(super) paused: bool,
    /// How many processes it has had.
    pub(super) lives: u64,
}

/// What a process is made of.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) options: StoreOptions,
    pub(super) settings: Settings,
    pub(super) place: bellwether_zab::Settings,
    pub(super) visits_per_step: usize,
    pub(super) broken: Option<Break>,
}

/// A running process.
pub(super) struct Process {
    pub(super) number: usize,
    pub(super) life: u64,
    pub(super) node: Node,
    inbox: VecDeque<Event>,
    links: Links,
    election: ElectionPort,
    disk: DiskWork,
    serving: Option<Serving>,
    /// When it is to be woken, in true time.
    wake_us: u64,
    made: Made,
}

/// Why a process ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// Its disk failed it.
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

pub(super) type Step<T> = Result<T, Stop>;

/// The world around a process.
pub(super) struct Around<'a> {
    pub(super) net: &'a mut Network,
    pub(super) queue: &'a mut Queue<Action>,
    pub(super) owners: &'a mut BTreeMap<(StreamId, Side), Owner>,
    pub(super) checkers: &'a mut Checkers,
    pub(super) tale: &'a mut Tale,
    pub(super) chance: &'a mut Chance,
    pub(super) load: &'a Faultload,
    /// How much longer the disk of this member takes.
    pub(super) stall_us: u64,
    pub(super) clock: Clock,
}

impl Around<'_> {
    pub(super) fn now_us(&self) -> u64 {
        self.queue.now_us()
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now(self.queue.now_us())
    }
}

/// A tree that was read from the disk, and what belongs to it.
struct Loaded {
    store: Store,
    tree: Tree,
    base: Zxid,
    records: Vec<Arc<TxnRecord>>,
    recent: Vec<Arc<TxnRecord>>,
    epochs: (u32, u32),
}

impl Process {
    /// Starts: production recovery, production loader.
    pub(super) fn start(member: &mut Member, around: &mut Around<'_>) -> Step<Process> {
        member.lives += 1;
        let (number, made) = (member.number, member.made.clone());
        let disk: Arc<dyn Disk> = Arc::new(member.disk.clone());
        let recovery = Store::open(disk, made.options.clone(), Box::new(|_| {}))?;
        let Loaded { store, tree, base, records, recent, epochs } =
            load(recovery, &made.settings, around.now())?;
        around.checkers.started(number - 1, (base, records), epochs)?;
        let membership = Membership {
            settings: made.place.clone(),
            recent,
            accepted_epoch: epochs.0,
            current_epoch: epochs.1,
        };
        let mut out = Vec::new();
        let now = around.now();
        let node = Node::member(made.settings.clone(), membership, tree, now, &mut out);
        let mut process = Process {
            number,
            life: member.lives,
            node: node.with_visits_per_step(made.visits_per_step),
            inbox: VecDeque::new(),
            links: Links::default(),
            election: ElectionPort::default(),
            disk: DiskWork::new(store, made.broken),
            serving: None,
            wake_us: u64::MAX,
            made,
        };
        process.perform_all(out, around)?;
        process.run(around)?;
        Ok(process)
    }

    /// Takes whatever waits, goes on until nothing is left to do, and sends what it has to say.
    pub(super) fn run(&mut self, around: &mut Around<'_>) -> Step<()> {
        if self.node.next_deadline() <= around.now().mono_ms {
            self.step(Event::Tick, around)?;
        }
        loop {
            if let Some(event) = self.inbox.pop_front() {
                self.take(event, around)?;
            } else if let Some(event) = self.links.next_frame() {
                self.step(event, around)?;
            } else {
                break;
            }
        }
        self.go_on(around)?;
        // What was held back behind a connect request may be read by now.
        while let Some(event) = self.links.next_frame() {
            self.step(event, around)?;
            self.go_on(around)?;
        }
        self.disk.begin((self.number, self.life), around)?;
        for gone in self.links.flush(self.number, around) {
            self.inbox.push_back(gone);
        }
        if !self.inbox.is_empty() {
            return self.run(around);
        }
        self.wake_at_deadline(around);
        Ok(())
    }

    fn go_on(&mut self, around: &mut Around<'_>) -> Step<()> {
        for _ in 0..STEPS_MAX {
            if let Some(event) = self.inbox.pop_front() {
                self.step(event, around)?;
            } else if self.node.has_work() {
                self.step(Event::Continue, around)?;
            } else {
                return Ok(());
            }
        }
        let seen = format!("member {} has work for ever", self.number);
        Err(Violation { promise: "liveness", seen }.into())
    }

    fn wake_at_deadline(&mut self, around: &mut Around<'_>) {
        let at_us = around.clock.true_us_of(self.node.next_deadline());
        if at_us < self.wake_us {
            self.wake_us = at_us;
            let (member, life) = (self.number, self.life);
            around.queue.at(at_us, Action::Wake { member, life });
        }
    }

    /// The time has come that it wanted to be woken.
    pub(super) fn woken(&mut self, around: &mut Around<'_>) -> Step<()> {
        self.wake_us = u64::MAX;
        self.run(around)
    }

    /// Packets that came together are handed over together.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever is no packet")]
    fn take(&mut self, event: Event, around: &mut Around<'_>) -> Step<()> {
        let is_packet = |event: &Event| {
            matches!(event, Event::Peer(Input::FromLearner(..) | Input::FromLeader(..)))
        };
        let more_follow = is_packet(&event) && self.inbox.front().is_some_and(is_packet);
        match event {
            Event::Peer(input) if more_follow => {
                let mut out = Vec::new();
                self.node.take(around.now(), input, &mut out);
                self.perform_all(out, around)
            }
            event => self.step(event, around),
        }
    }

    fn step(&mut self, event: Event, around: &mut Around<'_>) -> Step<()> {
        let mut out = Vec::new();
        self.node.step(around.now(), event, &mut out);
        self.perform_all(out, around)
    }

    fn perform_all(&mut self, out: Vec<Effect>, around: &mut Around<'_>) -> Step<()> {
        // Appends are judged by the role in which they were made, and so are replies.
        self.notice_service(around)?;
        for effect in out {
            around.tale.effect(around.queue.now_us(), self.number, &effect);
            self.perform(effect, around)?;
        }
        let shown = self.node.tree().last_processed();
        around.checkers.stepped(self.number - 1, shown)?;
        Ok(())
    }

    /// Tells the checkers when it begins to serve clients, and when it ends.
    fn notice_service(&mut self, around: &mut Around<'_>) -> Step<()> {
        let serving = self.node.serving();
        if serving == self.serving {
            return Ok(());
        }
        self.serving = serving;
        let number = self.number;
        around.tale.tell(around.queue.now_us(), || match serving {
            Some(serving) => format!("{number} serves: {serving:?}"),
            None => format!("{number} does not serve any more"),
        });
        around.tale.show(|_| match serving {
            Some(Serving::Alone) | None => format!("{number} serves nobody"),
            Some(Serving::Leader { epoch }) => format!("{number} leads in epoch {epoch}"),
            Some(Serving::Follower { epoch }) => format!("{number} follows in epoch {epoch}"),
            Some(Serving::Observer { epoch }) => format!("{number} observes in epoch {epoch}"),
        });
        let serves = match serving {
            None => Serves::Nobody,
            Some(Serving::Leader { epoch }) => Serves::AsLeader { epoch },
            Some(Serving::Follower { .. } | Serving::Observer { .. }) => Serves::AsLearner,
            Some(Serving::Alone) => unreachable!("members are not alone"),
        };
        let now_ms = around.now().mono_ms;
        around.checkers.serves(number - 1, (serves, now_ms), self.node.tree())?;
        Ok(())
    }

    fn perform(&mut self, effect: Effect, around: &mut Around<'_>) -> Step<()> {
        match effect {
            Effect::Connected(conn, response) => self.links.connected(conn, &response),
            Effect::Reply(conn, reply) => self.links.reply(conn, &reply),
            Effect::Notify(conn, event) => self.links.notify(conn, &event),
            Effect::Close(conn) => self.links.close_client(conn, around),
            Effect::Audit(_) | Effect::QuotaExceeded(_) => {} // Lines in logs that nobody reads here.
            Effect::Append(token, record) => {
                let times = (around.now().mono_ms, around.now_us());
                around.checkers.appended(self.number - 1, &record, times)?;
                self.disk.append(token, record);
            }
            Effect::StartSnapshot(zxid) => self.disk.start_snapshot(zxid),
            Effect::SnapshotSlice { items, last } => {
                self.disk.slice((self.number, self.life), items, last, around);
            }
            Effect::Ensemble(effect) => self.perform_of_ensemble(effect, around)?,
        }
        Ok(())
    }

    fn perform_of_ensemble(&mut self, effect: EnsembleEffect, around: &mut Around<'_>) -> Step<()> {
        match effect {
            EnsembleEffect::Peer(effect) => self.perform_of_peer(effect, around)?,
            EnsembleEffect::SnapshotToLearner { link, items, last } => {
                self.links.snapshot_to_learner(link, &items, last);
                let delay_us = 100 + around.chance.below(2000);
                let action = Action::SliceTaken { member: self.number, life: self.life, link };
                around.queue.after(delay_us, action);
            }
            EnsembleEffect::ReceiveSnapshot(zxid) => self.disk.receive(zxid),
            EnsembleEffect::AdoptSnapshot(zxid) => self.disk.adopt(zxid),
            EnsembleEffect::AbandonSnapshot => {
                if let Some(ended) = self.disk.abandon() {
                    self.inbox.push_back(ended);
                }
            }
        }
        Ok(())
    }

    fn perform_of_peer(
        &mut self,
        effect: bellwether_zab::Effect,
        around: &mut Around<'_>,
    ) -> Step<()> {
        use bellwether_zab::Effect;
        let (member, life) = (self.number, self.life);
        match effect {
            Effect::Notify { to, notification } => {
                let to = number_of(to);
                around.tale.vote(around.queue.now_us(), (member, to), &notification);
                self.election.notify((member, life), to, &notification, around);
            }
            Effect::Listen => self.links.listen(true),
            Effect::StopListening => self.links.listen(false),
            Effect::ToLearner(link, packet) => {
                self.links.send_to_learner(member, link, &packet, around)
            }
            Effect::CloseLearner(link) => self.links.close_learner(link, around),
            Effect::ReadLog { link, after, up_to } => {
                self.disk.read_log((member, life), link, (after, up_to), around);
            }
            Effect::Dial { link, leader } => {
                let delay_us = 100 + around.chance.below(1000);
                let leader = number_of(leader);
                around.queue.after(delay_us, Action::Dial { member, life, link, leader });
            }
            Effect::ToLeader(link, packet) => {
                links::check_promise(member, &packet, around)?;
                self.links.send_to_leader(member, link, &packet, around);
            }
            Effect::CloseLeader(link) => self.links.close_leader(link, around),
            Effect::Append(..) => unreachable!("the node appends"),
            Effect::SaveAcceptedEpoch(epoch) => self.disk.save_accepted(epoch),
            Effect::SaveCurrentEpoch(epoch) => self.disk.save_current(epoch),
            Effect::Truncate(zxid) => self.disk.truncate(zxid),
        }
        Ok(())
    }

    /// The log's thread is through with what it had.
    pub(super) fn log_done(&mut self, around: &mut Around<'_>) -> Step<()> {
        let now = around.now();
        let process = (self.number, self.life);
        let done = self.disk.log_done((process, &self.made.settings, now), around)?;
        self.inbox.extend(done);
        self.run(around)
    }

    /// What the log's thread did a while ago is heard of.
    pub(super) fn late_report(&mut self, around: &mut Around<'_>) -> Step<()> {
        self.inbox.extend(self.disk.late_report());
        self.run(around)
    }

    /// Everything is in order again.
    pub(super) fn healed(&mut self, around: &mut Around<'_>) -> Step<()> {
        self.inbox.extend(self.disk.late_reports());
        self.run(around)
    }

    /// The thread of the snapshots gets its turn.
    pub(super) fn snapshot_turn(&mut self, around: &mut Around<'_>) -> Step<()> {
        let done = self.disk.snapshot_turn();
        self.inbox.extend(done);
        self.run(around)
    }

    /// A reader of the log gets its turn.
    pub(super) fn reader_turn(
        &mut self,
        link: bellwether_zab::LearnerLink,
        around: &mut Around<'_>,
    ) -> Step<()> {
        let done = self.disk.reader_turn((self.number, self.life), link, around);
        self.inbox.extend(done);
        self.run(around)
    }

    /// Something happened that is nobody's bytes.
    pub(super) fn happened(&mut self, event: Event) {
        self.inbox.push_back(event);
    }

    /// It looks at its timers before it looks at anything else.
    pub(super) fn first(&mut self, timers: Event, around: &mut Around<'_>) -> Step<()> {
        self.step(timers, around)
    }

    pub(super) fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    pub(super) fn election(&mut self) -> &mut ElectionPort {
        &mut self.election
    }

    /// A vote came by the election port.
    pub(super) fn voted(&mut self, from: usize, bytes: &[u8]) {
        for notification in self.election.received(from, bytes) {
            let from = id_of(from);
            self.inbox.push_back(Event::Peer(Input::Notification { from, notification }));
        }
    }
}

impl Member {
    /// What it does, for a person.
    pub(super) fn state(&self) -> String {
        let number = self.number;
        let Some(process) = &self.process else { return format!("{number} does not run") };
        let peer = process.node.peer();
        let (state, serving) = (peer.state(), process.node.serving());
        let last = peer.history().received();
        format!("{number} {state:?} serves {serving:?} and ends at {last}")
    }
}

/// Members are numbered from 1 on, and that is their id.
pub(super) fn id_of(number: usize) -> ServerId {
    ServerId(i64::try_from(number).expect("members are few"))
}

pub(super) fn number_of(id: ServerId) -> usize {
    usize::try_from(id.0).expect("every member has a number")
}

/// Reads a directory to its end.
fn load(mut recovery: bellwether_store::Recovery, settings: &Settings, now: Now) -> Step<Loaded> {
    let mut loader = Loader::new(settings.tree.clone());
    let mut base = Zxid::ZERO;
    if let Origin::Snapshot { zxid, .. } = recovery.origin() {
        base = *zxid;
        loader.start_at(base);
    }
    let fresh = *recovery.origin() == Origin::Fresh;
    let mut records = Vec::new();
    for piece in &mut recovery {
        match piece? {
            Recovered::Item(item) => loader.item(&item).map_err(|error| not_loaded(&error))?,
            Recovered::Txn(record) => {
                loader.replay(&record).map_err(|error| not_loaded(&error))?;
                records.push(Arc::new(record));
            }
        }
    }
    let epochs = recovery.epochs().expect("it is a member's directory, read to its end");
    let recent = recovery.take_recent().into_iter().map(Arc::new).collect();
    let (tree, report) = loader.finish(now).map_err(|error| not_loaded(&error))?;
    if report.digest_mismatches > 0 {
        let seen = format!("{} digests differ after a start", report.digest_mismatches);
        return Err(Violation { promise: "equal trees", seen }.into());
    }
    let store = recovery.finish()?;
    if fresh {
        first_snapshot(&store, &tree)?;
    }
    Ok(Loaded { store, tree, base, records, recent, epochs: (epochs.accepted, epochs.current) })
}

fn not_loaded(error: &LoadError) -> Stop {
    let seen = format!("what is on the disk does not load: {error}");
    Violation { promise: "equal trees", seen }.into()
}

/// A log needs a snapshot to start from.
fn first_snapshot(store: &Store, tree: &Tree) -> Result<(), StoreError> {
    let zxid = tree.last_processed();
    let mut writer = SnapshotWriter::create(store.disk(), store.options(), zxid)?;
    let mut cursor = tree.snapshot_start();
    let mut items: Vec<SnapshotItem> = Vec::new();
    while tree.snapshot_next(&mut cursor, 100, &mut items) == Progress::More {}
    for item in &items {
        writer.write(item)?;
    }
    writer.finish()?;
    Ok(())
}
