//! The agreement of an ensemble: who leads, in which epoch, and which transactions are committed.
//!
//! It is Apache's ZAB as 3.9.5 speaks it: fast leader election, discovery, synchronisation,
//! broadcast. It knows nothing of znodes: a transaction is a record with a zxid.
//!
//! Invariants of this crate:
//! - It is pure: no IO, clock, randomness, thread or lock. [`Peer::step`] takes what happened and
//!   says what follows.
//! - A promise leaves from the event that makes it true: an ack from [`Input::Durable`], an epoch's
//!   acceptance from [`Input::AcceptedEpochSaved`], the ack of a new leader from
//!   [`Input::CurrentEpochSaved`]. There is no other call site.
//! - What is handed to the tree is committed. Records that are logged and not committed stay in
//!   [`History`] and can be taken back.
//! - `delivered <= committed <= received` and `durable <= received`, asserted after every step.
//!
//! Begin with [`peer`]: it is the only place where a role changes. Then in the order of an
//! ensemble's life: `election`, `discovery` and `sync` of `leader` and `learner`, `broadcast`.

#[cfg(feature = "canaries")]
pub mod broken;
pub mod effect;
pub mod history;
pub mod input;
pub mod peer;
pub mod quorum;
pub mod settings;

mod election;
mod leader;
mod learner;

#[cfg(feature = "canaries")]
pub use broken::Break;
pub use effect::{Effect, Forwarded, LeaderLink, LearnerLink, News, Out, Serving};
pub use history::{History, LogToken};
pub use input::Input;
pub use peer::{Found, LearnerStatus, Peer};
pub use quorum::Quorum;
pub use settings::{ElectionSettings, Settings};
