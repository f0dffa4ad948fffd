//! The names of a node's children: sorted, in small shared pieces that are encoded as they travel.
//!
//! A reply clones the list of pieces and shares their bytes, so that listing a million children
//! copies no name. A change makes one new piece of at most [`CHUNK_BYTES_MAX`] bytes and leaves the
//! old one to the replies that still hold it.

use bellwether_wire::client::NameList;
use bellwether_wire::jute::Put;
use std::sync::Arc;

/// Beyond this a piece is cut in two. Larger pieces make lists cheaper, smaller ones changes.
const CHUNK_BYTES_MAX: usize = 1536;
/// Below this a piece is joined with a neighbour, if both fit into one.
const CHUNK_BYTES_MIN: usize = CHUNK_BYTES_MAX / 4;
/// The length that stands before a name.
const LEN_BYTES: usize = 4;

/// Invariant: `bytes` holds exactly `count` encoded names, of which the last begins at `last_at`,
/// and `count > 0`.
#[derive(Clone)]
struct Chunk {
    bytes: Arc<[u8]>,
    count: u32,
    last_at: u32,
}

/// Where a name was found among others; it may be somewhere else by now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    chunk: usize,
    offset: usize,
}

/// The names of a node's children.
///
/// Invariant: the names ascend within a chunk and from chunk to chunk, and `count` is their number.
#[derive(Clone, Default)]
pub(crate) struct Children {
    chunks: Vec<Chunk>,
    count: u32,
}

impl Children {
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Adds a name; whether it was not there.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        let at = self.chunk_of(name);
        let Some(chunk) = self.chunks.get(at) else {
            self.chunks.push(Chunk::of(&[name.as_bytes()]));
            self.count += 1;
            return true;
        };
        let Err(offset) = chunk.search(name) else { return false };
        self.count += 1;
        let is_last = at + 1 == self.chunks.len();
        if chunk.bytes.len() + LEN_BYTES + name.len() <= CHUNK_BYTES_MAX {
            let grown = chunk.with(offset, name);
            self.set(at, grown);
        } else if is_last && offset == chunk.bytes.len() {
            // Names mostly come in ascending order: a full piece is left full.
            self.chunks.push(Chunk::of(&[name.as_bytes()]));
        } else {
            let (left, right) = chunk.with(offset, name).halves();
            self.set(at, left);
            if let Some(right) = right {
                self.chunks.insert(at + 1, right);
            }
        }
        true
    }

    /// Takes a name out; whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let at = self.chunk_of(name);
        let Some(chunk) = self.chunks.get(at) else { return false };
        let Ok(offset) = chunk.search(name) else { return false };
        self.count -= 1;
        match chunk.without(offset, name) {
            None => {
                self.chunks.remove(at);
            }
            Some(rest) => {
                let is_small = rest.bytes.len() < CHUNK_BYTES_MIN;
                self.set(at, rest);
                if is_small && !self.join(at) && at > 0 {
                    self.join(at - 1);
                }
            }
        }
        true
    }

    /// All names, sharing their bytes.
    pub(crate) fn list(&self) -> NameList {
        let chunks = self.chunks.iter().map(|chunk| Arc::clone(&chunk.bytes)).collect();
        NameList::from_chunks(self.count as usize, chunks)
    }

    /// The first name greater than `name`, or the first of all, and where it is. Where `name` was
    /// found the last time is looked at first.
    pub(crate) fn after(&self, name: Option<(&str, Place)>) -> Option<(&str, Place)> {
        let Some((name, place)) = name else { return self.at(Place::default()) };
        let place = if self.bytes_at(place) == Some(name.as_bytes()) {
            Place { offset: place.offset + LEN_BYTES + name.len(), ..place }
        } else {
            let at = self.chunk_of(name);
            let offset = match self.chunks.get(at)?.search(name) {
                Ok(offset) => offset + LEN_BYTES + name.len(),
                Err(offset) => offset,
            };
            Place { chunk: at, offset }
        };
        self.at(place).or_else(|| self.at(Place { chunk: place.chunk + 1, offset: 0 }))
    }

    fn at(&self, place: Place) -> Option<(&str, Place)> {
        self.bytes_at(place).map(|bytes| (text(bytes), place))
    }

    fn bytes_at(&self, place: Place) -> Option<&[u8]> {
        name_at(&self.chunks.get(place.chunk)?.bytes, place.offset)
    }

    #[cfg(test)]
    fn names(&self) -> Vec<Box<str>> {
        self.list().names()
    }

    /// The chunk that holds `name` or would: the last one that starts at or before it.
    fn chunk_of(&self, name: &str) -> usize {
        let starts_before =
            |chunk: &Chunk| chunk.first().is_some_and(|first| first <= name.as_bytes());
        self.chunks.partition_point(starts_before).saturating_sub(1)
    }

    fn set(&mut self, at: usize, chunk: Chunk) {
        *self.chunks.get_mut(at).expect("the caller found this chunk") = chunk;
    }

    /// Joins a chunk with the one after it, if they fit into one.
    fn join(&mut self, at: usize) -> bool {
        let (Some(left), Some(right)) = (self.chunks.get(at), self.chunks.get(at + 1)) else {
            return false;
        };
        if left.bytes.len() + right.bytes.len() > CHUNK_BYTES_MAX {
            return false;
        }
        let bytes = [&*left.bytes, &*right.bytes].concat();
        let joined = Chunk::new(bytes, left.count + right.count);
        self.set(at, joined);
        self.chunks.remove(at + 1);
        true
    }
}

