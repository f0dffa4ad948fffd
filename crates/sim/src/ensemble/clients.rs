//! The clients' turns: where they connect, what they ask for, what they make of what they are told.

use super::client::{Asked, Link, Told};
use super::network::Side;
use super::workload;
use super::world::{Action, Mode, World};
use crate::checkers::Violation;
use crate::trace::{self, Names};
use bellwether_wire::client::{Reply, Request};
use bellwether_wire::{OpCode, SessionId};

/// How long a client waits for the answer to its connect request.
const CONNECT_US: u64 = 2_000_000;

/// What the world knows of a client beyond what the client knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Habits {
    /// When its next turn is.
    turn_us: u64,
    /// It says nothing before this.
    silent_until_us: u64,
    in_flight: usize,
    /// How many of the requests of [`Mode::Probe`] are still to be answered.
    pub(super) probes: usize,
}

impl Habits {
    pub(super) fn new(in_flight: u64) -> Habits {
        Habits { in_flight: usize::try_from(in_flight).unwrap_or(1), ..Habits::default() }
    }
}

/// What a client is told, in a scenario. Its name is one more than its place.
fn shown(client: usize, told: &Told, names: &mut Names) -> String {
    let name = client + 1;
    match told {
        Told::Connected(response) => {
            format!("c{name} has {}", names.session(response.session))
        }
        Told::Expired => format!("c{name} is told that its session has expired"),
        Told::Event(event) => format!("c{name} {}", trace::event(event)),
        Told::Reply(asked, reply) => {
            format!("c{name} {}: {}", asked.request.op(), names.reply(reply))
        }
    }
}

impl World {
    /// The client has a turn not later than this.
    pub(super) fn client_turn_after(&mut self, client: usize, us: u64) {
        let at_us = self.now_us() + us;
        let Some(habits) = self.habits.get_mut(client) else { return };
        if habits.turn_us > self.queue.now_us() && habits.turn_us <= at_us {
            return;
        }
        habits.turn_us = at_us;
        self.queue.at(at_us, Action::Client { client, at_us });
    }

    pub(super) fn client_turn(&mut self, client: usize, at_us: u64) -> Result<(), Violation> {
        if self.habits.get(client).is_none_or(|habits| habits.turn_us != at_us) {
            return Ok(());
        }
        if let Some(habits) = self.habits.get_mut(client) {
            habits.turn_us = 0;
            if habits.silent_until_us > at_us {
                let us = habits.silent_until_us - at_us;
                self.client_turn_after(client, us);
                return Ok(());
            }
        }
        if self.mode == Mode::Told {
            self.keep_alive(client);
            self.flush_client(client);
            let ms = self.clients.get(client).map_or(0, |it| it.timeout_ms) / 6;
            self.client_turn_after(client, 1000 * u64::try_from(ms).unwrap_or(0).max(1));
            return Ok(());
        }
        match self.clients.get(client).map(|client| client.link) {
            Some(Link::Away) => self.connect(client),
            Some(Link::Connecting { .. }) => self.wait_for_session(client),
            Some(Link::Connected { .. }) => self.work(client),
            None => {}
        }
        Ok(())
    }

    fn connect(&mut self, client: usize) {
        if self.mode == Mode::Silence {
            return;
        }
        let member = 1 + self.chance.index(self.members.len());
        if self.dial_client(client, member) {
            self.flush_client(client);
            self.client_turn_after(client, CONNECT_US);
        } else {
            let us = 5000 + self.chance.below(300_000);
            self.client_turn_after(client, us);
        }
    }

    fn wait_for_session(&mut self, client: usize) {
        let now_us = self.now_us();
        let Some(it) = self.clients.get(client) else { return };
        let waited_us = now_us - it.last_sent_us;
        if waited_us >= CONNECT_US {
            self.leave(client);
        } else {
            self.client_turn_after(client, CONNECT_US - waited_us);
        }
    }

