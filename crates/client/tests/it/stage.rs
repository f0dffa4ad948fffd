//! The stage of a run: simulated members, simulated client processes, what goes wrong with both,
//! and one loop that steps them all from one seed.
//!
//! What it keeps true:
//! - A run is a function of its seed. Programs must not be the exception: they take chance from
//!   [`Here::seed`], and a `tokio::select!` in them is `biased`.
//! - What a process says at some time reaches the network at that time or a little later, what
//!   comes for it is heard in the millisecond of its coming or in the next one.
//! - No clock is right: those of members and of processes run at paces of their own. What is noted
//!   is noted by the stage's.
//! - A promise that a member breaks ends the run, as does a panic of a program.

use crate::desk::{Socket, Wish};
use crate::faults::{Fault, Rate};
use crate::pace::{DRIFTING, Paces};
use crate::process::{First, Here, News, Noted, Notes, Process, Program, Start};
use crate::seeds;
use bellwether_sim::Violation;
use bellwether_sim::disk::Chance;
use bellwether_sim::ensemble::{NoConnection, Outside, Setup, Stream};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use tokio::sync::watch;

/// How far the clock of a process that hears nothing may fall behind.
const IDLE_MS: u64 = 10;
/// When a call that nobody answered is tried again, as TCP does.
const CALL_AGAIN_MS: u64 = 1000;
const VOTERS: usize = 3;

fn setup(faults: &str) -> Setup<'_> {
    Setup { voters: VOTERS, observers: 0, tick_ms: 500, faults }
}

/// What programs note.
pub(crate) trait Note: Clone + fmt::Debug + Send + 'static {}

impl<T: Clone + fmt::Debug + Send + 'static> Note for T {}

/// A place for processes, one after the other.
struct Seat<T: Note> {
    program: Program<T>,
    /// `None` while it is down.
    process: Option<Process>,
    life: u64,
    /// Its machine, another one in each life.
    machine: usize,
    streams: BTreeMap<Socket, Stream>,
    /// Calls that are not answered yet: when, which, of whom.
    calls: Vec<(u64, Socket, usize)>,
}

/// Something that is going to happen to processes.
#[derive(Clone, Copy, Debug)]
enum Planned {
    Strike(usize),
    Start(usize),
    GoOn { seat: usize, life: u64 },
    Mend { machine: usize },
}

/// See the module's own words.
pub(crate) struct Stage<T: Note> {
    outside: Outside,
    chance: Chance,
    /// For the clocks of processes alone, so that they change nothing else.
    clocks: Chance,
    paces: Paces,
    seats: Vec<Seat<T>>,
    /// Which seat and socket a stream belongs to.
    owners: BTreeMap<Stream, (usize, Socket)>,
    notes: Notes<T>,
    servers: Arc<str>,
    machines: usize,
    rates: Vec<Rate>,
    /// Invariant: sorted by time, and by the order of planning within it.
    planned: VecDeque<(u64, Planned)>,
    over: watch::Sender<bool>,
}

impl<T: Note> Stage<T> {
    /// An ensemble of three members whose faults are those lines; see `crates/sim/faultloads`. With
    /// every other seed there is a fourth one, an observer, which clients find like the others.
    pub(crate) fn new(seed: u64, faults: &str) -> Stage<T> {
        let observers = usize::from(seed % 2 == 1);
        Stage::with(seed, Setup { observers, ..setup(faults) }, 1)
    }

    /// Two observers beside the three members: clients know of no others.
    pub(crate) fn of_observers(seed: u64, faults: &str) -> Stage<T> {
        Stage::with(seed, Setup { observers: 2, ..setup(faults) }, VOTERS + 1)
    }

    /// Clients know the members from this one on.
    fn with(seed: u64, setup: Setup<'_>, first: usize) -> Stage<T> {
        let outside = Outside::new(seed, setup, None).expect("the faults can be read");
        let (seats, owners) = (Vec::new(), BTreeMap::new());
        let servers: Vec<String> = (first..=outside.members()).map(|it| format!("m{it}")).collect();
        let mut stage = Stage {
            outside,
            chance: Chance::new(seed ^ 0x0073_7461_6765),
            clocks: Chance::new(seed ^ 0x636c_6f63_6b73),
            paces: DRIFTING,
            seats,
            owners,
            notes: Notes::default(),
            servers: servers.join(",").into(),
            machines: 0,
            rates: Vec::new(),
            planned: VecDeque::new(),
            over: watch::Sender::new(false),
        };
        if seeds::is_traced() {
            stage.tell_everything();
        }
        stage
    }

