//! The sockets of a member but for elections: its clients, its learners, its leader.
//!
//! What is to be sent is gathered and goes out at the end of a run, as a socket's writer takes what
//! has come together. A learner whose queue of unsent bytes passes its bound loses its connection.

use super::super::client::{Frames, frame};
use super::super::network::{Side, StreamId};
use super::super::world::Owner;
use super::Around;
use crate::checkers::Violation;
use bellwether_node::{ConnId, Event};
use bellwether_tree::Identity;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, Request, RequestHeader, WatchEvent,
};
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::ops::Kind;
use bellwether_wire::quorum::{
    Direction, Packet, PacketReader, SnapshotStep, SnapshotStreamReader, SnapshotStreamWriter,
};
use bellwether_wire::{OpCode, Reader, SessionId};
use bellwether_zab::{Input, LeaderLink, LearnerLink};
use std::collections::{BTreeMap, VecDeque};

/// `jute.maxbuffer` and what a transaction may exceed it by.
const DATA_BYTES_MAX: usize = 2 << 20;
/// How many bytes may wait for a learner's socket.
const LEARNER_BYTES_MAX: usize = 1 << 20;

/// All sockets of a process.
#[derive(Default)]
pub(in crate::ensemble) struct Links {
    clients: BTreeMap<ConnId, Client>,
    /// Clients that have sent what was not read.
    readable: VecDeque<ConnId>,
    /// Clients that something is to be sent to.
    unsent: Vec<ConnId>,
    learners: BTreeMap<LearnerLink, Learner>,
    leader: Option<Leader>,
    listening: bool,
    next: u64,
}

struct Client {
    stream: StreamId,
    frames: Frames,
    greeting: Greeting,
    session: SessionId,
    unsent: Vec<u8>,
    /// The client has closed it.
    ended: bool,
}

/// How far a connection's greeting is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Expected,
    /// Its frames are held back until the session is made.
    Asked,
    Done,
}

struct Learner {
    stream: StreamId,
    reader: PacketReader,
    unsent: Vec<u8>,
    /// A record that is lost if another follows it at once: whoever reads that sees the gap.
    held: Option<Packet>,
    snapshot: Option<SnapshotStreamWriter>,
}

struct Leader {
    link: LeaderLink,
    stream: StreamId,
    reader: FromLeader,
    unsent: Vec<u8>,
}

/// What stands in the stream of a leader.
enum FromLeader {
    Packets(PacketReader),
    Snapshot(SnapshotStreamReader),
}

/// A promise is held against the disk before it leaves.
pub(super) fn check_promise(
    member: usize,
    packet: &Packet,
    around: &mut Around<'_>,
) -> Result<(), Violation> {
    if let Packet::Ack { zxid } = packet {
        around.checkers.acknowledges(member - 1, *zxid)?;
    }
    if let Packet::AckEpoch { current_epoch: Some(_), .. } = packet {
        around.checkers.promises(member - 1)?;
    }
    Ok(())
}

/// Clients.
impl Links {
    /// A client has connected.
    pub(in crate::ensemble) fn accept_client(&mut self, conn: ConnId, stream: StreamId) {
        let client = Client {
            stream,
            frames: Frames::default(),
            greeting: Greeting::Expected,
            session: SessionId::NONE,
            unsent: Vec::new(),
            ended: false,
        };
        self.clients.insert(conn, client);
    }

    /// Bytes came from a client. Gives its session if they are a sign of life.
    pub(in crate::ensemble) fn take_from_client(
        &mut self,
        conn: ConnId,
        bytes: &[u8],
    ) -> Option<SessionId> {
        let client = self.clients.get_mut(&conn)?;
        client.frames.push(bytes);
        self.readable.push_back(conn);
        (client.session != SessionId::NONE && client.frames.has_whole()).then_some(client.session)
    }

