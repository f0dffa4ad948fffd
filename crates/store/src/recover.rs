//! From a directory to a state: the newest sound snapshot, then every transaction after it.
//!
//! [`Recovery`] is an iterator. Nothing on the disk is changed until it has ended and
//! [`Recovery::finish`] is called: a refusal leaves everything as it was. What a damaged place in a
//! log means is decided in `damage.rs`; how the logs must follow each other is checked here.

use crate::damage::{self, Behind, Damage, SideFile, Verdict, Writer};
use crate::disk::Disk;
use crate::epochs::Epochs;
use crate::error::{Corruption, StoreError};
use crate::layout::{self, Layout};
use crate::limits::SNAPSHOTS_TRIED_MAX;
use crate::log_reader::{LogReader, LogRecord, LogStart, LogStep};
use crate::member::{self, Membership, Recent};
use crate::notice::{Notice, Notify};
use crate::options::{ForceSync, LogsWithoutSnapshot, Role, StoreOptions};
use crate::repair::{LastBatch, Planned, Repairs};
use crate::snapshot_reader::SnapshotReader;
use crate::synced::Synced;
use crate::txnlog::Store;
use bellwether_wire::Zxid;
use bellwether_wire::disk::{FileHeader, SnapshotItem, TxnRecord};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// A piece of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// Of the snapshot. All of these come first.
    Item(SnapshotItem),
    /// A transaction after the snapshot, in order.
    Txn(TxnRecord),
}

/// What the state is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There is nothing. A snapshot of the empty state must be written before the first append.
    Fresh,
    /// Logs alone, by the user's word.
    LogsAlone,
    /// A snapshot and the logs after it.
    Snapshot { zxid: Zxid, path: PathBuf },
}

/// A directory that is being read.
pub struct Recovery {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    notify: Notify,
    layout: Layout,
    origin: Origin,
    /// Broken snapshots that are newer than the one that is read.
    skipped: Vec<Zxid>,
    snapshot: Option<SnapshotReader>,
    logs: VecDeque<(Zxid, String)>,
    log: Option<OpenLog>,
    side: Option<Synced>,
    /// The last record that was read, and where it ends.
    last: Option<Last>,
    /// The last log that was read to its end and held a record.
    last_log: Option<PathBuf>,
    repairs: Repairs,
    /// `None` for a server that stands alone.
    membership: Option<Membership>,
    recent: Recent,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Failed,
    Complete,
}

struct OpenLog {
    first: Zxid,
    reader: LogReader,
    records: u64,
    /// Offset of the last batch that began with a mark.
    last_mark: Option<u64>,
}

#[derive(Clone, Copy)]
struct Last {
    zxid: Zxid,
    checksum: u32,
    end: u64,
}

impl Store {
    /// Opens a data directory: creates or locks it, removes unfinished files, and chooses the
    /// snapshot. The state is then read from the [`Recovery`], which becomes the store.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        mut notify: Notify,
    ) -> Result<Recovery, StoreError> {
        let layout = Layout::open(disk.as_ref(), &options, &mut notify)?;
        if options.force_sync == ForceSync::No {
            notify(&Notice::NotSynced);
        }
        Recovery::begin(disk, options, notify, layout)
    }
}

impl Recovery {
    /// Begins to read directories that are locked.
    pub(crate) fn begin(
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        mut notify: Notify,
        layout: Layout,
    ) -> Result<Recovery, StoreError> {
        let membership = match options.role {
            Role::Standalone => None,
            Role::Member => Some(Membership::open(disk.as_ref(), &options, &mut notify)?),
        };
        let logs = layout::logs(disk.as_ref(), &layout.log_dir)?;
        let snapshots = layout::snapshots(disk.as_ref(), &layout.snapshot_dir)?;
        let snapshots = snapshots.into_iter().map(|(zxid, _)| zxid).collect();
        let recent = Recent::new(options.recent_max, snapshots);
        let mut recovery = Recovery {
            side: Synced::read(disk.as_ref(), &layout.log_dir),
            disk,
            options,
            notify,
            layout,
            origin: Origin::Fresh,
            skipped: Vec::new(),
            snapshot: None,
            logs: VecDeque::new(),
            log: None,
            last: None,
            last_log: None,
            repairs: Repairs::default(),
            membership,
            recent,
            state: State::Reading,
        };
        recovery.choose_snapshot(&logs)?;
        let from = recovery.snapshot_zxid().unwrap_or(Zxid::ZERO);
        recovery.logs = layout::logs_from(&logs, from).iter().cloned().collect();
        recovery.drop_stale_side_file()?;
        Ok(recovery)
    }

