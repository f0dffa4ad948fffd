//! The metrics that are ours alone follow what happens.

use crate::process::{Client, Server, create, eventually};
use bellwether_wire::OpCode;
use bellwether_wire::client::Request;

#[test]
fn our_own_metrics_follow_what_happens() {
    let server = Server::start("own-metrics", "snapCount=4");
    let names = ["zk_bytes_sent_count", "zk_log_bytes_count", "zk_four_letter_words_count"];
    let before = names.map(|name| server.metric(name));
    let mut client = Client::connect(&server);
    let (header, _) = client.call(1, &Request::Exists { path: "/a".into(), watch: true });
    assert_eq!(header.err, -101);
    client.send(2, &create("/a", &[7; 1000]));
    client.frame().expect("the event comes first");
    client.reply(OpCode::Create).expect("then the reply");
    let after = names.map(|name| server.metric(name));
    // The event and three replies; a record with its data; a word each time one was asked for.
    assert!(after[0] > before[0] + 100, "{before:?} {after:?}");
    assert!((1_000..10_000).contains(&(after[1] - before[1])), "{before:?} {after:?}");
    assert_eq!(after[2], before[2] + 3);
    assert_eq!(server.metric("zk_watch_events_count"), 1);
    let step = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("zk_core_step_ms_max\t"));
        line.and_then(|value| value.parse::<f64>().ok())
    };
    let step = step(&server.word("mntr")).expect("a number");
    assert!(step > 0.0, "{step}");

    for xid in 3..11 {
        client.call(xid, &create(&format!("/{xid}"), b"x"));
    }
    eventually("a snapshot is made", || server.metric("zk_cnt_snapshottime") > 0);
    eventually("it is over", || server.metric("zk_snapshot_running") == 0);
    // Its age begins with its end, and grows.
    let age = server.metric("zk_snapshot_age_ms");
    assert!(age < server.metric("zk_uptime"), "{age}");
    eventually("it grows older", || server.metric("zk_snapshot_age_ms") > age);
}
