//! The open store: appends transactions to the newest log and makes them durable batch by batch.
//!
//! Invariants:
//! - a log is begun only when everything in the logs before it is on stable storage, and no record
//!   is written into it before its header and its name are: a log with a damaged beginning has
//!   never held a record that was acknowledged;
//! - the first record of every batch carries a mark (see `record.rs`), unless `forceSync=no`;
//! - after a write or a sync that failed, nothing is written any more.

use crate::cutback::Cutback;
use crate::disk::{Disk, DiskFile};
use crate::durable::{sync_dir, sync_file};
use crate::epochs;
use crate::error::{self, StoreError};
use crate::layout::{self, Layout};
use crate::limits::{BATCH_BYTES_KEPT, PREALLOC_RESERVE_BYTES};
use crate::names;
use crate::notice::{Notice, Notify};
use crate::options::{ForceSync, Role, StoreOptions};
use crate::purge::{self, Purged};
use crate::received::SealedSnapshot;
use crate::record::{self, MARK_BYTES, Mark};
use crate::recover::Recovery;
use crate::snapshot_writer::SavedSnapshot;
use crate::synced::{Synced, SyncedFile};
use crate::truncate::{self, Truncation, follows_in_order};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{FileHeader, TxnRecord};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A store that is ready to append.
pub struct Store {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    layout: Layout,
    notify: Notify,
    /// The last transaction appended, or the last one there is.
    last_zxid: Zxid,
    segment: Option<Segment>,
    batch: Batch,
    /// `None` where nothing is ever synced.
    side: Option<SyncedFile>,
    has_snapshot: bool,
    poisoned: bool,
}

/// The log that is being written.
struct Segment {
    first: Zxid,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Up to where records were written.
    written: u64,
    /// The file's length.
    allocated: u64,
}

/// What was appended since the last sync.
///
/// Invariant: `bytes` all belong behind `written` of the current segment.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    records: u64,
    /// What a roll within the batch has written and synced already.
    early: SyncReport,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// How long the disk took, writing included.
    pub elapsed: Duration,
    /// How many bytes were written.
    pub bytes: u64,
    /// How many records became durable.
    pub records: u64,
}

impl Store {
    /// A store over directories that were just read up to `last_zxid`.
    pub(crate) fn ready(
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        layout: Layout,
        notify: Notify,
        at: (Zxid, Option<SyncedFile>),
    ) -> Store {
        let (last_zxid, side) = at;
        Store {
            disk,
            options,
            layout,
            notify,
            last_zxid,
            segment: None,
            batch: Batch::default(),
            side,
            has_snapshot: false,
            poisoned: false,
        }
    }

    /// The last transaction that was appended, synced or not.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The settings it was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The disk it uses, for a thread that writes snapshots.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// Appends a transaction to the batch. It is durable when [`Store::sync`] has returned `Ok`.
    ///
    /// Its zxid must be above all others; for a member it must be the next one, or the first of a
    /// newer epoch. The first call after a start or a roll begins a log,
    /// which touches the disk; the others only encode.
    pub fn append(&mut self, record: &TxnRecord) -> Result<(), StoreError> {
        let zxid = record.header.zxid;
        assert!(zxid > self.last_zxid, "{zxid} is appended after {}", self.last_zxid);
        self.check_usable()?;
        if self.options.role == Role::Member && !follows_in_order(self.last_zxid, zxid) {
            return Err(StoreError::Hole { after: self.last_zxid, zxid });
        }
        let start = self.batch.bytes.len();
        let mark = self.mark();
        let bytes = record::encode(record, mark, &mut self.batch.bytes);
        // The first record of a batch takes a mark: room is left for it in every one, so that what
        // is accepted does not depend on the batch.
        let bytes = bytes + if mark.is_some() { 0 } else { MARK_BYTES };
        let bytes_max = self.options.record_bytes_max;
        if bytes > bytes_max {
            self.batch.bytes.truncate(start);
            return Err(StoreError::RecordTooLong { zxid, bytes, bytes_max });
        }
        if self.segment.is_none() {
            self.begin_log(zxid)?;
        }
        self.batch.records += 1;
        self.last_zxid = zxid;
        Ok(())
    }

    /// What a record appended at this moment says about those before it.
    fn mark(&self) -> Option<Mark> {
        let first_of_batch = self.batch.bytes.is_empty();
        let marks = self.options.force_sync == ForceSync::Yes;
        (marks && first_of_batch).then(|| Mark::after(self.last_zxid))
    }

    /// Writes and syncs what was appended. When this returns `Ok`, all of it may be acknowledged.
    pub fn sync(&mut self) -> Result<SyncReport, StoreError> {
        self.check_usable()?;
        self.flush()?;
        let report = std::mem::take(&mut self.batch.early);
        let limit = self.options.log_bytes_limit.unwrap_or(u64::MAX);
        if self.segment.as_ref().is_some_and(|segment| segment.written > limit) {
            self.segment = None;
        }
        Ok(report)
    }