    /// What the state is made from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The last transaction that was read so far, or the snapshot's.
    pub fn last_zxid(&self) -> Zxid {
        let last = self.last.as_ref().map_or(Zxid::ZERO, |last| last.zxid);
        last.max(self.snapshot_zxid().unwrap_or(Zxid::ZERO))
    }

    /// The epochs of a member, once the iterator has ended. Missing files are taken to say the
    /// epoch of the last transaction, as Apache takes them; [`Recovery::finish`] writes them.
    pub fn epochs(&self) -> Option<Epochs> {
        self.membership.as_ref().and_then(Membership::settled)
    }

    /// The last transactions, up to [`StoreOptions::recent_max`] of them, once the iterator has
    /// ended: for peers that lack no more than these. Nothing is missing between them; those that
    /// the snapshot holds are among them. Another call returns nothing.
    pub fn take_recent(&mut self) -> Vec<TxnRecord> {
        let last = self.last_zxid();
        self.recent.take(last)
    }

    /// What [`Recovery::finish`] would change, as far as it was read.
    pub fn planned(&self) -> Vec<Planned> {
        self.repairs.planned()
    }

    /// Cuts what cannot have been acknowledged, makes durable what was read, and opens the store
    /// for appending. The iterator must have ended without an error.
    pub fn finish(mut self) -> Result<Store, StoreError> {
        assert!(self.state == State::Complete, "the state was not read to its end");
        let snapshot = match &self.origin {
            Origin::Snapshot { path, .. } => Some(path.clone()),
            Origin::Fresh | Origin::LogsAlone => None,
        };
        let last_zxid = self.last_zxid();
        let side = self.repairs.perform(
            self.disk.as_ref(),
            &self.options,
            &mut self.notify,
            (snapshot, last_zxid),
        )?;
        if let Some(membership) = &self.membership {
            membership.write(self.disk.as_ref(), &self.options)?;
        }
        Ok(Store::ready(self.disk, self.options, self.layout, self.notify, (last_zxid, side)))
    }

    fn snapshot_zxid(&self) -> Option<Zxid> {
        match self.origin {
            Origin::Fresh | Origin::LogsAlone => None,
            Origin::Snapshot { zxid, .. } => Some(zxid),
        }
    }

    /// Takes the newest snapshot that can be read to its end.
    fn choose_snapshot(&mut self, logs: &[(Zxid, String)]) -> Result<(), StoreError> {
        let dir = self.layout.snapshot_dir.clone();
        let snapshots = layout::snapshots(self.disk.as_ref(), &dir)?;
        for (zxid, name) in snapshots.iter().rev().take(SNAPSHOTS_TRIED_MAX) {
            let path = dir.join(name);
            match SnapshotReader::verify(self.disk.as_ref(), &path) {
                Ok(()) => {
                    self.snapshot = Some(SnapshotReader::open(self.disk.as_ref(), &path)?);
                    self.origin = Origin::Snapshot { zxid: *zxid, path };
                    return Ok(());
                }
                Err(e) => {
                    self.skipped.push(*zxid);
                    (self.notify)(&Notice::SnapshotSkipped { path, reason: e.to_string() });
                }
            }
        }
        self.without_snapshot(logs)
    }

