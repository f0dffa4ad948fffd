//! Long answers: whole however they are cut, and never made faster than their client takes them.

use crate::limits::{SORTERS_MAX, TELLING_PATIENCE, UNSENT_BYTES_PAUSE};
use crate::net::clients::Phase;
use crate::run::offline::Offline;
use bellwether_node::ConnId;
use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_wire::client::{ConnectRequest, Request};
use bellwether_wire::jute::Put;
use bellwether_wire::{SessionId, Zxid};

const SESSIONS: usize = 1_200;
const WATCHES_EACH: usize = 4;
/// No line that these tests see is longer.
const LINE_BYTES_MAX: usize = 300;

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_len(body.len());
    frame.put_slice(body);
    frame
}

/// A server with sessions that watch paths, a few that all watch and many that one watches.
fn watched() -> (Offline, Vec<ConnId>) {
    let mut server = Offline::new(&[
        ("zookeeper.dataDir", "/nowhere"),
        ("zookeeper.4lw.commands.whitelist", "*"),
        ("zookeeper.maxClientCnxns", "0"),
    ]);
    let mut conns = Vec::new();
    for session in 0..SESSIONS {
        let conn = server.connect();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 30_000,
            session: SessionId::NONE,
            password: Box::new([]),
            read_only: Some(false),
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        server.send(conn, &frame(&body));
        for watch in 0..WATCHES_EACH {
            let path = match watch {
                0 => "/everybody".to_owned(),
                _ => format!("/{session}/a-path-that-is-not-short/{watch}"),
            };
            let request = Request::Exists { path: path.into(), watch: true };
            let mut body = Vec::new();
            body.put_int(i32::try_from(watch).expect("few"));
            body.put_int(request.op().code());
            request.encode(&mut body);
            server.send(conn, &frame(&body));
        }
        conns.push(conn);
    }
    server.settle();
    (server, conns)
}

/// Asks, and returns the answer and how many rounds it took. In no round more was made than one
/// step may visit, nor more than the client has room for.
fn ask(server: &mut Offline, word: &str) -> (String, usize) {
    let conn = server.connect();
    server.send(conn, word.as_bytes());
    let (mut rounds, mut lines_before) = (0, 0);
    while server.is_open(conn) {
        server.core.turn(conn);
        server.core.go_on();
        rounds += 1;
        let sent = server.sent(conn);
        let unsent = server.core.clients.get(conn).map_or(0, |client| client.outbox.len());
        assert!(
            unsent <= UNSENT_BYTES_PAUSE + LINE_BYTES_MAX,
            "{unsent} bytes ahead of the client"
        );
        let lines = sent.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines - lines_before <= VISITS_PER_STEP, "{} lines", lines - lines_before);
        lines_before = lines;
        assert!(rounds < 1_000, "{word} has no end");
        if server.core.clients.get(conn).is_none() {
            break;
        }
    }
    (String::from_utf8(server.sent(conn)).expect("words are text"), rounds)
}

#[test]
fn a_list_of_many_is_whole_and_made_in_slices() {
    let (mut server, _) = watched();
    let own_paths = SESSIONS * (WATCHES_EACH - 1);
    let (text, rounds) = ask(&mut server, "wchp");
    assert_eq!(text.lines().count(), own_paths + 1 + SESSIONS * WATCHES_EACH + 1);
    assert!(rounds > text.lines().count() / VISITS_PER_STEP, "{rounds}");
    let (text, rounds) = ask(&mut server, "wchc");
    assert_eq!(text.lines().count(), SESSIONS + SESSIONS * WATCHES_EACH + 1);
    assert!(rounds > text.lines().count() / VISITS_PER_STEP, "{rounds}");
    let (text, _) = ask(&mut server, "wchs");
    let (paths, watches) = (own_paths + 1, SESSIONS * WATCHES_EACH);
    let expected =
        format!("{SESSIONS} connections watching {paths} paths\nTotal watches:{watches}\n");
    assert_eq!(text, expected);
    let (text, rounds) = ask(&mut server, "cons");
    assert_eq!(text.lines().filter(|line| line.contains(",lop=EXIS,")).count(), SESSIONS);
    assert!(rounds > 1);
    let (text, rounds) = ask(&mut server, "dump");
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("\t0x"), count("\tip: ")), (SESSIONS, SESSIONS + 1));
    assert!(rounds > 3 * SESSIONS / VISITS_PER_STEP, "{rounds}");
    let (text, _) = ask(&mut server, "crst");
    assert_eq!(text, "Connection stats reset.\n");
    let (text, _) = ask(&mut server, "cons");
    let reset =
        text.lines().filter(|line| line.contains("recved=0,sent=0,") && line.contains("lop=NA"));
    assert_eq!(reset.count(), SESSIONS);
}

#[test]
fn an_answer_waits_for_its_client() {
    let (mut server, _) = watched();
    let (whole, _) = ask(&mut server, "wchc");
    let conn = server.connect();
    server.takes(conn, Some(0));
    server.send(conn, b"wchc");
    let mut room = 0;
    while server.core.clients.get(conn).is_some() {
        for _ in 0..20 {
            server.one_round();
        }
        let Some(client) = server.core.clients.get(conn) else { break };
        assert!(!server.core.is_busy(), "nothing is made for a client that takes nothing");
        assert!(client.outbox.len() <= UNSENT_BYTES_PAUSE + LINE_BYTES_MAX);
        room += 10_000;
        server.takes(conn, Some(10_000));
    }
    assert_eq!(String::from_utf8(server.sent(conn)).expect("words are text"), whole);
    assert!(room > UNSENT_BYTES_PAUSE, "{room}: the answer was longer than what is made ahead");
}

