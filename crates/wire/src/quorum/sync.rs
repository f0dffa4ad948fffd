//! A snapshot as it follows a SNAP packet: sessions, ACLs and nodes as in a file, without header,
//! seals and digest, then a word that says that it is whole.
//!
//! What it keeps true: an item is given when its last byte is there; no item is longer than the
//! longest transaction; after the last word the rest of the bytes is handed back, because packets
//! follow.
//!
//! It leaves it to the tree whether the items make one: parents before children, ACLs that exist.

use super::scan::{Pairs, PairsScan, field_end, int_at, long_at};
use crate::acl::Acl;
use crate::disk::{SnapshotItem, SnapshotNode};
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::session::SessionId;
use std::fmt;

/// What stands in the place of a path after the last node: "/".
const NODES_END: &[u8] = b"\0\0\0\x01/";
/// What Apache's leader writes when it has written everything.
const SIGNATURE: &[u8] = b"\0\0\0\x0aBenWasHere";
const SESSION_BYTES: usize = 8 + 4;
const ACL_ID_AND_STAT_BYTES: usize = 8 + 60;

/// Writes the stream. The counts that stand before the sessions and the ACLs are known when the
/// last of them is, so both are held back until then.
#[derive(Debug, Default)]
pub struct SnapshotStreamWriter {
    sessions: Counted,
    acls: Counted,
    phase: Phase,
}

/// Items whose count stands before them.
#[derive(Debug, Default)]
struct Counted {
    count: usize,
    bytes: Vec<u8>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Sessions,
    Acls,
    Nodes,
    Rest,
}

impl SnapshotStreamWriter {
    /// A writer at the start of a stream.
    pub fn new() -> SnapshotStreamWriter {
        SnapshotStreamWriter::default()
    }

    /// Appends an item. They come in [`SnapshotItem`]'s order; digest and last zxid have no place
    /// in a stream and are left out.
    pub fn write(&mut self, item: &SnapshotItem, out: &mut impl Put) {
        match item {
            SnapshotItem::Session { id, timeout_ms } => {
                self.enter(Phase::Sessions, out);
                self.sessions.count += 1;
                self.sessions.bytes.put_long(id.0);
                self.sessions.bytes.put_int(*timeout_ms);
            }
            SnapshotItem::Acl { id, acl } => {
                self.enter(Phase::Acls, out);
                self.acls.count += 1;
                self.acls.bytes.put_long(*id);
                Acl::encode_list(acl, &mut self.acls.bytes);
            }
            SnapshotItem::Node(node) => {
                self.enter(Phase::Nodes, out);
                node.encode(out);
            }
            SnapshotItem::Digest { .. } | SnapshotItem::LastProcessed(_) => {
                self.enter(Phase::Rest, out);
            }
        }
    }

    /// Appends what says that the stream is whole.
    pub fn finish(mut self, out: &mut impl Put) {
        self.enter(Phase::Rest, out);
        out.put_slice(SIGNATURE);
    }

    /// Ends the phases before `phase`.
    fn enter(&mut self, phase: Phase, out: &mut impl Put) {
        assert!(phase >= self.phase, "{phase:?} after {:?}", self.phase);
        if self.phase < Phase::Nodes && phase >= Phase::Nodes {
            for Counted { count, bytes } in
                [std::mem::take(&mut self.sessions), std::mem::take(&mut self.acls)]
            {
                out.put_len(count);
                out.put_slice(&bytes);
            }
        }
        if self.phase < Phase::Rest && phase == Phase::Rest {
            out.put_slice(NODES_END);
        }
        self.phase = phase;
    }
}

/// What a reader has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStep {
    /// An item.
    Item(SnapshotItem),
    /// The next item is not all there: push more.
    NeedsMore,
    /// The stream is whole. The bytes after it are packets.
    Done { rest: Vec<u8> },
}

/// Why a stream is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStreamError {
    /// An item is not one. Its place is counted from its own first byte.
    Malformed { items_before: u64, error: DecodeError },
    /// A part of an item is longer than may be. It was not read.
    TooLong { items_before: u64, what: &'static str, bytes: usize, limit_bytes: usize },
    /// The word at the end is another one.
    Signature { items_before: u64 },
}

impl fmt::Display for SnapshotStreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotStreamError::Malformed { items_before, error } => {
                write!(f, "the leader's snapshot after {items_before} items: {error}")
            }
            SnapshotStreamError::TooLong { items_before, what, bytes, limit_bytes } => write!(
                f,
                "the leader's snapshot after {items_before} items: {what} of {bytes} bytes, at \
                 most {limit_bytes} are allowed; set jute.maxbuffer to the same value on all \
                 servers"
            ),
            SnapshotStreamError::Signature { items_before } => write!(
                f,
                "the leader's snapshot ends after {items_before} items without its last word"
            ),
        }
    }
}

impl std::error::Error for SnapshotStreamError {}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Section {
    SessionCount,
    Sessions { left: i32 },
    AclCount,
    Acls { left: i32, scan: PairsScan },
    Nodes,
    Signature,
    Ended,
}

/// Takes the bytes of a connection after a SNAP packet and gives items.
///
/// It keeps what was pushed and not yet read: who pushes a piece and then asks until more is needed
/// keeps it below the longest item and a piece.
#[derive(Debug)]
pub struct SnapshotStreamReader {
    buffer: Vec<u8>,
    /// Invariant: `start <= buffer.len()`; what is before it was read.
    start: usize,
    section: Section,
    items: u64,
    bytes_max: usize,
}

/// What stands at the start of the bytes, and how long it is.
enum Piece {
    /// It is not all there.
    Part,
    /// A mark between the sections.
    Mark { bytes: usize, next: Section },
    /// An item.
    Item { bytes: usize, item: SnapshotItem, next: Section },
}

