//! The network of the tests: a namespace of the run, and one per member behind a bridge.
//!
//! What it keeps true: no address or port is shared with anything else on the machine, a partition
//! touches nothing but the run, and all of it is gone when the process ends, however it ends.
//! Where the system gives no namespaces the run fails.
//!
//! Clients reach every member over a link of its own, which no partition cuts.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The first argument of the process that is inside.
pub(crate) const INSIDE: &str = "--inside";

/// The bridge of the members, and the one that those who are cut off are moved to.
const TOGETHER: &str = "together";
const APART: &str = "apart";

/// Starts this program again in namespaces of its own; comes back only if that fails.
pub(crate) fn enter(arguments: &[OsString]) -> String {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("cannot find this program: {error}"),
    };
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--"]).arg(program).arg(INSIDE).args(arguments);
    format!("cannot start unshare, which makes the namespaces: {}", unshare.exec())
}

/// Begins the network inside: loopback is up, and names like those of a cluster are known.
pub(crate) fn begin(work: &Path) -> Result<(), String> {
    ip("link set lo up")?;
    let hosts = work.join("hosts");
    let names: String =
        (1..=9u8).map(|sid| format!("{} zookeeper{sid}\n", quorum_address(sid))).collect();
    fs::write(&hosts, format!("127.0.0.1 localhost\n{names}"))
        .map_err(|error| format!("cannot write {}: {error}", hosts.display()))?;
    let hosts = hosts.display().to_string();
    tool("mount", &["--bind", &hosts, "/etc/hosts"])?;
    for bridge in [TOGETHER, APART] {
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("link set {bridge} up"))?;
    }
    Ok(())
}

fn quorum_address(sid: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 97, 0, sid)
}

/// Where a member is.
#[derive(Debug)]
pub(crate) struct Seat {
    sid: u8,
    /// Where the other members reach it.
    pub(crate) quorum: Ipv4Addr,
    /// Where clients do.
    pub(crate) client: Ipv4Addr,
    /// The process that keeps the namespace; none on the loopback interface.
    holder: Option<Child>,
}

impl Seat {
    /// An address of the loopback interface: nothing can be cut, and nothing is in the way.
    pub(crate) fn loopback(sid: u8) -> Seat {
        let address = Ipv4Addr::new(127, 0, 0, sid);
        Seat { sid, quorum: address, client: address, holder: None }
    }

    /// A namespace of its own, with a link to the other members and one to the clients.
    pub(crate) fn namespace(sid: u8) -> Result<Seat, String> {
        // It ends with us: its input is a pipe that we hold.
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--", "sh", "-c", "echo; read -r _"]);
        let holder = holder
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start unshare: {error}"))?;
        let (quorum, client) = (quorum_address(sid), Ipv4Addr::new(10, 98, sid, 1));
        let mut seat = Seat { sid, quorum, client, holder: Some(holder) };
        seat.connect()?;
        Ok(seat)
    }

    fn connect(&mut self) -> Result<(), String> {
        let sid = self.sid;
        let holder = self.holder.as_mut().expect("a seat with a namespace has a holder");
        let mut line = [0];
        let mut output = holder.stdout.take().expect("it was asked for");
        std::io::Read::read_exact(&mut output, &mut line)
            .map_err(|error| format!("a namespace cannot be made: {error}"))?;
        let pid = holder.id();
        for (link, inner) in [("m", "peers"), ("c", "clients")] {
            ip(&format!("link add {link}{sid} type veth peer name {inner} netns {pid}"))?;
            ip(&format!("link set {link}{sid} up"))?;
        }
        ip(&format!("link set m{sid} master {TOGETHER}"))?;
        ip(&format!("addr add 10.98.{sid}.254/24 dev c{sid}"))?;
        self.inside("link set lo up")?;
        self.inside(&format!("addr add {}/24 dev peers", self.quorum))?;
        self.inside(&format!("addr add {}/24 dev clients", self.client))?;
        self.inside("link set peers up")?;
        self.inside("link set clients up")
    }

    /// The words before a command that make it run here, and end with this process.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = match &self.holder {
            Some(holder) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/proc/{}/ns/net", holder.id())).arg("setpriv");
                command
            }
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL", program]);
        command
    }

    fn inside(&self, words: &str) -> Result<(), String> {
        let holder = self.holder.as_ref().ok_or("a member on loopback cannot be cut off")?;
        let net = format!("--net=/proc/{}/ns/net", holder.id());
        let words: Vec<&str> = [net.as_str(), "ip"].into_iter().chain(words.split(' ')).collect();
        tool("nsenter", &words)
    }

    /// Moves it to where only the others are that were cut off.
    pub(crate) fn cut_off(&self) -> Result<(), String> {
        ip(&format!("link set m{} master {APART}", self.sid))
    }

    /// Takes its link to all others away, without a sign on the link itself.
    pub(crate) fn isolate(&self) -> Result<(), String> {
        ip(&format!("link set m{} nomaster", self.sid))
    }

    /// Brings it back to the others.
    pub(crate) fn heal(&self) -> Result<(), String> {
        ip(&format!("link set m{} master {TOGETHER}", self.sid))
    }

    /// From now on it hears `other`, but what it sends there is lost.
    pub(crate) fn mute_towards(&self, other: &Seat) -> Result<(), String> {
        self.inside(&format!("route add blackhole {}/32", other.quorum))
    }

    /// The opposite of [`Seat::mute_towards`].
    pub(crate) fn unmute_towards(&self, other: &Seat) -> Result<(), String> {
        self.inside(&format!("route del blackhole {}/32", other.quorum))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The links go with the namespace; what cannot be killed has ended.
        if let Some(holder) = &mut self.holder {
            let _gone = holder.kill().and_then(|()| holder.wait());
            let sid = self.sid;
            for link in ["m", "c"] {
                let _gone = ip(&format!("link del {link}{sid}"));
            }
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    tool("ip", &words.split(' ').collect::<Vec<&str>>())
}

fn tool(program: &str, words: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(words).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("cannot start {program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program} {}: {}", words.join(" "), why.trim()))
}
