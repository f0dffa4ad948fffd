//! A stretch of the logs for a peer that lacks it, read by another thread while the log is written.
//!
//! What it must keep true:
//! - every transaction after one point and up to another is handed out, in order, or an error says
//!   why not: that nothing is missing is known before the first one is handed out;
//! - nothing beyond `up_to` is read. The caller knows that everything up to it was synced before
//!   the range was opened, so that a batch that is being written is never looked at;
//! - memory is bounded by a batch, whose size the caller names, and a buffer.
//!
//! The stretch is read twice: first to see that it is whole and how long it is, then to hand it
//! out. A log that is purged or cut meanwhile makes an error of the next batch.

use crate::disk::{Access, Disk};
use crate::error::StoreError;
use crate::layout;
use crate::log_reader::LogRecord;
use crate::options::StoreOptions;
use crate::truncate::{Walk, succeeds, succeeds_beside};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A stretch of the logs.
pub struct LogRange {
    disk: Arc<dyn Disk>,
    walk: Walk,
    start: RangeStart,
    /// The last one that is handed out; the point after which the range begins if there is none.
    end: Zxid,
    /// The last one that was handed out.
    at: Zxid,
    bytes: u64,
    records: u64,
    /// How many of them were not handed out.
    left: u64,
    dir: PathBuf,
    failed: bool,
}

/// What the logs know of the point after which a range begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeStart {
    /// It is a transaction of this history.
    Present,
    /// It is no transaction in the logs, but nothing is missing between it and what follows: it is
    /// the beginning of an epoch, or the end of what a log that was purged has held.
    Boundary,
    /// It is no transaction of this history, which has others around it.
    Absent {
        /// The last one before it.
        before: Zxid,
        /// The first one after it, if there is one.
        next: Option<Zxid>,
    },
}

/// Why a stretch cannot be read.
#[derive(Debug)]
pub enum RangeError {
    /// Not all of it is in the logs.
    Gap { after: Zxid, before: Zxid },
    /// It is longer than the caller allows.
    TooLong { bytes_max: u64 },
    /// A log was removed while it was read.
    Gone { path: PathBuf },
    /// The logs are not any more what they were when the range was opened.
    Changed { path: PathBuf, after: Zxid },
    /// The disk failed, or a record is damaged.
    Store(StoreError),
}

/// What the first reading has found.
#[derive(Default)]
struct Found {
    /// The last transaction at or before the point.
    before: Option<Zxid>,
    /// The first one behind it, and where it stands.
    first: Option<(Zxid, Zxid, u64)>,
    last: Option<Zxid>,
    bytes: u64,
    records: u64,
}

impl LogRange {
    /// Opens the stretch after one transaction and up to another, at most `bytes_max` bytes of it.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: &StoreOptions,
        (after, up_to): (Zxid, Zxid),
        bytes_max: Option<u64>,
    ) -> Result<LogRange, RangeError> {
        let dir = options.log_dir();
        let logs = layout::logs(disk.as_ref(), &dir).map_err(RangeError::Store)?;
        let snapshots = layout::snapshots(disk.as_ref(), &options.snapshot_dir());
        let snapshots: Vec<Zxid> =
            snapshots.map_err(RangeError::Store)?.into_iter().map(|(zxid, _)| zxid).collect();
        let logs = layout::logs_from(&logs, after);
        let mut walk = Walk::new(&dir, logs, options.record_bytes_max);
        let mut found = Found::default();
        let mut start = RangeStart::Boundary;
        while found.last.max(found.before) < Some(up_to)
            && let Some(record) = walk.step(disk.as_ref()).map_err(gone)?
            && record.record.header.zxid <= up_to
        {
            let zxid = record.record.header.zxid;
            if zxid <= after {
                found.before = found.before.max(Some(zxid));
                continue;
            }
            match found.last {
                // Apache may write a record twice.
                Some(last) if zxid <= last => continue,
                Some(last) => check_whole(last, &record, &snapshots)?,
                None => {
                    start = judge_start(after, found.before, &record, &snapshots)?;
                    found.first = Some((walk.first(), zxid, record.offset));
                }
            }
            found.last = Some(zxid);
            found.bytes += record.end - record.offset;
            found.records += 1;
            if let Some(bytes_max) = bytes_max.filter(|max| found.bytes > *max) {
                return Err(RangeError::TooLong { bytes_max });
            }
        }
        let end = found.last.unwrap_or(after);
        // The beginning of an epoch is no transaction, but a snapshot may have brought some.
        let brought = |snapshot: &Zxid| *snapshot > end && *snapshot <= up_to;
        if end < up_to && (up_to.counter() != 0 || snapshots.iter().any(brought)) {
            return Err(RangeError::Gap { after: end, before: up_to });
        }
        if found.last.is_none() {
            start = start_of_nothing((after, up_to), found.before, &snapshots)?;
        }
        let walk = match found.first {
            Some((log, _, offset)) => {
                Walk::new(&dir, layout::logs_from(logs, log), options.record_bytes_max).at(offset)
            }
            None => Walk::new(&dir, &[], options.record_bytes_max),
        };
        let (bytes, records) = (found.bytes, found.records);
        Ok(LogRange {
            disk,
            walk,
            start,
            end,
            at: after,
            bytes,
            records,
            left: records,
            dir,
            failed: false,
        })
    }

    /// What the logs know of the point after which the range begins.
    pub fn start(&self) -> RangeStart {
        self.start
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many transactions it has.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The last transaction of it, or the point after which it begins if it has none.
    pub fn end(&self) -> Zxid {
        self.end
    }

    /// The next transactions: as many as take `bytes_max` in the log, and one at least. None when
    /// all were handed out, and after an error.
    pub fn next_batch(&mut self, bytes_max: u64) -> Result<Vec<TxnRecord>, RangeError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while self.at < self.end && bytes < bytes_max && !self.failed {
            match self.walk.step(self.disk.as_ref()) {
                Ok(Some(record)) => {
                    let zxid = record.record.header.zxid;
                    let in_order = self.left == self.records || succeeds(self.at, &record);
                    if zxid > self.end || (zxid > self.at && !in_order) {
                        return Err(self.changed());
                    }
                    if zxid > self.at {
                        self.left = self.left.saturating_sub(1);
                        bytes += record.end - record.offset;
                        self.at = zxid;
                        batch.push(record.record);
                    }
                }
                Ok(None) => return Err(self.changed()),
                Err(error) => {
                    self.failed = true;
                    return Err(gone(error));
                }
            }
        }
        Ok(batch)
    }

    fn changed(&mut self) -> RangeError {
        self.failed = true;
        RangeError::Changed { path: self.dir.clone(), after: self.at }
    }
}

