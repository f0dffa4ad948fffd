//! The loop of a run: pick who gets the next turn, and let it have it.
//!
//! There is one thread and one source of chance, so a seed is a run, to the byte. The network keeps
//! order within a connection and nothing else; the disk, the clock and the power do what
//! [`crate::faults`] has drawn.

use crate::broken::Break;
use crate::checkers::{Checkers, Violation, violation};
use crate::client::{Client, State};
use crate::disk::{Chance, End, Faults, SimDisk};
use crate::faults::{FaultPlan, strikes};
use crate::shell::{Around, Made, Sent, Shell, Stop};
use crate::story::Story;
use crate::workload;
use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_node::{ConnId, ReaperSettings, Settings, ThrottleSettings};
use bellwether_store::{Compression, StoreOptions};
use bellwether_tree::{Now, TreeOptions};
use bellwether_wire::OpCode;
use bellwether_wire::client::Request;
use std::collections::{BTreeMap, VecDeque};

const WALL_START_MS: i64 = 1_600_000_000_000;
/// How many turns a run has before it is brought to an end.
const TURNS: u64 = 800;
/// How many requests a client has in flight at most.
const IN_FLIGHT_MAX: usize = 8;
/// Longer than any session can live without a sign of life, rounding and stalls included.
const SILENCE_MS: u64 = 60_000;

/// What became of a run.
#[derive(Debug)]
pub struct Run {
    /// What was broken, if anything was.
    pub violation: Option<Violation>,
    /// The story, if it was asked for.
    pub story: Vec<String>,
    /// How many transactions the log has in the end.
    pub transactions: usize,
    /// How many times the server was started.
    pub starts: u64,
}

/// Whether a run tells its story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nothing but the verdict.
    Verdict,
    /// Every turn and every effect.
    Everything,
}

/// Runs a seed.
pub fn run(seed: u64, broken: Option<Break>, telling: Telling) -> Run {
    let mut world = World::new(seed, broken, telling);
    let violation = world.live().err();
    Run {
        violation,
        transactions: world.checkers.transactions(),
        starts: world.starts,
        story: world.story.into_lines(),
    }
}

struct World {
    chance: Chance,
    now: Now,
    disk: SimDisk,
    options: StoreOptions,
    settings: Settings,
    plan: FaultPlan,
    broken: Option<Break>,
    /// In some runs a step of the node does next to nothing, so that everything comes in slices.
    visits_per_step: usize,
    shell: Option<Shell>,
    starts: u64,
    /// The faults of the disk, to know whether a failure has a reason.
    faults: Faults,
    clients: Vec<Client>,
    links: BTreeMap<ConnId, Link>,
    next_conn: u64,
    checkers: Checkers,
    sent: Vec<Sent>,
    story: Story,
    /// Nothing goes wrong any more.
    peace: bool,
}

/// A connection between a client and the server.
struct Link {
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    /// The client has cut it; the server does not know.
    cut: bool,
    /// The server has closed it; the client does not know.
    closed: bool,
}

