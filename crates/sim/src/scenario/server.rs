//! The one server of a scenario, its clock, its disk and its clients.
//!
//! The disk is a promise: `disk sync` says that everything appended is on stable storage, `disk
//! auto` says so after every command. What was said to be durable is what `restart` loads. Unless
//! `steps manual` was said, a command goes on until the node has no work left.

use super::command;
use super::words::{Words, zxid};
use crate::trace::{self, Names};
use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_node::{
    ConnId, Effect, Event, LogToken, Node, ReaperSettings, Settings, ThrottleFigures,
    ThrottleSettings,
};
use bellwether_tree::{Identity, Loader, Now, Tree, TreeOptions};
use bellwether_wire::client::{ConnectRequest, RequestHeader, xid};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{OpCode, OwnerFormat, SessionId, Zxid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When the clock of a scenario begins.
const WALL_START_MS: i64 = 1_600_000_000_000;

/// The server of a scenario and everything around it.
pub(super) struct Server {
    node: Option<Node>,
    settings: Settings,
    now: Now,
    log: Log,
    clients: BTreeMap<String, Client>,
    connections: BTreeMap<ConnId, String>,
    names: Names,
    trace: Trace,
    steps: Steps,
}

/// What was appended, and how much of it is durable.
#[derive(Default)]
struct Log {
    records: Vec<Arc<TxnRecord>>,
    /// How many of `records` were reported durable.
    durable: usize,
    /// How many of `records` were there before the server started last: its tokens begin after
    /// them.
    at_start: usize,
    auto: bool,
}

/// Whether a command goes on until there is no work left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    UntilIdle,
    Single,
}

struct Client {
    conn: ConnId,
    session: Option<SessionId>,
    last_xid: i32,
}

impl Server {
    pub(super) fn new() -> Server {
        let names = Names::new(WALL_START_MS);
        Server {
            node: None,
            settings: settings(&mut Words::new("")).expect("every setting has a default"),
            now: Now { mono_ms: 0, wall_ms: WALL_START_MS },
            log: Log::default(),
            clients: BTreeMap::new(),
            connections: BTreeMap::new(),
            names,
            trace: Trace::default(),
            steps: Steps::UntilIdle,
        }
    }

    /// What happened since this was asked last.
    pub(super) fn take_trace(&mut self) -> Vec<String> {
        if let Some(Err(problem)) = self.node.as_ref().map(|node| node.tree().check()) {
            self.trace.push(format!("THE TREE IS BROKEN: {problem}"));
        }
        self.trace.take()
    }

    /// Runs one command.
    pub(super) fn command(&mut self, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = &mut Words::new(rest);
        match verb {
            "start" => self.start(words)?,
            "restart" => self.restart(words)?,
            "quiet" => {
                let before = self.trace.clone();
                self.command(rest)?;
                self.trace = before;
                return Ok(());
            }
            "repeat" => return self.repeat(rest),
            "disk" => self.disk(words)?,
            "wall" => self.now.wall_ms += words.number::<i64>("a time")?,
            "stall" => self.pass(words.number("a time")?),
            "run" => self.run(words.number("a time")?)?,
            "tick" => self.step(Event::Tick)?,
            "continue" => self.step(Event::Continue)?,
            "steps" => self.set_steps(words)?,
            "snapshot" => self.snapshot(words)?,
            "status" => self.status()?,
            client => {
                self.client(client, rest)?;
                return self.settle();
            }
        }
        Words::new(&std::mem::replace(words, Words::new("")).rest()).end()?;
        self.settle()
    }

    fn start(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let visits = words.named_number("visits")?.unwrap_or(VISITS_PER_STEP);
        self.settings = settings(words)?;
        self.log = Log { auto: self.log.auto, ..Log::default() };
        self.connections.clear();
        let tree = Tree::new(self.settings.tree.clone());
        let node = Node::new(self.settings.clone(), tree, self.now);
        self.node = Some(node.with_visits_per_step(visits));
        Ok(())
    }

    /// The process dies at once and starts again with what was durable.
    fn restart(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        if words.flag("reset-seed") {
            self.settings.seed += 1;
        }
        self.log.records.truncate(self.log.durable);
        self.log.at_start = self.log.durable;
        let mut loader = Loader::new(self.settings.tree.clone());
        for record in &self.log.records {
            loader.replay(record).map_err(|error| error.to_string())?;
        }
        let (tree, report) = loader.finish(self.now).map_err(|error| error.to_string())?;
        self.trace.push(format!(
            "loaded {} zxid={} sessions={}",
            plural(report.txns, "transaction"),
            tree.last_processed(),
            report.sessions
        ));
        self.node = Some(Node::new(self.settings.clone(), tree, self.now));
        self.clients.values_mut().for_each(|client| client.conn = ConnId(0));
        self.connections.clear();
        Ok(())
    }

