//! What one client's subtree must be after each of its writes.
//!
//! Every client writes below a node of its own, so the outcome of each of its writes follows from
//! its earlier ones alone: no matter how the server interleaves the clients, the subtree it shows
//! after a crash must be the one after some prefix of the client's writes, and that prefix must
//! hold every acknowledged one.

use std::collections::BTreeMap;

pub(super) const NO_NODE: i32 = -101;
pub(super) const BAD_VERSION: i32 = -103;
pub(super) const NODE_EXISTS: i32 = -110;
pub(super) const NOT_EMPTY: i32 = -111;
const RUNTIME_INCONSISTENCY: i32 = -2;

/// How long a created node lives, and who names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Persistent,
    Ephemeral,
    Sequential,
}

/// One request that changes the tree. A version of -1 means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Create {
        path: String,
        data: Vec<u8>,
        kind: Kind,
    },
    Set {
        path: String,
        data: Vec<u8>,
        version: i32,
    },
    Delete {
        path: String,
        version: i32,
    },
    /// Only within a multi.
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Op>),
    CloseSession,
}

/// What the reply to a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Created(String),
    /// The version after the write.
    Set(i32),
    Deleted,
    Checked,
    Multi(Vec<Outcome>),
    Closed,
    Failed(i32),
}

/// A node as its stat and data would be read. The zxids are known once they were acknowledged or
/// read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) data: Vec<u8>,
    pub(super) version: i32,
    pub(super) ephemeral: bool,
    /// How many children were ever created: the number that names the next sequential one.
    pub(super) creates_count: i32,
    pub(super) created_zxid: Option<i64>,
    pub(super) modified_zxid: Option<i64>,
}

/// All nodes of one client, its own root included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subtree {
    pub(super) nodes: BTreeMap<String, Node>,
}

