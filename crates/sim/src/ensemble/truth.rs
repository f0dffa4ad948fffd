//! What was committed: every transaction that any member has shown, in their one order, and what
//! each node was after each of them.
//!
//! It follows the naive tree ([`crate::model`]) and keeps every version of every node, so that a
//! reply of any member, however far behind, can be held against the state that it shows.

use crate::model::{Model, ModelChangeKind, parent};
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{Data, SessionId, Stat, Zxid};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A node as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) data: Option<Data>,
    pub(super) stat: Stat,
}

/// What a transaction did to a node.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: ModelChangeKind,
    pub(super) path: Box<str>,
}

/// A committed transaction.
#[derive(Debug)]
struct Committed {
    record: Arc<TxnRecord>,
    /// Where its changes begin; they end where those of the next begin.
    changes: usize,
}

/// The history of the ensemble.
pub(super) struct Truth {
    committed: Vec<Committed>,
    changes: Vec<Change>,
    model: Model,
    versions: BTreeMap<Box<str>, Vec<(Zxid, Option<State>)>>,
    /// Which transaction a client's write became.
    submitted: BTreeMap<(SessionId, i32), usize>,
}

impl Truth {
    pub(super) fn new() -> Truth {
        let model = Model::new();
        let versions = model.nodes.iter().map(|(path, node)| {
            let state = State { data: node.data.clone(), stat: node.wire_stat() };
            (path.as_str().into(), vec![(Zxid::ZERO, Some(state))])
        });
        Truth {
            versions: versions.collect(),
            committed: Vec::new(),
            changes: Vec::new(),
            model,
            submitted: BTreeMap::new(),
        }
    }

    /// How many transactions were committed.
    pub(super) fn len(&self) -> usize {
        self.committed.len()
    }

    pub(super) fn last(&self) -> Zxid {
        self.committed.last().map_or(Zxid::ZERO, |committed| committed.record.header.zxid)
    }

    /// The last transaction below this zxid.
    pub(super) fn last_before(&self, zxid: Zxid) -> Zxid {
        let place = self.committed.partition_point(|one| one.record.header.zxid < zxid);
        let last = place.checked_sub(1).and_then(|place| self.record(place));
        last.map_or(Zxid::ZERO, |record| record.header.zxid)
    }

    pub(super) fn record(&self, place: usize) -> Option<&Arc<TxnRecord>> {
        self.committed.get(place).map(|committed| &committed.record)
    }

    /// How many transactions there were up to this zxid.
    pub(super) fn place_behind(&self, zxid: Zxid) -> usize {
        self.committed.partition_point(|committed| committed.record.header.zxid <= zxid)
    }

    /// What became of a client's write.
    pub(super) fn submitted(&self, session: SessionId, cxid: i32) -> Option<&Arc<TxnRecord>> {
        self.record(*self.submitted.get(&(session, cxid))?)
    }

    /// What the transaction in this place did.
    pub(super) fn changes_of(&self, place: usize) -> &[Change] {
        let Some(committed) = self.committed.get(place) else { return &[] };
        let end = self.committed.get(place + 1).map_or(self.changes.len(), |next| next.changes);
        self.changes.get(committed.changes..end).unwrap_or_default()
    }

    /// Takes the next transaction.
    pub(super) fn commit(&mut self, record: Arc<TxnRecord>) -> Result<(), String> {
        let zxid = record.header.zxid;
        let changes = self.model.apply(&record)?;
        let first = self.changes.len();
        for change in changes {
            self.note(zxid, &change.path);
            if change.kind != ModelChangeKind::DataChanged {
                self.note(zxid, parent(&change.path));
            }
            self.changes.push(Change { kind: change.kind, path: change.path.into() });
        }
        if let Txn::SetAcl { path, .. } = &record.txn {
            self.note(zxid, path);
        }
        if record.header.cxid != 0 {
            let key = (record.header.session, record.header.cxid);
            self.submitted.insert(key, self.committed.len());
        }
        self.committed.push(Committed { record, changes: first });
        Ok(())
    }

    fn note(&mut self, zxid: Zxid, path: &str) {
        let state = self
            .model
            .nodes
            .get(path)
            .map(|node| State { data: node.data.clone(), stat: node.wire_stat() });
        if !self.versions.contains_key(path) {
            self.versions.insert(path.into(), Vec::new());
        }
        let Some(versions) = self.versions.get_mut(path) else { return };
        match versions.last_mut() {
            Some((last, former)) if *last == zxid => *former = state,
            Some(_) | None => versions.push((zxid, state)),
        }
    }

    /// A node as it was when everything up to `zxid` had happened.
    pub(super) fn at(&self, path: &str, zxid: Zxid) -> Option<&State> {
        state_at(self.versions.get(path)?, zxid)
    }

    /// The names of its children then.
    pub(super) fn children_at(&self, path: &str, zxid: Zxid) -> Vec<&str> {
        let below = if path == "/" { "/".to_string() } else { format!("{path}/") };
        let from = self.versions.range::<str, _>((Bound::Included(&*below), Bound::Unbounded));
        let mut names = Vec::new();
        for (path, versions) in from {
            let Some(name) = path.strip_prefix(below.as_str()) else { break };
            let is_child = !name.is_empty() && !name.contains('/');
            if is_child && state_at(versions, zxid).is_some() {
                names.push(name);
            }
        }
        names
    }

    /// Every node that there was then.
    pub(super) fn nodes_at(&self, zxid: Zxid) -> impl Iterator<Item = (&str, &State)> {
        let there = move |versions| state_at(versions, zxid);
        self.versions.iter().filter_map(move |(path, versions)| Some((&**path, there(versions)?)))
    }

    /// The sessions that live behind the last transaction.
    pub(super) fn sessions(&self) -> &BTreeMap<SessionId, i32> {
        &self.model.sessions
    }

    /// How many nodes there are behind the last transaction.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }
}

fn state_at(versions: &[(Zxid, Option<State>)], zxid: Zxid) -> Option<&State> {
    let place = versions.partition_point(|(since, _)| *since <= zxid);
    versions.get(place.checked_sub(1)?)?.1.as_ref()
}