    /// Ends the current log: the next append begins another one. What was appended is written and
    /// synced first.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        self.flush()?;
        self.segment = None;
        Ok(())
    }

    /// Ends the history with this transaction, as a leader asks for: later ones are cut off and
    /// kept beside the logs, snapshots that show an effect of them are set aside. What was
    /// appended is written first. The next record begins a new log.
    ///
    /// The state is to be read again afterwards ([`Store::into_recovery`]). No snapshot may be in
    /// the making meanwhile, since it would show what is cut. After a failure the store is
    /// unusable, and the next start ends what was begun.
    pub fn truncate(&mut self, point: Zxid) -> Result<Truncation, StoreError> {
        self.sync()?;
        if point == self.last_zxid {
            return Ok(Truncation::Truncated);
        }
        let Some(plan) = truncate::plan(self.disk.as_ref(), &self.options, point)? else {
            return Ok(Truncation::Absent);
        };
        if plan.to != point {
            return Ok(Truncation::Absent);
        }
        let kept = self.cut_back(&plan.cutback, point)?;
        (self.notify)(&Notice::Truncated { to: point, kept });
        Ok(Truncation::Truncated)
    }

    /// Puts a snapshot that a leader has sent in the place of the history: snapshots and records
    /// beyond its zxid belong to another history and are set aside. Older ones stay as they are,
    /// but no start goes on from them across the gap. The next record follows the snapshot, in a
    /// new log. After a failure the store is unusable, and the next start ends what was begun.
    pub fn restart_at(&mut self, snapshot: SealedSnapshot) -> Result<SavedSnapshot, StoreError> {
        self.sync()?;
        let zxid = snapshot.zxid();
        let cutback = snapshot.replaces(self.disk.as_ref(), &self.options)?;
        let saved = snapshot.saved(); // From here on its temporary name is not removed any more.
        let kept = self.cut_back(&cutback, zxid)?;
        if !kept.is_empty() {
            (self.notify)(&Notice::HistoryReplaced { snapshot: zxid, kept });
        }
        self.has_snapshot = true;
        Ok(saved)
    }

    /// Writes `acceptedEpoch`: when this has returned `Ok` the promise may be told. After a failure
    /// the store is unusable.
    pub fn save_accepted(&mut self, epoch: u32) -> Result<(), StoreError> {
        self.check_usable()?;
        let saved = epochs::save_accepted(self.disk.as_ref(), &self.options, epoch);
        self.poisoned = saved.is_err();
        saved
    }

    /// Writes `currentEpoch`, after everything that was appended: only then may it say that the
    /// history of this epoch is here (ZOOKEEPER-4643). After a failure the store is unusable.
    pub fn save_current(&mut self, epoch: u32) -> Result<(), StoreError> {
        self.sync()?;
        let saved = epochs::save_current(self.disk.as_ref(), &self.options, epoch);
        self.poisoned = saved.is_err();
        saved
    }

    /// Carries out a change of the history, which ends with `last` from then on.
    fn cut_back(&mut self, cutback: &Cutback, last: Zxid) -> Result<Vec<PathBuf>, StoreError> {
        // Whatever fails on the way: what is on the disk is not what this store knows any more.
        self.poisoned = true;
        self.segment = None;
        let disk = self.disk.as_ref();
        let kept = cutback.perform(disk, &self.options)?;
        if let Some(side) = &mut self.side
            && !cutback.takes_nothing()
        {
            let log_dir = &self.layout.log_dir;
            *side = SyncedFile::open(disk, log_dir)?;
            sync_dir(&self.options, disk, log_dir)
                .map_err(|e| StoreError::io("sync", log_dir, e))?;
            side.write(Synced { log: Synced::NO_LOG, offset: 0, last })
                .and_then(|()| side.sync())
                .map_err(|e| StoreError::io("write", &side.path, e))?;
        }
        self.last_zxid = last;
        self.poisoned = false;
        Ok(kept)
    }

    /// Ends this store and begins to read the directory again, without letting go of its lock. What
    /// was appended and not synced is given up.
    pub fn into_recovery(self) -> Result<Recovery, StoreError> {
        self.check_usable()?;
        let Store { disk, options, layout, notify, .. } = self;
        Recovery::begin(disk, options, notify, layout)
    }

    /// To be called when there is nothing to do: makes the side file durable. Its failure concerns
    /// nothing that was promised.
    pub fn idle(&mut self) {
        if let Some(side) = &mut self.side
            && let Err(e) = side.sync()
        {
            let (path, reason) = (side.path.clone(), e.to_string());
            (self.notify)(&Notice::SideFileNotSynced { path, reason });
        }
    }

    /// Syncs what is left and stops.
    pub fn close(mut self) -> Result<SyncReport, StoreError> {
        let report = self.sync()?;
        self.idle();
        Ok(report)
    }

    /// Removes what the `retain` newest sound snapshots do not need.
    pub fn purge(&self, retain: usize) -> Result<Purged, StoreError> {
        purge::purge(self.disk.as_ref(), &self.options, retain)
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.poisoned { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// Writes the batch into the current log and syncs it.
    fn flush(&mut self) -> Result<(), StoreError> {
        let Some(segment) = &mut self.segment else {
            assert!(self.batch.bytes.is_empty(), "records wait for a log that does not exist");
            return Ok(());
        };
        if self.batch.bytes.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        if let Err((doing, e)) = segment.write(&self.options, &self.batch.bytes) {
            let (path, offset) = (segment.path.clone(), segment.written);
            return Err(self.poison(doing, path, offset, e));
        }
        if let Some(side) = &mut self.side {
            let (log, offset) = (segment.first, segment.written);
            if let Err(e) = side.write(Synced { log, offset, last: self.last_zxid }) {
                let path = side.path.clone();
                return Err(self.poison("write", path, 0, e));
            }
        }
        self.batch.early.elapsed += started.elapsed();
        self.batch.early.bytes += self.batch.bytes.len() as u64;
        self.batch.early.records += self.batch.records;
        self.batch.bytes.clear();
        self.batch.bytes.shrink_to(BATCH_BYTES_KEPT);
        self.batch.records = 0;
        Ok(())
    }

    /// Begins the log whose first record is `first`: its name and header are durable, and the side
    /// file knows of it, before any record is written.
    fn begin_log(&mut self, first: Zxid) -> Result<(), StoreError> {
        if !self.has_snapshot {
            let dir = &self.layout.snapshot_dir;
            if layout::snapshots(self.disk.as_ref(), dir)?.is_empty() {
                self.batch.bytes.clear();
                return Err(StoreError::NoSnapshotYet { path: dir.clone() });
            }
            self.has_snapshot = true;
        }
        let path = self.layout.log_dir.join(names::log(first));
        match self.create_log(first, path.clone()) {
            Ok(segment) => self.segment = Some(segment),
            Err((doing, e)) => return Err(self.poison(doing, path, 0, e)),
        }
        let Some(side) = &mut self.side else { return Ok(()) };
        let offset = FileHeader::BYTES as u64;
        let noted = side.write(Synced { log: first, offset, last: self.last_zxid });
        if let Err(e) = noted.and_then(|()| side.sync()) {
            let path = side.path.clone();
            return Err(self.poison("sync", path, 0, e));
        }
        Ok(())
    }

    fn create_log(&self, first: Zxid, path: PathBuf) -> Result<Segment, (&'static str, io::Error)> {
        let mut file = self.disk.create(&path).map_err(|e| ("create", e))?;
        let mut header = Vec::with_capacity(FileHeader::BYTES);
        FileHeader::LOG.encode(&mut header);
        file.write_at(0, &header).map_err(|e| ("write", e))?;
        let mut segment = Segment {
            first,
            path,
            file,
            written: header.len() as u64,
            allocated: header.len() as u64,
        };
        segment.preallocate(self.options.pre_alloc_bytes, 0).map_err(|e| ("extend", e))?;
        if self.options.force_sync == ForceSync::Yes {
            sync_file(&self.options, segment.file.as_mut()).map_err(|e| ("sync", e))?;
            let dir = &self.layout.log_dir;
            sync_dir(&self.options, self.disk.as_ref(), dir)
                .map_err(|e| ("sync the name of", e))?;
        }
        Ok(segment)
    }

    fn poison(
        &mut self,
        doing: &'static str,
        path: PathBuf,
        offset: u64,
        source: io::Error,
    ) -> StoreError {
        self.poisoned = true;
        if error::is_full(&source) {
            let bytes_free = self.disk.free_bytes(&self.layout.log_dir).ok();
            StoreError::Full { doing, path, bytes_free, source }
        } else {
            StoreError::LogWrite { doing, path, offset, source }
        }
    }
}

impl Segment {
    fn write(
        &mut self,
        options: &StoreOptions,
        bytes: &[u8],
    ) -> Result<(), (&'static str, io::Error)> {
        let count = bytes.len() as u64;
        self.preallocate(options.pre_alloc_bytes, count).map_err(|e| ("extend", e))?;
        self.file.write_at(self.written, bytes).map_err(|e| ("write", e))?;
        match options.force_sync {
            ForceSync::Yes => {
                sync_file(options, self.file.as_mut()).map_err(|e| ("sync", e))?;
            }
            ForceSync::No => {}
        }
        self.written += count;
        self.allocated = self.allocated.max(self.written);
        Ok(())
    }

    /// Extends the file in whole steps, so that `more` bytes and a reserve fit.
    fn preallocate(&mut self, step: u64, more: u64) -> io::Result<()> {
        let wanted = self.written + more + PREALLOC_RESERVE_BYTES;
        if step == 0 || wanted < self.allocated {
            return Ok(());
        }
        let len = (wanted / step + 1) * step;
        self.file.set_len(len)?;
        self.allocated = len;
        Ok(())
    }
}
