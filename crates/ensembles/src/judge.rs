//! What must hold when all members are well again: nothing lost, nothing made up, one order, equal
//! trees, equal digests.
//!
//! What it keeps true: every member is read through its own port after a `sync`, node by node, and
//! the trees are compared at one zxid. What differs between members of Apache's by their nature is
//! left out: the node of the configuration and the statistics of quotas.

use std::collections::BTreeMap;

use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::{Acl, Data, Stat, Zxid};

use crate::client::{Answer, Connection, create, set};
use crate::ensemble::Ensemble;
use crate::load::{Content, Node, ROOT, Record, data_at};
use crate::member::{Kind, Sync};
use crate::wait::wait_for;

/// A member of Apache's that was restarted from a snapshot that is a moment newer than its digest
/// counts a few; a tree that is really different counts hundreds.
const APACHE_MISMATCHES_MAX: u64 = 20;
/// One more than the steps in which digests are kept, so that every member has one in common.
const MARKS: usize = 130;
const MARK: &str = "/judge";
/// Requests in flight while a tree is read.
const WINDOW: usize = 200;
/// How often the trees may differ because a session expired between two looks.
const LOOKS: usize = 5;
/// How many differences are shown.
const SHOWN: usize = 5;
/// Gone between two looks of one reader.
const NO_NODE: i32 = -101;

/// A node as clients see it.
type Seen = (Option<Data>, Stat, Vec<Acl>);
type Tree = BTreeMap<String, Seen>;

/// Everything that clients of this ensemble were ever told.
#[derive(Debug, Default)]
pub(crate) struct History {
    zxids: BTreeMap<Zxid, ()>,
    nodes: Vec<Node>,
}

impl History {
    /// Takes a record in, if it contradicts neither itself nor what was before.
    pub(crate) fn add(&mut self, record: Record) -> Result<(), String> {
        if let Some(wrong) = record.wrong.first() {
            return Err(format!("{} wrong answers: {wrong}", record.wrong.len()));
        }
        in_real_time(&record)?;
        for ack in &record.acks {
            if self.zxids.insert(ack.zxid, ()).is_some() {
                return Err(format!("two acknowledged writes have the zxid {}", ack.zxid));
            }
        }
        self.nodes.extend(record.nodes);
        Ok(())
    }

    /// Whether a tree holds what was acknowledged, and nothing that was never asked for.
    fn held_by(&self, tree: &Tree) -> Result<(), String> {
        let mut known = BTreeMap::new();
        for node in &self.nodes {
            known.insert(node.path.as_str(), ());
            check_node(node, tree.get(&node.path))?;
        }
        let below = format!("{ROOT}/");
        let stray =
            tree.keys().find(|path| path.starts_with(&below) && !known.contains_key(path.as_str()));
        stray.map_or(Ok(()), |path| Err(format!("{path} is there, and nobody created it")))
    }
}

/// A write that was answered before another was sent has the smaller zxid.
fn in_real_time(record: &Record) -> Result<(), String> {
    let mut acks = record.acks.clone();
    acks.sort_by_key(|ack| ack.zxid);
    let mut last_sent = None;
    for ack in acks {
        if last_sent.is_some_and(|sent| ack.answered < sent) {
            let zxid = ack.zxid;
            return Err(format!("{zxid} was answered before a write with a smaller zxid was sent"));
        }
        last_sent = last_sent.max(Some(ack.sent));
    }
    Ok(())
}

fn check_node(node: &Node, seen: Option<&Seen>) -> Result<(), String> {
    let path = &node.path;
    let Some((data, stat, _)) = seen else {
        return match node.certain {
            None => Ok(()),
            Some(content) => Err(format!("{path} is lost; it was acknowledged as {content:?}")),
        };
    };
    let found = Content { czxid: stat.czxid, mzxid: stat.mzxid, version: stat.version };
    let written = data_at(path, found.version);
    if data.as_deref() != Some(written.as_slice()) {
        return Err(format!("{path} at version {} has other data", found.version));
    }
    let next = node.certain.map_or(0, |content| content.version + 1);
    let follows = node.maybe_next
        && found.version == next
        && node
            .certain
            .is_none_or(|certain| found.czxid == certain.czxid && found.mzxid > certain.mzxid);
    if follows || node.certain == Some(found) {
        return Ok(());
    }
    Err(format!("{path} was acknowledged as {:?} and is {found:?}", node.certain))
}

