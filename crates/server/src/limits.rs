//! The limits of the shell, named, with their reasons.

use std::time::Duration;

/// What one read takes from a socket at most, in bytes. One buffer of this size serves all sockets.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// How many reads one connection gets before the next connection has its turn.
pub(crate) const READS_PER_TURN: usize = 4;

/// Unsent bytes, copies only, at which a connection is not read from any more. Its client must
/// take its replies first.
pub(crate) const UNSENT_BYTES_PAUSE: usize = 64 << 10;

/// Unsent bytes, shared ones included, at which a connection is closed: a client that takes
/// nothing but has watches that fire.
pub(crate) const UNSENT_BYTES_MAX: usize = 16 << 20;

/// Unsent copies of all connections together. Beyond it nobody is read from, and a connection
/// whose watch events still add to it is closed.
pub(crate) const UNSENT_BYTES_ALL: usize = 96 << 20;

/// Data of at least this size is sent from where the tree keeps it, below it is copied.
pub(crate) const SHARE_BYTES: usize = 4 << 10;

/// The largest buffer that a connection keeps although it has nothing to send, in bytes.
pub(crate) const SPARE_BYTES: usize = 8 << 10;

/// Frames that are not complete, of all connections together, in bytes. A frame that would need
/// more waits in its socket until others are complete.
pub(crate) const PARTIAL_BYTES_ALL: usize = 64 << 20;

/// A frame that is not complete and up to this size needs no part of [`PARTIAL_BYTES_ALL`].
pub(crate) const PARTIAL_BYTES_FREE: usize = 16 << 10;

/// The longest frame beyond `jute.maxbuffer` that is read past and answered with an error, in
/// bytes. Its client may be set up for larger nodes than the server; a longer one is no request.
pub(crate) const OVERSIZE_BYTES_MAX: usize = 128 << 20;

/// What is kept of such a frame, in bytes: its header, and enough of the path to find the node.
pub(crate) const OVERSIZE_HEAD_BYTES: usize = 512;

/// How long a frame may hold a part of [`PARTIAL_BYTES_ALL`] without growing, while others wait.
pub(crate) const PARTIAL_STALL: Duration = Duration::from_secs(1);

/// How long a connection that is closing may leave its last replies untaken.
pub(crate) const CLOSING_STALL: Duration = Duration::from_secs(5);

/// How long the answer to a four-letter word may take in all: whoever takes it byte by byte would
/// hold what others wait for.
pub(crate) const TELLING_PATIENCE: Duration = Duration::from_secs(60);

/// How long a stop waits for the audit log's disk.
pub(crate) const AUDIT_STOP_PATIENCE: Duration = Duration::from_millis(1500);

/// How often connections are looked at for these.
pub(crate) const SWEEP_EVERY_MS: u64 = 250;

/// Descriptors that connections never get: log, snapshots, the runtime, listeners.
pub(crate) const RESERVED_FDS: u64 = 64;

/// Messages to the core that wait. A connection has one at most, so that this only bounds a burst.
pub(crate) const CORE_MESSAGES: usize = 4096;

/// Messages that the core takes before it performs effects.
pub(crate) const CORE_BATCH: usize = 1024;

/// Namespaces whose quotas `mntr` tells of, in the order of their names, and whose refusals are
/// counted: whoever may set quotas must not make an answer without end.
pub(crate) const NAMESPACES_MAX: usize = 1000;

/// Frames of one connection between two looks at the clock.
pub(crate) const FRAMES_PER_CLOCK: u32 = 16;

/// How long a stop waits for requests in flight and for unsent replies.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_millis(1500);

/// Lines of the audit log that may wait for its file before no more requests are taken.
pub(crate) const AUDIT_LINES_WAITING: usize = 8192;

/// The length at which the audit log's file is rotated, in bytes, as in Apache's configuration.
pub(crate) const AUDIT_FILE_BYTES: u64 = 10 << 20;

/// How many rotated files of the audit log are kept, likewise.
pub(crate) const AUDIT_FILES_KEPT: u32 = 10;

/// Segments that one write hands to the kernel.
pub(crate) const SEGMENTS_PER_WRITE: usize = 64;

/// How many four-letter words may have all connections sorted at a time: each holds eight bytes per
/// connection until its client has taken the answer.
pub(crate) const SORTERS_MAX: usize = 4;

/// What a text of a four-letter word counts as, in visits of a list. The longest takes some ten
/// times as long as a line.
pub(crate) const TEXT_VISITS: usize = 20;

/// How long a client of the control socket may take to say what it wants.
pub(crate) const CONTROL_PATIENCE: Duration = Duration::from_secs(2);

/// The longest line on the control socket, in bytes.
pub(crate) const CONTROL_BYTES_MAX: u64 = 4096;

/// What stands before each frame, in bytes.
pub(crate) const FRAME_LENGTH_BYTES: usize = 4;

/// Unsent bytes at which a link to another member is ended. More than what the peer holds back for
/// a learner during a snapshot and then sends at once.
pub(crate) const LINK_UNSENT_BYTES_MAX: usize = 96 << 20;

/// What the peer holds back for a learner during a snapshot, in bytes.
pub(crate) const LEARNER_QUEUE_BYTES_MAX: usize = 64 << 20;

/// How many learners may be connected at a time.
pub(crate) const LEARNERS_MAX: usize = 1024;

/// What systemd is told while a member waits for its ensemble, which may take as long as it takes.
pub(crate) const START_EXTENSION: &str = "EXTEND_TIMEOUT_USEC=60000000";

/// How often.
pub(crate) const START_EXTENSION_EVERY_MS: u64 = 15_000;

/// How long a stop waits for look-ups of names and reads that cannot be interrupted.
pub(crate) const RUNTIME_STOP_PATIENCE: Duration = Duration::from_millis(100);
