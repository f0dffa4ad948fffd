//! zkCli.sh, zkCleanup.sh and the toolkits: each becomes a command of this build.

use crate::home::Home;

/// A home with a server that ran: it has a snapshot and a log with one node.
fn used(name: &str) -> Home {
    let home = Home::new(name, "");
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.serves();
    let server = format!("127.0.0.1:{}", home.port);
    home.run("zkCli.sh", &["-server", &server, "create", "/used", "data"])
        .has(0, &["Created /used"]);
    home.run("zkCli.sh", &["-server", &server, "get", "/used"]).has(0, &["data"]);
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
    home
}

#[test]
fn the_toolkits_read_and_copy_what_a_server_wrote() {
    let home = used("toolkits");
    let (log, snapshot) =
        (home.path("data/version-2/log.1"), home.path("data/version-2/snapshot.0"));
    let run = |name: &str, words: &[&str]| home.run(name, words);
    let dumped = run("zkTxnLogToolkit.sh", &[&log]);
    dumped.has(0, &["createSession", "create2 /used \"data\"", "closeSession"]);
    run("zkTxnLogToolkit.sh", &["-r", "-y", &log])
        .has(0, &["without 0 damaged places", "put it in the place of "]);
    assert!(home.exists("data/version-2/log.1.fixed"));
    run("zkTxnLogToolkit.sh", &["-r", &log]).has(1, &["already exists or not writable"]);
    run("zkTxnLogToolkit.sh", &["-c", "-z", "0x2", &log]).has(0, &["2 transactions"]);
    assert!(home.exists("data/version-2/log.1.chopped2"));
    run("zkTxnLogToolkit.sh", &[]).has(1, &["usage: TxnLogToolkit [-dhrvc]"]);
    run("zkTxnLogToolkit.sh", &["/none"]).has(1, &["File doesn't exist or not readable: /none"]);
    run("zkSnapShotToolkit.sh", &[&snapshot]).has(0, &["/zookeeper/quota  0 bytes"]);
    run("zkSnapShotToolkit.sh", &["-json", &snapshot])
        .has(0, &["{\"kind\":\"node\",\"path\":\"/\""]);
    run("zkSnapShotToolkit.sh", &[]).has(2, &["USAGE: SnapshotFormatter [-d|-json] snapshot_file"]);
    let words = ["-l", &snapshot, "-r", &snapshot, "-b", "0", "-n", "0"];
    run("zkSnapshotComparer.sh", &words).has(0, &["left: ", "right: "]);
    run("zkSnapshotComparer.sh", &["-l", &snapshot]).has(2, &["usage: "]);
    let words = [snapshot.as_str(), "/", "1"];
    run("zkSnapshotRecursiveSummaryToolkit.sh", &words).has(0, &["/zookeeper  nodes "]);
    run("zkSnapshotRecursiveSummaryToolkit.sh", &words[..1]).has(2, &["USAGE:"]);
}

#[test]
fn cleanup_keeps_as_many_snapshots_as_it_is_told() {
    let home = used("cleanup");
    let data = |name: &str| home.path(&format!("data/version-2/{name}"));
    for zxid in 1..=4 {
        std::fs::copy(data("snapshot.0"), data(&format!("snapshot.{zxid}"))).expect("it is there");
    }
    home.run("zkCleanup.sh", &[]).has(2, &["-n N is missing"]);
    home.run("zkCleanup.sh", &["-n", "2"]).has(2, &["count should be greater than or equal to 3"]);
    let said = home.run("zkCleanup.sh", &["-n", "3"]);
    said.has(0, &["Removing file: ", "snapshot.0", "snapshot.1"]);
    assert!(!home.exists("data/version-2/snapshot.1") && home.exists("data/version-2/log.1"));
    let logs = home.path("txnlog");
    home.write("conf/zoo.cfg", &format!("{}dataLogDir={logs}\n", home.read("conf/zoo.cfg")));
    home.run("zkCleanup.sh", &["-n", "3"]).has(3, &["txnlog"]);
}
