//! Claims about the election port, against peers that are written out byte by byte.

use super::*;
use crate::quorum::listener::listen;
use crate::quorum::testing::{at, place};
use crate::run::queue;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{PeerState, Version, Vote};
use tokio::net::TcpListener;

async fn free_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

/// A port that nobody listens on, for the server under test.
async fn own_port() -> u16 {
    free_port().await.1
}

fn vote(round: i64) -> Notification {
    Notification {
        state: PeerState::Looking,
        vote: Vote { leader: ServerId(2), zxid: Zxid(7), peer_epoch: 1 },
        round,
        version: Version::CURRENT,
        config: Some("version=0".into()),
    }
}

fn header(sid: i64, port: u16) -> Vec<u8> {
    let initial = Initial {
        protocol: bellwether_wire::quorum::InitialProtocol::V1,
        sid: ServerId(sid),
        addresses: vec![format!("127.0.0.1:{port}").into()],
    };
    let mut bytes = Vec::new();
    initial.encode(&mut bytes);
    bytes
}

async fn read_header(stream: &mut TcpStream) -> Initial {
    let mut bytes = Vec::new();
    loop {
        if let Some((initial, _)) = Initial::decode(&bytes).expect("a header") {
            return initial;
        }
        let byte = stream.read_u8().await.expect("the header goes on");
        bytes.push(byte);
    }
}

/// The next vote of a stream.
async fn read_vote(stream: &mut TcpStream) -> Notification {
    let len = stream.read_i32().await.expect("a frame");
    let mut bytes = vec![0; usize::try_from(len).expect("a length")];
    stream.read_exact(&mut bytes).await.expect("the frame is whole");
    Notification::decode(&bytes).expect("a vote")
}

async fn connect(port: u16) -> TcpStream {
    loop {
        // Its port is opened by a task of its own.
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            return stream;
        }
        tokio::task::yield_now().await;
    }
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.read(&mut byte).await, Ok(0) | Err(_))
}

