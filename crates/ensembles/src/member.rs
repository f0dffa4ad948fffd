//! One member of an ensemble: a process of Apache's or of ours with a seat and a directory.
//!
//! What it keeps true: both kinds get the same zoo.cfg, are signalled by pid alone, and end with
//! their owner; a log begins anew with each start, and the older ones stay beside it.
//!
//! What it leaves to others: what a state means for the ensemble.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use bellwether_wire::Zxid;
use rustix::process::{Pid, Signal, kill_process};

use crate::network::Seat;
use crate::wait::wait_for;

/// What one four-letter word may take: a member that is paused never answers.
const WORD_LIMIT: Duration = Duration::from_secs(1);
const CLIENT_PORT: u16 = 2181;
/// How much of a log is shown when something failed.
const LOG_LINES: usize = 30;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Apache,
    Bellwether,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Apache => "Apache",
            Kind::Bellwether => "Bellwether",
        })
    }
}

/// Whether it votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Participant,
    Observer,
}

/// How a leader brought a member up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    Diff,
    Trunc,
    Snap,
}

/// What a member writes into its log when its leader has decided: Apache's words, and ours.
const SYNCS: [(Sync, [&str; 2]); 3] = [
    (Sync::Diff, ["Getting a diff from the leader", "getting a DIFF"]),
    (Sync::Trunc, ["Truncating log to get in sync with the leader", "truncating the log"]),
    (Sync::Snap, ["Getting a snapshot from leader", "getting a snapshot"]),
];

/// Where a member's log writes and syncs go wrong, by the plan of `crates/faults`.
#[derive(Clone, Debug)]
pub(crate) struct BadDisk {
    pub(crate) library: PathBuf,
    pub(crate) plan: String,
}

/// What `srvr` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) mode: String,
    pub(crate) zxid: Zxid,
}

/// A member, up or down.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) sid: u8,
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    pub(crate) seat: Seat,
    /// The words of its command; `{properties}` is where `-D` goes. The file follows them.
    command: Vec<String>,
    properties: Vec<String>,
    home: PathBuf,
    starts: u32,
    child: Option<Child>,
    pub(crate) bad_disk: Option<BadDisk>,
}

impl Member {
    /// A member that was never started, with an empty directory below `work`.
    pub(crate) fn new(
        (sid, kind, part): (u8, Kind, Part),
        seat: Seat,
        (command, properties): (&[String], &[String]),
        work: &Path,
    ) -> Result<Member, String> {
        let home = work.join(format!("member-{sid}"));
        let problem = |error: io::Error| format!("cannot create {}: {error}", home.display());
        fs::create_dir_all(home.join("data")).map_err(problem)?;
        fs::write(home.join("data/myid"), format!("{sid}\n")).map_err(problem)?;
        Ok(Member {
            sid,
            kind,
            part,
            seat,
            command: command.to_vec(),
            properties: properties.to_vec(),
            home,
            starts: 0,
            child: None,
            bad_disk: None,
        })
    }

