//! Everything a peer asks of the world, and what it tells the node around it.

use crate::history::LogToken;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{Id, Notification, Packet, ServerId};
use bellwether_wire::{SessionId, Zxid};
use std::sync::Arc;

/// A learner's connection to this leader, numbered by the shell. Never used twice by one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnerLink(pub u64);

/// This learner's connection to a leader, numbered by the peer. Never used twice by one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderLink(pub u64);

/// Something to do. The shell performs effects in their order.
#[derive(Debug)]
pub enum Effect {
    /// Send a vote by the election port. A peer that is not connected is dialled; only the newest
    /// vote for each is kept.
    Notify { to: ServerId, notification: Box<Notification> },

    /// Take learners on the quorum port.
    Listen,
    /// Take none any more. Links that stand are closed one by one.
    StopListening,
    /// Send a packet.
    ToLearner(LearnerLink, Packet),
    /// Send what is queued, then close.
    CloseLearner(LearnerLink),
    /// Read the log from behind `after` up to and including `up_to`, at the pace of the link, and
    /// report [`crate::Input::LogRead`]. Nothing behind `up_to` is committed. Where the records are
    /// more than their share of the newest snapshot or not all there, or where `after` is a record
    /// that this log does not have between its neighbours, report [`crate::Input::LogUnreadable`].
    ReadLog { link: LearnerLink, after: Zxid, up_to: Zxid },

    /// Connect to the quorum port of this server, whose name is resolved anew.
    Dial { link: LeaderLink, leader: ServerId },
    /// Send a packet.
    ToLeader(LeaderLink, Packet),
    /// Close. Nothing that it still sends is reported.
    CloseLeader(LeaderLink),

    /// Append to the log and report [`crate::Input::Durable`] once it is synced.
    Append(LogToken, Arc<TxnRecord>),
    /// Make `acceptedEpoch` durable and report it.
    SaveAcceptedEpoch(u32),
    /// Make `currentEpoch` durable and report it.
    SaveCurrentEpoch(u32),
    /// Cut the log behind this zxid, load the tree anew and report [`crate::Input::Truncated`] or
    /// [`crate::Input::TruncationImpossible`].
    Truncate(Zxid),
}

/// What a peer tells the node that it is part of.
#[derive(Debug)]
pub enum News {
    /// It may serve clients from here on. Everything that the ensemble committed before is in
    /// [`crate::Peer::next_committed`].
    Serve(Serving),
    /// It may not serve clients any more.
    StopServing,

    /// A learner forwards a request of one of its clients.
    Forwarded { link: LearnerLink, request: Forwarded },
    /// A learner asks whether a session lives, to serve it from now on.
    Revalidate { link: LearnerLink, session: SessionId, timeout_ms: i32 },
    /// A learner heard from these sessions since it last said so; with their timeouts.
    Touched { link: LearnerLink, sessions: Vec<(SessionId, i32)> },
    /// A learner left; the sessions that it served go on until they expire.
    LearnerLeft(LearnerLink),
    /// A quorum followed this leader after [`crate::Peer::confirm`] gave this number.
    Confirmed(u64),
    /// Walk the tree as it is and send it to this learner behind [`Packet::Snap`] with the zxid
    /// of the tree, then report [`crate::Input::SnapshotSent`].
    SendSnapshot(LearnerLink),

    /// The leader asks for the sessions that were heard from: answer by [`crate::Peer::to_leader`].
    Pinged { zxid: Zxid },
    /// The leader knows whether a session lives.
    Revalidated { session: SessionId, valid: bool },
    /// The oldest `sync` that was forwarded is answered: everything that is committed by now, as
    /// far as this peer knows, comes before it.
    Synced,
    /// A whole tree comes from the leader. It replaces this one when it is complete: report
    /// [`crate::Input::SnapshotPart`] while it comes, [`crate::Input::SnapshotComplete`] and
    /// [`crate::Input::SnapshotReceived`], or [`crate::Input::SnapshotFailed`] at any point.
    ReceiveSnapshot { link: LeaderLink, zxid: Zxid },
    /// The leader's history is empty: an empty tree, saved as a snapshot of zxid 0, is to replace
    /// this one, as if it came from the leader.
    BeginEmpty,
    /// What was being received is given up, with its connection, and nothing may be reported of it
    /// any more. Never after [`crate::Input::SnapshotComplete`].
    ReceivingEnded,
}

/// A request of a learner's client.
#[derive(Debug)]
pub struct Forwarded {
    /// Its session.
    pub session: SessionId,
    /// Its xid.
    pub cxid: i32,
    /// Its operation, which may be unknown.
    pub op: i32,
    /// Its body as the client sent it.
    pub payload: Box<[u8]>,
    /// Who the client is.
    pub identities: Vec<Id>,
}

/// In which role clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// A single server.
    Alone,
    /// The leader of this epoch: it prepares, expires sessions and deletes containers.
    Leader { epoch: u32 },
    /// A follower.
    Follower { epoch: u32 },
    /// An observer.
    Observer { epoch: u32 },
}

/// Where a step leaves what follows from it.
#[derive(Debug, Default)]
pub struct Out {
    /// For the world, in order.
    pub effects: Vec<Effect>,
    /// For the node, in order.
    pub news: Vec<News>,
}