    /// `repeat COUNT COMMAND`, with the number of the turn for every `#`.
    fn repeat(&mut self, rest: &str) -> Result<(), String> {
        let mut words = Words::new(rest);
        let count: u32 = words.number("a count")?;
        let command = words.rest();
        (1..=count).try_for_each(|turn| self.command(&command.replace('#', &turn.to_string())))
    }

    fn disk(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        match words.need("what the disk does")? {
            "auto" => self.log.auto = true,
            "manual" => self.log.auto = false,
            "sync" => {
                let waiting = self.log.records.len() - self.log.durable;
                let count = words.named_number("first")?.unwrap_or(waiting);
                self.durable(count.min(waiting))?;
            }
            "fail" => self.step(Event::LogFailed)?,
            other => return Err(format!("a disk does not {other:?}")),
        }
        Ok(())
    }

    fn durable(&mut self, count: usize) -> Result<(), String> {
        let from = self.log.durable;
        self.log.durable += count;
        let mut bytes = Vec::new();
        for record in self.log.records.iter().skip(from).take(count) {
            record.encode(&mut bytes);
        }
        let token = LogToken((self.log.durable - self.log.at_start) as u64);
        self.step(Event::Durable { token, bytes: bytes.len() as u64 })
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += i64::try_from(ms).expect("a scenario is shorter than an aeon");
    }

    /// Time passes as it does for a server that is well: ticks come when the node asks for them.
    fn run(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now.mono_ms + ms;
        loop {
            let next = self.node()?.next_deadline();
            if next > end {
                break;
            }
            self.pass(next - self.now.mono_ms);
            self.trace.at_ms = Some(self.now.mono_ms);
            self.step(Event::Tick)?;
            self.settle()?;
        }
        self.trace.at_ms = None;
        self.pass(end - self.now.mono_ms);
        Ok(())
    }

    fn set_steps(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        self.steps = match words.need("manual or auto")? {
            "manual" => Steps::Single,
            "auto" => Steps::UntilIdle,
            other => return Err(format!("steps are manual or auto, not {other:?}")),
        };
        Ok(())
    }

    fn snapshot(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let event = match words.need("what became of it")? {
            "taken" => Event::SnapshotSliceTaken,
            "saved" => Event::SnapshotEnded { saved: true },
            "failed" => Event::SnapshotEnded { saved: false },
            other => return Err(format!("a snapshot is taken, saved or failed, not {other:?}")),
        };
        self.step(event)
    }

    fn status(&mut self) -> Result<(), String> {
        let status = self.node()?.status();
        self.trace.push(format!(
            "zxid={} nodes={} ephemerals={} sessions={} connections={} watches={} outstanding={}",
            status.last_processed,
            status.node_count,
            status.ephemerals_count,
            status.sessions,
            status.connections,
            status.watch_count,
            status.outstanding
        ));
        if self.settings.throttle.is_some() {
            let ThrottleFigures { waits, throttled_ops, stale, stale_dropped } = status.throttle;
            self.trace.push(format!(
                "waits={waits} throttled={throttled_ops} stale={stale} dropped={stale_dropped}"
            ));
        }
        Ok(())
    }

    fn client(&mut self, name: &str, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = &mut Words::new(rest);
        match verb {
            "connect" => self.connect(name, (SessionId::NONE, Box::new([])), words),
            "resume" => {
                let former = words.need("whose session")?;
                let session = self.client_named(former)?.session;
                let session = session.ok_or_else(|| format!("{former} has no session"))?;
                let password: Box<[u8]> = match words.named("password") {
                    Some(wrong) => wrong.as_bytes().into(),
                    None => session.password().0.into(),
                };
                self.connect(name, (session, password), words)
            }
            "gone" => {
                let event = Event::ClientGone(self.client_named(name)?.conn);
                self.step(event)
            }
            "auth" => self.authenticate(name, words),
            "raw" => {
                let op = words.named_number("op")?.ok_or("op= is missing")?;
                self.frame(name, |xid| (RequestHeader { xid, op }, None))
            }
            "garbage" => {
                let op: i32 = words.named_number("op")?.ok_or("op= is missing")?;
                let op = OpCode::from_code(op).ok_or_else(|| format!("{op} is no operation"))?;
                let body = bellwether_wire::client::Request::decode(op, &mut reader(&[0xff]));
                let body = body.expect_err("one byte is no request");
                self.frame(name, |xid| (RequestHeader { xid, op: op.code() }, Some(Err(body))))
            }
            _ => {
                let request = command::request(line)?;
                let op = request.op();
                // A client can say what no server can read.
                let mut bytes = Vec::new();
                request.encode(&mut bytes);
                let body = bellwether_wire::client::Request::decode(op, &mut reader(&bytes));
                self.frame(name, |xid| (RequestHeader { xid, op: op.code() }, Some(body)))
            }
        }
    }

