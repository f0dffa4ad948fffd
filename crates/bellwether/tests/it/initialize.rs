//! `db.autocreate=false`: a server that finds no data makes none up.

use crate::process::{Client, Server, create};
use bellwether_wire::client::{ConnectRequest, Request, frame};
use bellwether_wire::{SessionId, Zxid};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

const NEVER: &str = "db.autocreate=false";

/// Whether a client that has seen this zxid is refused: the connection ends without an answer.
fn refuses(server: &Server, seen: Zxid) -> bool {
    let mut stream = TcpStream::connect(server.clients).expect("it accepts");
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: seen,
        timeout_ms: 10_000,
        session: SessionId::NONE,
        password: Box::new([0; 16]),
        read_only: Some(false),
    };
    let mut out = Vec::new();
    frame::write(&mut out, |out| request.encode(out));
    stream.write_all(&out).expect("it reads");
    stream.read(&mut [0]).expect("it answers or closes") == 0
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    entries.map(|e| e.expect("it is read").file_name().to_string_lossy().into_owned()).collect()
}

fn has_snapshot(server: &Server) -> bool {
    let names = names(&server.data_dir().join("version-2"));
    names.iter().any(|name| name.starts_with("snapshot."))
}

#[test]
fn without_data_and_without_the_file_it_starts_and_serves_nobody() {
    let mut server = Server::start("no-database", NEVER);
    for _ in 0..2 {
        assert!(server.has_logged("there is no database"));
        assert_eq!(server.word("ruok"), "imok");
        assert!(server.word("srvr").contains("\nZxid: 0xffffffffffffffff\nMode: standalone\n"));
        assert!(server.word("mntr").contains("\nzk_znode_count\t5\n"));
        for seen in [Zxid::ZERO, Zxid(5), Zxid::MISSING, Zxid(i64::MIN)] {
            assert!(refuses(&server, seen), "{seen}");
        }
        assert!(!has_snapshot(&server), "nothing was made up");
        server.restart();
    }
}

#[test]
fn the_file_allows_an_empty_database_once() {
    let mut server = Server::start("initialize", NEVER);
    let file = server.data_dir().join("initialize");
    std::fs::write(&file, "").expect("it is ours");
    server.restart();
    assert!(!file.exists(), "it counts for one start");
    let mut client = Client::connect(&server);
    assert_eq!(client.call(1, &create("/a", b"x")).0.err, 0);
    server.restart();
    let mut client = Client::connect(&server);
    let exists = Request::Exists { path: "/a".into(), watch: false };
    assert_eq!(client.call(1, &exists).0.err, 0, "there is a database, and it needs no file");
    // What version-2 held is gone, and no file says that it should be.
    std::fs::remove_dir_all(server.data_dir().join("version-2")).expect("it is ours");
    server.restart();
    assert!(refuses(&server, Zxid::ZERO));
}

#[test]
fn the_file_is_removed_where_nobody_needs_it() {
    let mut server = Server::start("initialize-unneeded", "");
    let file = server.data_dir().join("initialize");
    std::fs::write(&file, "").expect("it is ours");
    server.restart();
    assert!(!file.exists());
    assert!(server.has_logged("the file initialize was there and is removed"));
    assert!(!refuses(&server, Zxid::ZERO));
}

#[test]
fn the_file_stands_beside_the_log_as_in_apache() {
    let log_dir = std::env::temp_dir().join(format!("bellwether-it-log-{}", std::process::id()));
    let lines = format!("{NEVER}\ndataLogDir={}", log_dir.display());
    let mut server = Server::start("initialize-log", &lines);
    let file = server.data_dir().join("initialize");
    std::fs::write(&file, "").expect("it is ours");
    server.restart();
    assert!(file.exists() && refuses(&server, Zxid::ZERO), "not beside the snapshots");
    std::fs::rename(&file, log_dir.join("initialize")).expect("it is ours");
    server.restart();
    assert!(!refuses(&server, Zxid::ZERO));
    assert!(!log_dir.join("initialize").exists());
    drop(server);
    std::fs::remove_dir_all(&log_dir).expect("it is ours");
}
