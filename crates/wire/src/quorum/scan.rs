//! Where a record ends of which only a part may have arrived.
//!
//! What it keeps true: a length is held against its limit as soon as its four bytes are there, and
//! a list is walked once, however many pieces it comes in.

use crate::jute::{DecodeError, Decoded, Problem};

/// Where the buffer or string at `at` ends, which may be beyond `bytes`; `None` while its length is
/// not there. Null ends after its length.
pub(super) fn field_end(
    bytes: &[u8],
    at: usize,
    max_bytes: usize,
    what: &'static str,
) -> Decoded<Option<usize>> {
    let Some(len) = int_at(bytes, at) else { return Ok(None) };
    let wrong = |problem| DecodeError { what, offset: at, problem };
    match usize::try_from(len) {
        Ok(len) if len > max_bytes => Err(wrong(Problem::TooLong(len))),
        Ok(len) => Ok(Some(at + 4 + len)),
        Err(_) if len == -1 => Ok(Some(at + 4)),
        Err(_) => Err(wrong(Problem::Length(len))),
    }
}

/// The integer at `at`, when its four bytes are there.
pub(super) fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The long at `at`, when its eight bytes are there.
pub(super) fn long_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..)?.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes))
}

/// What a list of identities or of ACLs looks like, and how long it may be.
#[derive(Clone, Copy)]
pub(super) struct Pairs {
    /// What stands in an element before its two strings, in bytes.
    pub(super) prefix_bytes: usize,
    /// The longest list, and the longest string.
    pub(super) bytes_max: usize,
    /// What it is called in errors.
    pub(super) what: &'static str,
}

/// How far a list was walked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PairsScan {
    /// Invariant: every element before this place is whole.
    at: usize,
    /// Elements from there on; `None` while the list's count has not been read.
    left: Option<usize>,
}

impl PairsScan {
    /// Where the list that begins at `start` ends, or `None` while it is not all there.
    pub(super) fn end(
        &mut self,
        bytes: &[u8],
        start: usize,
        pairs: Pairs,
    ) -> Decoded<Option<usize>> {
        let Pairs { prefix_bytes, bytes_max, what } = pairs;
        let wrong = |problem| DecodeError { what, offset: start, problem };
        let mut left = match (self.left, int_at(bytes, start)) {
            (Some(left), _) => left,
            (None, None) => return Ok(None),
            (None, Some(count)) => {
                // Below zero there is none, as Java reads it.
                let count = usize::try_from(count).unwrap_or(0);
                let least = count.saturating_mul(prefix_bytes + 8);
                if least > bytes_max {
                    return Err(wrong(Problem::TooLong(least)));
                }
                self.at = start + 4;
                count
            }
        };
        self.left = Some(left);
        while left > 0 {
            let strings = self.at + prefix_bytes;
            let Some(middle) = field_end(bytes, strings, bytes_max, what)? else { return Ok(None) };
            let Some(end) = field_end(bytes, middle, bytes_max, what)? else { return Ok(None) };
            if end - start - 4 > bytes_max {
                return Err(wrong(Problem::TooLong(end - start - 4)));
            }
            if end > bytes.len() {
                return Ok(None);
            }
            left -= 1;
            *self = PairsScan { at: end, left: Some(left) };
        }
        Ok(Some(self.at))
    }
}