impl Chunk {
    fn of(names: &[&[u8]]) -> Chunk {
        let mut bytes = Vec::new();
        for name in names {
            bytes.put_buffer(Some(name));
        }
        Chunk::new(bytes, u32::try_from(names.len()).expect("a chunk is small"))
    }

    fn new(bytes: Vec<u8>, count: u32) -> Chunk {
        let (mut offset, mut last_at) = (0, 0);
        while let Some(name) = name_at(&bytes, offset) {
            (last_at, offset) = (offset, offset + LEN_BYTES + name.len());
        }
        let last_at = u32::try_from(last_at).expect("a chunk is small");
        Chunk { bytes: bytes.into(), count, last_at }
    }

    fn first(&self) -> Option<&[u8]> {
        name_at(&self.bytes, 0)
    }

    /// Where `name` is, or where it would have to be. Text is in the order of its bytes.
    fn search(&self, name: &str) -> Result<usize, usize> {
        let name = name.as_bytes();
        // Names mostly come in ascending order.
        let last_at = self.last_at as usize;
        let mut offset = match name_at(&self.bytes, last_at) {
            Some(last) if last < name => last_at,
            Some(_) | None => 0,
        };
        while let Some(other) = name_at(&self.bytes, offset) {
            match other.cmp(name) {
                std::cmp::Ordering::Less => offset += LEN_BYTES + other.len(),
                std::cmp::Ordering::Equal => return Ok(offset),
                std::cmp::Ordering::Greater => return Err(offset),
            }
        }
        Err(offset)
    }

    fn with(&self, offset: usize, name: &str) -> Chunk {
        let (before, after) = self.bytes.split_at(offset);
        let mut bytes = Vec::with_capacity(self.bytes.len() + LEN_BYTES + name.len());
        bytes.extend_from_slice(before);
        bytes.put_text(name);
        bytes.extend_from_slice(after);
        let last_at = if after.is_empty() {
            u32::try_from(offset).expect("a chunk is small")
        } else {
            self.last_at + u32::try_from(LEN_BYTES + name.len()).expect("a name is short")
        };
        Chunk { bytes: bytes.into(), count: self.count + 1, last_at }
    }

    /// `None` if nothing is left.
    fn without(&self, offset: usize, name: &str) -> Option<Chunk> {
        let (before, rest) = self.bytes.split_at(offset);
        let (_, after) = rest.split_at(LEN_BYTES + name.len());
        let rest = [before, after].concat();
        (self.count > 1).then(|| Chunk::new(rest, self.count - 1))
    }

    /// Cuts at the first name beyond the middle. A chunk of one long name has no second half.
    fn halves(&self) -> (Chunk, Option<Chunk>) {
        let (mut offset, mut count) = (0, 0);
        while let Some(name) = name_at(&self.bytes, offset) {
            if offset > 0 && offset + LEN_BYTES + name.len() > self.bytes.len() / 2 {
                break;
            }
            offset += LEN_BYTES + name.len();
            count += 1;
        }
        let (left, right) = self.bytes.split_at(offset);
        let right = (!right.is_empty()).then(|| Chunk::new(right.into(), self.count - count));
        (Chunk::new(left.into(), count), right)
    }
}