impl SnapshotStreamReader {
    /// A reader behind the packet. `bytes_max` is `jute.maxbuffer` and what a transaction may
    /// exceed it by: no path, data or access list is longer.
    pub fn new(bytes_max: usize) -> SnapshotStreamReader {
        let section = Section::SessionCount;
        SnapshotStreamReader { buffer: Vec::new(), start: 0, section, items: 0, bytes_max }
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item. After an error the stream is of no use, and every call gives the same error.
    pub fn step(&mut self) -> Result<SnapshotStep, SnapshotStreamError> {
        loop {
            let bytes = self.buffer.get(self.start..).unwrap_or_default();
            if matches!(self.section, Section::Ended) {
                self.buffer.drain(..self.start);
                self.start = 0;
                return Ok(SnapshotStep::Done { rest: std::mem::take(&mut self.buffer) });
            }
            if matches!(self.section, Section::Signature) && !may_be_signature(bytes) {
                return Err(SnapshotStreamError::Signature { items_before: self.items });
            }
            let piece = self.section.read(bytes, self.bytes_max);
            match piece.map_err(|error| self.wrong(error))? {
                Piece::Part => return Ok(SnapshotStep::NeedsMore),
                Piece::Mark { bytes, next } => {
                    self.start += bytes;
                    self.section = next;
                }
                Piece::Item { bytes, item, next } => {
                    self.start += bytes;
                    self.section = next;
                    self.items += 1;
                    return Ok(SnapshotStep::Item(item));
                }
            }
        }
    }

    fn wrong(&self, error: DecodeError) -> SnapshotStreamError {
        let (items_before, limit_bytes) = (self.items, self.bytes_max);
        match error {
            DecodeError { what, problem: Problem::TooLong(bytes), .. } => {
                SnapshotStreamError::TooLong { items_before, what, bytes, limit_bytes }
            }
            error => SnapshotStreamError::Malformed { items_before, error },
        }
    }
}

/// Whether the bytes begin with the last word, or may still come to.
fn may_be_signature(bytes: &[u8]) -> bool {
    SIGNATURE.iter().zip(bytes).all(|(word, byte)| word == byte)
}

impl Section {
    /// What stands at the start of `bytes`.
    fn read(&mut self, bytes: &[u8], bytes_max: usize) -> Decoded<Piece> {
        Ok(match self {
            Section::SessionCount => match int_at(bytes, 0) {
                Some(left) => Piece::Mark { bytes: 4, next: sessions_or_next(left) },
                None => Piece::Part,
            },
            Section::Sessions { left } => match bytes.get(..SESSION_BYTES) {
                Some(session) => {
                    let r = &mut Reader::new(session);
                    let id = SessionId(r.long("session.id")?);
                    let item = SnapshotItem::Session { id, timeout_ms: r.int("session.timeout")? };
                    Piece::Item { bytes: SESSION_BYTES, item, next: sessions_or_next(*left - 1) }
                }
                None => Piece::Part,
            },
            Section::AclCount => match int_at(bytes, 0) {
                Some(left) => Piece::Mark { bytes: 4, next: acls_or_next(left) },
                None => Piece::Part,
            },
            Section::Acls { left, scan } => read_acl(bytes, *left, scan, bytes_max)?,
            Section::Nodes => read_node(bytes, bytes_max)?,
            Section::Signature | Section::Ended => {
                let end = SIGNATURE.len();
                let next = Section::Ended;
                if bytes.len() < end { Piece::Part } else { Piece::Mark { bytes: end, next } }
            }
        })
    }
}

/// A count below zero is none, as Java reads it.
fn sessions_or_next(left: i32) -> Section {
    if left > 0 { Section::Sessions { left } } else { Section::AclCount }
}

fn acls_or_next(left: i32) -> Section {
    if left > 0 { Section::Acls { left, scan: PairsScan::default() } } else { Section::Nodes }
}

fn read_acl(bytes: &[u8], left: i32, scan: &mut PairsScan, bytes_max: usize) -> Decoded<Piece> {
    const LIST_AT: usize = 8;
    let Some(id) = long_at(bytes, 0) else { return Ok(Piece::Part) };
    let pairs = Pairs { prefix_bytes: 4, bytes_max, what: "acl" };
    let Some(end) = scan.end(bytes, LIST_AT, pairs)? else { return Ok(Piece::Part) };
    let mut r = Reader::new(bytes.get(LIST_AT..end).unwrap_or_default());
    let null = DecodeError { what: "acl", offset: LIST_AT, problem: Problem::Null };
    let acl = Acl::decode_list(&mut r)?.ok_or(null)?;
    let item = SnapshotItem::Acl { id, acl };
    Ok(Piece::Item { bytes: end, item, next: acls_or_next(left - 1) })
}

fn read_node(bytes: &[u8], bytes_max: usize) -> Decoded<Piece> {
    let Some(data_at) = field_end(bytes, 0, bytes_max, "node.path")? else {
        return Ok(Piece::Part);
    };
    if bytes.get(..data_at) == Some(NODES_END) {
        return Ok(Piece::Mark { bytes: data_at, next: Section::Signature });
    }
    let end = field_end(bytes, data_at, bytes_max, "node.data")?;
    let end = end.map(|end| end + ACL_ID_AND_STAT_BYTES);
    let Some(whole) = end.and_then(|end| bytes.get(..end)) else { return Ok(Piece::Part) };
    let r = &mut Reader::new(whole);
    let path = r.text("node.path")?;
    let node = SnapshotNode::decode_rest(path, r)?;
    let item = SnapshotItem::Node(node);
    Ok(Piece::Item { bytes: whole.len(), item, next: Section::Nodes })
}
