//! The directories of a store: found or created, checked, locked, and rid of unfinished files.
//! A change of history that was interrupted is completed before anything else is looked at.

use crate::cutback::Cutback;
use crate::disk::{Disk, DiskLock};
use crate::error::StoreError;
use crate::names;
use crate::notice::{Notice, Notify};
use crate::options::{MissingDirectories, StoreOptions};
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// The directories of an open store, and the right to use them.
pub(crate) struct Layout {
    pub(crate) log_dir: PathBuf,
    pub(crate) snapshot_dir: PathBuf,
    /// Held while the store lives.
    _locks: Vec<Box<dyn DiskLock>>,
}

impl Layout {
    /// Finds or creates the directories, locks them, checks them, and ends what was interrupted:
    /// a change of history is completed, unfinished files are removed.
    pub(crate) fn open(
        disk: &dyn Disk,
        options: &StoreOptions,
        notify: &mut Notify,
    ) -> Result<Layout, StoreError> {
        let (log_dir, snapshot_dir) = (options.log_dir(), options.snapshot_dir());
        let mut dirs = vec![log_dir.as_path()];
        if snapshot_dir != log_dir {
            dirs.push(&snapshot_dir);
        }
        let mut locks = Vec::new();
        for dir in &dirs {
            make(disk, options, dir)?;
            locks.push(lock(disk, dir)?);
        }
        if snapshot_dir != log_dir {
            check_misplaced(disk, &log_dir, names::looks_like_snapshot, "dataDir")?;
            check_misplaced(disk, &snapshot_dir, names::looks_like_log, "dataLogDir")?;
        }
        if let Some(kept) = Cutback::complete(disk, options)? {
            notify(&Notice::CutbackCompleted { kept });
        }
        for dir in &dirs {
            remove_unfinished(disk, dir, notify)?;
        }
        Ok(Layout { log_dir, snapshot_dir, _locks: locks })
    }
}

fn make(disk: &dyn Disk, options: &StoreOptions, dir: &Path) -> Result<(), StoreError> {
    if disk.is_dir(dir).map_err(|e| StoreError::directory("look at", dir, e))? {
        return Ok(());
    }
    match options.directories {
        MissingDirectories::Refuse => Err(StoreError::MissingDirectory { path: dir.to_path_buf() }),
        MissingDirectories::Create => {
            disk.create_dir_all(dir).map_err(|e| StoreError::directory("create", dir, e))
        }
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, StoreError> {
    let path = dir.join(names::LOCK);
    disk.lock(&path)
        .map_err(|e| StoreError::directory("lock", &path, e))?
        .ok_or(StoreError::Locked { path })
}

fn check_misplaced(
    disk: &dyn Disk,
    dir: &Path,
    is_misplaced: fn(&str) -> bool,
    belongs_to: &'static str,
) -> Result<(), StoreError> {
    match list(disk, dir)?.into_iter().find(|name| is_misplaced(name)) {
        Some(name) => Err(StoreError::Misplaced { path: dir.join(name), belongs_to }),
        None => Ok(()),
    }
}

fn remove_unfinished(disk: &dyn Disk, dir: &Path, notify: &mut Notify) -> Result<(), StoreError> {
    for name in list(disk, dir)?.iter().filter(|name| names::is_temporary(name)) {
        let path = dir.join(name);
        disk.remove(&path).map_err(|e| StoreError::directory("remove", &path, e))?;
        notify(&Notice::TemporaryRemoved { path });
    }
    Ok(())
}

pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, StoreError> {
    disk.list(dir).map_err(|e| StoreError::directory("list", dir, e))
}

/// The logs of a directory, the oldest first.
pub(crate) fn logs(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Zxid, String)>, StoreError> {
    Ok(sorted(list(disk, dir)?, names::log_zxid))
}

/// The snapshots of a directory, the oldest first.
pub(crate) fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Zxid, String)>, StoreError> {
    Ok(sorted(list(disk, dir)?, names::snapshot_zxid))
}

/// The files with bytes that were cut off logs, by the zxid of the log.
pub(crate) fn cuts(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Zxid, String)>, StoreError> {
    Ok(sorted(list(disk, dir)?, names::cut_zxid))
}

/// The snapshots that were set aside, by their zxid.
pub(crate) fn kept_snapshots(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Vec<(Zxid, String)>, StoreError> {
    Ok(sorted(list(disk, dir)?, names::kept_snapshot_zxid))
}

fn sorted(names: Vec<String>, zxid_of: fn(&str) -> Option<Zxid>) -> Vec<(Zxid, String)> {
    let mut found: Vec<_> =
        names.into_iter().filter_map(|name| zxid_of(&name).map(|zxid| (zxid, name))).collect();
    found.sort();
    found
}

/// The part of `logs` that can hold transactions after `zxid`: from the newest that begins at or
/// before it.
pub(crate) fn logs_from(logs: &[(Zxid, String)], zxid: Zxid) -> &[(Zxid, String)] {
    let older = logs.partition_point(|(first, _)| *first <= zxid);
    logs.get(older.saturating_sub(1)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_starts_with_the_newest_log_not_after_the_snapshot() {
        let logs = [1, 5, 9].map(|zxid| (Zxid(zxid), names::log(Zxid(zxid)))).to_vec();
        let first = |zxid| logs_from(&logs, Zxid(zxid)).first().map(|(first, _)| first.0);
        assert_eq!(first(0), Some(1));
        assert_eq!(first(4), Some(1));
        assert_eq!(first(5), Some(5));
        assert_eq!(first(100), Some(9));
        assert_eq!(logs_from(&[], Zxid(3)), &[]);
    }
}
