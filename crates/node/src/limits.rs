//! The limits of this crate, named.

/// How much one step may visit: transactions applied, watch events made, watches set again or
/// forgotten, nodes put into a snapshot, sessions that expire and their ephemeral nodes. One costs
/// up to 5 µs where nothing is in the processor's caches; a step stays below 5 ms with room for
/// whatever else runs on the machine.
pub const VISITS_PER_STEP: usize = 300;

/// How many identities a connection may prove: each is compared with for every access.
pub const IDENTITIES_MAX: usize = 64;

/// The bytes of all identities of a connection. Every request that waits may hold a copy of them.
pub const IDENTITIES_BYTES_MAX: usize = 16 << 10;
