//! The data directory: Apache's files, read, written and kept sound.
//!
//! What it must keep true:
//! - what [`Store::sync`] returned `Ok` for is there after any crash, in order and whole; a crash
//!   leaves nothing else but a cut or a further part of what was appended after it;
//! - a directory is refused, untouched, where a record that may have been acknowledged is damaged,
//!   and started where only the last, never acknowledged batch is;
//! - every file that Apache 3.9.5 reads, it can read: logs, snapshots and their names are its own.
//!   Files of ours have names that it passes over, and none of them is needed to read the rest.
//!
//! Left to others: what transactions mean (`tree`), when to write a snapshot and when to sync
//! (`node`, `server`), what a loud line looks like (`server`).
//!
//! The way through the files: [`Store::open`] (`recover.rs`) finds the directories (`layout.rs`),
//! the snapshot (`snapshot_reader.rs`) and the logs (`log_reader.rs`), decides about damage
//! (`damage.rs`), repairs (`repair.rs`) and becomes the store (`txnlog.rs`).
//!
//! A member of an ensemble needs more: its epochs (`epochs.rs`), an end of the history before its
//! last transaction ([`Store::truncate`]), a leader's snapshot in its place
//! ([`Store::restart_at`]), and stretches of the log for peers ([`LogRange`]). What concerns
//! several files at once is noted first and then done as a whole (`cutback.rs`).
//!
//! It blocks: the log has one thread, a snapshot another.

pub mod disk;
pub mod os_disk;

mod contents;
mod cutback;
mod damage;
mod durable;
mod epochs;
mod error;
mod layout;
mod limits;
mod log_reader;
mod member;
mod mend;
mod names;
mod notice;
mod options;
mod purge;
mod range;
mod received;
mod record;
mod recover;
mod repair;
mod salvage;
mod sizes;
mod snappy;
mod snapshot_reader;
mod snapshot_writer;
mod synced;
#[cfg(test)]
mod testing;
mod truncate;
mod txnlog;

pub use contents::{Contents, Named};
pub use damage::{Behind, Damage, SideFile, Verdict, Writer, decide};
pub use disk::{Access, Disk, DiskFile, DiskLock};
pub use epochs::{Epochs, save_accepted, save_current};
pub use error::{Corruption, EpochProblem, SnapshotProblem, StoreError};
pub use log_reader::{LogReader, LogRecord, LogStart, LogStep};
pub use mend::{
    Copied, Follows, Until, copy_sound, forget_synced, newest_sound_snapshot, replace_log,
    set_aside, shorten_log, snapshot_reach,
};
pub use notice::{Notice, Notify};
#[cfg(feature = "canaries")]
pub use options::Break;
pub use options::{
    Compression, ForceSync, LogsWithoutSnapshot, MissingDirectories, Role, StoreOptions,
};
pub use os_disk::OsDisk;
pub use purge::{Purged, purge};
pub use range::{LogRange, RangeError, RangeStart, newest_snapshot_bytes};
pub use received::{ReceivedSnapshot, SealedSnapshot};
pub use record::Mark;
pub use recover::{Origin, Recovered, Recovery};
pub use repair::Planned;
pub use salvage::{Hole, HoleKind, Piece, Salvage};
pub use sizes::{Sizes, sizes};
pub use snapshot_reader::SnapshotReader;
pub use snapshot_writer::{SavedSnapshot, SnapshotWriter};
pub use synced::Synced;
pub use truncate::Truncation;
pub use txnlog::{Store, SyncReport};
