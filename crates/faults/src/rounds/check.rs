//! What the restarted server shows, held against what every client was told.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use super::model::{NO_NODE, Node, Op, Outcome, Subtree};
use super::wire::{Connection, Session, Stat};
use super::workload::Client;
use super::{Finding, FindingKind};

const DIFFERENCES_SHOWN: usize = 6;

type Observed = BTreeMap<String, (Vec<u8>, Stat)>;

/// A client taken up again: the connection if its session lives, and the state that it is in.
struct Resumed {
    connection: Option<Connection>,
    base: Subtree,
}

/// Checks every client's subtree and session, ends the sessions, and leaves each client ready for
/// its next round. An error means that the server stopped answering.
pub(super) fn check(clients: &mut [Client], address: SocketAddr) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut zxid_max = 0;
    let mut resumed = Vec::new();
    for client in &mut *clients {
        match resume(client, address) {
            Ok((taken_up, zxid)) => {
                zxid_max = zxid_max.max(zxid).max(client.zxid_max);
                resumed.push(taken_up);
            }
            Err(Failure::Finding(finding)) => findings.push(finding),
            Err(Failure::Io(error)) => return Err(error),
        }
    }
    if !findings.is_empty() {
        return Ok(findings);
    }
    for (client, taken_up) in clients.iter_mut().zip(resumed) {
        findings.extend(end_session(client, taken_up, address, &mut zxid_max)?);
    }
    Ok(findings)
}

