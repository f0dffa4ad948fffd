//! What servers say to each other, as Apache 3.9.5 writes it: every byte is understood, and written
//! again alike. How the bytes were made says `testdata/QuorumBytes.java`.

use bellwether_wire::Zxid;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::limits::{EXTRA_BUFFER_BYTES, MAX_BUFFER_BYTES};
use bellwether_wire::quorum::{
    Direction, EnsembleConfig, Notification, Packet, PacketReader, SnapshotStep,
    SnapshotStreamReader, SnapshotStreamWriter, Version, Vote,
};
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../../testdata/quorum.hex");
pub(crate) const BYTES_MAX: usize = MAX_BUFFER_BYTES + EXTRA_BUFFER_BYTES;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<u8>>>().expect("hexadecimal digits in pairs")
}

/// The bytes of the lines with this mark.
fn recorded(mark: char) -> impl Iterator<Item = Vec<u8>> {
    RECORDED.lines().filter_map(move |line| line.strip_prefix(mark)?.strip_prefix(' ').map(bytes))
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
