//! The client over simulated ensembles: properties that must hold whatever goes wrong with the
//! members, the network and the processes that use it, seed by seed.
//!
//! `stage.rs` is the loop, `process.rs` a process, `desk.rs` its sockets; the rest are properties.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and print what happened if they are asked to"
)]

mod backlogs;
mod ballots;
mod barriers;
mod counts;
mod desk;
mod elections;
mod example;
mod faults;
mod groups;
mod locks;
mod mirror;
mod pace;
mod process;
mod queues;
mod registries;
mod repeatable;
mod seeds;
mod sessions;
mod settings;
mod shares;
mod stage;
mod subtrees;
mod tenures;
mod updates;
mod writes;