impl World {
    fn new(seed: u64, broken: Option<Break>, telling: Telling) -> World {
        let mut chance = Chance::new(seed);
        let settings = settings(&mut chance);
        let clients = 1 + chance.below(5);
        let visits = [VISITS_PER_STEP, VISITS_PER_STEP, 1, 2, 5];
        let visits_per_step = visits.get(chance.index(visits.len())).copied().unwrap_or(1);
        let timeout = |chance: &mut Chance| 4000 + i32::try_from(chance.below(9000)).unwrap_or(0);
        World {
            now: Now { mono_ms: 1_000_000, wall_ms: WALL_START_MS },
            disk: SimDisk::new(chance.any()),
            options: store_options(&mut chance),
            plan: FaultPlan::draw(&mut chance),
            clients: (0..clients).map(|_| Client::new(timeout(&mut chance))).collect(),
            chance,
            settings,
            broken,
            visits_per_step,
            shell: None,
            starts: 0,
            faults: Faults::default(),
            links: BTreeMap::new(),
            next_conn: 0,
            checkers: Checkers::new(),
            sent: Vec::new(),
            story: Story::new(telling == Telling::Everything, WALL_START_MS),
            peace: false,
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        for _ in 0..TURNS {
            self.turn()?;
        }
        self.end()
    }

    fn turn(&mut self) -> Result<(), Violation> {
        if self.shell.is_none() {
            return self.start();
        }
        if strikes(&mut self.chance, self.plan.crash_one_in) && self.may_crash() {
            let end = if self.chance.one_in(3) { End::Killed } else { End::PowerLost };
            self.crash(end);
            return Ok(());
        }
        if strikes(&mut self.chance, self.plan.step_clock_one_in) {
            let step = i64::try_from(self.chance.below(7_200_000)).unwrap_or(0) - 3_600_000;
            self.now.wall_ms += step;
            self.story.tell(|| format!("the wall clock steps by {step}"));
        }
        if strikes(&mut self.chance, self.plan.stall_one_in) {
            self.stall();
        }
        match self.chance.below(100) {
            0..=34 => self.client_turn(),
            35..=62 => self.server_reads(),
            63..=74 => self.client_reads(),
            75..=90 => self.log_turn(),
            91..=94 => self.with_shell(|shell, around| shell.snapshot_turn(around)),
            _ => self.time(),
        }
    }

    fn may_crash(&self) -> bool {
        !self.peace && self.starts < self.plan.lives_max
    }

    fn start(&mut self) -> Result<(), Violation> {
        let disturbed = !self.peace && self.starts < self.plan.lives_max;
        self.faults = match disturbed {
            true => self.plan.starting(&mut self.chance),
            false => Faults::default(),
        };
        self.disk.set_faults(self.faults);
        self.starts += 1;
        let made = Made {
            disk: &self.disk,
            options: &self.options,
            settings: &self.settings,
            broken: self.broken,
            visits_per_step: self.visits_per_step,
            seed: self.chance.any(),
        };
        self.story.tell(|| "start".to_string());
        let mut around = Around {
            now: self.now,
            checkers: &mut self.checkers,
            sent: &mut self.sent,
            story: &mut self.story,
        };
        match Shell::start(&made, &mut around) {
            Ok(shell) => {
                let last = shell.node().tree().last_processed();
                self.story.tell(|| format!("  started at {last}"));
                self.shell = Some(shell);
                let used = self.disk.used_bytes();
                if self.may_crash() {
                    self.faults = self.plan.running(&mut self.chance, used);
                } else {
                    self.faults = Faults::default();
                }
                self.disk.set_faults(self.faults);
                Ok(())
            }
            Err(Stop::Violation(violation)) => Err(violation),
            Err(Stop::Disk(error)) if self.faults == Faults::default() => {
                Err(Violation { promise: "recovery", seen: format!("a start is refused: {error}") })
            }
            Err(Stop::Disk(error)) => {
                self.story.tell(|| format!("  the start fails: {error}"));
                self.crash(self.end_of(self.disk.is_off()));
                Ok(())
            }
        }
    }

    fn end_of(&self, off: bool) -> End {
        if off { End::PowerLost } else { End::Killed }
    }

    /// The server ends, now.
    fn crash(&mut self, end: End) {
        self.story.tell(|| format!("crash: {end:?}"));
        self.shell = None;
        self.sent.clear();
        self.disk.restart(end);
        self.checkers.crashed();
        self.links.clear();
        self.clients.iter_mut().for_each(Client::closed);
    }

    /// Lets the server do something, sends what it says, and ends it if its disk failed.
    fn with_shell(
        &mut self,
        turn: impl FnOnce(&mut Shell, &mut Around<'_>) -> Result<(), Stop>,
    ) -> Result<(), Violation> {
        let Some(shell) = &mut self.shell else { return Ok(()) };
        let mut around = Around {
            now: self.now,
            checkers: &mut self.checkers,
            sent: &mut self.sent,
            story: &mut self.story,
        };
        // A server that has a lot to do looks at its sockets in between.
        let steps = if self.peace { usize::MAX } else { self.chance.index(4) };
        let result = turn(shell, &mut around).and_then(|()| shell.go_on(steps, &mut around));
        for sent in self.sent.drain(..) {
            match sent {
                Sent::Bytes(conn, bytes) => {
                    if let Some(link) = self.links.get_mut(&conn) {
                        link.to_client.push_back(bytes);
                    }
                }
                Sent::Close(conn) => {
                    if let Some(link) = self.links.get_mut(&conn) {
                        link.closed = true;
                    }
                }
            }
        }
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Violation(violation)) => Err(violation),
            Err(Stop::Disk(error)) if self.faults == Faults::default() => Err(Violation {
                promise: "disk",
                seen: format!("it failed for no reason: {error}"),
            }),
            Err(Stop::Disk(error)) => {
                self.story.tell(|| format!("  the disk failed: {error}"));
                let end = self.end_of(self.disk.is_off());
                self.crash(end);
                Ok(())
            }
        }
    }