    /// A client has closed its connection: what it sent before is read first, as from a socket.
    pub(in crate::ensemble) fn client_gone(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.ended = true;
            self.readable.push_back(conn);
        }
    }

    /// The next frame of any client that may be read, or the end of its connection.
    pub(super) fn next_frame(&mut self) -> Option<Event> {
        while let Some(conn) = self.readable.front().copied() {
            let client = self.clients.get_mut(&conn).filter(|client| client.may_be_read());
            let event = client.and_then(|client| client.next(conn));
            if event.is_some() {
                return event;
            }
            self.readable.pop_front();
            if self.clients.get(&conn).is_some_and(|client| client.ended) {
                self.clients.remove(&conn);
                return Some(Event::ClientGone(conn));
            }
        }
        None
    }

    pub(super) fn connected(&mut self, conn: ConnId, response: &ConnectResponse) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.greeting = Greeting::Done;
        client.session = response.session;
        self.readable.push_back(conn);
        self.say(conn, |bytes| response.encode(bytes));
    }

    pub(super) fn reply(&mut self, conn: ConnId, reply: &Reply) {
        self.say(conn, |bytes| reply.encode(bytes));
    }

    pub(super) fn notify(&mut self, conn: ConnId, event: &WatchEvent) {
        self.say(conn, |bytes| event.encode(bytes));
    }

    fn say(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.unsent.is_empty() {
            self.unsent.push(conn);
        }
        frame(&mut client.unsent, write);
    }

    pub(super) fn close_client(&mut self, conn: ConnId, around: &mut Around<'_>) {
        let Some(mut client) = self.clients.remove(&conn) else { return };
        let now_us = around.queue.now_us();
        if !client.unsent.is_empty() {
            let bytes = std::mem::take(&mut client.unsent);
            around.net.send(now_us, client.stream, Side::Accepted, bytes);
        }
        around.net.close(now_us, client.stream, Side::Accepted);
        around.owners.remove(&(client.stream, Side::Accepted));
    }
}

impl Client {
    fn may_be_read(&self) -> bool {
        self.greeting != Greeting::Asked
    }

    fn next(&mut self, conn: ConnId) -> Option<Event> {
        let frame = self.frames.next()?;
        match self.greeting {
            Greeting::Asked => None,
            Greeting::Expected => {
                self.greeting = Greeting::Asked;
                let request = ConnectRequest::decode(frame).expect("clients speak the protocol");
                let identity = Identity { scheme: "ip".into(), id: "10.0.0.1".into() };
                Some(Event::Connect { conn, request, identities: vec![identity] })
            }
            Greeting::Done => Some(request(conn, frame)),
        }
    }
}

fn request(conn: ConnId, frame: &[u8]) -> Event {
    let r = &mut Reader::new(frame);
    let header = RequestHeader::decode(r).expect("clients speak the protocol");
    let op = OpCode::from_code(header.op).filter(|op| op.kind() != Kind::Internal);
    let request = op.map(|op| Request::decode(op, r));
    if let Some(Ok(Request::Auth { scheme, auth })) = &request {
        let id = String::from_utf8_lossy(auth.as_deref().unwrap_or_default());
        let identity = Identity { scheme: scheme.clone(), id: id.into() };
        return Event::Authenticated { conn, xid: header.xid, proved: Some(vec![identity]) };
    }
    Event::Frame { conn, header, request }
}

/// Learners.
impl Links {
    pub(super) fn listen(&mut self, listening: bool) {
        self.listening = listening;
    }

    pub(in crate::ensemble) fn is_listening(&self) -> bool {
        self.listening
    }

    /// A learner has connected.
    pub(in crate::ensemble) fn accept_learner(&mut self, stream: StreamId) -> LearnerLink {
        self.next += 1;
        let link = LearnerLink(self.next);
        let learner = Learner {
            stream,
            reader: PacketReader::new(DATA_BYTES_MAX),
            unsent: Vec::new(),
            held: None,
            snapshot: None,
        };
        self.learners.insert(link, learner);
        link
    }

    /// Bytes came from a learner: its packets.
    pub(in crate::ensemble) fn take_from_learner(
        &mut self,
        link: LearnerLink,
        bytes: &[u8],
    ) -> Vec<Packet> {
        let Some(learner) = self.learners.get_mut(&link) else { return Vec::new() };
        learner.reader.push(bytes);
        let mut packets = Vec::new();
        let next = |reader: &mut PacketReader| {
            reader.next(Direction::ToLeader).expect("members speak the protocol")
        };
        while let Some(packet) = next(&mut learner.reader) {
            packets.push(packet);
        }
        packets
    }

