//! What `zoo.cfg` and its properties say about the data directory.

use bellwether_wire::limits::{EXTRA_BUFFER_BYTES, MAX_BUFFER_BYTES};
use std::path::PathBuf;

/// The settings of a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `dataDir`: snapshots stand in its `version-2`.
    pub data_dir: PathBuf,
    /// `dataLogDir`: logs stand in its `version-2`. Often the same directory.
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`.
    pub directories: MissingDirectories,
    /// `snapshot.trust.empty`.
    pub logs_without_snapshot: LogsWithoutSnapshot,
    /// `preAllocSize`, in bytes: the steps in which a log grows. 0 lets it grow by its records.
    pub pre_alloc_bytes: u64,
    /// `txnLogSizeLimitInKb`, in bytes: a log beyond it is the last of its name.
    pub log_bytes_limit: Option<u64>,
    /// `jute.maxbuffer` + `jute.maxbuffer.extrasize`: the longest record.
    pub record_bytes_max: usize,
    /// `forceSync`.
    pub force_sync: ForceSync,
    /// `snapshot.compression.method`.
    pub compression: Compression,
    /// Whose directory it is.
    pub role: Role,
    /// How many of the last transactions a recovery hands out again (`commitLogCount`).
    pub recent_max: usize,
    /// What is broken on purpose, to see the tests notice it.
    #[cfg(feature = "canaries")]
    pub broken: Option<Break>,
}

/// What happens to directories that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingDirectories {
    /// They are created.
    Create,
    /// The start is refused.
    Refuse,
}

/// What happens where logs, but no snapshot, are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogsWithoutSnapshot {
    /// The start is refused: a snapshot is missing, and with it an unknown part of the data.
    Refuse,
    /// They are taken to be complete (directories of 3.4).
    Trust,
}

/// Whether a batch is on stable storage before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForceSync {
    /// It is.
    Yes,
    /// It is only handed to the operating system. Such logs carry no marks of what was synced.
    No,
}

/// What the server is whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It stands alone: files of epochs are passed over, as Apache does.
    Standalone,
    /// It is a member of an ensemble: the epochs must agree with the data, and a gap in the history
    /// is refused, since the other members can bring all of it back.
    Member,
}

/// How snapshots are compressed. Reading does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, `.gz`.
    Gzip,
    /// The framing of snappy-java, `.snappy`.
    Snappy,
}

impl Compression {
    /// What is appended to a snapshot's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }
}

/// The ways in which a store can be broken on purpose.
#[cfg(feature = "canaries")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// A batch counts as synced when it is written.
    AckBeforeSync,
    /// Directories are never synced.
    NoDirSync,
    /// A sync that failed is asked for again, and believed.
    RetryAfterFailedSync,
    /// An epoch gets its name without having been synced.
    RenameBeforeSync,
    /// Snapshots beyond a point at which the history is to end stay where they are.
    SnapshotNotSetAside,
    /// What a change of history takes is done without having been noted.
    CutbackNotNoted,
}

impl StoreOptions {
    /// Apache's defaults for one directory.
    pub fn new(dir: impl Into<PathBuf>) -> StoreOptions {
        let dir = dir.into();
        StoreOptions {
            data_log_dir: dir.clone(),
            data_dir: dir,
            directories: MissingDirectories::Create,
            logs_without_snapshot: LogsWithoutSnapshot::Refuse,
            pre_alloc_bytes: 64 << 20,
            log_bytes_limit: None,
            record_bytes_max: MAX_BUFFER_BYTES + EXTRA_BUFFER_BYTES,
            force_sync: ForceSync::Yes,
            compression: Compression::None,
            role: Role::Standalone,
            recent_max: 0,
            #[cfg(feature = "canaries")]
            broken: None,
        }
    }

    /// `version-2` of `dataDir`.
    pub fn snapshot_dir(&self) -> PathBuf {
        self.data_dir.join("version-2")
    }

    /// `version-2` of `dataLogDir`.
    pub fn log_dir(&self) -> PathBuf {
        self.data_log_dir.join("version-2")
    }

    #[cfg(feature = "canaries")]
    pub(crate) fn is_broken(&self, how: Break) -> bool {
        self.broken == Some(how)
    }
}