/// Judges; gives what was looked at, in words.
pub(crate) fn judge(ensemble: &mut Ensemble, history: &History) -> Result<String, String> {
    let all = ensemble.sids();
    ensemble.serving(&all)?;
    ensemble.leader()?;
    let mut readers = Vec::new();
    for sid in &all {
        readers.push((*sid, ensemble.connection(*sid)?));
    }
    let mut last = Ok(0);
    for _ in 0..LOOKS {
        let zxid = settle(ensemble, &mut readers)?;
        last = compare(&mut readers, history);
        let still = ensemble
            .members
            .iter()
            .all(|member| member.status().is_some_and(|status| status.zxid == zxid));
        if last.is_ok() || still {
            break;
        }
    }
    let nodes = last?;
    compare_digests(ensemble)?;
    check_mismatches(ensemble)?;
    readers.into_iter().for_each(|(_, reader)| reader.close());
    Ok(format!("{} acknowledged writes and {nodes} nodes on all members", history.zxids.len()))
}

/// Writes marks, and waits until every member is at the same zxid.
fn settle(ensemble: &Ensemble, readers: &mut [(u8, Connection)]) -> Result<Zxid, String> {
    let (_, writer) = readers.first_mut().ok_or("an ensemble without members")?;
    let told = |error: std::io::Error| format!("writing marks: {error}");
    // It may be there.
    let _made = writer.call(&create(MARK, b"")).map_err(told)?;
    let marks: Vec<Request> = (0..MARKS).map(|_| set(MARK, b"mark", -1)).collect();
    let answers = writer.pipeline(&marks, MARKS).map_err(told)?;
    if let Some(code) = answers.into_iter().find_map(Result::err) {
        return Err(format!("writing marks: error {code}"));
    }
    let marked = writer.seen;
    wait_for(&format!("all members to be at one zxid from {marked}"), || {
        let zxids: Vec<Option<Zxid>> =
            ensemble.members.iter().map(|m| m.status().map(|status| status.zxid)).collect();
        let first = zxids.first().copied().flatten().filter(|zxid| *zxid >= marked);
        Ok(first.filter(|zxid| zxids.iter().all(|other| *other == Some(*zxid))))
    })
    .map_err(|why| ensemble.explain(&why))
}

/// Reads all trees; gives the number of nodes.
fn compare(readers: &mut [(u8, Connection)], history: &History) -> Result<usize, String> {
    let mut first: Option<(u8, Tree)> = None;
    for (sid, reader) in readers {
        let tree = read_tree(reader).map_err(|why| format!("reading member {sid}: {why}"))?;
        history.held_by(&tree).map_err(|why| format!("member {sid}: {why}"))?;
        match &first {
            None => first = Some((*sid, tree)),
            Some((other, expected)) => {
                let found = differences(expected, &tree);
                if !found.is_empty() {
                    let shown: Vec<String> = found.iter().take(SHOWN).cloned().collect();
                    let (count, shown) = (found.len(), shown.join("\n"));
                    return Err(format!(
                        "members {other} and {sid} differ in {count} nodes\n{shown}"
                    ));
                }
            }
        }
    }
    Ok(first.map_or(0, |(_, tree)| tree.len()))
}

fn differences(expected: &Tree, found: &Tree) -> Vec<String> {
    let all = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    all.filter(|path| expected.get(*path) != found.get(*path))
        .map(|path| format!("{path}: {:?} and {:?}", stat(expected, path), stat(found, path)))
        .collect()
}

fn stat<'a>(tree: &'a Tree, path: &str) -> Option<&'a Stat> {
    tree.get(path).map(|(_, stat, _)| stat)
}

/// What members may hold differently.
fn is_own(path: &str) -> bool {
    path == "/zookeeper/config" || path.ends_with("/zookeeper_stats")
}

