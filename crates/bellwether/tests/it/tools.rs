//! The shell and the load generator, as a person runs them, against a server of ours.

use crate::process::Server;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn bellwether(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.args(args);
    command
}

/// What a command of the shell prints and how it exits.
#[track_caller]
fn check(server: &Server, command: &[&str], stdout: &str, stderr: &str, code: i32) {
    let address = server.clients.to_string();
    let output = bellwether(&["cli", "-server", &address]).args(command).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let got = (text(&output.stdout), text(&output.stderr), output.status.code());
    assert_eq!(got, (stdout.to_owned(), stderr.to_owned(), Some(code)), "{command:?}");
}

#[test]
fn one_command_prints_its_result_and_exits_with_its_code() {
    let server = Server::start("cli-once", "");
    check(&server, &["create", "/a", "two words"], "", "Created /a\n", 0);
    check(&server, &["get", "/a"], "two words\n", "", 0);
    check(&server, &["create", "-s", "/a/n"], "", "Created /a/n0000000000\n", 0);
    check(&server, &["ls", "/"], "[a, zookeeper]\n", "", 0);
    check(&server, &["ls", "-R", "/a"], "/a\n/a/n0000000000\n", "", 0);
    check(&server, &["set", "/a", "x", "-v", "7"], "", BAD_VERSION, 1);
    check(&server, &["set", "/a", "x", "-v", "0"], "", "", 0);
    check(&server, &["get", "/a/n0000000000"], "null\n", "", 0);
    check(&server, &["create", "/a"], "", "Node already exists: /a\n", 1);
    check(&server, &["delete", "/a"], "", "Node not empty: /a\n", 1);
    check(&server, &["delete", "/a/n0000000000"], "", "", 0);
    check(&server, &["delete", "/a"], "", "", 0);
    check(&server, &["stat", "/a"], "", "Node does not exist: /a\n", 1);
    let stat = bellwether(&["cli", "-server", &server.clients.to_string(), "stat", "/zookeeper"]);
    let lines = stdout({ stat }.output().expect("it runs"));
    let keys: Vec<&str> = lines.lines().filter_map(|line| line.split(" = ").next()).collect();
    assert_eq!(keys, STAT_KEYS);
}

const BAD_VERSION: &str = "version No is not valid : /a\n";

const STAT_KEYS: [&str; 11] = [
    "cZxid",
    "ctime",
    "mZxid",
    "mtime",
    "pZxid",
    "cversion",
    "dataVersion",
    "aclVersion",
    "ephemeralOwner",
    "dataLength",
    "numChildren",
];

#[test]
fn a_command_that_is_wrong_is_refused_without_a_server() {
    for (command, code, begin) in [
        (&["frobnicate"][..], 127, "Command not found: frobnicate\n"),
        (&["get"], 1, "get [-s] [-w] [-b] [-x] path\n -b   Output data in base64"),
        (&["-timeout", "soon", "ls", "/"], 2, "-timeout soon: expected milliseconds above 0"),
    ] {
        let output = bellwether(&["cli"]).args(command).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {text}");
        assert!(text.starts_with(begin), "{command:?}: {text}");
    }
}

#[test]
fn a_property_without_a_name_is_refused() {
    let output = bellwether(&["server", "-D", "", "--check-config"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("-D: expected -Dname=value"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

fn stdout(output: Output) -> String {
    String::from_utf8(output.stdout).expect("it prints text")
}

#[test]
fn the_prompt_runs_line_by_line_and_prints_what_it_watches() {
    let server = Server::start("cli-prompt", "");
    let mut shell = bellwether(&["cli", "-server", &server.clients.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = shell.stdin.take().expect("it is piped");
    // The last get is answered after the event: then it has been told.
    let lines =
        "create /a 1\nget -w /a\nset /a 2\nget /a\nfrob\n\nstat /none\nget /a\nquit\nls /\n";
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    let output = shell.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "a command of the script has failed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.starts_with("Created /a\nCommand not found: frob\n"), "{errors}");
    assert!(errors.ends_with("Node does not exist: /none\n"), "{errors}");
    let printed = stdout(output);
    let event =
        "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/a zxid: ";
    assert!(printed.contains(event), "{printed}");
    let results: Vec<&str> = printed.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(results, ["1", "2", "2"], "{printed}");
    assert!(!printed.contains("[a, zookeeper]"), "nothing runs after quit: {printed}");
}

/// The value of a key in the one line of JSON that the load generator prints.
fn value<'a>(json: &'a str, key: &str) -> &'a str {
    let begin = format!("\"{key}\":");
    let (_, rest) = json.split_once(&begin).unwrap_or_else(|| panic!("{key} in {json}"));
    rest.split([',', '}']).next().unwrap_or_default()
}

const BENCH_KEYS: [&str; 12] = [
    "workload",
    "ops",
    "ops_per_s",
    "server_cpu_s",
    "ops_per_cpu_s",
    "p50_us",
    "p90_us",
    "p99_us",
    "p999_us",
    "max_us",
    "rss_peak_bytes",
    "errors",
];

#[test]
fn every_workload_is_counted_exactly_and_leaves_nothing_behind() {
    let server = Server::start("bench", "");
    let address = server.clients.to_string();
    let own = std::process::id().to_string();
    for workload in ["get", "set", "create", "mixed"] {
        let output = bellwether(&["bench", "--server", &address, "--workload", workload])
            .args(["--count", "2000", "--connections", "3", "--inflight", "7", "--json"])
            .args(["--pid", &own])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json = stdout(output);
        for key in BENCH_KEYS {
            assert_ne!(value(&json, key), "", "{key} in {json}");
        }
        assert_eq!(value(&json, "workload"), format!("\"{workload}\""));
        assert_eq!((value(&json, "ops"), value(&json, "errors")), ("2000", "0"), "{json}");
        check(&server, &["ls", "/"], "[zookeeper]\n", "", 0);
    }
}

#[test]
fn a_timed_benchmark_measures_its_window() {
    let server = Server::start("bench-timed", "");
    let output = bellwether(&["bench", "--server", &server.clients.to_string(), "--keep"])
        .args(["--paths", "10", "--seconds", "0.2", "--warmup", "0.1", "--json"])
        .output()
        .expect("it runs");
    let json = stdout(output);
    let number = |key| value(&json, key).parse::<f64>().expect("a number");
    assert!(number("seconds") >= 0.2 && number("ops") > 0.0, "{json}");
    let rate = number("ops") / number("seconds");
    assert!((number("ops_per_s") / rate - 1.0).abs() < 0.01, "{json}");
    assert_eq!(value(&json, "server_cpu_s"), "null");
    let listed = bellwether(&["cli", "-server", &server.clients.to_string(), "ls", "/"]);
    assert!(stdout({ listed }.output().expect("it runs")).contains("bellwether-bench-"));
}
