//! The metrics of `mntr`, a row each.
//!
//! What it keeps true: a metric that Apache has means what it means there, in the same unit; a
//! metric whose figure is not known is left out of the answer instead of being 0; every metric of
//! Apache 3.9.5 has a row here or in `unmeasured`.
//!
//! What it leaves to others: the version and the state, which `mntr` says first.

use super::decimal::Average;
use super::{Mode, NamespaceFigures, ResponseSizes, View};
use bellwether_node::{EnsembleMeasures, Histogram, LeaderStatus, Sizes, Summary};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Who defined a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Apache ZooKeeper: the name and its meaning are fixed.
    Apache,
    /// Bellwether.
    Ours,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name; `mntr` puts `zk_` before it.
    pub name: &'static str,
    /// Who defined it.
    pub origin: Origin,
    /// What it measures.
    pub doc: &'static str,
    read: Read,
}

type Read = for<'v> fn(&'v View<'_>) -> Reading<'v>;

use Reading::{ByNamespace, Count, CountOrNone, Mean, Real, Spread, Summed, Word};

/// What a metric is at one moment.
enum Reading<'v> {
    /// It cannot be told, so nothing is said.
    Unknown,
    /// No number.
    Word(&'static str),
    Count(u64),
    /// -1 stands for "none yet".
    CountOrNone(Option<u64>),
    /// A number with a fraction.
    Real(f64),
    /// `sum / count`.
    Mean(u64, u64),
    /// Five lines; the figures are divided by this.
    Summed(Summary, u64),
    /// The same, and a line per percentile.
    Spread(&'v Histogram, u64),
    /// A line per first name of a path, for those that have the figure.
    ByNamespace(fn(&NamespaceFigures) -> Option<i64>),
}

/// A `usize` counts things in memory; it is never wider than 64 bits.
fn count(things: usize) -> Reading<'static> {
    Count(u64::try_from(things).unwrap_or(u64::MAX))
}

fn known(figure: Option<u64>) -> Reading<'static> {
    figure.map_or(Reading::Unknown, Count)
}

