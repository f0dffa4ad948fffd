//! Removes what no start can need any more: `autopurge`.
//!
//! Kept are the newest snapshots that can be read to their end, every log from the newest that
//! begins at or before the oldest of them, and everything newer. Where there are fewer sound
//! snapshots than are to be kept, nothing is removed.
//!
//! A member's snapshot of an epoch beyond the current one may be taken away again with the
//! synchronisation that brought it: it does not count. Nothing is removed while a change of history
//! waits to be completed.

use crate::cutback::Cutback;
use crate::disk::Disk;
use crate::durable::sync_dir;
use crate::epochs::EpochFiles;
use crate::error::StoreError;
use crate::layout;
use crate::options::{Role, StoreOptions};
use crate::snapshot_reader::SnapshotReader;
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// What was removed, the oldest first.
#[derive(Debug, Default)]
pub struct Purged {
    /// Snapshots.
    pub snapshots: Vec<PathBuf>,
    /// Logs.
    pub logs: Vec<PathBuf>,
    /// What was once cut off such logs, and snapshots like these that were set aside.
    pub cuts: Vec<PathBuf>,
    /// What could not be removed. It holds up nothing else, and is tried again the next time.
    pub failures: Vec<StoreError>,
}

/// Removes what the `retain` newest sound snapshots do not need. Safe beside a running log.
pub fn purge(disk: &dyn Disk, options: &StoreOptions, retain: usize) -> Result<Purged, StoreError> {
    let (log_dir, snapshot_dir) = (options.log_dir(), options.snapshot_dir());
    if Cutback::is_waiting(disk, options)? {
        return Ok(Purged::default());
    }
    let current = match options.role {
        Role::Standalone => None,
        Role::Member => EpochFiles::read(disk, options)?.current,
    };
    // The logs are listed first: one that is begun meanwhile is not up for removal.
    let logs = layout::logs(disk, &log_dir)?;
    let snapshots = layout::snapshots(disk, &snapshot_dir)?;
    let sound = |name: &String| SnapshotReader::verify(disk, &snapshot_dir.join(name)).is_ok();
    let counts = |zxid: Zxid| current.is_none_or(|current| zxid.epoch() <= current);
    let kept = snapshots.iter().rev().filter(|(zxid, name)| counts(*zxid) && sound(name));
    let Some((oldest, _)) = kept.take(retain).nth(retain.saturating_sub(1)) else {
        return Ok(Purged::default());
    };
    let old = |names: &[(Zxid, String)], before: Zxid, dir: &Path| -> Vec<PathBuf> {
        let old = names.iter().take_while(|(zxid, _)| *zxid < before);
        old.map(|(_, name)| dir.join(name)).collect()
    };
    let first_log = layout::logs_from(&logs, *oldest).first().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
    let mut purged = Purged {
        snapshots: old(&snapshots, *oldest, &snapshot_dir),
        logs: old(&logs, first_log, &log_dir),
        cuts: old(&layout::cuts(disk, &log_dir)?, first_log, &log_dir),
        failures: Vec::new(),
    };
    let set_aside = layout::kept_snapshots(disk, &snapshot_dir)?;
    purged.cuts.extend(old(&set_aside, *oldest, &snapshot_dir));
    let Purged { snapshots, logs, cuts, failures } = &mut purged;
    for paths in [snapshots, logs, cuts] {
        paths.retain(|path| match disk.remove(path) {
            Ok(()) => true,
            Err(error) => {
                failures.push(StoreError::io("remove", path, error));
                false
            }
        });
    }
    for dir in [&snapshot_dir, &log_dir] {
        sync_dir(options, disk, dir).map_err(|e| StoreError::io("sync", dir, e))?;
    }
    Ok(purged)
}
