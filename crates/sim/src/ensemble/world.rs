//! The loop of a run: the next thing that happens, and who has to deal with it.
//!
//! There is one thread, one queue and one source of chance, so a seed is a run, to the byte.

use super::checkers::Checkers;
use super::client::{Client, Link};
use super::clients::Habits;
use super::faults::Faults;
use super::member::{Around, Member, Process, Step, Stop};
use super::network::{Arrival, Arrived, Delays, Host, Network, Side, StreamId};
use super::outside::Mailboxes;
use super::plan::Plan;
use super::queue::Queue;
use super::tale::Tale;
use crate::checkers::Violation;
use crate::disk::{Chance, End};
use bellwether_node::{ConnId, Event};
use bellwether_wire::quorum::Packet;
use bellwether_zab::{Input, LeaderLink, LearnerLink};
use std::collections::BTreeMap;

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Bytes, or the end of a stream, may have arrived.
    Look(Arrival),
    /// A process wanted to be woken.
    Wake {
        member: usize,
        life: u64,
    },
    /// The log's thread is through with what it had.
    LogDone {
        member: usize,
        life: u64,
    },
    /// What the log's thread had done a while ago is heard of only now.
    LateReport {
        member: usize,
        life: u64,
    },
    SnapshotTurn {
        member: usize,
        life: u64,
    },
    ReaderTurn {
        member: usize,
        life: u64,
        link: LearnerLink,
    },
    /// A learner's link has room for the next slice.
    SliceTaken {
        member: usize,
        life: u64,
        link: LearnerLink,
    },
    /// A learner's call reaches its leader, or nobody.
    Dial {
        member: usize,
        life: u64,
        link: LeaderLink,
        leader: usize,
    },
    DialFailed {
        member: usize,
        life: u64,
        link: LeaderLink,
    },
    DialElection {
        member: usize,
        life: u64,
        to: usize,
    },
    /// A client's turn.
    Client {
        client: usize,
        at_us: u64,
    },
    /// A line of the faultload strikes.
    Strike {
        row: usize,
    },
    /// What went wrong ends.
    Mend(super::faults::Mend),
}

/// Who reads at an end of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Client(usize),
    /// Whoever steps the run.
    Outside(StreamId),
    Conn {
        member: usize,
        conn: ConnId,
    },
    Learner {
        member: usize,
        link: LearnerLink,
    },
    Leader {
        member: usize,
        link: LeaderLink,
    },
    Election {
        member: usize,
        peer: usize,
    },
}

/// Everything there is.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) chance: Chance,
    pub(super) queue: Queue<Action>,
    pub(super) net: Network,
    pub(super) owners: BTreeMap<(StreamId, Side), Owner>,
    pub(super) members: Vec<Member>,
    pub(super) clients: Vec<Client>,
    pub(super) habits: Vec<Habits>,
    pub(super) checkers: Checkers,
    pub(super) tale: Tale,
    pub(super) faults: Faults,
    /// How many requests were answered, pings apart.
    pub(super) operations: u64,
    pub(super) starts: u64,
    /// What a paused member has to do when it goes on.
    pub(super) held: Vec<Vec<Action>>,
    /// What clients do.
    pub(super) mode: Mode,
    /// What came for clients that are not of this crate.
    pub(super) outside: Mailboxes,
    next_conn: u64,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// What the workload says.
    Work,
    /// Each asks for one write, and a sync.
    Probe,
    /// They ping.
    Rest,
    /// They are gone.
    Silence,
    /// What a scenario says.
    Told,
}

