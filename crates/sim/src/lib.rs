//! The production core in a made-up world: text scenarios, and a simulator that runs it through
//! power losses.
//!
//! Invariants of this crate:
//! - What is tested is the production code: `node`, `tree` and `store` as the server runs them.
//!   Made up are only what they stand on: the disk, the clock and the clients.
//! - A run is a function of its seed, to the byte. Nothing reads a clock or iterates over a hash.
//! - The checkers share no code with what they check ([`run`] names them all).

pub mod disk;
pub mod ensemble;
pub mod member_seeds;
pub mod scenario;
pub mod store_seeds;

mod broken;
mod checkers;
mod client;
mod faults;
mod model;
mod shell;
mod story;
mod trace;
mod workload;
mod world;

pub use broken::Break;
pub use checkers::Violation;
pub use world::{Run, Telling, run};
