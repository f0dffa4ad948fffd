//! A member's part of the loop: what its peer asks of sockets and disk, and what those say.
//!
//! What it keeps true: effects of the log reach its thread in the order in which they were asked
//! for; a link that takes too little is ended, and its learner comes back; a snapshot and the log
//! are sent at the pace of their link, a leader's snapshot is taken at the pace of its file.

use super::Core;
use crate::limits::{LEARNERS_MAX, LINK_UNSENT_BYTES_MAX};
use crate::quorum::dial::{self, Dial};
use crate::quorum::election_port::ElectionPort;
use crate::quorum::links::Link;
use crate::quorum::listener::{self, QuorumPort};
use crate::quorum::log_source::{self, LogRead, Reading};
use crate::quorum::{LinkEnd, QuorumMessage, SharedPlace};
use crate::warn_limited;
use bellwether_node::{EnsembleEffect, Event};
use bellwether_wire::Zxid;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::Packet;
use bellwether_zab::{Effect as PeerEffect, Input, LeaderLink, LearnerLink};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{error, info, warn};

/// The sockets of a member.
pub(crate) struct Sockets {
    place: SharedPlace,
    election_port: ElectionPort,
    /// Only while this server leads.
    quorum_port: Option<QuorumPort>,
    links: BTreeMap<LinkEnd, Link>,
    dials: BTreeMap<LeaderLink, Dial>,
    /// Links with something that has gathered in this round.
    dirty: Vec<LinkEnd>,
    /// Learners that were sent a slice of a snapshot and may get the next as soon as little is
    /// unsent.
    due: Vec<LearnerLink>,
    /// Batches of a leader's snapshot that its file has not taken.
    receiving: VecDeque<OwnedSemaphorePermit>,
    /// Learners that are sent a part of the log.
    readings: BTreeMap<LearnerLink, Reading>,
    next_learner: u64,
}

impl Sockets {
    pub(crate) fn new(place: SharedPlace, election_port: ElectionPort) -> Sockets {
        Sockets {
            place,
            election_port,
            quorum_port: None,
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            dirty: Vec::new(),
            due: Vec::new(),
            receiving: VecDeque::new(),
            readings: BTreeMap::new(),
            next_learner: 1,
        }
    }

    /// Whether there is something to go on with at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.due.is_empty() || !self.dirty.is_empty()
    }

    fn send(&mut self, end: LinkEnd, packet: &Packet) {
        // A link that is gone has been reported, or soon will be.
        if let Some(link) = self.links.get_mut(&end)
            && link.put(packet)
        {
            self.dirty.push(end);
        }
    }

    fn send_slice(&mut self, to: LearnerLink, items: &[SnapshotItem], last: bool) {
        let end = LinkEnd::Learner(to);
        let Some(link) = self.links.get_mut(&end) else { return };
        if link.put_slice(items, last) {
            self.dirty.push(end);
        }
        if !last {
            self.due.push(to);
        }
    }
}

impl Core {
    /// What only members ask for.
    pub(super) fn perform_as_member(&mut self, effect: EnsembleEffect) {
        match effect {
            EnsembleEffect::Peer(effect) => self.perform_for_peer(effect),
            EnsembleEffect::SnapshotToLearner { link, items, last } => {
                self.sockets().send_slice(link, &items, last);
            }
            EnsembleEffect::ReceiveSnapshot(zxid) => self.receive_snapshot(zxid),
            EnsembleEffect::AdoptSnapshot(zxid) => self.adopt_snapshot(zxid),
            EnsembleEffect::AbandonSnapshot => self.abandon_snapshot(),
        }
    }

    fn sockets(&mut self) -> &mut Sockets {
        self.sockets.as_mut().expect("only a member asks for this")
    }

