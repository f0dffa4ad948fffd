//! The shell's own commands against a server of ours: JSON, search, export and import, `top`.
//!
//! What zkCli prints too is compared with zkCli, by `cargo xtask test zkcli`.

use crate::process::Server;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a run of the shell ended with.
struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }
}

fn shell(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.args(["cli", "-server", &server.clients.to_string()]);
    command
}

/// Runs one command.
fn once(server: &Server, words: &[&str]) -> Ran {
    shell(server).args(words).stdin(Stdio::null()).output().expect("it runs").into()
}

/// Runs a script.
fn script(server: &Server, lines: &str) -> Ran {
    let mut child = shell(server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}

/// A script that does what it should.
#[track_caller]
fn well(server: &Server, lines: &str) -> String {
    let ran = script(server, lines);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

/// A directory for a test's files, removed when it is dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Dir(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("names are text").to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const TREE: &str = "create /app top\ncreate /app/null\ncreate /app/empty ''\n\
    create /app/bytes x\nset -b /app/bytes AP8Q/w==\n\
    create /app/mine s digest:user:5w9W4eL3797Y4Wq8AcKUPPk8ha4=:cdwa,world:anyone:r\n\
    create /app/deep d\ncreate /app/deep/er e\ncreate '/app/two words' w\n";

#[test]
fn what_is_exported_comes_back_elsewhere() {
    let server = Server::start("shell-export", "");
    let dir = Dir::new("shell-export");
    let (first, second) = (dir.file("first.jsonl"), dir.file("second.jsonl"));
    well(&server, TREE);
    let exported = once(&server, &["export", "-f", &first, "/app"]);
    assert_eq!((exported.code, exported.stderr), (Some(0), format!("8 nodes in {first}\n")));
    let imported = once(&server, &["import", &first, "/copy"]);
    let said = "8 created, 0 replaced, 0 skipped, 0 ephemeral left out, at /copy\n";
    assert_eq!((imported.code, imported.stdout.as_str()), (Some(0), said), "{}", imported.stderr);
    assert_eq!(once(&server, &["export", "-f", &second, "/copy"]).code, Some(0));
    assert_eq!(nodes(&first), nodes(&second).replace("\"/copy", "\"/app"));
    let again = once(&server, &["export", "-f", &second, "/copy"]);
    assert_eq!(again.code, Some(1), "no file is overwritten");
}

/// The lines of an export without their stats, whose zxids and times are others.
#[track_caller]
fn nodes(file: &str) -> String {
    let text = std::fs::read_to_string(file).expect("it was written");
    let without_stat = |line: &str| match line.split_once(",\"stat\"") {
        Some((node, _)) => format!("{node}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(without_stat).collect()
}

#[test]
fn an_import_meets_what_is_there_as_it_was_told_to() {
    let server = Server::start("shell-import", "");
    let dir = Dir::new("shell-import");
    let file = dir.file("app.jsonl");
    well(&server, TREE);
    assert_eq!(once(&server, &["export", "-f", &file, "/app"]).code, Some(0));
    well(&server, "set /app changed\ndelete /app/deep/er\n");
    let failed = once(&server, &["import", &file]);
    assert_eq!((failed.code, failed.stderr.as_str()), (Some(1), "Node already exists: /app\n"));
    let skipped = once(&server, &["import", "-x", "skip", &file]);
    let said = "1 created, 0 replaced, 7 skipped, 0 ephemeral left out, at /app\n";
    assert_eq!((skipped.code, skipped.stdout.as_str()), (Some(0), said), "{}", skipped.stderr);
    assert_eq!(well(&server, "get /app\nget /app/deep/er\n"), "changed\ne\n");
    let replaced = script(
        &server,
        &format!("addauth digest user:secret\nimport -b 3 -x replace {file}\nget /app\n"),
    );
    let said = "0 created, 8 replaced, 0 skipped, 0 ephemeral left out, at /app\ntop\n";
    assert_eq!((replaced.code, replaced.stdout.as_str()), (Some(0), said), "{}", replaced.stderr);
}

#[test]
fn ephemeral_nodes_are_left_out_unless_they_are_wanted() {
    let server = Server::start("shell-ephemeral", "");
    let dir = Dir::new("shell-ephemeral");
    let file = dir.file("e.jsonl");
    let lines = format!("create /e x\ncreate -e /e/mine y\nexport -f {file} /e\n");
    well(&server, &lines);
    let left_out = once(&server, &["import", &file, "/one"]);
    assert_eq!(left_out.stderr, "left out, it was ephemeral: /one/mine\n");
    assert_eq!(once(&server, &["import", "-e", &file, "/two"]).code, Some(0));
    assert_eq!(well(&server, "ls /one\nls /two\n"), "[]\n[mine]\n");
}

#[test]
fn a_damaged_export_is_refused_before_anything_is_written() {
    let server = Server::start("shell-damaged", "");
    let dir = Dir::new("shell-damaged");
    let file = dir.file("app.jsonl");
    well(&server, TREE);
    assert_eq!(once(&server, &["export", "-f", &file, "/app"]).code, Some(0));
    let whole = std::fs::read_to_string(&file).expect("it was written");
    let lines: Vec<&str> = whole.lines().collect();
    let cut = lines[..lines.len() - 1].join("\n");
    let one_less = whole.replacen(&format!("{}\n", lines[3]), "", 1);
    let torn = whole.replacen("\"acl\"", "\"acl", 1);
    for (text, said) in [
        (cut, "line 10: the file ends after 8 nodes: it was cut off"),
        (one_less, "line 10: 8 nodes are expected, there are 7"),
        (torn, "line 2: expected `:` at line 1 column"),
        (String::new(), "line 1: this is no export"),
    ] {
        std::fs::write(Path::new(&file), text).expect("it can be written");
        let ran = once(&server, &["import", &file, "/copy"]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert_eq!(well(&server, "ls /\n"), "[app, zookeeper]\n");
}

#[test]
fn results_are_json_where_they_are_asked_for() {
    let server = Server::start("shell-json", "");
    let created = once(&server, &["--json", "create", "/a", "hi"]);
    assert!(created.stdout.starts_with("{\"created\":\"/a\",\"stat\":{\"aversion\":0,"));
    assert_eq!(created.stderr, "");
    let got = once(&server, &["get", "/a", "--json"]);
    assert!(
        got.stdout.starts_with("{\"data\":\"aGk=\",\"path\":\"/a\",\"stat\":{"),
        "{}",
        got.stdout
    );
    assert!(got.stdout.ends_with(",\"text\":\"hi\"}\n"), "{}", got.stdout);
    let failed = once(&server, &["--json", "get", "/none"]);
    let error = "{\"error\":\"NONODE\",\"message\":\"Node does not exist: /none\"}\n";
    assert_eq!((failed.code, failed.stderr.as_str()), (Some(1), error));
    let lines = "ls / --json\nls /\nget -w /a\nset /a you\nsync /\n";
    let printed = well(&server, lines);
    assert!(
        printed.starts_with("{\"children\":[\"a\",\"zookeeper\"],\"path\":\"/\","),
        "{printed}"
    );
    assert!(printed.contains("\n[a, zookeeper]\nhi\n\nWATCHER::\n"), "{printed}");
}

#[test]
fn a_tree_is_drawn_and_searched() {
    let server = Server::start("shell-tree", "");
    well(&server, TREE);
    let drawn = "/app\n├── bytes\n├── deep\n│   └── er\n├── empty\n├── mine\n├── null\n└── two words\n\
                 \n8 nodes\n";
    assert_eq!(once(&server, &["tree", "/app"]).stdout, drawn);
    assert!(once(&server, &["tree", "-L", "1", "/app"]).stdout.ends_with("\n7 nodes\n"));
    let find = |words: &[&str]| {
        let ran = once(&server, &[&["find"], words, &["/app"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    assert_eq!(find(&["-name", "e*"]), "/app/empty\n/app/deep/er\n");
    assert_eq!(find(&["-name", "*/deep/*"]), "/app/deep/er\n");
    assert_eq!(find(&["-larger", "3"]), "/app/bytes\n");
    assert_eq!(find(&["-children", "1"]), "/app\n");
    assert_eq!(find(&["-contains", "op"]), "/app\n");
    assert_eq!(find(&["-ephemeral"]), "");
    assert_eq!(find(&["-n", "1"]), "/app\n");
}

#[test]
fn top_shows_sessions_changes_and_watches_and_says_what_is_missing() {
    let server = Server::start("shell-top", "");
    well(&server, TREE);
    let ran = once(&server, &["top", "-i", "0.1", "-z", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "\"requests by session\":[{\"address\":\"127.0.0.1:",
        "\"watched by sessions\":[{\"path\":\"/\",\"sessions\":1}]",
        "\"name\":\"znode_count\",\"value\":",
        "\"missing\":[]",
        "{\"bytes\":4,\"children\":0,\"path\":\"/app/bytes\"}",
    ] {
        assert!(ran.stdout.contains(part), "{part} in {}", ran.stdout);
    }
    let silent = Server::start("shell-top-silent", "4lw.commands.whitelist=mntr");
    let ran = once(&silent, &["top", "-i", "0.1"]);
    let missing = "not shown: cons is not enabled: add it to 4lw.commands.whitelist in zoo.cfg\n";
    assert!(ran.stdout.contains(missing), "{}", ran.stdout);
    assert!(ran.stdout.contains("znode_count"), "{}", ran.stdout);
}

#[test]
fn a_script_that_has_one_failed_command_has_failed() {
    let server = Server::start("shell-codes", "");
    assert_eq!(script(&server, "ls /\nget /none\nls /\n").code, Some(1));
    assert_eq!(script(&server, "frob\nls /\n").code, Some(127));
    assert_eq!(script(&server, "ls /\nquit\nget /none\n").code, Some(0));
    let quota = script(&server, "delquota /none\n");
    assert_eq!((quota.code, quota.stderr.as_str()), (Some(1), "Quota does not exist for /none\n"));
    let refused = script(&server, "deleteall /\n");
    assert_eq!(refused.stderr, "deleteall /: the root cannot be deleted\n");
}

#[test]
fn a_client_configuration_is_taken_or_refused() {
    let server = Server::start("shell-properties", "");
    let dir = Dir::new("shell-properties");
    let file = dir.file("client.properties");
    std::fs::write(&file, "zookeeper.ssl.ocsp=true\n").expect("it can be written");
    let ran = once(&server, &["-client-configuration", &file, "ls", "/"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("line 1: zookeeper.ssl.ocsp: this shell"), "{}", ran.stderr);
    let ran = once(&server, &["-Dzookeeper.client.secure=true", "ls", "/"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("needs zookeeper.ssl.trustStore.location"), "{}", ran.stderr);
    std::fs::write(&file, "jute.maxbuffer=100\n").expect("it can be written");
    let long = "x".repeat(200);
    let ran = once(&server, &["-client-configuration", &file, "create", "/long", &long]);
    assert!(ran.stderr.contains("the server accepts 100 (jute.maxbuffer)"), "{}", ran.stderr);
}

#[test]
fn watch_ends_after_as_many_events_as_were_asked_for() {
    let server = Server::start("shell-watch", "");
    well(&server, "create /w 0\n");
    let mut watching = shell(&server)
        .args(["watch", "-n", "2", "/w"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    crate::process::eventually("the watch is set", || server.metric("zk_watch_count") == 1);
    well(&server, "set /w 1\ncreate /w/x\nset /w 2\n");
    let mut printed = String::new();
    let mut stdout = watching.stdout.take().expect("it is piped");
    std::io::Read::read_to_string(&mut stdout, &mut printed).expect("it prints text");
    assert!(watching.wait().expect("it ends").success());
    let types: Vec<&str> =
        printed.lines().filter_map(|line| line.split("type:").nth(1)?.split(' ').next()).collect();
    assert_eq!(types, ["NodeDataChanged", "NodeCreated"], "{printed}");
}