    /// Writes its zoo.cfg: what all members have, and what is its own.
    pub(crate) fn configure(&self, common: &str, listen: Listen) -> Result<(), String> {
        let data = self.home.join("data");
        let mut text = format!("dataDir={}\nclientPort={CLIENT_PORT}\n{common}", data.display());
        if listen == Listen::OnItsAddress {
            text += &format!("clientPortAddress={}\n", self.seat.client);
        }
        if self.part == Part::Observer {
            text += "peerType=observer\n";
        }
        let path = self.home.join("zoo.cfg");
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.seat.client), CLIENT_PORT)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data/version-2")
    }

    /// Starts the process, and waits for nothing.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "member {} is up", self.sid);
        let told = |error: io::Error| format!("cannot start member {}: {error}", self.sid);
        self.starts += 1;
        let log = File::create(self.log()).map_err(told)?;
        let errors = log.try_clone().map_err(told)?;
        let (program, words) = self.command.split_first().ok_or("an empty command")?;
        // What is preloaded is for the server alone, and not for what starts it.
        let mut command = self.seat.command("env");
        if let Some(BadDisk { library, plan }) = &self.bad_disk {
            let shadow = self.home.join("shadow");
            match fs::remove_dir_all(&shadow) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
                Ok(()) | Err(_) => {}
            }
            command.arg(format!("LD_PRELOAD={}", library.display()));
            command.arg(format!("FAULTS_PLAN={plan}"));
            command.arg(format!("FAULTS_DIR={}", self.home.join("data").display()));
            command.arg(format!("FAULTS_SHADOW={}", shadow.display()));
        }
        command.arg(program);
        for word in words {
            match word.as_str() {
                "{properties}" => drop(command.args(&self.properties)),
                word => drop(command.arg(word)),
            }
        }
        command.arg(self.home.join("zoo.cfg")).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(command.spawn().map_err(told)?);
        Ok(())
    }

    /// How the process ended, if it did so without being asked.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// SIGKILL, whether it runs or is paused; waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.signal(Signal::KILL)?;
        self.gone().map(drop)
    }

    /// SIGTERM; waits until it is gone.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        self.signal(Signal::TERM)?;
        self.gone().map(drop)
    }

    /// Waits until the process has ended.
    pub(crate) fn gone(&mut self) -> Result<ExitStatus, String> {
        let what = format!("the end of member {}", self.sid);
        let status = wait_for(&what, || Ok(self.ended()));
        let status = status.map_err(|why| self.explain(&why))?;
        self.child = None;
        Ok(status)
    }

    /// SIGSTOP, and waits until each of its threads has stopped, for the signal only asks them to:
    /// it keeps its connections and says nothing.
    pub(crate) fn pause(&self) -> Result<(), String> {
        self.signal(Signal::STOP)?;
        wait_for(&format!("member {} to stop", self.sid), || {
            Ok(self.threads()?.iter().all(|state| *state == 'T').then_some(()))
        })
    }

    /// The state of each of its threads, a letter of proc(5).
    fn threads(&self) -> Result<Vec<char>, String> {
        let pid = self.pid().ok_or_else(|| format!("member {} is not up", self.sid))?;
        let told = |error| format!("the threads of member {}: {error}", self.sid);
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(told)?;
        // One that ends while we look has no file any more, and no say.
        let stats =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
        Ok(stats.filter_map(|stat| stat.rsplit(") ").next()?.chars().next()).collect())
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("member {} is not up", self.sid))?;
        kill_process(pid, signal).map_err(|error| format!("member {}: {error}", self.sid))
    }

    /// Removes everything but `myid`.
    pub(crate) fn wipe(&self) -> Result<(), String> {
        assert!(self.child.is_none(), "member {} is up", self.sid);
        fs::remove_dir_all(self.data())
            .map_err(|error| format!("cannot remove {}: {error}", self.data().display()))
    }

    /// Sends a four-letter word and gives the answer.
    pub(crate) fn word(&self, word: &str) -> Result<String, String> {
        let ask = || {
            let mut stream = TcpStream::connect_timeout(&self.address(), WORD_LIMIT)?;
            stream.set_read_timeout(Some(WORD_LIMIT))?;
            stream.write_all(word.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().map_err(|error: io::Error| format!("{word} to member {}: {error}", self.sid))
    }

    /// Its role and zxid; `None` while it serves nobody.
    pub(crate) fn status(&self) -> Option<Status> {
        if !self.is_up() {
            return None;
        }
        parse_status(&self.word("srvr").ok()?)
    }

    /// A number of `mntr`.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.word("mntr").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        line.and_then(|value| value.trim().parse().ok())
    }

    /// The most memory that its process has had.
    pub(crate) fn peak_bytes(&self) -> Result<u64, String> {
        let pid = self.pid().ok_or_else(|| format!("member {} is not up", self.sid))?;
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} says nothing of VmHWM"))
    }

    fn log(&self) -> PathBuf {
        self.home.join(format!("log-{}.txt", self.starts))
    }

    fn log_text(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it was brought up to date since its last start: the last such line of its log.
    pub(crate) fn synced_by(&self) -> Option<Sync> {
        self.log_text().lines().rev().find_map(|line| {
            let said = |words: &[&str; 2]| words.iter().any(|words| line.contains(words));
            SYNCS.iter().find(|(_, words)| said(words)).map(|(sync, _)| *sync)
        })
    }

    /// Whether its transaction log holds these bytes.
    pub(crate) fn has_logged(&self, wanted: &[u8]) -> bool {
        let files = fs::read_dir(self.data()).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with("log.")).any(|file| {
            let bytes = fs::read(file.path()).unwrap_or_default();
            bytes.windows(wanted.len()).any(|window| window == wanted)
        })
    }

    /// A message with the end of its log.
    pub(crate) fn explain(&self, why: &str) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        let shown: Vec<String> = shown.iter().map(|line| format!("    {line}")).collect();
        format!("member {} ({}): {why}\n{}", self.sid, self.kind, shown.join("\n"))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Where a member listens for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    OnItsAddress,
    OnAll,
}

fn parse_status(text: &str) -> Option<Status> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let zxid = i64::from_str_radix(value("Zxid: 0x")?, 16).ok()?;
    Some(Status { mode: value("Mode: ")?.to_owned(), zxid: Zxid(zxid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_serves_has_a_mode_and_a_zxid() {
        let text = "Zookeeper version: 3.9.5\nZxid: 0x20000000f\nMode: follower\nNode count: 5\n";
        let status = Status { mode: "follower".into(), zxid: Zxid(0x2_0000_000f) };
        assert_eq!(parse_status(text), Some(status));
        assert_eq!(parse_status("This ZooKeeper instance is not currently serving"), None);
    }
}
