//! A home of a test's own: a zoo.cfg, a data directory, and the scripts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A directory with a configuration; a server that a script left there is killed at the end.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
}

/// What a script printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, text: &str) -> &Said {
        assert_eq!((self.code, self.text.as_str()), (Some(code), text), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn has(&self, code: i32, parts: &[&str]) -> &Said {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            let said = self.text.contains(part) || self.errors.contains(part);
            assert!(said, "{part:?} is not in {self:#?}");
        }
        self
    }
}

impl Home {
    /// A home whose zoo.cfg has these further lines.
    pub(crate) fn new(name: &str, lines: &str) -> Home {
        let dir =
            std::env::temp_dir().join(format!("bellwether-scripts-{name}-{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).expect("an old directory can be removed");
        }
        std::fs::create_dir_all(dir.join("conf")).expect("a directory can be made");
        // `status` asks the port that the file names, so that it cannot be left to the system.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        let home = Home { dir, port };
        let text = format!(
            "clientPort={port}\nclientPortAddress=127.0.0.1\ndataDir={}\n{lines}\n",
            home.path("data")
        );
        home.write("conf/zoo.cfg", &text);
        home
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    /// A script, with the environment that it finds this build and this home in.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(script(name));
        command
            .env("BELLWETHER_BIN", env!("CARGO_BIN_EXE_bellwether"))
            .env("ZOOCFGDIR", self.path("conf"))
            .env("ZOO_LOG_DIR", self.path("logs"));
        for unset in ["ZOOCFG", "ZOOPIDFILE", "SERVER_JVMFLAGS", "JVMFLAGS"] {
            command.env_remove(unset);
        }
        command
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, name: &str, words: &[&str]) -> Said {
        said(self.script(name).args(words))
    }

    /// The process that the file names.
    pub(crate) fn pid(&self) -> String {
        self.read("data/zookeeper_server.pid")
    }

    /// The answer to a four-letter word; empty where nobody answers.
    pub(crate) fn word(&self, word: &str) -> String {
        let mut text = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            stream.write_all(word.as_bytes()).ok();
            stream.read_to_string(&mut text).ok();
        }
        text
    }

    pub(crate) fn serves(&self) {
        eventually("it serves", || self.word("srvr").contains("Mode: standalone"));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Only a server of this build and this home is meant.
        let pid = self.pid();
        let own = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if !pid.is_empty() && own.contains(env!("CARGO_BIN_EXE_bellwether")) {
            Command::new("kill").args(["-KILL", &pid]).status().ok();
        }
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().expect("it can be run");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: status.code(), text: text(stdout), errors: text(stderr) }
}

pub(crate) fn script(name: &str) -> PathBuf {
    let compat = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compat");
    if name == "docker-entrypoint.sh" { compat.join(name) } else { compat.join("bin").join(name) }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::yield_now();
    }
}
