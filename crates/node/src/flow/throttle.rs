//! Between steps 2 and 3, where `request_throttle_max_requests` asks for it: requests beyond that
//! many wait here, in the order in which they came, until others have their replies.
//!
//! What it keeps true: nothing overtakes a request of its own connection, but for what Apache too
//! answers outside the order (`auth`, `sasl`); once a request was dropped, the connection ends and
//! everything behind it is dropped too; held requests count as outstanding.
//!
//! What it leaves to others: what a request means (`session`), reading less (`server`).

use crate::effect::Effect;
use crate::event::ConnId;
use crate::flow::session::{self, Call, drop_connection};
use crate::node::Node;
use crate::settings::ThrottleSettings;
use bellwether_tree::Now;
use bellwether_wire::{ErrorCode, OpCode, SessionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tracing::debug;

/// What the throttle counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleFigures {
    /// How often the first request in the line had to wait.
    pub waits: u64,
    /// Requests that were answered with THROTTLEDOP.
    pub throttled_ops: u64,
    /// Stale requests that were served all the same.
    pub stale: u64,
    /// Stale requests that were dropped.
    pub stale_dropped: u64,
}

/// Requests that wait to be admitted.
///
/// Invariant: `of_connection` counts what `held` has, and has no zero.
#[derive(Debug)]
pub(crate) struct Throttle {
    settings: Option<ThrottleSettings>,
    held: VecDeque<Held>,
    of_connection: BTreeMap<ConnId, usize>,
    /// Connections one of whose requests was dropped, while more of theirs are held.
    broken: BTreeSet<ConnId>,
    /// Sessions that are being made.
    connecting: usize,
    /// Since when, on the monotonic clock, the first in the line waits.
    stalled_ms: Option<u64>,
    pub(crate) figures: ThrottleFigures,
}

#[derive(Debug)]
struct Held {
    conn: ConnId,
    arrived_ms: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Session(SessionId),
    Request(Box<Call>),
}

