//! The server process of a round: started under the preload library, killed without warning.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::options::Options;
use super::wire::Connection;

const READY_TIME_MAX: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
const LOG_TAIL_LINES: usize = 15;

/// The directories and files of one chain.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) home: PathBuf,
    /// Whether the log has a data directory of its own.
    pub(super) split: bool,
}

impl Layout {
    /// The directory that the preload library watches.
    pub(super) fn watched(&self) -> PathBuf {
        self.home.join("disk")
    }

    pub(super) fn shadow(&self) -> PathBuf {
        self.home.join("shadow")
    }

    /// The watched directory as it was before the last power loss.
    pub(super) fn before(&self) -> PathBuf {
        self.home.join("before")
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("server.out")
    }

    /// Makes the directories of a chain that begins, both empty.
    pub(super) fn make(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.home) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(self.watched().join("data"))?;
        if self.split {
            fs::create_dir_all(self.watched().join("txn"))?;
        }
        Ok(())
    }

    /// The last lines that the server printed, to say why it ended.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let skipped = lines.len().saturating_sub(LOG_TAIL_LINES);
        lines.get(skipped..).unwrap_or_default().join("\n    ")
    }

    /// The errors that the library has injected since the last power loss.
    pub(super) fn fired(&self) -> Vec<String> {
        let text = fs::read_to_string(self.shadow().join("fired")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn write_config(&self, options: &Options, port: u16) -> io::Result<PathBuf> {
        let mut lines = vec![
            "tickTime=500".to_owned(),
            format!("dataDir={}", self.watched().join("data").display()),
            format!("clientPort={port}"),
            "clientPortAddress=127.0.0.1".to_owned(),
            "maxClientCnxns=0".to_owned(),
            "maxSessionTimeout=60000".to_owned(),
            // Small, so that a round has many log files and snapshots.
            "snapCount=200".to_owned(),
            "preAllocSize=64".to_owned(),
            "admin.enableServer=false".to_owned(),
        ];
        if self.split {
            lines.push(format!("dataLogDir={}", self.watched().join("txn").display()));
        }
        lines.extend(options.config.iter().cloned());
        let path = self.home.join("zoo.cfg");
        fs::write(&path, lines.join("\n") + "\n")?;
        Ok(path)
    }
}

/// A running server. Dropping it kills the process.
pub(super) struct Server {
    child: Mutex<Child>,
    pub(super) address: SocketAddr,
}

/// What came of waiting for a server to serve.
pub(super) enum Started {
    Ready,
    Exited(ExitStatus),
    Silent,
}

impl Server {
    pub(super) fn start(options: &Options, layout: &Layout, plan: &str) -> io::Result<Self> {
        let port = free_port()?;
        let config = layout.write_config(options, port)?;
        let (program, arguments) = options.command.split_first().expect("options have a command");
        let output = OpenOptions::new().create(true).append(true).open(layout.log_file())?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg(config)
            .env("LD_PRELOAD", &options.library)
            .env("FAULTS_DIR", layout.watched())
            .env("FAULTS_SHADOW", layout.shadow())
            .env("FAULTS_NAMES", options.names.as_str())
            .env("FAULTS_PLAN", plan)
            .current_dir(&layout.home)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(variant) = &options.broken {
            command.env("BELLWETHER_BREAK", variant);
        }
        let child = command.spawn().map_err(|error| named(program, &error))?;
        Ok(Self { child: Mutex::new(child), address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    /// Waits until the server gives out a session.
    pub(super) fn wait_ready(&self) -> io::Result<Started> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(Started::Exited(status));
            }
            if let Ok(true) = Connection::probe(self.address) {
                return Ok(Started::Ready);
            }
            if started.elapsed() > READY_TIME_MAX {
                return Ok(Started::Silent);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits for the server to end by itself, at most for `time`.
    pub(super) fn wait_exit(&self, time: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            let status = self.exited()?;
            if status.is_some() || started.elapsed() > time {
                return Ok(status);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Kills the server as a power loss would: at once. One that has ended already stays ended.
    pub(super) fn kill(&self) -> io::Result<()> {
        let mut child = self.child();
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills without waiting for the end, from a client's thread in the middle of the load.
    pub(super) fn strike(&self) {
        let mut child = self.child();
        child.kill().expect("a child that was not waited for can be killed");
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("no holder of this lock panics")
    }

    fn exited(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that cannot be killed has ended.
        drop(self.kill());
    }
}

fn named(program: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("starting {program}: {error}"))
}

/// A loopback port that nobody listens on, below the range from which the system takes the ports
/// of outgoing connections, so that none of those takes it before the server does.
fn free_port() -> io::Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let first: u64 = range.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(32_768);
    let since_epoch = std::time::UNIX_EPOCH.elapsed().map_err(io::Error::other)?;
    let noise = u64::from(since_epoch.subsec_nanos()) ^ (u64::from(std::process::id()) << 32);
    let mut rng = crate::rng::Rng::new(noise);
    for _ in 0..1000 {
        let port = u16::try_from(rng.between(10_000, first.clamp(10_001, 60_000) - 1))
            .map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port"))
}

/// Whether the library exists, before a round finds out the hard way.
pub(super) fn readable(path: &Path) -> io::Result<()> {
    File::open(path).map(|_| ()).map_err(|error| named(&path.display().to_string(), &error))
}