impl World {
    pub(super) fn new(
        plan: Plan,
        broken: Option<super::broken::Break>,
        chance: &mut Chance,
        told: bool,
    ) -> World {
        let members = plan.members(broken, chance);
        let delays =
            Delays { us_min: plan.faultload.delay_us.min, us_max: plan.faultload.delay_us.max };
        let timeouts_us = plan.workload.timeout_us;
        let client = |chance: &mut Chance| {
            let timeout_ms = timeouts_us.draw(chance) / 1000;
            Client::new(i32::try_from(timeout_ms).expect("timeouts are short"))
        };
        let in_flight = plan.workload.in_flight;
        World {
            habits: (0..plan.clients).map(|_| Habits::new(in_flight.draw(chance))).collect(),
            queue: Queue::new(),
            net: Network::new(chance.any(), delays),
            owners: BTreeMap::new(),
            clients: (0..plan.clients).map(|_| client(chance)).collect(),
            checkers: Checkers::new(&plan.votes(), plan.clients),
            tale: Tale::new(told),
            faults: Faults::new(members.len()),
            operations: 0,
            starts: 0,
            held: members.iter().map(|_| Vec::new()).collect(),
            mode: Mode::Work,
            outside: Mailboxes::default(),
            next_conn: 0,
            chance: chance.clone(),
            members,
            plan,
        }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.queue.now_us()
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        self.tale.tell(self.queue.now_us(), line);
    }

    /// Lets things happen until then.
    pub(super) fn go_on_until(&mut self, until_us: u64) -> Result<(), Violation> {
        while self.go_on(until_us)? {}
        self.queue.pass_to(until_us);
        Ok(())
    }

    /// The next thing that happens not later than then; gives whether there was one.
    pub(super) fn go_on(&mut self, until_us: u64) -> Result<bool, Violation> {
        self.look_later();
        let Some(action) = self.queue.next_until(until_us) else { return Ok(false) };
        self.act(action).map(|()| true)
    }

    fn look_later(&mut self) {
        for (at_us, arrival) in self.net.arrivals.drain(..) {
            self.queue.at(at_us, Action::Look(arrival));
        }
    }

    fn act(&mut self, action: Action) -> Result<(), Violation> {
        if let Some(member) = action.member_of()
            && self.members.get(member - 1).is_some_and(|member| member.paused)
        {
            if let Some(held) = self.held.get_mut(member - 1) {
                held.push(action);
            }
            return Ok(());
        }
        match action {
            Action::Look(arrival) => self.look(arrival),
            Action::Wake { member, life } => self.with(member, Some(life), Process::woken),
            Action::LogDone { member, life } => self.with(member, Some(life), Process::log_done),
            Action::LateReport { member, life } => {
                self.with(member, Some(life), Process::late_report)
            }
            Action::SnapshotTurn { member, life } => {
                self.with(member, Some(life), Process::snapshot_turn)
            }
            Action::ReaderTurn { member, life, link } => {
                self.with(member, Some(life), |process, around| process.reader_turn(link, around))
            }
            Action::SliceTaken { member, life, link } => {
                self.happens(member, Some(life), Event::LearnerSliceTaken(link))
            }
            Action::Dial { member, life, link, leader } => self.dial(member, life, (link, leader)),
            Action::DialFailed { member, life, link } => {
                self.happens(member, Some(life), Event::Peer(Input::LeaderGone(link)))
            }
            Action::DialElection { member, life, to } => self.dial_election(member, life, to),
            Action::Client { client, at_us } => self.client_turn(client, at_us),
            Action::Strike { row } => self.strike(row),
            Action::Mend(mend) => self.mend(mend),
        }
    }

    /// Something happened to a process.
    pub(super) fn happens(
        &mut self,
        member: usize,
        life: Option<u64>,
        event: Event,
    ) -> Result<(), Violation> {
        self.with(member, life, |process, around| {
            process.happened(event);
            process.run(around)
        })
    }

