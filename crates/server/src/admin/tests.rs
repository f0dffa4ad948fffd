//! The words against texts that Apache 3.9.5 sent for the same figures.

use super::*;
use bellwether_node::Latency;
use bellwether_tree::QuotaFigures;
use bellwether_wire::{SessionId, Zxid};
use expect_test::{expect, expect_file};

fn status() -> Status {
    Status {
        last_processed: Zxid(0x1f),
        digest: 1,
        node_count: 5,
        ephemerals_count: 2,
        approximate_data_size: 44,
        sessions: 3,
        connections: 3,
        watch_count: 7,
        outstanding: 1,
        latency: Latency { count: 7, sum_ms: 9, min_ms: 0, max_ms: 4 },
        watch_events: 11,
        sessions_expired: 12,
        digest_mismatches: 0,
        snapshot_running: true,
    }
}

fn shell() -> ShellFigures {
    let mut fsync_us = Summary::default();
    [1_500, 12_700].into_iter().for_each(|us| fsync_us.record(us));
    ShellFigures {
        uptime_ms: 4_015,
        connections: 2,
        packets_received: 15,
        packets_sent: 13,
        bytes_received: 60,
        fsync_us,
        core_step_us_max: 1_234,
        open_files: Some(50),
        ..ShellFigures::default()
    }
}

fn namespaces() -> BTreeMap<String, NamespaceFigures> {
    let quotas = QuotaFigures {
        count_limit: Some(-1),
        bytes_limit: Some(100),
        count_usage: Some(3),
        bytes_usage: Some(40),
    };
    let app = NamespaceFigures { quotas, refusals: Some(2) };
    BTreeMap::from([("app".to_owned(), app), ("idle".to_owned(), NamespaceFigures::default())])
}

#[track_caller]
fn check(mode: Mode, word: &str, expected: expect_test::Expect) {
    expected.assert_eq(&told(mode, word));
}

fn told(mode: Mode, word: &str) -> String {
    let client = |peer: &str, reads| ConnectionFigures {
        peer: peer.parse().expect("an address"),
        session: Some(SessionId(1)),
        timeout_ms: 4_000,
        reads,
        writes: false,
        queued: 0,
        received: 1,
        sent: 0,
    };
    let view = View {
        mode,
        status: status(),
        shell: shell(),
        connections: vec![client("127.0.0.1:36450", false), client("[::1]:36452", true)],
        allows: &|word| word != "wchs",
        conf: &|| "clientPort=2181\n".to_owned(),
        quotas: &namespaces,
    };
    let bytes = word.as_bytes().try_into().expect("four letters");
    let word = super::word(bytes).expect("a known word");
    answer(word, &view).replace(VERSION, "VERSION")
}

