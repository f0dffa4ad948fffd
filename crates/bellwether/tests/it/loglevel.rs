//! The level of a running server's log, by command.

use crate::process::Server;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

fn loglevel(data_dir: &Path, level: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.arg("loglevel").args(level).arg("--data-dir").arg(data_dir);
    command.output().expect("it can be run")
}

#[track_caller]
fn check(output: &Output, code: i32, out: &str, err: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints text");
    let printed = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{printed:?}");
    assert_eq!(printed.0, out);
    assert!(printed.1.contains(err), "{printed:?}");
}

#[test]
fn a_command_tells_and_changes_the_level() {
    let mut server = Server::start("loglevel", "");
    let dir = server.data_dir();
    check(&loglevel(&dir, &[]), 0, "info\n", "");
    check(
        &loglevel(&dir, &["info,bellwether_server::run=debug"]),
        0,
        "bellwether_server::run=debug,info\n",
        "",
    );
    check(&loglevel(&dir, &["inof"]), 1, "", "`inof` cannot be read: expected error, warn, info");
    check(&loglevel(&dir, &["warn"]), 0, "warn\n", "");
    check(&loglevel(&dir, &[]), 0, "warn\n", "");
    check(&loglevel(&dir, &["warn", "info"]), 2, "", "usage: bellwether loglevel");
    let socket = dir.join("bellwether.control");
    let found = std::fs::symlink_metadata(&socket).expect("it is there");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    // A socket that a killed server left is replaced; an orderly end leaves none.
    server.restart();
    check(&loglevel(&dir, &["debug"]), 0, "debug\n", "");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!socket.exists());
    check(&loglevel(&dir, &[]), 1, "", "no server answers on");
}

#[test]
fn a_long_path_and_a_file_in_the_way_do_no_harm() {
    let base = std::env::temp_dir().join(format!("bellwether-loglevel-{}", std::process::id()));
    let dir = base.join("a-directory-whose-path-is-too-long-for-a-socket".repeat(3));
    std::fs::create_dir_all(&dir).expect("a directory can be made");
    let lines = format!("dataDir={}\n", dir.display());
    let mut server = Server::start("loglevel-long", &lines);
    check(&loglevel(&dir, &["error"]), 0, "error\n", "");
    server.signal("KILL");
    server.wait();
    std::fs::remove_file(dir.join("bellwether.control")).expect("it was left");
    std::fs::write(dir.join("bellwether.control"), "mine").expect("a file can be written");
    server.restart();
    assert!(server.word("ruok").contains("imok"), "it serves without the socket");
    let kept = std::fs::read_to_string(dir.join("bellwether.control")).expect("it was left alone");
    assert_eq!(kept, "mine");
    assert_ne!(loglevel(&dir, &[]).status.code(), Some(0));
    drop(server);
    std::fs::remove_dir_all(&base).expect("it can be removed");
}