    /// How fast the clocks of machines are whose processes are started from here on.
    pub(crate) fn set_paces(&mut self, paces: Paces) {
        self.paces = paces;
    }

    /// What happened is told, line by line.
    pub(crate) fn tell_everything(&mut self) {
        self.outside.tell_everything();
    }

    /// What happened, with what was noted in its place.
    pub(crate) fn tale(&self) -> Vec<String> {
        let mut lines = self.outside.tale().to_vec();
        lines.extend(self.notes().iter().map(|noted| {
            let (s, ms) = (noted.at_ms / 1000, noted.at_ms % 1000);
            let Noted { process, life, what, .. } = noted;
            format!("{s:3}.{ms:03}000 process {process}, life {life}: {what:?}")
        }));
        // Each line begins with its time, and all times are of one length.
        lines.sort_by_key(|line| line.get(..10).unwrap_or_default().to_string());
        lines
    }

    /// Starts a process; gives its number. It runs the program again whenever it is started again.
    pub(crate) fn process<F>(
        &mut self,
        program: impl Fn(Here<T>) -> F + Send + Sync + 'static,
    ) -> usize
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let program: Program<T> = Arc::new(move |here| Box::pin(program(here)));
        let (streams, calls) = (BTreeMap::new(), Vec::new());
        let seat = Seat { program, process: None, life: 0, machine: 0, streams, calls };
        self.seats.push(seat);
        self.start(self.seats.len() - 1);
        self.seats.len() - 1
    }

    /// What goes wrong with processes from here on, at random moments.
    pub(crate) fn strike(&mut self, rates: &[Rate]) {
        self.rates = rates.to_vec();
        for row in 0..rates.len() {
            self.strike_later(row);
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.outside.now_ms()
    }

    /// The members and what they have committed.
    pub(crate) fn truth(&self) -> &Outside {
        &self.outside
    }

    /// What processes noted, in the order of time.
    pub(crate) fn notes(&self) -> Vec<Noted<T>> {
        // Whoever looked at them may have failed at what it saw.
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.sort_by_key(|noted| noted.at_ms);
        notes
    }

    /// Looks at what was noted so far, in the order of noting.
    pub(crate) fn with_notes(&self, look: impl FnOnce(&[Noted<T>])) {
        look(&self.notes.lock().unwrap());
    }

    /// Everything goes on for so long.
    pub(crate) fn run_for(&mut self, ms: u64) {
        let until_ms = self.now_ms() + ms;
        while self.now_ms() < until_ms {
            self.step(until_ms);
        }
    }

    /// Everything goes on until something is so, which must be within so long.
    #[track_caller]
    pub(crate) fn run_until(&mut self, what: &str, ms_max: u64, so: impl Fn(&Stage<T>) -> bool) {
        let until_ms = self.now_ms() + ms_max;
        while !so(self) {
            let states = self.outside.states();
            assert!(self.now_ms() < until_ms, "waited in vain: {what}; members: {states:?}");
            self.step(until_ms);
        }
    }

    /// Nothing goes wrong any more: whoever is down or stopped comes back, and the members agree.
    pub(crate) fn heal(&mut self) {
        self.tell("--- everything heals");
        self.rates.clear();
        self.planned.clear();
        self.outside.heal().unwrap_or_else(|violation| self.broken(&violation));
        for seat in 0..self.seats.len() {
            self.go_on(seat);
            self.start(seat);
        }
        let ms = self.outside.recovery_ms();
        self.run_until("the members are of one mind", ms, |stage| stage.outside.is_settled());
    }

    /// The process is no more, and none is started in its place.
    pub(crate) fn end(&mut self, seat: usize) {
        self.kill(seat);
        let machine = self.seats[seat].machine;
        self.outside.kill(machine);
    }

    /// The processes are told to come to an end, and do.
    pub(crate) fn finish(&mut self) {
        self.over.send_replace(true);
        let bound_ms = self.outside.recovery_ms() + self.now_ms();
        while self.seats.iter_mut().any(|seat| !seat.has_ended()) {
            let running: Vec<usize> =
                (0..self.seats.len()).filter(|seat| !self.seats[*seat].has_ended()).collect();
            assert!(self.now_ms() < bound_ms, "processes {running:?} do not come to an end");
            self.step(self.now_ms() + IDLE_MS);
        }
        let ms = self.outside.recovery_ms();
        self.run_until("the members are of one mind", ms, |stage| stage.outside.is_settled());
        self.outside.compare().unwrap_or_else(|violation| self.broken(&violation));
    }

    fn broken(&self, violation: &Violation) -> ! {
        panic!("a member broke its promise at {} ms: {violation}", self.now_ms())
    }

    fn tell(&mut self, line: &str) {
        self.outside.tell(|| line.to_string());
    }

    /// To the next moment at which anything can happen.
    fn step(&mut self, until_ms: u64) {
        let now_ms = self.now_ms();
        let calls = self.seats.iter().flat_map(|seat| &seat.calls).map(|(at_ms, ..)| *at_ms);
        let planned = self.planned.front().map(|(at_ms, _)| *at_ms);
        let waits = self.seats.iter().filter_map(|seat| seat.process.as_ref());
        let waits = waits.filter(|process| process.has_news()).map(|_| now_ms + 1);
        let stop_ms =
            calls.chain(planned).chain(waits).fold(until_ms.min(now_ms + IDLE_MS), u64::min);
        let reached = self.outside.run_until(stop_ms.max(now_ms));
        let now_ms = reached.unwrap_or_else(|violation| self.broken(&violation));
        self.take_news();
        self.call(now_ms);
        while let Some((_, planned)) = self.planned.pop_front_if(|(at_ms, _)| *at_ms <= now_ms) {
            self.happens(planned);
        }
        for seat in 0..self.seats.len() {
            self.run_process(seat, now_ms);
        }
    }

    fn run_process(&mut self, seat: usize, now_ms: u64) {
        let Some(process) = &mut self.seats[seat].process else { return };
        if process.is_due(now_ms, IDLE_MS) {
            process.run(now_ms);
            process.has_ended();
            self.take_wishes(seat);
        }
    }

    /// What came on streams goes to the processes that have them.
    fn take_news(&mut self) {
        for stream in self.outside.take_news() {
            let received = self.outside.receive(stream);
            let Some((seat, socket)) = self.owners.get(&stream).copied() else { continue };
            let Some(process) = &mut self.seats[seat].process else { continue };
            if !received.bytes.is_empty() {
                process.tell(News::Bytes(socket, received.bytes));
            }
            if received.ended {
                process.tell(News::Ended(socket));
            }
        }
    }

    /// What a process wants of the network is done.
    fn take_wishes(&mut self, seat: usize) {
        let now_ms = self.now_ms();
        let Seat { process: Some(process), streams, calls, .. } = &mut self.seats[seat] else {
            return;
        };
        for wish in process.take_wishes() {
            match wish {
                // It takes a moment until the answer is back.
                Wish::Call { socket, member } => calls.push((now_ms + 1, socket, member)),
                Wish::Send { socket, bytes } => {
                    if let Some(stream) = streams.get(&socket) {
                        self.outside.send(*stream, bytes);
                    }
                }
                Wish::Close(socket) => {
                    calls.retain(|(_, other, _)| *other != socket);
                    if let Some(stream) = streams.remove(&socket) {
                        self.owners.remove(&stream);
                        self.outside.close(stream);
                    }
                }
            }
        }
    }

    /// Calls whose time has come are answered.
    fn call(&mut self, now_ms: u64) {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let Some(process) = &mut seat.process else { continue };
            for (at_ms, socket, member) in std::mem::take(&mut seat.calls) {
                if at_ms > now_ms {
                    seat.calls.push((at_ms, socket, member));
                    continue;
                }
                if !process.has(socket) {
                    continue;
                }
                match self.outside.connect(seat.machine, member) {
                    Ok(stream) => {
                        seat.streams.insert(socket, stream);
                        self.owners.insert(stream, (number, socket));
                        process.tell(News::Answered(socket, true));
                    }
                    Err(NoConnection::Refused) => process.tell(News::Answered(socket, false)),
                    Err(NoConnection::NoAnswer) => {
                        seat.calls.push((now_ms + CALL_AGAIN_MS, socket, member));
                    }
                }
            }
        }
    }
}

