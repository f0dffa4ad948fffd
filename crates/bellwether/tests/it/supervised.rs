//! What supervisors see: systemd's notifications, the verbs of zkServer.sh, a limit of open files.

use crate::process::{Client, PATIENCE, Server, eventually};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn systemd_hears_that_it_serves_lives_and_stops() {
    let path = std::env::temp_dir().join(format!("bellwether-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).expect("a socket can be made");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
    let heard = || {
        let mut bytes = [0; 64];
        let len = socket.recv(&mut bytes).expect("the server notifies");
        String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned()
    };
    let mut server = Server::start_with("notify", "", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    });
    assert_eq!(heard(), "READY=1");
    assert_eq!(heard(), "WATCHDOG=1");
    assert_eq!(heard(), "WATCHDOG=1");
    server.signal("TERM");
    let mut last = heard();
    while last == "WATCHDOG=1" {
        last = heard();
    }
    assert_eq!(last, "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
    std::fs::remove_file(&path).expect("it was made here");
}

#[test]
fn without_descriptors_it_waits_for_one_and_goes_on() {
    // The server keeps 64 for itself, so that 16 are left for connections.
    let server = Server::start_under("descriptors", "ulimit -n 80");
    let mut clients: Vec<Client> = (0..16).map(|_| Client::connect(&server)).collect();
    let late = TcpStream::connect(server.clients).expect("the kernel takes the connection");
    late.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
    for (xid, client) in (1..).zip(&mut clients) {
        let (header, _) = client.call(xid, &bellwether_wire::client::Request::Ping);
        assert_eq!(header.err, 0, "those who are connected are served");
    }
    drop(clients);
    eventually("there is room again", || server.word("ruok") == "imok");
}

#[test]
fn the_shim_knows_apaches_verbs() {
    let dir = std::env::temp_dir().join(format!("bellwether-shim-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory can be made");
    // The shim's status asks the port that the file names, so that it cannot be left to the system.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let cfg = dir.join("zoo.cfg");
    let text =
        format!("clientPort={port}\nclientPortAddress=127.0.0.1\ndataDir={}/data\n", dir.display());
    std::fs::write(&cfg, text).expect("a file can be written");
    let shim =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compat/bin/zkServer.sh");
    let run = |verb: &str| {
        let output = Command::new(&shim)
            .arg(verb)
            .arg(&cfg)
            .env("BELLWETHER_BIN", env!("CARGO_BIN_EXE_bellwether"))
            .env("ZOO_LOG_DIR", &dir)
            .output()
            .expect("the shim can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (code, text) = run("start");
    assert_eq!((code, text.contains("STARTED")), (Some(0), true), "{text}");
    let mut text = String::new();
    eventually("status says the mode", || {
        text = run("status").1;
        text.contains("Mode: standalone")
    });
    let (code, text) = run("stop");
    assert_eq!((code, text.contains("STOPPED")), (Some(0), true), "{text}");
    std::fs::remove_dir_all(&dir).expect("it was made here");
}
