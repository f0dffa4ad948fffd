//! `bellwether snapshot summary`: how many nodes and bytes stand below each node, to a depth.
//!
//! Memory grows with the nodes that are shown, not with the snapshot.

use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::snapshot_dump::{choose, length};
use super::{Done, Failure, Found};
use bellwether_store::{OsDisk, SnapshotReader};
use bellwether_wire::disk::SnapshotItem;
use std::collections::BTreeMap;

/// What stands at and below a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) nodes: u64,
    pub(super) bytes: u64,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let (file, _hold) = choose(options.target())?;
    let root = options.path.trim_end_matches('/');
    if !options.path.starts_with('/') {
        return Err(Failure::Usage(format!("--path {}: a path begins with /.", options.path)));
    }
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    for item in SnapshotReader::open(&OsDisk, &file)? {
        if let SnapshotItem::Node(node) = item?
            && let Some(below) = node.path.strip_prefix(root)
            && (below.is_empty() || below.starts_with('/'))
        {
            add(&mut sums, below, length(&node), options.depth);
        }
    }
    if sums.is_empty() {
        let (file, path) = (file.display(), &options.path);
        out.say(
            || format!("{file} has no node {path}"),
            || Object::new("missing").text("path", path),
        )?;
        return Ok(Found::Something);
    }
    for (names, sum) in &sums {
        let shown = format!("{root}{}", joined(names));
        let shown = if shown.is_empty() { "/" } else { &shown };
        let Sum { nodes, bytes } = sum;
        out.say(
            || format!("{}{shown}  nodes {nodes}  bytes {bytes}", "  ".repeat(names.len())),
            || {
                let object = Object::new("sum").text("path", shown).number("level", names.len());
                object.number("nodes", nodes).number("bytes", bytes)
            },
        )?;
    }
    Ok(Found::Nothing)
}

fn joined(names: &[String]) -> String {
    names.iter().map(|name| format!("/{name}")).collect()
}

/// Adds a node to its own sum and to that of every shown node above it.
fn add(sums: &mut BTreeMap<Vec<String>, Sum>, below: &str, bytes: u64, depth: usize) {
    let names: Vec<String> = below.split('/').skip(1).map(str::to_owned).collect();
    let levels = if depth == 0 { names.len() } else { names.len().min(depth) };
    for level in 0..=levels {
        let key = names.get(..level).unwrap_or_default().to_vec();
        let sum = sums.entry(key).or_default();
        sum.nodes += 1;
        sum.bytes += bytes;
    }
}

/// The same for any path: its own and those above it, down from the root.
pub(super) fn and_above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    let above = ends.map(|at| path.get(..at).unwrap_or_default());
    let own = (path != "/").then_some(path);
    std::iter::once("/").chain(above).chain(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_counts_in_all_above_it_to_the_depth() {
        let check = |depth, expected: &[(&str, u64, u64)]| {
            let mut sums = BTreeMap::new();
            for (path, bytes) in [("", 1), ("/a", 10), ("/a/b", 100), ("/a/b/c", 1000), ("/d", 0)] {
                add(&mut sums, path, bytes, depth);
            }
            let found: Vec<(String, u64, u64)> =
                sums.iter().map(|(names, sum)| (joined(names), sum.nodes, sum.bytes)).collect();
            let expected: Vec<(String, u64, u64)> =
                expected.iter().map(|(path, n, b)| ((*path).to_owned(), *n, *b)).collect();
            assert_eq!(found, expected);
        };
        check(1, &[("", 5, 1111), ("/a", 3, 1110), ("/d", 1, 0)]);
        let all =
            [("", 5, 1111), ("/a", 3, 1110), ("/a/b", 2, 1100), ("/a/b/c", 1, 1000), ("/d", 1, 0)];
        check(0, &all);
    }

    #[test]
    fn a_path_and_those_above_it() {
        let all = |path| and_above(path).collect::<Vec<_>>();
        assert_eq!(all("/"), ["/"]);
        assert_eq!(all("/a/b"), ["/", "/a", "/a/b"]);
    }
}
