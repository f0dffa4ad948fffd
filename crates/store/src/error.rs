//! What can go wrong with a data directory, by name.
//!
//! An error says what was tried, on which file, at which offset, and why it failed. [`Corruption`]
//! is the refusal to start: it leaves the directory as it was found.

use crate::contents::Named;
use bellwether_wire::{DecodeError, Zxid};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Debug)]
pub enum StoreError {
    /// A directory is missing and must not be created.
    MissingDirectory { path: PathBuf },
    /// A directory or its lock cannot be used.
    Directory { doing: &'static str, path: PathBuf, source: io::Error },
    /// A log where snapshots belong, or a snapshot where logs belong.
    Misplaced { path: PathBuf, belongs_to: &'static str },
    /// Another process has the directory.
    Locked { path: PathBuf },
    /// A file could not be read or, while a store was being opened, changed.
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// There are logs, but no snapshot to apply them to.
    NoSnapshot { path: PathBuf, snapshots_broken: usize },
    /// A record that may have been acknowledged is damaged or missing.
    Corrupt { path: PathBuf, offset: u64, corruption: Corruption },
    /// A snapshot cannot be read.
    Snapshot { path: PathBuf, offset: u64, problem: SnapshotProblem },
    /// The epochs of a member cannot be read, or contradict its data.
    Epoch { path: PathBuf, problem: EpochProblem },
    /// A write to the log, or its sync, failed. The store is unusable from here on.
    LogWrite { doing: &'static str, path: PathBuf, offset: u64, source: io::Error },
    /// The disk is full: the log cannot be written. The store is unusable from here on.
    Full { doing: &'static str, path: PathBuf, bytes_free: Option<u64>, source: io::Error },
    /// An earlier write to the log failed; nothing is written after it.
    Poisoned,
    /// A transaction does not follow the last one of this member's log. Nothing was written.
    Hole { after: Zxid, zxid: Zxid },
    /// A transaction is longer than what a reader accepts. Nothing was written.
    RecordTooLong { zxid: Zxid, bytes: usize, bytes_max: usize },
    /// The first record would be written without any snapshot to start from.
    NoSnapshotYet { path: PathBuf },
    /// A snapshot could not be written.
    SnapshotWrite {
        doing: &'static str,
        path: PathBuf,
        /// How many bytes are free, where that is the reason.
        bytes_free: Option<u64>,
        source: io::Error,
    },
}

/// Why a log is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// The file does not begin as a log does.
    Header,
    /// A checksum differs, and nothing says that the record was not acknowledged.
    Checksum,
    /// A length that no record has, and nothing says that the record was not acknowledged.
    Length(i32),
    /// A whole record that is longer than the settings allow.
    TooLong { bytes: u64, bytes_max: usize },
    /// The checksum is right but the content means nothing.
    Content(DecodeError),
    /// The place was synced: a later batch says so.
    SyncedBefore { batch: PathBuf, batch_offset: u64 },
    /// The place was synced: the side file says so.
    SyncedBySideFile { synced_offset: u64 },
    /// A batch says that it follows a record that is not there.
    MissingRecords { after: Zxid, before: Zxid },
    /// The side file says that records up to `synced` were synced, but they end at `last`.
    MissingEnd { last: Zxid, synced: Zxid },
    /// A record of a member's log does not follow what is before it.
    Gap { after: Zxid, before: Zxid },
    /// A snapshot that cannot be read shows that there was more than the logs have, and a member of
    /// an ensemble must not forget it.
    EndsBeforeSnapshot { last: Zxid, snapshot: Zxid },
    /// A log's name says that it begins later. Taken as it is, what is written next would stand in
    /// an earlier log, and this one could not follow it at the next start.
    Misnamed { first: Zxid, zxid: Zxid },
    /// A record's zxid is not above the one before it.
    Backwards { previous: Zxid, zxid: Zxid },
}

/// What is wrong with the epochs of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EpochProblem {
    /// Nothing stands in the file.
    Empty,
    /// Something else stands in the file.
    NotANumber { text: String },
    /// The number is below zero.
    Negative { text: String },
    /// No epoch is so large.
    TooLarge { text: String },
    /// The file is longer than any number.
    TooLong { bytes_max: usize },
    /// The member has the history of an epoch that it never promised to follow.
    AcceptedBehindCurrent { accepted: u32, current: u32 },
    /// There are transactions of an epoch that the member does not know of.
    BehindLast { current: u32, accepted: Option<u32>, last: Zxid },
    /// A synchronisation with the leader of a newer epoch began and did not end, and the state
    /// before it is not there any more.
    Unfinished { current: u32, accepted: u32, last: Zxid },
}

/// Why a snapshot is not read.
#[derive(Debug)]
pub enum SnapshotProblem {
    /// It does not begin as a snapshot does.
    Header,
    /// It ends too early.
    Truncated,
    /// A checksum differs.
    Checksum,
    /// A piece of it means nothing.
    Content(DecodeError),
    /// Something follows its end.
    Trailing,
    /// It cannot be read or decompressed.
    Io(io::Error),
}

impl StoreError {
    /// The code with which a server exits that cannot go on: 3 where the data directory cannot be
    /// used, 10 where a snapshot that is needed cannot be written, 1 for everything else, a failed
    /// write or sync of the log included.
    pub fn exit_code(&self) -> u8 {
        match self {
            StoreError::MissingDirectory { .. }
            | StoreError::Directory { .. }
            | StoreError::Misplaced { .. }
            | StoreError::Locked { .. } => 3,
            StoreError::SnapshotWrite { .. } | StoreError::NoSnapshotYet { .. } => 10,
            StoreError::Io { .. }
            | StoreError::NoSnapshot { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Snapshot { .. }
            | StoreError::Epoch { .. }
            | StoreError::LogWrite { .. }
            | StoreError::Full { .. }
            | StoreError::Poisoned
            | StoreError::Hole { .. }
            | StoreError::RecordTooLong { .. } => 1,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
        StoreError::Io { doing, path: path.to_path_buf(), source }
    }

    pub(crate) fn directory(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
        StoreError::Directory { doing, path: path.to_path_buf(), source }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, corruption: Corruption) -> StoreError {
        StoreError::Corrupt { path: path.to_path_buf(), offset, corruption }
    }
}

/// Whether a failure means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::MissingDirectory { path } => {
                write!(f, "{} does not exist and datadir.autocreate is false", path.display())
            }
            StoreError::Directory { doing, path, source }
            | StoreError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            StoreError::Misplaced { path, belongs_to } => {
                let path = path.display();
                write!(f, "{path} belongs into {belongs_to}: check dataDir and dataLogDir")
            }
            StoreError::Locked { path } => {
                let path = path.display();
                write!(f, "another process uses this directory: it holds {path}; stop it first")
            }
            StoreError::NoSnapshot { path, snapshots_broken } => write!(
                f,
                "{0} has data but no readable snapshot ({snapshots_broken} are broken), so that a \
                 part of the data is missing; bring a snapshot back, or set \
                 snapshot.trust.empty=true if the logs are complete; inspect it with: bellwether \
                 snapshot verify {0}",
                path.display()
            ),
            StoreError::Corrupt { path, offset, corruption } => {
                write!(f, "{}, offset {offset}: {corruption}; ", path.display())?;
                write!(f, "nothing was changed; ")?;
                write_next(f, directory_of(path), corruption)
            }
            StoreError::Snapshot { path, offset, problem } => {
                let path = path.display();
                write!(f, "snapshot {path}, byte {offset} of its content: {problem}; ")?;
                write!(f, "inspect it with: bellwether snapshot verify {path}")
            }
            StoreError::Epoch { path, problem } => write!(f, "{}: {problem}", path.display()),
            StoreError::LogWrite { doing, path, offset, source } => write!(
                f,
                "cannot {doing} {}, offset {offset}: {source}; nothing of this batch was \
                 acknowledged, and nothing more is written",
                path.display()
            ),
            StoreError::Full { doing, path, bytes_free, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())?;
                write_free(f, *bytes_free)
            }
            StoreError::Poisoned => write!(f, "an earlier write to the log failed"),
            StoreError::Hole { after, zxid } => {
                write!(f, "transaction {zxid} does not follow {after}, the last one of this member")
            }
            StoreError::RecordTooLong { zxid, bytes, bytes_max } => {
                write!(f, "transaction {zxid} takes {bytes} bytes; a reader takes {bytes_max}")
            }
            StoreError::NoSnapshotYet { path } => {
                write!(f, "{} needs a snapshot before its first log", path.display())
            }
            StoreError::SnapshotWrite { doing, path, bytes_free, source } => {
                write!(f, "cannot {doing} snapshot {}: {source}", path.display())?;
                write_free(f, *bytes_free)
            }
        }
    }
}

