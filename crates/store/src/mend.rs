//! Changes to a damaged directory that a person asked for: logs without their holes, logs that end
//! earlier, files set aside. A server does none of this by itself.
//!
//! What it must keep true:
//! - nothing is lost that was there: what is replaced, shortened or taken away is kept beside it
//!   first, durably, under a name that servers pass over;
//! - a log has its name only when it is whole: it is written under a temporary name;
//! - zxids stay in a row: what is lost is replaced by transactions that failed, which change
//!   nothing. Apache 3.9.5 does not start where a zxid is missing, and clients that have seen one
//!   refuse a server that has not. Marks of later batches stay true by it;
//! - where too many are lost, or the epoch ended, the mark of the record behind them says what
//!   precedes it in the mended log, so that a start finds the logs in order.
//!
//! Left to the caller: the directory's lock, and what is changed at all.

use crate::contents::{Contents, Named};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::StoreError;
use crate::limits::{COPY_BYTES, FILLED_MAX};
use crate::log_reader::LogRecord;
use crate::names;
use crate::record;
use crate::repair::{copy_bytes, failed, free_name};
use crate::salvage::{Piece, Salvage};
use bellwether_wire::disk::{FileHeader, Txn, TxnHeader, TxnRecord};
use bellwether_wire::{ErrorCode, OpCode, SessionId, Zxid};
use std::path::{Path, PathBuf};

/// What the first record after some point may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follows {
    /// The record before it, in this log or those before; nothing where none is known.
    pub last: Option<Zxid>,
    /// The snapshot that a start takes.
    pub snapshot: Option<Zxid>,
}

impl Follows {
    /// Whether a record is the next one. Where nothing is known, everything is.
    pub fn takes(&self, record: &LogRecord) -> bool {
        let zxid = record.record.header.zxid;
        let in_snapshot = self.snapshot.is_some_and(|snapshot| zxid <= snapshot);
        match (self.newest(), record.mark) {
            (Some(newest), None) if !in_snapshot => {
                zxid.epoch() != newest.epoch() || zxid.0 <= newest.0 + 1
            }
            (Some(_), Some(mark)) if !in_snapshot => {
                [self.last, self.snapshot].into_iter().flatten().any(|known| mark.follows(known))
            }
            (Some(_) | None, _) => true,
        }
    }

    /// The zxids that are missing before `next`, if they can be filled in from `first` on.
    fn missing(&self, first: Zxid, next: Zxid) -> std::ops::Range<i64> {
        let Some(newest) = self.last.or(self.snapshot) else { return 0..0 };
        let from = first.0.max(newest.0 + 1);
        let fits = newest.epoch() == next.epoch() && next.0 - from <= FILLED_MAX;
        if fits { from..next.0 } else { 0..0 }
    }

    /// The newest of what is known to be before.
    pub fn newest(&self) -> Option<Zxid> {
        self.last.max(self.snapshot)
    }
}

/// What was copied of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Sound records.
    pub records: u64,
    /// Stretches that were left out.
    pub holes: u64,
    /// Transactions that failed, in place of what is lost.
    pub filled: u64,
    /// Records whose mark was given a new predecessor.
    pub marks: u64,
    /// What follows the copy.
    pub follows: Follows,
}

/// A file that is written from its beginning to its end.
struct Output {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    at: u64,
}

impl Output {
    fn put(&mut self, disk: &dyn Disk, bytes: &[u8]) -> Result<(), StoreError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= COPY_BYTES { self.flush(disk) } else { Ok(()) }
    }

    fn flush(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let written = self.file.write_at(self.at, &self.buffer);
        written.map_err(|e| failed(disk, "write", &self.path, e))?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// How far a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To the end of the log.
    End,
    /// To this transaction, and no further.
    Last(Zxid),
    /// To the end of the log, and with failed transactions up to where this one follows.
    Next(Zxid),
}

/// Copies the sound records of a log into a file that must not exist yet. It is durable when this
/// returns, its name is not.
pub fn copy_sound(
    disk: &dyn Disk,
    (from, to): (&Path, &Path),
    follows: Follows,
    until: Until,
) -> Result<Copied, StoreError> {
    if disk.open(to, Access::Read).is_ok() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(StoreError::io("create", to, exists));
    }
    let mut log = Salvage::open(disk, from, follows.last.unwrap_or(Zxid::ZERO))?;
    let file = disk.create(to).map_err(|e| failed(disk, "create", to, e))?;
    let mut output = Output { path: to.to_path_buf(), file, buffer: Vec::new(), at: 0 };
    FileHeader::LOG.encode(&mut output.buffer);
    let first = match Named::of(from) {
        Named::Log(first) => first,
        Named::Snapshot(_) | Named::Other => Zxid(i64::MAX),
    };
    let mut copied = Copied { follows, ..Copied::default() };
    let mut time_ms = 0;
    while let Some(piece) = log.step()? {
        let found = match piece {
            Piece::Record(found) => found,
            Piece::Hole(_) => {
                copied.holes += 1;
                continue;
            }
        };
        let zxid = found.record.header.zxid;
        if matches!(until, Until::Last(last) if zxid > last) {
            break;
        }
        let begins = if copied.records == 0 { first } else { Zxid::ZERO };
        copied.fill((begins, zxid), time_ms, &mut |bytes| output.put(disk, bytes))?;
        let mut bytes = log.raw(&found)?;
        if let Some(previous) = copied.follows.newest()
            && found.mark.is_some()
            && !copied.follows.takes(&found)
        {
            record::change_mark(&mut bytes, previous);
            copied.marks += 1;
        }
        output.put(disk, &bytes)?;
        copied.records += 1;
        copied.follows.last = Some(zxid);
        time_ms = found.record.header.time_ms;
    }
    if let Until::Next(next) = until {
        copied.fill((first, next), time_ms, &mut |bytes| output.put(disk, bytes))?;
    }
    output.flush(disk)?;
    output.file.sync_data().map_err(|e| failed(disk, "sync", to, e))?;
    Ok(copied)
}

