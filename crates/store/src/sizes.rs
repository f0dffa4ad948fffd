//! How large a data directory is, for the metrics.

use crate::disk::{Access, Disk};
use crate::error::StoreError;
use crate::layout;
use crate::options::StoreOptions;
use bellwether_wire::Zxid;
use std::path::Path;

/// Bytes in files, preallocated space included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All snapshots.
    pub snapshot_bytes: u64,
    /// All logs.
    pub log_bytes: u64,
}

/// Adds up the files of a store.
pub fn sizes(disk: &dyn Disk, options: &StoreOptions) -> Result<Sizes, StoreError> {
    let (log_dir, snapshot_dir) = (options.log_dir(), options.snapshot_dir());
    Ok(Sizes {
        snapshot_bytes: sum(disk, &snapshot_dir, &layout::snapshots(disk, &snapshot_dir)?),
        log_bytes: sum(disk, &log_dir, &layout::logs(disk, &log_dir)?),
    })
}

/// A file that is removed meanwhile counts as nothing.
fn sum(disk: &dyn Disk, dir: &Path, files: &[(Zxid, String)]) -> u64 {
    let len = |name: &String| disk.open(&dir.join(name), Access::Read)?.len();
    files.iter().filter_map(|(_, name)| len(name).ok()).sum()
}
