//! A server process of a test's own, and a client that says exactly what it is told to say.

use bellwether_wire::Reader;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::{Create, Request};
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, ReplyBody, RequestHeader, frame, xid,
};
use bellwether_wire::{Acl, Data, OpCode, SessionId, Zxid};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for a state before it says that the state does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A session's timeout where the test is not about it: nobody pings, and machines can be slow.
const SESSION_MS: i32 = 600_000;

/// A running server; killed and its directory removed when it is dropped.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    pub(crate) clients: SocketAddr,
    log: Log,
}

/// What a server said since it was started.
type Log = Arc<Mutex<String>>;

impl Server {
    /// Starts a server with these further lines in its zoo.cfg.
    pub(crate) fn start(name: &str, lines: &str) -> Server {
        Server::start_with(name, lines, |_| {})
    }

    /// As [`Server::start`], by a shell that runs `first` before it becomes the server.
    pub(crate) fn start_under(name: &str, first: &str) -> Server {
        Server::start_with(name, "", |command| {
            let mut shell = Command::new("bash");
            shell.arg("-c").arg(format!("{first} && exec \"$0\" \"$@\""));
            shell.arg(command.get_program()).args(command.get_args());
            *command = shell;
        })
    }

    /// As [`Server::start`], with a command that was changed before it is run.
    pub(crate) fn start_with(name: &str, lines: &str, change: impl FnOnce(&mut Command)) -> Server {
        let dir = std::env::temp_dir().join(format!("bellwether-it-{name}-{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).expect("an old directory can be removed");
        }
        std::fs::create_dir_all(&dir).expect("a directory can be made");
        write_zoo_cfg(&dir, lines);
        let (child, clients, log) = spawn(&dir, change);
        Server { child, dir, clients, log }
    }

    /// Where its data is.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Kills it and starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
        (self.child, self.clients, self.log) = spawn(&self.dir, |_| {});
    }

    /// As [`Server::restart`], with other further lines in its zoo.cfg.
    pub(crate) fn restart_with(&mut self, lines: &str) {
        write_zoo_cfg(&self.dir, lines);
        self.restart();
    }

    /// Whether it has written this to its log since it was started.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.log.lock().expect("nobody panics with it").contains(text)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill can be run");
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it can be waited for")
    }

    /// The most memory it ever had, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells");
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("a number") / 1024
    }

    /// The answer to a four-letter word.
    pub(crate) fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(self.clients).expect("it accepts");
        stream.write_all(word.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        text
    }

    /// A number of `mntr`.
    pub(crate) fn metric(&self, key: &str) -> u64 {
        let text = self.word("mntr");
        let line = text.lines().find(|line| line.split('\t').next() == Some(key));
        let value = line.and_then(|line| line.split('\t').nth(1));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{key} in:\n{text}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as some tests want it to.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn write_zoo_cfg(dir: &std::path::Path, lines: &str) {
    let text = format!(
        "clientPort=0\nclientPortAddress=127.0.0.1\ndataDir={}/data\n\
         4lw.commands.whitelist=*\nmaxClientCnxns=0\nmaxSessionTimeout={SESSION_MS}\n{lines}\n",
        dir.display()
    );
    std::fs::write(dir.join("zoo.cfg"), text).expect("a file can be written");
}

fn spawn(dir: &std::path::Path, change: impl FnOnce(&mut Command)) -> (Child, SocketAddr, Log) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.arg("server").arg(dir.join("zoo.cfg"));
    change(&mut command);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the server can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut before = String::new();
    let clients = loop {
        let line = lines.next().expect("it tells where it serves").expect("it writes text");
        before.push_str(&line);
        before.push('\n');
        if let Some((_, address)) = line.split_once("clients=") {
            break address.split_whitespace().next().and_then(|a| a.parse().ok()).expect(&line);
        }
    };
    // Whatever it says later must not fill the pipe.
    let log = Log::new(Mutex::new(before));
    let written = log.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut log = written.lock().expect("nobody panics with it");
            log.push_str(&line);
            log.push('\n');
        }
    });
    (child, clients, log)
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::yield_now();
    }
}

/// A client with a session.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) session: SessionId,
    pub(crate) timeout_ms: i32,
}

impl Client {
    pub(crate) fn connect(server: &Server) -> Client {
        Client::resume(server, SessionId::NONE, SESSION_MS).expect("a new session is given")
    }

    /// Takes a session back; `None` if it is gone.
    pub(crate) fn resume(server: &Server, session: SessionId, timeout_ms: i32) -> Option<Client> {
        let stream = TcpStream::connect(server.clients).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        let mut client = Client { stream, session, timeout_ms };
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms,
            session,
            password: session.password().0.into(),
            read_only: Some(false),
        };
        let mut out = Vec::new();
        frame::write(&mut out, |out| request.encode(out));
        client.stream.write_all(&out).expect("it reads");
        let response = ConnectResponse::decode(&client.frame()?).expect("a connect response");
        client.session = response.session;
        client.timeout_ms = response.timeout_ms;
        (response.timeout_ms > 0).then_some(client)
    }

    /// The next frame; `None` if the connection is closed.
    pub(crate) fn frame(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).ok()?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(len)).expect("a length")];
        self.stream.read_exact(&mut body).ok()?;
        Some(body)
    }

    pub(crate) fn send(&mut self, xid: i32, request: &Request) {
        self.stream.write_all(&encoded(xid, request)).expect("it reads");
    }

    /// The next reply's header and, if there is no error, its body; watch events are passed over.
    pub(crate) fn reply(&mut self, op: OpCode) -> Option<(ReplyHeader, Option<ReplyBody>)> {
        loop {
            let frame = self.frame()?;
            let mut r = Reader::new(&frame);
            let header = ReplyHeader::decode(&mut r).expect("a reply");
            if header.xid == xid::NOTIFICATION {
                continue;
            }
            let body = (header.err == 0).then(|| ReplyBody::decode(op, &mut r).expect("a body"));
            return Some((header, body));
        }
    }

    pub(crate) fn call(&mut self, xid: i32, request: &Request) -> (ReplyHeader, Option<ReplyBody>) {
        self.send(xid, request);
        self.reply(request.op()).expect("the connection stays")
    }
}

/// A whole request frame.
pub(crate) fn encoded(xid: i32, request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, |out| {
        RequestHeader { xid, op: request.op().code() }.encode(out);
        request.encode(out);
    });
    out
}

/// A create of a persistent node that is open to all.
pub(crate) fn create(path: &str, data: &[u8]) -> Request {
    let acl = Some(vec![Acl::world_all()]);
    Request::Create(Create { path: path.into(), data: Some(Data::from(data)), acl, flags: 0 })
}

/// Lets this process have as many sockets as the tests need.
pub(crate) fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum is allowed");
}
