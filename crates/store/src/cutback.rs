//! A change of history in several files that happens as a whole: snapshots and logs set aside, a
//! log cut, a received snapshot given its name.
//!
//! What it must keep true:
//! - what is to be done stands in a file of its own, `bellwether.cutback`, durable before anything
//!   else is changed. Whatever ends the process meanwhile, the next start does all of it, before it
//!   looks at anything else; every step can be done again. Without it a crash between two steps
//!   could leave logs of one history below a snapshot of another;
//! - nothing is lost: what is taken away is kept under a name that servers pass over;
//! - what the side file says is forgotten first, for it speaks of the logs as they were;
//! - the newest goes first, so that even a server that does not know the file finds a beginning of
//!   the history wherever the steps were interrupted.
//!
//! Left to others: what is to be cut back (`truncate.rs`, `received.rs`), and the directory's lock.

use crate::disk::{Access, Disk};
use crate::durable::{sync_dir, sync_file};
use crate::error::{BRING_BACK, StoreError};
use crate::layout;
use crate::limits::CUTBACK_BYTES_MAX;
use crate::log_reader::LogReader;
use crate::mend::forget_synced;
use crate::names;
#[cfg(feature = "canaries")]
use crate::options::Break;
use crate::options::StoreOptions;
use crate::repair::{copy_bytes, failed, free_name};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The first line of the file.
const FIRST_LINE: &str = "bellwether cutback 1";

/// What is to be done. All of these are names in their directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cutback {
    /// Snapshots to be set aside, the newest first.
    pub(crate) snapshots: Vec<String>,
    /// Logs to be set aside, the newest first.
    pub(crate) logs: Vec<String>,
    /// The log to be cut, and where.
    pub(crate) cut: Option<(String, u64)>,
    /// The zxid's snapshot: its temporary name, and the one it gets.
    pub(crate) received: Option<(String, String)>,
}

impl Cutback {
    /// Whether nothing that is there already is concerned.
    pub(crate) fn takes_nothing(&self) -> bool {
        self.snapshots.is_empty() && self.logs.is_empty() && self.cut.is_none()
    }

    /// Does it; returns where what was taken away is kept.
    pub(crate) fn perform(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
    ) -> Result<Vec<PathBuf>, StoreError> {
        if self.takes_nothing() {
            // One rename is a whole by itself.
            self.name_received(disk, options)?;
            return Ok(Vec::new());
        }
        self.note(disk, options)?;
        let kept = self.carry_out(disk, options)?;
        forget(disk, options)?;
        Ok(kept)
    }

    /// Does what an interrupted process has left to be done, if there is anything.
    pub(crate) fn complete(
        disk: &dyn Disk,
        options: &StoreOptions,
    ) -> Result<Option<Vec<PathBuf>>, StoreError> {
        let path = options.log_dir().join(names::CUTBACK);
        let Some(cutback) = Cutback::read(disk, &path)? else { return Ok(None) };
        let done = cutback.carry_out(disk, options).and_then(|kept| {
            forget(disk, options)?;
            Ok(Some(kept))
        });
        done.map_err(|error| {
            let doing = "complete the change of history that is noted in";
            StoreError::io(doing, &path, io::Error::other(error.to_string()))
        })
    }

    /// Whether an interrupted process has left something to be done.
    pub(crate) fn is_waiting(disk: &dyn Disk, options: &StoreOptions) -> Result<bool, StoreError> {
        let names = layout::list(disk, &options.log_dir())?;
        Ok(names.iter().any(|name| name == names::CUTBACK))
    }

    fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Cutback>, StoreError> {
        let doing = "read what is left to be done in";
        let file = match disk.open(path, Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io(doing, path, e)),
        };
        let len = file.len().map_err(|e| StoreError::io(doing, path, e))?;
        let len = usize::try_from(len).map_or(CUTBACK_BYTES_MAX, |len| len.min(CUTBACK_BYTES_MAX));
        let mut bytes = vec![0; len];
        let got = file.read_at(0, &mut bytes).map_err(|e| StoreError::io(doing, path, e))?;
        let found = bytes.get(..got).and_then(Cutback::decode);
        let damaged = || {
            let why = format!(
                "it is damaged, and what stands beside it may mix two histories; {BRING_BACK}"
            );
            StoreError::io(doing, path, io::Error::new(io::ErrorKind::InvalidData, why))
        };
        found.map(Some).ok_or_else(damaged)
    }

    /// Makes durable what is to be done.
    fn note(&self, disk: &dyn Disk, options: &StoreOptions) -> Result<(), StoreError> {
        #[cfg(feature = "canaries")]
        if options.is_broken(Break::CutbackNotNoted) {
            return Ok(());
        }
        let dir = options.log_dir();
        let path = dir.join(names::CUTBACK);
        let temporary = dir.join(names::temporary(names::CUTBACK));
        let text = self.encode();
        let write = || -> io::Result<()> {
            if text.len() > CUTBACK_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many files"));
            }
            let mut file = disk.create(&temporary)?;
            file.write_at(0, text.as_bytes())?;
            sync_file(options, file.as_mut())?;
            disk.rename(&temporary, &path)
        };
        write().map_err(|e| failed(disk, "write", &path, e))?;
        sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync the name of", &path, e))
    }

    fn carry_out(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let (log_dir, snapshot_dir) = (options.log_dir(), options.snapshot_dir());
        forget_synced(disk, &log_dir)?;
        let mut kept = Vec::new();
        let snapshots = self.snapshots_to_take(options);
        for (dir, names) in [(&snapshot_dir, snapshots), (&log_dir, self.logs.as_slice())] {
            let there = layout::list(disk, dir)?;
            for name in names.iter().filter(|name| there.contains(name)) {
                let path = dir.join(name);
                let aside = free_name(disk, &path, 0)?;
                disk.rename(&path, &aside).map_err(|e| failed(disk, "set aside", &path, e))?;
                sync_dir(options, disk, dir).map_err(|e| failed(disk, "sync", dir, e))?;
                kept.push(aside);
            }
        }
        if let Some((name, offset)) = &self.cut {
            kept.extend(cut(disk, options, &log_dir.join(name), *offset)?);
        }
        self.name_received(disk, options)?;
        Ok(kept)
    }

    #[cfg_attr(not(feature = "canaries"), expect(unused_variables, reason = "only canaries ask"))]
    fn snapshots_to_take(&self, options: &StoreOptions) -> &[String] {
        #[cfg(feature = "canaries")]
        if options.is_broken(Break::SnapshotNotSetAside) {
            return &[];
        }
        &self.snapshots
    }

    /// Gives the received snapshot its name, unless it has it already.
    fn name_received(&self, disk: &dyn Disk, options: &StoreOptions) -> Result<(), StoreError> {
        let Some((temporary, name)) = &self.received else { return Ok(()) };
        let dir = options.snapshot_dir();
        let path = dir.join(name);
        if layout::list(disk, &dir)?.contains(temporary) {
            let from = dir.join(temporary);
            disk.rename(&from, &path).map_err(|e| failed(disk, "rename", &from, e))?;
        }
        sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync the name of", &path, e))
    }

    fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        let mut line = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        self.snapshots.iter().for_each(|name| line(format_args!("snapshot {name}")));
        self.logs.iter().for_each(|name| line(format_args!("log {name}")));
        if let Some((name, offset)) = &self.cut {
            line(format_args!("cut {offset} {name}"));
        }
        if let Some((temporary, name)) = &self.received {
            line(format_args!("received {temporary} {name}"));
        }
        let sum = crc32fast::hash(text.as_bytes());
        text + &format!("checksum {sum:08x}\n")
    }

    /// What the bytes say; nothing if they are not whole.
    fn decode(bytes: &[u8]) -> Option<Cutback> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (said, sum) = text.strip_suffix('\n')?.rsplit_once("checksum ")?;
        if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(said.as_bytes()) {
            return None;
        }
        let mut lines = said.lines();
        lines.next().filter(|first| *first == FIRST_LINE)?;
        let mut cutback = Cutback::default();
        for line in lines {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["snapshot", name] => cutback.snapshots.push(snapshot_name(name)?),
                ["log", name] => cutback.logs.push(log_name(name)?),
                ["cut", offset, name] => {
                    cutback.cut = Some((log_name(name)?, offset.parse().ok()?));
                }
                ["received", temporary, name] if *temporary == names::received(name) => {
                    cutback.received = Some(((*temporary).to_owned(), snapshot_name(name)?));
                }
                _ => return None,
            }
        }
        Some(cutback)
    }
}

