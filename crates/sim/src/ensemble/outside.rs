//! A door for clients that are not of this crate: an ensemble that whoever holds it steps, and
//! connections to its members over the same simulated network.
//!
//! What it keeps true:
//! - What a run does is a function of its seed and of what came through the door, in its order.
//! - The checkers of what members do stay on. Those that hold what a client is told against the
//!   history do not apply: they would have to know what these clients asked.
//! - Nothing is changed by looking at the truth.
//!
//! A machine that calls is a number that its owner chooses; its connections can be cut off from the
//! members, broken, or left behind without a word, all of them together.

use super::broken::Break;
use super::faultload::{FILES, Faultload};
use super::network::{Host, Side, StreamId};
use super::plan::Plan;
use super::world::{Mode, Owner, World};
use crate::checkers::Violation;
use crate::disk::Chance;
use crate::model::ModelChangeKind;
use bellwether_wire::{Data, SessionId, Stat};
use std::collections::{BTreeMap, BTreeSet};

/// How long what is written after the faults may take to reach all members, beyond what the plan
/// gives them to come back.
const QUIET_US: u64 = 10_000_000;

/// What an ensemble is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Members that vote.
    pub voters: usize,
    /// Members that do not.
    pub observers: usize,
    /// `tickTime`: sessions time out after 2 to 20 of it.
    pub tick_ms: u64,
    /// What goes wrong with members, disks and the network: the lines of a faultload.
    pub faults: &'a str,
}

/// A connection of somebody outside with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(StreamId);

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// No process listens there.
    Refused,
    /// Nothing comes back; whoever calls may try again after a while.
    NoAnswer,
}

/// What came on a stream since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Nothing follows them.
    pub ended: bool,
}

/// What came for whom. A stream that is not here is of no interest to anybody any more.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    boxes: BTreeMap<StreamId, Received>,
    /// Those with something new, in the order in which it came.
    news: Vec<StreamId>,
}

impl Mailboxes {
    /// Gives whether anybody is there to read it.
    fn bytes(&mut self, stream: StreamId, bytes: &[u8]) -> bool {
        let Some(received) = self.boxes.get_mut(&stream) else { return false };
        received.bytes.extend_from_slice(bytes);
        self.news.push(stream);
        true
    }

    pub(super) fn ended(&mut self, stream: StreamId) {
        if let Some(received) = self.boxes.get_mut(&stream) {
            received.ended = true;
            self.news.push(stream);
        }
    }
}

impl World {
    /// Bytes reached a stream of somebody outside.
    pub(super) fn outside_reads(&mut self, stream: StreamId, bytes: &[u8]) {
        if !self.outside.bytes(stream, bytes) {
            // The machine does not know this connection: it resets it.
            self.hang_up(stream);
        }
    }

    fn hang_up(&mut self, stream: StreamId) {
        self.outside.boxes.remove(&stream);
        self.owners.remove(&(stream, Side::Dialled));
        self.net.close(self.queue.now_us(), stream, Side::Dialled);
    }
}

/// The text of a faultload of this crate.
pub fn faultload(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

/// An ensemble that whoever holds it steps.
pub struct Outside {
    world: World,
}

impl Outside {
    /// Members that start within the first half second, and what strikes them from then on.
    pub fn new(seed: u64, setup: Setup<'_>, broken: Option<Break>) -> Result<Outside, String> {
        let mut chance = Chance::new(seed ^ 0x006f_7574_7369_6465);
        let load = Faultload::parse("outside", setup.faults)?;
        let sizes = (setup.voters, setup.observers);
        let plan = Plan::for_outside(sizes, setup.tick_ms, load, &mut chance);
        let mut world = World::new(plan, broken, &mut chance, false);
        world.mode = Mode::Told;
        world.checkers.numbered_by_connection();
        world.start_all();
        world.begin_faults();
        Ok(Outside { world })
    }

    /// Keeps a tale of everything from here on; see [`Outside::tale`].
    pub fn tell_everything(&mut self) {
        self.world.tale.tell_from_here();
    }

    /// Adds a line to the tale.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        self.world.tell(line);
    }

    /// What happened, line by line, if it was to be told.
    pub fn tale(&self) -> &[String] {
        self.world.tale.lines()
    }

    /// Milliseconds since the run began, by the true time that no machine knows.
    pub fn now_ms(&self) -> u64 {
        self.world.now_us() / 1000
    }

    /// How many members there are; they are numbered from 1 on.
    pub fn members(&self) -> usize {
        self.world.members.len()
    }

    /// Lets things happen until then, or until the end of the first millisecond in which something
    /// came through the door; gives which it is.
    pub fn run_until(&mut self, until_ms: u64) -> Result<u64, Violation> {
        let mut until_us = until_ms * 1000;
        while self.world.go_on(until_us)? {
            if !self.world.outside.news.is_empty() {
                until_us = until_us.min(self.world.now_us().next_multiple_of(1000));
            }
        }
        self.world.queue.pass_to(until_us);
        Ok(self.now_ms())
    }

    /// The streams on which something came since this was last asked, in the order of its coming.
    pub fn take_news(&mut self) -> Vec<Stream> {
        let mut seen = BTreeSet::new();
        let news = std::mem::take(&mut self.world.outside.news);
        news.into_iter().filter(|stream| seen.insert(*stream)).map(Stream).collect()
    }
}

