//! The processes of the ensemble: their files, their ports, what they log.

use crate::ensemble;
use bellwether_client::Host;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Error, Result};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Lines that may wait to be printed; a member that logs faster waits.
const LINES_MAX: usize = 1000;

/// The members, running or not.
pub(super) struct Members {
    dirs: BTreeMap<u8, PathBuf>,
    clients: BTreeMap<u8, u16>,
    running: BTreeMap<u8, Child>,
    lines: mpsc::Receiver<String>,
    printer: mpsc::Sender<String>,
}

/// The ports of one member.
struct Ports {
    client: u16,
    quorum: u16,
    election: u16,
}

impl Members {
    /// Writes a zoo.cfg and a myid for each.
    pub(super) fn create(dir: &Path, count: u8) -> Result<Members> {
        let ports: BTreeMap<u8, Ports> = (1..=count).zip(free_ports(usize::from(count))?).collect();
        let mut servers = String::new();
        for (member, Ports { quorum, election, .. }) in &ports {
            writeln!(servers, "server.{member}=127.0.0.1:{quorum}:{election}")
                .map_err(Error::other)?;
        }
        let mut dirs = BTreeMap::new();
        for (member, Ports { client, .. }) in &ports {
            let home = dir.join(format!("member-{member}"));
            let data = home.join("data");
            fs::create_dir_all(&data)?;
            fs::write(data.join("myid"), format!("{member}\n"))?;
            let zoo_cfg = format!(
                "tickTime=500\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={client}\n\
                 clientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
                 4lw.commands.whitelist=*\n{servers}",
                data.display()
            );
            fs::write(home.join("zoo.cfg"), zoo_cfg)?;
            dirs.insert(*member, home);
        }
        let clients = ports.iter().map(|(member, ports)| (*member, ports.client)).collect();
        let (printer, lines) = mpsc::channel(LINES_MAX);
        Ok(Members { dirs, clients, running: BTreeMap::new(), lines, printer })
    }

    /// The connect string.
    pub(super) fn servers(&self) -> String {
        let server = |port: &u16| format!("127.0.0.1:{port}");
        self.clients.values().map(server).collect::<Vec<_>>().join(",")
    }

    /// Starts a member that does not run.
    pub(super) fn start(&mut self, member: u8) -> Result<()> {
        let home = self.dirs.get(&member).ok_or_else(|| unknown(member))?;
        let ended = self.running.get_mut(&member).map(Child::try_wait).transpose()?;
        if matches!(ended, Some(None)) {
            return Err(Error::other(format!("member {member} is running")));
        }
        let mut child = Command::new(std::env::current_exe()?)
            .arg("server")
            .arg(home.join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(print(member, stdout, self.printer.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(print(member, stderr, self.printer.clone()));
        }
        self.running.insert(member, child);
        Ok(())
    }

    /// Kills a member, as a loss of power would.
    pub(super) fn kill(&mut self, member: u8) -> Result<()> {
        self.signal(member, Signal::KILL)
    }

    /// Stops its process.
    pub(super) fn pause(&mut self, member: u8) -> Result<()> {
        self.signal(member, Signal::STOP)
    }

    /// Lets it go on.
    pub(super) fn go(&mut self, member: u8) -> Result<()> {
        self.signal(member, Signal::CONT)
    }

    fn signal(&mut self, member: u8, signal: Signal) -> Result<()> {
        let child = self.running.get_mut(&member).ok_or_else(|| unknown(member))?;
        if child.try_wait()?.is_some() {
            return Err(Error::other(format!("member {member} is not running")));
        }
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| Error::other(format!("member {member} is not running")))?;
        Ok(kill_process(pid, signal)?)
    }

    /// The next line that a member logged.
    pub(super) async fn next_line(&mut self) -> String {
        // This side holds a sender, so the channel does not end.
        self.lines.recv().await.unwrap_or_default()
    }

    /// Who leads, who follows.
    pub(super) async fn status(&self) -> String {
        let host = |port: &u16| Host { name: "127.0.0.1".into(), port: *port };
        let hosts: Vec<Host> = self.clients.values().map(host).collect();
        ensemble::status(&hosts).await
    }

    /// Stops everybody; a member that is paused is let go first.
    pub(super) async fn stop(&mut self) {
        let members: Vec<u8> = self.running.keys().copied().collect();
        for member in &members {
            for signal in [Signal::TERM, Signal::CONT] {
                // One that has ended needs no signal.
                drop(self.signal(*member, signal));
            }
        }
        for child in self.running.values_mut() {
            drop(child.wait().await);
        }
        while let Ok(line) = self.lines.try_recv() {
            crate::say::line(line);
        }
    }
}

fn unknown(member: u8) -> Error {
    Error::other(format!("there is no member {member}"))
}

async fn print(
    member: u8,
    stream: impl tokio::io::AsyncRead + Unpin,
    printer: mpsc::Sender<String>,
) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if printer.send(format!("{member} | {line}")).await.is_err() {
            return;
        }
    }
}

/// Ports that nobody has at this moment.
fn free_ports(members: usize) -> Result<Vec<Ports>> {
    let held: Vec<TcpListener> =
        (0..members * 3).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_>>()?;
    let ports: Vec<u16> =
        held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<Result<_>>()?;
    let of_three = |three: &[u16]| match three {
        [client, quorum, election] => {
            Some(Ports { client: *client, quorum: *quorum, election: *election })
        }
        _ => None, // Chunks of exactly three.
    };
    Ok(ports.chunks_exact(3).filter_map(of_three).collect())
}
