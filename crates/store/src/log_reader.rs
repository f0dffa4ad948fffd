//! Reads one log, record by record, and stops where there is no sound one.
//!
//! It decides nothing: what a stop means is `damage.rs`'s table. It never holds more than a
//! buffer's worth of the file, or one record if that is longer.

use crate::damage::{Behind, Damage};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Corruption, StoreError};
use crate::limits::READ_BYTES;
use crate::record::{
    self, END, FRAME_BYTES, MARK_BYTES, Mark, PAYLOAD_BYTES_MIN, PREFIX_BYTES, Prefix,
};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{FileHeader, TxnRecord, header};
use bellwether_wire::jute::Reader;
use std::path::{Path, PathBuf};

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Offset of its first byte.
    pub offset: u64,
    /// Offset behind its last byte.
    pub end: u64,
    /// Its checksum.
    pub checksum: u32,
    /// The transaction.
    pub record: TxnRecord,
    /// What it says about what is before it.
    pub mark: Option<Mark>,
}

/// What a log has next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStep {
    /// A sound record.
    Record(LogRecord),
    /// No sound record, at this offset. It stays so.
    Stop { offset: u64, damage: Damage },
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStart {
    /// As a log does.
    Log,
    /// Not as a log does, and there is nothing but zeros behind: no record ever was in it.
    /// `zeros` tells whether the beginning is nothing but zeros, too.
    Nothing { zeros: bool },
    /// Not as a log does, and something stands behind.
    Other,
}

/// An open log.
pub struct LogReader {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    len: u64,
    record_bytes_max: usize,
    at: u64,
    window: Window,
}

