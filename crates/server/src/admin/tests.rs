//! The words against texts that Apache 3.9.5 sent for the same figures.

use super::*;
use bellwether_node::{ConnectionStatus, Latency, Statistics, Summary};
use bellwether_tree::{QuotaFigures, WatchesSummary};
use bellwether_wire::{OpCode, SessionId, Zxid};
use bellwether_zab::Serving;
use expect_test::{expect, expect_file};

mod members;

fn status() -> Status {
    Status {
        serving: Some(Serving::Alone),
        ensemble: None,
        last_processed: Zxid(0x1f),
        digest: 1,
        node_count: 5,
        ephemerals_count: 2,
        approximate_data_size: 44,
        sessions: 3,
        connections: 3,
        watch_count: 7,
        data_watches: WatchesSummary { paths: 3, watches: 5 },
        watching_connections: 2,
        session_deadlines: 2,
        ephemeral_owners: 1,
        outstanding: 1,
        latency: Latency { count: 7, sum_ms: 9, min_ms: 0, max_ms: 4 },
        watch_events: 11,
        sessions_expired: 12,
        resumed_sessions: 13,
        digest_mismatches: 0,
        throttle: bellwether_node::ThrottleFigures::default(),
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
        startup: Startup {
            load_ms: Some(0),
            snapshot_load_ms: None,
            txns_load_ms: Some(0),
            txns_loaded: Some(0),
        },
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

fn client(peer: &str, reads: bool) -> ConnectionFigures {
    ConnectionFigures {
        peer: peer.parse().expect("an address"),
        established_ms: 1_795_265_192_964,
        status: None,
        reads,
        writes: false,
        queued: 0,
        received: 1,
        sent: 0,
    }
}

fn measures() -> Measures {
    let mut measures = Measures::default();
    (1..=100).for_each(|ms| measures.read_latency_ms.record(ms));
    measures.watchers_told.changed.record(3);
    measures
}

struct Told;

impl Facts for Told {
    fn conf(&self) -> String {
        "clientPort=2181\n".to_owned()
    }
    fn directory_bytes(&self) -> (u64, u64) {
        (478, 67_108_880)
    }
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("host.name", "here".to_owned()), ("java.version", "<NA>".to_owned())]
    }
    fn digests(&self) -> Vec<(Zxid, u64)> {
        vec![(Zxid(0x80), 14_207_234_299), (Zxid(0x1_0000_0080), u64::MAX)]
    }
    fn quotas(&self) -> BTreeMap<String, NamespaceFigures> {
        namespaces()
    }
}

fn told(mode: Mode, name: &str) -> String {
    let clients = [client("127.0.0.1:36450", false), client("[::1]:36452", true)];
    let text = render(mode, name, &status(), &clients);
    text.replace(VERSION, "VERSION")
}

/// The answer, without what the node lists.
fn render(mode: Mode, name: &str, status: &Status, clients: &[ConnectionFigures]) -> String {
    let figures = (status.clone(), shell(), measures());
    render_measured(mode, name, figures, clients)
}

