//! What servers may not say to each other: at each limit, one above it, at zero; and what is said
//! about it.

use bellwether_wire::jute::Put;
use bellwether_wire::limits::{MAX_INITIAL_ADDRESS_BYTES, MAX_NOTIFICATION_BYTES};
use bellwether_wire::quorum::{
    Direction, EnsembleConfig, Initial, InitialProtocol, Notification, NotificationReader, Packet,
    PacketReader, PeerState, ServerId, SnapshotStep, SnapshotStreamReader, Version, Vote,
};

const LIMIT: usize = 100;

/// The answer of a reader with a limit of 100 bytes.
fn packet(direction: Direction, bytes: &[u8]) -> Result<Option<Packet>, String> {
    let mut reader = PacketReader::new(LIMIT);
    reader.push(bytes);
    reader.next(direction).map_err(|error| error.to_string())
}

/// A packet by its parts; identities by their number and bytes.
fn envelope(code: i32, data: Option<&[u8]>, identities: (i32, &[u8])) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_int(code);
    out.put_long(-1);
    out.put_buffer(data);
    out.put_int(identities.0);
    out.put_slice(identities.1);
    out
}

#[track_caller]
fn refused(direction: Direction, bytes: &[u8], expected: &str) {
    assert_eq!(packet(direction, bytes), Err(expected.to_owned()));
}

const NULL: (i32, &[u8]) = (-1, &[]);

#[test]
fn data_may_be_as_long_as_the_limit() {
    let request = |bytes: usize| envelope(1, Some(&vec![0; bytes]), NULL);
    let payload_bytes = |bytes: usize| match packet(Direction::ToLeader, &request(bytes)) {
        Ok(Some(Packet::Request { payload, .. })) => Some(payload.len()),
        _ => None,
    };
    assert_eq!(payload_bytes(16), Some(0));
    assert_eq!(payload_bytes(LIMIT), Some(LIMIT - 16));
    let text = "REQUEST: data of 101 bytes, at most 100 are allowed; set jute.maxbuffer to the \
                same value on all servers";
    refused(Direction::ToLeader, &request(LIMIT + 1), text);
    // Its length is enough: nothing is collected that will be refused.
    refused(Direction::ToLeader, &request(LIMIT + 1)[..16], text);
    let text = "REQUEST: sessionId at byte 0: the input ends too early";
    refused(Direction::ToLeader, &request(0), text);
}

#[test]
fn identities_may_take_as_much_as_the_limit() {
    let data = [0; 16];
    let mut ids = Vec::new();
    ids.put_text(&"s".repeat(LIMIT - 8));
    ids.put_text("");
    let request = |count: i32, ids: &[u8]| envelope(1, Some(&data), (count, ids));
    assert!(packet(Direction::ToLeader, &request(1, &ids)).is_ok_and(|packet| packet.is_some()));
    for count in [0, -1, -2, i32::MIN] {
        let packet = packet(Direction::ToLeader, &request(count, &[]));
        let Ok(Some(Packet::Request { identities, .. })) = packet else { panic!("{packet:?}") };
        assert_eq!(identities, []);
    }
    let text = "REQUEST: authinfo of 101 bytes, at most 100 are allowed; set jute.maxbuffer to \
                the same value on all servers";
    let mut ids = Vec::new();
    ids.put_text(&"s".repeat(LIMIT - 8));
    ids.put_text("i");
    refused(Direction::ToLeader, &request(1, &ids), text);
    let text = "REQUEST: authinfo of 104 bytes, at most 100 are allowed; set jute.maxbuffer to \
                the same value on all servers";
    refused(Direction::ToLeader, &request(13, &[]), text);
}