    /// Lets a process do something, unless it has ended; ends it if its disk failed.
    pub(super) fn with(
        &mut self,
        member: usize,
        life: Option<u64>,
        turn: impl FnOnce(&mut Process, &mut Around<'_>) -> Step<()>,
    ) -> Result<(), Violation> {
        let Some(machine) = self.members.get_mut(member - 1) else { return Ok(()) };
        let clock = machine.clock;
        let Some(process) = &mut machine.process else { return Ok(()) };
        if life.is_some_and(|life| life != process.life) {
            return Ok(());
        }
        let mut around = Around {
            net: &mut self.net,
            queue: &mut self.queue,
            owners: &mut self.owners,
            checkers: &mut self.checkers,
            tale: &mut self.tale,
            chance: &mut self.chance,
            load: &self.plan.faultload,
            stall_us: self.faults.stall_us(member),
            clock,
        };
        match turn(process, &mut around) {
            Ok(()) => Ok(()),
            Err(Stop::Violation(violation)) => Err(violation),
            Err(Stop::Disk(error)) => {
                self.tell(|| format!("the disk of {member} failed: {error}"));
                if !self.faults.excuse_disk(member) {
                    let seen = format!("that of {member} failed for no reason: {error}");
                    return Err(Violation { promise: "disk", seen });
                }
                let off = self.members.get(member - 1).is_some_and(|it| it.disk.is_off());
                let end = if off { End::PowerLost } else { End::Killed };
                self.crash(member, end);
                let again_us = 50_000 + self.chance.below(3_000_000);
                self.restart_after(member, again_us);
                Ok(())
            }
        }
    }

    /// Starts the process of a member that has none.
    pub(super) fn start(&mut self, member: usize) -> Result<(), Violation> {
        let Some(machine) = self.members.get_mut(member - 1) else { return Ok(()) };
        if machine.process.is_some() {
            return Ok(());
        }
        self.starts += 1;
        let mut around = Around {
            net: &mut self.net,
            queue: &mut self.queue,
            owners: &mut self.owners,
            checkers: &mut self.checkers,
            tale: &mut self.tale,
            chance: &mut self.chance,
            load: &self.plan.faultload,
            stall_us: self.faults.stall_us(member),
            clock: machine.clock,
        };
        match Process::start(machine, &mut around) {
            Ok(process) => {
                let last = process.node.peer().history().received();
                let epochs = process.node.peer().epochs();
                machine.process = Some(process);
                machine.paused = false;
                self.tell(|| format!("{member} starts with {last}, epochs {epochs:?}"));
                Ok(())
            }
            Err(Stop::Violation(violation)) => Err(violation),
            Err(Stop::Disk(error)) => {
                self.tell(|| format!("{member} cannot start: {error}"));
                if !self.faults.excuse_disk(member) {
                    let seen = format!("{member} refuses to start: {error}");
                    return Err(Violation { promise: "recovery", seen });
                }
                let off = machine_off(self.members.get(member - 1));
                self.end_disk(member, if off { End::PowerLost } else { End::Killed });
                let again_us = 50_000 + self.chance.below(3_000_000);
                self.restart_after(member, again_us);
                Ok(())
            }
        }
    }

    /// The process of a member ends, now.
    pub(super) fn crash(&mut self, member: usize, end: End) {
        let now_us = self.now_us();
        self.tell(|| format!("{member} ends: {end:?}"));
        let Some(machine) = self.members.get_mut(member - 1) else { return };
        machine.process = None;
        machine.paused = false;
        if let Some(held) = self.held.get_mut(member - 1) {
            held.clear();
        }
        self.end_disk(member, end);
        self.checkers.ended(member - 1);
        for stream in self.net.streams_of(Host::Member(member)) {
            self.owners.retain(|(other, _), owner| *other != stream || !owner.is_of(member));
        }
        self.net.drop_host(now_us, Host::Member(member));
        self.look_later();
    }

    fn end_disk(&mut self, member: usize, end: End) {
        if let Some(machine) = self.members.get(member - 1) {
            machine.disk.restart(end);
            self.faults.disk_restarted(member);
        }
    }

    fn restart_after(&mut self, member: usize, us: u64) {
        self.queue.after(us, Action::Mend(super::faults::Mend::Restart(member)));
    }

    /// Something may have arrived at an end of a stream.
    fn look(&mut self, arrival: Arrival) -> Result<(), Violation> {
        let Some(owner) = self.owners.get(&(arrival.stream, arrival.at)).copied() else {
            return Ok(());
        };
        match self.net.look(self.now_us(), arrival) {
            Arrived::Nothing => Ok(()),
            Arrived::Bytes(bytes) => self.arrived(owner, &bytes),
            Arrived::End => self.ended(arrival, owner),
        }
    }

    /// Bytes have reached a socket. Whoever is awake reads them at once.
    fn arrived(&mut self, owner: Owner, bytes: &[u8]) -> Result<(), Violation> {
        let member = match owner {
            Owner::Client(client) => return self.client_reads(client, bytes),
            Owner::Outside(stream) => {
                self.outside_reads(stream, bytes);
                return Ok(());
            }
            Owner::Conn { member, .. }
            | Owner::Learner { member, .. }
            | Owner::Leader { member, .. }
            | Owner::Election { member, .. } => member,
        };
        let now_us = self.now_us();
        let Some(machine) = self.members.get_mut(member - 1) else { return Ok(()) };
        let now_ms = machine.clock.now(now_us).mono_ms;
        let paused = machine.paused;
        let Some(process) = &mut machine.process else { return Ok(()) };
        match owner {
            Owner::Conn { conn, .. } => {
                if let Some(session) = process.links().take_from_client(conn, bytes) {
                    self.checkers.touched(member - 1, session, now_ms);
                }
            }
            Owner::Learner { link, .. } => {
                for packet in process.links().take_from_learner(link, bytes) {
                    self.checkers.heard_packet(member - 1, &packet, now_ms);
                    process.happened(Event::Peer(Input::FromLearner(link, packet)));
                }
            }
            Owner::Leader { link, .. } => {
                for event in process.links().take_from_leader(link, bytes) {
                    if let Event::Peer(Input::FromLeader(_, Packet::LeaderInfo { epoch, .. })) =
                        &event
                    {
                        self.checkers.was_proposed(member - 1, *epoch);
                    }
                    process.happened(event);
                }
            }
            Owner::Election { peer, .. } => process.voted(peer, bytes),
            Owner::Client(_) | Owner::Outside(_) => unreachable!("clients have read theirs"),
        }
        if paused { Ok(()) } else { self.with(member, None, Process::run) }
    }

    /// A stream has ended.
    fn ended(&mut self, arrival: Arrival, owner: Owner) -> Result<(), Violation> {
        let now_us = self.now_us();
        self.owners.remove(&(arrival.stream, arrival.at));
        self.net.close(now_us, arrival.stream, arrival.at);
        let (member, event) = match owner {
            Owner::Client(client) => {
                if self.clients.get(client).and_then(Client::stream) == Some(arrival.stream) {
                    self.client_gone(client);
                }
                return Ok(());
            }
            Owner::Outside(stream) => {
                self.outside.ended(stream);
                return Ok(());
            }
            Owner::Election { member, peer } => {
                if let Some(process) = self.process(member) {
                    process.election().gone(peer, arrival.stream);
                }
                return Ok(());
            }
            Owner::Conn { member, conn } => {
                if let Some(process) = self.process(member) {
                    process.links().client_gone(conn);
                }
                (member, None)
            }
            Owner::Learner { member, link } => {
                (member, self.process(member).and_then(|it| it.links().learner_gone(link)))
            }
            Owner::Leader { member, link } => {
                (member, self.process(member).and_then(|it| it.links().leader_gone(link)))
            }
        };
        let paused = self.members.get(member - 1).is_some_and(|member| member.paused);
        if let (Some(process), Some(event)) = (self.process(member), event) {
            process.happened(event);
        }
        if paused { Ok(()) } else { self.with(member, None, Process::run) }
    }

    pub(super) fn process(&mut self, member: usize) -> Option<&mut Process> {
        self.members.get_mut(member - 1)?.process.as_mut()
    }

    /// A learner calls its leader.
    fn dial(
        &mut self,
        member: usize,
        life: u64,
        (link, leader): (LeaderLink, usize),
    ) -> Result<(), Violation> {
        if self.process(member).is_none_or(|process| process.life != life) {
            return Ok(());
        }
        let (from, to) = (Host::Member(member), Host::Member(leader));
        let reaches = self.net.reaches(from, to);
        let listens = self.process(leader).is_some_and(|process| process.links().is_listening());
        if !reaches || !listens {
            // A call into nowhere is given up after a while, one that is refused at once.
            let after_us = if reaches { 200 } else { 1000 * self.plan.tick_ms };
            self.queue.after(after_us, Action::DialFailed { member, life, link });
            return Ok(());
        }
        let stream = self.net.connect(from, to);
        let Some(process) = self.process(leader) else { return Ok(()) };
        let learner = process.links().accept_learner(stream);
        process.happened(Event::Peer(Input::LearnerConnected(learner)));
        self.owners
            .insert((stream, Side::Accepted), Owner::Learner { member: leader, link: learner });
        self.owners.insert((stream, Side::Dialled), Owner::Leader { member, link });
        if let Some(process) = self.process(member) {
            process.links().dialled_leader(link, stream);
        }
        if !self.members.get(leader - 1).is_some_and(|member| member.paused) {
            self.with(leader, None, Process::run)?;
        }
        self.happens(member, Some(life), Event::Peer(Input::LeaderConnected(link)))
    }

    /// A member calls another one's election port. The larger id dials: a call of the smaller one
    /// only asks to be called.
    fn dial_election(&mut self, member: usize, life: u64, to: usize) -> Result<(), Violation> {
        let Some(process) = self.process(member).filter(|process| process.life == life) else {
            return Ok(());
        };
        process.election().dialled(to);
        if !self.net.reaches(Host::Member(member), Host::Member(to)) || self.process(to).is_none() {
            return Ok(());
        }
        let (larger, smaller) = (member.max(to), member.min(to));
        let stream = self.net.connect(Host::Member(larger), Host::Member(smaller));
        for (end, peer, side) in
            [(larger, smaller, Side::Dialled), (smaller, larger, Side::Accepted)]
        {
            self.owners.insert((stream, side), Owner::Election { member: end, peer });
            let mut former = None;
            self.with(end, None, |process, around| {
                former = process.election().connected(peer, (stream, side), around);
                Ok(())
            })?;
            if let Some((former, side)) = former {
                self.owners.remove(&(former, side));
                self.net.close(self.queue.now_us(), former, side);
            }
        }
        Ok(())
    }

    /// A client calls a member. Gives whether anybody answers.
    pub(super) fn dial_client(&mut self, client: usize, member: usize) -> bool {
        let (from, to) = (Host::Client(client), Host::Member(member));
        if !self.net.reaches(from, to) || self.process(member).is_none() {
            return false;
        }
        let stream = self.join_client(client, member);
        self.owners.insert((stream, Side::Dialled), Owner::Client(client));
        let now_us = self.now_us();
        if let Some(client) = self.clients.get_mut(client) {
            client.connect(stream, member, now_us);
        }
        true
    }

    /// A connection of a client with a member that answers.
    pub(super) fn join_client(&mut self, client: usize, member: usize) -> StreamId {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        let stream = self.net.connect(Host::Client(client), Host::Member(member));
        self.owners.insert((stream, Side::Accepted), Owner::Conn { member, conn });
        if let Some(process) = self.process(member) {
            process.links().accept_client(conn, stream);
        }
        self.tell(|| format!("client {client} connects to {member} as c{}", conn.0));
        stream
    }

    /// A client has lost its connection.
    pub(super) fn client_gone(&mut self, client: usize) {
        let now_us = self.now_us();
        if let Some(it) = self.clients.get_mut(client)
            && it.link != Link::Away
        {
            it.gone();
            self.tale.show(|_| format!("c{} has lost its connection", client + 1));
            self.tale.tell(now_us, || format!("client {client} has lost its connection"));
        }
        self.checkers.parted(client);
        self.client_turn_after(client, 1000);
    }
}

fn machine_off(member: Option<&Member>) -> bool {
    member.is_some_and(|member| member.disk.is_off())
}

impl Action {
    /// Whose process must be awake for it.
    fn member_of(&self) -> Option<usize> {
        match self {
            Action::Wake { member, .. }
            | Action::LogDone { member, .. }
            | Action::LateReport { member, .. }
            | Action::SnapshotTurn { member, .. }
            | Action::ReaderTurn { member, .. }
            | Action::SliceTaken { member, .. }
            | Action::Dial { member, .. }
            | Action::DialFailed { member, .. }
            | Action::DialElection { member, .. } => Some(*member),
            Action::Look(_) | Action::Client { .. } | Action::Strike { .. } | Action::Mend(_) => {
                None
            }
        }
    }
}

impl Owner {
    fn is_of(&self, number: usize) -> bool {
        match self {
            Owner::Client(_) | Owner::Outside(_) => false,
            Owner::Conn { member, .. }
            | Owner::Learner { member, .. }
            | Owner::Leader { member, .. }
            | Owner::Election { member, .. } => *member == number,
        }
    }
}