fn render_measured(
    mode: Mode,
    name: &str,
    (status, shell, measures): (Status, ShellFigures, Measures),
    clients: &[ConnectionFigures],
) -> String {
    let shell_measures = ShellMeasures::default();
    let view = View {
        mode,
        status,
        shell,
        measures: &measures,
        shell_measures: &shell_measures,
        now_ms: 50_000,
        settings: SettingFigures {
            jute_maxbuffer_bytes: 0xf_ffff,
            extended_types_enabled: false,
            digest_enabled: true,
        },
        trace_mask: 306,
        facts: &Told,
    };
    let bytes = name.as_bytes().try_into().expect("four letters");
    let word = word(bytes).expect("a known word");
    let parts = match answer(word, mode, |word| word != "crst") {
        Answer::Refused(text) => return text,
        Answer::Parts(parts) => parts,
    };
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(said) => text.push_str(&said(&view)),
            Part::Clients(detail) => {
                clients.iter().for_each(|client| lines::client(&mut text, client, *detail));
            }
            Part::Listed(_) | Part::Connections => {} // The node's, tested where there is one.
            // These say nothing.
            Part::MeasureDirectories | Part::ResetServer | Part::ResetConnections => {}
        }
    }
    text
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
        "crst",
        expect![["crst is not executed because it is not in the whitelist.\n"]],
    );
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    for word in ["srvr", "stat", "mntr", "conf", "wchs", "dump", "cons"] {
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
fn words_say_what_apache_says_for_the_same_figures() {
    check(Mode::Standalone, "srst", expect![["Server stats reset.\n"]]);
    check(Mode::Standalone, "gtmk", expect!["306"]);
    check(Mode::Standalone, "stmk", expect!["306"]);
    check(Mode::Standalone, "dirs", expect![["datadir_size: 478\nlogdir_size: 67108880\n"]]);
    check(Mode::Standalone, "hash", expect![["80: 14207234299\n100000080: -1\n"]]);
    check(Mode::Standalone, "wchs", expect![["2 connections watching 3 paths\nTotal watches:5\n"]]);
    check(
        Mode::Standalone,
        "envi",
        expect![["Environment:\nzookeeper.version=VERSION\nhost.name=here\njava.version=<NA>\n"]],
    );
    check(
        Mode::Standalone,
        "dump",
        expect![[r"
            SessionTracker dump:
            Session Sets (2)/(3):
            ephemeral nodes dump:
            Sessions with Ephemerals (1):
            Connections dump:
        "]],
    );
    assert_eq!(told(Mode::Standalone, "wchp"), "\n");
}

/// As Apache 3.9.5 printed them: after the session began, after a refused write, after `crst`.
#[test]
fn cons_has_apaches_fields() {
    let latency = Latency { count: 3, sum_ms: 8, min_ms: 0, max_ms: 8 };
    let fresh = Statistics::default();
    let cases = [
        (
            Statistics {
                last_op: Some(OpCode::CreateSession),
                last_cxid: Some(0),
                last_zxid: Zxid(1),
                last_response_ms: 12_593_995,
                last_latency_ms: 8,
                latency: Latency { count: 1, sum_ms: 8, min_ms: 8, max_ms: 8 },
            },
            "lop=SESS,est=1795265192964,to=10000,lcxid=0x0,lzxid=0x1,lresp=12593995,llat=8,\
             minlat=8,avglat=8,maxlat=8",
        ),
        (
            Statistics { last_cxid: Some(10), last_zxid: Zxid(5), latency, ..fresh },
            "lop=NA,est=1795265192964,to=10000,lcxid=0xa,lzxid=0x5,lresp=0,llat=0,minlat=0,\
             avglat=2,maxlat=8",
        ),
        (
            fresh,
            "lop=NA,est=1795265192964,to=10000,lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,\
             avglat=0,maxlat=0",
        ),
    ];
    for (statistics, expected) in cases {
        let session = SessionId(0x0100_00bb_4dbf_0000);
        let connection = ConnectionStatus {
            session,
            timeout_ms: 10_000,
            queued: 0,
            expires_ms: None,
            statistics,
        };
        let client =
            ConnectionFigures { status: Some(connection), ..client("127.0.0.1:58998", true) };
        let head = " /127.0.0.1:58998[1](queued=0,recved=1,sent=0,sid=0x10000bb4dbf0000";
        let text = render(Mode::Standalone, "cons", &status(), &[client]);
        assert_eq!(text, format!("{head},{expected})\n\n"));
    }
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
    let status = Status { last_processed: Zxid(0), ..status() };
    for (word, apache) in [("srvr", APACHE_SRVR), ("stat", APACHE_STAT)] {
        let clients = [client("127.0.0.1:36450", false)];
        let ours = render(Mode::Standalone, word, &status, &clients);
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
