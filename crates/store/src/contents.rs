//! What stands in a directory of logs or snapshots, for those who look at it from outside.

use crate::disk::Disk;
use crate::error::StoreError;
use crate::layout;
use crate::names;
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// The files of a `version-2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Logs with the zxid of their names, the oldest first.
    pub logs: Vec<(Zxid, PathBuf)>,
    /// Snapshots likewise, compressed or not.
    pub snapshots: Vec<(Zxid, PathBuf)>,
    /// What was cut off, or set aside by a repair.
    pub kept: Vec<PathBuf>,
    /// What was never finished; a start removes it.
    pub unfinished: Vec<PathBuf>,
}

impl Contents {
    /// Lists a directory.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Contents, StoreError> {
        let names = layout::list(disk, dir)?;
        let with = |found: Vec<(Zxid, String)>| -> Vec<(Zxid, PathBuf)> {
            found.into_iter().map(|(zxid, name)| (zxid, dir.join(name))).collect()
        };
        let named = |is: fn(&str) -> bool| -> Vec<PathBuf> {
            names.iter().filter(|name| is(name)).map(|name| dir.join(name)).collect()
        };
        Ok(Contents {
            kept: named(names::is_kept),
            unfinished: named(names::is_temporary),
            logs: with(layout::logs(disk, dir)?),
            snapshots: with(layout::snapshots(disk, dir)?),
        })
    }
}

/// Whether a file of this name is a log, a snapshot, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A log that begins with this transaction.
    Log(Zxid),
    /// A snapshot of this transaction.
    Snapshot(Zxid),
    /// Something else.
    Other,
}

impl Named {
    /// What the name of a file says. A kept file says what it was.
    pub fn of(path: &Path) -> Named {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = names::without_kept(name);
        match (names::log_zxid(name), names::snapshot_zxid(name)) {
            (Some(zxid), _) => Named::Log(zxid),
            (None, Some(zxid)) => Named::Snapshot(zxid),
            (None, None) => Named::Other,
        }
    }
}
