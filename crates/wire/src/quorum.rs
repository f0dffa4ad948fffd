//! What servers of an ensemble say to each other, as values: packets of the quorum port, the
//! stream of a snapshot, headers and notifications of the election port, the ensemble's text.
//!
//! What it keeps true: everything that comes from a socket is read in whatever pieces it arrives,
//! each length is held against a limit before anything is kept for it, and a packet can only be
//! read in the direction in which it goes.
//!
//! What it leaves to others: what is sent when (`zab`), what a quorum is (`zab`), sockets and
//! names of hosts (the shell).

pub mod config;
pub mod handshake;
pub mod link;
pub mod packet;
mod scan;
pub mod sync;
pub mod vote;

pub use config::{
    ClientAddress, ConfigError, ConfigProblem, EnsembleConfig, LearnerType, PeerAddress, Quorums,
    ServerSpec, SpecProblem,
};
pub use handshake::{Initial, InitialError, InitialProtocol};
pub use link::{AnonymousObservers, Link, Side, on_initial};
pub use packet::{Direction, Id, LEARNER_PROTOCOL, LearnerInfo, Packet, PacketError, PacketReader};
pub use sync::{SnapshotStep, SnapshotStreamError, SnapshotStreamReader, SnapshotStreamWriter};
pub use vote::{
    FrameError, Notification, NotificationReader, PeerState, Version, Vote, WrongNotification,
};

use std::fmt;

/// A server's id, the number in its `myid` file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

impl ServerId {
    /// What an observer without an id of its own calls itself on the election port.
    pub const OBSERVER: ServerId = ServerId(i64::MAX);
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
