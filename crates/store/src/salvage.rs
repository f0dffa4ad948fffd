//! Reads a log to its end whatever is wrong with it: sound records, and the holes between them.
//!
//! It decides nothing and changes nothing. It serves those who look at a damaged log (`bellwether
//! log`) and the copy without holes (`mend.rs`); a server never reads past a damaged place. It
//! takes records of any length, so that a limit that is set too low costs nothing.

use crate::damage::Damage;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::limits::SALVAGED_RECORD_BYTES_MAX;
use crate::log_reader::{LogReader, LogRecord, LogStart, LogStep};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{FileHeader, TxnRecord};
use std::fmt;
use std::path::Path;

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A sound record.
    Record(LogRecord),
    /// A stretch without one.
    Hole(Hole),
}

/// A stretch of a log that holds something, but no sound record that may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Offset of its first byte.
    pub offset: u64,
    /// Offset behind its last byte.
    pub end: u64,
    /// What is wrong with it.
    pub kind: HoleKind,
    /// The last sound record before it, in this log or those before.
    pub after: Zxid,
    /// What the damaged bytes look like; they are not to be trusted.
    pub guess: Option<TxnRecord>,
}

/// What is wrong with a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoleKind {
    /// The file does not begin as a log does.
    Header,
    /// What stands where a record should begin.
    Damaged(Damage),
    /// A sound record whose zxid is not above the one before it.
    Backwards(Zxid),
}

impl fmt::Display for HoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoleKind::Header => write!(f, "this is not the beginning of a log"),
            HoleKind::Damaged(damage) => write!(f, "{damage}"),
            HoleKind::Backwards(zxid) => write!(f, "transaction {zxid} out of order"),
        }
    }
}

/// A log that is being read in spite of everything.
pub struct Salvage {
    reader: LogReader,
    last: Zxid,
    last_checksum: Option<u32>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Records,
    Ended,
}

impl Salvage {
    /// Opens a log that follows `last`.
    pub fn open(disk: &dyn Disk, path: &Path, last: Zxid) -> Result<Salvage, StoreError> {
        let reader = LogReader::open(disk, path, SALVAGED_RECORD_BYTES_MAX)?;
        Ok(Salvage { reader, last, last_checksum: None, state: State::Start })
    }

    /// The file's length, preallocated space included.
    pub fn file_bytes(&self) -> u64 {
        self.reader.file_bytes()
    }

    /// The next piece; nothing when only unused space is left.
    pub fn step(&mut self) -> Result<Option<Piece>, StoreError> {
        if self.state == State::Start {
            self.state = State::Records;
            if let Some(hole) = self.begin()? {
                return Ok(Some(Piece::Hole(hole)));
            }
        }
        if self.state == State::Ended {
            return Ok(None);
        }
        match self.reader.step()? {
            LogStep::Record(record) => Ok(Some(self.in_order(record))),
            LogStep::Stop { offset, damage } => Ok(self.hole(offset, damage)?.map(Piece::Hole)),
        }
    }

    /// The bytes of a record, as they stand in the file.
    pub(crate) fn raw(&mut self, record: &LogRecord) -> Result<Vec<u8>, StoreError> {
        // It was in memory as a whole when it was found to be sound.
        let length = usize::try_from(record.end - record.offset).unwrap_or(usize::MAX);
        Ok(self.reader.raw(record.offset, length)?.to_vec())
    }

    /// What is wrong with the beginning of the file.
    fn begin(&mut self) -> Result<Option<Hole>, StoreError> {
        let header_bytes = FileHeader::BYTES as u64;
        if self.reader.start()? == LogStart::Log {
            return Ok(None);
        }
        let at = match self.reader.sound_at(header_bytes)? {
            Some(_) => Some(header_bytes),
            None => self.reader.find_sound(0, self.last)?,
        };
        let end = match at {
            Some(at) => at,
            None => {
                self.state = State::Ended;
                self.reader.end_of_bytes(0)?
            }
        };
        self.reader.go_on_at(end);
        if end == 0 && at.is_some() {
            return Ok(None); // Bytes that were once cut off a log: records without a header.
        }
        Ok(Some(self.new_hole((0, end), HoleKind::Header)))
    }

    fn in_order(&mut self, record: LogRecord) -> Piece {
        let zxid = record.record.header.zxid;
        // Apache may write the last record twice; a reader passes over the second.
        let repeated = zxid == self.last && self.last_checksum == Some(record.checksum);
        if zxid > self.last || repeated {
            self.last = zxid;
            self.last_checksum = Some(record.checksum);
            return Piece::Record(record);
        }
        let mut hole = self.new_hole((record.offset, record.end), HoleKind::Backwards(zxid));
        hole.guess = Some(record.record);
        Piece::Hole(hole)
    }

    /// The stretch from `offset` to the next sound record, or to the end of what there is.
    fn hole(&mut self, offset: u64, damage: Damage) -> Result<Option<Hole>, StoreError> {
        let payload = self.reader.payload_at(offset)?;
        // Where the length can be right, the next record is looked for behind it first: data of a
        // node may look like a record.
        let next = match &payload {
            Some((_, end)) => match self.reader.sound_at(*end)? {
                Some(next) if next.record.header.zxid > self.last => Some(*end),
                Some(_) | None => self.reader.find_sound(offset + 1, self.last)?,
            },
            None => self.reader.find_sound(offset, self.last)?,
        };
        let end = match next {
            Some(next) => next,
            None => {
                self.state = State::Ended;
                self.reader.end_of_bytes(offset)?
            }
        };
        self.reader.go_on_at(end);
        // A file that ends within a record's length has nothing that `end_of_bytes` could see.
        if end == offset && matches!(damage, Damage::None | Damage::Cut) {
            return Ok(None);
        }
        let mut hole = self.new_hole((offset, end), HoleKind::Damaged(damage));
        let guess = payload.and_then(|(payload, _)| TxnRecord::decode(&payload).ok());
        hole.guess = guess.filter(|guess| guess.header.zxid > self.last);
        Ok(Some(hole))
    }

    fn new_hole(&self, (offset, end): (u64, u64), kind: HoleKind) -> Hole {
        Hole { offset, end, kind, after: self.last, guess: None }
    }
}