#[tokio::test(flavor = "current_thread")]
async fn a_smaller_peer_is_dialled_and_gets_the_newest_vote_on_every_connection() {
    let ((peer, peer_port), own) = (free_port().await, own_port().await);
    let (core, _messages) = queue();
    let port = ElectionPort::start(place(2, [peer_port, own, 1]), core);
    port.notify(ServerId(1), &vote(1));
    port.notify(ServerId(1), &vote(2));
    let (mut stream, _) = peer.accept().await.expect("it dials");
    let initial = read_header(&mut stream).await;
    assert_eq!((initial.sid, &*initial.addresses[0]), (ServerId(2), &*format!("127.0.0.1:{own}")));
    assert_eq!(read_vote(&mut stream).await.round, 2);
    port.notify(ServerId(1), &vote(3));
    assert_eq!(read_vote(&mut stream).await.round, 3);
    // The peer restarts and says so: it is dialled back, and hears the last vote again.
    let mut told = connect(own).await;
    told.write_all(&header(1, peer_port)).await.expect("it listens");
    assert!(is_closed(&mut told).await && is_closed(&mut stream).await);
    let (mut stream, _) = peer.accept().await.expect("it dials back");
    assert_eq!(read_header(&mut stream).await.sid, ServerId(2));
    assert_eq!(read_vote(&mut stream).await.round, 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_larger_peer_is_told_and_its_connection_is_kept() {
    let ((peer, peer_port), own) = (free_port().await, own_port().await);
    let (core, mut messages) = queue();
    let port = ElectionPort::start(place(2, [1, own, peer_port]), core);
    port.notify(ServerId(3), &vote(1));
    let (mut told, _) = peer.accept().await.expect("it dials");
    assert_eq!(read_header(&mut told).await.sid, ServerId(2));
    assert!(is_closed(&mut told).await);
    let mut first = connect(own).await;
    let mut bytes = header(3, peer_port);
    vote(8).encode_frame(&mut bytes); // A vote right behind the header, in one segment.
    first.write_all(&bytes).await.expect("it listens");
    assert_eq!(read_vote(&mut first).await.round, 1);
    let Some(Message::Quorum(QuorumMessage::Notification { from, notification })) =
        messages.recv().await
    else {
        panic!("a vote came")
    };
    assert_eq!((from, notification.round), (ServerId(3), 8));
    // A newer connection takes the place of the older.
    let mut second = connect(own).await;
    second.write_all(&header(3, peer_port)).await.expect("it listens");
    assert!(is_closed(&mut first).await);
    assert_eq!(read_vote(&mut second).await.round, 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_wildcard_in_a_header_stands_for_the_configured_address() {
    let ((peer, peer_port), own) = (free_port().await, own_port().await);
    let (core, _messages) = queue();
    let _port = ElectionPort::start(place(2, [peer_port, own, 1]), core);
    let mut told = connect(own).await;
    let wildcard = Initial {
        protocol: bellwether_wire::quorum::InitialProtocol::V2,
        sid: ServerId(1),
        addresses: vec!["0.0.0.0:7".into(), "[::]:7".into()],
    };
    let mut bytes = Vec::new();
    wildcard.encode(&mut bytes);
    told.write_all(&bytes).await.expect("it listens");
    let (mut stream, _) = peer.accept().await.expect("it dials back");
    assert_eq!(read_header(&mut stream).await.sid, ServerId(2));
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_speaks_nonsense_is_closed_and_others_are_served() {
    let own = own_port().await;
    let (core, mut messages) = queue();
    let _port = ElectionPort::start(place(2, [1, own, 1]), core);
    let old = 9_i64.to_be_bytes();
    let endless = [&(-65536_i64).to_be_bytes()[..], &3_i64.to_be_bytes(), &i32::MAX.to_be_bytes()];
    for nonsense in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        (-1_i64).to_be_bytes().to_vec(),
        endless.concat(),
        header(2, 7), // Its own id.
        [&old[..], &i32::MAX.to_be_bytes()].concat(),
        [&old[..], &0_i32.to_be_bytes()].concat(),
    ] {
        let mut stream = connect(own).await;
        stream.write_all(&nonsense).await.expect("it listens");
        assert!(is_closed(&mut stream).await, "{nonsense:?}");
    }
    // A vote that says nothing is passed over.
    let mut stream = connect(own).await;
    let mut bytes = [header(3, 7), 4_i32.to_be_bytes().to_vec(), vec![9; 4]].concat();
    vote(5).encode_frame(&mut bytes);
    stream.write_all(&bytes).await.expect("it listens");
    let Some(Message::Quorum(QuorumMessage::Notification { notification, .. })) =
        messages.recv().await
    else {
        panic!("a vote came")
    };
    assert_eq!(notification.round, 5);
}

#[tokio::test(flavor = "current_thread")]
async fn a_peer_that_is_not_there_yet_is_tried_again_with_the_next_vote() {
    let (peer_port, own) = (own_port().await, own_port().await);
    let (core, _messages) = queue();
    let port = ElectionPort::start(place(2, [peer_port, own, 1]), core);
    port.notify(ServerId(1), &vote(1));
    let peer = TcpListener::bind(("127.0.0.1", peer_port)).await.expect("it is free");
    let mut round = 1;
    let mut stream = loop {
        round += 1;
        port.notify(ServerId(1), &vote(round));
        let patience = Duration::from_millis(50);
        if let Ok(accepted) = tokio::time::timeout(patience, peer.accept()).await {
            break accepted.expect("it dials").0;
        }
    };
    assert_eq!(read_header(&mut stream).await.sid, ServerId(2));
    assert!(read_vote(&mut stream).await.round > 1);
}

#[tokio::test(flavor = "current_thread")]
async fn an_address_of_another_machine_cannot_be_opened() {
    let lines = "server.1=127.0.0.1:1:2\nserver.2=192.0.2.1:2888:3888\nserver.3=127.0.0.1:3:4";
    let place = at(2, lines);
    let (core, mut messages) = queue();
    let _port = ElectionPort::start(place.clone(), core.clone());
    let Some(Message::Quorum(QuorumMessage::NoElectionPort { address, .. })) =
        messages.recv().await
    else {
        panic!("it cannot listen there")
    };
    assert_eq!(address, "192.0.2.1:3888");
    // A leader goes on trying; that it cannot be reached is for the peer to notice.
    let _port = listen(place, core);
}
