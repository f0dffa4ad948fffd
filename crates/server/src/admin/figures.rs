//! What the shell counts, for the words and the metrics.
//!
//! What it keeps true: every figure has one meaning, written at its field, with the unit last in
//! its name; counters never go down.
//!
//! What it leaves to others: counting. Nothing is shared or locked here: the owner of the figures
//! hands a copy to `View`.

use crate::auth::AuthFigures;
use bellwether_node::{ConnectionStatus, Histogram, Summary};
use bellwether_tree::QuotaFigures;
use bellwether_zab::Serving;
use std::net::SocketAddr;

/// What the shell measured since the process started, or since `srst`, with percentiles.
/// Microseconds.
#[derive(Clone, Debug, Default)]
pub struct ShellMeasures {
    /// From the handing over of a record to the log until its thread took it.
    pub log_waited_us: Histogram,
    /// A batch's write and sync.
    pub log_flush_us: Histogram,
    /// From the handing over of a record until it was on stable storage.
    pub log_waited_and_flushed_us: Histogram,
}

/// The sizes of replies and watch events, without the length before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseSizes {
    /// Of the one that was sent last.
    pub last_bytes: u64,
    /// Of the smallest.
    pub min_bytes: u64,
    /// Of the largest.
    pub max_bytes: u64,
}

impl ResponseSizes {
    /// The sizes after one more reply.
    #[must_use]
    pub fn with(before: Option<ResponseSizes>, bytes: u64) -> ResponseSizes {
        let (min, max) = before.map_or((bytes, bytes), |b| (b.min_bytes, b.max_bytes));
        ResponseSizes { last_bytes: bytes, min_bytes: min.min(bytes), max_bytes: max.max(bytes) }
    }
}

/// How the data directory was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// Until the tree was complete; `None` once the figures were reset.
    pub load_ms: Option<u64>,
    /// Of that, reading the snapshot; `None` if there was none.
    pub snapshot_load_ms: Option<u64>,
    /// Of that, reading and applying the log.
    pub txns_load_ms: Option<u64>,
    /// Transactions that were applied from the log.
    pub txns_loaded: Option<u64>,
}

/// What the shell counted since the process started.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShellFigures {
    /// Since the server began to serve.
    pub uptime_ms: u64,
    /// How the data directory was loaded.
    pub startup: Startup,

    /// Open connections, those without a session included.
    pub connections: u64,
    /// Connect requests that came.
    pub connect_requests: u64,
    /// Connections that were not accepted: too many, or no descriptor left.
    pub connections_rejected: u64,
    /// Connections that the client closed, or broke, without closing its session.
    pub connections_dropped: u64,
    /// Connections that were closed because they asked for no session in time.
    pub sessionless_expired: u64,

    /// Frames that came, four-letter words included.
    pub packets_received: u64,
    /// Replies, watch events, connect responses and answers to four-letter words.
    pub packets_sent: u64,
    /// Bytes of the frames that came, their lengths included, and of four-letter words.
    pub bytes_received: u64,
    /// Bytes of everything that was sent.
    pub bytes_sent: u64,
    /// Bytes of replies.
    pub response_bytes: u64,
    /// Bytes of watch events.
    pub watch_bytes: u64,
    /// `None` before the first reply.
    pub response_sizes: Option<ResponseSizes>,
    /// What auth packets came to.
    pub auth: AuthFigures,
    /// Large requests that did not fit beside those in flight.
    pub large_requests_rejected: u64,
    /// How many tokens were missing after a connect request was let in.
    pub token_deficit: Summary,
    /// How likely the next connect request is dropped at random.
    pub drop_probability: f64,
    /// Frames that were longer than `jute.maxbuffer`.
    pub requests_too_large: u64,
    /// Four-letter words that were answered, the refused ones included.
    pub four_letter_words: u64,
    /// Frames that were handed to the node.
    pub requests_handed_in: u64,

    /// Records that were handed to the log.
    pub log_records: u64,
    /// Bytes that were written to the log.
    pub log_bytes: u64,
    /// Records that shared a sync.
    pub log_batch: Summary,
    /// Syncs of the log, microseconds.
    pub fsync_us: Summary,
    /// Batches of the log, from the first record to the end of the sync, microseconds.
    pub log_process_us: Summary,
    /// Records that waited for the log's thread when it came for them.
    pub log_queue: Summary,

    /// Snapshots that were completed, microseconds from the first slice to the sync.
    pub snapshot_us: Summary,
    /// Snapshots that were given up.
    pub snapshots_failed: u64,
    /// How long ago the last snapshot was completed, or loaded; `None` before the first.
    pub snapshot_age_ms: Option<u64>,

    /// Lines of the audit log that were written; `None` where nothing is audited.
    pub audit_lines: Option<u64>,
    /// Lines that its file did not take.
    pub audit_lines_lost: Option<u64>,

    /// The longest step of the node.
    pub core_step_us_max: u64,

    /// Descriptors that are open; `None` where the system does not tell.
    pub open_files: Option<u64>,
    /// How many may be; `None` where the system does not tell.
    pub max_files: Option<u64>,
}

/// What is counted by the first name of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFigures {
    /// Its quotas.
    pub quotas: QuotaFigures,
    /// Writes that were refused for a hard quota; `None` before the first.
    pub refusals: Option<u64>,
}

/// What the server is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A member of an ensemble that has no leader, or is not in step with it.
    NotServing,
    /// One server alone.
    Standalone,
    /// A member that leads.
    Leader,
    /// A member that follows.
    Follower,
    /// A member that observes.
    Observer,
}

impl Mode {
    /// That of a server whose node serves so.
    #[must_use]
    pub fn of(serving: Option<Serving>) -> Mode {
        match serving {
            None => Mode::NotServing,
            Some(Serving::Alone) => Mode::Standalone,
            Some(Serving::Leader { epoch: _ }) => Mode::Leader,
            Some(Serving::Follower { epoch: _ }) => Mode::Follower,
            Some(Serving::Observer { epoch: _ }) => Mode::Observer,
        }
    }
}

/// Settings that members of one ensemble should have in common and `conf` does not show.
#[derive(Clone, Copy, Debug)]
pub struct SettingFigures {
    /// `jute.maxbuffer`.
    pub jute_maxbuffer_bytes: u32,
    /// `zookeeper.extendedTypesEnabled`.
    pub extended_types_enabled: bool,
    /// `zookeeper.digest.enabled`.
    pub digest_enabled: bool,
}

/// A connection at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFigures {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// When it was accepted, milliseconds since 1970.
    pub established_ms: i64,
    /// What the node knows of it; `None` before its connect request.
    pub status: Option<ConnectionStatus>,
    /// Whether the server waits for bytes from it: not while it has too much in flight, nor after a
    /// four-letter word.
    pub reads: bool,
    /// Whether the server waits until it takes bytes.
    pub writes: bool,
    /// Requests without a reply yet.
    pub queued: usize,
    /// Frames that came.
    pub received: u64,
    /// Frames that went.
    pub sent: u64,
}