/// The name at `offset`, which may be an offset of former bytes: what is found there is then no
/// name, for a name has no zero byte and a length that is read a byte too early or too late makes
/// it reach over another length.
fn name_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let (len, rest) = bytes.get(offset..)?.split_first_chunk::<LEN_BYTES>()?;
    rest.get(..u32::from_be_bytes(*len) as usize)
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).expect("a chunk holds names that were text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::ops::Bound::{Excluded, Unbounded};

    fn check(children: &Children, model: &BTreeSet<String>) {
        let names = children.names();
        assert!(names.iter().map(|n| &**n).eq(model.iter().map(String::as_str)), "{names:?}");
        assert_eq!(children.len() as usize, model.len());
        for chunk in &children.chunks {
            assert!(chunk.count == 1 || chunk.bytes.len() <= CHUNK_BYTES_MAX);
            let mut names = Vec::new();
            let mut offset = 0;
            while let Some(name) = name_at(&chunk.bytes, offset) {
                offset += LEN_BYTES + name.len();
                names.push(name);
            }
            assert_eq!(chunk.count as usize, names.len());
            assert_eq!(name_at(&chunk.bytes, chunk.last_at as usize), names.last().copied());
        }
    }

    #[test]
    fn it_agrees_with_a_set_of_names() {
        arbtest::arbtest(|u| {
            let (mut children, mut model) = (Children::default(), BTreeSet::new());
            let width = u.int_in_range(1..=700usize)?;
            for _ in 0..u.int_in_range(0..=400)? {
                let name = format!("{:0width$}", u.int_in_range(0..=60)?);
                if u.ratio(3, 5)? {
                    assert_eq!(children.insert(&name), model.insert(name));
                } else {
                    assert_eq!(children.remove(&name), model.remove(&name));
                }
                let probe = format!("{:0width$}", u.int_in_range(0..=60)?);
                let next = model.range::<str, _>((Excluded(probe.as_str()), Unbounded)).next();
                let anywhere = Place { chunk: 0, offset: u.int_in_range(0..=1500)? };
                for place in [Place::default(), anywhere] {
                    let after = children.after(Some((&probe, place)));
                    assert_eq!(after.map(|(name, _)| name), next.map(String::as_str));
                }
            }
            check(&children, &model);
            let next = |last: &Option<_>| children.after(last.map(|last: (&str, Place)| last));
            let all = std::iter::successors(Some(children.after(None)), |last| Some(next(last)));
            let all = all.map_while(|at| at).map(|(name, _)| name);
            assert!(all.eq(model.iter().map(String::as_str)));
            Ok(())
        });
    }

    #[test]
    fn ascending_names_fill_the_pieces_and_removal_joins_them() {
        let mut children = Children::default();
        let names: Vec<String> = (0..10_000).map(|n| format!("name-{n:010}")).collect();
        for name in &names {
            assert!(children.insert(name));
        }
        let bytes = 10_000 * (4 + names[0].len());
        assert!(children.chunks.len() <= bytes / (CHUNK_BYTES_MAX - 19) + 1);
        for name in names.iter().filter(|name| !name.ends_with('0')) {
            assert!(children.remove(name));
        }
        assert!(children.chunks.len() <= 4 * (bytes / 10) / CHUNK_BYTES_MAX + 2);
        assert_eq!(children.len(), 1000);
    }

    #[test]
    fn a_list_keeps_its_names_when_the_children_change() {
        let mut children = Children::default();
        children.insert("a");
        let list = children.list();
        children.insert("b");
        children.remove("a");
        assert_eq!(list.names(), ["a".into()]);
        assert_eq!(children.names(), ["b".into()]);
    }

    #[test]
    fn names_longer_than_a_piece_are_kept() {
        let mut children = Children::default();
        let long = "x".repeat(5000);
        assert!(children.insert(&long));
        assert!(children.insert("a"));
        assert!(children.insert("y"));
        let after = children.after(Some(("a", Place::default())));
        assert_eq!(after.map(|(name, _)| name), Some(long.as_str()));
        assert!(children.remove(&long));
        assert_eq!(children.names(), ["a".into(), "y".into()]);
    }

    #[test]
    fn many_names_are_listed_from_few_pieces() {
        let mut children = Children::default();
        for n in 0..200_000 {
            children.insert(&format!("n-{n:010}"));
        }
        // What a list costs is one count of references per piece.
        assert!(children.chunks.len() < 2_400, "{}", children.chunks.len());
        assert_eq!(children.list().len(), 200_000);
    }
}