impl Throttle {
    pub(crate) fn new(settings: Option<ThrottleSettings>) -> Throttle {
        Throttle {
            settings,
            held: VecDeque::new(),
            of_connection: BTreeMap::new(),
            broken: BTreeSet::new(),
            connecting: 0,
            stalled_ms: None,
            figures: ThrottleFigures::default(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Forgets what is held, and what is under way; the figures stay.
    pub(crate) fn forget(&mut self) {
        *self = Throttle { figures: self.figures, ..Throttle::new(self.settings) };
    }

    /// How many requests are held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many of them are of this connection.
    pub(crate) fn len_of(&self, conn: ConnId) -> usize {
        self.of_connection.get(&conn).copied().unwrap_or(0)
    }

    /// When the first in the line should be looked at again.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        let stall_ms = self.settings.map(|settings| settings.stall_ms).filter(|ms| *ms > 0)?;
        self.stalled_ms.map(|since| since + stall_ms)
    }

    pub(crate) fn hold_request(&mut self, asked: Call) {
        let (conn, arrived_ms) = (asked.place.conn, asked.place.arrived_ms);
        self.hold(Held { conn, arrived_ms, what: What::Request(Box::new(asked)) });
    }

    pub(crate) fn hold_session(&mut self, conn: ConnId, session: SessionId, arrived_ms: u64) {
        self.hold(Held { conn, arrived_ms, what: What::Session(session) });
    }

    fn hold(&mut self, held: Held) {
        *self.of_connection.entry(held.conn).or_default() += 1;
        self.held.push_back(held);
    }

    fn take(&mut self) -> Option<Held> {
        let held = self.held.pop_front()?;
        self.count_down(held.conn);
        self.stalled_ms = None;
        Some(held)
    }

    fn count_down(&mut self, conn: ConnId) {
        let count = self.of_connection.get_mut(&conn).expect("every held request is counted");
        *count -= 1;
        if *count == 0 {
            self.of_connection.remove(&conn);
            self.broken.remove(&conn);
        }
    }

    /// A session is on its way to the log, or is made.
    pub(crate) fn session_begins(&mut self) {
        self.connecting += 1;
    }

    /// A session is made.
    pub(crate) fn session_began(&mut self) {
        self.connecting -= 1;
    }

    /// The first in the line has to wait; it does so for a time, then is looked at again.
    fn stall(&mut self, now: Now, stall_ms: u64) {
        let waited = self.stalled_ms.map(|since| now.mono_ms.saturating_sub(since));
        if waited.is_none_or(|waited| stall_ms > 0 && waited >= stall_ms) {
            self.figures.waits += 1;
            self.stalled_ms = Some(now.mono_ms);
        }
    }
}

/// Whether a step at this time would let the first in the line go on, or drop it.
pub(crate) fn has_work(node: &Node, now_ms: u64) -> bool {
    let (Some(settings), Some(first)) = (node.throttle.settings, node.throttle.held.front()) else {
        return false;
    };
    in_process(node) < settings.requests_max || is_dropped(node, settings, now_ms, first)
}

/// Whether a request is dropped when its turn comes.
fn is_dropped(node: &Node, settings: ThrottleSettings, now_ms: u64, held: &Held) -> bool {
    let is_broken = node.throttle.broken.contains(&held.conn);
    is_broken || (settings.drop_stale && is_stale(node, settings, now_ms, held))
}

/// What a client asked for stays in process when the client leaves.
fn in_process(node: &Node) -> usize {
    (node.connections.queued() + node.throttle.connecting).max(node.in_flight())
}

/// Lets requests go on while there is room for them, within `visits`.
pub(crate) fn release(node: &mut Node, now: Now, visits: &mut usize, out: &mut Vec<Effect>) {
    let Some(settings) = node.throttle.settings else { return };
    while *visits > 0
        && let Some(first) = node.throttle.held.front()
    {
        let conn = first.conn;
        let is_stale = is_stale(node, settings, now.mono_ms, first);
        if is_dropped(node, settings, now.mono_ms, first) {
            *visits -= 1;
            drop_first(node, out);
            continue;
        }
        if in_process(node) >= settings.requests_max {
            node.throttle.stall(now, settings.stall_ms);
            return;
        }
        *visits -= 1;
        let Some(held) = node.throttle.take() else { return };
        node.throttle.figures.stale += u64::from(is_stale);
        let waited_ms = now.mono_ms.saturating_sub(held.arrived_ms);
        match held.what {
            What::Session(session) => session::make(node, now, (conn, session), out),
            What::Request(asked) => {
                let too_long = settings.op_wait_ms_max.is_some_and(|max| waited_ms > max);
                match asked.op().filter(|op| too_long && is_throttlable(*op)) {
                    Some(op) => {
                        node.throttle.figures.throttled_ops += 1;
                        let place = asked.place;
                        session::refuse(node, now, (place, op), ErrorCode::ThrottledOp, out);
                    }
                    None => session::admit(node, now, *asked, out),
                }
            }
        }
    }
}

/// The first in the line is dropped, and with it its connection: its client must not see a later
/// request answered as if this one had been.
fn drop_first(node: &mut Node, out: &mut Vec<Effect>) {
    let first = node.throttle.held.front().map(|first| first.conn);
    let is_broken = first.is_some_and(|conn| node.throttle.broken.contains(&conn));
    let Some(held) = node.throttle.take().filter(|_| !is_broken) else {
        return; // What broke it was counted.
    };
    node.throttle.figures.stale_dropped += 1;
    match held.what {
        What::Session(session) => node.expiry.remove(session), // It was never made.
        What::Request(_) => {}
    }
    if node.throttle.len_of(held.conn) > 0 {
        node.throttle.broken.insert(held.conn);
    }
    if node.connections.get(held.conn).is_some() {
        debug!(conn = held.conn.0, "closing a connection one of whose requests waited too long");
        out.push(Effect::Close(held.conn));
        drop_connection(node, held.conn);
    }
}

/// Whether nobody waits for the answer any more. The end of a session is wanted all the same.
fn is_stale(node: &Node, settings: ThrottleSettings, now_ms: u64, held: &Held) -> bool {
    let ends_session = match &held.what {
        What::Session(_) => false,
        What::Request(asked) => asked.header.op == OpCode::CloseSession.code(),
    };
    if ends_session {
        return false;
    }
    match node.connections.get(held.conn) {
        None => settings.stale_by_connection,
        Some(connection) => {
            let timeout_ms = u64::try_from(connection.timeout_ms).unwrap_or(0);
            let waited_ms = now_ms.saturating_sub(held.arrived_ms);
            settings.stale_by_latency && waited_ms > timeout_ms
        }
    }
}

/// Whoever only shows that it is alive, or leaves, is not told that the server is busy.
fn is_throttlable(op: OpCode) -> bool {
    ![OpCode::Ping, OpCode::CloseSession].contains(&op)
}
