//! From paths to ids, without storing the paths.
//!
//! A path is hashed once, as a whole, with a keyed hash, so that nobody can make paths collide. The
//! table holds ids and 32 bits of each hash; whether an id means the path is asked of the caller.
//!
//! The table is cut into shards that grow one by one, and a growing shard does not look at what it
//! refers to: with two million paths, one growth moves some two thousand 8-byte entries. One large
//! table was seen to stall a single insert for 457 ms.

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The bits of a hash that choose the shard.
const SHARD_BITS: u32 = 11;

/// The keyed hash of paths.
#[derive(Clone, Copy)]
pub(crate) struct PathHasher {
    seed: [u64; 2],
}

impl PathHasher {
    pub(crate) fn new(seed: [u64; 2]) -> PathHasher {
        PathHasher { seed }
    }

    fn start(self) -> SipHasher13 {
        let [key0, key1] = self.seed;
        SipHasher13::new_with_keys(key0, key1)
    }

    pub(crate) fn hash(self, path: &str) -> u64 {
        self.start().hash(path.as_bytes())
    }

    /// The hashes of all paths above `path` but the root's, from the top, and their lengths: the
    /// path is read once, however deep it is.
    pub(crate) fn parents(self, path: &str) -> Vec<(usize, u64)> {
        let mut hasher = self.start();
        let mut hashed = 0;
        let mut parents = Vec::new();
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            hasher.write(path.as_bytes().get(hashed..at).unwrap_or_default());
            hashed = at;
            parents.push((at, hasher.finish()));
        }
        parents
    }
}

#[derive(Clone, Copy)]
struct Entry {
    /// The low half of the hash: tells nearly all strangers apart, and lets a shard grow without
    /// hashing any path again.
    hash: u32,
    id: u32,
}

/// Ids by the hash of a path.
pub(crate) struct PathIndex {
    shards: Vec<HashTable<Entry>>,
}

impl PathIndex {
    pub(crate) fn new() -> PathIndex {
        PathIndex { shards: (0..1 << SHARD_BITS).map(|_| HashTable::new()).collect() }
    }

    /// The id for which `is_it` holds, among those with this hash.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let low = low(hash);
        let found =
            self.shard(hash).find(spread(low), |entry| entry.hash == low && is_it(entry.id));
        found.map(|entry| entry.id)
    }

    /// Adds an id that is not there.
    pub(crate) fn insert(&mut self, hash: u64, id: u32) {
        let entry = Entry { hash: low(hash), id };
        self.shard_mut(hash).insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
    }

    /// Takes an id out; whether it was there.
    pub(crate) fn remove(&mut self, hash: u64, id: u32) -> bool {
        let found = self.shard_mut(hash).find_entry(spread(low(hash)), |entry| entry.id == id);
        found.map(|entry| entry.remove()).is_ok()
    }

    /// How many entries the largest shard holds: what one growth moves at most.
    #[cfg(test)]
    pub(crate) fn shard_len_max(&self) -> usize {
        self.shards.iter().map(HashTable::len).max().unwrap_or(0)
    }

    fn shard(&self, hash: u64) -> &HashTable<Entry> {
        self.shards.get(shard(hash)).expect("the mask keeps within the shards")
    }

    fn shard_mut(&mut self, hash: u64) -> &mut HashTable<Entry> {
        self.shards.get_mut(shard(hash)).expect("the mask keeps within the shards")
    }
}

fn shard(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SHARD_BITS)).expect("eleven bits fit")
}

fn low(hash: u64) -> u32 {
    u32::try_from(hash & 0xffff_ffff).expect("masked to 32 bits")
}

/// A table looks at the highest and the lowest bits of a hash: 32 bits are spread over all 64.
fn spread(low: u32) -> u64 {
    u64::from(low).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_parents_are_those_of_their_paths() {
        let hasher = PathHasher::new([1, 2]);
        let parents = hasher.parents("/a/bcd/e");
        assert_eq!(parents, [(2, hasher.hash("/a")), (6, hasher.hash("/a/bcd"))]);
        assert_eq!(hasher.parents("/a"), []);
        assert_eq!(hasher.parents("/"), []);
    }

    #[test]
    fn what_shares_a_hash_is_told_apart_by_the_caller() {
        let mut index = PathIndex::new();
        index.insert(5, 1);
        index.insert(5, 2);
        assert_eq!(index.find(5, |id| id == 2), Some(2));
        assert!(index.remove(5, 1));
        assert!(!index.remove(5, 1));
        assert_eq!(index.find(5, |_| true), Some(2));
        assert_eq!(index.find(6, |_| true), None);
    }

    #[test]
    fn one_growth_moves_few_entries() {
        let mut index = PathIndex::new();
        let hasher = PathHasher::new([3, 4]);
        for id in 0..200_000 {
            index.insert(hasher.hash(&format!("/n/{id}")), id);
        }
        // 98 on average; two million make 980.
        assert!(index.shard_len_max() < 200, "{}", index.shard_len_max());
    }
}
