//! The two calls that make something durable, in the one place where they can be broken on purpose.

use crate::disk::{Disk, DiskFile};
#[cfg(feature = "canaries")]
use crate::options::Break;
use crate::options::StoreOptions;
use std::io;
use std::path::Path;

/// Syncs a file.
#[cfg_attr(not(feature = "canaries"), expect(unused_variables, reason = "only canaries ask"))]
pub(crate) fn sync_file(options: &StoreOptions, file: &mut dyn DiskFile) -> io::Result<()> {
    #[cfg(feature = "canaries")]
    if options.is_broken(Break::AckBeforeSync) {
        return Ok(());
    } else if options.is_broken(Break::RetryAfterFailedSync) {
        return file.sync_data().or_else(|_| file.sync_data());
    }
    file.sync_data()
}

/// Syncs a directory.
#[cfg_attr(not(feature = "canaries"), expect(unused_variables, reason = "only canaries ask"))]
pub(crate) fn sync_dir(options: &StoreOptions, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    #[cfg(feature = "canaries")]
    if options.is_broken(Break::NoDirSync) {
        return Ok(());
    }
    disk.sync_dir(dir)
}
