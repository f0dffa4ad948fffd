//! Which files hold what is beyond a point of history, and whether the history reaches that point
//! without them.
//!
//! What it must keep true:
//! - a snapshot that shows an effect of what is beyond the point is never used again, whatever its
//!   name says: it is written while writes go on (ZOOKEEPER-4837);
//! - nothing is cut where what would be left is not whole: a sound snapshot, and every transaction
//!   between it and the point.
//!
//! It reads only. What follows from it is done in `cutback.rs`.

use crate::cutback::Cutback;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::layout;
use crate::limits::SNAPSHOTS_TRIED_MAX;
use crate::log_reader::{LogReader, LogRecord, LogStart, LogStep};
use crate::mend::snapshot_reach;
use crate::options::StoreOptions;
use bellwether_wire::Zxid;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// What became of the wish to end the history at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// It ends there. Nothing that was beyond it is used again.
    Truncated,
    /// The history has no such point, or could not be recovered up to it. Nothing was changed.
    Absent,
}

/// How a history can end at or before a limit.
pub(crate) struct Plan {
    /// What takes away everything beyond.
    pub(crate) cutback: Cutback,
    /// The last transaction that is left, or the snapshot's where none follows it.
    pub(crate) to: Zxid,
}

/// Plans to end the history with the last transaction that is not above `limit`. `None` where what
/// would be left is not whole.
pub(crate) fn plan(
    disk: &dyn Disk,
    options: &StoreOptions,
    limit: Zxid,
) -> Result<Option<Plan>, StoreError> {
    let mut cutback = Cutback::default();
    let Some(base) = choose_base(disk, options, limit, &mut cutback.snapshots)? else {
        return Ok(None);
    };
    let dir = options.log_dir();
    let logs = layout::logs(disk, &dir)?;
    let snapshots = layout::snapshots(disk, &options.snapshot_dir())?;
    let snapshots: Vec<Zxid> = snapshots.into_iter().map(|(zxid, _)| zxid).collect();
    let mut walk = Walk::new(&dir, layout::logs_from(&logs, base), options.record_bytes_max);
    let mut last: Option<Zxid> = None;
    let mut beyond = None;
    while let Some(found) = walk.step(disk)? {
        let zxid = found.record.header.zxid;
        if zxid > limit {
            beyond = Some(found.offset);
            break;
        }
        let whole = || {
            let mut known = [last, Some(base)].into_iter().flatten();
            known.any(|previous| succeeds_beside(previous, &found, &snapshots))
        };
        if zxid > base && last.is_none_or(|last| zxid > last) && !whole() {
            return Ok(None);
        }
        last = last.max(Some(zxid));
    }
    match (beyond, walk.current()) {
        (Some(offset), Some(name)) if walk.records_in_log() > 1 => {
            cutback.cut = Some((name.to_owned(), offset));
        }
        (Some(_), Some(name)) => cutback.logs.push(name.to_owned()),
        (Some(_) | None, _) => {}
    }
    // Whole logs behind that place, and empty ones that were begun for what comes after it.
    let taken = |name: &String| cutback.logs.contains(name);
    let after: Vec<String> = match beyond {
        Some(_) => walk.rest().map(|(_, name)| name.clone()).collect(),
        None => logs.iter().filter(|(first, _)| *first > limit).map(|(_, n)| n.clone()).collect(),
    };
    let after: Vec<String> = after.into_iter().filter(|name| !taken(name)).collect();
    cutback.logs.extend(after);
    cutback.logs.reverse();
    Ok(Some(Plan { cutback, to: last.max(Some(base)).unwrap_or(base) }))
}

/// The newest sound snapshot that shows nothing beyond the limit; the newer ones are noted.
fn choose_base(
    disk: &dyn Disk,
    options: &StoreOptions,
    limit: Zxid,
    beyond: &mut Vec<String>,
) -> Result<Option<Zxid>, StoreError> {
    let dir = options.snapshot_dir();
    let snapshots = layout::snapshots(disk, &dir)?;
    let mut tried = 0;
    for (zxid, name) in snapshots.iter().rev() {
        if *zxid > limit {
            beyond.push(name.clone());
            continue;
        }
        tried += 1;
        if tried > SNAPSHOTS_TRIED_MAX {
            break;
        }
        match snapshot_reach(disk, &dir.join(name)) {
            Ok(reach) if reach <= limit => return Ok(Some(*zxid)),
            // Nobody knows what one shows that cannot be read, and it may be readable later.
            Ok(_) | Err(_) => beyond.push(name.clone()),
        }
    }
    Ok(None)
}