/// What goes wrong with processes.
impl<T: Note> Stage<T> {
    fn plan(&mut self, after_ms: u64, planned: Planned) {
        let at_ms = self.now_ms() + after_ms;
        let place = self.planned.partition_point(|(other_ms, _)| *other_ms <= at_ms);
        self.planned.insert(place, (at_ms, planned));
    }

    fn strike_later(&mut self, row: usize) {
        if let Some(rate) = self.rates.get(row) {
            let after_ms = rate.every.draw(&mut self.chance);
            self.plan(after_ms, Planned::Strike(row));
        }
    }

    fn happens(&mut self, planned: Planned) {
        match planned {
            Planned::Strike(row) => {
                let Some(Rate { fault, lasts, .. }) = self.rates.get(row).copied() else { return };
                self.strike_later(row);
                let ms = lasts.draw(&mut self.chance);
                let seat = self.chance.index(self.seats.len());
                self.hit(seat, fault, ms);
            }
            Planned::Start(seat) => self.start(seat),
            Planned::GoOn { seat, life } if self.seats[seat].life == life => self.go_on(seat),
            Planned::GoOn { .. } => {} // It was killed meanwhile.
            Planned::Mend { machine } => {
                self.tell(&format!("--- machine {machine} is heard again"));
                self.outside.mend(machine);
            }
        }
    }