    fn perform_for_peer(&mut self, effect: PeerEffect) {
        let core = || self.sender.clone();
        let sockets = self.sockets.as_mut().expect("only a member asks for this");
        match effect {
            PeerEffect::Notify { to, notification } => {
                sockets.election_port.notify(to, &notification);
            }
            PeerEffect::Listen => {
                sockets.quorum_port = Some(listener::listen(sockets.place.clone(), core()));
            }
            PeerEffect::StopListening => sockets.quorum_port = None,
            PeerEffect::ToLearner(link, packet) => sockets.send(LinkEnd::Learner(link), &packet),
            PeerEffect::CloseLearner(link) => {
                sockets.readings.remove(&link);
                if let Some(link) = sockets.links.remove(&LinkEnd::Learner(link)) {
                    link.finish();
                }
            }
            PeerEffect::ReadLog { link, after, up_to } => self.read_log(link, after, up_to),
            PeerEffect::Dial { link, leader } => {
                let dial = dial::start(sockets.place.clone(), (link, leader), core());
                sockets.dials.insert(link, dial);
            }
            PeerEffect::ToLeader(link, packet) => sockets.send(LinkEnd::Leader(link), &packet),
            PeerEffect::CloseLeader(link) => {
                sockets.dials.remove(&link);
                sockets.links.remove(&LinkEnd::Leader(link));
            }
            PeerEffect::Append(..) => unreachable!("the node asks for it as its own effect"),
            PeerEffect::SaveAcceptedEpoch(epoch) => self.save_accepted_epoch(epoch),
            PeerEffect::SaveCurrentEpoch(epoch) => self.save_current_epoch(epoch),
            PeerEffect::Truncate(to) => self.truncate(to),
        }
    }

    /// What the sockets say.
    pub(super) fn quorum_message(&mut self, message: QuorumMessage) {
        match message {
            QuorumMessage::Notification { from, notification } => {
                self.step(Event::Peer(Input::Notification { from, notification }));
            }
            QuorumMessage::NoElectionPort { address, source } => {
                error!(
                    %address, error = %source,
                    "the election port cannot be opened, and without it there is no ensemble; the \
                     host of this server's own line must be an address of this machine (or set \
                     quorumListenOnAllIPs=true), and the port free; electionPortBindRetry=0 tries \
                     without end"
                );
                self.no_election_port = true;
            }
            QuorumMessage::LearnerAccepted { stream, peer } => self.learner_accepted(stream, peer),
            QuorumMessage::LeaderReached { link, stream } => {
                let core = self.sender.clone();
                let sockets = self.sockets();
                if sockets.dials.remove(&link).is_some() {
                    let end = LinkEnd::Leader(link);
                    let opened = Link::open(sockets.place.clone(), end, stream, core);
                    sockets.links.insert(end, opened);
                    self.step(Event::Peer(Input::LeaderConnected(link)));
                }
            }
            QuorumMessage::LeaderUnreachable { link } => {
                if self.sockets().dials.remove(&link).is_some() {
                    self.step(Event::Peer(Input::LeaderGone(link)));
                }
            }
            QuorumMessage::Packets { end, packets } => self.take_packets(end, packets),
            QuorumMessage::Snapshot { link, items, last, permit } => {
                if self.sockets().links.contains_key(&LinkEnd::Leader(link)) {
                    self.sockets().receiving.push_back(permit);
                    self.step(Event::SnapshotFromLeader { link, items, last });
                }
            }
            QuorumMessage::Drained(LinkEnd::Learner(link)) => self.slice_taken(link),
            QuorumMessage::Drained(LinkEnd::Leader(_)) => {} // A leader is sent no slices.
            QuorumMessage::Ended(end) => self.link_ended(end),
        }
    }

