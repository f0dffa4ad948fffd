//! What signals do: an orderly end, a pause that costs nobody its session, a kill that loses
//! nothing.

use crate::process::{Client, Server, create, encoded, eventually};
use bellwether_wire::OpCode;
use bellwether_wire::client::Request;
use std::io::Write as _;
use std::time::{Duration, Instant};

#[test]
fn sigterm_answers_what_was_taken_and_exits_with_0() {
    let mut server = Server::start("sigterm", "");
    let mut client = Client::connect(&server);
    let requests: Vec<u8> =
        (0..200).flat_map(|n| encoded(n, &create(&format!("/n{n}"), b"x"))).collect();
    client.stream.write_all(&requests).expect("it reads");
    assert!(client.reply(OpCode::Create).is_some(), "the first is answered");
    let begun = Instant::now();
    server.signal("TERM");
    let mut answered = 1;
    while let Some((header, _)) = client.reply(OpCode::Create) {
        assert_eq!((header.xid, header.err), (answered, 0));
        answered += 1;
    }
    let status = server.wait();
    assert_eq!(status.code(), Some(0));
    println!("stopped after {:?} with {answered} of 200 answered", begun.elapsed());
    server.restart();
    let mut client = Client::connect(&server);
    for n in 0..answered {
        let exists = Request::Exists { path: format!("/n{n}").into(), watch: false };
        assert_eq!(client.call(n, &exists).0.err, 0, "/n{n} was acknowledged");
    }
}

#[test]
fn a_pause_longer_than_the_timeout_expires_no_client_that_pinged() {
    let server = Server::start("sigstop", "tickTime=200\nminSessionTimeout=400");
    let mut client = Client::resume(&server, bellwether_wire::SessionId::NONE, 1000)
        .expect("a session is given");
    assert_eq!(client.timeout_ms, 1000);
    server.signal("STOP");
    // Longer than the timeout; the ping lies in the server's socket all the while.
    client.send(bellwether_wire::client::xid::PING, &Request::Ping);
    let resume = Instant::now() + Duration::from_secs(3);
    while Instant::now() < resume {
        std::thread::park_timeout(resume.saturating_duration_since(Instant::now()));
    }
    server.signal("CONT");
    assert!(client.reply(OpCode::Ping).is_some(), "the ping is answered");
    let (header, _) = client.call(2, &create("/alive", b""));
    assert_eq!(header.err, 0, "the session lives");
}

#[test]
fn a_client_that_says_nothing_expires_and_its_ephemerals_go() {
    let server = Server::start("expiry", "tickTime=100");
    let mut client =
        Client::resume(&server, bellwether_wire::SessionId::NONE, 200).expect("a session is given");
    let mut ephemeral = create("/mine", b"");
    if let Request::Create(create) = &mut ephemeral {
        create.flags = 1;
    }
    assert_eq!(client.call(1, &ephemeral).0.err, 0);
    let session = client.session;
    eventually("the ephemeral goes", || {
        let mut other = Client::connect(&server);
        let exists = Request::Exists { path: "/mine".into(), watch: false };
        other.call(1, &exists).0.err == -101
    });
    assert!(client.frame().is_none(), "its connection is closed");
    assert!(Client::resume(&server, session, 200).is_none(), "and it cannot come back");
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged_and_sessions_come_back() {
    let mut server = Server::start("kill9", "");
    let mut client = Client::connect(&server);
    for n in 0..100 {
        assert_eq!(client.call(n, &create(&format!("/n{n}"), b"x")).0.err, 0);
    }
    let session = client.session;
    server.restart();
    let mut client = Client::resume(&server, session, 30_000).expect("the session is known");
    for n in 0..100 {
        let exists = Request::Exists { path: format!("/n{n}").into(), watch: false };
        assert_eq!(client.call(n, &exists).0.err, 0, "/n{n} was acknowledged");
    }
}