    /// The client closes its connection and goes elsewhere.
    pub(super) fn leave(&mut self, client: usize) {
        let now_us = self.now_us();
        if let Some(stream) = self.clients.get(client).and_then(super::client::Client::stream) {
            self.owners.remove(&(stream, Side::Dialled));
            if self.chance.one_in(2) {
                self.net.close(now_us, stream, Side::Dialled);
            } else {
                self.net.cut(now_us, stream);
                self.net.close(now_us, stream, Side::Dialled);
            }
        }
        self.client_gone(client);
    }

    fn work(&mut self, client: usize) {
        let now_us = self.now_us();
        let Some(it) = self.clients.get(client) else { return };
        let timeout_us = u64::try_from(it.timeout_ms).unwrap_or(0) * 1000;
        if !it.asked.is_empty() && now_us - it.last_heard_us > timeout_us * 2 / 3 {
            self.tell(|| format!("client {client} hears nothing"));
            self.leave(client);
            return;
        }
        match self.mode {
            Mode::Silence => return self.leave(client),
            Mode::Work => {
                if self.wanders(client, timeout_us) {
                    return;
                }
                self.ask_more(client);
            }
            Mode::Probe | Mode::Rest | Mode::Told => {}
        }
        self.keep_alive(client);
        self.flush_client(client);
        let think_us = match self.mode {
            Mode::Work => self.plan.workload.think_us.draw(&mut self.chance).max(1),
            Mode::Probe | Mode::Rest | Mode::Silence | Mode::Told => timeout_us / 6,
        };
        // Who waits for replies is woken by them.
        let waits = self.clients.get(client).map_or(0, |it| it.asked.len());
        let in_flight = self.habits.get(client).map_or(0, |habits| habits.in_flight);
        let us = if waits >= in_flight { timeout_us / 6 } else { think_us.min(timeout_us / 6) };
        self.client_turn_after(client, us);
    }

    /// Now and then a client goes to another member, or says nothing for long.
    fn wanders(&mut self, client: usize, timeout_us: u64) -> bool {
        let strikes = |chance: &mut crate::disk::Chance, n: u64| n > 0 && chance.one_in(n);
        if strikes(&mut self.chance, self.plan.workload.vanishes_one_in) {
            let us = timeout_us / 2 + self.chance.below(timeout_us * 3);
            self.tell(|| format!("client {client} says nothing for {} ms", us / 1000));
            let until_us = self.now_us() + us;
            if let Some(habits) = self.habits.get_mut(client) {
                habits.silent_until_us = until_us;
            }
            self.checkers.parted(client);
            if self.chance.one_in(2) {
                self.leave(client);
            }
            self.client_turn_after(client, us);
            return true;
        }
        if strikes(&mut self.chance, self.plan.workload.moves_one_in) {
            self.tell(|| format!("client {client} moves"));
            self.leave(client);
            return true;
        }
        false
    }

    fn ask_more(&mut self, client: usize) {
        let in_flight = self.habits.get(client).map_or(0, |habits| habits.in_flight);
        let (told, now_us) = (self.checkers.told(), self.now_us());
        let Some(it) = self.clients.get_mut(client) else { return };
        while it.asked.len() < in_flight {
            for request in self.plan.workload.requests(&mut self.chance) {
                self.tale.tell(now_us, || format!("client {client} asks {request:?}"));
                let closes = request.op() == OpCode::CloseSession;
                it.ask(request, told, now_us);
                if closes {
                    return;
                }
            }
        }
    }

    fn keep_alive(&mut self, client: usize) {
        let (told, now_us) = (self.checkers.told(), self.now_us());
        let Some(it) = self.clients.get_mut(client) else { return };
        let Link::Connected { .. } = it.link else { return };
        let third_us = u64::try_from(it.timeout_ms).unwrap_or(0) * 1000 / 3;
        if now_us - it.last_sent_us >= third_us {
            it.ask(Request::Ping, told, now_us);
        }
    }

    pub(super) fn flush_client(&mut self, client: usize) {
        let now_us = self.now_us();
        let Some(it) = self.clients.get_mut(client) else { return };
        let Some(stream) = it.stream() else { return };
        if !it.unsent.is_empty() {
            let bytes = std::mem::take(&mut it.unsent);
            self.net.send(now_us, stream, Side::Dialled, bytes);
        }
    }

