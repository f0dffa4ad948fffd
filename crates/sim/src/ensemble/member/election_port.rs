//! The election port of a member: one connection per pair, dialled by the larger id, and for each
//! peer the newest vote only.
//!
//! When a connection comes up the last vote is sent again: the peer may have lost it with the
//! connection before. Who is sent a vote and is not connected is dialled.

use super::super::network::{Side, StreamId};
use super::super::world::Action;
use super::Around;
use bellwether_wire::quorum::{Notification, NotificationReader};
use std::collections::BTreeMap;

/// The slots of a member.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct ElectionPort {
    slots: BTreeMap<usize, Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The last vote for this peer, sent or not.
    newest: Option<Vec<u8>>,
    connection: Option<(StreamId, Side)>,
    reader: NotificationReader,
    dialling: bool,
}

impl ElectionPort {
    /// Sends a vote.
    pub(in crate::ensemble) fn notify(
        &mut self,
        (member, life): (usize, u64),
        to: usize,
        notification: &Notification,
        around: &mut Around<'_>,
    ) {
        let slot = self.slots.entry(to).or_default();
        let mut bytes = Vec::new();
        notification.encode_frame(&mut bytes);
        slot.newest = Some(bytes.clone());
        match slot.connection {
            Some((stream, side)) => {
                around.net.send(around.queue.now_us(), stream, side, bytes);
            }
            None if !slot.dialling => {
                slot.dialling = true;
                let delay_us = 50 + around.chance.below(2000);
                around.queue.after(delay_us, Action::DialElection { member, life, to });
            }
            None => {}
        }
    }

    /// The attempt to reach a peer is over.
    pub(in crate::ensemble) fn dialled(&mut self, to: usize) {
        self.slots.entry(to).or_default().dialling = false;
    }

    /// A connection to a peer stands: it takes the place of the former one, which is given back.
    pub(in crate::ensemble) fn connected(
        &mut self,
        peer: usize,
        connection: (StreamId, Side),
        around: &mut Around<'_>,
    ) -> Option<(StreamId, Side)> {
        let slot = self.slots.entry(peer).or_default();
        let former = slot.connection.replace(connection);
        slot.reader = NotificationReader::new();
        slot.dialling = false;
        if let Some(bytes) = slot.newest.clone() {
            around.net.send(around.queue.now_us(), connection.0, connection.1, bytes);
        }
        former
    }

    /// A connection has ended.
    pub(in crate::ensemble) fn gone(&mut self, peer: usize, stream: StreamId) {
        let Some(slot) = self.slots.get_mut(&peer) else { return };
        if slot.connection.is_some_and(|(connection, _)| connection == stream) {
            slot.connection = None;
        }
    }

    /// Bytes came from a peer.
    pub(in crate::ensemble) fn received(&mut self, peer: usize, bytes: &[u8]) -> Vec<Notification> {
        let Some(slot) = self.slots.get_mut(&peer) else { return Vec::new() };
        slot.reader.push(bytes);
        let mut votes = Vec::new();
        while let Some(vote) = slot.reader.next_message().expect("members send frames") {
            votes.push(vote.expect("members speak the protocol"));
        }
        votes
    }
}
