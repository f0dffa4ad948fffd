//! What a node tells of itself: a read-only view for the four-letter words and the metrics.

use crate::flow::throttle::ThrottleFigures;
use crate::histogram::{Histogram, Summary};
use crate::statistics::Statistics;
use bellwether_tree::WatchesSummary;
use bellwether_wire::client::EventType;
use bellwether_wire::{SessionId, Zxid};

/// How long requests took from their arrival to their reply, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many were counted.
    pub count: u64,
    /// All of them together.
    pub sum_ms: u64,
    /// The shortest; 0 if none was counted.
    pub min_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Latency {
    pub(crate) fn record(&mut self, ms: u64) {
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.count += 1;
        self.sum_ms += ms;
    }
}

/// What happened since the start, or since the last reset of the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) latency: Latency,
    pub(crate) watch_events: u64,
    pub(crate) sessions_expired: u64,
    pub(crate) digest_mismatches: u64,
}

/// What was measured since the start, or since the last reset of the statistics, with percentiles.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    /// From the arrival of a request that reads to its reply, milliseconds.
    pub read_latency_ms: Histogram,
    /// The same of requests that write, and of those that begin a session.
    pub update_latency_ms: Histogram,
    /// From a transaction's stamp to its application, milliseconds.
    pub propagation_ms: Histogram,
    /// Watchers that one event told, by what happened.
    pub watchers_told: WatchersTold,
}

/// Watchers that one event told.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchersTold {
    /// That a node was created.
    pub created: Summary,
    /// That it was deleted.
    pub deleted: Summary,
    /// That its data changed.
    pub changed: Summary,
    /// That its children changed.
    pub children: Summary,
}

impl WatchersTold {
    pub(crate) fn record(&mut self, event: EventType, watchers: usize) {
        let watchers = match u64::try_from(watchers) {
            Ok(0) => return, // Nobody was told, which Apache does not count either.
            Ok(watchers) => watchers,
            Err(_too_many) => u64::MAX,
        };
        match event {
            EventType::NodeCreated => self.created.record(watchers),
            EventType::NodeDeleted => self.deleted.record(watchers),
            EventType::NodeDataChanged => self.changed.record(watchers),
            EventType::NodeChildrenChanged => self.children.record(watchers),
            // These are told to one connection and concern no change of a node.
            EventType::None
            | EventType::DataWatchRemoved
            | EventType::ChildWatchRemoved
            | EventType::PersistentWatchRemoved => {}
        }
    }
}

/// A connection that has a session, or gets one, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionStatus {
    /// Its session.
    pub session: SessionId,
    /// The timeout that was agreed, milliseconds.
    pub timeout_ms: i32,
    /// Requests without a reply yet.
    pub queued: usize,
    /// When its session expires if nothing is heard of it, monotonic milliseconds; `None` for one
    /// that ends.
    pub expires_ms: Option<u64>,
    /// What its requests were like.
    pub statistics: Statistics,
}

/// A node at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// The last transaction whose effects are in the tree.
    pub last_processed: Zxid,
    /// The tree's digest.
    pub digest: u64,
    /// How many nodes there are.
    pub node_count: u64,
    /// How many of them are ephemeral.
    pub ephemerals_count: u64,
    /// Bytes of paths and data, as Apache adds them up.
    pub approximate_data_size: u64,
    /// Sessions that are alive.
    pub sessions: usize,
    /// Connections that have a session, or get one.
    pub connections: usize,
    /// Watches.
    pub watch_count: usize,
    /// Watches in Apache's table of data watches.
    pub data_watches: WatchesSummary,
    /// Connections that Apache counts among those that watch: from their first data watch on, fired
    /// or not, until they remove the last one themselves.
    pub watching_connections: usize,
    /// Different deadlines of sessions.
    pub session_deadlines: usize,
    /// Sessions that own nodes.
    pub ephemeral_owners: usize,
    /// Requests that came and have no reply yet.
    pub outstanding: usize,
    /// Requests for `sync` that wait.
    pub pending_syncs: usize,
    /// Latencies since the last reset.
    pub latency: Latency,
    /// Watch events made.
    pub watch_events: u64,
    /// Sessions that expired.
    pub sessions_expired: u64,
    /// Transactions after which the tree's digest was not the one prepared.
    pub digest_mismatches: u64,
    /// Whether a snapshot is being made.
    pub snapshot_running: bool,
    /// What was held back.
    pub throttle: ThrottleFigures,
}