    pub(in crate::ensemble) fn learner_gone(&mut self, link: LearnerLink) -> Option<Event> {
        self.learners.remove(&link).map(|_| Event::Peer(Input::LearnerGone(link)))
    }

    pub(super) fn send_to_learner(
        &mut self,
        member: usize,
        link: LearnerLink,
        packet: &Packet,
        around: &mut Around<'_>,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        if around.tale.is_told() {
            let to = around.peer_of(learner.stream, Side::Accepted);
            around.tale.packet(around.queue.now_us(), (member, &format!("=> {to}")), packet);
        }
        let is_record = packet.record().is_some();
        if let Some(held) = learner.held.take_if(|_| is_record) {
            around.tale.tell(around.queue.now_us(), || format!("--- lost: {held:?}"));
        }
        learner.say_held();
        let lost = around.load.lost_record_one_in.filter(|_| is_record);
        if lost.is_some_and(|of| around.chance.one_in(of)) {
            learner.held = Some(packet.clone());
        } else {
            packet.encode(&mut learner.unsent);
        }
    }

    pub(super) fn snapshot_to_learner(
        &mut self,
        link: LearnerLink,
        items: &[SnapshotItem],
        last: bool,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        learner.say_held();
        let mut writer = learner.snapshot.take().unwrap_or_default();
        for item in items {
            writer.write(item, &mut learner.unsent);
        }
        if last {
            writer.finish(&mut learner.unsent);
        } else {
            learner.snapshot = Some(writer);
        }
    }

    pub(super) fn close_learner(&mut self, link: LearnerLink, around: &mut Around<'_>) {
        let Some(mut learner) = self.learners.remove(&link) else { return };
        learner.say_held();
        let now_us = around.queue.now_us();
        if !learner.unsent.is_empty() {
            around.net.send(now_us, learner.stream, Side::Accepted, learner.unsent);
        }
        around.net.close(now_us, learner.stream, Side::Accepted);
        around.owners.remove(&(learner.stream, Side::Accepted));
    }
}

/// The leader.
impl Links {
    /// The connection to the leader stands.
    pub(in crate::ensemble) fn dialled_leader(&mut self, link: LeaderLink, stream: StreamId) {
        let reader = FromLeader::Packets(PacketReader::new(DATA_BYTES_MAX));
        self.leader = Some(Leader { link, stream, reader, unsent: Vec::new() });
    }

    /// Bytes came from the leader: packets, and the items of a snapshot.
    pub(in crate::ensemble) fn take_from_leader(
        &mut self,
        link: LeaderLink,
        bytes: &[u8],
    ) -> Vec<Event> {
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.link == link) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        match &mut leader.reader {
            FromLeader::Packets(reader) => reader.push(bytes),
            FromLeader::Snapshot(reader) => reader.push(bytes),
        }
        while leader.read(&mut events) {}
        events
    }

    pub(in crate::ensemble) fn leader_gone(&mut self, link: LeaderLink) -> Option<Event> {
        let is_it = self.leader.as_ref().is_some_and(|leader| leader.link == link);
        if !is_it {
            return None;
        }
        self.leader = None;
        Some(Event::Peer(Input::LeaderGone(link)))
    }

    pub(super) fn send_to_leader(
        &mut self,
        member: usize,
        link: LeaderLink,
        packet: &Packet,
        around: &mut Around<'_>,
    ) {
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.link == link) else {
            return;
        };
        if around.tale.is_told() {
            let to = around.peer_of(leader.stream, Side::Dialled);
            around.tale.packet(around.queue.now_us(), (member, &format!("-> {to}")), packet);
        }
        packet.encode(&mut leader.unsent);
    }

    pub(super) fn close_leader(&mut self, link: LeaderLink, around: &mut Around<'_>) {
        let Some(leader) = self.leader.take_if(|leader| leader.link == link) else { return };
        let now_us = around.queue.now_us();
        if !leader.unsent.is_empty() {
            around.net.send(now_us, leader.stream, Side::Dialled, leader.unsent);
        }
        around.net.close(now_us, leader.stream, Side::Dialled);
        around.owners.remove(&(leader.stream, Side::Dialled));
    }
}

