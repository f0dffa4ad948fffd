//! What is changed in a directory after all of it was read and understood, and before it is
//! written to again.
//!
//! After [`Repairs::perform`] everything that was read is on stable storage, whoever wrote it and
//! however that ended: only then may a mark say so. The last batch is written again with the bytes
//! it has. A sync that failed may have left it in the page cache without being on the disk, and
//! another sync would then not write it.

use crate::damage::Damage;
use crate::disk::{Access, Disk, DiskFile};
use crate::durable::{sync_dir, sync_file};
use crate::error::{self, StoreError};
use crate::limits::COPY_BYTES;
use crate::names;
use crate::notice::{Notice, Notify};
use crate::options::{ForceSync, StoreOptions};
use crate::synced::{Synced, SyncedFile};
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Default)]
pub(crate) struct Repairs {
    read: Vec<PathBuf>,
    cuts: Vec<Cut>,
    removes: Vec<Remove>,
    last_batch: Option<LastBatch>,
}

/// Something that a start changes in a directory before it writes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// The bytes of a last batch that was never synced are cut off a log and kept beside it.
    Cut { log: PathBuf, offset: u64, end: u64, damage: Damage, last: Zxid },
    /// A log without a record is removed.
    Remove { log: PathBuf },
}

/// The last batch of the newest log that carries marks.
pub(crate) struct LastBatch {
    pub(crate) log: Zxid,
    pub(crate) path: PathBuf,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

struct Cut {
    path: PathBuf,
    offset: u64,
    end: u64,
    damage: Damage,
    last: Zxid,
}

struct Remove {
    path: PathBuf,
    keep: bool,
}

impl Repairs {
    /// Notes a log that was read.
    pub(crate) fn read(&mut self, path: PathBuf) {
        self.read.push(path);
    }

    /// Notes bytes to be cut off a log.
    pub(crate) fn cut(&mut self, path: PathBuf, offset: u64, end: u64, damage: Damage, last: Zxid) {
        self.cuts.push(Cut { path, offset, end, damage, last });
    }

    /// Notes a log without a header, to be removed.
    pub(crate) fn remove(&mut self, path: PathBuf, keep: bool) {
        self.removes.push(Remove { path, keep });
    }

    /// Notes a log without a record, to be removed after what was in it was kept.
    pub(crate) fn remove_empty(&mut self, path: PathBuf) {
        self.read.retain(|read| *read != path);
        self.remove(path, false);
    }

    /// Notes where the newest batch stands, if it has a mark.
    pub(crate) fn last_batch(&mut self, batch: Option<LastBatch>) {
        self.last_batch = batch;
    }

    /// The last place where something is to be cut.
    pub(crate) fn last_cut(&self) -> Option<(&PathBuf, u64)> {
        self.cuts.last().map(|cut| (&cut.path, cut.offset))
    }

    /// What [`Repairs::perform`] would change.
    pub(crate) fn planned(&self) -> Vec<Planned> {
        let cuts = self.cuts.iter().map(|cut| Planned::Cut {
            log: cut.path.clone(),
            offset: cut.offset,
            end: cut.end,
            damage: cut.damage.clone(),
            last: cut.last,
        });
        let removes = self.removes.iter().map(|r| Planned::Remove { log: r.path.clone() });
        cuts.chain(removes).collect()
    }