impl Copied {
    /// Puts failed transactions where those before the second zxid are missing; none may have a
    /// zxid below the first, by which the log is named.
    fn fill(
        &mut self,
        (first, next): (Zxid, Zxid),
        time_ms: i64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for zxid in self.follows.missing(first, next) {
            let header = TxnHeader {
                session: SessionId::NONE,
                cxid: 0,
                zxid: Zxid(zxid),
                time_ms,
                op: OpCode::Error,
            };
            let txn = Txn::Error { code: ErrorCode::SystemError.code() };
            let mut bytes = Vec::new();
            record::encode(&TxnRecord { header, txn, digest: None }, None, &mut bytes);
            put(&bytes)?;
            self.filled += 1;
            self.follows.last = Some(Zxid(zxid));
        }
        Ok(())
    }
}

/// Puts a copy without its holes in a log's place; returns what it came to and where the log as it
/// was is kept.
pub fn replace_log(
    disk: &dyn Disk,
    path: &Path,
    follows: Follows,
    until: Until,
) -> Result<(Copied, PathBuf), StoreError> {
    let temporary = path.with_file_name(names::temporary(name_of(path)));
    // One that an interrupted repair has left is worth nothing.
    disk.remove(&temporary).ok();
    let copied = copy_sound(disk, (path, &temporary), follows, until)?;
    let kept = keep(disk, path, 0)?;
    disk.rename(&temporary, path).map_err(|e| failed(disk, "replace", path, e))?;
    sync_names(disk, path)?;
    Ok((copied, kept))
}

/// Ends a log at `offset`; returns where the bytes behind it are kept.
pub fn shorten_log(disk: &dyn Disk, path: &Path, offset: u64) -> Result<PathBuf, StoreError> {
    let kept = keep(disk, path, offset)?;
    let mut file = disk.open(path, Access::ReadWrite).map_err(|e| failed(disk, "open", path, e))?;
    file.set_len(offset)
        .and_then(|()| file.sync_data())
        .map_err(|e| failed(disk, "cut", path, e))?;
    Ok(kept)
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Gives a log or snapshot a name that servers pass over; returns the name.
pub fn set_aside(disk: &dyn Disk, path: &Path) -> Result<PathBuf, StoreError> {
    let kept = free_name(disk, path, 0)?;
    disk.rename(path, &kept).map_err(|e| failed(disk, "set aside", path, e))?;
    sync_names(disk, path)?;
    Ok(kept)
}

/// Removes the side file, which speaks of logs as they were; tells whether there was one.
pub fn forget_synced(disk: &dyn Disk, log_dir: &Path) -> Result<bool, StoreError> {
    let path = log_dir.join(names::SYNCED);
    match disk.remove(&path) {
        Ok(()) => sync_names(disk, &path).map(|()| true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(failed(disk, "remove", &path, e)),
    }
}

/// Copies what stands behind `offset`, durably.
fn keep(disk: &dyn Disk, path: &Path, offset: u64) -> Result<PathBuf, StoreError> {
    let kept = free_name(disk, path, offset)?;
    let end = Salvage::open(disk, path, Zxid::ZERO)?.file_bytes();
    copy_bytes(disk, path, (offset, end), &kept)
        .and_then(|mut file| file.sync_data())
        .map_err(|e| failed(disk, "write", &kept, e))?;
    sync_names(disk, path)?;
    Ok(kept)
}

fn sync_names(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().expect("a file stands in a directory");
    disk.sync_dir(dir).map_err(|e| failed(disk, "sync", dir, e))
}

/// The newest transaction of which a snapshot shows an effect, wherever it stands in it. A snapshot
/// is written while writes go on, so that it can hold more than its name says.
pub fn snapshot_reach(disk: &dyn Disk, path: &Path) -> Result<Zxid, StoreError> {
    use bellwether_wire::disk::SnapshotItem as Item;
    let mut reach = Zxid::ZERO;
    for item in crate::snapshot_reader::SnapshotReader::open(disk, path)? {
        reach = reach.max(match item? {
            Item::Node(node) => node.stat.czxid.max(node.stat.mzxid).max(node.stat.pzxid),
            Item::Digest { zxid, .. } | Item::LastProcessed(zxid) => zxid,
            Item::Session { .. } | Item::Acl { .. } => Zxid::ZERO,
        });
    }
    Ok(reach)
}

/// The newest snapshot that can be read to its end, as a start takes it.
pub fn newest_sound_snapshot(disk: &dyn Disk, contents: &Contents) -> Option<(Zxid, PathBuf)> {
    let sound = |path: &Path| crate::snapshot_reader::SnapshotReader::verify(disk, path).is_ok();
    contents.snapshots.iter().rev().find(|(_, path)| sound(path)).cloned()
}
