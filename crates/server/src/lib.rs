//! The shell around the node: configuration, sockets, the disk's threads, signals, the one loop.
//!
//! What it keeps true: only this crate names tokio and the node together; the core never blocks;
//! nothing listens but what the configuration names; what is promised was synced before.
//!
//! Start reading at [`serve`]; a request's way begins in `net/clients.rs`.

pub mod admin;
mod audit;
pub mod auth;
mod clock;
pub mod config;
pub mod control;
mod disk;
mod environment;
mod figures;
mod initialize;
mod limits;
pub mod logging;
mod net;
mod purge;
mod quorum;
mod run;
mod start;
mod systemd;

pub use run::offline;
pub use start::{Listening, serve};
