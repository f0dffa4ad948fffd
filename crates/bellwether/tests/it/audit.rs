//! The audit log of a real server: where it lies, what is in it at the end, and what happens while
//! its file takes nothing. What the lines say is compared with Apache's in `conformance/`.

use crate::process::{Client, Server, create, encoded, eventually};
use bellwether_wire::client::Request;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Command;

/// A directory for the log, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory can be made");
        Dir(dir)
    }

    fn server(&self, name: &str) -> Server {
        Server::start_with(name, "audit.enable=true", |command| {
            command.arg(format!("-Dzookeeper.auditlog.dir={}", self.0.display()));
        })
    }

    fn file(&self) -> PathBuf {
        self.0.join("zookeeper_audit.log")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn what_was_answered_stands_in_the_audit_log_when_the_server_has_stopped() {
    let dir = Dir::new("audit-whole");
    let mut server = dir.server("audit-whole");
    let mut client = Client::connect(&server);
    assert_eq!(client.call(1, &create("/a", b"x")).0.err, 0);
    assert_ne!(client.call(2, &create("/a", b"x")).0.err, 0);
    let session = client.session;
    server.signal("TERM");
    assert!(server.wait().success());
    let text = fs::read_to_string(dir.file()).expect("it is there");
    let lines: Vec<&str> =
        text.lines().map(|line| &line["2026-11-21 12:00:00,000 ".len()..]).collect();
    let logger = "o.a.z.a.Slf4jAuditLogger:";
    let create = format!(
        "session={session}\tuser=127.0.0.1\tip=127.0.0.1\toperation=create\tznode=/a\t\
         znode_type=persistent\tresult="
    );
    let start = lines[0].strip_prefix(&format!("INFO {logger} user=")).expect("the start");
    assert!(start.ends_with("\toperation=serverStart\tresult=success"), "{start}");
    assert_eq!(lines[1], format!("INFO {logger} {create}success"));
    assert_eq!(lines[2], format!("ERROR {logger} {create}failure"));
    assert!(lines[3].ends_with("\toperation=serverStop\tresult=invoked"), "{}", lines[3]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_server_whose_audit_log_cannot_be_opened_does_not_start() {
    let dir = Dir::new("audit-none");
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["server", "-Dzookeeper.audit.enable=true"])
        .arg(format!("-DdataDir={}", dir.0.join("data").display()))
        .arg(format!("-Dzookeeper.auditlog.dir={}", dir.0.join("missing").display()))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!("cannot open the audit log {}", dir.0.join("missing").display());
    assert!(text.contains(&expected), "{text}");
}

/// More than the audit log keeps for its file, with what fits into a pipe.
const WRITES: i32 = 20_000;

#[test]
fn a_file_that_takes_nothing_slows_clients_down_and_loses_no_line() {
    let dir = Dir::new("audit-slow");
    let made = Command::new("mkfifo").arg(dir.file()).status().expect("mkfifo can be run");
    assert!(made.success());
    // Opened for both, it waits for no writer; nothing is read yet.
    let pipe = OpenOptions::new().read(true).write(true).open(dir.file()).expect("it opens");
    let server = dir.server("audit-slow");
    let mut client = Client::connect(&server);
    assert_eq!(client.call(1, &create("/a", b"x")).0.err, 0);
    let mut writer = client.stream.try_clone().expect("a socket can be cloned");
    let writing = std::thread::spawn(move || {
        for xid in 0..WRITES {
            let data = Some(xid.to_string().into_bytes().into());
            let set = Request::SetData { path: "/a".into(), data, version: xid };
            writer.write_all(&encoded(xid, &set)).expect("it reads again");
        }
    });
    let mut reply = |xid| {
        let (header, _) = client.reply(bellwether_wire::OpCode::SetData).expect("it stays");
        assert_eq!((header.xid, header.err), (xid, 0));
    };
    // As many as may wait are answered though nothing is written.
    (0..8_000).for_each(&mut reply);
    let lines = std::thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map(|line| line.expect("text"));
        let is_set = |line: &String| line.contains("\toperation=setData\tznode=/a\tresult=success");
        lines.filter(is_set).take(usize::try_from(WRITES).expect("few")).count()
    });
    (8_000..WRITES).for_each(&mut reply);
    writing.join().expect("it writes");
    assert_eq!(lines.join().expect("it reads"), usize::try_from(WRITES).expect("few"));
    let writes = u64::try_from(WRITES).expect("few");
    // Those, the create, and the start of the server.
    eventually("all are counted", || server.metric("zk_audit_lines_count") == writes + 2);
    assert_eq!(server.metric("zk_audit_lines_lost_count"), 0);
}