    /// Bytes reached a client.
    pub(super) fn client_reads(&mut self, client: usize, bytes: &[u8]) -> Result<(), Violation> {
        let now_us = self.now_us();
        let Some(it) = self.clients.get_mut(client) else { return Ok(()) };
        it.receive(bytes);
        it.last_heard_us = now_us;
        loop {
            let Some(it) = self.clients.get_mut(client) else { return Ok(()) };
            let (session, seen) = (it.session, it.seen);
            let Some(told) = it.next_told()? else { break };
            self.tale.show(|names| shown(client, &told, names));
            match told {
                Told::Connected(response) => self.greeted(client, &response),
                Told::Expired => self.expired(client, session)?,
                Told::Event(event) => self.checkers.event(client, &event)?,
                Told::Reply(asked, reply) => {
                    self.checkers.replied((client, session, seen), &asked, &reply)?;
                    self.replied(client, &asked, &reply);
                }
            }
        }
        if self.mode == Mode::Work {
            let silent = self.habits.get(client).is_some_and(|it| it.silent_until_us > now_us);
            if !silent {
                let us = self.plan.workload.think_us.draw(&mut self.chance).max(1);
                self.client_turn_after(client, us);
            }
        }
        Ok(())
    }

    fn greeted(&mut self, client: usize, response: &bellwether_wire::client::ConnectResponse) {
        let (told, now_us) = (self.checkers.told(), self.now_us());
        let watched = self.checkers.watched(client);
        let Some(it) = self.clients.get_mut(client) else { return };
        let Link::Connecting { stream, member } = it.link else { return };
        it.link = Link::Connected { stream, member };
        let came_back = it.session == response.session;
        it.session = response.session;
        self.checkers.connected((client, response.session, member), it.seen, now_us);
        if came_back && !watched.is_empty() && self.mode == Mode::Work {
            let request = workload::set_watches(&mut self.chance, &watched, it.seen);
            it.ask(request, told, now_us);
        }
        if self.mode == Mode::Probe {
            self.probe(client);
        }
        self.flush_client(client);
        self.client_turn_after(client, 1);
    }

    fn expired(&mut self, client: usize, session: SessionId) -> Result<(), Violation> {
        self.tell(|| format!("client {client} is told that its session has expired"));
        let result = self.checkers.refused(session);
        if let Some(it) = self.clients.get_mut(client) {
            it.begin_anew();
        }
        self.checkers.forget_watches(client);
        self.leave(client);
        result
    }

    fn replied(&mut self, client: usize, asked: &Asked, reply: &Reply) {
        let op = asked.request.op();
        if op != OpCode::Ping {
            self.operations += 1;
        }
        if op == OpCode::CloseSession && reply.result.is_ok() {
            if let Some(it) = self.clients.get_mut(client) {
                it.begin_anew();
            }
            self.checkers.forget_watches(client);
            self.leave(client);
        }
        let Some(habits) = self.habits.get_mut(client) else { return };
        if self.mode == Mode::Probe && [OpCode::SetData, OpCode::Sync].contains(&op) {
            habits.probes = habits.probes.saturating_sub(1);
        }
    }

    /// Each client asks for a write and a sync; what it asked on a connection that is gone is asked
    /// again.
    pub(super) fn probe(&mut self, client: usize) {
        let (told, now_us) = (self.checkers.told(), self.now_us());
        let Some(habits) = self.habits.get_mut(client) else { return };
        if habits.probes == 0 {
            return;
        }
        habits.probes = 2;
        habits.silent_until_us = 0;
        let Some(it) = self.clients.get_mut(client) else { return };
        let Link::Connected { .. } = it.link else { return };
        let write = Request::SetData { path: "/".into(), data: None, version: -1 };
        it.ask(write, told, now_us);
        it.ask(Request::Sync { path: "/".into() }, told, now_us);
        self.flush_client(client);
    }
}
