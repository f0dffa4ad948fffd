//! A member of an ensemble as a process: what it says while nobody is with it, what stops it, and
//! what three of them are to their clients.

use crate::process::{Client, Server, create, eventually};
use bellwether_wire::client::{ConnectRequest, frame};
use bellwether_wire::{SessionId, Zxid};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// Ports that nobody listens on at the moment.
fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// The lines of an ensemble of three, each with a port for the quorum and one for elections.
fn ensemble(ports: [u16; 6]) -> String {
    let [a, b, c, d, e, f] = ports;
    format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\nserver.1=127.0.0.1:{a}:{b}\n\
         server.2=127.0.0.1:{c}:{d}\nserver.3=127.0.0.1:{e}:{f}\n"
    )
}

fn write_my_id(zoo_cfg: &Path, my_id: i64) {
    let data = zoo_cfg.parent().expect("it lies in a directory").join("data");
    fs::create_dir_all(&data).expect("a directory can be made");
    fs::write(data.join("myid"), my_id.to_string()).expect("a file can be written");
}

fn start(name: &str, my_id: i64, lines: &str) -> Server {
    Server::start_with(name, lines, |command| {
        let zoo_cfg = command.get_args().last().expect("its configuration").to_owned();
        write_my_id(Path::new(&zoo_cfg), my_id);
    })
}

/// Whether a client that asks for a session is sent away without an answer.
fn is_sent_away(server: &Server) -> bool {
    let mut stream = TcpStream::connect(server.clients).expect("it accepts");
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 10_000,
        session: SessionId::NONE,
        password: Box::new([0; 16]),
        read_only: Some(false),
    };
    let mut out = Vec::new();
    frame::write(&mut out, |out| request.encode(out));
    stream.write_all(&out).expect("it reads");
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

/// A client of this member makes a node.
fn write(member: &Server, path: &str) {
    let (header, _) = Client::connect(member).call(1, &create(path, b"x"));
    assert_eq!(header.err, 0, "{path}");
}

#[test]
fn a_member_without_a_quorum_serves_nobody_and_says_so() {
    let server = start("member-alone", 1, &ensemble(free_ports()));
    let not_serving = "This ZooKeeper instance is not currently serving requests\n";
    for word in ["srvr", "stat", "mntr", "conf", "cons", "dump"] {
        assert_eq!(server.word(word), not_serving, "{word}");
    }
    assert_eq!(server.word("hash"), not_serving.trim_end());
    assert_eq!((server.word("ruok"), server.word("isro")), ("imok".to_owned(), "null".to_owned()));
    assert!(is_sent_away(&server));
    assert!(!server.has_logged(" serving clients="), "it is not ready");
}

#[test]
fn without_the_election_port_it_ends_as_apaches_does() {
    let ports: [u16; 6] = free_ports();
    let [_, election, ..] = ports;
    let taken = TcpListener::bind(("127.0.0.1", election)).expect("it is free");
    let lines = ensemble(ports) + "electionPortBindRetry=1\n";
    let mut server = start("member-no-port", 1, &lines);
    assert_eq!(server.wait().code(), Some(14));
    eventually("it says why", || server.has_logged("the election port cannot be opened"));
    drop(taken);
}

#[test]
fn without_myid_nothing_is_started() {
    let dir = std::env::temp_dir().join(format!("bellwether-it-no-myid-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory can be made");
    let lines = ensemble([1, 2, 3, 4, 5, 6]);
    let text = format!("clientPort=0\ndataDir={}\n{lines}", dir.display());
    fs::write(dir.join("zoo.cfg"), text).expect("a file can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("server")
        .arg(dir.join("zoo.cfg"))
        .output()
        .expect("the server can be started");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("there is no file myid in dataDir"), "{said}");
    fs::remove_dir_all(&dir).expect("it is ours");
}

#[test]
fn three_members_serve_and_survive_the_end_of_their_leader() {
    let lines = ensemble(free_ports());
    let mut members: Vec<Server> =
        (1..=3).map(|my_id| start(&format!("member-{my_id}"), my_id, &lines)).collect();
    let mode = |server: &Server| {
        let text = server.word("srvr");
        text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    };
    eventually("all serve", || members.iter().all(|member| mode(member).is_some()));
    let leads = |member: &Server| mode(member).as_deref() == Some("leader");
    assert_eq!(members.iter().filter(|member| leads(member)).count(), 1);
    let before = members.iter().position(leads).expect("one leads");
    for member in &members {
        assert!(member.word("conf").contains("\nmembership: \nserver.1=127.0.0.1:"));
        assert_eq!(member.word("isro"), "rw");
    }
    let follower = members.iter().position(|member| !leads(member)).expect("two follow");
    let member = members.get(follower).expect("it is one of them");
    write(member, "/before");
    drop(members.remove(before));
    eventually("another leads", || members.iter().any(leads));
    eventually("both serve", || members.iter().all(|member| mode(member).is_some()));
    let member = members.first().expect("two are left");
    write(member, "/after");
    let count = |member: &Server| member.metric("zk_znode_count");
    eventually("both have both", || members.iter().all(|member| count(member) == 7));
}