    /// Something goes wrong with a process for so long.
    pub(crate) fn hit(&mut self, seat: usize, fault: Fault, ms: u64) {
        if self.seats[seat].process.is_none() {
            return;
        }
        self.tell(&format!("--- {fault:?} of process {seat} for {ms} ms"));
        let Seat { machine, life, .. } = self.seats[seat];
        match fault {
            Fault::Stop => {
                self.stop(seat);
                self.plan(ms, Planned::GoOn { seat, life });
            }
            Fault::Kill => {
                self.kill(seat);
                self.outside.kill(machine);
                self.plan(ms, Planned::Start(seat));
            }
            Fault::Vanish => {
                self.kill(seat);
                self.outside.vanish(machine);
                self.plan(ms, Planned::Start(seat));
            }
            Fault::CutOff => {
                self.outside.cut_off(machine);
                self.plan(ms, Planned::Mend { machine });
            }
            Fault::Break => self.outside.break_connections(machine),
        }
    }

    fn stop(&mut self, seat: usize) {
        let now_ms = self.now_ms();
        if let Some(process) = &mut self.seats[seat].process
            && !process.is_stopped()
        {
            process.stop(now_ms);
            self.take_wishes(seat);
        }
    }

    fn go_on(&mut self, seat: usize) {
        let now_ms = self.now_ms();
        let first = if self.chance.one_in(2) { First::Timers } else { First::Sockets };
        if let Some(process) = &mut self.seats[seat].process
            && process.is_stopped()
        {
            process.go_on(now_ms, first);
            self.take_wishes(seat);
            self.tell(&format!("--- process {seat} goes on, {first:?} first"));
        }
    }

    /// What it has written stays written, what it would have said is not said.
    fn kill(&mut self, seat: usize) {
        self.stop(seat);
        let seat = &mut self.seats[seat];
        seat.process = None;
        seat.calls.clear();
        for stream in std::mem::take(&mut seat.streams).into_values() {
            self.owners.remove(&stream);
        }
    }

    fn start(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        if seat.process.is_some() {
            return;
        }
        self.machines += 1;
        seat.machine = self.machines;
        seat.life += 1;
        let start = Start {
            process: number,
            life: seat.life,
            servers: self.servers.clone(),
            seed: self.chance.any(),
            pace: self.paces.draw(&mut self.clocks),
            notes: self.notes.clone(),
            over: self.over.subscribe(),
            program: &seat.program,
        };
        let life = seat.life;
        seat.process = Some(Process::start(start, self.outside.now_ms()));
        self.tell(&format!("--- process {number} starts its life {life}"));
    }
}

impl<T: Note> Drop for Stage<T> {
    fn drop(&mut self) {
        if std::thread::panicking() && seeds::is_traced() {
            self.tale().iter().for_each(|line| println!("{line}"));
        }
    }
}

impl<T: Note> Seat<T> {
    fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(Process::has_ended)
    }
}
