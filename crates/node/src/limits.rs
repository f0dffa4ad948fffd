//! The limits of this crate, named.

/// How much one step may visit: transactions applied, watch events made, watches set again or
/// forgotten, nodes put into a snapshot. At under 2 µs each this keeps a step below 5 ms.
pub const VISITS_PER_STEP: usize = 1_000;

/// How many sessions one step may begin to expire. Each becomes a transaction with a list of its
/// ephemeral nodes, which is the costly part.
pub const EXPIRIES_PER_STEP: usize = 200;