/// A part of a file, kept in memory.
///
/// Invariant: `bytes` are the file's from `start` on.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The `len` bytes at `offset`, or fewer at the end of the file, which has `file_bytes`.
    fn get(
        &mut self,
        (file, file_bytes): (&dyn DiskFile, u64),
        offset: u64,
        len: usize,
    ) -> std::io::Result<&[u8]> {
        let held = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + len as u64 > held {
            let left = usize::try_from(file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
            let wanted = len.max(READ_BYTES).min(left);
            self.bytes.resize(wanted, 0);
            let got = match file.read_at(offset, &mut self.bytes) {
                Ok(got) => got,
                Err(e) => {
                    self.bytes.clear();
                    return Err(e);
                }
            };
            self.bytes.truncate(got);
            self.start = offset;
        }
        let from = in_memory(offset - self.start);
        let to = (from + len).min(self.bytes.len());
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// How many bytes are held from `offset` on.
    fn held_from(&self, offset: u64) -> usize {
        let held = (self.start + self.bytes.len() as u64).saturating_sub(offset);
        if offset < self.start { 0 } else { in_memory(held) }
    }
}

impl LogReader {
    /// Opens a log. Nothing is read yet.
    pub fn open(
        disk: &dyn Disk,
        path: &Path,
        record_bytes_max: usize,
    ) -> Result<LogReader, StoreError> {
        let file = disk.open(path, Access::Read).map_err(|e| StoreError::io("open", path, e))?;
        let len = file.len().map_err(|e| StoreError::io("read", path, e))?;
        let at = FileHeader::BYTES as u64;
        let window = Window::default();
        Ok(LogReader { path: path.to_path_buf(), file, len, record_bytes_max, at, window })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length, preallocated space included.
    pub fn file_bytes(&self) -> u64 {
        self.len
    }

    /// How the file begins.
    pub fn start(&mut self) -> Result<LogStart, StoreError> {
        let head = self.bytes(0, FileHeader::BYTES)?.to_vec();
        let decoded = FileHeader::decode(&mut Reader::new(&head));
        if decoded.is_ok_and(|h| h.magic == header::LOG_MAGIC) {
            return Ok(LogStart::Log);
        }
        let zeros = head.iter().all(|byte| *byte == 0);
        match self.first_set_byte(FileHeader::BYTES as u64)? {
            None => Ok(LogStart::Nothing { zeros }),
            Some(_) => Ok(LogStart::Other),
        }
    }

    /// The next record.
    pub fn step(&mut self) -> Result<LogStep, StoreError> {
        let offset = self.at;
        let stop = |damage| Ok(LogStep::Stop { offset, damage });
        let mut prefix = [0; PREFIX_BYTES];
        let bytes = self.bytes(offset, PREFIX_BYTES)?;
        match prefix.get_mut(..bytes.len()) {
            Some(whole) if whole.len() == PREFIX_BYTES => whole.copy_from_slice(bytes),
            Some(_) | None => {
                let zeros = bytes.iter().all(|byte| *byte == 0);
                return stop(if zeros { Damage::None } else { Damage::Cut });
            }
        }
        let prefix = Prefix::decode(&prefix);
        let Some(length) = usize::try_from(prefix.length).ok() else {
            return stop(Damage::Length(prefix.length));
        };
        if length == 0 {
            return stop(Damage::None);
        }
        let end = offset + (FRAME_BYTES + length) as u64;
        if length > self.record_bytes_max {
            return self.too_long(offset, end, prefix);
        }
        if end > self.len {
            return stop(Damage::Cut);
        }
        match self.parse(offset, prefix)? {
            Ok(record) => {
                self.at = record.end;
                Ok(LogStep::Record(record))
            }
            Err(damage) => stop(damage),
        }
    }

    /// Reads the record at `offset`, whose length is known to be possible.
    fn parse(
        &mut self,
        offset: u64,
        prefix: Prefix,
    ) -> Result<Result<LogRecord, Damage>, StoreError> {
        let length = usize::try_from(prefix.length).unwrap_or(0);
        let whole = self.bytes(offset, FRAME_BYTES + length)?;
        let payload = whole.get(PREFIX_BYTES..PREFIX_BYTES + length);
        let (Some(payload), Some(&last)) = (payload, whole.get(PREFIX_BYTES + length)) else {
            return Ok(Err(Damage::Cut));
        };
        if last != END {
            return Ok(Err(Damage::NoEnd));
        }
        let checksum = record::checksum(payload);
        if u64::from(checksum) != prefix.checksum {
            return Ok(Err(Damage::Checksum));
        }
        let end = offset + (FRAME_BYTES + length) as u64;
        Ok(match record::decode(payload) {
            Ok((record, mark)) => Ok(LogRecord { offset, end, checksum, record, mark }),
            Err(error) => Err(Damage::Content(error)),
        })
    }

    /// A length above the limit is either nonsense or a sound record of a more generous writer.
    fn too_long(&mut self, offset: u64, end: u64, prefix: Prefix) -> Result<LogStep, StoreError> {
        let damage = if end > self.len {
            Damage::Length(prefix.length)
        } else {
            match self.parse(offset, prefix)? {
                Ok(_) | Err(Damage::Content(_)) => {
                    Damage::TooLong { bytes: end - offset - FRAME_BYTES as u64 }
                }
                Err(
                    Damage::None
                    | Damage::Cut
                    | Damage::NoEnd
                    | Damage::Checksum
                    | Damage::Length(_)
                    | Damage::TooLong { .. },
                ) => Damage::Length(prefix.length),
            }
        };
        self.window = Window::default();
        Ok(LogStep::Stop { offset, damage })
    }

    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], StoreError> {
        let path = &self.path;
        self.window
            .get((self.file.as_ref(), self.len), offset, len)
            .map_err(|e| StoreError::io("read", path, e))
    }

    /// As much as is at hand from `offset` on, at least `least` bytes unless the file ends.
    fn some_bytes(&mut self, offset: u64, least: usize) -> Result<&[u8], StoreError> {
        let held = self.window.held_from(offset);
        self.bytes(offset, if held < least { READ_BYTES } else { held })
    }

    /// Offset of the first byte from `offset` on that is not zero.
    fn first_set_byte(&mut self, mut offset: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let bytes = self.some_bytes(offset, 1)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(at) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(offset + at as u64));
            }
            offset += bytes.len() as u64;
        }
    }

    /// Offset behind the last byte that is not zero, `from` if there is none.
    pub fn end_of_bytes(&mut self, from: u64) -> Result<u64, StoreError> {
        let (mut offset, mut end) = (from, from);
        loop {
            let bytes = self.some_bytes(offset, 1)?;
            if bytes.is_empty() {
                return Ok(end);
            }
            if let Some(at) = bytes.iter().rposition(|byte| *byte != 0) {
                end = offset + at as u64 + 1;
            }
            offset += bytes.len() as u64;
        }
    }

    /// What stands from `offset` on, where no record after `last` could be read.
    pub fn behind(&mut self, offset: u64, last: Zxid) -> Result<Behind, StoreError> {
        let Some(first) = self.first_set_byte(offset)? else { return Ok(Behind::Nothing) };
        let found = self.scan(first, offset, |reader, at| reader.synced_batch_at(at, last))?;
        Ok(found.map_or(Behind::Bytes, Behind::SyncedBatch))
    }

    /// Where the next sound record begins, from `from` on, that can be a later one than `last`.
    pub fn find_sound(&mut self, from: u64, last: Zxid) -> Result<Option<u64>, StoreError> {
        let Some(first) = self.first_set_byte(from)? else { return Ok(None) };
        self.scan(first, from, |reader, at| {
            let found = reader.sound_at(at)?;
            Ok(found.filter(|found| found.record.header.zxid > last).map(|found| found.offset))
        })
    }

    /// The sound record at `offset`, if one stands there. What is read next stays what it is.
    pub fn sound_at(&mut self, offset: u64) -> Result<Option<LogRecord>, StoreError> {
        let Some((prefix, end)) = self.whole_at(offset)? else { return Ok(None) };
        if self.bytes(end - 1, 1)? != [END] {
            return Ok(None);
        }
        Ok(self.parse(offset, prefix)?.ok())
    }

    /// The payload of the record at `offset` as it stands there, sound or not, and where the
    /// record ends; nothing where its length does not fit the file.
    pub fn payload_at(&mut self, offset: u64) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let Some((prefix, end)) = self.whole_at(offset)? else { return Ok(None) };
        let length = usize::try_from(prefix.length).unwrap_or(0);
        let payload = self.bytes(offset + PREFIX_BYTES as u64, length)?.to_vec();
        Ok(Some((payload, end)))
    }

    /// Goes on at `offset`, where the caller knows a record to begin.
    pub fn go_on_at(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Checksum and length at `offset`, and the record's end, if that lies within the file.
    fn whole_at(&mut self, offset: u64) -> Result<Option<(Prefix, u64)>, StoreError> {
        let mut prefix = [0; PREFIX_BYTES];
        let bytes = self.bytes(offset, PREFIX_BYTES)?;
        if bytes.len() < PREFIX_BYTES {
            return Ok(None);
        }
        prefix.copy_from_slice(bytes);
        let prefix = Prefix::decode(&prefix);
        let length = usize::try_from(prefix.length).unwrap_or(0);
        let end = offset + (FRAME_BYTES + length) as u64;
        let fits = length >= PAYLOAD_BYTES_MIN && length <= self.record_bytes_max;
        Ok((fits && end <= self.len).then_some((prefix, end)))
    }

    /// The first place that `found` takes, among those where a record can begin: from `from` on,
    /// whose first byte that is not zero is `first`.
    fn scan(
        &mut self,
        first: u64,
        from: u64,
        mut found: impl FnMut(&mut LogReader, u64) -> Result<Option<u64>, StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        // A record can begin with zeros: seven bytes of a checksum, in theory all eight.
        let mut at = first.saturating_sub(PREFIX_BYTES as u64).max(from);
        while at + (FRAME_BYTES + PAYLOAD_BYTES_MIN) as u64 <= self.len {
            let bytes = self.some_bytes(at, PREFIX_BYTES)?;
            match candidate(bytes) {
                Some(skip) => {
                    at += skip as u64;
                    if let Some(found) = found(self, at)? {
                        return Ok(Some(found));
                    }
                    at += 1;
                }
                None if bytes.len() < PREFIX_BYTES => break,
                None => at += (bytes.len() - PREFIX_BYTES + 1) as u64,
            }
        }
        Ok(None)
    }

    /// The offset, if a sound record with a mark stands there that can be a later one than `last`.
    fn synced_batch_at(&mut self, offset: u64, last: Zxid) -> Result<Option<u64>, StoreError> {
        let Some((prefix, end)) = self.whole_at(offset)? else { return Ok(None) };
        let tail = self.bytes(end - (MARK_BYTES + 1) as u64, MARK_BYTES + 1)?;
        if !(tail.starts_with(&record::MARK_MAGIC) && tail.ends_with(&[END])) {
            return Ok(None);
        }
        let found = self.parse(offset, prefix)?.ok();
        Ok(found
            .filter(|found| found.mark.is_some() && found.record.header.zxid > last)
            .map(|found| found.offset))
    }

    /// The refusal of a place in this log.
    pub fn refusal(&self, offset: u64, corruption: Corruption) -> StoreError {
        StoreError::corrupt(&self.path, offset, corruption)
    }

    /// Reads bytes as they are.
    pub fn raw(&mut self, offset: u64, len: usize) -> Result<&[u8], StoreError> {
        self.bytes(offset, len)
    }
}

/// A distance within a buffer.
fn in_memory(distance: u64) -> usize {
    usize::try_from(distance).expect("a buffer is in memory")
}

/// How many bytes to skip to the first place where the checksum's upper half is zero, as it is in
/// every record, and a length follows that a record can have.
fn candidate(bytes: &[u8]) -> Option<usize> {
    bytes.windows(PREFIX_BYTES).position(|prefix| {
        let (sum, length) = prefix.split_at(8);
        let length = length.iter().fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        let long_enough = length as usize >= PAYLOAD_BYTES_MIN;
        long_enough && length <= i32::MAX.unsigned_abs() && sum.starts_with(&[0; 4])
    })
}