    fn client_turn(&mut self) -> Result<(), Violation> {
        let index = self.chance.index(self.clients.len());
        let now_ms = self.now.mono_ms;
        let sets_watches = self.sets_watches();
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let frame = match client.state {
            State::Away => {
                self.next_conn += 1;
                let conn = ConnId(self.next_conn);
                let guess = self.chance.one_in(30);
                let frame = client.connect(conn, guess, now_ms);
                let link = Link {
                    to_server: VecDeque::new(),
                    to_client: VecDeque::new(),
                    cut: false,
                    closed: false,
                };
                self.links.insert(conn, link);
                if let Some(shell) = &mut self.shell {
                    shell.accept(conn);
                }
                self.story.tell(|| format!("client {index} connects as {}", conn.0));
                frame
            }
            State::Connecting(_) => return Ok(()),
            State::Connected(conn) => {
                if strikes(&mut self.chance, self.plan.cut_one_in) {
                    client.closed();
                    if let Some(link) = self.links.get_mut(&conn) {
                        link.cut = true;
                    }
                    self.story.tell(|| format!("client {index} cuts {}", conn.0));
                    return Ok(());
                }
                if client.waiting() >= IN_FLIGHT_MAX {
                    return Ok(());
                }
                if self.chance.one_in(150) {
                    let ops = [9999, -10, 20, 13, 10, 0, 1, 4, 14];
                    let op = ops.get(self.chance.index(ops.len())).copied().unwrap_or(0);
                    self.story.tell(|| format!("client {index} sends operation {op}, garbled"));
                    client.ask_raw(op, now_ms)
                } else {
                    let mut request = workload::request(&mut self.chance, client.seen);
                    let op = request.op();
                    if !sets_watches && [OpCode::SetWatches, OpCode::SetWatches2].contains(&op) {
                        request = Request::Ping;
                    }
                    self.story.tell(|| format!("client {index} on {}: {request:?}", conn.0));
                    client.ask(&request, now_ms)
                }
            }
        };
        let conn = client.connection().expect("it has just sent something");
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_server.push_back(frame);
        }
        Ok(())
    }

    /// The server reads one frame, or hears that a connection is gone.
    fn server_reads(&mut self) -> Result<(), Violation> {
        let Some(shell) = &self.shell else { return Ok(()) };
        let readable: Vec<ConnId> = self
            .links
            .iter()
            .filter(|(conn, link)| {
                link.cut || (!link.to_server.is_empty() && shell.reads_from(**conn))
            })
            .map(|(conn, _)| *conn)
            .collect();
        if readable.is_empty() {
            return Ok(());
        }
        let place = self.chance.index(readable.len());
        match readable.get(place) {
            Some(conn) => self.read_from(*conn),
            None => Ok(()),
        }
    }

    fn read_from(&mut self, conn: ConnId) -> Result<(), Violation> {
        let Some(link) = self.links.get_mut(&conn) else { return Ok(()) };
        // What a client sent before it cut the connection may be lost with it.
        let lost = link.cut && self.chance.one_in(3);
        match link.to_server.pop_front() {
            Some(frame) if !lost => {
                self.story.tell(|| format!("the server reads from {}", conn.0));
                self.with_shell(|shell, around| shell.frame(conn, &frame, around))
            }
            Some(_) | None if link.cut => {
                self.links.remove(&conn);
                self.story.tell(|| format!("the server hears that {} is gone", conn.0));
                self.with_shell(|shell, around| shell.gone(conn, around))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Everything that has arrived is read, as a server does before it looks at its timers.
    fn server_reads_all(&mut self) -> Result<(), Violation> {
        loop {
            let Some(shell) = &self.shell else { return Ok(()) };
            let readable = |(conn, link): &(&ConnId, &Link)| {
                !link.to_server.is_empty() && shell.reads_from(**conn)
            };
            let Some((conn, _)) = self.links.iter().find(readable) else { return Ok(()) };
            let conn = *conn;
            self.read_from(conn)?;
        }
    }

    fn client_reads(&mut self) -> Result<(), Violation> {
        let index = self.chance.index(self.clients.len());
        let frames_max = 1 + self.chance.index(4);
        self.deliver(index, frames_max)
    }

    fn deliver(&mut self, index: usize, frames_max: usize) -> Result<(), Violation> {
        for _ in 0..frames_max {
            let Some(client) = self.clients.get_mut(index) else { break };
            let Some(conn) = client.connection() else { break };
            let Some(link) = self.links.get_mut(&conn) else { break };
            match link.to_client.pop_front() {
                Some(frame) => {
                    let was_connecting = matches!(client.state, State::Connecting(_));
                    client.receive(&frame)?;
                    if was_connecting && matches!(client.state, State::Connected(_)) {
                        self.greet(index, conn);
                    }
                }
                None if link.closed => {
                    client.closed();
                    self.links.remove(&conn);
                }
                None => break,
            }
        }
        Ok(())
    }

    /// A setWatches that is cut into slices has no one state to compare it with.
    fn sets_watches(&self) -> bool {
        self.visits_per_step == VISITS_PER_STEP
    }

    /// What a client says first on a new connection: which watches it had.
    fn greet(&mut self, index: usize, conn: ConnId) {
        if !self.sets_watches() || !self.chance.one_in(2) {
            return;
        }
        let Some(client) = self.clients.get_mut(index) else { return };
        let request = workload::set_watches(&mut self.chance, client.seen);
        self.story.tell(|| format!("client {index} on {}: {request:?}", conn.0));
        let frame = client.ask(&request, self.now.mono_ms);
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_server.push_back(frame);
        }
    }

    fn log_turn(&mut self) -> Result<(), Violation> {
        let batch_max = 1 + self.chance.index(12);
        self.with_shell(|shell, around| shell.log_turn(batch_max, around))
    }

    fn stall(&mut self) {
        let ms = 1000 + self.chance.below(30_000);
        self.story.tell(|| format!("the process is stopped for {ms} ms"));
        let end = self.now.mono_ms + ms;
        while self.now.mono_ms < end {
            self.pass(500);
            self.clients_ping();
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += i64::try_from(ms).expect("a run is shorter than an aeon");
    }

    /// Clients that were silent for a third of their timeout say that they are alive. Some are
    /// dead.
    fn clients_ping(&mut self) {
        let now_ms = self.now.mono_ms;
        for client in &mut self.clients {
            let State::Connected(conn) = client.state else { continue };
            let third = u64::try_from(client.timeout_ms / 3).unwrap_or(0);
            if now_ms - client.last_sent_ms < third || self.chance.one_in(5) {
                continue;
            }
            let frame = client.ask(&Request::Ping, now_ms);
            if let Some(link) = self.links.get_mut(&conn) {
                link.to_server.push_back(frame);
            }
        }
    }

    fn time(&mut self) -> Result<(), Violation> {
        let ms = match self.chance.below(20) {
            0 => 1000 + self.chance.below(8000),
            1..=4 => 50 + self.chance.below(950),
            _ => 1 + self.chance.below(50),
        };
        self.time_passes(ms, true)
    }

    /// Time passes for a server that is well: ticks come when it asks for them, and whatever has
    /// arrived is read before.
    fn time_passes(&mut self, ms: u64, clients_live: bool) -> Result<(), Violation> {
        let end = self.now.mono_ms + ms;
        while let Some(shell) = &self.shell {
            let next = shell.node().next_deadline();
            if next > end {
                break;
            }
            self.pass(next.saturating_sub(self.now.mono_ms));
            if clients_live {
                self.clients_ping();
            }
            self.server_reads_all()?;
            let now_ms = self.now.mono_ms;
            self.story.tell(|| format!("tick at {now_ms}"));
            self.with_shell(|shell, around| shell.tick(around))?;
        }
        self.pass(end.saturating_sub(self.now.mono_ms));
        Ok(())
    }

    /// Nothing goes wrong any more: the server must come to rest in the state that its log
    /// describes, and once its clients are silent, every session must end.
    fn end(&mut self) -> Result<(), Violation> {
        self.story.tell(|| "the end begins".to_string());
        self.peace = true;
        if self.shell.is_some() && self.faults != Faults::default() {
            self.crash(End::Killed);
        }
        while self.shell.is_none() {
            self.start()?;
        }
        self.settle()?;
        for link in self.links.values_mut() {
            link.cut = true;
        }
        self.clients.iter_mut().for_each(Client::closed);
        for _ in 0..SILENCE_MS / 4000 {
            while let Some(conn) = self.links.keys().next().copied() {
                self.read_from(conn)?;
                self.settle()?;
            }
            self.time_passes(4000, false)?;
            self.settle()?;
        }
        let Some(shell) = &self.shell else { return Ok(()) };
        let status = shell.node().status();
        if status.sessions != 0 || status.ephemerals_count != 0 {
            let seen = format!("after a long silence there are still sessions: {status:?}");
            return violation("sessions", seen);
        }
        if status.digest_mismatches != 0 {
            return violation("digest", format!("a digest was not the one prepared: {status:?}"));
        }
        Ok(())
    }

    /// Lets everything that is under way come to its end.
    fn settle(&mut self) -> Result<(), Violation> {
        loop {
            self.server_reads_all()?;
            let Some(shell) = &self.shell else { return Ok(()) };
            if shell.node().has_work() {
                self.with_shell(|_, _| Ok(()))?;
                continue;
            }
            if shell.has_disk_work() {
                self.with_shell(|shell, around| shell.log_turn(usize::MAX, around))?;
                self.with_shell(|shell, around| shell.snapshot_turn(around))?;
                continue;
            }
            for index in 0..self.clients.len() {
                self.deliver(index, usize::MAX)?;
            }
            let Some(shell) = &self.shell else { return Ok(()) };
            let waits = |(conn, link): (&ConnId, &Link)| {
                !link.to_server.is_empty() && shell.reads_from(*conn)
            };
            if !self.links.iter().any(waits) {
                return self.checkers.settled(shell.node());
            }
        }
    }
}

fn settings(chance: &mut Chance) -> Settings {
    Settings {
        tick_ms: 2000,
        session_timeout_ms_min: 4000,
        session_timeout_ms_max: 40_000,
        server_id: u8::try_from(chance.below(256)).unwrap_or(0),
        reconfig_enabled: false,
        audit: chance.one_in(2),
        enforced_schemes: Vec::new(),
        throttle: if chance.one_in(4) { Some(throttle(chance)) } else { None },
        snap_count: 5 + chance.below(80),
        snap_bytes: 0,
        snapshot_last_zxid: chance.one_in(2),
        reaper: ReaperSettings {
            interval_ms: 3000,
            per_minute_max: 1 + chance.below(100),
            never_used_ms: if chance.one_in(2) { 0 } else { 5000 },
        },
        seed: chance.any(),
        tree: TreeOptions {
            owner_format: crate::model::OWNER_FORMAT,
            digest: !chance.one_in(4),
            enforce_quota: chance.one_in(2),
            ..TreeOptions::new([chance.any(), chance.any()])
        },
    }
}

fn throttle(chance: &mut Chance) -> ThrottleSettings {
    ThrottleSettings {
        requests_max: 1 + usize::try_from(chance.below(6)).unwrap_or(0),
        stall_ms: chance.below(200),
        drop_stale: !chance.one_in(3),
        stale_by_connection: !chance.one_in(4),
        stale_by_latency: chance.one_in(4),
        // The model knows what a request means, not how long it waited; a scenario holds that.
        op_wait_ms_max: None,
    }
}

fn store_options(chance: &mut Chance) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    if chance.one_in(3) {
        options.data_log_dir = "/log".into();
    }
    options.pre_alloc_bytes = if chance.one_in(2) { 0 } else { 8192 };
    options.log_bytes_limit = chance.one_in(3).then_some(6000);
    options.compression = match chance.below(12) {
        0 => Compression::Gzip,
        1 => Compression::Snappy,
        _ => Compression::None,
    };
    options
}
