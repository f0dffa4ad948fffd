//! The right to look at a whole directory, or to change it: nobody else may write there meanwhile.
//!
//! A server of ours holds `bellwether.lock`. Apache's holds nothing; it is known by the process in
//! `zookeeper_server.pid`, and by a process that has a file of the directory open for writing.
//! What this cannot see is an Apache server that has written nothing since its start and whose
//! process file lies elsewhere, and one on another machine or in another container.

use super::Failure;
use bellwether_store::{Disk as _, DiskLock, OsDisk};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

const LOCK: &str = "bellwether.lock";
/// What a server has begun to change in a member's snapshots and logs, and did not end.
const CUTBACK: &str = "bellwether.cutback";
const PID_FILE: &str = "zookeeper_server.pid";

/// Held as long as the command works.
pub(super) enum Hold {
    /// Others may look, too. There may be no lock, where no server of ours ever was.
    Shared(#[expect(dead_code, reason = "held for its lock alone")] Option<File>),
    /// Nobody else.
    Exclusive(#[expect(dead_code, reason = "held for its lock alone")] Box<dyn DiskLock>),
}

impl Hold {
    /// To read all of a directory.
    pub(super) fn to_read(dir: &Path) -> Result<Hold, Failure> {
        refuse_other_writers(dir)?;
        let path = dir.join(LOCK);
        let Ok(file) = File::open(&path) else { return Ok(Hold::Shared(None)) };
        match file.try_lock_shared() {
            Ok(()) => Ok(Hold::Shared(Some(file))),
            Err(TryLockError::WouldBlock) => {
                Err(held(dir, &format!("it holds {}", path.display())))
            }
            Err(TryLockError::Error(error)) => {
                Err(Failure::Directory(format!("cannot lock {}: {error}", path.display())))
            }
        }
    }

    /// To change something in a directory.
    pub(super) fn to_change(dir: &Path) -> Result<Hold, Failure> {
        refuse_other_writers(dir)?;
        let cutback = dir.join(CUTBACK);
        if cutback.exists() {
            return Err(Failure::Directory(format!(
                "{}: a server was interrupted while it changed the history of this directory; \
                 start it once, which ends what was begun, before you change anything",
                cutback.display()
            )));
        }
        let path = dir.join(LOCK);
        match OsDisk.lock(&path) {
            Ok(Some(lock)) => Ok(Hold::Exclusive(lock)),
            Ok(None) => Err(held(dir, &format!("it holds {}", path.display()))),
            Err(error) => {
                Err(Failure::Directory(format!("cannot lock {}: {error}", path.display())))
            }
        }
    }
}

fn held(dir: &Path, how: &str) -> Failure {
    Failure::Directory(format!(
        "a server uses {}: {how}; stop it first (zkServer.sh stop, or kill its process), or work \
         on a copy of the directory",
        dir.display()
    ))
}

fn refuse_other_writers(dir: &Path) -> Result<(), Failure> {
    let parent = dir.parent().map(|parent| parent.join(PID_FILE));
    for file in parent.into_iter().chain([dir.join(PID_FILE)]) {
        if let Some(pid) = server_of(&file) {
            return Err(held(dir, &format!("process {pid} of {} is alive", file.display())));
        }
    }
    match writer_of(dir) {
        Some((pid, file)) => {
            let how = format!("process {pid} has {} open for writing", file.display());
            Err(held(dir, &how))
        }
        None => Ok(()),
    }
}

/// The process in a file, if it is alive and can be a server: a number that was given to another
/// program since does not count.
fn server_of(file: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let process = PathBuf::from("/proc").join(pid.to_string());
    if !process.exists() {
        return None;
    }
    let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).to_lowercase();
    let server = ["zookeeper", "bellwether", "zkserver"].iter().any(|name| command.contains(name));
    (server || command.is_empty()).then_some(pid)
}

/// Another process that has a file of the directory open for writing.
fn writer_of(dir: &Path) -> Option<(u32, PathBuf)> {
    let dir = std::fs::canonicalize(dir).ok()?;
    let own = std::process::id();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != own) else { continue };
        // Processes of others cannot be looked at; then only the other signs are left.
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for fd in open.flatten() {
            let Ok(file) = std::fs::read_link(fd.path()) else { continue };
            let info = process.path().join("fdinfo").join(fd.file_name());
            if file.parent() == Some(dir.as_path()) && is_for_writing(&info) {
                return Some((pid, file));
            }
        }
    }
    None
}

/// Whether the flags in a descriptor's file say that it may write: their last two bits.
fn is_for_writing(info: &Path) -> bool {
    let text = std::fs::read_to_string(info).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 != 0)
}