    fn learner_accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        let core = self.sender.clone();
        let is_stopping = self.stopping.is_some();
        let repeats = &self.figures.repeats;
        let sockets = self.sockets.as_mut().expect("only a member listens");
        if sockets.quorum_port.is_none() || is_stopping {
            return; // It came when this server had just ceased to lead.
        }
        if sockets.links.len() >= LEARNERS_MAX {
            warn_limited!(repeats, "learners", %peer, max = LEARNERS_MAX,
                "a connection to the quorum port was closed: there are too many");
            return;
        }
        let link = LearnerLink(sockets.next_learner);
        sockets.next_learner += 1;
        let end = LinkEnd::Learner(link);
        sockets.links.insert(end, Link::open(sockets.place.clone(), end, stream, core));
        info!(%peer, link = link.0, "a learner connects");
        self.step(Event::Peer(Input::LearnerConnected(link)));
    }

    fn take_packets(&mut self, end: LinkEnd, packets: Vec<Packet>) {
        for packet in packets {
            // One of them may be what ends the link.
            if !self.sockets().links.contains_key(&end) {
                break;
            }
            self.take(match end {
                LinkEnd::Learner(link) => Input::FromLearner(link, packet),
                LinkEnd::Leader(link) => Input::FromLeader(link, packet),
            });
        }
        self.step(Event::Continue);
    }

    /// The link is gone, or is ended from here.
    fn link_ended(&mut self, end: LinkEnd) {
        if self.sockets().links.remove(&end).is_none() {
            return; // It was closed from here.
        }
        let gone = match end {
            LinkEnd::Learner(link) => {
                self.sockets().readings.remove(&link);
                Input::LearnerGone(link)
            }
            LinkEnd::Leader(link) => Input::LeaderGone(link),
        };
        self.step(Event::Peer(gone));
    }

    fn read_log(&mut self, link: LearnerLink, after: Zxid, up_to: Zxid) {
        let (logs, core) = (self.snapshots.log_reader(), self.sender.clone());
        let sockets = self.sockets();
        let Some(of) = sockets.links.get(&LinkEnd::Learner(link)) else { return };
        let reading = log_source::start(logs, (link, of.pace()), (after, up_to), core);
        sockets.readings.insert(link, reading);
    }

    /// Records for a learner came.
    pub(super) fn log_read(&mut self, read: LogRead) {
        let LogRead { link, records, last, permit } = read;
        if last {
            self.sockets().readings.remove(&link);
        }
        if self.sockets().links.contains_key(&LinkEnd::Learner(link)) {
            self.step(Event::Peer(Input::LogRead { link, records, last }));
        }
        drop(permit); // The next may be read once these are on their way.
    }

    /// A learner's snapshot goes on, unless too much of it is unsent.
    fn slice_taken(&mut self, link: LearnerLink) {
        let Some(sockets) = &mut self.sockets else { return };
        let Some(of) = sockets.links.get_mut(&LinkEnd::Learner(link)) else { return };
        if !of.await_drained() {
            self.step(Event::LearnerSliceTaken(link));
        }
    }

    /// Sends what has gathered for other members, and ends links that take too little.
    pub(super) fn flush_links(&mut self) {
        let Some(sockets) = &mut self.sockets else { return };
        let due = std::mem::take(&mut sockets.due);
        let mut stuck = Vec::new();
        for end in std::mem::take(&mut sockets.dirty) {
            let Some(link) = sockets.links.get_mut(&end) else { continue };
            link.flush();
            if link.unsent() > LINK_UNSENT_BYTES_MAX {
                stuck.push((end, link.unsent()));
            }
        }
        for (end, unsent) in stuck {
            warn!(
                ?end,
                unsent,
                "a connection between members was closed: its other end takes too little of what \
                 it is sent; it may come back. Look at that member and at the network"
            );
            self.link_ended(end);
        }
        for link in due {
            self.slice_taken(link);
        }
    }

    /// The file of a leader's snapshot has taken a batch: another may come.
    pub(super) fn received_slice_taken(&mut self) {
        if let Some(sockets) = &mut self.sockets {
            drop(sockets.receiving.pop_front());
        }
    }

    /// Nothing of a leader's snapshot is written any more.
    pub(super) fn forget_received(&mut self) {
        if let Some(sockets) = &mut self.sockets {
            sockets.receiving.clear();
        }
    }
}
