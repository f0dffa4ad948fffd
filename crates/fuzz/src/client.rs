//! A client's byte stream: lengths and frames.
//!
//! What it holds: a stream is cut alike whether it comes at once or byte by byte.

use crate::Verdict;
use bellwether_wire::client::frame::{Length, length};

const MAX_BYTES: usize = 1 << 12;

pub(crate) fn frames(bytes: &[u8]) -> Verdict {
    let whole = cut(bytes, bytes.len());
    let mut known = Vec::new();
    for end in 0..=bytes.len().min(MAX_BYTES) {
        let part = cut(bytes, end);
        assert!(part.starts_with(&known), "more bytes changed what was cut before");
        known = part;
    }
    assert!(whole.starts_with(&known), "the whole stream is cut differently");
    Verdict::accepted_if(!whole.is_empty())
}

/// The ends of the whole frames within the first `end` bytes.
fn cut(bytes: &[u8], end: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..end) {
        match length(rest, MAX_BYTES) {
            Some(Length::Frame(len)) if rest.len() >= 4 + len => {
                at += 4 + len;
                ends.push(at);
            }
            Some(Length::Frame(_) | Length::Impossible(_)) | None => break,
        }
    }
    ends
}
