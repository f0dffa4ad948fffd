//! The server's memory is bounded whatever its clients do.

use crate::process::{Client, Server, create, encoded, eventually, raise_descriptors};
use bellwether_wire::client::Request;
use std::io::{ErrorKind, Write as _};

const CONNECTIONS: usize = 1000;
const PEAK_MIB_MAX: u64 = 256;

/// Writes as much as the socket takes, without waiting.
fn stuff(client: &mut Client, bytes: &[u8]) -> usize {
    client.stream.set_nonblocking(true).expect("a socket can be set");
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match client.stream.write(rest) {
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_closed) => break,
        }
    }
    written
}

#[test]
fn a_frame_in_two_pieces_that_closes_its_connection_closes_nothing_else() {
    let server = Server::start("two-pieces", "");
    // An operation that clients may not send, and an auth packet that proves nothing.
    let auth = Request::Auth { scheme: "nobody".into(), auth: Some(Box::new([7; 100])) };
    let mut refused = encoded(1, &create("/refused", b"x"));
    refused[8..12].copy_from_slice(&(-10_i32).to_be_bytes());
    for frame in [refused, encoded(2, &auth)] {
        let mut client = Client::connect(&server);
        let (first, second) = frame.split_at(frame.len() / 2);
        client.stream.write_all(first).expect("it reads");
        // Whoever is answered now was read after the first piece.
        let mut other = Client::connect(&server);
        client.stream.write_all(second).expect("it reads");
        assert!(client.frame().is_some(), "it is told why");
        assert!(client.frame().is_none(), "and closed");
        assert_eq!(other.call(1, &Request::Ping).0.err, 0, "others are served");
    }
}

#[test]
fn a_thousand_half_sent_frames_stay_below_256_mib() {
    raise_descriptors();
    let server = Server::start("half-sent", "");
    let whole = encoded(1, &create("/large", &vec![7; 1_000_000]));
    let half = &whole[..whole.len() - 1];
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(&server)).collect();
    let mut sent = vec![0; CONNECTIONS];
    for _ in 0..3 {
        for (client, sent) in clients.iter_mut().zip(&mut sent) {
            *sent += stuff(client, &half[*sent..]);
        }
        assert_eq!(server.word("ruok"), "imok");
    }
    let mut good = Client::connect(&server);
    let (header, _) = good.call(1, &create("/small", b"x"));
    assert_eq!(header.err, 0);
    // A client that does send its whole frame gets through, at the cost of those that do not.
    let (header, _) = good.call(2, &create("/whole", &vec![7; 1_000_000]));
    assert_eq!(header.err, 0);
    let peak = server.peak_mib();
    assert!(peak < PEAK_MIB_MAX, "{peak} MiB");
    println!("peak with {CONNECTIONS} half-sent frames of 1 MB: {peak} MiB");
}

#[test]
fn a_thousand_clients_that_never_read_stay_below_256_mib() {
    raise_descriptors();
    let server = Server::start("never-read", "");
    let mut writer = Client::connect(&server);
    for (xid, (path, bytes)) in (1..).zip([("/large", 900_000), ("/small", 2_000)]) {
        assert_eq!(writer.call(xid, &create(path, &vec![7; bytes])).0.err, 0);
    }
    let get = |path: &str| encoded(2, &Request::GetData { path: path.into(), watch: false });
    let requests = [get("/large").repeat(100), get("/small").repeat(1000)].concat();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        stuff(client, &requests);
    }
    assert_eq!(server.word("ruok"), "imok");
    let (header, _) = writer.call(9, &Request::Exists { path: "/small".into(), watch: false });
    assert_eq!(header.err, 0, "others are served meanwhile");
    let peak = server.peak_mib();
    assert!(peak < PEAK_MIB_MAX, "{peak} MiB");
    println!("peak with {CONNECTIONS} clients that never read: {peak} MiB");
}

#[test]
fn a_million_watches_stay_below_256_mib() {
    const WATCHES: usize = 1_000_000;
    const BATCH: usize = 10_000;
    let server = Server::start("watches", "");
    let mut client = Client::connect(&server);
    for batch in 0..WATCHES / BATCH {
        let mut requests = Vec::new();
        for n in 0..BATCH {
            let path = format!("/watched/node-{:07}", batch * BATCH + n).into();
            requests.extend(encoded(1, &Request::Exists { path, watch: true }));
        }
        let mut stream = client.stream.try_clone().expect("a socket can be shared");
        let writer = std::thread::spawn(move || stream.write_all(&requests));
        for _ in 0..BATCH {
            assert!(client.frame().is_some(), "every request is answered");
        }
        writer.join().expect("no panic").expect("all is sent");
    }
    assert_eq!(server.metric("zk_watch_count"), 1_000_000);
    let peak = server.peak_mib();
    assert!(peak < PEAK_MIB_MAX, "{peak} MiB");
    println!("peak with a million watches: {peak} MiB");
    drop(client);
    eventually("a closed connection's watches are forgotten", || {
        server.metric("zk_watch_count") == 0
    });
}
