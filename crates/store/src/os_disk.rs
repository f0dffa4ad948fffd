//! Real files.
//!
//! `sync_data` is `fdatasync`, which makes a changed length durable too. A directory is synced by
//! opening it and calling `fsync`. The lock is `flock`: it ends with the process, however it ends.

use crate::disk::{Access, Disk, DiskFile, DiskLock};
use rustix::fs::{Advice, fadvise};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// What the kernel keeps in memory it keeps in pieces of this size.
const PAGE_BYTES: u64 = 4096;

struct OsFile {
    file: File,
    /// What was written since the last sync, where that is one piece.
    written: Option<Range<u64>>,
}

struct OsLock {
    /// Held for its lock alone.
    _file: File,
}

impl DiskLock for OsLock {}

impl Disk for OsDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|d| !is_existing(d)).collect();
        for dir in missing.into_iter().rev() {
            match std::fs::create_dir(dir) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            }
            self.sync_dir(&parent_of(dir))?;
        }
        Ok(())
    }

    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        match std::fs::metadata(dir) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of the names that mean something here.
            if let Ok(name) = entry.file_name().into_string()
                && !entry.file_type()?.is_dir()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(OsFile { file, written: None }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let write = access == Access::ReadWrite;
        let file = OpenOptions::new().read(true).write(write).open(path)?;
        Ok(Box::new(OsFile { file, written: None }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(OsLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn is_existing(dir: &Path) -> bool {
    dir.as_os_str().is_empty() || dir.exists()
}

fn parent_of(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}

impl OsFile {
    /// Lets the kernel drop its copy of what was just synced: nobody reads it before the next start
    /// and each batch would take memory that was never used, which costs more than the copying.
    /// Pages that are not full stay, since the next batch goes on in them.
    fn forget(&self, written: Range<u64>) {
        let from = written.start / PAGE_BYTES * PAGE_BYTES;
        if let Some(length) = NonZeroU64::new(written.end.saturating_sub(from)) {
            // It is advice: where it is not taken, nothing is lost.
            fadvise(&self.file, from, Some(length), Advice::DontNeed).ok();
        }
    }
}

fn end(offset: u64, bytes: &[u8]) -> u64 {
    offset + bytes.len() as u64
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.written = match self.written.take() {
            Some(written) if written.end == offset => Some(written.start..end(offset, bytes)),
            // Not one piece any more: what is kept in memory is left to the kernel.
            Some(_) | None => Some(offset..end(offset, bytes)),
        };
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if let Some(written) = self.written.take() {
            self.forget(written);
        }
        Ok(())
    }
}
