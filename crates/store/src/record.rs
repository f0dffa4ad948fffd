//! One record of a log: checksum, length, payload, `B`; and the mark that a batch begins with.
//!
//! A mark is four bytes behind everything that Apache decodes from a payload, and covered by the
//! record's checksum. Its meaning is: *everything before this record, in this log and in those
//! before it, was on stable storage when this record was written*. It also carries the low half of
//! the counter of the record before it, so that a missing record is noticed across files.
//!
//! A mark is recognised by the length: a payload that is exactly four bytes longer than the
//! encoding of what it decodes to, with the right two bytes in front. No record of Apache's has
//! bytes after its digest.

#![expect(clippy::indexing_slicing, reason = "a codec: every offset is checked against the length")]

use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{DecodeError, Zxid};

/// Checksum and length.
pub(crate) const PREFIX_BYTES: usize = 12;
/// What a record takes beyond its payload.
pub(crate) const FRAME_BYTES: usize = PREFIX_BYTES + 1;
/// The shortest payload: a header without a body.
pub(crate) const PAYLOAD_BYTES_MIN: usize = 32;
/// What a mark takes.
pub(crate) const MARK_BYTES: usize = 4;
/// What every record ends with.
pub(crate) const END: u8 = b'B';
/// What every mark begins with.
pub(crate) const MARK_MAGIC: [u8; 2] = *b"BS";

/// What the first record of a batch says about everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    previous_low: u16,
}

impl Mark {
    /// The mark of a record that follows `previous`.
    pub fn after(previous: Zxid) -> Mark {
        Mark { previous_low: low(previous) }
    }

    /// Whether the record that carries this can have followed `previous`.
    pub fn follows(self, previous: Zxid) -> bool {
        self.previous_low == low(previous)
    }
}

fn low(zxid: Zxid) -> u16 {
    u16::try_from(zxid.counter() & 0xffff).expect("masked to 16 bits")
}

/// Appends a record and returns the length of its payload.
pub(crate) fn encode(record: &TxnRecord, mark: Option<Mark>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + PREFIX_BYTES, 0);
    record.encode(out);
    if let Some(mark) = mark {
        out.extend_from_slice(&MARK_MAGIC);
        out.extend_from_slice(&mark.previous_low.to_be_bytes());
    }
    let payload = start + PREFIX_BYTES;
    let bytes = out.len() - payload;
    let sum = checksum(&out[payload..]);
    out[start..start + 8].copy_from_slice(&u64::from(sum).to_be_bytes());
    // A length that does not fit is above every limit and refused by the caller.
    let length = i32::try_from(bytes).unwrap_or(i32::MAX);
    out[start + 8..payload].copy_from_slice(&length.to_be_bytes());
    out.push(END);
    bytes
}

/// Gives a whole record with a mark the mark of one that follows `previous`.
pub(crate) fn change_mark(whole: &mut [u8], previous: Zxid) {
    let end = whole.len() - 1;
    whole[end - 2..end].copy_from_slice(&low(previous).to_be_bytes());
    let sum = checksum(&whole[PREFIX_BYTES..end]);
    whole[..8].copy_from_slice(&u64::from(sum).to_be_bytes());
}

/// The checksum of a payload.
pub(crate) fn checksum(payload: &[u8]) -> u32 {
    simd_adler32::adler32(&payload)
}

/// Checksum and length as they stand in front of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    pub(crate) checksum: u64,
    pub(crate) length: i32,
}

impl Prefix {
    pub(crate) fn decode(bytes: &[u8; PREFIX_BYTES]) -> Prefix {
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&bytes[..8]);
        let mut length = [0; 4];
        length.copy_from_slice(&bytes[8..]);
        Prefix { checksum: u64::from_be_bytes(checksum), length: i32::from_be_bytes(length) }
    }
}

/// Reads a payload whose checksum is right.
pub(crate) fn decode(payload: &[u8]) -> Result<(TxnRecord, Option<Mark>), DecodeError> {
    let record = TxnRecord::decode(payload)?;
    let mark = find_mark(payload, &record);
    Ok((record, mark))
}

/// Whether a payload can carry a mark, before anything is decoded.
pub(crate) fn may_carry_mark(payload: &[u8]) -> bool {
    payload.len() >= PAYLOAD_BYTES_MIN + MARK_BYTES
        && payload[payload.len() - MARK_BYTES..].starts_with(&MARK_MAGIC)
}

fn find_mark(payload: &[u8], record: &TxnRecord) -> Option<Mark> {
    if !may_carry_mark(payload) {
        return None;
    }
    let mut again = Vec::with_capacity(payload.len());
    record.encode(&mut again);
    if again.len() + MARK_BYTES != payload.len() {
        return None;
    }
    let at = payload.len() - 2;
    Some(Mark { previous_low: u16::from_be_bytes([payload[at], payload[at + 1]]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{create, error, set_data};
    use bellwether_wire::disk::TxnDigest;

    fn round_trip(record: &TxnRecord, mark: Option<Mark>) {
        let mut out = vec![7];
        let bytes = encode(record, mark, &mut out);
        assert_eq!(out.len(), 1 + FRAME_BYTES + bytes);
        let payload = &out[1 + PREFIX_BYTES..out.len() - 1];
        assert_eq!(decode(payload), Ok((record.clone(), mark)));
        // Readers that know no marks read the same.
        assert_eq!(TxnRecord::decode(payload), Ok(record.clone()));
    }

    #[test]
    fn records_round_trip_with_and_without_mark_and_digest() {
        for mark in [None, Some(Mark::after(Zxid(0x5_0001_2345)))] {
            for record in [create(7, "/a", b"data"), set_data(8, "/a", b""), error(9)] {
                round_trip(&record, mark);
                let digest = Some(TxnDigest { version: 2, digest: -3 });
                round_trip(&TxnRecord { digest, ..record }, mark);
            }
        }
    }

    #[test]
    fn a_digest_that_looks_like_a_mark_is_none() {
        let digest = i64::from_be_bytes([1, 2, 3, 4, b'B', b'S', 0, 1]);
        let record = TxnRecord { digest: Some(TxnDigest { version: 2, digest }), ..error(3) };
        round_trip(&record, None);
    }

    #[test]
    fn a_mark_knows_the_record_before_it() {
        let mark = Mark::after(Zxid(0x1_0000_0009));
        assert!(mark.follows(Zxid(0x1_0000_0009)));
        assert!(!mark.follows(Zxid(0x1_0000_0008)) && !mark.follows(Zxid::ZERO));
    }
}