    fn connect(
        &mut self,
        name: &str,
        (session, password): (SessionId, Box<[u8]>),
        words: &mut Words<'_>,
    ) -> Result<(), String> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: words.named("seen").map(zxid).transpose()?.unwrap_or(Zxid::ZERO),
            timeout_ms: words.named_number("timeout")?.unwrap_or(4000),
            session,
            password,
            read_only: if words.flag("old") { None } else { Some(false) },
        };
        let address = words.named("from").unwrap_or("127.0.0.1");
        let identity = Identity { scheme: "ip".into(), id: address.into() };
        std::mem::replace(words, Words::new("")).end()?;
        let conn = ConnId(1 + self.clients.len() as u64);
        if self.clients.contains_key(name) {
            return Err(format!("{name} was there before; a connection has a name of its own"));
        }
        self.clients.insert(name.to_string(), Client { conn, session: None, last_xid: 0 });
        self.connections.insert(conn, name.to_string());
        self.step(Event::Connect { conn, request, identities: vec![identity] })
    }

    /// `auth scheme:id`, as the shell reports it once it has checked the packet, or `auth fail`.
    fn authenticate(&mut self, name: &str, words: &mut Words<'_>) -> Result<(), String> {
        let conn = self.client_named(name)?.conn;
        let proved = match words.need("an identity")? {
            "fail" => None,
            identity => {
                let (scheme, id) = identity.split_once(':').ok_or("an identity is scheme:id")?;
                Some(vec![Identity { scheme: scheme.into(), id: id.into() }])
            }
        };
        self.step(Event::Authenticated { conn, xid: xid::AUTH, proved })
    }

    fn frame<F>(&mut self, name: &str, frame: F) -> Result<(), String>
    where
        F: FnOnce(i32) -> (RequestHeader, Option<Body>),
    {
        let client = self.clients.get_mut(name).ok_or_else(|| unknown(name))?;
        if client.session.is_none() {
            return Err(format!("{name} must wait until it is connected"));
        }
        client.last_xid += 1;
        let conn = client.conn;
        let (header, request) = frame(client.last_xid);
        self.step(Event::Frame { conn, header, request })
    }

    fn settle(&mut self) -> Result<(), String> {
        loop {
            let Some(node) = &self.node else { return Err("nothing was started".to_string()) };
            if self.steps == Steps::UntilIdle && node.has_work() {
                self.step(Event::Continue)?;
            } else if self.log.auto && self.log.durable < self.log.records.len() {
                self.durable(self.log.records.len() - self.log.durable)?;
            } else {
                return Ok(());
            }
        }
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        let now = self.now;
        let mut out = Vec::new();
        let node = self.node.as_mut().ok_or("nothing was started")?;
        node.step(now, event, &mut out);
        let more = self.steps == Steps::Single && node.has_work();
        for effect in out {
            self.perform(effect);
        }
        if more {
            self.trace.push("(more to do)".to_string());
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        let line = match effect {
            Effect::Connected(conn, response) => {
                let client =
                    self.connections.get(&conn).and_then(|name| self.clients.get_mut(name));
                let client = client.expect("only what connected is answered");
                client.session = Some(response.session);
                let session = self.names.session(response.session);
                let timeout_ms = response.timeout_ms;
                let read_only = if response.read_only.is_none() { " old" } else { "" };
                format!("{} <- connected {session} timeout={timeout_ms}{read_only}", self.who(conn))
            }
            Effect::Reply(conn, reply) => {
                format!("{} <- {}", self.who(conn), self.names.reply(&reply))
            }
            Effect::Notify(conn, event) => {
                format!("{} <- {}", self.who(conn), trace::event(&event))
            }
            Effect::Close(conn) => format!("close {}", self.who(conn)),
            Effect::Audit(event) => {
                let line = format!("audit {}", event.line("server").replace('\t', " "));
                match event.actor.session() {
                    Some(id) => line.replace(&id.to_string(), &self.names.session(id)),
                    None => line,
                }
            }
            Effect::QuotaExceeded(exceeded) => trace::exceeded(&exceeded),
            Effect::Append(token, record) => {
                self.log.records.push(record.clone());
                let appended = (self.log.records.len() - self.log.at_start) as u64;
                assert_eq!(token, LogToken(appended), "tokens count what was appended");
                format!("append {}", self.names.record(&record))
            }
            Effect::Ensemble(_) => unreachable!("a single server has no ensemble"),
            Effect::StartSnapshot(zxid) => format!("snapshot {zxid}"),
            Effect::SnapshotSlice { items, last } => {
                let last = if last { " last" } else { "" };
                format!("slice {}{last}", plural(items.len() as u64, "item"))
            }
        };
        self.trace.push(line);
    }

    fn node(&self) -> Result<&Node, String> {
        self.node.as_ref().ok_or_else(|| "nothing was started".to_string())
    }

    fn client_named(&self, name: &str) -> Result<&Client, String> {
        self.clients.get(name).ok_or_else(|| unknown(name))
    }

    /// A client's name; those of a crowd (`w1`, `w2` …) are one to the reader.
    fn who(&self, conn: ConnId) -> String {
        let name = self.connections.get(&conn).expect("only what connected is answered");
        match name.strip_prefix('w') {
            Some(number) if number.parse::<u32>().is_ok() => "w*".to_string(),
            Some(_) | None => name.clone(),
        }
    }
}

