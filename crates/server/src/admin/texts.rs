//! What each four-letter word says.
//!
//! What it keeps true: the text is Apache 3.9.5's for the same figures, to the last line break.

use super::decimal::Average;
use super::{ConnectionFigures, METRICS, Mode, VERSION, View, Word};
use crate::auth::java_address;
use std::fmt::Write as _;
use std::net::IpAddr;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

impl Mode {
    /// As `srvr` and `mntr` say it; `None` where they say that the server does not serve.
    fn state(self) -> Option<&'static str> {
        match self {
            Mode::NotServing => None,
            Mode::Standalone => Some("standalone"),
        }
    }
}

pub(super) fn ruok(_: &Word, _: &View<'_>) -> String {
    "imok".to_owned()
}

pub(super) fn isro(_: &Word, view: &View<'_>) -> String {
    match view.mode {
        Mode::NotServing => "null",
        Mode::Standalone => "rw",
    }
    .to_owned()
}

pub(super) fn conf(_: &Word, view: &View<'_>) -> String {
    serving(view, |_| (view.conf)())
}

pub(super) fn srvr(_: &Word, view: &View<'_>) -> String {
    serving(view, |state| format!("Zookeeper version: {VERSION}\n{}", server(view, state)))
}

pub(super) fn stat(_: &Word, view: &View<'_>) -> String {
    serving(view, |state| {
        let clients: String = view.connections.iter().map(client).collect();
        format!("Zookeeper version: {VERSION}\nClients:\n{clients}\n{}", server(view, state))
    })
}

pub(super) fn mntr(_: &Word, view: &View<'_>) -> String {
    serving(view, |state| {
        let mut text = format!("zk_version\t{VERSION}\nzk_server_state\t{state}\n");
        let namespaces = (view.quotas)();
        for metric in METRICS {
            metric.write(view, &namespaces, &mut text);
        }
        text
    })
}

pub(super) fn later(word: &Word, _: &View<'_>) -> String {
    format!("{} is not answered by this version of Bellwether.\n", word.name)
}

pub(super) fn never(word: &Word, _: &View<'_>) -> String {
    format!("{} is not answered: Bellwether has no trace mask.\n", word.name)
}

fn serving(view: &View<'_>, text: impl FnOnce(&'static str) -> String) -> String {
    view.mode.state().map_or_else(|| NOT_SERVING.to_owned(), text)
}

/// What `srvr` and `stat` share.
fn server(view: &View<'_>, state: &str) -> String {
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
    text
}

/// A line of `stat`. The number in brackets is what a selector of Java's would wait for.
fn client(connection: &ConnectionFigures) -> String {
    let peer = connection.peer;
    let address = match peer.ip().to_canonical() {
        address @ IpAddr::V4(_) => java_address(address),
        address @ IpAddr::V6(_) => format!("[{}]", java_address(address)),
    };
    let interest = u8::from(connection.reads) + 4 * u8::from(connection.writes);
    let ConnectionFigures { queued, received, sent, .. } = connection;
    let port = peer.port();
    format!(" /{address}:{port}[{interest}](queued={queued},recved={received},sent={sent})\n")
}
