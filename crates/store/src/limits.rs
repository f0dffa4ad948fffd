//! The limits of this crate, named.

/// What is read from a log at once.
pub(crate) const READ_BYTES: usize = 1 << 20;
/// What is read from a snapshot at once.
pub(crate) const SNAPSHOT_READ_BYTES: usize = 128 << 10;
/// How much of a snapshot is written between two syncs, so that the last one is no stall.
pub(crate) const SNAPSHOT_SYNC_BYTES: u64 = 4 << 20;
/// What a snapshot's writer collects before it writes.
pub(crate) const SNAPSHOT_WRITE_BYTES: usize = 256 << 10;
/// How many snapshots are tried, the newest first, as Apache does.
pub(crate) const SNAPSHOTS_TRIED_MAX: usize = 100;
/// The longest section behind a snapshot's nodes: digest and last zxid take 54 bytes.
pub(crate) const SNAPSHOT_SECTIONS_BYTES_MAX: usize = 4096;
/// snappy-java's blocks hold 32 KiB unless told otherwise; nobody makes larger ones than this.
pub(crate) const SNAPPY_BLOCK_BYTES_MAX: usize = 64 << 20;
/// What snappy-java puts into a block.
pub(crate) const SNAPPY_BLOCK_BYTES: usize = 32 << 10;
/// A log grows when less than this is left of what was preallocated, as Apache's does.
pub(crate) const PREALLOC_RESERVE_BYTES: u64 = 4096;
/// The longest description of a cutback: a line of some 30 bytes for each file.
pub(crate) const CUTBACK_BYTES_MAX: usize = 4 << 20;
/// What the records take, at most, that a recovery hands out for peers. Beyond it they are read
/// from the log.
pub(crate) const RECENT_BYTES_MAX: u64 = 64 << 20;
/// The longest content of a file that holds an epoch: the number takes ten digits at most.
pub(crate) const EPOCH_BYTES_MAX: usize = 64;
/// Copies are made in pieces of this size.
pub(crate) const COPY_BYTES: usize = 1 << 20;
/// What a batch's buffer keeps of its size between two batches.
pub(crate) const BATCH_BYTES_KEPT: usize = 4 << 20;
/// The longest record that is looked for in a damaged log: more than any server ever wrote.
pub(crate) const SALVAGED_RECORD_BYTES_MAX: usize = 1 << 30;
/// As many lost transactions are replaced by failed ones, 49 bytes each.
pub(crate) const FILLED_MAX: i64 = 1 << 20;
