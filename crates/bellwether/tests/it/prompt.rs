//! The shell at a terminal: a person types, and reads what stands on the screen.

use crate::process::{PATIENCE, Server};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Instant;

/// The shell on a terminal of its own.
struct Person {
    child: Child,
    keyboard: File,
    shown: mpsc::Receiver<Vec<u8>>,
    /// What was on the screen since the last look that found something.
    screen: String,
    home: PathBuf,
}

impl Person {
    fn sits_down(server: &Server, name: &str) -> Person {
        let name = format!("bellwether-prompt-{name}-{}", std::process::id());
        let home = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&home));
        std::fs::create_dir_all(&home).expect("a directory can be made");
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let path = ptsname(&master, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let slave = rustix::fs::open(path.as_c_str(), flags, Mode::empty()).expect("it opens");
        let end = |slave: &OwnedFd| slave.try_clone().expect("descriptors are left");
        let child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["cli", "-server", &server.clients.to_string()])
            .env("HOME", &home)
            .env("TERM", "xterm")
            .env_remove("XDG_STATE_HOME")
            .stdin(end(&slave))
            .stdout(end(&slave))
            .stderr(slave)
            .spawn()
            .expect("it runs");
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().expect("descriptors are left");
        let (sender, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Linux answers with an error once nobody has the other end.
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes.iter().copied().take(read).collect()).is_err() {
                    return;
                }
            }
        });
        Person { child, keyboard, shown, screen: String::new(), home }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits until this is on the screen, and gives what stood before it.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((before, after)) = self.screen.split_once(text) {
                let before = before.to_owned();
                self.screen = after.to_owned();
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.shown.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits for the prompt with this number.
    #[track_caller]
    fn is_asked(&mut self, number: u32) -> String {
        self.sees(&format!("(CONNECTED) {number}] "))
    }

    /// Ends the shell, which must have asked: what is typed before belongs to the command.
    fn leaves(&mut self) -> Option<i32> {
        self.types("\x04");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.home));
    }
}

#[test]
fn commands_options_and_paths_are_completed() {
    let server = Server::start("prompt-complete", "");
    let mut person = Person::sits_down(&server, "complete");
    person.is_asked(0);
    person.types("create /a-long-name x\r");
    person.is_asked(1);
    person.types("create /a-long-name/below y\r");
    person.is_asked(2);
    person.types("who\t\r");
    person.sees("Auth scheme: User");
    person.is_asked(3);
    person.types("get /a-l\t/b\t\r");
    person.sees("get /a-long-name/below");
    person.sees("y\r\n");
    person.is_asked(4);
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn events_are_printed_above_the_line_that_is_typed() {
    let server = Server::start("prompt-events", "");
    let mut person = Person::sits_down(&server, "events");
    person.is_asked(0);
    person.types("get -w /zookeeper\r");
    person.is_asked(1);
    person.types("create /typ");
    person.sees("create /typ");
    let set = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["cli", "-server", &server.clients.to_string(), "set", "/zookeeper", "x"])
        .status();
    assert!(set.expect("it runs").success());
    person.sees("WatchedEvent state:SyncConnected type:NodeDataChanged path:/zookeeper");
    person.sees("create /typ");
    person.types("ed x\r");
    person.sees("Created /typed");
    person.is_asked(2);
    person.types("printwatches off\r");
    person.is_asked(3);
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn lines_are_kept_for_the_next_time_but_no_secrets() {
    let server = Server::start("prompt-history", "");
    let mut person = Person::sits_down(&server, "history");
    person.is_asked(0);
    person.types("ls /\r");
    person.is_asked(1);
    person.types("addauth digest user:secret\r");
    person.is_asked(2);
    person.types("frob\r");
    person.sees("Command not found: frob");
    person.is_asked(3);
    assert_eq!(person.leaves(), Some(127), "the last command decides");
    let file = person.home.join(".local/state/bellwether/cli_history");
    let kept = std::fs::read_to_string(&file).expect("it was written");
    assert!(kept.contains("ls /\n") && kept.contains("frob\n"), "{kept}");
    assert!(!kept.contains("secret"), "{kept}");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "only its owner reads it: {mode:o}");
}

#[test]
fn an_interrupt_ends_the_command_and_not_the_shell() {
    let server = Server::start("prompt-interrupt", "");
    let mut person = Person::sits_down(&server, "interrupt");
    person.is_asked(0);
    person.types("watch /\r");
    crate::process::eventually("the watch is set", || server.metric("zk_watch_count") == 1);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&person.child),
        rustix::process::Signal::INT,
    )
    .expect("it runs");
    person.sees("Interrupted");
    person.is_asked(1);
    person.types("ls /\r");
    person.sees("[zookeeper]");
}