    /// Decides what a directory without a sound snapshot is.
    fn without_snapshot(&mut self, logs: &[(Zxid, String)]) -> Result<(), StoreError> {
        // A broken snapshot of the empty state, alone, is a first start that was cut short.
        let held_data = self.skipped.iter().any(|zxid| *zxid > Zxid::ZERO);
        match self.options.logs_without_snapshot {
            LogsWithoutSnapshot::Refuse if held_data || !logs.is_empty() => {
                let path = self.layout.snapshot_dir.clone();
                Err(StoreError::NoSnapshot { path, snapshots_broken: self.skipped.len() })
            }
            LogsWithoutSnapshot::Trust if !logs.is_empty() => {
                self.origin = Origin::LogsAlone;
                Ok(())
            }
            LogsWithoutSnapshot::Trust | LogsWithoutSnapshot::Refuse => Ok(()),
        }
    }

    /// Where another server has written since, the side file may speak of what that server has
    /// cut. A newer log whose first record has no mark shows it.
    fn drop_stale_side_file(&mut self) -> Result<(), StoreError> {
        let Some(side) = self.side else { return Ok(()) };
        for (_, name) in self.logs.iter().filter(|(first, _)| *first > side.log) {
            let path = self.layout.log_dir.join(name);
            let max = self.options.record_bytes_max;
            let mut reader = LogReader::open(self.disk.as_ref(), &path, max)?;
            if reader.start()? == LogStart::Log
                && let LogStep::Record(LogRecord { mark: None, .. }) = reader.step()?
            {
                self.side = None;
                return Ok(());
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Recovered>, StoreError> {
        if let Some(snapshot) = &mut self.snapshot {
            match snapshot.next() {
                Some(item) => return item.map(|item| Some(Recovered::Item(item))),
                None => self.snapshot = None,
            }
        }
        loop {
            let Some(mut log) = self.log.take() else {
                match self.logs.pop_front() {
                    Some((first, name)) => self.log = self.open_log(first, &name)?,
                    None => return self.check_end().map(|()| None),
                }
                continue;
            };
            match log.reader.step()? {
                LogStep::Record(record) => {
                    let wanted = self.accept(&mut log, &record)?;
                    self.log = Some(log);
                    if wanted {
                        return Ok(Some(Recovered::Txn(record.record)));
                    }
                }
                LogStep::Stop { offset, damage } => self.end_log(log, offset, damage)?,
            }
        }
    }

    fn open_log(&mut self, first: Zxid, name: &str) -> Result<Option<OpenLog>, StoreError> {
        let path = self.layout.log_dir.join(name);
        let max = self.options.record_bytes_max;
        let mut reader = LogReader::open(self.disk.as_ref(), &path, max)?;
        let header_bytes = FileHeader::BYTES as u64;
        match (reader.start()?, self.side) {
            (LogStart::Log, _) => {
                self.repairs.read(path);
                Ok(Some(OpenLog { first, reader, records: 0, last_mark: None }))
            }
            (LogStart::Nothing { .. }, Some(side))
                if side.log == first && side.offset > header_bytes =>
            {
                let corruption = Corruption::SyncedBySideFile { synced_offset: side.offset };
                Err(reader.refusal(0, corruption))
            }
            // No record is written into a log before its header is durable: this one was only just
            // begun. Apache deletes it only if it has no bytes at all.
            (LogStart::Nothing { zeros }, _) if self.logs.is_empty() => {
                self.repairs.remove(path, !zeros);
                Ok(None)
            }
            (LogStart::Nothing { .. } | LogStart::Other, _) => {
                Err(reader.refusal(0, Corruption::Header))
            }
        }
    }

    /// Checks that a record may follow the one before it; tells whether the snapshot lacks it.
    fn accept(&mut self, log: &mut OpenLog, record: &LogRecord) -> Result<bool, StoreError> {
        let zxid = record.record.header.zxid;
        if zxid < log.first {
            let corruption = Corruption::Misnamed { first: log.first, zxid };
            return Err(log.reader.refusal(record.offset, corruption));
        }
        if let Some(last) = &self.last
            && zxid <= last.zxid
        {
            return self.repeated(log, record);
        }
        let in_snapshot = self.snapshot_zxid().is_some_and(|snapshot| zxid <= snapshot);
        if !in_snapshot {
            self.check_predecessor(log, record)?;
        }
        log.records += 1;
        if record.mark.is_some() {
            log.last_mark = Some(record.offset);
        }
        self.last = Some(Last { zxid, checksum: record.checksum, end: record.end });
        self.recent.push(record);
        Ok(!in_snapshot)
    }

    /// A record whose zxid is not above the last: Apache may write one twice, nothing else may be.
    fn repeated(&mut self, log: &OpenLog, record: &LogRecord) -> Result<bool, StoreError> {
        let zxid = record.record.header.zxid;
        let last = self.last.as_ref().expect("it is compared to the last record");
        let unmarked = record.mark.is_none() && log.last_mark.is_none();
        if unmarked && zxid == last.zxid && record.checksum == last.checksum {
            let log = log.reader.path().to_path_buf();
            (self.notify)(&Notice::RecordRepeated { log, offset: record.offset, zxid });
            return Ok(false);
        }
        let corruption = Corruption::Backwards { previous: last.zxid, zxid };
        Err(log.reader.refusal(record.offset, corruption))
    }

    /// Checks that nothing is missing before a record that the snapshot lacks.
    fn check_predecessor(&mut self, log: &OpenLog, record: &LogRecord) -> Result<(), StoreError> {
        let zxid = record.record.header.zxid;
        let last = self.last.as_ref().map(|last| last.zxid);
        let Some(base) = last.max(self.snapshot_zxid()) else { return Ok(()) };
        if self.membership.is_some() {
            let whole = member::is_whole(record, (last, self.snapshot_zxid()), &self.skipped);
            let (after, before) = (base, zxid);
            let gap = || log.reader.refusal(record.offset, Corruption::Gap { after, before });
            return if whole { Ok(()) } else { Err(gap()) };
        }
        if let Some(mark) = record.mark {
            let known = [last, self.snapshot_zxid()];
            if known.into_iter().flatten().any(|previous| mark.follows(previous)) {
                return Ok(());
            }
            return Err(self.missing(log, record, base));
        }
        // Without a mark a gap can only be seen within an epoch, and may be there for a reason.
        let follows =
            zxid == Zxid(base.0 + 1) || (zxid.epoch() > base.epoch() && zxid.counter() <= 1);
        if follows || log.last_mark.is_some() {
            return Ok(());
        }
        if self.skipped.iter().any(|skipped| *skipped > base && *skipped < zxid) {
            return Err(self.missing(log, record, base));
        }
        let log = log.reader.path().to_path_buf();
        (self.notify)(&Notice::Gap { log, after: base, before: zxid });
        Ok(())
    }

    /// The refusal of a gap. Where a damaged place was passed on the way, it is what is to blame.
    fn missing(&self, log: &OpenLog, record: &LogRecord, after: Zxid) -> StoreError {
        match self.repairs.last_cut() {
            Some((path, offset)) => {
                let batch = log.reader.path().to_path_buf();
                let corruption = Corruption::SyncedBefore { batch, batch_offset: record.offset };
                StoreError::corrupt(path, offset, corruption)
            }
            None => {
                let before = record.record.header.zxid;
                log.reader.refusal(record.offset, Corruption::MissingRecords { after, before })
            }
        }
    }

    /// Decides what the place means at which a log has no sound record.
    fn end_log(&mut self, mut log: OpenLog, offset: u64, damage: Damage) -> Result<(), StoreError> {
        let last = self.last_zxid();
        let last_read = self.last.as_ref().map_or(Zxid::ZERO, |last| last.zxid);
        let behind = log.reader.behind(offset, last_read)?;
        let header_bytes = FileHeader::BYTES as u64;
        let side = self.side.filter(|side| side.log == log.first);
        let begun_by_us = side.is_some() && offset == header_bytes;
        let writer =
            if log.last_mark.is_some() || begun_by_us { Writer::Marks } else { Writer::NoMarks };
        let said = match side {
            Some(side) if offset < side.offset => SideFile::Synced(side.offset),
            Some(_) | None => SideFile::Silent,
        };
        let path = log.reader.path().to_path_buf();
        match damage::decide(writer, &damage, behind, said) {
            Verdict::End => {}
            Verdict::EndAsApache => {
                let notice =
                    Notice::LogEndsWithinRecord { log: path.clone(), offset, damage, last };
                (self.notify)(&notice);
            }
            Verdict::CutTail => {
                let end = log.reader.end_of_bytes(offset)?;
                self.repairs.cut(path.clone(), offset, end, damage, last);
            }
            Verdict::Refuse => {
                return Err(refusal(&log.reader, offset, damage, (behind, said, &self.options)));
            }
        }
        if log.records > 0 {
            let to = self.last.as_ref().map_or(offset, |last| last.end);
            self.last_log = Some(path.clone());
            let batch = log.last_mark.map(|from| LastBatch { log: log.first, path, from, to });
            self.repairs.last_batch(batch);
        } else if self.logs.is_empty() {
            self.repairs.remove_empty(path);
        }
        Ok(())
    }

    /// Checks, after the last log, that it ends where it must.
    fn check_end(&mut self) -> Result<(), StoreError> {
        let last = self.last_zxid();
        if let Some(side) = self.side
            && side.last > last
        {
            let end = self.last.map_or(0, |last| last.end);
            let (path, offset) = match (self.repairs.last_cut(), &self.last_log) {
                (Some((path, offset)), _) => (path.clone(), offset),
                (None, Some(log)) => (log.clone(), end),
                (None, None) => (self.layout.log_dir.clone(), 0),
            };
            let corruption = Corruption::MissingEnd { last, synced: side.last };
            return Err(StoreError::corrupt(&path, offset, corruption));
        }
        if let Some(snapshot) = self.skipped.iter().copied().max().filter(|zxid| *zxid > last) {
            // One of a newer epoch than the current one was never acknowledged.
            if self.membership.as_ref().is_some_and(|m| m.has_history_of(snapshot.epoch(), last)) {
                let path = self.layout.snapshot_dir.clone();
                let corruption = Corruption::EndsBeforeSnapshot { last, snapshot };
                return Err(StoreError::corrupt(&path, 0, corruption));
            }
            (self.notify)(&Notice::EndsBeforeSkippedSnapshot { last, snapshot });
        }
        if let Some(membership) = &mut self.membership {
            membership.settle(&self.options, last)?;
        }
        Ok(())
    }
}

fn refusal(
    reader: &LogReader,
    offset: u64,
    damage: Damage,
    known: (Behind, SideFile, &StoreOptions),
) -> StoreError {
    let corruption = match (known, damage) {
        // It is sound: a setting is in its way, whatever else is known of the place.
        ((_, _, options), Damage::TooLong { bytes }) => {
            Corruption::TooLong { bytes, bytes_max: options.record_bytes_max }
        }
        ((Behind::SyncedBatch(batch_offset), _, _), _) => {
            Corruption::SyncedBefore { batch: reader.path().to_path_buf(), batch_offset }
        }
        ((_, SideFile::Synced(synced_offset), _), _) => {
            Corruption::SyncedBySideFile { synced_offset }
        }
        ((_, SideFile::Silent, _), Damage::Content(error)) => Corruption::Content(error),
        ((_, SideFile::Silent, _), Damage::Length(length)) => Corruption::Length(length),
        ((_, SideFile::Silent, _), Damage::Checksum) => Corruption::Checksum,
        ((_, SideFile::Silent, _), Damage::None | Damage::Cut | Damage::NoEnd) => {
            unreachable!("without a proof these are ends, not refusals")
        }
    };
    reader.refusal(offset, corruption)
}

impl Iterator for Recovery {
    type Item = Result<Recovered, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        let step = self.step();
        match &step {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Complete,
            Err(_) => self.state = State::Failed,
        }
        step.transpose()
    }
}
