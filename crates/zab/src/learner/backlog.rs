//! What a learner has read and cannot interpret yet: in the order in which it came, and bounded in
//! bytes.

use bellwether_wire::quorum::Packet;
use std::collections::VecDeque;

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
        if !self.is_empty() && self.bytes + bytes_of(&packet) > self.bytes_max {
            return Err(Full { bytes_max: self.bytes_max });
        }
        self.push_behind(packet);
        Ok(())
    }

    /// Puts a packet behind those that are being worked off, faster than others come.
    pub(super) fn push_behind(&mut self, packet: Packet) {
        let bytes = bytes_of(&packet);
        self.bytes += bytes;
        self.packets.push_back((bytes, packet));
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let (bytes, packet) = self.packets.pop_front()?;
        self.bytes -= bytes;
        Some(packet)
    }

    /// Puts an older one before this one.
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

fn bytes_of(packet: &Packet) -> usize {
    PACKET_BYTES + packet.record().map_or(0, |record| record.encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::Zxid;

    fn commit(zxid: i64) -> Packet {
        Packet::Commit { zxid: Zxid(zxid) }
    }

    fn order(mut backlog: Backlog) -> Vec<Packet> {
        std::iter::from_fn(|| backlog.pop()).collect()
    }

    #[test]
    fn the_bound_is_in_bytes_and_one_packet_always_has_room() {
        for (bytes_max, fitting) in [(0, 1), (PACKET_BYTES, 1), (2 * PACKET_BYTES - 1, 1)] {
            let mut backlog = Backlog::new(bytes_max);
            let taken = (1..=3).take_while(|at| backlog.push(commit(*at)).is_ok()).count();
            assert_eq!(taken, fitting, "with room for {bytes_max} bytes");
        }
        let mut backlog = Backlog::new(2 * PACKET_BYTES);
        assert!(backlog.push(commit(1)).is_ok() && backlog.push(commit(2)).is_ok());
        assert_eq!(backlog.push(commit(3)).map_err(|full| full.bytes_max), Err(128));
        assert_eq!(backlog.pop(), Some(commit(1)));
        assert!(backlog.push(commit(3)).is_ok(), "what was taken makes room");
    }

    #[test]
    fn what_is_older_comes_first_and_its_bytes_count() {
        let (mut older, mut newer) = (Backlog::new(200), Backlog::new(200));
        assert!(older.push(commit(1)).is_ok() && older.push(commit(2)).is_ok());
        assert!(newer.push(commit(3)).is_ok());
        newer.put_in_front(older);
        assert!(newer.push(commit(4)).is_err());
        newer.push_behind(commit(4));
        assert_eq!((newer.front(), newer.back()), (Some(&commit(1)), Some(&commit(4))));
        assert_eq!(order(newer), [commit(1), commit(2), commit(3), commit(4)]);
    }
}
