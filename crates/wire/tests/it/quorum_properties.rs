//! What holds for everything that servers say to each other, and for all bytes: a value is read as
//! it was written, in whatever pieces it arrives; damaged bytes are refused or read, and read alike
//! in all pieces; nothing panics.

use crate::quorum::BYTES_MAX;
use crate::quorum_values as values;
use crate::values::U;
use arbtest::arbitrary::Result;
use arbtest::arbtest;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::{
    Direction, EnsembleConfig, FrameError, Initial, Notification, NotificationReader, Packet,
    PacketError, PacketReader, SnapshotStep, SnapshotStreamError, SnapshotStreamReader,
    SnapshotStreamWriter, WrongNotification,
};

/// Cuts bytes into pieces, of which the first may be empty.
fn pieces<'a>(bytes: &'a [u8], u: U<'_, '_>) -> Result<Vec<&'a [u8]>> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(u.int_in_range(0..=rest.len().min(40))?);
        // Where there is no entropy left, the range gives its start.
        let (piece, after) = if piece.is_empty() { rest.split_at(1) } else { (piece, after) };
        pieces.push(piece);
        rest = after;
    }
    Ok(pieces)
}

type ReadPackets = (Vec<Packet>, std::result::Result<Vec<u8>, PacketError>);

/// What a reader makes of the pieces: the packets, then what is left or what was wrong.
fn packets(pieces: &[&[u8]], direction: Direction) -> ReadPackets {
    let mut reader = PacketReader::new(BYTES_MAX);
    let mut packets = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next(direction) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next(direction), Err(error.clone()));
                    return (packets, Err(error));
                }
            }
        }
    }
    (packets, Ok(reader.take_rest()))
}

type ReadItems = (Vec<SnapshotItem>, std::result::Result<Option<Vec<u8>>, SnapshotStreamError>);

/// What a reader makes of the pieces: the items, then the rest of a whole stream or what was wrong.
fn items(pieces: &[&[u8]]) -> ReadItems {
    let mut reader = SnapshotStreamReader::new(BYTES_MAX);
    let mut items = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        reader.push(piece);
        loop {
            match reader.step() {
                Ok(SnapshotStep::Item(item)) => items.push(item),
                Ok(SnapshotStep::NeedsMore) => break,
                Ok(SnapshotStep::Done { mut rest }) => {
                    rest.extend(pieces.iter().skip(at + 1).copied().flatten());
                    return (items, Ok(Some(rest)));
                }
                Err(error) => {
                    assert_eq!(reader.step(), Err(error.clone()));
                    return (items, Err(error));
                }
            }
        }
    }
    (items, Ok(None))
}

type Message = std::result::Result<Notification, WrongNotification>;

fn messages(pieces: &[&[u8]]) -> (Vec<Message>, std::result::Result<(), FrameError>) {
    let mut reader = NotificationReader::new();
    let mut messages = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}

fn direction(u: U<'_, '_>) -> Result<Direction> {
    Ok(*u.choose(&[Direction::ToLeader, Direction::ToLearner])?)
}

#[test]
fn packets_are_read_as_they_were_written_in_any_pieces() {
    arbtest(|u| {
        let direction = direction(u)?;
        let written = [values::packet(direction, u)?, values::packet(direction, u)?];
        let mut bytes = Vec::new();
        written.iter().for_each(|packet| packet.encode(&mut bytes));
        let all = (written.to_vec(), Ok(Vec::new()));
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(packets(&[first, second], direction), all, "cut at {at}");
        }
        assert_eq!(packets(&pieces(&bytes, u)?, direction), all);
        Ok(())
    });
}

#[test]
fn a_packet_without_its_end_is_none_yet() {
    arbtest(|u| {
        let direction = direction(u)?;
        let mut bytes = Vec::new();
        values::packet(direction, u)?.encode(&mut bytes);
        for at in 0..bytes.len() {
            assert_eq!(packets(&[&bytes[..at]], direction), (vec![], Ok(bytes[..at].to_vec())));
        }
        Ok(())
    });
}

#[test]
fn damaged_packets_are_read_or_refused_alike_in_any_pieces() {
    arbtest(|u| {
        let direction = direction(u)?;
        let mut bytes = Vec::new();
        values::packet(direction, u)?.encode(&mut bytes);
        let bit = u.choose_index(bytes.len() * 8)?;
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes.extend(u.arbitrary::<Vec<u8>>()?);
        let at_once = packets(&[&bytes], direction);
        assert_eq!(packets(&pieces(&bytes, u)?, direction), at_once);
        // What was read is a packet: it is written and read again alike.
        let mut again = Vec::new();
        at_once.0.iter().for_each(|packet| packet.encode(&mut again));
        assert_eq!(packets(&[&again], direction), (at_once.0, Ok(Vec::new())));
        Ok(())
    });
}