impl Learner {
    /// Nothing follows at once.
    fn say_held(&mut self) {
        if let Some(held) = self.held.take() {
            held.encode(&mut self.unsent);
        }
    }
}

impl Leader {
    /// Reads one thing. Gives whether there may be more.
    fn read(&mut self, events: &mut Vec<Event>) -> bool {
        let link = self.link;
        match &mut self.reader {
            FromLeader::Packets(reader) => {
                let next = reader.next(Direction::ToLearner);
                let Some(packet) = next.expect("members speak the protocol") else { return false };
                if matches!(packet, Packet::Snap { .. }) {
                    let mut snapshot = SnapshotStreamReader::new(DATA_BYTES_MAX);
                    snapshot.push(&reader.take_rest());
                    self.reader = FromLeader::Snapshot(snapshot);
                }
                events.push(Event::Peer(Input::FromLeader(link, packet)));
                true
            }
            FromLeader::Snapshot(reader) => {
                let (items, rest) = read_items(reader);
                let last = rest.is_some();
                if last || !items.is_empty() {
                    events.push(Event::SnapshotFromLeader { link, items, last });
                }
                if let Some(rest) = rest {
                    let mut packets = PacketReader::new(DATA_BYTES_MAX);
                    packets.push(&rest);
                    self.reader = FromLeader::Packets(packets);
                }
                last
            }
        }
    }
}

/// What goes out.
impl Links {
    /// Sends what has come together. Gives who is gone because of it.
    pub(super) fn flush(&mut self, member: usize, around: &mut Around<'_>) -> Vec<Event> {
        let now_us = around.queue.now_us();
        for conn in std::mem::take(&mut self.unsent) {
            let Some(client) = self.clients.get_mut(&conn) else { continue };
            let bytes = std::mem::take(&mut client.unsent);
            around.net.send(now_us, client.stream, Side::Accepted, bytes);
        }
        if let Some(leader) = &mut self.leader
            && !leader.unsent.is_empty()
        {
            let bytes = std::mem::take(&mut leader.unsent);
            around.net.send(now_us, leader.stream, Side::Dialled, bytes);
        }
        let mut overfull = Vec::new();
        for (link, learner) in &mut self.learners {
            learner.say_held();
            if learner.unsent.is_empty() {
                continue;
            }
            let bytes = std::mem::take(&mut learner.unsent);
            let waiting = around.net.send(now_us, learner.stream, Side::Accepted, bytes);
            if waiting > LEARNER_BYTES_MAX {
                overfull.push(*link);
            }
        }
        let mut gone = Vec::new();
        for link in overfull {
            around.tale.tell(now_us, || format!("{member} drops {link:?}: too much waits for it"));
            self.close_learner(link, around);
            gone.push(Event::Peer(Input::LearnerGone(link)));
        }
        gone
    }
}

impl Around<'_> {
    /// Who is at the other end of a stream.
    fn peer_of(&self, stream: StreamId, side: Side) -> String {
        match self.owners.get(&(stream, side.other())) {
            Some(
                Owner::Learner { member, .. }
                | Owner::Leader { member, .. }
                | Owner::Election { member, .. }
                | Owner::Conn { member, .. },
            ) => member.to_string(),
            Some(Owner::Client(client)) => format!("client {client}"),
            Some(Owner::Outside(_)) => "somebody outside".to_string(),
            None => "nobody".to_string(),
        }
    }
}

/// The items that have come, and, behind the last one, what follows the snapshot.
fn read_items(reader: &mut SnapshotStreamReader) -> (Vec<SnapshotItem>, Option<Vec<u8>>) {
    let mut items = Vec::new();
    loop {
        match reader.step().expect("members speak the protocol") {
            SnapshotStep::Item(item) => items.push(item),
            SnapshotStep::NeedsMore => return (items, None),
            SnapshotStep::Done { rest } => return (items, Some(rest)),
        }
    }
}