/// The directory of a log, or the path itself where it is that directory.
fn directory_of(path: &Path) -> &Path {
    match (Named::of(path), path.parent()) {
        (Named::Log(_) | Named::Snapshot(_), Some(parent)) => parent,
        (Named::Log(_) | Named::Snapshot(_) | Named::Other, _) => path,
    }
}

/// The commands that inspect and repair what is wrong.
fn write_next(f: &mut fmt::Formatter<'_>, dir: &Path, corruption: &Corruption) -> fmt::Result {
    let dir = dir.display();
    write!(f, "inspect it with: bellwether log verify {dir}")?;
    match corruption {
        Corruption::TooLong { .. } => Ok(()), // The setting is to be raised; nothing is damaged.
        Corruption::Gap { .. } | Corruption::EndsBeforeSnapshot { .. } => Ok(()), // It is said.
        Corruption::Misnamed { zxid, .. } => {
            write!(f, "; if the log is whole, rename it to log.{:x}", zxid.0)
        }
        Corruption::Header
        | Corruption::Checksum
        | Corruption::Length(_)
        | Corruption::Content(_)
        | Corruption::SyncedBefore { .. }
        | Corruption::SyncedBySideFile { .. }
        | Corruption::MissingRecords { .. }
        | Corruption::MissingEnd { .. }
        | Corruption::Backwards { .. } => {
            write!(f, "; repair it with: bellwether log recover {dir}")
        }
    }
}