#[test]
fn srvr_and_stat_are_apaches_texts() {
    check(
        Mode::Standalone,
        "srvr",
        expect![[r#"
            Zookeeper version: VERSION
            Latency min/avg/max: 0/1.2857/4
            Received: 15
            Sent: 13
            Connections: 2
            Outstanding: 1
            Zxid: 0x1f
            Mode: standalone
            Node count: 5
        "#]],
    );
    check(
        Mode::Standalone,
        "stat",
        expect![[r#"
            Zookeeper version: VERSION
            Clients:
             /127.0.0.1:36450[0](queued=0,recved=1,sent=0)
             /[0:0:0:0:0:0:0:1]:36452[1](queued=0,recved=1,sent=0)

            Latency min/avg/max: 0/1.2857/4
            Received: 15
            Sent: 13
            Connections: 2
            Outstanding: 1
            Zxid: 0x1f
            Mode: standalone
            Node count: 5
        "#]],
    );
}

#[test]
fn short_words_have_no_line_break() {
    check(Mode::Standalone, "ruok", expect!["imok"]);
    check(Mode::Standalone, "isro", expect!["rw"]);
}

#[test]
fn conf_is_the_configurations_text() {
    check(Mode::Standalone, "conf", expect![["clientPort=2181\n"]]);
}

#[test]
fn a_word_that_is_not_allowed_is_refused_in_apaches_words() {
    check(
        Mode::Standalone,
        "wchs",
        expect![["wchs is not executed because it is not in the whitelist.\n"]],
    );
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    for word in ["srvr", "stat", "mntr", "conf"] {
        check(
            Mode::NotServing,
            word,
            expect![["This ZooKeeper instance is not currently serving requests\n"]],
        );
    }
    check(Mode::NotServing, "ruok", expect!["imok"]);
    check(Mode::NotServing, "isro", expect!["null"]);
}

#[test]
fn words_without_an_answer_say_so() {
    check(
        Mode::Standalone,
        "cons",
        expect![["cons is not answered by this version of Bellwether.\n"]],
    );
    check(
        Mode::Standalone,
        "gtmk",
        expect![["gtmk is not answered: Bellwether has no trace mask.\n"]],
    );
}

#[test]
fn mntr_tells_what_is_measured() {
    let expected = expect_file!["../../testdata/mntr-of-a-view.txt"];
    expected.assert_eq(&told(Mode::Standalone, "mntr"));
}

/// Apache 3.9.5's answers, as they came from it.
const APACHE_SRVR: &str = include_str!("../../testdata/srvr-3.9.5-standalone.txt");
const APACHE_STAT: &str = include_str!("../../testdata/stat-3.9.5-standalone.txt");
const APACHE_METRICS: &str = include_str!("../../testdata/mntr-3.9.5-standalone.txt");

/// Texts are equal once every number and the version are taken out.
fn skeleton(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with("Zookeeper version") {
            return "version".to_owned();
        }
        line.replace(|c: char| c.is_ascii_digit(), "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn texts_have_the_lines_of_apaches_own() {
    let view = View {
        mode: Mode::Standalone,
        status: Status { last_processed: Zxid(0), ..status() },
        shell: shell(),
        connections: vec![ConnectionFigures {
            peer: "127.0.0.1:36450".parse().expect("an address"),
            session: None,
            timeout_ms: 0,
            reads: false,
            writes: false,
            queued: 0,
            received: 1,
            sent: 0,
        }],
        allows: &|_| true,
        conf: &String::new,
        quotas: &BTreeMap::new,
    };
    for (word, apache) in [(b"srvr", APACHE_SRVR), (b"stat", APACHE_STAT)] {
        let ours = answer(super::word(*word).expect("a known word"), &view);
        assert_eq!(skeleton(&ours), skeleton(apache));
        assert_eq!(ours.ends_with('\n'), apache.ends_with('\n'));
    }
}

#[test]
fn every_metric_of_apache_is_measured_or_has_a_reason() {
    let measured = METRICS.iter().filter(|m| m.origin == Origin::Apache).map(|m| m.name);
    let unmeasured = UNMEASURED.iter().flat_map(|group| group.names.iter().copied());
    let mut accounted: Vec<&str> = measured.chain(unmeasured).collect();
    accounted.sort_unstable();
    let twice: Vec<_> = accounted.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");

    let apaches = APACHE_METRICS.lines().filter(|line| !line.starts_with('#'));
    let forgotten: Vec<_> = apaches.filter(|name| !accounted.contains(name)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
    for ours in METRICS.iter().filter(|m| m.origin == Origin::Ours) {
        assert!(!accounted.contains(&ours.name), "{} is Apache's", ours.name);
    }
}

#[test]
fn the_version_is_one_that_clients_can_read() {
    let (version, date) = VERSION.split_once(", built on ").expect("both parts");
    assert!(version.starts_with("3.9.5-"));
    assert!(version.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)));
    let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00 00:00 UTC");
}

#[test]
fn words_are_in_order_and_every_row_is_in_the_compatibility_table() {
    assert!(WORDS.is_sorted_by_key(|word| word.name));
    assert_eq!(words_compat_rows().len(), WORDS.len());
    assert!(words_compat_rows().iter().all(|row| row.starts_with("| `")));
    let untold: usize = UNMEASURED.iter().map(|group| group.names.len()).sum();
    assert_eq!(metrics_compat_rows().len(), METRICS.len() + untold);
    assert!(word([0, 0, 0, 44]).is_none());
}
