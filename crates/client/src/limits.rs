//! The limits of this crate, named: queues, frames, batches, times.

/// Requests that callers have handed in and that are not yet answered, waiting or on the wire.
/// A caller beyond it waits: what is read into memory for it stays its own concern.
pub(crate) const REQUESTS_MAX: usize = 1024;

/// Requests that are taken before what they weigh in the write buffer is looked at.
pub(crate) const COMMAND_BATCH: usize = 64;

/// Requests beyond [`REQUESTS_MAX`] that wait for their turn before those are looked for whose
/// callers have gone.
pub(crate) const LINE_KEPT: usize = 1024;

/// Bytes that are written but not yet taken by the socket. Above it no further request is taken.
pub(crate) const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// Free space to offer to one read from the socket.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// A receive buffer that a large reply has grown beyond this is given back once it is empty.
pub(crate) const READ_BUFFER_KEPT_BYTES: usize = 1 << 20;

/// The largest reply that is accepted. Servers do not limit replies: a node with a million children
/// has one of tens of megabytes.
pub(crate) const REPLY_BYTES_MAX: usize = 256 << 20;

/// Events that a persistent watch or a reader of session events may leave unread. What is beyond
/// becomes a gap that the reader is told of.
pub(crate) const EVENT_QUEUE: usize = 1024;

/// Paths of watches in one setWatches request, in bytes, as Apache's client cuts them: well below
/// the server's limit for a frame.
pub(crate) const SET_WATCHES_BYTES: usize = 128 << 10;

/// The longest time between two packets to the server, in milliseconds.
pub(crate) const PING_INTERVAL_MS_MAX: u64 = 10_000;

/// An attempt to connect is never given less than this, however many hosts share the timeout.
pub(crate) const CONNECT_MS_MIN: u64 = 500;

/// The pause before the second round through the hosts, in milliseconds; it doubles with each.
pub(crate) const PAUSE_MS_FIRST: u64 = 100;

/// The longest pause between two rounds.
pub(crate) const PAUSE_MS_MAX: u64 = 5_000;

/// How long closing waits for the server's answer, in milliseconds. Without one the session ends
/// by its timeout.
pub(crate) const CLOSE_MS: u64 = 3_000;

/// The longest challenge of DIGEST-MD5, in bytes (RFC 2831, 2.1.1).
#[cfg(feature = "sasl")]
pub(crate) const SASL_CHALLENGE_BYTES_MAX: usize = 2047;

/// The largest file of certificates and keys that is read, in bytes. Java's own store of all public
/// authorities has a tenth of that.
#[cfg(feature = "tls")]
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 4 << 20;

/// How often a key store may have its password hashed. Java does it 10,000 times; a number beyond
/// this would take seconds, and is a mistake or malice.
#[cfg(feature = "tls")]
pub(crate) const KEY_STORE_ITERATIONS_MAX: u32 = 5_000_000;

/// Rounds of one SASL exchange. DIGEST-MD5 takes two; a server that goes on asking is given up.
pub(crate) const SASL_ROUNDS_MAX: u32 = 8;

/// Identities of one session; each is sent again on every connection.
pub(crate) const AUTHS_MAX: usize = 64;

/// The pause before another server is asked whether it writes, in milliseconds; it doubles with
/// each that does not.
pub(crate) const SEEK_MS_FIRST: u64 = 1_000;

/// The longest such pause.
pub(crate) const SEEK_MS_MAX: u64 = 60_000;

/// How long the move to a server that writes waits for answers that are on their way.
pub(crate) const SEEK_PATIENCE_MS: u64 = 1_000;

/// What a server is given to say whether it writes.
pub(crate) const PROBE_MS: u64 = 2_000;
