//! A disk that is a table of files in memory.
//!
//! What it keeps true: it never fails and loses nothing; the simulator's disk is the one that does.

use bellwether_store::{Access, Disk, DiskFile, DiskLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// The files by their paths. Every directory exists.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Bytes>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a target that panics ends with its disk")
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl MemoryDisk {
    pub(crate) fn put(&self, path: PathBuf, bytes: Vec<u8>) {
        locked(&self.files).insert(path, Arc::new(Mutex::new(bytes)));
    }

    /// All files and their bytes.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = locked(&self.files);
        files.iter().map(|(path, bytes)| (path.clone(), locked(bytes).clone())).collect()
    }

    fn find(&self, path: &Path) -> io::Result<Bytes> {
        locked(&self.files).get(path).cloned().ok_or_else(|| missing(path))
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_dir(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = locked(&self.files);
        let within = files.keys().filter(|path| path.parent() == Some(dir));
        let names = within.filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let bytes = Bytes::default();
        locked(&self.files).insert(path.to_owned(), Arc::clone(&bytes));
        Ok(Box::new(MemoryFile(bytes)))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(MemoryFile(self.find(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = locked(&self.files);
        let bytes = files.remove(from).ok_or_else(|| missing(from))?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        locked(&self.files).remove(path).map(drop).ok_or_else(|| missing(path))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(Some(Box::new(MemoryLock)))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Nobody else knows the disk.
struct MemoryLock;

impl DiskLock for MemoryLock {}

struct MemoryFile(Bytes);

/// Targets never have files beyond what fits into memory.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.0).len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let bytes = locked(&self.0);
        let rest = bytes.get(index(offset)..).unwrap_or_default();
        let got = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(got)
    }

    fn write_at(&mut self, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = locked(&self.0);
        let (from, to) = (index(offset), index(offset) + new.len());
        let len = bytes.len().max(to);
        bytes.resize(len, 0);
        bytes.get_mut(from..to).expect("it was made long enough").copy_from_slice(new);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        locked(&self.0).resize(index(len), 0);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
}
