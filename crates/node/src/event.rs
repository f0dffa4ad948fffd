//! Everything that can happen to a replica. Closed: a new cause is a new variant.

use bellwether_tree::{Identity, Tree};
use bellwether_wire::client::{ConnectRequest, Request, RequestHeader};
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use bellwether_wire::jute::DecodeError;
use bellwether_zab::{Input, LeaderLink, LearnerLink, LogToken};
use std::sync::Arc;

/// A client's connection. Never used twice by one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed; see [`crate::Node::next_deadline`].
    Tick,
    /// There is work left from earlier steps; see [`crate::Node::has_work`].
    Continue,
    /// A client's first frame. `identities` are what the connection itself makes it, such as its
    /// address (`ip`).
    Connect { conn: ConnId, request: ConnectRequest, identities: Vec<Identity> },
    /// A further frame of a connection that got its [`crate::Effect::Connected`]. `request` is its
    /// decoded body, or why it could not be decoded; `None` for an operation that clients may not
    /// send.
    Frame { conn: ConnId, header: RequestHeader, request: Option<Result<Request, DecodeError>> },
    /// The shell checked an auth packet: the identities it proved, or `None` if it failed.
    Authenticated { conn: ConnId, xid: i32, proved: Option<Vec<Identity>> },
    /// The connection is gone.
    ClientGone(ConnId),
    /// The log is on stable storage up to and including this token; `bytes` were written for it.
    Durable { token: LogToken, bytes: u64 },
    /// A write or sync of the log failed. What is in flight is never acknowledged.
    LogFailed,
    /// The snapshot's writer took the last slice and wants the next.
    SnapshotSliceTaken,
    /// The snapshot is complete on stable storage, or was given up.
    SnapshotEnded { saved: bool },
    /// Something of the ensemble. What the node has an event of its own for comes by that.
    Peer(Input),
    /// The log was cut as [`bellwether_zab::Effect::Truncate`] asked: this is the tree that is
    /// left, and the last records before its end.
    Truncated { tree: Box<Tree>, recent: Vec<Arc<TxnRecord>> },
    /// The next items of the snapshot that a leader sends; `last` with the end, after its mark.
    SnapshotFromLeader { link: LeaderLink, items: Vec<SnapshotItem>, last: bool },
    /// The snapshot of [`crate::EnsembleEffect::AdoptSnapshot`] has its name and the log goes on
    /// behind it, or nothing was changed.
    SnapshotAdopted { adopted: bool },
    /// A learner's link took the last slice of its snapshot and wants the next.
    LearnerSliceTaken(LearnerLink),
}

impl Event {
    /// Whether it is what a client did, as opposed to the disk, the ensemble or the time.
    pub(crate) fn is_of_a_client(&self) -> bool {
        match self {
            Event::Connect { .. }
            | Event::Frame { .. }
            | Event::Authenticated { .. }
            | Event::ClientGone(_) => true,
            Event::Tick
            | Event::Continue
            | Event::Durable { .. }
            | Event::LogFailed
            | Event::SnapshotSliceTaken
            | Event::SnapshotEnded { .. }
            | Event::Peer(_)
            | Event::Truncated { .. }
            | Event::SnapshotFromLeader { .. }
            | Event::SnapshotAdopted { .. }
            | Event::LearnerSliceTaken(_) => false,
        }
    }
}
