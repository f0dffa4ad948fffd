//! The door for clients of other crates: bytes go through it both ways, and what goes wrong with a
//! machine that calls is noticed on both sides. The client's own tests do the rest.

use bellwether_sim::ensemble::{NoConnection, Outside, Received, Setup, Stream, faultload};
use bellwether_wire::SessionId;
use bellwether_wire::client::{ConnectRequest, ConnectResponse, frame};

const MACHINE: usize = 1;

fn ensemble() -> Outside {
    let faults = faultload("calm").unwrap();
    let setup = Setup { voters: 3, observers: 0, tick_ms: 500, faults };
    Outside::new(1, setup, None).unwrap()
}

/// Goes on until something comes on this stream.
fn next(outside: &mut Outside, stream: Stream) -> Received {
    let end_ms = outside.now_ms() + 30_000;
    while outside.now_ms() < end_ms {
        outside.run_until(end_ms).unwrap();
        if outside.take_news().contains(&stream) {
            return outside.receive(stream);
        }
    }
    panic!("nothing came");
}

fn connect_request() -> Vec<u8> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: bellwether_wire::Zxid::ZERO,
        timeout_ms: 3000,
        session: SessionId::NONE,
        password: [0; 16].into(),
        read_only: Some(false),
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, |out| request.encode(out));
    bytes
}

/// A stream with a session, and the session. Members that do not serve yet hang up.
fn session(outside: &mut Outside, machine: usize) -> (Stream, SessionId) {
    loop {
        outside.run_until(outside.now_ms() + 200).unwrap();
        let Ok(stream) = outside.connect(machine, 1) else { continue };
        outside.send(stream, connect_request());
        let mut bytes = Vec::new();
        while !outside.is_closed(stream) {
            bytes.extend(next(outside, stream).bytes);
            let Some(body) = bytes.get(4..).filter(|body| body.len() >= 37) else { continue };
            let response = ConnectResponse::decode(body).unwrap();
            return (stream, response.session);
        }
        outside.close(stream);
    }
}

#[test]
fn a_session_is_begun_through_the_door_and_is_part_of_the_truth() {
    let mut outside = ensemble();
    assert_eq!(outside.connect(MACHINE, 1), Err(NoConnection::Refused), "nobody has started");
    let (stream, session) = session(&mut outside, MACHINE);
    assert!(outside.sessions().contains(&session));
    assert!(outside.nodes().contains_key("/zookeeper") && outside.transactions() == 1);
    outside.close(stream);
    assert!(outside.is_closed(stream));
    outside.run_until(outside.now_ms() + 4500).unwrap();
    assert!(!outside.sessions().contains(&session), "it has expired");
}

#[test]
fn nothing_comes_through_to_a_machine_that_is_cut_off_until_it_is_mended() {
    let mut outside = ensemble();
    let (stream, _) = session(&mut outside, MACHINE);
    outside.cut_off(MACHINE);
    assert_eq!(outside.connect(MACHINE, 2), Err(NoConnection::NoAnswer));
    assert!(outside.connect(MACHINE + 1, 2).is_ok());
    // The member hangs up when the session is over, and the machine does not hear of it.
    outside.run_until(outside.now_ms() + 6000).unwrap();
    assert!(outside.sessions().is_empty() && !outside.is_closed(stream));
    outside.mend(MACHINE);
    assert_eq!(next(&mut outside, stream), Received { bytes: Vec::new(), ended: true });
}

#[test]
fn a_machine_whose_process_is_killed_keeps_no_connection() {
    let mut outside = ensemble();
    for harm in [Outside::kill as fn(&mut Outside, usize), Outside::vanish] {
        let (stream, session) = session(&mut outside, MACHINE);
        harm(&mut outside, MACHINE);
        assert!(outside.is_closed(stream));
        assert!(outside.sessions().contains(&session), "nobody has ended it");
        outside.run_until(outside.now_ms() + 6000).unwrap();
        assert!(!outside.sessions().contains(&session), "it has expired");
    }
    outside.heal().unwrap();
    outside.run_until(outside.now_ms() + 5000).unwrap();
    assert!(outside.is_settled());
    outside.compare().unwrap();
}
