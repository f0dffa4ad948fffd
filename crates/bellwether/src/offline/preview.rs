//! What a server would do with a directory: the recovery of a start, over a disk that changes
//! nothing.

use super::target;
use bellwether_store::{
    Access, Disk, DiskFile, DiskLock, MissingDirectories, Notice, Origin, OsDisk, Planned,
    Recovered, Store, StoreError, StoreOptions,
};
use bellwether_wire::Zxid;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What a start would come to.
pub(super) struct Preview {
    /// What the state is made from, and the last transaction; or why the start is refused.
    pub(super) outcome: Result<Started, StoreError>,
    /// What the server would warn of.
    pub(super) notices: Vec<String>,
    /// What it would change.
    pub(super) planned: Vec<Planned>,
}

/// A state that was read.
pub(super) struct Started {
    pub(super) snapshot: Option<PathBuf>,
    pub(super) transactions: u64,
    pub(super) last: Zxid,
}

/// The real disk, to look at alone: what a start removes stays, and nothing can be written.
struct Untouched;

struct NoLock;

impl DiskLock for NoLock {}

fn refused() -> io::Error {
    io::Error::other("this disk is only looked at")
}

impl Disk for Untouched {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        OsDisk.is_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn DiskFile>> {
        Err(refused())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        match access {
            Access::Read => OsDisk.open(path, access),
            Access::ReadWrite => Err(refused()),
        }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    /// A start removes unfinished files before it reads; reading passes over them anyway.
    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    /// The command holds the directory itself.
    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(Some(Box::new(NoLock)))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        OsDisk.free_bytes(dir)
    }
}

/// Reads a directory as a start reads it. Both are a `version-2`.
pub(super) fn preview(log_dir: &Path, snapshot_dir: &Path, record_bytes_max: usize) -> Preview {
    let mut options = StoreOptions::new(target::parent(snapshot_dir));
    options.data_log_dir = target::parent(log_dir);
    options.directories = MissingDirectories::Refuse;
    options.record_bytes_max = record_bytes_max;
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    let notify = Box::new(move |notice: &Notice| match notice {
        // These say what a start does, and are told as what it would do.
        Notice::TemporaryRemoved { .. }
        | Notice::TailCut { .. }
        | Notice::EmptyLogRemoved { .. }
        | Notice::SynchronisationUndone { .. }
        | Notice::Truncated { .. }
        | Notice::HistoryReplaced { .. }
        | Notice::CutbackCompleted { .. }
        | Notice::NotSynced
        | Notice::SideFileNotSynced { .. } => {}
        Notice::SnapshotSkipped { .. }
        | Notice::LogEndsWithinRecord { .. }
        | Notice::RecordRepeated { .. }
        | Notice::Gap { .. }
        | Notice::EndsBeforeSkippedSnapshot { .. } => {
            heard.lock().expect("no holder panics").push(notice.to_string());
        }
    });
    let (outcome, planned) = match Store::open(Arc::new(Untouched), options, notify) {
        Ok(mut recovery) => {
            let mut transactions = 0;
            let failed = recovery.find_map(|item| match item {
                Ok(Recovered::Txn(_)) => {
                    transactions += 1;
                    None
                }
                Ok(Recovered::Item(_)) => None,
                Err(error) => Some(error),
            });
            let snapshot = match recovery.origin() {
                Origin::Snapshot { path, .. } => Some(path.clone()),
                Origin::Fresh | Origin::LogsAlone => None,
            };
            let started = Started { snapshot, transactions, last: recovery.last_zxid() };
            match failed {
                None => (Ok(started), recovery.planned()),
                // What was planned until then rests on what the refusal contradicts.
                Some(error) => (Err(error), Vec::new()),
            }
        }
        Err(error) => (Err(error), Vec::new()),
    };
    let notices = notices.lock().expect("no holder panics").clone();
    Preview { outcome, notices, planned }
}
