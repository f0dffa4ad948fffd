//! What the operator must hear of although the store goes on.

use crate::damage::Damage;
use bellwether_wire::Zxid;
use std::fmt;
use std::path::PathBuf;

/// Takes the lines that belong into the server's log, at warning level.
pub type Notify = Box<dyn FnMut(&Notice) + Send>;

/// Something that was tolerated.
#[derive(Debug)]
pub enum Notice {
    /// A file was removed that a write had left unfinished.
    TemporaryRemoved { path: PathBuf },
    /// A snapshot cannot be read, an older one is tried.
    SnapshotSkipped { path: PathBuf, reason: String },
    /// The end of a log, which cannot have been acknowledged, was cut off and kept.
    TailCut { log: PathBuf, offset: u64, bytes: u64, kept: PathBuf, damage: Damage, last: Zxid },
    /// A log that holds no record was removed; bytes other than zero were kept.
    EmptyLogRemoved { log: PathBuf, kept: Option<PathBuf> },
    /// A log written by Apache ends within a record; as Apache does, reading goes on after it.
    LogEndsWithinRecord { log: PathBuf, offset: u64, damage: Damage, last: Zxid },
    /// The same record stands twice in a log written by Apache; the second was passed over.
    RecordRepeated { log: PathBuf, offset: u64, zxid: Zxid },
    /// Transactions between these two are in no log. Nothing says whether they ever were.
    Gap { log: PathBuf, after: Zxid, before: Zxid },
    /// The logs end before a broken snapshot that was passed over.
    EndsBeforeSkippedSnapshot { last: Zxid, snapshot: Zxid },
    /// What a synchronisation with a leader had brought when it was interrupted was taken away, and
    /// with it what was of no use without it.
    SynchronisationUndone { current: u32, accepted: u32, last: Zxid, to: Zxid, kept: Vec<PathBuf> },
    /// The history was ended at a point, as the leader asked for.
    Truncated { to: Zxid, kept: Vec<PathBuf> },
    /// A leader's snapshot took the place of a history that went on beyond it.
    HistoryReplaced { snapshot: Zxid, kept: Vec<PathBuf> },
    /// A change of the history that was interrupted was carried out to its end.
    CutbackCompleted { kept: Vec<PathBuf> },
    /// The log is not synced, by the user's wish.
    NotSynced,
    /// The lazy sync of the side file failed; the log is not concerned.
    SideFileNotSynced { path: PathBuf, reason: String },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::TemporaryRemoved { path } => {
                write!(f, "removed {}, which was never finished", path.display())
            }
            Notice::SnapshotSkipped { path, reason } => {
                write!(f, "snapshot {} is broken and was skipped: {reason}", path.display())
            }
            Notice::TailCut { log, offset, bytes, kept, damage, last } => write!(
                f,
                "the last batch of {} was not on stable storage when the machine stopped ({damage} \
                 at offset {offset}): {bytes} bytes after transaction {last} were cut off, none of \
                 them was acknowledged; they are kept in {}",
                log.display(),
                kept.display()
            ),
            Notice::EmptyLogRemoved { log, kept: None } => {
                write!(f, "removed {}, which holds no record", log.display())
            }
            Notice::EmptyLogRemoved { log, kept: Some(kept) } => write!(
                f,
                "{} holds no record that could have been acknowledged; it was kept as {}",
                log.display(),
                kept.display()
            ),
            Notice::LogEndsWithinRecord { log, offset, damage, last } => write!(
                f,
                "{0} ends within a record ({damage} at offset {offset}), after transaction {last}; \
                 ZooKeeper takes this for the end of the log, and so it was taken; inspect it with: \
                 bellwether log dump {0}",
                log.display()
            ),
            Notice::RecordRepeated { log, offset, zxid } => {
                write!(f, "{}, offset {offset}: transaction {zxid} stands twice", log.display())
            }
            Notice::Gap { log, after, before } => write!(
                f,
                "{0}: no log has the transactions between {after} and {before}; inspect it with: \
                 bellwether log verify {0}",
                log.display()
            ),
            Notice::EndsBeforeSkippedSnapshot { last, snapshot } => write!(
                f,
                "the logs end with {last}, although a broken snapshot of {snapshot} was found: \
                 transactions may be missing"
            ),
            Notice::SynchronisationUndone { kept, .. }
            | Notice::Truncated { kept, .. }
            | Notice::HistoryReplaced { kept, .. }
            | Notice::CutbackCompleted { kept } => {
                self.write_history_changed(f)?;
                write_kept(f, kept)
            }
            Notice::NotSynced => write!(
                f,
                "forceSync=no: writes are acknowledged before they are on stable storage and can \
                 be lost with the machine's power"
            ),
            Notice::SideFileNotSynced { path, reason } => {
                write!(f, "cannot sync {}: {reason}", path.display())
            }
        }
    }
}

impl Notice {
    /// What changed the history.
    fn write_history_changed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::SynchronisationUndone { current, accepted, last, to, .. } => write!(
                f,
                "the synchronisation with the leader of epoch {accepted} did not end: what it had \
                 brought up to {last} was never acknowledged and was taken away; this member goes \
                 on with epoch {current} at {to}"
            ),
            Notice::Truncated { to, .. } => {
                write!(f, "the leader has no transactions after {to}: they were taken away")
            }
            Notice::HistoryReplaced { snapshot, .. } => {
                write!(f, "the leader's snapshot of {snapshot} took the place of what was here")
            }
            Notice::CutbackCompleted { .. } => {
                write!(f, "a change of the history that had been interrupted was completed")
            }
            Notice::TemporaryRemoved { .. }
            | Notice::SnapshotSkipped { .. }
            | Notice::TailCut { .. }
            | Notice::EmptyLogRemoved { .. }
            | Notice::LogEndsWithinRecord { .. }
            | Notice::RecordRepeated { .. }
            | Notice::Gap { .. }
            | Notice::EndsBeforeSkippedSnapshot { .. }
            | Notice::NotSynced
            | Notice::SideFileNotSynced { .. } => unreachable!("these change no history"),
        }
    }
}

fn write_kept(f: &mut fmt::Formatter<'_>, kept: &[PathBuf]) -> fmt::Result {
    for (n, path) in kept.iter().enumerate() {
        let before = if n == 0 { "; kept as " } else { ", " };
        write!(f, "{before}{}", path.display())?;
    }
    Ok(())
}