/// A name as a directory lists it: whatever the file says, nothing else is touched.
fn snapshot_name(name: &str) -> Option<String> {
    names::snapshot_zxid(name).filter(|_| !name.contains('/')).map(|_| name.to_owned())
}

fn log_name(name: &str) -> Option<String> {
    names::log_zxid(name).filter(|_| !name.contains('/')).map(|_| name.to_owned())
}

/// Ends a log at `offset`; returns where what stood behind is kept, if anything did.
fn cut(
    disk: &dyn Disk,
    options: &StoreOptions,
    path: &Path,
    offset: u64,
) -> Result<Option<PathBuf>, StoreError> {
    let mut reader = LogReader::open(disk, path, options.record_bytes_max)?;
    let end = reader.end_of_bytes(offset)?;
    let dir = options.log_dir();
    let kept = if end > offset {
        let kept = free_name(disk, path, offset)?;
        copy_bytes(disk, path, (offset, end), &kept)
            .and_then(|mut file| sync_file(options, file.as_mut()))
            .map_err(|e| failed(disk, "write", &kept, e))?;
        sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync", &dir, e))?;
        Some(kept)
    } else {
        None
    };
    let mut file = disk.open(path, Access::ReadWrite).map_err(|e| failed(disk, "open", path, e))?;
    file.set_len(offset)
        .and_then(|()| sync_file(options, file.as_mut()))
        .map_err(|e| failed(disk, "cut", path, e))?;
    Ok(kept)
}

/// All is done: removes the file that says what was to be done.
fn forget(disk: &dyn Disk, options: &StoreOptions) -> Result<(), StoreError> {
    let dir = options.log_dir();
    let path = dir.join(names::CUTBACK);
    match disk.remove(&path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(disk, "remove", &path, e)),
    }
    sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync", &dir, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Cutback {
        Cutback {
            snapshots: vec!["snapshot.9.gz".into(), "snapshot.8".into()],
            logs: vec!["log.9".into(), "log.8".into()],
            cut: Some(("log.5".into(), 123)),
            received: Some((names::received("snapshot.7"), "snapshot.7".into())),
        }
    }

    #[test]
    fn what_is_to_be_done_round_trips() {
        for cutback in [full(), Cutback { cut: None, received: None, ..full() }] {
            assert_eq!(Cutback::decode(cutback.encode().as_bytes()), Some(cutback));
        }
    }

    #[test]
    fn a_file_that_names_anything_else_says_nothing() {
        for name in ["x", "log.z", "log.5/../../x", "snapshot.5.tmp", ""] {
            let cutbacks = [
                Cutback { logs: vec![name.into()], ..Cutback::default() },
                Cutback { snapshots: vec![name.into()], ..Cutback::default() },
                Cutback { cut: Some((name.into(), 5)), ..Cutback::default() },
                Cutback { received: Some((names::received(name), name.into())), ..full() },
                Cutback { received: Some(("log.5".into(), "snapshot.7".into())), ..full() },
            ];
            for cutback in cutbacks {
                assert_eq!(Cutback::decode(cutback.encode().as_bytes()), None, "{cutback:?}");
            }
        }
    }

    #[test]
    fn a_damaged_file_says_nothing() {
        let bytes = full().encode().into_bytes();
        for at in 0..bytes.len() {
            assert_eq!(Cutback::decode(bytes.get(..at).unwrap_or_default()), None, "cut at {at}");
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            assert_ne!(Cutback::decode(&changed), Some(full()), "changed at {at}");
        }
    }
}
