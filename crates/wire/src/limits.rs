//! The limits of this crate, named: what a decoder accepts at most.

/// `jute.maxbuffer`'s default: the largest frame, and the largest buffer or string within one.
pub const MAX_BUFFER_BYTES: usize = 0xf_ffff;

/// What a record in the log may exceed `jute.maxbuffer` by (`jute.maxbuffer.extrasize`): a
/// transaction is larger than the request that caused it.
pub const EXTRA_BUFFER_BYTES: usize = MAX_BUFFER_BYTES;

/// A connect request is 44 or 45 bytes with the usual 16-byte password; longer ones are from
/// something that is not a client.
pub const MAX_CONNECT_BYTES: usize = 4096;

/// How deep a multi may nest. The protocol has no use for a multi within a multi.
pub const MAX_MULTI_DEPTH: usize = 1;

/// The longest text of addresses in the header of an election connection.
pub const MAX_INITIAL_ADDRESS_BYTES: usize = 2048;

/// The longest message of the election port.
pub const MAX_NOTIFICATION_BYTES: usize = 512 << 10;
