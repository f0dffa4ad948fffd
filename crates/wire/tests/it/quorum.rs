//! What servers say to each other, as Apache 3.9.5 writes it: every byte is understood, and written
//! again alike. Single values are printed by `testdata/QuorumBytes.java`; connections were recorded
//! between servers.

use bellwether_wire::Zxid;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::limits::{EXTRA_BUFFER_BYTES, MAX_BUFFER_BYTES};
use bellwether_wire::quorum::{
    Direction, EnsembleConfig, Initial, InitialProtocol, Notification, NotificationReader, Packet,
    PacketReader, SnapshotStep, SnapshotStreamReader, SnapshotStreamWriter, Version, Vote,
};
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../../testdata/quorum.hex");
const ENSEMBLE: &str = include_str!("../../testdata/ensemble.hex");
pub(crate) const BYTES_MAX: usize = MAX_BUFFER_BYTES + EXTRA_BUFFER_BYTES;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<u8>>>().expect("hexadecimal digits in pairs")
}

/// The bytes of the lines with this mark.
fn recorded(mark: char) -> impl Iterator<Item = Vec<u8>> {
    lines_of(RECORDED, mark)
}

fn lines_of(text: &'static str, mark: char) -> impl Iterator<Item = Vec<u8>> {
    text.lines().filter_map(move |line| line.strip_prefix(mark)?.strip_prefix(' ').map(bytes))
}

#[test]
fn recorded_packets_are_read_and_written_alike() {
    for (mark, direction) in [('>', Direction::ToLeader), ('<', Direction::ToLearner)] {
        let mut stream = Vec::new();
        let mut packets = Vec::new();
        for written in recorded(mark) {
            let mut reader = PacketReader::new(BYTES_MAX);
            reader.push(&written);
            let packet = reader.next(direction).expect("a packet").expect("all of it");
            let mut again = Vec::new();
            packet.encode(&mut again);
            assert_eq!(again, written, "{packet:?}");
            packets.push(packet);
            stream.extend(written);
        }
        // Back to back, byte by byte.
        let mut reader = PacketReader::new(BYTES_MAX);
        let mut read = Vec::new();
        for byte in stream {
            reader.push(&[byte]);
            read.extend(reader.next(direction).expect("a packet"));
        }
        assert_eq!(read, packets);
    }
}

#[test]
fn recorded_packets_are_of_every_type() {
    let mut names = BTreeSet::new();
    for (mark, direction) in [('>', Direction::ToLeader), ('<', Direction::ToLearner)] {
        for written in recorded(mark) {
            let mut reader = PacketReader::new(BYTES_MAX);
            reader.push(&written);
            names.insert(reader.next(direction).expect("a packet").expect("all of it").name());
        }
    }
    assert_eq!(names.len(), 19, "{names:?}");
}

#[test]
fn a_leaders_ping_without_data_is_a_ping_of_no_sessions() {
    let mut ping = bytes("000000050000000500000003");
    ping.extend([0xff; 8]);
    let mut reader = PacketReader::new(BYTES_MAX);
    reader.push(&ping);
    let packet = Packet::Ping { zxid: Zxid(0x5_0000_0003), touched: Vec::new() };
    assert_eq!(reader.next(Direction::ToLearner), Ok(Some(packet)));
}

/// One direction of a connection: what was read, and the same written again.
fn read_connection(stream: &[u8], direction: Direction) -> (Vec<&'static str>, Vec<u8>) {
    let mut reader = PacketReader::new(BYTES_MAX);
    reader.push(stream);
    let (mut names, mut again) = (Vec::new(), Vec::new());
    while let Some(packet) = reader.next(direction).expect("a packet") {
        names.push(packet.name());
        packet.encode(&mut again);
        // Apache sends null for no data of a leader's ping, and for no identities of a new session.
        let null_at = match (&packet, direction) {
            (Packet::Ping { .. }, Direction::ToLearner) => again.len() - 8,
            (Packet::Request { op: -10, .. }, Direction::ToLeader) => again.len() - 4,
            _ => again.len(),
        };
        again.get_mut(null_at..).unwrap_or_default().iter_mut().take(4).for_each(|b| *b = 0xff);
        if let Packet::Snap { .. } = packet {
            let rest = read_snapshot(&reader.take_rest(), &mut again);
            reader.push(&rest);
        }
    }
    assert_eq!(reader.take_rest(), [], "after {names:?}");
    (names, again)
}

