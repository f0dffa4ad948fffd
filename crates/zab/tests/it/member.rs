//! One member: its peer, its disk, and what a node would know around them.

use crate::disk::{Content, Disk};
use bellwether_wire::Zxid;
use bellwether_wire::quorum::PeerState;
use bellwether_zab::{LeaderLink, LearnerLink, Peer, Serving, Settings};
use std::collections::VecDeque;

/// A member of the ensemble.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) settings: Settings,
    pub(crate) disk: Disk,
    /// What is in memory, while it runs.
    pub(crate) process: Option<Process>,
}

/// What a crash takes away.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) peer: Peer,
    /// It takes learners.
    pub(crate) listens: bool,
    /// It serves clients.
    pub(crate) serves: Option<Serving>,
    /// The last zxid in the tree.
    pub(crate) tree: Zxid,
    /// What is in it.
    pub(crate) content: Content,
    /// Trees to walk and to send.
    pub(crate) walks: VecDeque<LearnerLink>,
    /// Logs to read for learners: the link, from behind, up to.
    pub(crate) reads: VecDeque<(LearnerLink, Zxid, Zxid)>,
    /// A tree that comes from the leader.
    pub(crate) receives: Option<(LeaderLink, Zxid)>,
    /// What the last line of the trace said of it.
    pub(crate) said: Option<PeerState>,
}

impl Process {
    pub(crate) fn new(peer: Peer, tree: Zxid, content: Content) -> Process {
        Process {
            peer,
            listens: false,
            serves: None,
            tree,
            content,
            walks: VecDeque::new(),
            reads: VecDeque::new(),
            receives: None,
            said: None,
        }
    }
}

impl Member {
    pub(crate) fn new(settings: Settings) -> Member {
        Member { settings, disk: Disk::default(), process: None }
    }
}
