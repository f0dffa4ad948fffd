//! Values by connection. Every request looks its connection up several times, so this is a hash
//! table; the ids are kept in order beside it for whoever walks, so that equal runs stay equal.

use crate::event::ConnId;
use hashbrown::HashTable;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Values under the ids of connections.
///
/// Ids are given out by the shell and never by a client, so nobody can make them collide.
///
/// Invariant: `ids` are those of `entries`.
#[derive(Debug)]
pub struct ByConn<T> {
    entries: HashTable<(ConnId, T)>,
    ids: BTreeSet<ConnId>,
}

impl<T> Default for ByConn<T> {
    fn default() -> ByConn<T> {
        ByConn { entries: HashTable::new(), ids: BTreeSet::new() }
    }
}

impl<T> ByConn<T> {
    /// Sets a connection's value; gives back the former one.
    pub fn insert(&mut self, id: ConnId, value: T) -> Option<T> {
        if let Some(former) = self.get_mut(id) {
            return Some(std::mem::replace(former, value));
        }
        self.ids.insert(id);
        self.entries.insert_unique(hash(id), (id, value), |(id, _)| hash(*id));
        None
    }

    /// Takes a connection's value out.
    pub fn remove(&mut self, id: ConnId) -> Option<T> {
        let found = self.entries.find_entry(hash(id), |(it, _)| *it == id).ok()?;
        let ((_, value), _) = found.remove();
        self.ids.remove(&id);
        Some(value)
    }

    /// A connection's value.
    pub fn get(&self, id: ConnId) -> Option<&T> {
        self.entries.find(hash(id), |(it, _)| *it == id).map(|(_, value)| value)
    }

    /// A connection's value, to be changed.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        self.entries.find_mut(hash(id), |(it, _)| *it == id).map(|(_, value)| value)
    }

    /// How many connections have one.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has one.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &T)> {
        self.after(Bound::Unbounded)
    }

    /// Those from a place in the order of ids on.
    pub fn after(&self, from: Bound<ConnId>) -> impl Iterator<Item = (ConnId, &T)> {
        self.ids
            .range((from, Bound::Unbounded))
            .map(|id| (*id, self.get(*id).expect("every id has its entry")))
    }
}

/// Ids count up; a table looks at the highest and the lowest bits of a hash.
fn hash(id: ConnId) -> u64 {
    id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in_and_walks_in_the_order_of_ids() {
        let mut table = ByConn::default();
        for id in (0..1000).rev() {
            assert_eq!(table.insert(ConnId(id), id), None);
        }
        assert_eq!(table.insert(ConnId(7), 70), Some(7));
        assert_eq!((table.remove(ConnId(8)), table.remove(ConnId(8))), (Some(8), None));
        assert_eq!((table.get(ConnId(7)), table.get(ConnId(8))), (Some(&70), None));
        let ids: Vec<u64> = table.iter().map(|(id, _)| id.0).collect();
        let expected: Vec<u64> = (0..1000).filter(|id| *id != 8).collect();
        assert_eq!((ids, table.len()), (expected, 999));
        let next = table.after(Bound::Excluded(ConnId(7))).next();
        assert_eq!(next, Some((ConnId(9), &9)));
    }
}