#[test]
fn packets_that_nobody_sends_are_refused() {
    let text = "packet type 20 is unknown: the peer is no ZooKeeper server, or one of a later \
                version";
    refused(Direction::ToLeader, &20_i32.to_be_bytes(), text);
    let text = "a learner sent PROPOSAL, which only leaders send";
    refused(Direction::ToLeader, &2_i32.to_be_bytes(), text);
    let text = "a leader sent ACK, which only learners send";
    refused(Direction::ToLearner, &3_i32.to_be_bytes(), text);
    let text = "PROPOSAL: data at byte 12: null is not allowed";
    refused(Direction::ToLearner, &envelope(2, None, NULL), text);
    let text = "PING: touched.timeout at byte 8: the input ends too early";
    refused(Direction::ToLeader, &envelope(5, Some(&[0; 11]), NULL), text);
    let text = "COMMIT: data at byte 12: length -2 is not possible";
    let mut commit = envelope(4, None, NULL);
    commit[15] = 0xfe;
    refused(Direction::ToLearner, &commit, text);
}

#[test]
fn a_transaction_with_another_zxid_than_its_packet_is_refused() {
    let mut record = Vec::new();
    record.put_long(1);
    record.put_int(1);
    record.put_long(0x5_0000_0001);
    record.put_long(0);
    record.put_int(-1);
    record.put_int(-110);
    let text = "INFORM: it has zxid 0xffffffffffffffff and a transaction with zxid 0x500000001";
    refused(Direction::ToLearner, &envelope(8, Some(&record), NULL), text);
}

/// The header of an election connection with these addresses.
fn initial(protocol: i64, addresses: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_long(protocol);
    out.put_long(2);
    out.put_buffer(Some(addresses));
    out
}

#[track_caller]
fn initial_refused(bytes: &[u8], expected: &str) {
    let error = Initial::decode(bytes).map_err(|error| error.to_string());
    assert_eq!(error, Err(expected.to_owned()));
}

#[test]
fn the_addresses_of_a_header_have_1_to_2048_bytes() {
    let longest = format!("{}:1", "h".repeat(MAX_INITIAL_ADDRESS_BYTES - 2));
    let read = Initial::decode(&initial(-65536, longest.as_bytes()));
    let addresses = vec![longest.as_str().into()];
    let header = Initial { protocol: InitialProtocol::V1, sid: ServerId(2), addresses };
    assert_eq!(read, Ok(Some((header, 20 + MAX_INITIAL_ADDRESS_BYTES))));
    let text = "server 2 announces its address with 2049 bytes: 1 to 2048 are possible";
    initial_refused(&initial(-65536, &[b'h'; MAX_INITIAL_ADDRESS_BYTES + 1])[..20], text);
    let text = "server 2 announces its address with 0 bytes: 1 to 2048 are possible";
    initial_refused(&initial(-65535, b""), text);
}

#[test]
fn a_header_is_a_bare_id_or_of_a_known_form() {
    let bare = |sid: i64| Initial::decode(&sid.to_be_bytes());
    let header =
        |sid| Initial { protocol: InitialProtocol::Old, sid: ServerId(sid), addresses: Vec::new() };
    assert_eq!(bare(0), Ok(Some((header(0), 8))));
    assert_eq!(bare(i64::MAX), Ok(Some((header(ServerId::OBSERVER.0), 8))));
    let text = "election protocol -65534 is unknown: expected -65536 or -65535, or the id of a \
                server before 3.5";
    initial_refused(&(-65534_i64).to_be_bytes(), text);
    for (addresses, wrong) in [("a:1|b", "b"), ("a:1||c:2", ""), ("a:65536", "a:65536")] {
        let text = format!("server 2 has no address {wrong:?}: expected host:port");
        initial_refused(&initial(-65535, addresses.as_bytes()), &text);
    }
    initial_refused(
        &initial(-65535, b"[::1:1"),
        "server 2 has no address \"[::1:1\": expected host:port",
    );
}

#[test]
fn a_server_is_not_reached_at_a_wildcard() {
    let header = initial(-65535, b"0.0.0.0:1|[::]:2|[::1]:3|zk.example:4|");
    let (header, _) = Initial::decode(&header).expect("a header").expect("all of it");
    assert_eq!(header.reachable().collect::<Vec<_>>(), [("::1", 3), ("zk.example", 4)]);
}

