//! What each four-letter word says at once.
//!
//! What it keeps true: the text is Apache 3.9.5's for the same figures, to the last line break.

use super::decimal::Average;
use super::{METRICS, Mode, VERSION, View};
use bellwether_node::Sizes;
use bellwether_tree::WatchesSummary;
use bellwether_wire::Zxid;
use std::fmt::Write as _;

impl Mode {
    /// As `srvr` and `mntr` say it.
    fn state(self) -> &'static str {
        match self {
            Mode::NotServing => "null",
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
        }
    }
}

pub(super) fn ruok(_: &View<'_>) -> String {
    "imok".to_owned()
}

pub(super) fn isro(view: &View<'_>) -> String {
    match view.mode {
        Mode::NotServing => "null",
        Mode::Standalone | Mode::Leader | Mode::Follower | Mode::Observer => "rw",
    }
    .to_owned()
}

pub(super) fn conf(view: &View<'_>) -> String {
    view.facts.conf()
}

pub(super) fn dirs(view: &View<'_>) -> String {
    let (data_bytes, log_bytes) = view.facts.directory_bytes();
    format!("datadir_size: {data_bytes}\nlogdir_size: {log_bytes}\n")
}

pub(super) fn envi(view: &View<'_>) -> String {
    let environment = view.facts.environment();
    let lines = environment.iter().map(|(name, value)| format!("{name}={value}\n"));
    format!("Environment:\nzookeeper.version={VERSION}\n{}", lines.collect::<String>())
}

/// Both of the trace mask's words say what it is.
pub(super) fn mask(view: &View<'_>) -> String {
    view.trace_mask.to_string()
}

pub(super) fn hash(view: &View<'_>) -> String {
    let line = |(zxid, digest): &(Zxid, u64)| format!("{:x}: {}\n", zxid.0, digest.cast_signed());
    view.facts.digests().iter().map(line).collect()
}

pub(super) fn srst(_: &View<'_>) -> String {
    "Server stats reset.\n".to_owned()
}

pub(super) fn crst(_: &View<'_>) -> String {
    "Connection stats reset.\n".to_owned()
}

pub(super) fn wchs(view: &View<'_>) -> String {
    let WatchesSummary { paths, watches } = view.status.data_watches;
    let connections = view.status.watching_connections;
    format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
}

pub(super) fn dump_sessions(view: &View<'_>) -> String {
    let (sets, sessions) = (view.status.session_deadlines, view.status.sessions);
    format!("SessionTracker dump:\nSession Sets ({sets})/({sessions}):\n")
}

/// A learner knows the timeouts of sessions, and its leader when they expire.
pub(super) fn dump_global_sessions(view: &View<'_>) -> String {
    format!("SessionTracker dump:\nGlobal Sessions({}):\n", view.status.sessions)
}

pub(super) fn dump_ephemerals(view: &View<'_>) -> String {
    let owners = view.status.ephemeral_owners;
    format!("ephemeral nodes dump:\nSessions with Ephemerals ({owners}):\n")
}

pub(super) fn dump_connections(_: &View<'_>) -> String {
    "Connections dump:\n".to_owned()
}

pub(super) fn line_break(_: &View<'_>) -> String {
    "\n".to_owned()
}

pub(super) fn srvr(view: &View<'_>) -> String {
    format!("Zookeeper version: {VERSION}\n{}", server(view))
}

pub(super) fn stat_head(_: &View<'_>) -> String {
    format!("Zookeeper version: {VERSION}\nClients:\n")
}

pub(super) fn stat_tail(view: &View<'_>) -> String {
    format!("\n{}", server(view))
}

pub(super) fn mntr(view: &View<'_>) -> String {
    let state = view.mode.state();
    let mut text = format!("zk_version\t{VERSION}\nzk_server_state\t{state}\n");
    let namespaces = view.facts.quotas();
    for metric in METRICS {
        metric.write(view, &namespaces, &mut text);
    }
    text
}

/// What `srvr` and `stat` share.
fn server(view: &View<'_>) -> String {
    let state = view.mode.state();
    let (status, shell) = (&view.status, &view.shell);
    let latency = &status.latency;
    let average = Average::of(latency.sum_ms, latency.count);
    let mut text = String::new();
    for (name, value) in [
        ("Latency min/avg/max", format!("{}/{average}/{}", latency.min_ms, latency.max_ms)),
        ("Received", shell.packets_received.to_string()),
        ("Sent", shell.packets_sent.to_string()),
        ("Connections", shell.connections.to_string()),
        ("Outstanding", status.outstanding.to_string()),
        ("Zxid", status.last_processed.to_string()),
        ("Mode", state.to_owned()),
        ("Node count", status.node_count.to_string()),
    ] {
        writeln!(text, "{name}: {value}").expect("writing to a String succeeds");
    }
    if view.mode == Mode::Leader {
        let size = |of: fn(Sizes) -> u64| match view.measures.ensemble.proposal_sizes {
            Some(sizes) => of(sizes).to_string(),
            None => "-1".to_owned(),
        };
        let (last, min) = (size(|sizes| sizes.last_bytes), size(|sizes| sizes.min_bytes));
        let max = size(|sizes| sizes.max_bytes);
        writeln!(text, "Proposal sizes last/min/max: {last}/{min}/{max}")
            .expect("writing to a String succeeds");
    }
    text
}
