//! Simulated worlds: everything random comes from a seed, everything that fails can be repeated.
//!
//! What it must keep true: the same seed gives the same run. It leaves what is right or wrong to
//! the crates it drives and to the checkers beside them.

pub mod disk;
pub mod store_seeds;
