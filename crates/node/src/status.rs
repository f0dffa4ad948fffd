//! What a node tells of itself: a read-only view for the four-letter words and the metrics.

use crate::flow::throttle::ThrottleFigures;
use crate::histogram::{Histogram, Summary};
use crate::statistics::Statistics;
use bellwether_tree::WatchesSummary;
use bellwether_wire::client::EventType;
use bellwether_wire::quorum::ServerId;
use bellwether_wire::{SessionId, Zxid};
use bellwether_zab::Serving;

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
    pub(crate) resumed_sessions: u64,
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
    /// What a member of an ensemble measured of it; nothing on a single server.
    pub ensemble: EnsembleMeasures,
}

/// What a member counted and measured of its ensemble. Times are milliseconds; latencies begin with
/// the leader's stamp, by its wall clock.
#[derive(Clone, Debug, Default)]
pub struct EnsembleMeasures {
    /// How often it began to look for a leader.
    pub elections: u64,
    /// From then until it led or followed.
    pub election_ms: Summary,
    /// From then until it served clients.
    pub unavailable_ms: Summary,
    /// The same where it became the leader.
    pub leader_unavailable_ms: Summary,
    /// From the leader's first packet of the synchronisation until it served, as a follower.
    pub follower_sync_ms: Summary,
    /// The same as an observer.
    pub observer_sync_ms: Summary,

    /// Transactions that it proposed as the leader.
    pub proposals: u64,
    /// How large they were, since it began to lead; `None` before the first.
    pub proposal_sizes: Option<Sizes>,
    /// Transactions of its own epoch that it committed as the leader.
    pub commits: u64,
    /// From the stamp until there was a quorum, at the leader.
    pub quorum_ack_ms: Histogram,
    /// Learners that it began to synchronise with records, or by cutting their log.
    pub record_syncs: u64,
    /// Learners that it began to send a snapshot.
    pub snapshot_syncs: u64,
    /// Sessions of learners' clients that it was asked about.
    pub revalidations: u64,

    /// Proposals that came while it served as a follower.
    pub proposals_received: u64,
    /// From the stamp until they came.
    pub proposal_ms: Histogram,
    /// Commits that came while it served as a learner.
    pub commits_received: u64,
    /// From the stamp until the commit was known, at a learner.
    pub commit_propagation_ms: Histogram,
}

impl EnsembleMeasures {
    pub(crate) fn proposed(&mut self, bytes: u64) {
        self.proposals += 1;
        let (min, max) = self.proposal_sizes.map_or((bytes, bytes), |b| (b.min_bytes, b.max_bytes));
        let (min_bytes, max_bytes) = (min.min(bytes), max.max(bytes));
        self.proposal_sizes = Some(Sizes { last_bytes: bytes, min_bytes, max_bytes });
    }
}

/// Sizes of many things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the last.
    pub last_bytes: u64,
    /// Of the smallest.
    pub min_bytes: u64,
    /// Of the largest.
    pub max_bytes: u64,
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

/// A member's place in its ensemble at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleStatus {
    /// When it began to serve in its role, monotonic milliseconds; `None` while it does not.
    pub serving_since_ms: Option<u64>,
    /// How many servers vote.
    pub voters: usize,
    /// Whom it follows or observes, if it serves so.
    pub follows: Option<ServerId>,
    /// What only a leader that serves knows.
    pub leader: Option<LeaderStatus>,
}

/// What a leader knows of its ensemble at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderStatus {
    /// Servers that are connected to it, in step or not.
    pub learners: usize,
    /// Followers that are in step.
    pub synced_followers: usize,
    /// Those of them that have no vote.
    pub synced_non_voting_followers: usize,
    /// Observers that are in step.
    pub synced_observers: usize,
    /// `sync`s that wait for their turn.
    pub pending_syncs: usize,
}

/// A node at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// In which role clients are served; `None` while they are not.
    pub serving: Option<Serving>,
    /// Its place in an ensemble; `None` of a single server.
    pub ensemble: Option<EnsembleStatus>,
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
    /// Latencies since the last reset.
    pub latency: Latency,
    /// Watch events made.
    pub watch_events: u64,
    /// Sessions that expired.
    pub sessions_expired: u64,
    /// Connections that asked for a session that there was.
    pub resumed_sessions: u64,
    /// Transactions after which the tree's digest was not the one prepared.
    pub digest_mismatches: u64,
    /// Whether a snapshot is being made.
    pub snapshot_running: bool,
    /// What was held back.
    pub throttle: ThrottleFigures,
}