/// How long the newest snapshot is, to compare it with the length of a stretch.
pub fn newest_snapshot_bytes(
    disk: &dyn Disk,
    options: &StoreOptions,
) -> Result<Option<u64>, StoreError> {
    let dir = options.snapshot_dir();
    for (_, name) in layout::snapshots(disk, &dir)?.iter().rev() {
        let path = dir.join(name);
        match disk.open(&path, Access::Read).and_then(|file| file.len()) {
            Ok(len) => return Ok(Some(len)),
            // It was purged meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("read", &path, e)),
        }
    }
    Ok(None)
}

/// What the first record behind a point says about the point.
fn judge_start(
    after: Zxid,
    before: Option<Zxid>,
    next: &LogRecord,
    snapshots: &[Zxid],
) -> Result<RangeStart, RangeError> {
    let zxid = next.record.header.zxid;
    let follows_mark = next.mark.is_none_or(|mark| mark.follows(after));
    if before == Some(after) {
        return check_whole(after, next, snapshots).map(|()| RangeStart::Present);
    }
    // It is the next one of its epoch. Across epochs nothing tells: a mark has a part of a counter
    // alone, and another epoch may have ended with the same.
    if zxid.0 == after.0 + 1 && (follows_mark || after.counter() == 0) {
        return Ok(RangeStart::Boundary);
    }
    let Some(before) = before else {
        return Err(RangeError::Gap { after, before: zxid });
    };
    check_whole(before, next, snapshots)?;
    if after.counter() == 0 {
        return Ok(RangeStart::Boundary);
    }
    Ok(RangeStart::Absent { before, next: Some(zxid) })
}

/// What the logs know of a point behind which they have nothing.
fn start_of_nothing(
    (after, up_to): (Zxid, Zxid),
    before: Option<Zxid>,
    snapshots: &[Zxid],
) -> Result<RangeStart, RangeError> {
    match before {
        Some(before) if before == after => Ok(RangeStart::Present),
        Some(_) | None if after.counter() == 0 || snapshots.contains(&after) => {
            Ok(RangeStart::Boundary)
        }
        Some(before) if !snapshots.iter().any(|snapshot| *snapshot > before) => {
            Ok(RangeStart::Absent { before, next: None })
        }
        // Nobody knows what a snapshot has brought.
        Some(_) | None => Err(RangeError::Gap { after, before: up_to }),
    }
}

/// Refuses a record before which something is missing.
fn check_whole(previous: Zxid, record: &LogRecord, snapshots: &[Zxid]) -> Result<(), RangeError> {
    if succeeds_beside(previous, record, snapshots) {
        return Ok(());
    }
    Err(RangeError::Gap { after: previous, before: record.record.header.zxid })
}

/// A log that is not there any more was purged.
fn gone(error: StoreError) -> RangeError {
    if let StoreError::Io { path, source, .. } = &error
        && source.kind() == io::ErrorKind::NotFound
    {
        return RangeError::Gone { path: path.clone() };
    }
    RangeError::Store(error)
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::Gap { after, before } => {
                write!(f, "the logs do not have all transactions between {after} and {before}")
            }
            RangeError::TooLong { bytes_max } => {
                write!(f, "the transactions take more than {bytes_max} bytes of the logs")
            }
            RangeError::Gone { path } => {
                write!(f, "{} was removed while it was to be read", path.display())
            }
            RangeError::Changed { path, after } => {
                write!(f, "{}: the logs after {after} were changed meanwhile", path.display())
            }
            RangeError::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RangeError::Store(error) => Some(error),
            RangeError::Gap { .. }
            | RangeError::TooLong { .. }
            | RangeError::Gone { .. }
            | RangeError::Changed { .. } => None,
        }
    }
}