/// Whether nothing can be missing between a transaction, or the zxid of a snapshot, and a record.
pub(crate) fn succeeds(previous: Zxid, record: &LogRecord) -> bool {
    let zxid = record.record.header.zxid;
    // No transaction has the first zxid of an epoch, and no mark names it. A snapshot of it has all
    // that was there when the epoch began.
    let opens_epoch = previous.counter() == 0 && previous.epoch() > 0 && zxid.0 == previous.0 + 1;
    let is_marked = || record.mark.is_none_or(|mark| mark.follows(previous));
    follows_in_order(previous, zxid) && (opens_epoch || is_marked())
}

/// The same, where these snapshots are there: if an epoch begins and no mark tells, one in between
/// may have brought what no log has.
pub(crate) fn succeeds_beside(previous: Zxid, record: &LogRecord, snapshots: &[Zxid]) -> bool {
    let zxid = record.record.header.zxid;
    let between = |snapshot: &Zxid| {
        *snapshot > previous && *snapshot < zxid && record.mark.is_none_or(|m| m.follows(*snapshot))
    };
    succeeds(previous, record) && !snapshots.iter().any(between)
}

/// Whether `zxid` is the next one of an epoch, or the first of a newer one. Epochs are left out
/// where nothing was proposed in them.
pub(crate) fn follows_in_order(previous: Zxid, zxid: Zxid) -> bool {
    zxid.0 == previous.0 + 1 || (zxid.epoch() > previous.epoch() && zxid.counter() <= 1)
}

/// Goes through the records of several logs.
pub(crate) struct Walk {
    dir: PathBuf,
    logs: VecDeque<(Zxid, String)>,
    record_bytes_max: usize,
    log: Option<(String, LogReader)>,
    records: u64,
    /// Where the first record of the first log is looked for.
    from: Option<u64>,
    first: Zxid,
}

impl Walk {
    pub(crate) fn new(dir: &Path, logs: &[(Zxid, String)], record_bytes_max: usize) -> Walk {
        let logs = logs.iter().cloned().collect();
        let (dir, first) = (dir.to_path_buf(), Zxid::ZERO);
        Walk { dir, logs, record_bytes_max, log: None, records: 0, from: None, first }
    }

    /// The same, from this place in the first of the logs on.
    pub(crate) fn at(self, offset: u64) -> Walk {
        Walk { from: Some(offset), ..self }
    }

    /// The next record. Where a log has no sound one any more, the next log is read.
    pub(crate) fn step(&mut self, disk: &dyn Disk) -> Result<Option<LogRecord>, StoreError> {
        loop {
            if let Some((_, reader)) = &mut self.log {
                match reader.step()? {
                    LogStep::Record(record) => {
                        self.records += 1;
                        return Ok(Some(record));
                    }
                    LogStep::Stop { .. } => self.log = None,
                }
            }
            let Some((first, name)) = self.logs.pop_front() else { return Ok(None) };
            self.first = first;
            self.open(disk, name)?;
        }
    }

    fn open(&mut self, disk: &dyn Disk, name: String) -> Result<(), StoreError> {
        self.records = 0;
        let mut reader = LogReader::open(disk, &self.dir.join(&name), self.record_bytes_max)?;
        if let Some(offset) = self.from.take() {
            reader.go_on_at(offset);
        }
        match reader.start()? {
            LogStart::Log => self.log = Some((name, reader)),
            LogStart::Nothing { .. } | LogStart::Other => self.log = None,
        }
        Ok(())
    }

    /// The log that the last record stands in.
    pub(crate) fn current(&self) -> Option<&str> {
        self.log.as_ref().map(|(name, _)| name.as_str())
    }

    /// The zxid of that log's name.
    pub(crate) fn first(&self) -> Zxid {
        self.first
    }

    /// How many records of that log were read.
    fn records_in_log(&self) -> u64 {
        self.records
    }

    /// The logs behind that one, the oldest first.
    fn rest(&self) -> impl Iterator<Item = &(Zxid, String)> {
        self.logs.iter()
    }
}

/// The last transaction in the logs, whatever comes before it.
pub(crate) fn last_logged(
    disk: &dyn Disk,
    options: &StoreOptions,
) -> Result<Option<Zxid>, StoreError> {
    let dir = options.log_dir();
    for log in layout::logs(disk, &dir)?.iter().rev() {
        let mut walk = Walk::new(&dir, std::slice::from_ref(log), options.record_bytes_max);
        let mut last = None;
        while let Some(found) = walk.step(disk)? {
            last = last.max(Some(found.record.header.zxid));
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}
