//! The offline commands beside a running server.

use crate::process::Server;
use std::process::Command;

#[test]
fn what_a_running_server_holds_is_refused() {
    let server = Server::start("held", "");
    let dir = server.data_dir();
    for words in [
        &["log", "dump"][..],
        &["log", "verify"],
        &["log", "recover", "--yes"],
        &["log", "cut", "--after", "0", "--yes"],
        &["snapshot", "dump"],
        &["snapshot", "verify"],
        &["snapshot", "summary"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let output = command.args(words).arg(&dir).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {text}");
        for part in ["a server uses ", "bellwether.lock", "stop it first", "or work on a copy"] {
            assert!(text.contains(part), "{words:?}: {text}");
        }
    }
    // A single file may be looked at.
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let command = command.args(["snapshot", "verify"]).arg(dir.join("version-2/snapshot.0"));
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
