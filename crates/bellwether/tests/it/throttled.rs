//! Clients are held back, or turned away, when they ask for too much at once.

use crate::process::{Client, Server, create, encoded};
use bellwether_wire::client::Request;
use bellwether_wire::{OpCode, SessionId};
use std::io::Write as _;

/// Sends many creates at once, and some reads between them.
fn pipeline(client: &mut Client, prefix: &str, count: i32) {
    let requests: Vec<u8> =
        (1..=count).flat_map(|xid| encoded(xid, &request(prefix, xid))).collect();
    client.stream.write_all(&requests).expect("it reads");
}

fn request(prefix: &str, xid: i32) -> Request {
    match xid % 3 {
        0 => Request::Exists { path: format!("/{prefix}{}", xid - 1).into(), watch: false },
        _ => create(&format!("/{prefix}{xid}"), b"x"),
    }
}

#[track_caller]
fn answered_in_order(client: &mut Client, prefix: &str, count: i32) {
    for xid in 1..=count {
        let op = request(prefix, xid).op();
        let (header, _) = client.reply(op).expect("the connection stays");
        assert_eq!((header.xid, header.err), (xid, 0));
    }
}

#[test]
fn requests_beyond_the_limit_wait_and_are_all_answered_in_order() {
    let server = Server::start("request-throttle", "request_throttle_max_requests=1");
    let mut clients = [Client::connect(&server), Client::connect(&server)];
    pipeline(&mut clients[0], "a", 300);
    pipeline(&mut clients[1], "b", 300);
    answered_in_order(&mut clients[0], "a", 300);
    answered_in_order(&mut clients[1], "b", 300);
    assert!(server.metric("zk_request_throttle_wait_count") > 0);
    assert_eq!(server.metric("zk_throttled_ops"), 0);
}

#[test]
fn without_the_setting_no_request_waits_in_line() {
    let server = Server::start("no-request-throttle", "");
    let mut client = Client::connect(&server);
    pipeline(&mut client, "a", 300);
    answered_in_order(&mut client, "a", 300);
    assert_eq!(server.metric("zk_request_throttle_wait_count"), 0);
}

#[test]
fn a_crowded_server_still_serves_whoever_waits_for_nothing() {
    let server = Server::start("crowded", "globalOutstandingLimit=1");
    let mut clients = [Client::connect(&server), Client::connect(&server)];
    pipeline(&mut clients[0], "a", 300);
    pipeline(&mut clients[1], "b", 300);
    let mut third = Client::connect(&server);
    assert_eq!(third.call(1, &Request::Ping).0.err, 0);
    answered_in_order(&mut clients[0], "a", 300);
    answered_in_order(&mut clients[1], "b", 300);
}

#[test]
fn an_empty_bucket_of_tokens_turns_connections_away() {
    let lines = "connection_throttle_tokens=2\nconnection_throttle_fill_time=1000000";
    let server = Server::start("tokens", lines);
    let first = Client::connect(&server);
    let _second = Client::connect(&server);
    assert!(Client::resume(&server, SessionId::NONE, 10_000).is_none(), "no token is left");
    assert!(Client::resume(&server, first.session, 10_000).is_none(), "nor for a session's return");
    assert_eq!(server.metric("zk_connection_rejected"), 2);
    assert_eq!(server.metric("zk_connection_request_count"), 2);
    assert_eq!(server.metric("zk_cnt_connection_token_deficit"), 2);
    assert_eq!(server.metric("zk_max_connection_token_deficit"), 2);
}

#[test]
fn large_requests_beyond_their_bytes_close_the_connection() {
    let lines = "largeRequestThreshold=1000\nlargeRequestMaxBytes=5000";
    let server = Server::start("large-requests", lines);
    let mut client = Client::connect(&server);
    for n in 1..20 {
        let (header, _) = client.call(n, &create(&format!("/n{n}"), &[7; 3000]));
        assert_eq!(header.err, 0, "each is done before the next comes");
    }
    assert_eq!(server.metric("zk_large_requests_rejected"), 0);
    // The length alone says that it is too much, so the rest need not come.
    let whole = encoded(99, &create("/large", &[7; 6000]));
    client.stream.write_all(&whole[..100]).expect("it reads");
    assert!(client.frame().is_none(), "closed without an answer");
    let mut other = Client::connect(&server);
    let two = [encoded(1, &create("/x", &[7; 3000])), encoded(2, &create("/y", &[7; 3000]))];
    other.stream.write_all(&two.concat()).expect("it reads");
    assert!(other.reply(OpCode::Create).is_none_or(|(header, _)| header.xid == 1));
    assert!(other.frame().is_none(), "two at once are too much");
    assert_eq!(server.metric("zk_large_requests_rejected"), 2);
    let mut third = Client::connect(&server);
    assert_eq!(third.call(1, &create("/z", &[7; 4000])).0.err, 0, "their bytes are free again");
}
