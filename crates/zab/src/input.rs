//! Everything that can happen to a peer. Closed: a new cause is a new variant.

use crate::effect::{LeaderLink, LearnerLink};
use crate::history::LogToken;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{Notification, Packet, ServerId};
use std::sync::Arc;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// Time has passed; see [`crate::Peer::next_deadline`].
    Tick,

    /// A vote came by the election port.
    Notification { from: ServerId, notification: Notification },

    /// A learner connected to the quorum port. Only while [`crate::Effect::Listen`] holds.
    LearnerConnected(LearnerLink),
    /// It sent a packet.
    FromLearner(LearnerLink, Packet),
    /// Its connection is gone, or its queue of unsent bytes passed its bound.
    LearnerGone(LearnerLink),
    /// The next records of the log that [`crate::Effect::ReadLog`] asked for; `last` with the end.
    LogRead { link: LearnerLink, records: Vec<Arc<TxnRecord>>, last: bool },
    /// They cannot be read, or are not all there: the learner needs a snapshot.
    LogUnreadable { link: LearnerLink },
    /// The snapshot that [`crate::News::SendSnapshot`] asked for was handed to the link as a whole.
    SnapshotSent(LearnerLink),

    /// The connection that [`crate::Effect::Dial`] asked for stands.
    LeaderConnected(LeaderLink),
    /// The leader sent a packet.
    FromLeader(LeaderLink, Packet),
    /// The connection is gone, or could not be made.
    LeaderGone(LeaderLink),

    /// The log is on stable storage up to and including this token.
    Durable(LogToken),
    /// `acceptedEpoch` is on stable storage.
    AcceptedEpochSaved(u32),
    /// `currentEpoch` is on stable storage.
    CurrentEpochSaved(u32),
    /// The log ends at the point that [`crate::Effect::Truncate`] named, and the tree was loaded
    /// anew from what is left. `recent` are the last records before the point.
    Truncated { last: Zxid, recent: Vec<Arc<TxnRecord>> },
    /// The log does not reach back to that point. Nothing was changed.
    TruncationImpossible,
    /// A part of the snapshot that [`crate::News::ReceiveSnapshot`] asked for came: its leader
    /// lives.
    SnapshotPart(LeaderLink),
    /// The leader's snapshot came as a whole, and is about to take the place of the old tree and
    /// files. From here on it cannot be given up: [`Input::SnapshotReceived`] or
    /// [`Input::SnapshotFailed`] follows even if the role ends.
    SnapshotComplete,
    /// The leader's snapshot, or the empty tree of [`crate::News::BeginEmpty`], is on stable
    /// storage and took the place of the old tree; the log goes on behind it.
    SnapshotReceived(Zxid),
    /// It could not be received: the old tree and files are as they were.
    SnapshotFailed,
}
