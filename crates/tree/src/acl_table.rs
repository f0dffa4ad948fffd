//! The distinct ACLs of the tree, each stored once and counted.
//!
//! Nodes refer to a list by a small number of this process. On disk a list has an id that is never
//! given out twice, so that a snapshot, which writes the table before the nodes, cannot refer to
//! one list by the id of another.

use crate::slab::Slab;
use bellwether_wire::disk::snapshot::OPEN_ACL_ID;
use bellwether_wire::{Acl, Perms};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

/// A node's hold on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AclRef(u32);

impl AclRef {
    /// Everything to everybody, without a table entry: what the system nodes have.
    pub(crate) const OPEN: AclRef = AclRef(0);
}

struct Entry {
    acl: Arc<[Acl]>,
    /// The id on disk.
    id: i64,
    /// How many nodes refer to it.
    refs: u64,
}

/// The lists.
///
/// Invariant: `by_list` and `by_id` hold every entry of `slab` but [`AclRef::OPEN`].
pub(crate) struct AclTable {
    slab: Slab<Entry>,
    by_list: BTreeMap<Arc<[Acl]>, u32>,
    by_id: BTreeMap<i64, u32>,
    /// The highest id ever given out or loaded.
    last_id: i64,
}

impl AclTable {
    pub(crate) fn new() -> AclTable {
        let mut slab = Slab::new();
        let open = Entry { acl: Arc::new([Acl::world_all()]), id: OPEN_ACL_ID, refs: 0 };
        assert_eq!(AclRef(slab.insert(open)), AclRef::OPEN, "an empty slab starts at 0");
        AclTable { slab, by_list: BTreeMap::new(), by_id: BTreeMap::new(), last_id: 0 }
    }

    /// A reference more to `acl`, which gets an entry if it has none.
    pub(crate) fn acquire(&mut self, acl: &[Acl]) -> AclRef {
        if let Some(slot) = self.by_list.get(acl) {
            let entry = self.slab.get_mut(*slot).expect("both maps hold live entries");
            entry.refs += 1;
            return AclRef(*slot);
        }
        self.last_id += 1;
        self.add(self.last_id, acl.into(), 1)
    }

    /// A reference more to an ACL that a node has already.
    pub(crate) fn retain(&mut self, acl: AclRef) {
        self.slab.get_mut(acl.0).expect("nodes hold references").refs += 1;
    }

    /// A reference less; the last one takes the entry with it.
    pub(crate) fn release(&mut self, acl: AclRef) {
        let entry = self.slab.get_mut(acl.0).expect("nodes hold references");
        if acl == AclRef::OPEN {
            return;
        }
        entry.refs -= 1;
        if entry.refs == 0 {
            self.forget(acl.0);
        }
    }

    pub(crate) fn get(&self, acl: AclRef) -> &Arc<[Acl]> {
        &self.entry(acl.0).acl
    }

    /// The table's own copy of a list, if it has one.
    pub(crate) fn shared(&self, acl: &[Acl]) -> Option<Arc<[Acl]>> {
        self.by_list.get_key_value(acl).map(|(list, _)| Arc::clone(list))
    }

    /// The id on disk.
    pub(crate) fn id(&self, acl: AclRef) -> i64 {
        self.entry(acl.0).id
    }

    /// The highest id so far.
    pub(crate) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// The entry with the lowest id above `after` and not above `max`.
    pub(crate) fn next(&self, after: i64, max: i64) -> Option<(i64, &Arc<[Acl]>)> {
        if after >= max {
            return None;
        }
        let (id, slot) = self.by_id.range((Excluded(after), Included(max))).next()?;
        Some((*id, &self.entry(*slot).acl))
    }

    /// Takes an entry of a snapshot, which no node refers to yet. A list that is there under
    /// another id, which Apache never writes, keeps both ids.
    pub(crate) fn load(&mut self, id: i64, acl: Vec<Acl>) {
        self.last_id = self.last_id.max(id);
        if let Some(slot) = self.by_list.get(&*acl) {
            self.by_id.entry(id).or_insert(*slot);
        } else if !self.by_id.contains_key(&id) {
            self.add(id, acl.into(), 0);
        }
    }

