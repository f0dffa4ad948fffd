//! Ensembles in a made-up world: the production members, in one thread, with everything around them
//! made up — network, disks, clocks, processes and clients.
//!
//! Invariants:
//! - What is tested is the production code: `node`, `zab`, `tree`, `store`, and the packets of
//!   `wire` as bytes in streams.
//! - A run is a function of its seed, to the byte.
//! - Workloads and what goes wrong are data: a small text file each, in `workloads` and
//!   `faultloads`.
//! - The checkers share no code with what they check ([`checkers`] names them all).
//!
//! Begin with `run.rs`, which is a run from its first member to its last session, and `world.rs`,
//! which is its loop.

mod broken;
mod checkers;
mod client;
mod clients;
mod clock;
mod faultload;
mod faults;
mod member;
mod network;
mod outside;
mod plan;
mod queue;
mod run;
pub(crate) mod scenario;
mod tale;
mod truth;
mod words;
mod workload;
mod world;

pub use broken::{Break as EnsembleBreak, ShellBreak};
pub use outside::{NoConnection, Outside, Received, Setup, Stream, faultload};
pub use run::{EnsembleRun, run_ensemble, run_for_speed};