enum Failure {
    Finding(Finding),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes up the client's session and finds the prefix of its writes that the server holds.
fn resume(client: &Client, address: SocketAddr) -> Result<(Resumed, i64), Failure> {
    let connection = match &client.session {
        Some(session) => take_up(client, session, address)?,
        None => None,
    };
    let mut reader = match Connection::open(address, None, 0)? {
        Some(reader) => reader,
        None => return Err(io::Error::other("a new session was refused").into()),
    };
    let observed = read_subtree(&mut reader, &client.root)?;
    reader.call(&Op::CloseSession)?;
    let session_id = client.session.as_ref().map_or(0, |session| session.id);
    let base = matching_prefix(client, &observed, connection.is_some(), session_id)
        .map_err(Failure::Finding)?;
    let zxids = observed
        .values()
        .flat_map(|(_, stat)| [stat.created_zxid, stat.modified_zxid, stat.children_zxid]);
    Ok((Resumed { connection, base }, zxids.max().unwrap_or(0)))
}

fn take_up(
    client: &Client,
    session: &Session,
    address: SocketAddr,
) -> Result<Option<Connection>, Failure> {
    match Connection::open(address, Some(session), client.zxid_max) {
        Ok(connection) => Ok(connection),
        // A server closes the connection of a client that has seen a later zxid than it has.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failure::Finding(Finding::new(
                FindingKind::Lost,
                format!("{}: the server is behind zxid {:#x}", client.root, client.zxid_max),
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn read_subtree(connection: &mut Connection, root: &str) -> io::Result<Observed> {
    let mut observed = Observed::new();
    let mut unread = vec![root.to_owned()];
    while let Some(path) = unread.pop() {
        match (connection.get_data(&path)?, connection.get_children(&path)?) {
            (Ok(node), Ok(children)) => {
                unread.extend(children.iter().map(|name| format!("{path}/{name}")));
                observed.insert(path, node);
            }
            (Err(NO_NODE), Err(NO_NODE)) => {} // Only the root: it was never created.
            (data, children) => {
                let codes = (data.err(), children.err());
                return Err(io::Error::other(format!("reading {path}: {codes:?}")));
            }
        }
    }
    Ok(observed)
}

/// The state after the shortest prefix of the client's writes that holds all acknowledged ones and
/// equals what is there.
fn matching_prefix(
    client: &Client,
    observed: &Observed,
    session_lives: bool,
    session_id: i64,
) -> Result<Subtree, Finding> {
    let mut state = client.base.clone();
    let mut closed = client.session.is_none();
    let (acknowledged, possible) = client.sent.split_at(client.acknowledged_count);
    for sent in acknowledged {
        state.apply(&sent.op, sent.acknowledged);
        closed |= sent.op == Op::CloseSession;
    }
    let difference_from_acknowledged = differences(&state, observed, session_id);
    let acknowledged_closed = closed;
    let mut rest = possible.iter();
    loop {
        if closed != session_lives && differences(&state, observed, session_id).is_empty() {
            return Ok(with_zxids(state, observed));
        }
        let Some(sent) = rest.next() else { break };
        state.apply(&sent.op, None);
        closed |= sent.op == Op::CloseSession;
    }
    let mut detail = vec![format!(
        "{}: {} writes acknowledged, {} possible, and what is there is none of these states",
        client.root,
        acknowledged.len(),
        possible.len()
    )];
    if acknowledged_closed == session_lives {
        detail.push(format!("session alive: {session_lives}"));
    }
    detail.extend(difference_from_acknowledged.into_iter().take(DIFFERENCES_SHOWN));
    Err(Finding::new(FindingKind::Lost, detail.join("; ")))
}

fn differences(state: &Subtree, observed: &Observed, session_id: i64) -> Vec<String> {
    let mut found = Vec::new();
    let children_counts = state.children_counts();
    for (path, node) in &state.nodes {
        match observed.get(path) {
            None => found.push(format!("{path} is missing")),
            Some((data, stat)) => {
                let children = children_counts.get(path.as_str()).copied().unwrap_or(0);
                let differences = node_differences(node, data, stat, (children, session_id));
                found.extend(differences.into_iter().map(|what| format!("{path}: {what}")));
            }
        }
    }
    let unexpected = observed.keys().filter(|path| !state.nodes.contains_key(*path));
    found.extend(unexpected.map(|path| format!("{path} is there")));
    found
}

fn node_differences(
    node: &Node,
    data: &[u8],
    stat: &Stat,
    (children_count, session_id): (usize, i64),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: i64, actual: i64| {
        if expected != actual {
            found.push(format!("{what} {actual:#x} and not {expected:#x}"));
        }
    };
    compare("version", node.version.into(), stat.version.into());
    compare("owner", if node.ephemeral { session_id } else { 0 }, stat.owner);
    compare("czxid", node.created_zxid.unwrap_or(stat.created_zxid), stat.created_zxid);
    compare("mzxid", node.modified_zxid.unwrap_or(stat.modified_zxid), stat.modified_zxid);
    let children_count = i64::try_from(children_count).expect("a test has few nodes");
    // The wire shows the creates twice less the children that are there.
    let children_version = 2 * i64::from(node.creates_count) - children_count;
    compare("cversion", children_version, stat.children_version.into());
    if node.data != data {
        found.push(format!("{} other bytes and not {}", data.len(), node.data.len()));
    }
    found
}

/// The state with the zxids that the server shows: from here on they must not change.
fn with_zxids(mut state: Subtree, observed: &Observed) -> Subtree {
    for (path, node) in &mut state.nodes {
        if let Some((_, stat)) = observed.get(path) {
            node.created_zxid = Some(stat.created_zxid);
            node.modified_zxid = Some(stat.modified_zxid);
        }
    }
    state
}

/// Closes the session that lived on, whose ephemerals must go with it.
fn end_session(
    client: &mut Client,
    resumed: Resumed,
    address: SocketAddr,
    zxid_max: &mut i64,
) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut base = resumed.base;
    if let Some(mut connection) = resumed.connection {
        let ephemerals: Vec<String> = base
            .nodes
            .iter()
            .filter(|(_, node)| node.ephemeral)
            .map(|(path, _)| path.clone())
            .collect();
        let reply = connection.call(&Op::CloseSession)?;
        if reply.outcome != Outcome::Closed {
            let detail = format!("{}: closing: {:?}", client.root, reply.outcome);
            findings.push(Finding::new(FindingKind::WrongReply, detail));
        }
        if reply.zxid <= *zxid_max {
            let detail = format!("zxid {:#x} after {zxid_max:#x} was seen", reply.zxid);
            findings.push(Finding::new(FindingKind::ZxidReused, detail));
        }
        *zxid_max = reply.zxid.max(*zxid_max);
        client.zxid_max = client.zxid_max.max(reply.zxid);
        base.apply(&Op::CloseSession, None);
        findings.extend(left_over(address, &ephemerals)?);
    }
    client.begin_round(base);
    Ok(findings)
}

fn left_over(address: SocketAddr, ephemerals: &[String]) -> io::Result<Vec<Finding>> {
    if ephemerals.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Connection::open(address, None, 0)?
        .ok_or_else(|| io::Error::other("a new session was refused"))?;
    let mut findings = Vec::new();
    for path in ephemerals {
        if reader.get_data(path)?.is_ok() {
            let detail = format!("{path} outlives its session");
            findings.push(Finding::new(FindingKind::WrongReply, detail));
        }
    }
    reader.call(&Op::CloseSession)?;
    Ok(findings)
}
