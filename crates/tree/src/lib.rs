//! The replicated state: znodes, ACLs, sessions; how a request becomes a transaction and what a
//! transaction does.
//!
//! Invariants of this crate:
//! - It is pure: no IO, clock, randomness, thread or lock. Time and hash seeds are arguments.
//! - [`Tree::prepare`] decides and [`Tree::apply`] obeys: applying never refuses.
//! - Nothing but the apply of one transaction walks the tree or a table as a whole; what must see
//!   everything (snapshots, reaping, a closed connection's watches) comes in slices.
//!
//! Sessions are replicated, connections and watches are not: [`WatchTable`] stands beside the tree.
//! Quotas are nodes of the tree; [`quota`] says who keeps their statistics.

pub mod acl;
pub mod apply;
pub mod load;
pub mod pending;
pub mod prepare;
pub mod quota;
pub mod read;
pub mod reap;
pub mod snapshot;
pub mod tree;
pub mod watch;

mod acl_table;
mod change;
mod check;
mod children;
mod digest;
mod digest_log;
mod ephemerals;
mod index;
mod ip;
mod nodes;
mod schemes;
mod slab;

pub use acl::Identity;
pub use apply::{Change, ChangeKind, Outcome};
pub use ephemerals::{EphemeralVisit, EphemeralWalk};
pub use load::{LoadError, LoadReport, Loader};
pub use pending::Pending;
pub use prepare::{Caller, Stamp, Write};
pub use quota::{Exceeded, Limit, Measure, QuotaFigures};
pub use reap::ReapCursor;
pub use schemes::{DIGEST, IP, Scheme, Schemes, Worth};
pub use snapshot::SnapshotCursor;
pub use tree::{Now, Progress, Tree, TreeOptions};
pub use watch::{
    Delivery, Firing, WatchKind, WatchTable, WatchVisit, WatchWalk, WatcherId, WatchesSummary,
};