    /// Does it all; returns the side file, which says that `last_zxid` is on stable storage.
    pub(crate) fn perform(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
        notify: &mut Notify,
        found: (Option<PathBuf>, Zxid),
    ) -> Result<Option<SyncedFile>, StoreError> {
        let (snapshot, last_zxid) = found;
        for cut in &self.cuts {
            cut.perform(disk, options, notify)?;
        }
        for remove in &self.removes {
            remove.perform(disk, options, notify)?;
        }
        if let Some(batch) = &self.last_batch {
            batch.write_again(disk).map_err(|e| failed(disk, "rewrite", &batch.path, e))?;
        }
        for path in self.read.iter().chain(&snapshot) {
            sync_path(disk, options, path)?;
        }
        let log_dir = options.log_dir();
        let side = match options.force_sync {
            ForceSync::Yes => Some(SyncedFile::open(disk, &log_dir)?),
            ForceSync::No => None,
        };
        for dir in [&log_dir, &options.snapshot_dir()] {
            sync_dir(options, disk, dir).map_err(|e| failed(disk, "sync", dir, e))?;
        }
        let Some(mut side) = side else { return Ok(None) };
        let (log, offset) = match &self.last_batch {
            Some(batch) => (batch.log, batch.to),
            None => (Synced::NO_LOG, 0),
        };
        side.write(Synced { log, offset, last: last_zxid })
            .and_then(|()| side.sync())
            .map_err(|e| failed(disk, "write", &side.path, e))?;
        Ok(Some(side))
    }
}

/// Names what failed, and what is free where that is the reason.
pub(crate) fn failed(
    disk: &dyn Disk,
    doing: &'static str,
    path: &Path,
    source: std::io::Error,
) -> StoreError {
    if !error::is_full(&source) {
        return StoreError::io(doing, path, source);
    }
    let bytes_free = path.parent().and_then(|dir| disk.free_bytes(dir).ok());
    StoreError::Full { doing, path: path.to_path_buf(), bytes_free, source }
}

fn sync_path(disk: &dyn Disk, options: &StoreOptions, path: &Path) -> Result<(), StoreError> {
    let mut file = disk.open(path, Access::ReadWrite).map_err(|e| failed(disk, "open", path, e))?;
    sync_file(options, file.as_mut()).map_err(|e| failed(disk, "sync", path, e))
}

impl LastBatch {
    fn write_again(&self, disk: &dyn Disk) -> std::io::Result<()> {
        let mut file = disk.open(&self.path, Access::ReadWrite)?;
        let mut piece = vec![0; COPY_BYTES];
        let mut at = self.from;
        while at < self.to {
            let wanted = usize::try_from(self.to - at).map_or(COPY_BYTES, |n| n.min(COPY_BYTES));
            let got = file.read_at(at, piece.get_mut(..wanted).unwrap_or_default())?;
            if got == 0 {
                break;
            }
            file.write_at(at, piece.get(..got).unwrap_or_default())?;
            at += got as u64;
        }
        Ok(())
    }
}

impl Cut {
    fn perform(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
        notify: &mut Notify,
    ) -> Result<(), StoreError> {
        let kept = free_name(disk, &self.path, self.offset)?;
        self.copy(disk, options, &kept).map_err(|e| failed(disk, "write", &kept, e))?;
        let log_dir = options.log_dir();
        sync_dir(options, disk, &log_dir).map_err(|e| failed(disk, "sync", &log_dir, e))?;
        let mut file = disk
            .open(&self.path, Access::ReadWrite)
            .map_err(|e| failed(disk, "open", &self.path, e))?;
        file.set_len(self.offset)
            .and_then(|()| sync_file(options, file.as_mut()))
            .map_err(|e| failed(disk, "cut", &self.path, e))?;
        notify(&Notice::TailCut {
            log: self.path.clone(),
            offset: self.offset,
            bytes: self.end - self.offset,
            kept,
            damage: self.damage.clone(),
            last: self.last,
        });
        Ok(())
    }

    fn copy(&self, disk: &dyn Disk, options: &StoreOptions, kept: &Path) -> std::io::Result<()> {
        let mut to = copy_bytes(disk, &self.path, (self.offset, self.end), kept)?;
        sync_file(options, to.as_mut())
    }
}

/// Copies the bytes between two offsets into a file of their own; the caller syncs it.
pub(crate) fn copy_bytes(
    disk: &dyn Disk,
    path: &Path,
    (offset, end): (u64, u64),
    to: &Path,
) -> std::io::Result<Box<dyn DiskFile>> {
    let from = disk.open(path, Access::Read)?;
    let mut to: Box<dyn DiskFile> = disk.create(to)?;
    let mut piece = vec![0; COPY_BYTES];
    let mut at = offset;
    while at < end {
        let wanted = usize::try_from(end - at).map_or(COPY_BYTES, |n| n.min(COPY_BYTES));
        let got = from.read_at(at, piece.get_mut(..wanted).unwrap_or_default())?;
        if got == 0 {
            break;
        }
        to.write_at(at - offset, piece.get(..got).unwrap_or_default())?;
        at += got as u64;
    }
    Ok(to)
}

impl Remove {
    fn perform(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
        notify: &mut Notify,
    ) -> Result<(), StoreError> {
        let kept = if self.keep { Some(free_name(disk, &self.path, 0)?) } else { None };
        match &kept {
            Some(kept) => disk.rename(&self.path, kept),
            None => disk.remove(&self.path),
        }
        .map_err(|e| failed(disk, "remove", &self.path, e))?;
        let log_dir = options.log_dir();
        sync_dir(options, disk, &log_dir).map_err(|e| failed(disk, "sync", &log_dir, e))?;
        notify(&Notice::EmptyLogRemoved { log: self.path.clone(), kept });
        Ok(())
    }
}

/// A name for kept bytes that nothing has yet.
pub(crate) fn free_name(disk: &dyn Disk, log: &Path, offset: u64) -> Result<PathBuf, StoreError> {
    let dir = log.parent().expect("a log stands in a directory");
    let name = log.file_name().and_then(|name| name.to_str()).expect("its name was listed");
    let taken = crate::layout::list(disk, dir)?;
    let first = names::cut(name, offset);
    let more = (1_u64..).map(|n| format!("{first}.{n}"));
    let free = std::iter::once(first.clone()).chain(more).find(|name| !taken.contains(name));
    Ok(dir.join(free.expect("numbers do not run out")))
}