fn size(view: &View<'_>, of: fn(ResponseSizes) -> u64) -> Reading<'static> {
    CountOrNone(view.shell.response_sizes.map(of))
}

/// The phase of ZAB in which a member serves clients is the last.
fn peer_state(view: &View<'_>) -> Reading<'static> {
    match view.mode {
        Mode::NotServing | Mode::Standalone => Reading::Unknown,
        Mode::Leader => Word("leading - broadcast"),
        Mode::Follower => Word("following - broadcast"),
        Mode::Observer => Word("observing - broadcast"),
    }
}

fn observed(view: &View<'_>) -> Reading<'static> {
    let leader = view.status.ensemble.as_ref().and_then(|ensemble| ensemble.follows);
    match view.mode {
        Mode::Observer => known(leader.and_then(|leader| u64::try_from(leader.0).ok())),
        Mode::NotServing | Mode::Standalone | Mode::Leader | Mode::Follower => Reading::Unknown,
    }
}

/// What only a leader tells.
fn led(view: &View<'_>, of: fn(&LeaderStatus) -> usize) -> Reading<'static> {
    let leader = view.status.ensemble.as_ref().and_then(|ensemble| ensemble.leader.as_ref());
    leader.map_or(Reading::Unknown, |leader| count(of(leader)))
}

fn proposal_size(view: &View<'_>, of: fn(Sizes) -> u64) -> Reading<'static> {
    match view.mode {
        Mode::Leader => CountOrNone(view.measures.ensemble.proposal_sizes.map(of)),
        Mode::NotServing | Mode::Standalone | Mode::Follower | Mode::Observer => Reading::Unknown,
    }
}

fn leader_uptime(view: &View<'_>) -> Reading<'static> {
    match view.mode {
        Mode::Leader => Count(view.uptime_ms()),
        Mode::NotServing | Mode::Standalone | Mode::Follower | Mode::Observer => Reading::Unknown,
    }
}

fn counted(view: &View<'_>, of: fn(&EnsembleMeasures) -> u64) -> Reading<'static> {
    Count(of(&view.measures.ensemble))
}

fn timed(view: &View<'_>, of: fn(&EnsembleMeasures) -> Summary) -> Reading<'static> {
    Summed(of(&view.measures.ensemble), 1)
}

fn once(figure: Option<u64>) -> Reading<'static> {
    let mut summary = Summary::default();
    figure.into_iter().for_each(|value| summary.record(value));
    Summed(summary, 1)
}

/// Microseconds are told as milliseconds.
const US_PER_MS: u64 = 1_000;

const fn apache(name: &'static str, read: Read, doc: &'static str) -> Metric {
    Metric { name, origin: Origin::Apache, doc, read }
}

const fn ours(name: &'static str, read: Read, doc: &'static str) -> Metric {
    Metric { name, origin: Origin::Ours, doc, read }
}

/// Every metric of `mntr`.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    apache("peer_state", peer_state,
        "what the member does, and in which phase"),
    apache("observer_master_id", observed,
        "whom an observer observes"),
    apache("avg_latency", |v| Mean(v.status.latency.sum_ms, v.status.latency.count),
        "from a request's arrival to its reply, average, milliseconds"),
    apache("max_latency", |v| Count(v.status.latency.max_ms),
        "the longest, milliseconds"),
    apache("min_latency", |v| Count(v.status.latency.min_ms),
        "the shortest, milliseconds"),
    apache("packets_received", |v| Count(v.shell.packets_received),
        "frames that came, four-letter words included"),
    apache("packets_sent", |v| Count(v.shell.packets_sent),
        "replies, watch events and answers to four-letter words"),
    apache("num_alive_connections", |v| Count(v.shell.connections),
        "open connections"),
    apache("outstanding_requests", |v| count(v.status.outstanding),
        "requests without a reply yet"),
    apache("uptime", |v| Count(v.uptime_ms()),
        "since the server began to serve, a member in its role, milliseconds"),
    apache("znode_count", |v| Count(v.status.node_count),
        "nodes"),
    apache("watch_count", |v| count(v.status.watch_count),
        "watches"),
    apache("ephemerals_count", |v| Count(v.status.ephemerals_count),
        "ephemeral nodes"),
    apache("approximate_data_size", |v| Count(v.status.approximate_data_size),
        "bytes of all paths and data"),
    apache("global_sessions", |v| count(v.status.sessions),
        "sessions that are alive"),
    apache("open_file_descriptor_count", |v| known(v.shell.open_files),
        "descriptors that are open"),
    apache("max_file_descriptor_count", |v| known(v.shell.max_files),
        "descriptors that may be open"),
    apache("last_client_response_size", |v| size(v, |s| s.last_bytes),
        "bytes of the last reply or watch event, -1 before the first"),
    apache("max_client_response_size", |v| size(v, |s| s.max_bytes),
        "bytes of the largest reply or watch event, -1 before the first"),
    apache("min_client_response_size", |v| size(v, |s| s.min_bytes),
        "bytes of the smallest reply or watch event, -1 before the first"),
    apache("auth_failed_count", |v| Count(v.shell.auth.failed),
        "auth packets that proved nothing; Apache counts TLS handshakes alone"),
    apache("ensemble_auth_success", |v| Count(v.shell.auth.ensemble_right),
        "auth packets that named this ensemble"),
    apache("ensemble_auth_fail", |v| Count(v.shell.auth.ensemble_wrong),
        "auth packets that named another ensemble"),
    apache("ensemble_auth_skip", |v| Count(v.shell.auth.ensemble_skipped),
        "auth packets of scheme ensemble that were not compared"),
    apache("watch_bytes", |v| Count(v.shell.watch_bytes),
        "bytes of watch events"),
    apache("response_bytes", |v| Count(v.shell.response_bytes),
        "bytes of replies, but for those to pings and auth packets"),
    apache("bytes_received_count", |v| Count(v.shell.bytes_received),
        "bytes that came"),
    apache("connection_request_count", |v| Count(v.shell.connect_requests),
        "connect requests that came"),
    apache("connection_rejected", |v| Count(v.shell.connections_rejected),
        "connections that were not accepted"),
    apache("connection_drop_count", |v| Count(v.shell.connections_dropped),
        "connections that ended without the end of their session"),
    apache("sessionless_connections_expired", |v| Count(v.shell.sessionless_expired),
        "connections that asked for no session in time"),
    apache("stale_sessions_expired", |v| Count(v.status.sessions_expired),
        "sessions that expired"),
    apache("large_requests_rejected", |v| Count(v.shell.large_requests_rejected),
        "large requests that did not fit beside those in flight"),
    apache("connection_token_deficit", |v| Summed(v.shell.token_deficit, 1),
        "tokens that were missing after a connect request was let in"),
    apache("connection_drop_probability", |v| Real(v.shell.drop_probability),
        "how likely the next connect request is dropped at random"),
    apache("request_throttle_wait_count", |v| Count(v.status.throttle.waits),
        "how often the next request had to wait for others to be answered"),
    apache("throttled_ops", |v| Count(v.status.throttle.throttled_ops),
        "requests that were answered with THROTTLEDOP"),
    apache("stale_requests", |v| Count(v.status.throttle.stale),
        "stale requests that were served all the same"),
    apache("stale_requests_dropped", |v| Count(v.status.throttle.stale_dropped),
        "stale requests that were dropped"),
    apache("prep_processor_request_queued", |v| Count(v.shell.requests_handed_in),
        "requests that were handed to the core"),
    apache("sync_processor_request_queued", |v| Count(v.shell.log_records),
        "records that were handed to the log"),
    apache("sync_processor_batch_size", |v| Summed(v.shell.log_batch, 1),
        "records that shared a sync"),
    apache("sync_processor_queue_size", |v| Summed(v.shell.log_queue, 1),
        "records that waited for the log's thread when it came for them; reads do not pass there"),
    apache("sync_processor_queue_time_ms", |v| Spread(&v.shell_measures.log_waited_us, US_PER_MS),
        "until the log's thread took a record, milliseconds; reads do not pass there"),
    apache("sync_processor_queue_flush_time_ms",
        |v| Spread(&v.shell_measures.log_flush_us, US_PER_MS),
        "writing and syncing a batch, milliseconds"),
    apache("sync_processor_queue_and_flush_time_ms",
        |v| Spread(&v.shell_measures.log_waited_and_flushed_us, US_PER_MS),
        "until a record was on stable storage, milliseconds"),
    apache("sync_process_time", |v| Summed(v.shell.log_process_us, US_PER_MS),
        "a batch of the log, from its first record to the end of its sync, milliseconds"),
    apache("readlatency", |v| Spread(&v.measures.read_latency_ms, 1),
        "from the arrival of a request that reads to its reply, milliseconds"),
    apache("updatelatency", |v| Spread(&v.measures.update_latency_ms, 1),
        "from the arrival of a request that writes to its reply, milliseconds"),
    apache("propagation_latency", |v| Spread(&v.measures.propagation_ms, 1),
        "from a transaction's stamp to its application, milliseconds"),
    apache("node_created_watch_count", |v| Summed(v.measures.watchers_told.created, 1),
        "watchers that were told of one created node"),
    apache("node_deleted_watch_count", |v| Summed(v.measures.watchers_told.deleted, 1),
        "watchers that were told of one deleted node"),
    apache("node_changed_watch_count", |v| Summed(v.measures.watchers_told.changed, 1),
        "watchers that were told of one change of data"),
    apache("node_children_watch_count", |v| Summed(v.measures.watchers_told.children, 1),
        "watchers that were told of one change of children"),
    apache("fsynctime", |v| Summed(v.shell.fsync_us, US_PER_MS),
        "syncs of the log, milliseconds"),
    apache("snapshottime", |v| Summed(v.shell.snapshot_us, US_PER_MS),
        "snapshots, milliseconds"),
    apache("snapshot_error_count", |v| Count(v.shell.snapshots_failed),
        "snapshots that were given up"),
    apache("digest_mismatches_count", |v| Count(v.status.digest_mismatches),
        "transactions after which the tree was not what it should be"),
    apache("dbinittime", |v| once(v.shell.startup.load_ms),
        "loading the data directory, milliseconds"),
    apache("startup_snap_load_time", |v| once(v.shell.startup.snapshot_load_ms),
        "of that, the snapshot, milliseconds"),
    apache("startup_txns_load_time", |v| once(v.shell.startup.txns_load_ms),
        "of that, the log, milliseconds"),
    apache("startup_txns_loaded", |v| once(v.shell.startup.txns_loaded),
        "transactions that were applied from the log"),
    apache("quota_count_limit_per_namespace", |_| ByNamespace(|n| n.quotas.count_limit),
        "the limits of nodes of all quotas on paths with this first name, hard before soft"),
    apache("quota_bytes_limit_per_namespace", |_| ByNamespace(|n| n.quotas.bytes_limit),
        "likewise the limits of bytes"),
    apache("quota_count_usage_per_namespace", |_| ByNamespace(|n| n.quotas.count_usage),
        "nodes that these quotas count"),
    apache("quota_bytes_usage_per_namespace", |_| ByNamespace(|n| n.quotas.bytes_usage),
        "bytes that these quotas count"),
    apache("quota_exceeded_error_per_namespace",
        |_| ByNamespace(|n| n.refusals.and_then(|refusals| i64::try_from(refusals).ok())),
        "writes that were refused for one of these quotas"),
    apache("connection_revalidate_count", |v| Count(v.status.resumed_sessions),
        "connections that asked for a session that there was"),
    apache("quorum_size",
        |v| v.status.ensemble.as_ref().map_or(Reading::Unknown, |e| count(e.voters)),
        "servers that vote"),
    apache("learners", |v| led(v, |l| l.learners),
        "servers that are connected to this leader, in step or not"),
    apache("synced_followers", |v| led(v, |l| l.synced_followers),
        "followers that are in step with this leader"),
    apache("synced_non_voting_followers", |v| led(v, |l| l.synced_non_voting_followers),
        "those of them that have no vote"),
    apache("synced_observers", |v| led(v, |l| l.synced_observers),
        "observers that are in step with this leader"),
    apache("pending_syncs", |v| led(v, |l| l.pending_syncs),
        "syncs that wait for their turn at this leader"),
    apache("leader_uptime", leader_uptime,
        "since this member began to lead, milliseconds"),
    apache("last_proposal_size", |v| proposal_size(v, |s| s.last_bytes),
        "bytes of this leader's last proposal, -1 before the first"),
    apache("max_proposal_size", |v| proposal_size(v, |s| s.max_bytes),
        "bytes of its largest, -1 before the first"),
    apache("min_proposal_size", |v| proposal_size(v, |s| s.min_bytes),
        "bytes of its smallest, -1 before the first"),
    apache("looking_count", |v| counted(v, |e| e.elections),
        "how often the member began to look for a leader"),
    apache("election_time", |v| timed(v, |e| e.election_ms),
        "from looking for a leader until leading or following, milliseconds"),
    apache("unavailable_time", |v| timed(v, |e| e.unavailable_ms),
        "from looking for a leader until serving clients, milliseconds"),
    apache("leader_unavailable_time", |v| timed(v, |e| e.leader_unavailable_ms),
        "the same where the member became the leader"),
    apache("follower_sync_time", |v| timed(v, |e| e.follower_sync_ms),
        "getting in step with the leader as a follower, milliseconds"),
    apache("observer_sync_time", |v| timed(v, |e| e.observer_sync_ms),
        "getting in step with the leader as an observer, milliseconds"),
    apache("proposal_count", |v| counted(v, |e| e.proposals),
        "transactions that were proposed here"),
    apache("commit_count", |v| counted(v, |e| e.commits),
        "transactions that were committed here"),
    apache("quorum_ack_latency", |v| Spread(&v.measures.ensemble.quorum_ack_ms, 1),
        "from a transaction's stamp until it had a quorum, at the leader, milliseconds"),
    apache("diff_count", |v| counted(v, |e| e.record_syncs),
        "learners that were brought into step with records, or by cutting their log"),
    apache("snap_count", |v| counted(v, |e| e.snapshot_syncs),
        "learners that were sent a snapshot"),
    apache("revalidate_count", |v| counted(v, |e| e.revalidations),
        "sessions that learners asked this leader about"),
    apache("learner_proposal_received_count", |v| counted(v, |e| e.proposals_received),
        "proposals that came to this follower"),
    apache("proposal_latency", |v| Spread(&v.measures.ensemble.proposal_ms, 1),
        "from a transaction's stamp until it came to this follower, milliseconds"),
    apache("learner_commit_received_count", |v| counted(v, |e| e.commits_received),
        "commits that came to this learner"),
    apache("commit_propagation_latency", |v| Spread(&v.measures.ensemble.commit_propagation_ms, 1),
        "from a transaction's stamp until this learner knew that it is committed, milliseconds"),
    ours("jute_maxbuffer_bytes", |v| Count(u64::from(v.settings.jute_maxbuffer_bytes)),
        "jute.maxbuffer, which all members should have in common"),
    ours("extended_types_enabled", |v| Count(u64::from(v.settings.extended_types_enabled)),
        "1 if nodes may have a time to live, which all members should have in common"),
    ours("digest_enabled", |v| Count(u64::from(v.settings.digest_enabled)),
        "1 if trees are compared, which all members should have in common"),
    ours("core_step_ms_max", |v| Mean(v.shell.core_step_us_max, US_PER_MS),
        "the longest step of the core, milliseconds by the wall clock, the time included in which \
         the system let others run; more than 5 on a machine with free processors is a defect"),
    ours("bytes_sent_count", |v| Count(v.shell.bytes_sent),
        "bytes of everything that was sent"),
    ours("requests_too_long_count", |v| Count(v.shell.requests_too_large),
        "frames longer than jute.maxbuffer"),
    ours("watch_events_count", |v| Count(v.status.watch_events),
        "watch events that were made"),
    ours("log_bytes_count", |v| Count(v.shell.log_bytes),
        "bytes that were written to the log"),
    ours("audit_lines_count", |v| known(v.shell.audit_lines),
        "lines of the audit log that were written, where it is enabled"),
    ours("audit_lines_lost_count", |v| known(v.shell.audit_lines_lost),
        "lines that its file did not take; more than 0 needs attention"),
    ours("snapshot_age_ms", |v| known(v.shell.snapshot_age_ms),
        "how long ago the last snapshot was completed or loaded, milliseconds"),
    ours("snapshot_running", |v| Count(u64::from(v.status.snapshot_running)),
        "1 while a snapshot is being made"),
    ours("four_letter_words_count", |v| Count(v.shell.four_letter_words),
        "four-letter words that came"),
];

impl Metric {
    /// Appends its lines.
    pub(super) fn write(
        &self,
        view: &View<'_>,
        namespaces: &BTreeMap<String, NamespaceFigures>,
        text: &mut String,
    ) {
        let mut line = |prefix: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "zk_{prefix}{}\t{value}", self.name)
                .expect("writing to a String succeeds");
        };
        match (self.read)(view) {
            Reading::Unknown => {} // A figure that is not known is not told.
            Word(word) => line("", &word),
            Count(value) => line("", &value),
            CountOrNone(Some(value)) => line("", &value),
            CountOrNone(None) => line("", &-1),
            // Java writes a point in every such number.
            Real(value) => line("", &format_args!("{value:?}")),
            Mean(sum, count) => line("", &Average::of(sum, count)),
            Summed(summary, unit) => summed(&mut line, summary, unit),
            Spread(histogram, unit) => {
                summed(&mut line, histogram.summary(), unit);
                for (prefix, per_mille) in PERCENTILES {
                    // Cut off as the largest is, which none of them may exceed.
                    line(prefix, &(histogram.per_mille(per_mille) / unit));
                }
            }
            ByNamespace(of) => {
                for (name, figures) in namespaces {
                    if let Some(value) = of(figures) {
                        line(&format!("{name}_"), &value);
                    }
                }
            }
        }
    }
}

/// What Apache tells of a spread: names and how many of a thousand.
const PERCENTILES: [(&str, u64); 4] = [("p50_", 500), ("p95_", 950), ("p99_", 990), ("p999_", 999)];

fn summed(line: &mut impl FnMut(&str, &dyn std::fmt::Display), summary: Summary, unit: u64) {
    let Summary { count, sum, min, max } = summary;
    line("avg_", &Average::of(sum, count.saturating_mul(unit)));
    line("min_", &(min / unit));
    line("max_", &(max / unit));
    line("cnt_", &count);
    line("sum_", &(sum / unit));
}

/// The rows of the section on metrics in `docs/COMPAT.md`: those of `mntr`, then those of Apache
/// that are not in it.
#[must_use]
pub fn metrics_compat_rows() -> Vec<String> {
    let told = METRICS.iter().map(|metric| {
        let support = match metric.origin {
            Origin::Apache => "yes",
            Origin::Ours => "yes; Apache has none of this name",
        };
        format!("| `{}` | {} | {support} |", metric.name, metric.doc)
    });
    let untold = super::UNMEASURED.iter().flat_map(|group| {
        group.names.iter().map(|name| format!("| `{name}` | | no: {} |", group.why))
    });
    told.chain(untold).collect()
}

/// What stands above `metrics_compat_rows`.
pub const METRICS_COMPAT_HEADER: &str =
    "| metric | what it measures | what this server does |\n|---|---|---|";
