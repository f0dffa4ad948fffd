//! The offline commands beside a running server.

use crate::process::{Client, Server, create};
use bellwether_store::{LogReader, LogStep, OsDisk};
use bellwether_wire::Zxid;
use bellwether_wire::client::Request;
use std::path::Path;
use std::process::Command;

#[test]
fn what_a_running_server_holds_is_refused() {
    let server = Server::start("held", "");
    let dir = server.data_dir();
    for words in [
        &["log", "dump"][..],
        &["log", "verify"],
        &["log", "recover", "--yes"],
        &["log", "cut", "--after", "0", "--yes"],
        &["snapshot", "dump"],
        &["snapshot", "verify"],
        &["snapshot", "summary"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let output = command.args(words).arg(&dir).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {text}");
        for part in ["a server uses ", "bellwether.lock", "stop it first", "or work on a copy"] {
            assert!(text.contains(part), "{words:?}: {text}");
        }
    }
    // A single file may be looked at.
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let command = command.args(["snapshot", "verify"]).arg(dir.join("version-2/snapshot.0"));
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Where the record of a transaction begins.
fn offset_of(log: &Path, zxid: i64) -> usize {
    let mut reader = LogReader::open(&OsDisk, log, 1 << 20).expect("it is there");
    while let LogStep::Record(found) = reader.step().expect("it can be read") {
        if found.record.header.zxid == Zxid(zxid) {
            return usize::try_from(found.offset).expect("it is small");
        }
    }
    panic!("{} has no {zxid}", log.display());
}

#[test]
fn a_server_that_refused_to_start_serves_after_the_repair_it_named() {
    let mut server = Server::start("repaired", "");
    let mut client = Client::connect(&server);
    // The session is 0x1.
    for (xid, path) in [(2, "/lost"), (3, "/lost/below"), (4, "/kept")] {
        assert_eq!(client.call(xid, &create(path, b"x")).0.err, 0);
    }
    server.signal("TERM");
    assert!(server.wait().success());
    let dir = server.data_dir().join("version-2");
    let log = dir.join("log.1");
    let mut bytes = std::fs::read(&log).expect("it is there");
    let byte = bytes.get_mut(offset_of(&log, 2) + 50).expect("it is in the record");
    *byte ^= 1;
    std::fs::write(&log, bytes).expect("it can be written");

    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let refused = command
        .arg("server")
        .arg(server.data_dir().with_file_name("zoo.cfg"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("log.1, offset"), "{said}");
    for verb in ["verify", "recover"] {
        let next = format!("bellwether log {verb} {}", dir.display());
        assert!(said.contains(&next), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let repaired = command.args(["log", "recover", "--yes"]).arg(&dir).output().expect("it runs");
    let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert_eq!(repaired.status.code(), Some(0), "{said}");
    assert!(said.contains("lost: transaction 0x2\n"), "{said}");
    server.restart();
    let mut client = Client::connect(&server);
    let kept = |client: &mut Client, path: &str| {
        client.call(9, &Request::Exists { path: path.into(), watch: false }).0.err == 0
    };
    assert!(kept(&mut client, "/kept"));
    assert!(!kept(&mut client, "/lost") && !kept(&mut client, "/lost/below"));
    assert_eq!(client.call(10, &create("/lost", b"again")).0.err, 0);
}
