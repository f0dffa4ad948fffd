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

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::jute::Problem;
    use expect_test::expect;
    use std::fmt::Write as _;

    fn name(verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::End => "end",
            Verdict::EndAsApache => "as Apache",
            Verdict::CutTail => "cut",
            Verdict::Refuse => "REFUSE",
        }
    }

    /// Every combination of answers has a verdict, and this is the table.
    #[test]
    fn the_table_is_total() {
        let content = DecodeError { what: "txn.type", offset: 0, problem: Problem::Truncated };
        let damages = [
            ("unused space", Damage::None),
            ("cut by the end", Damage::Cut),
            ("no end byte", Damage::NoEnd),
            ("checksum", Damage::Checksum),
            ("length", Damage::Length(-5)),
            ("too long", Damage::TooLong { bytes: 1 << 30 }),
            ("content", Damage::Content(content)),
        ];
        let behinds = [Behind::Nothing, Behind::Bytes, Behind::SyncedBatch(99)];
        let mut table = String::new();
        let columns = ["nothing", "bytes", "batch", "nothing+side", "bytes+side", "batch+side"];
        writeln!(table, "{:8} {:15} {}", "writer", "damage", columns.join(" | ")).unwrap();
        for (writer, writer_name) in [(Writer::Marks, "marks"), (Writer::NoMarks, "no marks")] {
            for (damage_name, damage) in &damages {
                let verdicts: Vec<_> = [SideFile::Silent, SideFile::Synced(99)]
                    .into_iter()
                    .flat_map(|side| behinds.map(|b| name(decide(writer, damage, b, side))))
                    .collect();
                writeln!(table, "{writer_name:8} {damage_name:15} {}", verdicts.join(" | "))
                    .unwrap();
            }
        }
        expect![[r#"
            writer   damage          nothing | bytes | batch | nothing+side | bytes+side | batch+side
            marks    unused space    end | cut | REFUSE | REFUSE | REFUSE | REFUSE
            marks    cut by the end  cut | cut | REFUSE | REFUSE | REFUSE | REFUSE
            marks    no end byte     cut | cut | REFUSE | REFUSE | REFUSE | REFUSE
            marks    checksum        cut | cut | REFUSE | REFUSE | REFUSE | REFUSE
            marks    length          cut | cut | REFUSE | REFUSE | REFUSE | REFUSE
            marks    too long        REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
            marks    content         REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
            no marks unused space    end | as Apache | REFUSE | REFUSE | REFUSE | REFUSE
            no marks cut by the end  as Apache | as Apache | REFUSE | REFUSE | REFUSE | REFUSE
            no marks no end byte     as Apache | as Apache | REFUSE | REFUSE | REFUSE | REFUSE
            no marks checksum        REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
            no marks length          REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
            no marks too long        REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
            no marks content         REFUSE | REFUSE | REFUSE | REFUSE | REFUSE | REFUSE
        "#]].assert_eq(&table);
    }

    #[test]
    fn what_was_proved_synced_is_never_cut() {
        let damages = [Damage::None, Damage::Cut, Damage::NoEnd, Damage::Checksum];
        for damage in &damages {
            for writer in [Writer::Marks, Writer::NoMarks] {
                let later = decide(writer, damage, Behind::SyncedBatch(1), SideFile::Silent);
                let side = decide(writer, damage, Behind::Nothing, SideFile::Synced(1));
                assert_eq!((later, side), (Verdict::Refuse, Verdict::Refuse));
            }
        }
    }
}