fn write_free(f: &mut fmt::Formatter<'_>, bytes_free: Option<u64>) -> fmt::Result {
    match bytes_free {
        Some(bytes) => write!(f, "; {bytes} bytes are free"),
        None => Ok(()),
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Directory { source, .. }
            | StoreError::Io { source, .. }
            | StoreError::LogWrite { source, .. }
            | StoreError::Full { source, .. }
            | StoreError::SnapshotWrite { source, .. } => Some(source),
            StoreError::MissingDirectory { .. }
            | StoreError::Misplaced { .. }
            | StoreError::Locked { .. }
            | StoreError::NoSnapshot { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Snapshot { .. }
            | StoreError::Epoch { .. }
            | StoreError::Poisoned
            | StoreError::Hole { .. }
            | StoreError::RecordTooLong { .. }
            | StoreError::NoSnapshotYet { .. } => None,
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corruption::Header => write!(f, "this is not the beginning of a log"),
            Corruption::Checksum => {
                write!(f, "the checksum of a record that may have been acknowledged is wrong")
            }
            Corruption::Length(len) => {
                write!(f, "a record that may have been acknowledged has the length {len}")
            }
            Corruption::TooLong { bytes, bytes_max } => write!(
                f,
                "a sound record takes {bytes} bytes but jute.maxbuffer + jute.maxbuffer.extrasize \
                 allow {bytes_max}: raise them"
            ),
            Corruption::Content(error) => write!(f, "a sound record cannot be understood: {error}"),
            Corruption::SyncedBefore { batch, batch_offset } => write!(
                f,
                "a record is damaged that was on stable storage when the batch at offset \
                 {batch_offset} of {} was written, so that it may have been acknowledged",
                batch.display()
            ),
            Corruption::SyncedBySideFile { synced_offset } => write!(
                f,
                "a record is damaged that may have been acknowledged: bellwether.synced says that \
                 this log was on stable storage up to offset {synced_offset} (remove that file if \
                 another server has shortened the log)"
            ),
            Corruption::MissingRecords { after, before } => {
                write!(f, "transactions between {after} and {before} are missing")
            }
            Corruption::MissingEnd { last, synced } => write!(
                f,
                "the logs end with {last} but bellwether.synced says that {synced} was on stable \
                 storage (remove that file if another server has shortened the logs, or an older \
                 state was put back on purpose)"
            ),
            Corruption::Gap { after, before } => write!(
                f,
                "transactions between {after} and {before} are missing, and this member may have \
                 acknowledged them ({BRING_BACK})"
            ),
            Corruption::EndsBeforeSnapshot { last, snapshot } => write!(
                f,
                "the logs end with {last} but a snapshot of {snapshot} is there, which is broken: \
                 what this member acknowledged may be missing (if that snapshot was never \
                 finished, move it away; else {BRING_BACK})"
            ),
            Corruption::Misnamed { first, zxid } => {
                write!(f, "transaction {zxid} stands in a log that by its name begins with {first}")
            }
            Corruption::Backwards { previous, zxid } => {
                write!(f, "transaction {zxid} comes after {previous}")
            }
        }
    }
}

