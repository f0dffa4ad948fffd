//! A snapshot that a leader sends: written by any thread under a temporary name, and put in the
//! place of the history by the one that has the store.
//!
//! What it must keep true:
//! - a part of a snapshot never has a snapshot's name, and no whole one has it while transactions
//!   or snapshots of another history stand beyond it (`cutback.rs` does both as one);
//! - what is not put in place is removed, at the latest by the next start.

use crate::cutback::Cutback;
use crate::disk::Disk;
use crate::durable::sync_dir;
use crate::error::StoreError;
use crate::layout;
use crate::names;
use crate::options::StoreOptions;
use crate::snapshot_writer::{SavedSnapshot, SnapshotWriter};
use crate::truncate::Walk;
use bellwether_wire::Zxid;
use bellwether_wire::disk::SnapshotItem;
use std::path::PathBuf;
use std::sync::Arc;

/// A snapshot that is being received.
pub struct ReceivedSnapshot {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    zxid: Zxid,
    writer: SnapshotWriter,
}

/// A received snapshot that is whole and durable, but not in place. Dropped, it is removed.
pub struct SealedSnapshot {
    disk: Arc<dyn Disk>,
    zxid: Zxid,
    temporary: PathBuf,
    path: PathBuf,
    bytes: u64,
    /// Whether it is up to [`crate::Store::restart_at`] what becomes of the file.
    handed_over: bool,
}

impl ReceivedSnapshot {
    /// Begins to receive the snapshot of `zxid`.
    pub fn create(
        disk: Arc<dyn Disk>,
        options: &StoreOptions,
        zxid: Zxid,
    ) -> Result<ReceivedSnapshot, StoreError> {
        let temporary = names::received(&names::snapshot(zxid, options.compression));
        let writer = SnapshotWriter::under(Arc::clone(&disk), options, zxid, temporary)?;
        Ok(ReceivedSnapshot { disk, options: options.clone(), zxid, writer })
    }

    /// Adds an item. They come in [`SnapshotItem`]'s order.
    pub fn write(&mut self, item: &SnapshotItem) -> Result<(), StoreError> {
        self.writer.write(item)
    }

    /// Ends it, and makes it and its temporary name durable.
    pub fn seal(mut self) -> Result<SealedSnapshot, StoreError> {
        let bytes = self.writer.seal()?;
        let dir = self.options.snapshot_dir();
        sync_dir(&self.options, self.disk.as_ref(), &dir).map_err(|e| {
            let path = self.writer.path().to_path_buf();
            StoreError::SnapshotWrite {
                doing: "sync the name of",
                path,
                bytes_free: None,
                source: e,
            }
        })?;
        let (temporary, path) = self.writer.into_paths();
        let (disk, zxid) = (self.disk, self.zxid);
        Ok(SealedSnapshot { disk, zxid, temporary, path, bytes, handed_over: false })
    }

    /// Gives up and removes what was written.
    pub fn abort(self) {
        drop(self);
    }
}

impl SealedSnapshot {
    /// The transaction that it goes up to.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// What is to be taken away where it takes its place: everything beyond its zxid.
    pub(crate) fn replaces(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
    ) -> Result<Cutback, StoreError> {
        let (temporary, name) = (file_name(&self.temporary), file_name(&self.path));
        let mut cutback = Cutback::default();
        let snapshots = layout::snapshots(disk, &options.snapshot_dir())?;
        // One of the same zxid is of another history, too. The same name is replaced.
        let replaced = snapshots.into_iter().rev().take_while(|(zxid, _)| *zxid >= self.zxid);
        cutback.snapshots = replaced.map(|(_, other)| other).filter(|o| *o != name).collect();
        let logs = layout::logs(disk, &options.log_dir())?;
        let beyond = logs.iter().rev().take_while(|(first, _)| *first > self.zxid);
        cutback.logs = beyond.map(|(_, log)| log.clone()).collect();
        let before = logs.len() - cutback.logs.len();
        if let Some(newest) = logs.get(..before).and_then(<[_]>::last) {
            self.find_cut(disk, options, newest, &mut cutback)?;
        }
        cutback.received = Some((temporary, name));
        Ok(cutback)
    }

    /// Finds where the newest log that begins at or before the snapshot goes beyond it.
    fn find_cut(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
        log: &(Zxid, String),
        cutback: &mut Cutback,
    ) -> Result<(), StoreError> {
        let logs = std::slice::from_ref(log);
        let mut walk = Walk::new(&options.log_dir(), logs, options.record_bytes_max);
        while let Some(found) = walk.step(disk)? {
            if found.record.header.zxid > self.zxid {
                cutback.cut = Some((log.1.clone(), found.offset));
                break;
            }
        }
        Ok(())
    }

    /// Hands the file over: what is not put in place is left to the next start.
    pub(crate) fn saved(mut self) -> SavedSnapshot {
        self.handed_over = true;
        SavedSnapshot { zxid: self.zxid, path: self.path.clone(), bytes: self.bytes }
    }
}

impl Drop for SealedSnapshot {
    fn drop(&mut self) {
        if !self.handed_over {
            // Where this fails, too, the file is removed at the next start.
            drop(self.disk.remove(&self.temporary));
        }
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}
