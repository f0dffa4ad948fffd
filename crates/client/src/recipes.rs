//! Recipes: locks, elections and whatever else processes agree on through a few nodes.
//!
//! Each is made of a [`Client`](crate::Client)'s public operations and nothing else. What they have
//! in common:
//!
//! - They go on after a lost connection, and end with the session: [`Error::SessionEnded`].
//! - What is held ends when its value is dropped, and is known to be held only while
//!   [`Client::is_certain`](crate::Client::is_certain) says so. Only a [`Claim`] outlives value and
//!   session: it ends with its time. A process that was stopped for long
//!   finds that out before it does harm, if it asks; what it changes elsewhere is safe if it sends
//!   the fencing token along.
//! - Waiting ends when its future is dropped: nothing is left behind in the line.
//! - Where kazoo has a layout that is sound, it is used: a holder of ours and one of kazoo's
//!   exclude each other.
//!
//! `docs/recipes/README.md` leads to a page for each: what it guarantees, what not, and its nodes.
//!
//! [`Error::SessionEnded`]: crate::Error::SessionEnded

mod assignment;
mod backlog;
mod ballot;
mod barrier;
mod claim;
mod counter;
mod double_barrier;
mod election;
mod exact;
mod group;
mod guarded;
mod held;
mod line;
mod lock;
mod nodes;
mod once;
mod queue;
mod registry;
mod rwlock;
mod semaphore;
mod setting;
mod subtree;

pub use assignment::{Worker, assign, moves, rendezvous};
pub use ballot::{Ballot, Cast, Outcome, Proposal, Tally, Verdict, Vote};
pub use barrier::Barrier;
pub use claim::{Claim, Claimant, Tenure};
pub use counter::Counter;
pub use double_barrier::{DoubleBarrier, Inside};
pub use election::{Candidate, Election, LeaderWatch, Leadership};
pub use group::{Group, GroupWatch, Member, MemberChange, Membership};
pub use held::{Fence, Held, Lost};
pub use line::Contender;
pub use lock::Lock;
pub use once::{Claimed, Once};
pub use queue::{Item, Queue};
pub use registry::{Choice, Discovery, DiscoveryWatch, Health, Instance, Registration, Registry};
pub use rwlock::RwLock;
pub use semaphore::Semaphore;
pub use setting::{Reading, Setting, SettingWatch, Value};
pub use subtree::{Node, NodeChange, Snapshot, Subtree, SubtreeWatch};
