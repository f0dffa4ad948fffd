//! The servers under test: started, ended, killed and started again on the same directory.
//!
//! What it keeps true: a server listens on a free loopback port, is up when it answers `srvr`, and
//! does not outlive its owner.
//!
//! What it leaves to others: how the command of a server is found; it is given.

use crate::scenario::{Settings, Side};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A Java virtual machine on a busy machine takes its time.
const START_LIMIT: Duration = Duration::from_secs(90);
/// What a server may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What one four-letter word may take.
const WORD_LIMIT: Duration = Duration::from_secs(20);
/// What the first one may take: Apache's server forgets one that comes while it starts.
const FIRST_WORD_LIMIT: Duration = Duration::from_secs(1);
/// How often a state that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Another process may take a port between our look and the server's bind.
const START_ATTEMPTS: usize = 3;
/// How much of a log is shown when a server fails.
const LOG_LINES: usize = 15;

/// What every server is given; a scenario's own lines come later and win.
const COMMON_LINES: &str = "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
    4lw.commands.whitelist=*\nextendedTypesEnabled=true\nznode.container.checkIntervalMs=3600000\n\
    DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n";

/// How servers of one side are started.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) side: Side,
    /// The words of the command; `{properties}` is where `-D` goes. The file follows them.
    pub(crate) command: Vec<String>,
    /// Where their directories stand.
    pub(crate) work: PathBuf,
}

/// A server, up or down.
#[derive(Debug)]
pub(crate) struct Server {
    recipe: Recipe,
    settings: Settings,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with a directory of its own.
    pub(crate) fn start(
        recipe: &Recipe,
        settings: &Settings,
        name: &str,
    ) -> Result<Server, String> {
        let home = recipe.work.join(format!("{}-{name}", recipe.side.name()));
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            fs::create_dir_all(home.join("data"))
                .map_err(|error| format!("cannot create {}: {error}", home.display()))?;
            let mut server = Server {
                recipe: recipe.clone(),
                settings: settings.clone(),
                home: home.clone(),
                port: free_port()?,
                child: None,
            };
            match server.up() {
                Ok(()) => return Ok(server),
                Err(why) if why.to_lowercase().contains("in use") => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(last)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process, and waits until it answers.
    pub(crate) fn up(&mut self) -> Result<(), String> {
        let own: String = self.settings.lines.iter().map(|line| format!("{line}\n")).collect();
        let data = self.home.join("data");
        let text = format!(
            "dataDir={}\nclientPort={}\n{COMMON_LINES}{}",
            data.display(),
            self.port,
            own.replace("{home}", &self.home.display().to_string())
        );
        let config = self.home.join("zoo.cfg");
        let problem = |error: io::Error| format!("cannot start a server: {error}");
        fs::write(&config, text).map_err(problem)?;
        let log = File::options().create(true).append(true).open(self.log()).map_err(problem)?;
        let errors = log.try_clone().map_err(problem)?;
        let (program, words) = self.recipe.command.split_first().ok_or("an empty command")?;
        let mut command = Command::new(program);
        for word in words {
            if word == "{properties}" {
                command.args(self.settings.properties.iter().map(|line| format!("-D{line}")));
            } else {
                command.arg(word);
            }
        }
        command.arg(&config).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(command.spawn().map_err(problem)?);
        let end = Instant::now() + START_LIMIT;
        let answers = |server: &Server| {
            let answer = server.word_within("srvr", FIRST_WORD_LIMIT);
            answer.is_ok_and(|text| text.starts_with("Zookeeper version"))
        };
        while !answers(self) {
            if let Some(status) = self.ended() {
                return Err(format!("the server ended: {status}\n{}", self.end_of_log()));
            }
            if Instant::now() > end {
                return Err(format!("the server does not answer\n{}", self.end_of_log()));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        self.signal(Signal::TERM)?;
        self.down()
    }

    /// Kills the process, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.signal(Signal::KILL)?;
        self.down()
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or("the server is not running")?;
        kill_process(pid, signal).map_err(|error| format!("cannot signal the server: {error}"))
    }

    fn down(&mut self) -> Result<(), String> {
        let end = Instant::now() + STOP_LIMIT;
        while self.ended().is_none() {
            if Instant::now() > end {
                return Err(format!("the server does not end\n{}", self.end_of_log()));
            }
            thread::sleep(LOOK_EVERY);
        }
        self.child = None;
        Ok(())
    }

    /// Sends a four-letter word and gives the answer.
    pub(crate) fn word(&self, word: &str) -> Result<String, String> {
        self.word_within(word, WORD_LIMIT)
    }

    fn word_within(&self, word: &str, limit: Duration) -> Result<String, String> {
        let ask = || {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(word.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().map_err(|error: io::Error| format!("{word}: {error}"))
    }

    fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        shown.join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What does not work here leaves a directory for whoever gave it to us to remove.
        if let Some(child) = &mut self.child {
            let _gone = child.kill().and_then(|()| child.wait());
        }
        let _left = fs::remove_dir_all(&self.home);
    }
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free loopback port: {error}"))
}

/// Reads a command from a file, one word per line.
pub(crate) fn command(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
