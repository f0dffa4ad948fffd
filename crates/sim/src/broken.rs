//! Servers that are broken on purpose: each must be found out by a checker.
//!
//! The production code stays as it is. What is broken is what stands around it: the disk that the
//! store believes in, or the shell that performs the node's effects.

use crate::disk::SimDisk;
use bellwether_store::{Access, Disk, DiskFile, DiskLock};
use std::io;
use std::path::Path;

macro_rules! breaks {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A way to be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Break { $($(#[$doc])* $variant,)* }

        impl Break {
            /// All of them.
            pub const ALL: &'static [Break] = &[$(Break::$variant,)*];

            /// What `--break` calls it.
            pub fn name(self) -> &'static str {
                match self { $(Break::$variant => $name,)* }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Break> {
                match name { $($name => Some(Break::$variant),)* _ => None }
            }
        }
    };
}

breaks! {
    /// The shell reports a batch durable when it is written, and syncs some time later.
    AckBeforeSync "ack-before-sync";
    /// Directories are never synced.
    NoDirSync "no-dir-sync";
    /// A sync that failed is asked for again, and believed.
    RetryFailedSync "retry-failed-sync";
    /// A log that failed is reported durable all the same.
    AckFailedSync "ack-failed-sync";
    /// Replies are written before the watch events that came first.
    ReplyBeforeEvent "reply-before-event";
    /// A watch event is lost now and then.
    LoseEvent "lose-event";
    /// A watch event is sent twice now and then.
    RepeatEvent "repeat-event";
    /// Two replies to one connection change places.
    SwapReplies "swap-replies";
    /// A start forgets the last transaction of the log.
    ForgetLastTxn "forget-last-txn";
    /// A start applies only the first part of a multi.
    HalfMulti "half-multi";
    /// A start passes over the ends of sessions.
    ForgetCloses "forget-closes";
    /// The timer of the sessions is fast by less than a tick.
    FastTimer "fast-timer";
    /// Reads are answered with what another read was answered before.
    StaleRead "stale-read";
}

/// The disk as a broken store would use it.
#[derive(Clone)]
pub(crate) struct BrokenDisk {
    pub(crate) disk: SimDisk,
    pub(crate) how: Option<Break>,
}

struct BrokenFile {
    file: Box<dyn DiskFile>,
    how: Option<Break>,
}

impl BrokenDisk {
    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(BrokenFile { file, how: self.how })
    }
}

impl Disk for BrokenDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        self.disk.is_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(path, access).map(|file| self.wrap(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.how == Some(Break::NoDirSync) { Ok(()) } else { self.disk.sync_dir(dir) }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

impl DiskFile for BrokenFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        match self.file.sync_data() {
            Err(_) if self.how == Some(Break::RetryFailedSync) => self.file.sync_data(),
            result => result,
        }
    }
}