#[test]
fn a_message_has_1_to_524288_bytes() {
    let bytes = |bytes: usize| i32::try_from(bytes).expect("it is small").to_be_bytes();
    let mut reader = NotificationReader::new();
    reader.push(&bytes(MAX_NOTIFICATION_BYTES));
    reader.push(&vec![0; MAX_NOTIFICATION_BYTES]);
    let message = reader.next_message().expect("a length").expect("all of it");
    assert_eq!(message.map(|message| message.version), Ok(Version::NONE));
    // The smallest one says nothing, and another may follow.
    reader.push(&bytes(1));
    reader.push(&[0]);
    let message = reader.next_message().expect("a length").expect("all of it");
    let text = "a notification of 1 bytes: state at byte 0: the input ends too early";
    assert_eq!(message.map_err(|error| error.to_string()), Err(text.to_owned()));
    assert_eq!(reader.next_message(), Ok(None));
    for length in [0, -1, 524_289] {
        let mut reader = NotificationReader::new();
        reader.push(&i32::to_be_bytes(length));
        let error = reader.next_message().expect_err("a wrong length");
        let text = format!("an election message of {length} bytes: 1 to 524288 are possible");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn older_notifications_say_less() {
    let vote =
        Vote { leader: ServerId(3), zxid: bellwether_wire::Zxid(0x5_0000_000c), peer_epoch: 4 };
    let config = Some("version=0".into());
    let state = PeerState::Looking;
    let newest = Notification { state, vote, round: 9, version: Version::CURRENT, config };
    let mut bytes = Vec::new();
    newest.encode(&mut bytes);
    let read = |bytes: &[u8]| Notification::decode(bytes).map_err(|error| error.error.problem);
    // The epoch is that of the zxid where the message has none.
    let oldest = Notification {
        vote: Vote { peer_epoch: 5, ..vote },
        version: Version::NONE,
        config: None,
        ..newest.clone()
    };
    assert_eq!(read(&bytes[..28]), Ok(oldest.clone()));
    assert_eq!(read(&bytes[..40]), Ok(Notification { vote, ..oldest }));
    for len in (0..bytes.len()).filter(|len| ![28, 40].contains(len)) {
        assert!(read(&bytes[..len]).is_err(), "{len}");
    }
    bytes[39] = 1;
    let version = Version::WITHOUT_CONFIG;
    assert_eq!(read(&bytes), Ok(Notification { version, config: None, ..newest }));
}

/// What a reader with a limit of 100 bytes says of a stream of these parts.
#[track_caller]
fn snapshot_refused(parts: &[&[u8]], expected: &str) {
    let mut reader = SnapshotStreamReader::new(LIMIT);
    reader.push(&parts.concat());
    let error = loop {
        match reader.step() {
            Ok(SnapshotStep::Item(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error, expected);
}

#[test]
fn a_snapshot_with_a_part_beyond_the_limit_is_refused() {
    let none = [0; 8];
    let number = |number: i32| number.to_be_bytes();
    let text = "the leader's snapshot after 0 items: node.path of 101 bytes, at most 100 are \
                allowed; set jute.maxbuffer to the same value on all servers";
    snapshot_refused(&[&none, &number(101)], text);
    let text = "the leader's snapshot after 0 items: node.data of 101 bytes, at most 100 are \
                allowed; set jute.maxbuffer to the same value on all servers";
    snapshot_refused(&[&none, &number(2), b"/a", &number(101)], text);
    let text = "the leader's snapshot after 0 items: acl of 108 bytes, at most 100 are allowed; \
                set jute.maxbuffer to the same value on all servers";
    snapshot_refused(&[&number(0), &number(1), &[0; 8], &number(9)], text);
    let session = [0; 12];
    let text =
        "the leader's snapshot after 1 items: node.path at byte 0: length -2 is not possible";
    snapshot_refused(&[&number(1), &session, &number(0), &number(-2)], text);
}

#[test]
fn a_snapshot_without_its_last_word_is_refused() {
    let none = [0; 8];
    let end = [0, 0, 0, 1, b'/'];
    let text = "the leader's snapshot ends after 0 items without its last word";
    snapshot_refused(&[&none, &end, &[0, 0, 0, 10], b"BenWasThere"], text);
    snapshot_refused(&[&none, &end, &[0, 0, 0, 9]], text);
    let null = [0xff; 4];
    let text = "the leader's snapshot after 0 items: acl at byte 8: null is not allowed";
    snapshot_refused(&[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 8], &null], text);
}

#[test]
fn a_wrong_line_of_an_ensemble_is_told() {
    let form = "expected host:quorumPort:electionPort[:participant|:observer][;[host:]clientPort], \
                with an IPv6 address in brackets";
    let rows = [
        ("server.x=a:1:2", "expected a number behind the dot of the key"),
        ("servers=a:1:2", "expected server.N, group.N, weight.N or version"),
        ("server.1=", form),
        ("server.1=a", form),
        ("server.1=a:1", form),
        ("server.1=::1:1:2", form),
        ("server.1=a:1:2:participant:5", form),
        ("server.1=a:1:2|", "" /* Java drops an empty end. */),
        ("server.1=a:1:2;", ""),
        (
            "server.1=a:1:2;b:3;4",
            "a secure client port in this line is for ZooKeeper 3.10; remove it",
        ),
        ("server.1=[::1:1:2", "\"[::1:1:2\" is no IPv6 address in brackets with ports behind it"),
        ("server.1=[::1]1:2", "\"[::1]1:2\" is no IPv6 address in brackets with ports behind it"),
        ("server.1=a:1:2;[::1]", "\"[::1]\" is no IPv6 address in brackets with ports behind it"),
        ("server.1=a |b:1:2", form),
        ("server.1=a b:1:2", "\"a b\" is no host: expected a name or an address, without spaces"),
        ("server.1=a:x:2", "\"x\" is no port: expected 0 to 65535"),
        ("server.1=a:1:65536", "\"65536\" is no port: expected 0 to 65535"),
        ("server.1=a:1:2;b:c:3", "\"c:3\" is no port: expected 0 to 65535"),
        ("server.1=a:1:1", "1 is the port of the quorum and of elections; give each its own"),
        ("server.1=a:1:2:leader", "\"leader\" is no role: expected participant or observer"),
        (
            "server.1=a:1:2:observer|b:1:2:participant",
            "its addresses have different roles; a server has one",
        ),
        ("version=xyz", "expected a number in hexadecimal digits"),
        ("weight.1=x", "expected a number"),
        ("group.1=1:x", "expected ids of servers with ':' between them"),
        ("group.1=1:1", "server 1 is in another group already; name it in one"),
        ("group.1=7", "server 7 is no participant and has no weight; add weight.7"),
    ];
    for (line, expected) in rows {
        let told = EnsembleConfig::parse(line).map_err(|error| error.to_string());
        if expected.is_empty() {
            assert!(told.is_ok(), "{line}: {told:?}");
        } else {
            assert_eq!(told, Err(format!("{line}: {expected}")));
        }
    }
    let ungrouped = EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1");
    let text = "server.2=b:1:2:participant: the server is in no group, and there are groups; name \
                it in one";
    assert_eq!(ungrouped.map_err(|error| error.to_string()), Err(text.to_owned()));
}

#[test]
fn lines_of_an_ensemble_may_be_written_as_in_a_file() {
    let text =
        "# comment\r\n! another\n\n  server.1 = a:1:2 \nserver.2:b:1:2:Observer\nversion 2A\n";
    let config = EnsembleConfig::parse(text).expect("an ensemble");
    let printed = "server.1=a:1:2:participant\nserver.2=b:1:2:observer\nversion=2a";
    assert_eq!(config.to_string(), printed);
    let ids =
        |servers: Vec<_>| servers.into_iter().map(|(ServerId(sid), _)| sid).collect::<Vec<_>>();
    assert_eq!(ids(config.participants().collect()), [1]);
    assert_eq!(ids(config.observers().collect()), [2]);
}
