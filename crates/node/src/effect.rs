//! Everything a replica can ask of the world. The shell performs effects in their order.

use crate::audit::AuditEvent;
use crate::event::ConnId;
use bellwether_tree::Exceeded;
use bellwether_wire::Zxid;
use bellwether_wire::client::{ConnectResponse, Reply, WatchEvent};
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use bellwether_zab::{LearnerLink, LogToken};
use std::sync::Arc;

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    /// Answer a connect request. Frames of the connection may be handed in from now on.
    Connected(ConnId, ConnectResponse),
    /// Send a reply.
    Reply(ConnId, Reply),
    /// Send a watch event.
    Notify(ConnId, Arc<WatchEvent>),
    /// Send what is queued, then close. Nothing else is said to this connection.
    Close(ConnId),
    /// Warn, or count a refusal: a write exceeds a quota.
    QuotaExceeded(Exceeded),
    /// Write a line to the audit log.
    Audit(Box<AuditEvent>),
    /// Append to the log and report [`crate::Event::Durable`] once it is synced.
    Append(LogToken, Arc<TxnRecord>),
    /// Begin a new log file, and a snapshot named by this zxid.
    StartSnapshot(Zxid),
    /// The next slice of the snapshot; empty with `last` set once it is complete.
    SnapshotSlice { items: Vec<SnapshotItem>, last: bool },
    /// Something that only members of an ensemble ask for.
    Ensemble(EnsembleEffect),
}

/// What only members of an ensemble ask for.
#[derive(Debug)]
pub enum EnsembleEffect {
    /// Something that `zab` asks for. [`bellwether_zab::Effect::Append`] is [`Effect::Append`].
    Peer(bellwether_zab::Effect),
    /// The next slice of a snapshot for a learner, behind the packet that announces it; empty or
    /// not, `last` with the end, after which the stream's mark is sent. Report
    /// [`crate::Event::LearnerSliceTaken`] when the link has room for the next.
    SnapshotToLearner { link: LearnerLink, items: Vec<SnapshotItem>, last: bool },
    /// Begin to write the snapshot that a leader sends: its slices follow in
    /// [`Effect::SnapshotSlice`], and [`crate::Event::SnapshotEnded`] reports it. It has no name
    /// that a start would find before [`EnsembleEffect::AdoptSnapshot`].
    ReceiveSnapshot(Zxid),
    /// The snapshot that was received is whole: give it its name, set aside what it replaces, let
    /// the log go on behind it, and report [`crate::Event::SnapshotAdopted`].
    AdoptSnapshot(Zxid),
    /// Give up the snapshot that is being written, whichever it is. It still reports its one
    /// [`crate::Event::SnapshotEnded`], before that of any other.
    AbandonSnapshot,
}