/// Level by level: children, data and access list of every node.
fn read_tree(reader: &mut Connection) -> Result<Tree, String> {
    reader.expect(&Request::Sync { path: "/".into() })?;
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let requests: Vec<Request> = level.iter().flat_map(|path| reads(path)).collect();
        let answers = reader.pipeline(&requests, WINDOW * 3).map_err(|error| error.to_string())?;
        let mut answers = answers.into_iter();
        let mut next = Vec::new();
        for path in level {
            let read = (answers.next(), answers.next(), answers.next());
            let Some((names, seen)) = understood(&path, read)? else { continue };
            let above = if path == "/" { "" } else { path.as_str() };
            next.extend(names.iter().map(|name| format!("{above}/{name}")));
            if !is_own(&path) {
                tree.insert(path, seen);
            }
        }
        level = next;
    }
    Ok(tree)
}

fn reads(path: &str) -> [Request; 3] {
    [
        Request::GetChildren { path: path.into(), watch: false },
        Request::GetData { path: path.into(), watch: false },
        Request::GetAcl { path: path.into() },
    ]
}

/// The answers to [`reads`].
type ReadAnswers = (Option<Answer>, Option<Answer>, Option<Answer>);

/// The names of a node's children, and the node.
type Understood = (Vec<Box<str>>, Seen);

/// What the answers say; `None` for a node that is gone.
fn understood(path: &str, answers: ReadAnswers) -> Result<Option<Understood>, String> {
    match answers {
        (
            Some(Ok(ReplyBody::Children(names))),
            Some(Ok(ReplyBody::Data(data, stat))),
            Some(Ok(ReplyBody::Acl(acl, _))),
        ) => Ok(Some((names.names(), (data, stat, acl)))),
        (Some(Err(NO_NODE)), ..) | (_, Some(Err(NO_NODE)), _) | (.., Some(Err(NO_NODE))) => {
            Ok(None)
        }
        other => Err(format!("{path} cannot be read: {other:?}")),
    }
}

/// Digests of members at the same zxid are equal, and there is a zxid at which all have one.
fn compare_digests(ensemble: &Ensemble) -> Result<(), String> {
    let mut all: Vec<(u8, BTreeMap<i64, String>)> = Vec::new();
    for member in &ensemble.members {
        all.push((member.sid, parse_digests(&member.word("hash")?)));
    }
    let (first, digests) = all.first().ok_or("an ensemble without members")?;
    let mut common = 0;
    for (zxid, digest) in digests {
        let others: Vec<_> =
            all.iter().filter_map(|(sid, map)| Some((sid, map.get(zxid)?))).collect();
        if let Some((sid, other)) = others.iter().find(|(_, other)| *other != digest) {
            return Err(format!(
                "digests differ at 0x{zxid:x}: {digest} at member {first}, {other} at {sid}"
            ));
        }
        common += usize::from(others.len() == all.len());
    }
    if common == 0 {
        return Err(format!("no zxid at which all members have a digest: {all:?}"));
    }
    Ok(())
}

/// Lines of `hash`: a zxid and a digest.
fn parse_digests(text: &str) -> BTreeMap<i64, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs
        .filter_map(|(zxid, digest)| {
            Some((i64::from_str_radix(zxid.trim(), 16).ok()?, digest.trim().to_owned()))
        })
        .collect()
}

fn check_mismatches(ensemble: &Ensemble) -> Result<(), String> {
    let leads = ensemble.member(ensemble.leader()?).kind;
    for member in &ensemble.members {
        let counted = member.metric("zk_digest_mismatches_count").ok_or_else(|| {
            format!("member {} says nothing of zk_digest_mismatches_count", member.sid)
        })?;
        let allowed = match (member.kind, leads) {
            // It writes while it sends, so that what came meanwhile is in the snapshot and comes
            // again: a mismatch for each, between the two of them. The trees are compared anyway.
            (Kind::Apache, Kind::Apache) if member.synced_by() == Some(Sync::Snap) => u64::MAX,
            (Kind::Apache, _) => APACHE_MISMATCHES_MAX,
            (Kind::Bellwether, _) => 0,
        };
        if counted > allowed {
            return Err(member.explain(&format!("{counted} digest mismatches")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
