//! `bellwether snapshot compare`: what differs between two snapshots, node by node, or, with a
//! threshold, by how much each subtree grew.
//!
//! It remembers every path of both with a few numbers, and no data.

use super::hold::Hold;
use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::snapshot_dump::{choose, length, path};
use super::snapshot_summary::{Sum, and_above};
use super::{Done, Failure, Found};
use bellwether_store::{OsDisk, SnapshotReader};
use bellwether_wire::Acl;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode};
use bellwether_wire::stat::StatPersisted;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// What is remembered of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Brief {
    bytes: u64,
    data: u64,
    acl: u64,
    stat: StatPersisted,
}

/// A path in the left and in the right snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    left: Option<Brief>,
    right: Option<Brief>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

type Pairs = BTreeMap<Box<str>, Pair>;

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let mut pairs = Pairs::new();
    let mut files: Vec<(PathBuf, Option<Hold>)> = Vec::new();
    for (given, side) in options.targets.iter().zip([Side::Left, Side::Right]) {
        let (file, hold) = choose(given)?;
        read(&file, side, &mut pairs)?;
        files.push((file, hold));
    }
    for ((file, _), side) in files.iter().zip(["left", "right"]) {
        out.text(|| format!("{side}: {}", file.display()))?;
    }
    match (options.bytes, options.nodes) {
        (None, None) => say_nodes(&pairs, out),
        (bytes, nodes) => {
            let over = (bytes.unwrap_or(u64::MAX), nodes.unwrap_or(u64::MAX));
            say_subtrees(&pairs, over, out)
        }
    }
}

fn read(file: &Path, side: Side, pairs: &mut Pairs) -> Result<(), Failure> {
    let mut acls: BTreeMap<i64, u64> = BTreeMap::new();
    for item in SnapshotReader::open(&OsDisk, file)? {
        match item? {
            SnapshotItem::Acl { id, acl } => {
                acls.insert(id, hash_acl(&acl));
            }
            SnapshotItem::Node(node) => {
                // The ids of ACLs are each snapshot's own; what they stand for is compared.
                let acl = acls
                    .get(&node.acl_id)
                    .copied()
                    .unwrap_or_else(|| hash_acl(&[Acl::world_all()]));
                let pair = pairs.entry(path(&node).into()).or_default();
                let brief = Some(Brief::of(&node, acl));
                match side {
                    Side::Left => pair.left = brief,
                    Side::Right => pair.right = brief,
                }
            }
            SnapshotItem::Session { .. }
            | SnapshotItem::Digest { .. }
            | SnapshotItem::LastProcessed(_) => {}
        }
    }
    Ok(())
}

fn hash_acl(acl: &[Acl]) -> u64 {
    let mut hasher = DefaultHasher::new();
    acl.hash(&mut hasher);
    hasher.finish()
}

impl Brief {
    fn of(node: &SnapshotNode, acl: u64) -> Brief {
        let mut hasher = DefaultHasher::new();
        node.data.hash(&mut hasher);
        Brief { bytes: length(node), data: hasher.finish(), acl, stat: node.stat }
    }

    /// What of a node differs.
    fn differences(&self, other: &Brief) -> Vec<String> {
        let mut all = Vec::new();
        if self.data != other.data {
            all.push(format!("data ({} bytes, {} bytes)", self.bytes, other.bytes));
        }
        if self.acl != other.acl {
            all.push("acl".to_owned());
        }
        let (a, b) = (&self.stat, &other.stat);
        let stats = [
            ("czxid", a.czxid.0, b.czxid.0),
            ("mzxid", a.mzxid.0, b.mzxid.0),
            ("pzxid", a.pzxid.0, b.pzxid.0),
            ("ctime", a.ctime, b.ctime),
            ("mtime", a.mtime, b.mtime),
            ("version", a.version.into(), b.version.into()),
            ("cversion", a.cversion.into(), b.cversion.into()),
            ("aversion", a.aversion.into(), b.aversion.into()),
            ("owner", a.ephemeral_owner, b.ephemeral_owner),
        ];
        let stats = stats.into_iter().filter(|(_, a, b)| a != b).map(|(name, ..)| name.to_owned());
        all.extend(stats);
        all
    }
}

/// Every node that is not the same in both.
fn say_nodes(pairs: &Pairs, out: &mut Out) -> Done {
    let (mut added, mut removed, mut changed) = (0_u64, 0_u64, 0_u64);
    for (path, pair) in pairs {
        let (sign, what, count) = match (pair.left, pair.right) {
            (None, Some(right)) => ('+', vec![format!("{} bytes", right.bytes)], &mut added),
            (Some(left), None) => ('-', vec![format!("{} bytes", left.bytes)], &mut removed),
            (Some(left), Some(right)) => ('~', left.differences(&right), &mut changed),
            (None, None) => unreachable!("a path was read from one of them"),
        };
        if what.is_empty() {
            continue;
        }
        *count += 1;
        let kind = match sign {
            '+' => "added",
            '-' => "removed",
            _ => "changed",
        };
        out.say(
            || format!("{sign} {path}  {}", what.join(", ")),
            || Object::new(kind).text("path", path).texts("what", what.clone()),
        )?;
    }
    out.say(
        || format!("{added} added, {removed} removed, {changed} changed"),
        || {
            let object = Object::new("compared").number("added", added);
            object.number("removed", removed).number("changed", changed)
        },
    )?;
    Ok(if added + removed + changed == 0 { Found::Nothing } else { Found::Something })
}

/// Every node below which the bytes or the nodes differ by more than a threshold.
fn say_subtrees(pairs: &Pairs, over: (u64, u64), out: &mut Out) -> Done {
    let mut sums: BTreeMap<&str, (Sum, Sum)> = BTreeMap::new();
    for (path, pair) in pairs {
        for above in and_above(path) {
            let (left, right) = sums.entry(above).or_default();
            for (brief, sum) in [(pair.left, left), (pair.right, right)] {
                sum.nodes += u64::from(brief.is_some());
                sum.bytes += brief.map_or(0, |brief| brief.bytes);
            }
        }
    }
    let mut found = Found::Nothing;
    for (path, (left, right)) in &sums {
        let bytes = right.bytes.cast_signed() - left.bytes.cast_signed();
        let nodes = right.nodes.cast_signed() - left.nodes.cast_signed();
        if bytes.unsigned_abs() <= over.0 && nodes.unsigned_abs() <= over.1 {
            continue;
        }
        found = Found::Something;
        let whose = match (left.nodes, right.nodes) {
            (0, _) => "only right",
            (_, 0) => "only left",
            (_, _) => "both",
        };
        out.say(
            || format!("{path}  {bytes:+} bytes  {nodes:+} nodes  ({whose})"),
            || {
                let object = Object::new("subtree").text("path", path).number("bytes", bytes);
                object.number("nodes", nodes).text("in", whose)
            },
        )?;
    }
    Ok(found)
}
