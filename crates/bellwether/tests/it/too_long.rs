//! A request that is longer than `jute.maxbuffer` is answered where its client can understand that.

use crate::process::{Client, Server, create, encoded, eventually, raise_descriptors};
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::{Data, ErrorCode, OpCode};
use std::io::{ErrorKind, Write as _};

const REFUSED: i32 = -5;
const LONG: usize = 3 << 20;
/// No frame beyond this is read past.
const BOUND: i32 = 128 << 20;

fn set(path: &str, bytes: usize) -> Request {
    let data = Some(Data::from(vec![7; bytes]));
    Request::SetData { path: path.into(), data, version: -1 }
}

#[test]
fn it_is_refused_in_its_turn_and_takes_no_zxid() {
    assert_eq!(ErrorCode::from_code(REFUSED), Some(ErrorCode::MarshallingError));
    let server = Server::start("too-long", "");
    let mut client = Client::connect(&server);
    let parts = vec![create("/part", b""), set("/a", LONG)];
    let requests = [
        create("/a", b"small"),
        set("/a", LONG),
        Request::GetData { path: "/a".into(), watch: false },
        Request::Multi(parts),
        create("/b", b""),
        Request::GetChildren { path: "/x".repeat(LONG).into(), watch: false },
        Request::GetChildren { path: "/".into(), watch: false },
    ];
    for (xid, request) in (1..).zip(&requests) {
        client.send(xid, request);
    }
    let mut answers = Vec::new();
    for (xid, request) in (1..).zip(&requests) {
        let (header, body) = client.reply(request.op()).expect("the connection stays");
        assert_eq!(header.xid, xid);
        answers.push((header.zxid.0, header.err));
        if let Some(ReplyBody::Data(data, _)) = body {
            assert_eq!(data.as_deref(), Some(&b"small"[..]));
        }
    }
    // The session's creation took the first; the two creates took theirs, and nothing else did.
    let expected = [(2, 0), (2, REFUSED), (2, 0), (2, REFUSED), (3, 0), (3, REFUSED), (3, 0)];
    assert_eq!(answers, expected);
    assert_eq!(server.metric("zk_requests_too_long_count"), 3);
    eventually("the log names what was refused", || {
        let says = |text| server.has_logged(text);
        says("op=setData path=\"/a\" bytes=31457") && says("op=multi path=\"/part\"")
    });
}

#[test]
fn whoever_would_not_understand_an_error_is_hung_up_on() {
    let server = Server::start("too-long-closes", "");
    let watches = SetWatches { data: vec!["/x".repeat(LONG).into()], ..SetWatches::default() };
    let auth = Some(vec![7; LONG].into());
    for (xid, request) in [
        (-8, Request::SetWatches(Box::new(watches.clone()))),
        (-8, Request::SetWatches2(Box::new(watches))),
        (-4, Request::Auth { scheme: "digest".into(), auth }),
        (1, Request::Sasl { token: vec![7; LONG].into() }),
        // A number that means something else in a reply.
        (-1, set("/a", LONG)),
    ] {
        let mut client = Client::connect(&server);
        client.send(1, &Request::Ping);
        client.send(xid, &request);
        let (pong, _) = client.reply(OpCode::Ping).expect("what came before is answered");
        assert_eq!(pong.xid, -2);
        assert!(client.frame().is_none(), "{:?}", request.op());
    }
    assert_eq!(server.metric("zk_requests_too_long_count"), 5);
    eventually("the log says so", || server.has_logged("would not understand an error"));
    assert!(!server.has_logged("\\u{7}"), "nothing of a secret");
}

#[test]
fn a_length_that_no_request_has_closes_the_connection_at_once() {
    let server = Server::start("too-long-absurd", "");
    for len in [BOUND + 1, i32::MAX, -1, i32::MIN] {
        let mut client = Client::connect(&server);
        client.stream.write_all(&len.to_be_bytes()).expect("it reads");
        assert!(client.frame().is_none(), "{len}");
    }
    let mut client = Client::connect(&server);
    client.stream.write_all(&BOUND.to_be_bytes()).expect("it reads");
    assert_eq!(server.word("ruok"), "imok");
    client.stream.set_nonblocking(true).expect("a socket can be set");
    let waits = client.stream.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(waits, Err(ErrorKind::WouldBlock), "the longest that is read past");
}

#[test]
fn the_limit_is_the_first_length_that_passes() {
    let server = Server::start_with("too-long-limit", "", |command| {
        command.arg("-Djute.maxbuffer=1000");
    });
    let mut client = Client::connect(&server);
    let overhead = encoded(1, &create("/a", b"")).len() - 4;
    let (header, _) = client.call(1, &create("/a", &vec![7; 1000 - overhead]));
    assert_eq!(header.err, 0);
    let (header, _) = client.call(2, &create("/b", &vec![7; 1001 - overhead]));
    assert_eq!(header.err, REFUSED);
}

#[test]
fn long_frames_that_are_half_sent_cost_no_memory() {
    raise_descriptors();
    let server = Server::start("too-long-memory", "");
    let mut clients: Vec<Client> = (0..500).map(|_| Client::connect(&server)).collect();
    let half = &encoded(1, &set("/a", LONG))[..LONG / 2];
    for client in &mut clients {
        client.stream.write_all(half).expect("it reads on");
    }
    let mut other = Client::connect(&server);
    assert_eq!(other.call(1, &create("/small", b"x")).0.err, 0, "others are served");
    assert!(server.peak_mib() < 128, "{} MiB", server.peak_mib());
}