fn read_snapshot(stream: &[u8], again: &mut Vec<u8>) -> Vec<u8> {
    let mut reader = SnapshotStreamReader::new(BYTES_MAX);
    reader.push(stream);
    let mut writer = SnapshotStreamWriter::new();
    loop {
        match reader.step().expect("a snapshot") {
            SnapshotStep::Item(item) => writer.write(&item, again),
            SnapshotStep::NeedsMore => panic!("the snapshot has no end"),
            SnapshotStep::Done { rest } => {
                writer.finish(again);
                return rest;
            }
        }
    }
}

#[test]
fn recorded_connections_of_learners_are_read_and_written_alike() {
    let mut seen = BTreeSet::new();
    for (mark, direction) in [('>', Direction::ToLeader), ('<', Direction::ToLearner)] {
        for stream in lines_of(ENSEMBLE, mark) {
            let (names, again) = read_connection(&stream, direction);
            assert_eq!(again, stream, "{names:?}");
            seen.extend(names);
        }
    }
    let never = ["COMMITANDACTIVATE", "INFORMANDACTIVATE", "TRUNC"];
    assert_eq!(seen.len(), 19 - never.len(), "{seen:?}");
}

#[test]
fn recorded_election_connections_are_read_and_written_alike() {
    let mut protocols = BTreeSet::new();
    for stream in lines_of(ENSEMBLE, 'e') {
        let (initial, len) = Initial::decode(&stream).expect("a header").expect("all of it");
        let mut again = Vec::new();
        initial.encode(&mut again);
        let mut reader = NotificationReader::new();
        reader.push(&stream[len..]);
        while let Some(message) = reader.next_message().expect("a length") {
            message.expect("a notification").encode_frame(&mut again);
        }
        assert_eq!(again, stream, "{initial:?}");
        assert!(initial.reachable().any(|(host, _)| host == "127.0.0.1"), "{initial:?}");
        protocols.insert((initial.protocol, initial.addresses.len()));
    }
    assert_eq!(
        protocols.into_iter().collect::<Vec<_>>(),
        [(InitialProtocol::V1, 1), (InitialProtocol::V2, 2)]
    );
}

#[test]
fn recorded_notifications_are_read_and_written_alike() {
    let mut votes = Vec::new();
    for written in recorded('v') {
        let notification = Notification::decode(&written).expect("a notification");
        let mut again = Vec::new();
        notification.encode(&mut again);
        assert_eq!(again, written, "{notification:?}");
        votes.push(notification);
    }
    let [.., observer, old] = votes.as_slice() else { panic!("{votes:?}") };
    assert_eq!(observer.vote, Vote::NONE);
    // Apache takes a message of this length for one without a version, whatever it says.
    assert_eq!((old.version, &old.config), (Version::NONE, &None));
    assert!(votes.iter().any(|vote| vote.version == Version::CURRENT && vote.config.is_some()));
}

#[test]
fn recorded_snapshots_are_read_and_written_alike() {
    let mut items = Vec::new();
    for written in recorded('s') {
        let mut reader = SnapshotStreamReader::new(BYTES_MAX);
        reader.push(&written);
        reader.push(b"packets");
        let mut writer = SnapshotStreamWriter::new();
        let mut again = Vec::new();
        loop {
            match reader.step().expect("a snapshot") {
                SnapshotStep::Item(item) => {
                    writer.write(&item, &mut again);
                    items.push(item);
                }
                SnapshotStep::Done { rest } => break assert_eq!(rest, b"packets"),
                SnapshotStep::NeedsMore => panic!("after {items:?}"),
            }
        }
        writer.finish(&mut again);
        assert_eq!(again, written);
    }
    for kind in [
        |item: &SnapshotItem| matches!(item, SnapshotItem::Session { .. }),
        |item: &SnapshotItem| matches!(item, SnapshotItem::Acl { .. }),
        |item: &SnapshotItem| matches!(item, SnapshotItem::Node(_)),
    ] {
        assert!(items.iter().any(kind), "{items:?}");
    }
}

#[test]
fn recorded_configurations_are_printed_alike() {
    let blocks: Vec<&str> = RECORDED.split("# configuration\n").skip(1).collect();
    assert!(blocks.len() > 5, "{blocks:?}");
    for block in blocks {
        let of = |mark: &str| -> Vec<&str> {
            block.lines().filter_map(|line| line.strip_prefix(mark)).collect()
        };
        let (given, printed) = (of("i ").join("\n"), of("o ").join("\n"));
        let config = EnsembleConfig::parse(&given).expect("a configuration");
        assert_eq!(config.to_string(), printed);
        assert_eq!(EnsembleConfig::parse(&printed), Ok(config));
    }
}
