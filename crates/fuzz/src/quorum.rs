//! What servers of an ensemble say to each other: streams of two ports, and the ensemble's text.
//!
//! What it holds: nothing panics; a stream says the same in whatever pieces it arrives; what was
//! read is written and read again without a change.

use crate::Verdict;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::limits::MAX_BUFFER_BYTES;
use bellwether_wire::quorum::{
    Direction, EnsembleConfig, Initial, NotificationReader, Packet, PacketReader, SnapshotStep,
    SnapshotStreamReader, SnapshotStreamWriter,
};

/// The pieces of a stream: whole, then a byte at a time, then as the input itself says.
fn each_way(bytes: &[u8], mut read: impl FnMut(&mut dyn Iterator<Item = &[u8]>)) {
    read(&mut std::iter::once(bytes));
    read(&mut bytes.chunks(1));
    let (mut rest, mut lengths) = (bytes, bytes.iter().rev());
    read(&mut std::iter::from_fn(|| {
        let length = usize::from(*lengths.next()?).max(1).min(rest.len());
        let (piece, after) = rest.split_at_checked(length).filter(|_| !rest.is_empty())?;
        rest = after;
        Some(piece)
    }));
}

/// A direction, then packets.
pub(crate) fn packets(bytes: &[u8]) -> Verdict {
    let Some((first, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let direction = if first % 2 == 0 { Direction::ToLeader } else { Direction::ToLearner };
    let mut seen: Option<(Vec<Packet>, bool)> = None;
    each_way(bytes, |pieces| {
        let read = read_packets(pieces, direction);
        let seen = seen.get_or_insert_with(|| read.clone());
        assert_eq!(*seen, read, "packets depend on the pieces that they come in");
    });
    let (packets, _) = seen.expect("it was read");
    let mut again = Vec::new();
    packets.iter().for_each(|packet| packet.encode(&mut again));
    let read = read_packets(&mut std::iter::once(&*again), direction);
    assert_eq!(read, (packets, true), "what was written is read differently");
    Verdict::accepted_if(!read.0.is_empty())
}

/// The packets, and whether nothing was wrong.
fn read_packets(
    pieces: &mut dyn Iterator<Item = &[u8]>,
    direction: Direction,
) -> (Vec<Packet>, bool) {
    let mut reader = PacketReader::new(MAX_BUFFER_BYTES);
    let mut packets = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next(direction) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(_) => return (packets, false),
            }
        }
    }
    (packets, true)
}

/// A snapshot as it follows a SNAP packet.
pub(crate) fn snapshot_stream(bytes: &[u8]) -> Verdict {
    let mut seen: Option<(Vec<SnapshotItem>, bool)> = None;
    each_way(bytes, |pieces| {
        let read = read_items(pieces);
        let seen = seen.get_or_insert_with(|| read.clone());
        assert_eq!(*seen, read, "a snapshot depends on the pieces that it comes in");
    });
    let (items, whole) = seen.expect("it was read");
    if !whole {
        return Verdict::Refused;
    }
    let mut again = Vec::new();
    let mut writer = SnapshotStreamWriter::new();
    items.iter().for_each(|item| writer.write(item, &mut again));
    writer.finish(&mut again);
    let read = read_items(&mut std::iter::once(&*again));
    assert_eq!(read, (items, true), "what was written is read differently");
    Verdict::Accepted
}

/// The items, and whether they are a whole snapshot.
fn read_items(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<SnapshotItem>, bool) {
    let mut reader = SnapshotStreamReader::new(MAX_BUFFER_BYTES);
    let mut items = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.step() {
                Ok(SnapshotStep::Item(item)) => items.push(item),
                Ok(SnapshotStep::NeedsMore) => break,
                Ok(SnapshotStep::Done { .. }) => return (items, true),
                Err(_) => return (items, false),
            }
        }
    }
    (items, false)
}

/// An election connection: the header, then messages.
pub(crate) fn election(bytes: &[u8]) -> Verdict {
    let Ok(Some((initial, len))) = Initial::decode(bytes) else { return Verdict::Refused };
    let (header, messages) = bytes.split_at(len);
    for at in 0..header.len() {
        let part = header.get(..at).unwrap_or_default();
        assert_eq!(Initial::decode(part), Ok(None), "a header without its end");
    }
    let mut again = Vec::new();
    initial.encode(&mut again);
    if let Ok(read) = Initial::decode(&again) {
        assert_eq!(read, Some((initial, again.len())), "what was written is read differently");
    } else {
        // Malformed UTF-8 becomes longer than it was, and addresses may be nothing but separators.
        assert!(initial.addresses.is_empty() || again.len() > len, "{initial:?}");
    }
    let mut seen = None;
    each_way(messages, |pieces| {
        let mut reader = NotificationReader::new();
        let mut read = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Ok(Some(message)) = reader.next_message() {
                read.push(message);
            }
        }
        let seen = seen.get_or_insert_with(|| read.clone());
        assert_eq!(*seen, read, "messages depend on the pieces that they come in");
    });
    let mut again = Vec::new();
    let read: Vec<_> = seen.unwrap_or_default().into_iter().flatten().collect();
    read.iter().for_each(|notification| notification.encode_frame(&mut again));
    let mut reader = NotificationReader::new();
    reader.push(&again);
    for notification in read {
        let message = reader.next_message().ok().flatten().and_then(Result::ok);
        let message = message.expect("what was written is a message");
        assert_eq!((message.vote, message.round), (notification.vote, notification.round));
        assert_eq!((message.state, message.config), (notification.state, notification.config));
    }
    Verdict::Accepted
}

/// The text of an ensemble.
pub(crate) fn ensemble(bytes: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(bytes);
    let Ok(config) = EnsembleConfig::parse(&text) else { return Verdict::Refused };
    // A version below zero is printed as Java prints it, and Java does not read it either.
    if config.version >= 0 {
        let again = EnsembleConfig::parse(&config.to_string());
        assert_eq!(again, Ok(config), "what was printed is read differently");
    }
    Verdict::Accepted
}