/// Connections.
impl Outside {
    /// A machine calls a member. A member that is stopped is connected to and does not read.
    pub fn connect(&mut self, machine: usize, member: usize) -> Result<Stream, NoConnection> {
        let world = &mut self.world;
        if !world.net.reaches(Host::Client(machine), Host::Member(member)) {
            return Err(NoConnection::NoAnswer);
        }
        if world.process(member).is_none() {
            return Err(NoConnection::Refused);
        }
        let stream = world.join_client(machine, member);
        world.owners.insert((stream, Side::Dialled), Owner::Outside(stream));
        world.outside.boxes.insert(stream, Received::default());
        Ok(Stream(stream))
    }

    /// Sends bytes to a member, behind those that were sent before.
    pub fn send(&mut self, stream: Stream, bytes: Vec<u8>) {
        if self.world.outside.boxes.contains_key(&stream.0) {
            self.world.net.send(self.world.now_us(), stream.0, Side::Dialled, bytes);
        }
    }

    /// What has come since this was last asked.
    pub fn receive(&mut self, stream: Stream) -> Received {
        let Some(received) = self.world.outside.boxes.get_mut(&stream.0) else {
            return Received { bytes: Vec::new(), ended: true };
        };
        Received { bytes: std::mem::take(&mut received.bytes), ended: received.ended }
    }

    /// Whether nothing more comes on a stream.
    pub fn is_closed(&self, stream: Stream) -> bool {
        self.world.outside.boxes.get(&stream.0).is_none_or(|received| received.ended)
    }

    /// The machine closes it: what it sent is still delivered.
    pub fn close(&mut self, stream: Stream) {
        self.world.hang_up(stream.0);
    }
}

/// What goes wrong with a machine that calls.
impl Outside {
    /// Nothing comes through between a machine and the members.
    pub fn cut_off(&mut self, machine: usize) {
        for member in 1..=self.members() {
            self.world.net.block(Host::Client(machine), Host::Member(member));
            self.world.net.block(Host::Member(member), Host::Client(machine));
        }
    }

    /// Everything comes through again, and so does what was held up.
    pub fn mend(&mut self, machine: usize) {
        let now_us = self.world.now_us();
        for member in 1..=self.members() {
            self.world.net.unblock(now_us, Host::Client(machine), Host::Member(member));
            self.world.net.unblock(now_us, Host::Member(member), Host::Client(machine));
        }
    }

    /// All connections of a machine break, behind any byte.
    pub fn break_connections(&mut self, machine: usize) {
        let now_us = self.world.now_us();
        for stream in self.world.net.streams_of(Host::Client(machine)) {
            self.world.net.cut(now_us, stream);
        }
    }

    /// The process on a machine is killed: its connections end, and some of what it sent last may
    /// be lost.
    pub fn kill(&mut self, machine: usize) {
        let now_us = self.world.now_us();
        self.forget(machine);
        self.world.net.drop_host(now_us, Host::Client(machine));
    }

    /// The machine is gone without a word: the members find out by its silence.
    pub fn vanish(&mut self, machine: usize) {
        self.cut_off(machine);
        self.forget(machine);
    }

    fn forget(&mut self, machine: usize) {
        for stream in self.world.net.streams_of(Host::Client(machine)) {
            self.world.outside.boxes.remove(&stream);
        }
    }

    /// Nothing goes wrong with the members any more, and every machine is heard again.
    pub fn heal(&mut self) -> Result<(), Violation> {
        self.world.heal()
    }

    /// How long after [`Outside::heal`] everything may take to be in order again.
    pub fn recovery_ms(&self) -> u64 {
        (self.world.plan.recovery_us() + QUIET_US) / 1000
    }

    /// Whether all members serve and have all applied everything.
    pub fn is_settled(&self) -> bool {
        self.world.is_quiet()
    }

    /// Compares the members' trees with each other and with the history, once they are settled.
    pub fn compare(&mut self) -> Result<(), Violation> {
        self.world.compare()
    }

    /// What each member does, for a person.
    pub fn states(&self) -> Vec<String> {
        self.world.members.iter().map(super::member::Member::state).collect()
    }
}

/// The truth: what any member has shown of what was committed.
impl Outside {
    /// Every node, its data and its stat, behind the last transaction.
    pub fn nodes(&self) -> BTreeMap<&str, (Option<&Data>, Stat)> {
        let nodes = &self.world.checkers.truth.model().nodes;
        let node = |node: &crate::model::Znode| node.wire_stat();
        nodes.iter().map(|(path, it)| (&**path, (it.data.as_ref(), node(it)))).collect()
    }

    /// The sessions that live.
    pub fn sessions(&self) -> BTreeSet<SessionId> {
        self.world.checkers.truth.sessions().keys().copied().collect()
    }

    /// How many transactions were committed.
    pub fn transactions(&self) -> usize {
        self.world.checkers.truth.len()
    }

    /// Every tree that there ever was, one behind each transaction.
    pub fn trees(&self) -> impl Iterator<Item = BTreeMap<&str, (Option<&Data>, Stat)>> {
        let truth = &self.world.checkers.truth;
        let zxids =
            (0..truth.len()).filter_map(|place| truth.record(place)).map(|it| it.header.zxid);
        zxids.map(|zxid| {
            let nodes = truth.nodes_at(zxid);
            nodes.map(|(path, state)| (path, (state.data.as_ref(), state.stat))).collect()
        })
    }

    /// Every node that was ever created, once for each time, in order.
    pub fn created(&self) -> impl Iterator<Item = &str> {
        let truth = &self.world.checkers.truth;
        let changes = (0..truth.len()).flat_map(|place| truth.changes_of(place));
        changes.filter(|change| change.kind == ModelChangeKind::Created).map(|change| &*change.path)
    }
}