#[test]
fn a_snapshot_is_read_as_it_was_written_in_any_pieces() {
    arbtest(|u| {
        let written = values::items(u)?;
        let mut bytes = Vec::new();
        let mut writer = SnapshotStreamWriter::new();
        written.iter().for_each(|item| writer.write(item, &mut bytes));
        writer.finish(&mut bytes);
        let whole = bytes.len();
        bytes.extend(b"packets");
        let all = (written, Ok(Some(b"packets".to_vec())));
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(items(&[first, second]), all, "cut at {at}");
        }
        assert_eq!(items(&pieces(&bytes, u)?), all);
        for at in 0..whole {
            assert_eq!(items(&[&bytes[..at]]).1, Ok(None), "without its end at {at}");
        }
        Ok(())
    });
}

#[test]
fn a_damaged_snapshot_is_read_or_refused_alike_in_any_pieces() {
    arbtest(|u| {
        let mut bytes = Vec::new();
        let mut writer = SnapshotStreamWriter::new();
        values::items(u)?.iter().for_each(|item| writer.write(item, &mut bytes));
        writer.finish(&mut bytes);
        let bit = u.choose_index(bytes.len() * 8)?;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(items(&pieces(&bytes, u)?), items(&[&bytes]));
        Ok(())
    });
}

#[test]
fn notifications_are_read_as_they_were_written_in_any_pieces() {
    arbtest(|u| {
        let written = [values::notification(u)?, values::notification(u)?];
        let mut bytes = Vec::new();
        written.iter().for_each(|notification| notification.encode_frame(&mut bytes));
        let all = (written.map(Ok).to_vec(), Ok(()));
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(messages(&[first, second]), all, "cut at {at}");
        }
        assert_eq!(messages(&pieces(&bytes, u)?), all);
        let bit = u.choose_index(bytes.len() * 8)?;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(messages(&pieces(&bytes, u)?), messages(&[&bytes]));
        Ok(())
    });
}

#[test]
fn a_header_is_read_as_it_was_written_and_without_its_end_is_none_yet() {
    arbtest(|u| {
        let written = values::initial(u)?;
        let mut bytes = Vec::new();
        written.encode(&mut bytes);
        let whole = bytes.len();
        for at in 0..whole {
            assert_eq!(Initial::decode(&bytes[..at]), Ok(None), "{at}");
        }
        bytes.extend(b"messages");
        assert_eq!(Initial::decode(&bytes), Ok(Some((written, whole))));
        let bit = u.choose_index(whole * 8)?;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(Some((initial, len))) = Initial::decode(&bytes) {
            assert!(len <= bytes.len());
            assert!(initial.reachable().count() <= initial.addresses.len());
        }
        Ok(())
    });
}

#[test]
fn an_ensemble_is_read_as_it_was_printed() {
    arbtest(|u| {
        let written = values::ensemble(u)?;
        assert_eq!(EnsembleConfig::parse(&written.to_string()), Ok(written));
        Ok(())
    });
}

#[test]
fn any_text_is_refused_or_an_ensemble() {
    const PARTS: [&str; 24] = [
        "server.",
        "group.",
        "weight.",
        "version",
        "=",
        ":",
        ";",
        "|",
        "[",
        "]",
        "::1",
        "1",
        "2",
        "host",
        "\n",
        " ",
        "observer",
        "participant",
        ".",
        "#",
        "%",
        "-",
        "2888:3888",
        "é",
    ];
    arbtest(|u| {
        let count = u.int_in_range(0..=30)?;
        let parts = (0..count).map(|_| u.choose(&PARTS).copied()).collect::<Result<Vec<_>>>()?;
        if let Ok(config) = EnsembleConfig::parse(&parts.concat()) {
            assert_eq!(EnsembleConfig::parse(&config.to_string()), Ok(config));
        }
        Ok(())
    });
}

#[test]
fn any_bytes_are_read_or_refused_alike_in_any_pieces() {
    arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let pieces = pieces(&bytes, u)?;
        for direction in [Direction::ToLeader, Direction::ToLearner] {
            assert_eq!(packets(&pieces, direction), packets(&[&bytes], direction));
        }
        assert_eq!(items(&pieces), items(&[&bytes]));
        assert_eq!(messages(&pieces), messages(&[&bytes]));
        drop(Initial::decode(&bytes));
        drop(Notification::decode(&bytes));
        Ok(())
    });
}
