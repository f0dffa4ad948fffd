//! Claims about links, against a peer on the other end of a real connection.

use super::*;
use crate::quorum::testing::at;
use crate::run::queue;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::{SessionId, Zxid};
use bellwether_zab::{LeaderLink, LearnerLink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn place() -> SharedPlace {
    at(1, "server.1=127.0.0.1:1:2\nserver.2=127.0.0.1:3:4\nserver.3=127.0.0.1:5:6")
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
    (one.expect("it connects"), other.expect("it is accepted").0)
}

const LEARNER: LinkEnd = LinkEnd::Learner(LearnerLink(1));
const LEADER: LinkEnd = LinkEnd::Leader(LeaderLink(1));

fn encoded(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        packet.encode(&mut bytes);
    }
    bytes
}

#[tokio::test(flavor = "current_thread")]
async fn packets_cut_anywhere_come_whole_and_in_order() {
    let ((mut peer, stream), (core, mut messages)) = (pair().await, queue());
    let _link = Link::open(place(), LEARNER, stream, core);
    let sent: Vec<Packet> = (1..50).map(|zxid| Packet::Ack { zxid: Zxid(zxid) }).collect();
    for piece in encoded(&sent).chunks(7) {
        peer.write_all(piece).await.expect("it reads");
        tokio::task::yield_now().await;
    }
    drop(peer);
    let mut came = Vec::new();
    loop {
        match messages.recv().await {
            Some(Message::Quorum(QuorumMessage::Packets { end: LEARNER, packets })) => {
                came.extend(packets);
            }
            Some(Message::Quorum(QuorumMessage::Ended(LEARNER))) => break,
            _ => panic!("packets, then the end"),
        }
    }
    assert_eq!(came, sent);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_put_is_sent_before_a_link_is_closed() {
    let ((mut peer, stream), (core, _messages)) = (pair().await, queue());
    let mut link = Link::open(place(), LEARNER, stream, core);
    let sent: Vec<Packet> = (1..2000).map(|zxid| Packet::Commit { zxid: Zxid(zxid) }).collect();
    assert!(link.put(&sent[0]), "it is the first of the round");
    for packet in &sent[1..1000] {
        assert!(!link.put(packet));
    }
    link.flush();
    for packet in &sent[1000..] {
        link.put(packet);
    }
    link.finish();
    let mut came = Vec::new();
    peer.read_to_end(&mut came).await.expect("it is closed in order");
    assert_eq!(came, encoded(&sent));
}

#[tokio::test(flavor = "current_thread")]
async fn nonsense_ends_a_link_behind_what_came_before_it() {
    let ((mut peer, stream), (core, mut messages)) = (pair().await, queue());
    let _link = Link::open(place(), LEARNER, stream, core);
    let mut bytes = encoded(&[Packet::Ack { zxid: Zxid(1) }]);
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.write_all(&bytes).await.expect("it reads");
    let first = messages.recv().await;
    assert!(matches!(first, Some(Message::Quorum(QuorumMessage::Packets { .. }))));
    let second = messages.recv().await;
    assert!(matches!(second, Some(Message::Quorum(QuorumMessage::Ended(LEARNER)))));
}

#[tokio::test(flavor = "current_thread")]
async fn unsent_bytes_are_counted_until_the_other_end_takes_them() {
    let ((mut peer, stream), (core, mut messages)) = (pair().await, queue());
    let mut link = Link::open(place(), LEARNER, stream, core);
    let record = Packet::Revalidate { session: SessionId(1), timeout_ms: 1 };
    let mut bytes = 0;
    // More than any socket buffers.
    while bytes < 64 << 20 {
        for _ in 0..10_000 {
            link.put(&record);
        }
        bytes = link.unsent();
        link.flush();
        tokio::task::yield_now().await;
    }
    assert!(link.unsent() > UNSENT_BYTES_LOW && link.await_drained());
    let pace = link.pace();
    let mut buffer = vec![0; 1 << 20];
    let taking =
        tokio::spawn(async move { while peer.read(&mut buffer).await.is_ok_and(|n| n > 0) {} });
    pace.wait_until_low().await;
    let told = messages.recv().await;
    assert!(matches!(told, Some(Message::Quorum(QuorumMessage::Drained(LEARNER)))));
    assert!(!link.await_drained(), "little is unsent");
    drop(link);
    taking.await.expect("the link was closed");
}

/// A snapshot of this many sessions.
fn items(count: i64) -> Vec<SnapshotItem> {
    (0..count).map(|id| SnapshotItem::Session { id: SessionId(id), timeout_ms: 5 }).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the core is told much else")]
#[tokio::test(flavor = "current_thread")]
async fn a_snapshot_goes_over_a_link_between_packets_and_no_faster_than_it_is_taken() {
    let ((one, other), (core, mut messages)) = (pair().await, queue());
    let mut leader = Link::open(place(), LEARNER, one, core.clone());
    let learner = Link::open(place(), LEADER, other, core);
    let sent = items(5000);
    leader.put(&Packet::Snap { zxid: Zxid(9) });
    leader.put_slice(&sent[..2000], false);
    leader.put_slice(&sent[2000..], true);
    leader.put(&Packet::UpToDate);
    leader.flush();
    let mut came = Vec::new();
    let mut permits = Vec::new();
    let mut announced = false;
    loop {
        match messages.recv().await.expect("the link stands") {
            Message::Quorum(QuorumMessage::Packets { packets, .. }) if !announced => {
                assert_eq!(packets, [Packet::Snap { zxid: Zxid(9) }]);
                announced = true;
            }
            Message::Quorum(QuorumMessage::Packets { packets, .. }) => {
                assert_eq!(packets, [Packet::UpToDate]);
                break;
            }
            Message::Quorum(QuorumMessage::Snapshot { items, permit, .. }) => {
                came.extend(items);
                permits.push(permit);
                assert!(permits.len() <= receiver::SNAPSHOT_BATCHES_MAX);
                if permits.len() == receiver::SNAPSHOT_BATCHES_MAX {
                    permits.clear(); // They are written.
                }
            }
            _ => panic!("a snapshot between two packets"),
        }
    }
    assert_eq!(came, sent);
    drop((leader, learner));
}