    /// The reference that a node of a snapshot names, if the snapshot's table had the id.
    pub(crate) fn loaded(&mut self, id: i64) -> Option<AclRef> {
        let acl = match id {
            OPEN_ACL_ID => AclRef::OPEN,
            id => AclRef(*self.by_id.get(&id)?),
        };
        self.retain(acl);
        Some(acl)
    }

    /// Drops what no node refers to, and ids that are not their entry's own: loading is over.
    pub(crate) fn purge(&mut self) {
        let slab = &self.slab;
        self.by_id.retain(|id, slot| slab.get(*slot).is_some_and(|entry| entry.id == *id));
        let unused = |slot: &&u32| slab.get(**slot).is_some_and(|entry| entry.refs == 0);
        let unused: Vec<u32> = self.by_list.values().filter(unused).copied().collect();
        for slot in unused {
            self.forget(slot);
        }
    }

    /// Ids and counts of references, for the tree's check of itself.
    pub(crate) fn counts(&self) -> BTreeMap<i64, u64> {
        self.by_id.iter().map(|(id, slot)| (*id, self.entry(*slot).refs)).collect()
    }

    fn entry(&self, slot: u32) -> &Entry {
        self.slab.get(slot).expect("nodes hold references, and both maps hold live entries")
    }

    fn add(&mut self, id: i64, acl: Arc<[Acl]>, refs: u64) -> AclRef {
        let slot = self.slab.insert(Entry { acl: Arc::clone(&acl), id, refs });
        self.by_list.insert(acl, slot);
        self.by_id.insert(id, slot);
        AclRef(slot)
    }

    fn forget(&mut self, slot: u32) {
        let entry = self.slab.remove(slot).expect("the caller found this entry");
        self.by_list.remove(&entry.acl);
        self.by_id.remove(&entry.id);
    }
}

/// An ACL that grants nothing. It stands where a snapshot names an id that its table lacks, until
/// the log's replay, which has the transaction that set the ACL, puts it in place.
pub(crate) fn grants_nothing() -> Acl {
    Acl { perms: Perms(0), ..Acl::world_all() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(id: &str) -> Vec<Acl> {
        vec![Acl { scheme: "digest".into(), id: id.into(), perms: Perms::READ }]
    }

    #[test]
    fn a_list_is_stored_once_and_dropped_with_its_last_reference() {
        let mut table = AclTable::new();
        let (a, b) = (table.acquire(&list("a")), table.acquire(&list("b")));
        assert_eq!(table.acquire(&list("a")), a);
        table.release(a);
        assert_eq!(**table.get(a), *list("a"));
        table.release(a);
        assert_eq!(table.shared(&list("a")), None);
        assert_eq!(table.next(0, 9).map(|(id, _)| id), Some(table.id(b)));
    }

    #[test]
    fn an_id_is_never_given_out_again() {
        let mut table = AclTable::new();
        let a = table.acquire(&list("a"));
        assert_eq!(table.id(a), 1);
        table.release(a);
        let a = table.acquire(&list("a"));
        assert_eq!(table.id(a), 2);
    }

    #[test]
    fn loading_keeps_ids_and_purges_what_is_unused() {
        let mut table = AclTable::new();
        table.load(7, list("a"));
        table.load(9, list("b"));
        table.load(11, list("a"));
        assert_eq!(table.loaded(8), None);
        assert_eq!(table.loaded(OPEN_ACL_ID), Some(AclRef::OPEN));
        let a = table.loaded(11).expect("it was loaded");
        table.purge();
        assert_eq!((table.id(a), table.counts()), (7, BTreeMap::from([(7, 1)])));
        let c = table.acquire(&list("c"));
        assert_eq!(table.id(c), 12);
    }

    #[test]
    fn the_open_acl_needs_no_entry() {
        let mut table = AclTable::new();
        let written_out = table.acquire(&[Acl::world_all()]);
        assert_ne!(written_out, AclRef::OPEN);
        assert_eq!(table.get(written_out), table.get(AclRef::OPEN));
        table.release(AclRef::OPEN);
        assert_eq!(table.id(AclRef::OPEN), OPEN_ACL_ID);
    }
}
