//! What a learner has read and cannot interpret yet: in the order in which it came, and bounded in
//! bytes.

use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::Packet;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a packet costs beside the records in it.
const PACKET_BYTES: usize = 64;

/// Packets that wait.
#[derive(Debug)]
pub(super) struct Backlog {
    packets: VecDeque<(usize, Packet)>,
    bytes: usize,
    bytes_max: usize,
}

/// There is no room for another packet.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) bytes_max: usize,
}

impl Backlog {
    /// An empty one. It takes any packet while it is empty, so that the longest transaction always
    /// has room.
    pub(super) fn new(bytes_max: usize) -> Backlog {
        Backlog { packets: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Puts a packet at the end.
    pub(super) fn push(&mut self, packet: Packet) -> Result<(), Full> {
        let bytes = PACKET_BYTES + packet_record(&packet).map_or(0, |r| r.encoded_bytes());
        if !self.packets.is_empty() && self.bytes + bytes > self.bytes_max {
            return Err(Full { bytes_max: self.bytes_max });
        }
        self.bytes += bytes;
        self.packets.push_back((bytes, packet));
        Ok(())
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let (bytes, packet) = self.packets.pop_front()?;
        self.bytes -= bytes;
        Some(packet)
    }

    /// Puts an older one before this one, which takes no more than what comes anew.
    pub(super) fn put_in_front(&mut self, mut older: Backlog) {
        older.packets.append(&mut self.packets);
        self.packets = older.packets;
        self.bytes += older.bytes;
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<&Packet> {
        self.packets.front().map(|(_, packet)| packet)
    }

    /// The newest.
    pub(super) fn back(&self) -> Option<&Packet> {
        self.packets.back().map(|(_, packet)| packet)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// The transaction in a packet.
fn packet_record(packet: &Packet) -> Option<&Arc<TxnRecord>> {
    match packet {
        Packet::Proposal { record }
        | Packet::Inform { record }
        | Packet::InformAndActivate { record, .. } => Some(record),
        Packet::Request { .. }
        | Packet::Ack { .. }
        | Packet::Commit { .. }
        | Packet::Ping { .. }
        | Packet::Revalidate { .. }
        | Packet::RevalidateReply { .. }
        | Packet::Sync
        | Packet::CommitAndActivate { .. }
        | Packet::NewLeader { .. }
        | Packet::FollowerInfo { .. }
        | Packet::ObserverInfo { .. }
        | Packet::UpToDate
        | Packet::Diff { .. }
        | Packet::Trunc { .. }
        | Packet::Snap { .. }
        | Packet::LeaderInfo { .. }
        | Packet::AckEpoch { .. } => None,
    }
}
