//! The sockets between the members of an ensemble: the election port, the quorum port, and
//! connections to a leader.
//!
//! What it keeps true: the core waits for none of them; names are resolved anew at every dial, on
//! threads that may block; everything that a peer can make wait here has a bound; whoever speaks
//! nonsense is named in one line and loses its connection.
//!
//! What it leaves to others: what is said, to whom and when (`zab`), bytes (`wire`).

use crate::config::Member;
use crate::logging::repeats::RateLimit;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::{Notification, Packet, ServerId};
use bellwether_zab::{LeaderLink, LearnerLink};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

pub(crate) mod dial;
pub(crate) mod election_port;
mod greeting;
pub(crate) mod links;
pub(crate) mod listener;
pub(crate) mod log_source;
mod names;
pub(crate) mod receiver;
#[cfg(test)]
mod testing;

/// One end of a connection between a leader and a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LinkEnd {
    /// This server leads.
    Learner(LearnerLink),
    /// This server learns.
    Leader(LeaderLink),
}

/// What the sockets tell the core.
#[derive(Debug)]
pub(crate) enum QuorumMessage {
    /// A vote came.
    Notification { from: ServerId, notification: Notification },
    /// The election port cannot be opened, and nothing else is tried.
    NoElectionPort { address: String, source: io::Error },
    /// Somebody connected to the quorum port.
    LearnerAccepted { stream: TcpStream, peer: SocketAddr },
    /// The leader was reached.
    LeaderReached { link: LeaderLink, stream: TcpStream },
    /// It could not be.
    LeaderUnreachable { link: LeaderLink },
    /// Packets came, in order.
    Packets { end: LinkEnd, packets: Vec<Packet> },
    /// The next items of a leader's snapshot; `last` with the end. The permit is given back when
    /// they are written.
    Snapshot {
        link: LeaderLink,
        items: Vec<SnapshotItem>,
        last: bool,
        permit: OwnedSemaphorePermit,
    },
    /// What was to be sent has been, but for little, and more may come.
    Drained(LinkEnd),
    /// The connection is gone.
    Ended(LinkEnd),
}

/// What the sockets of a member need to know.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) member: Member,
    pub(crate) tick_ms: u64,
    /// `jute.maxbuffer` and what a transaction may exceed it by.
    pub(crate) data_bytes_max: usize,
    /// For lines that a peer could repeat for ever.
    pub(crate) repeats: RateLimit,
}

impl Place {
    /// How long one attempt to reach an election port may take.
    fn election_patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.member.cnx_timeout_ms).max(1))
    }

    /// Nagle's algorithm would hold back what the others wait for.
    fn set_options(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        socket2::SockRef::from(stream).set_keepalive(self.member.tcp_keep_alive)
    }
}

/// It is shared by the tasks of one member.
pub(crate) type SharedPlace = Arc<Place>;