/// The path of the parent; that of a top-level node is empty.
pub(super) fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Subtree {
    /// How many children each node with children has.
    pub(super) fn children_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for path in self.nodes.keys() {
            *counts.entry(parent_of(path)).or_default() += 1;
        }
        counts
    }

    fn has_children(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.nodes.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
    }

    /// Applies one write and says what its reply must be. A write that fails changes nothing.
    pub(super) fn apply(&mut self, op: &Op, zxid: Option<i64>) -> Outcome {
        match self.try_apply(op, zxid) {
            Ok(outcome) => outcome,
            Err(code) => Outcome::Failed(code),
        }
    }

    fn try_apply(&mut self, op: &Op, zxid: Option<i64>) -> Result<Outcome, i32> {
        match op {
            Op::Create { path, data, kind } => self.create(path, data, *kind, zxid),
            Op::Set { path, data, version } => {
                let node = self.at_version(path, *version)?;
                node.data.clone_from(data);
                node.version += 1;
                node.modified_zxid = zxid;
                Ok(Outcome::Set(node.version))
            }
            Op::Delete { path, version } => {
                self.at_version(path, *version)?;
                if self.has_children(path) {
                    return Err(NOT_EMPTY);
                }
                self.nodes.remove(path);
                Ok(Outcome::Deleted)
            }
            Op::Check { path, version } => {
                self.at_version(path, *version).map(|_| Outcome::Checked)
            }
            Op::Multi(ops) => Ok(Outcome::Multi(self.apply_multi(ops, zxid))),
            Op::CloseSession => {
                self.nodes.retain(|_, node| !node.ephemeral);
                Ok(Outcome::Closed)
            }
        }
    }

    fn create(
        &mut self,
        path: &str,
        data: &[u8],
        kind: Kind,
        zxid: Option<i64>,
    ) -> Result<Outcome, i32> {
        let parent = parent_of(path);
        let number = match self.nodes.get(parent) {
            Some(node) => node.creates_count,
            None if parent.is_empty() => 0,
            None => return Err(NO_NODE),
        };
        let path = match kind {
            Kind::Sequential => format!("{path}{number:010}"),
            Kind::Persistent | Kind::Ephemeral => path.to_owned(),
        };
        if self.nodes.contains_key(&path) {
            return Err(NODE_EXISTS);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.creates_count += 1;
        }
        let node = Node {
            data: data.to_vec(),
            version: 0,
            ephemeral: kind == Kind::Ephemeral,
            creates_count: 0,
            created_zxid: zxid,
            modified_zxid: zxid,
        };
        self.nodes.insert(path.clone(), node);
        Ok(Outcome::Created(path))
    }

    fn at_version(&mut self, path: &str, version: i32) -> Result<&mut Node, i32> {
        let node = self.nodes.get_mut(path).ok_or(NO_NODE)?;
        if version == -1 || version == node.version { Ok(node) } else { Err(BAD_VERSION) }
    }

    /// All of the writes or none. The results of a failed multi: 0 before the failing write, its
    /// error, and an error that says nothing for those after it.
    fn apply_multi(&mut self, ops: &[Op], zxid: Option<i64>) -> Vec<Outcome> {
        let before = self.clone();
        let mut outcomes = Vec::new();
        for op in ops {
            match self.try_apply(op, zxid) {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    *self = before;
                    let failed = outcomes.len();
                    return (0..ops.len())
                        .map(|place| match place.cmp(&failed) {
                            std::cmp::Ordering::Less => Outcome::Failed(0),
                            std::cmp::Ordering::Equal => Outcome::Failed(code),
                            std::cmp::Ordering::Greater => Outcome::Failed(RUNTIME_INCONSISTENCY),
                        })
                        .collect();
                }
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str, kind: Kind) -> Op {
        Op::Create { path: path.to_owned(), data: b"d".to_vec(), kind }
    }

    fn created(path: &str) -> Outcome {
        Outcome::Created(path.to_owned())
    }

    /// The outcomes of the writes, and the paths that are there after them.
    fn check(ops: &[Op], outcomes: &[Outcome], paths: &[&str]) {
        let mut tree = Subtree::default();
        let applied: Vec<Outcome> = ops.iter().map(|op| tree.apply(op, None)).collect();
        assert_eq!(applied, outcomes);
        assert_eq!(tree.nodes.keys().collect::<Vec<_>>(), paths);
    }

    #[test]
    fn sequential_names_count_creates_and_not_children() {
        let delete = Op::Delete { path: "/c/s0000000000".to_owned(), version: -1 };
        check(
            &[
                create("/c", Kind::Persistent),
                create("/c/s", Kind::Sequential),
                delete,
                create("/c/s", Kind::Sequential),
            ],
            &[
                created("/c"),
                created("/c/s0000000000"),
                Outcome::Deleted,
                created("/c/s0000000001"),
            ],
            &["/c", "/c/s0000000001"],
        );
    }

    #[test]
    fn a_failed_multi_changes_nothing_and_names_the_failing_write() {
        let check_op = Op::Check { path: "/c".to_owned(), version: 7 };
        let failing =
            vec![create("/c/a", Kind::Persistent), check_op, create("/c/b", Kind::Persistent)];
        let expected = [0, BAD_VERSION, RUNTIME_INCONSISTENCY].map(Outcome::Failed).to_vec();
        check(
            &[create("/c", Kind::Persistent), Op::Multi(failing)],
            &[created("/c"), Outcome::Multi(expected)],
            &["/c"],
        );
    }

    #[test]
    fn a_closed_session_takes_its_ephemerals_along() {
        check(
            &[
                create("/c", Kind::Persistent),
                create("/c/e", Kind::Ephemeral),
                create("/c/e", Kind::Persistent),
                Op::Delete { path: "/c".to_owned(), version: 0 },
                Op::CloseSession,
            ],
            &[
                created("/c"),
                created("/c/e"),
                Outcome::Failed(NODE_EXISTS),
                Outcome::Failed(NOT_EMPTY),
                Outcome::Closed,
            ],
            &["/c"],
        );
    }
}
