//! What `store` asks of a disk, and what a disk promises in return.
//!
//! The promises are the weak ones that real disks keep: what was written is certain to survive the
//! loss of power only after [`DiskFile::sync_data`] returned `Ok`, a file's name only after
//! [`Disk::sync_dir`] of its directory did. Until then any part of it may be there, in any order.
//! After a sync that failed nothing is known about what was written before it, and a later sync
//! that succeeds says nothing about it either: `store` never asks a second time.
//!
//! Two implementations exist: [`crate::os_disk::OsDisk`] and the simulator's.

use std::io;
use std::path::Path;

/// A disk. Implementations are shared between the thread of the log and that of the snapshots.
pub trait Disk: Send + Sync {
    /// Makes a directory and those above it; all of them are durable when this returns.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Whether there is a directory of this name.
    fn is_dir(&self, dir: &Path) -> io::Result<bool>;
    /// The names of the files in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a file, or empties the one there is. Its name is durable after [`Disk::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name in the same directory, replacing what had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock that a file of this name stands for, or `None` where another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// How many bytes can still be written below `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read only.
    Read,
    /// To read and write.
    ReadWrite,
}

/// An open file. There is no cursor: every access names its offset.
pub trait DiskFile: Send {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `into.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes`, or fails after having written any part of them.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file or extends it with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes what was written, and the length, durable.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// A lock that is held until it is dropped, or its process ends in whatever way.
pub trait DiskLock: Send + Sync {}
