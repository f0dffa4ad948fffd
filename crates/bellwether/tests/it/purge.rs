//! Old snapshots and logs go at start, and nothing goes that is still needed.

use crate::process::{Client, Server, create, eventually};
use bellwether_wire::client::Request;
use std::fs::read_dir;

const NODES: i32 = 40;

/// How many files of the data directory begin like this.
fn files(server: &Server, prefix: &str) -> usize {
    let entries = read_dir(server.data_dir().join("version-2")).expect("it is there");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix) && !name.contains("tmp")).count()
}

fn write(client: &mut Client) {
    for n in 0..NODES {
        assert_eq!(client.call(n, &create(&format!("/n{n}"), b"x")).0.err, 0);
    }
}

#[test]
fn a_start_purges_all_but_the_snapshots_to_retain_and_loses_no_node() {
    let lines = "snapCount=2\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=4";
    let mut server = Server::start("purge", lines);
    write(&mut Client::connect(&server));
    eventually("there are more snapshots than are retained", || files(&server, "snapshot.") > 5);
    let logs = files(&server, "log.");
    server.restart();
    eventually("the older ones are purged", || files(&server, "snapshot.") == 4);
    eventually("and their logs", || files(&server, "log.") < logs);
    server.restart();
    let mut client = Client::connect(&server);
    for n in 0..NODES {
        let exists = Request::Exists { path: format!("/n{n}").into(), watch: false };
        assert_eq!(client.call(n, &exists).0.err, 0, "/n{n}");
    }
}

#[test]
fn without_an_interval_nothing_is_purged() {
    let mut server = Server::start("no-purge", "snapCount=2\nautopurge.snapRetainCount=3");
    write(&mut Client::connect(&server));
    eventually("there are more snapshots than a purge would retain", || {
        files(&server, "snapshot.") > 5
    });
    server.restart();
    // Whoever has a session was served after the start.
    Client::connect(&server);
    assert!(files(&server, "snapshot.") > 5);
}
