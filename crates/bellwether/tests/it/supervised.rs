//! What supervisors see: systemd's notifications, a limit of open files.

use crate::process::{Client, PATIENCE, Server, eventually};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

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