/// What brings a member back whose own data cannot be used.
pub(crate) const BRING_BACK: &str = "if the other members are a quorum and have the data, move the content of \
                          version-2 in dataDir and dataLogDir away (not myid) and start again: \
                          they bring it back";

impl fmt::Display for EpochProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EpochProblem::Empty => write!(f, "the file is empty; an epoch was expected; ")?,
            EpochProblem::NotANumber { text } => {
                write!(f, "an epoch was expected, but this is not a number: {text:?}; ")?;
            }
            EpochProblem::Negative { text } => write!(f, "the epoch {text} is negative; ")?,
            EpochProblem::TooLarge { text } => {
                write!(f, "the epoch {text} is too large: the largest is {}; ", i32::MAX)?;
            }
            EpochProblem::TooLong { bytes_max } => {
                write!(f, "the file is longer than {bytes_max} bytes; an epoch was expected; ")?;
            }
            EpochProblem::AcceptedBehindCurrent { accepted, current } => write!(
                f,
                "the accepted epoch {accepted} is less than the current epoch {current}: this \
                 member has forgotten what it promised; "
            )?,
            EpochProblem::BehindLast { current, accepted, last } => {
                write!(f, "the current epoch {current} is older than the last zxid {last}, ")?;
                match accepted {
                    Some(accepted) => write!(f, "and {accepted} was accepted last; ")?,
                    None => write!(f, "and there is no acceptedEpoch; ")?,
                }
            }
            EpochProblem::Unfinished { current, accepted, last } => write!(
                f,
                "the current epoch {current} is older than the last zxid {last}: the \
                 synchronisation with the leader of epoch {accepted} did not end, and the snapshot \
                 and logs from before it are not complete any more; "
            )?,
        }
        write!(f, "nothing was changed; {BRING_BACK}")
    }
}

impl fmt::Display for SnapshotProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotProblem::Header => write!(f, "this is not the beginning of a snapshot"),
            SnapshotProblem::Truncated => write!(f, "it ends too early"),
            SnapshotProblem::Checksum => write!(f, "its checksum is wrong"),
            SnapshotProblem::Content(error) => write!(f, "{error}"),
            SnapshotProblem::Trailing => write!(f, "something follows its end"),
            SnapshotProblem::Io(error) => write!(f, "{error}"),
        }
    }
}
