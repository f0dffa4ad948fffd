//! One replica: the flow of a request from its frame to its reply, as a pure state machine.
//!
//! Contract: [`Node::step`] is a function. The same state, time and event give the same state and
//! the same effects. It has no IO, clock, randomness, thread or lock; `server` performs the effects
//! in order, `sim` does so in a made-up world.
//!
//! Promises are kept by construction:
//! - a write is answered only from the handler of [`Event::Durable`], which is the only thing that
//!   lets a proposal commit ([`flow`] names the files);
//! - a watch event leaves before any reply that shows the change;
//! - replies leave in the order of their requests, per connection;
//! - no step visits more than [`limits::VISITS_PER_STEP`] nodes, watches or sessions, but for what
//!   one transaction itself does. What is left over is done in the following steps
//!   ([`Node::has_work`]).
//!
//! The node leaves to others: sockets and framing (`server`), files (`store`), what a write means
//! (`tree`).

pub mod audit;
mod by_conn;
mod connections;
mod effect;
mod ensemble;
mod event;
mod expiry;
pub mod flow;
mod histogram;
pub mod limits;
mod listing;
mod node;
mod reaper;
mod settings;
mod snapshots;
mod statistics;
mod status;

pub use bellwether_zab::LogToken;
pub use by_conn::ByConn;
pub use effect::{Effect, EnsembleEffect};
pub use event::{ConnId, Event};
pub use flow::throttle::ThrottleFigures;
pub use histogram::{Histogram, Summary};
pub use listing::{List, Listed, Listing, Visit};
pub use node::{Membership, Node};
pub use settings::{ReaperSettings, Settings, ThrottleSettings};
pub use statistics::Statistics;
pub use status::{
    ConnectionStatus, EnsembleMeasures, EnsembleStatus, Latency, LeaderStatus, Measures, Sizes,
    Status, WatchersTold,
};