type Body = Result<bellwether_wire::client::Request, bellwether_wire::DecodeError>;

fn unknown(name: &str) -> String {
    format!("{name:?} is neither a command nor a client")
}

fn reader(bytes: &[u8]) -> bellwether_wire::Reader<'_> {
    bellwether_wire::Reader::new(bytes)
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `start [tick=] [min=] [max=] [snap-count=] [reaper=] [per-minute=] [never-used=] [id=] [ttl]
/// [reconfig] [enforce=SCHEME,SCHEME] [throttle=] [stall=] [op-wait=] [keep-stale] [stale-latency]
/// [ignore-gone] [visits=]`; times in milliseconds.
fn settings(words: &mut Words<'_>) -> Result<Settings, String> {
    let tick_ms: u64 = words.named_number("tick")?.unwrap_or(2000);
    let tick = i32::try_from(tick_ms).map_err(|error| error.to_string())?;
    let owner_format =
        if words.flag("ttl") { OwnerFormat::EXTENDED } else { OwnerFormat::default() };
    let reaper = ReaperSettings {
        interval_ms: words.named_number("reaper")?.unwrap_or(60_000),
        per_minute_max: words.named_number("per-minute")?.unwrap_or(10_000),
        never_used_ms: words.named_number("never-used")?.unwrap_or(0),
    };
    Ok(Settings {
        tick_ms,
        session_timeout_ms_min: words.named_number("min")?.unwrap_or(2 * tick),
        session_timeout_ms_max: words.named_number("max")?.unwrap_or(20 * tick),
        server_id: words.named_number("id")?.unwrap_or(0),
        reconfig_enabled: words.flag("reconfig"),
        audit: words.flag("audit"),
        enforced_schemes: words.named_list("enforce")?,
        throttle: throttle(words)?,
        snap_count: words.named_number("snap-count")?.unwrap_or(100_000),
        snap_bytes: 0,
        snapshot_last_zxid: false,
        reaper,
        seed: 1,
        tree: TreeOptions {
            owner_format,
            enforce_quota: words.flag("enforce-quota"),
            ..TreeOptions::new([1, 2])
        },
    })
}

/// `throttle=` is how many requests may be in process.
fn throttle(words: &mut Words<'_>) -> Result<Option<ThrottleSettings>, String> {
    let Some(requests_max) = words.named_number("throttle")? else { return Ok(None) };
    Ok(Some(ThrottleSettings {
        requests_max,
        stall_ms: words.named_number("stall")?.unwrap_or(100),
        drop_stale: !words.flag("keep-stale"),
        stale_by_connection: !words.flag("ignore-gone"),
        stale_by_latency: words.flag("stale-latency"),
        op_wait_ms_max: words.named_number("op-wait")?,
    }))
}

/// The lines of a trace. Equal lines in a row are counted.
#[derive(Clone, Default)]
struct Trace {
    lines: Vec<(String, usize)>,
    /// What stands before every line while time runs by itself.
    at_ms: Option<u64>,
}

impl Trace {
    fn push(&mut self, line: String) {
        let line = match self.at_ms {
            Some(ms) => format!("[{ms}] {line}"),
            None => line,
        };
        match self.lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            Some(_) | None => self.lines.push((line, 1)),
        }
    }

    fn take(&mut self) -> Vec<String> {
        let counted =
            |(line, count)| if count == 1 { line } else { format!("{line} (× {count})") };
        std::mem::take(&mut self.lines).into_iter().map(counted).collect()
    }
}