#[test]
fn whoever_takes_an_answer_byte_by_byte_is_closed_at_some_point() {
    let (mut server, _) = watched();
    let conn = server.connect();
    server.takes(conn, Some(0));
    server.send(conn, b"dump");
    for _ in 0..200 {
        server.one_round();
    }
    // It has taken something a moment ago each time it is looked at.
    let takes_a_byte_and_is_looked_at = |server: &mut Offline, after| {
        server.takes(conn, Some(1));
        server.one_round();
        let now_ms = server.core.clock.now().mono_ms;
        if let Some(client) = server.core.clients.get_mut(conn) {
            client.phase = Phase::Closing { since_ms: now_ms + after };
        }
        server.core.sweep(now_ms + after);
        server.core.clients.get(conn).is_some()
    };
    let patience = u64::try_from(TELLING_PATIENCE.as_millis()).expect("a minute");
    assert!(takes_a_byte_and_is_looked_at(&mut server, patience - 1));
    assert!(!takes_a_byte_and_is_looked_at(&mut server, patience));
    assert_eq!(server.core.sorters.count, 0);
}

#[test]
fn only_a_few_sort_all_connections_at_a_time() {
    let (mut server, _) = watched();
    let (whole, _) = ask(&mut server, "dump");
    assert!(whole.len() > UNSENT_BYTES_PAUSE, "{}", whole.len());
    let asking: Vec<ConnId> = (0..3 * SORTERS_MAX)
        .map(|_| {
            let conn = server.connect();
            server.takes(conn, Some(0));
            server.send(conn, b"dump");
            conn
        })
        .collect();
    let mut most = 0;
    let mut left = asking.len();
    while left > 0 {
        for _ in 0..50 {
            server.one_round();
            most = most.max(server.core.sorters.count);
        }
        left = 0;
        for conn in &asking {
            // The first one breaks off in the middle of it all.
            if server.core.clients.get(*conn).is_some() {
                left += 1;
                server.takes(*conn, Some(20_000));
            }
        }
        if most == SORTERS_MAX
            && asking.first().is_some_and(|c| server.core.clients.get(*c).is_some())
        {
            server.core.close_now(asking[0]);
        }
    }
    assert_eq!((most, server.core.sorters.count), (SORTERS_MAX, 0));
    for conn in &asking[1..] {
        let text = String::from_utf8(server.sent(*conn)).expect("words are text");
        assert!(text.matches("\tip: ").count() >= SESSIONS, "{}", text.len());
    }
}

#[test]
fn the_trace_mask_follows_its_word() {
    let mut server = Offline::new(&[
        ("zookeeper.dataDir", "/nowhere"),
        ("zookeeper.4lw.commands.whitelist", "stmk,gtmk"),
    ]);
    let mut ask = |pieces: &[&[u8]]| {
        let conn = server.connect();
        for piece in pieces {
            server.send(conn, piece);
            server.settle();
        }
        (String::from_utf8(server.sent(conn)).expect("words are text"), server.is_open(conn))
    };
    assert_eq!(ask(&[b"gtmk"]), ("306".to_owned(), false));
    assert_eq!(ask(&[b"stmk", b"\0\0\0\0\0\0\x01"]), (String::new(), true));
    assert_eq!(ask(&[b"stmk", b"\0\0\0\0\0\0\x01", b"\x23more"]), ("291".to_owned(), false));
    assert_eq!(ask(&[b"gtmk"]), ("291".to_owned(), false));
    assert_eq!(ask(&[b"stmk\xff\xff\xff\xff\xff\xff\xff\xfe"]), ("-2".to_owned(), false));
}

#[test]
fn a_word_that_is_not_allowed_waits_for_no_argument() {
    let mut server = Offline::new(&[("zookeeper.dataDir", "/nowhere")]);
    let conn = server.connect();
    server.send(conn, b"stmk");
    server.settle();
    assert_eq!(server.sent(conn), b"stmk is not executed because it is not in the whitelist.\n");
    assert!(!server.is_open(conn));
}

#[test]
fn directories_are_measured_in_slices_one_at_a_time() {
    let base = std::env::temp_dir().join(format!("bellwether-words-{}", std::process::id()));
    let version_2 = base.join("version-2");
    std::fs::create_dir_all(&version_2).expect("a directory can be made");
    for file in 0..2_500 {
        std::fs::write(version_2.join(format!("log.{file}")), "four").expect("it can be written");
    }
    let dir = base.to_str().expect("the test's own path is text");
    let mut server =
        Offline::new(&[("zookeeper.dataDir", dir), ("zookeeper.4lw.commands.whitelist", "*")]);
    let (text, rounds) = ask(&mut server, "dirs");
    assert_eq!(text, "datadir_size: 10000\nlogdir_size: 10000\n");
    assert!(rounds >= 5, "{rounds}");
    let asking: Vec<ConnId> = (0..3).map(|_| server.connect()).collect();
    asking.iter().for_each(|conn| server.send(*conn, b"dirs"));
    asking.iter().for_each(|conn| server.core.turn(*conn));
    while server.core.is_busy() {
        server.core.go_on();
        let clients = asking.iter().filter_map(|conn| server.core.clients.get(*conn));
        let tellings = clients.filter_map(|client| client.telling.as_ref());
        assert!(tellings.filter(|telling| telling.at.reads()).count() <= 1);
    }
    assert!(asking.iter().all(|conn| server.sent(*conn) == text.as_bytes()));
    std::fs::remove_dir_all(&base).expect("it can be removed");
}
