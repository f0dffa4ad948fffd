//! What each member says of itself.

use crate::four_letters;
use bellwether_client::Host;
use bellwether_wire::Zxid;
use std::collections::BTreeMap;

/// A member, as far as it told.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Where it was asked.
    pub(super) server: String,
    /// `srvr`, or why there is no answer.
    pub(super) state: Result<State, String>,
    /// `conf`; empty where it is not enabled.
    pub(super) conf: BTreeMap<String, String>,
    /// `mntr`; empty where it is not enabled.
    pub(super) mntr: BTreeMap<String, String>,
}

/// What `srvr` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) mode: String,
    pub(super) zxid: Zxid,
    pub(super) connections: String,
    pub(super) version: String,
}

/// Asks all at once.
pub(super) async fn all(servers: &[Host]) -> Vec<Member> {
    let tasks: Vec<_> = servers
        .iter()
        .cloned()
        .map(|server| tokio::spawn(async move { one(&server).await }))
        .collect();
    let mut members = Vec::new();
    for task in tasks {
        members.push(task.await.expect("a question does not panic"));
    }
    members
}

async fn one(server: &Host) -> Member {
    let text = |answer: Result<String, String>| answer.unwrap_or_default();
    let srvr = four_letters::ask(server, "srvr").await;
    let state = srvr.and_then(|answer| state(&answer));
    let (mut conf, mut mntr) = (BTreeMap::new(), BTreeMap::new());
    if state.is_ok() {
        conf = settings(&text(four_letters::ask(server, "conf").await));
        mntr = four_letters::metrics(&text(four_letters::ask(server, "mntr").await));
    }
    Member { server: format!("{}:{}", server.name, server.port), state, conf, mntr }
}

/// Takes `srvr` apart.
pub(super) fn state(answer: &str) -> Result<State, String> {
    let field = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    };
    let Some(mode) = field("Mode") else {
        let line = answer.lines().next().unwrap_or_default().trim();
        return Err(format!("it says: {line}"));
    };
    let zxid =
        field("Zxid").and_then(|text| i64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    let version = field("Zookeeper version").unwrap_or_default();
    Ok(State {
        mode: mode.to_owned(),
        zxid: zxid.map(Zxid).unwrap_or_default(),
        connections: field("Connections").unwrap_or("?").to_owned(),
        version: version.split([',', '-']).next().unwrap_or_default().to_owned(),
    })
}

/// Takes `conf` apart. The lines of the membership are settings too.
pub(super) fn settings(answer: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    answer.lines().filter_map(pair).collect()
}
