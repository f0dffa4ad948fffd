//! What a reader finds where the next record should be, and what is decided about it.
//!
//! [`decide`] is a table over four questions, each with few answers; a test walks all
//! combinations. What the answers rest on is in `docs/decisions/2026-11-21-what-was-synced.md`.

use bellwether_wire::DecodeError;
use std::fmt;

/// What stands where a record should begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file ends between two records, or a length of zero stands there: unused space.
    None,
    /// The file ends within a record.
    Cut,
    /// The byte that ends every record is missing.
    NoEnd,
    /// The checksum is wrong.
    Checksum,
    /// The length is negative or beyond every record.
    Length(i32),
    /// A whole, sound record that is longer than allowed.
    TooLong { bytes: u64 },
    /// A sound record that means nothing.
    Content(DecodeError),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::None => write!(f, "unused space with something behind it"),
            Damage::Cut => write!(f, "a record that the end of the file cuts"),
            Damage::NoEnd => write!(f, "a record without its end"),
            Damage::Checksum => write!(f, "a wrong checksum"),
            Damage::Length(length) => write!(f, "the impossible length {length}"),
            Damage::TooLong { bytes } => write!(f, "a record of {bytes} bytes"),
            Damage::Content(error) => write!(f, "a record that means nothing: {error}"),
        }
    }
}

/// Who wrote the log, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This store: a batch before the damage carries a mark, or the side file names the log.
    Marks,
    /// No mark was seen: Apache, or this store with `forceSync=no`.
    NoMarks,
}

/// What stands in the same file behind the place in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Zeros or nothing.
    Nothing,
    /// Something, but no batch that says that what is before it was synced.
    Bytes,
    /// A batch that says that what is before it was synced, at this offset.
    SyncedBatch(u64),
}

/// What the side file says about the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideFile {
    /// It was synced; the whole log was up to this offset.
    Synced(u64),
    /// Nothing.
    Silent,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The log ends here; the next one is read.
    End,
    /// As Apache does: the log ends here although something stands behind it. It is left as it is.
    EndAsApache,
    /// The last batch, which was never synced: it is cut off and kept beside the log.
    CutTail,
    /// A record that may have been acknowledged is damaged.
    Refuse,
}

/// Decides what a place without a sound record means.
pub fn decide(writer: Writer, damage: &Damage, behind: Behind, side: SideFile) -> Verdict {
    use {Behind as B, Damage as D, SideFile as S, Verdict as V, Writer as W};
    match (side, behind, damage, writer) {
        // Proof that the place was synced outranks everything.
        (S::Synced(_), _, _, _) | (S::Silent, B::SyncedBatch(_), _, _) => V::Refuse,
        // A sound checksum is no torn write. Whoever wrote this may have acknowledged it.
        (S::Silent, B::Nothing | B::Bytes, D::TooLong { .. } | D::Content(_), _) => V::Refuse,
        (S::Silent, B::Nothing, D::None, _) => V::End,
        // The last batch may have reached the disk in any order, or in part.
        (
            S::Silent,
            B::Bytes,
            D::None | D::Cut | D::NoEnd | D::Checksum | D::Length(_),
            W::Marks,
        )
        | (S::Silent, B::Nothing, D::Cut | D::NoEnd | D::Checksum | D::Length(_), W::Marks) => {
            V::CutTail
        }
        // Nothing can tell what was synced: Apache's rules.
        (S::Silent, B::Bytes, D::None | D::Cut | D::NoEnd, W::NoMarks)
        | (S::Silent, B::Nothing, D::Cut | D::NoEnd, W::NoMarks) => V::EndAsApache,
        (S::Silent, B::Nothing | B::Bytes, D::Checksum | D::Length(_), W::NoMarks) => V::Refuse,
    }
}
