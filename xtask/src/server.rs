//! One ZooKeeper server under test: Apache's or ours, with the same configuration.
//!
//! Keeps true: a server listens on loopback only, is up when it answers `srvr`, and ends with its
//! owner. Whatever a harness does with one flavour it can do with the other.
//! Leaves to the harnesses what they ask it.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::maven;
use crate::process::{Background, create, free_port, make_dir, read, run, wait_for, write};
use crate::report::tail;
use crate::workspace::Workspace;

/// A build of the server from empty caches.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// A Java virtual machine on a busy machine takes its time.
pub(crate) const START_LIMIT: Duration = Duration::from_mins(1);
/// What a server may take to sync and end.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What one four-letter word may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Another process may take a port between our look and the server's bind.
pub(crate) const START_ATTEMPTS: usize = 3;

/// Lines that every server of a harness is given.
const COMMON_LINES: &str = "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
    4lw.commands.whitelist=*\ninitLimit=10\nsyncLimit=5\n";

/// Log to the console as Apache's own configuration does, and audit lines, where there are some, in
/// its form to the file that a harness names; the names of both are relative to the server's own
/// directory.
const LOGBACK: &str = "<configuration>\n  <appender name=\"OUT\" \
    class=\"ch.qos.logback.core.ConsoleAppender\">\n    <encoder><pattern>%d %-5p [%t:%C{1}] \
    %m%n</pattern></encoder>\n  </appender>\n  <root level=\"${level:-INFO}\">\
    <appender-ref ref=\"OUT\"/></root>\n  <appender name=\"AUDIT\" \
    class=\"ch.qos.logback.core.FileAppender\">\n    <file>${logback.audit.file:-/dev/null}</file>\n    \
    <encoder><pattern>%d{ISO8601} %p %c{2}: %m%n</pattern></encoder>\n  </appender>\n  \
    <logger name=\"org.apache.zookeeper.audit.Slf4jAuditLogger\" additivity=\"false\" \
    level=\"INFO\"><appender-ref ref=\"AUDIT\"/></logger>\n</configuration>\n";

/// The digest of `super:test`, the super user of every harness.
pub(crate) const SUPER_DIGEST: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Apache,
    Bellwether,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apache => write!(f, "Apache {}", maven::APACHE_VERSION),
            Self::Bellwether => f.write_str("Bellwether"),
        }
    }
}

impl Flavour {
    /// The original first: what it cannot do is not asked of ours.
    pub(crate) const BOTH: [Self; 2] = [Self::Apache, Self::Bellwether];
}

/// What is started: a directory of its own, and settings on top of the common ones.
#[derive(Debug)]
pub(crate) struct Launch {
    flavour: Flavour,
    home: PathBuf,
    lines: Vec<String>,
    properties: Vec<String>,
}

impl Launch {
    /// A server that keeps everything below `home`.
    pub(crate) fn new(flavour: Flavour, home: &Path) -> Self {
        Self { flavour, home: home.to_owned(), lines: Vec::new(), properties: Vec::new() }
    }

    /// Adds a line of zoo.cfg.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds `-Dzookeeper.NAME=VALUE`.
    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push(format!("-Dzookeeper.{name}={value}"));
        self
    }

    /// Adds `-DNAME=VALUE`, for the properties whose names do not begin with `zookeeper`.
    pub(crate) fn bare_property(mut self, name: &str, value: &str) -> Self {
        self.properties.push(format!("-D{name}={value}"));
        self
    }

    /// Where log and snapshots stand.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self, workspace: &Workspace) -> Result<Server, String> {
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            match self.attempt(workspace, free_port()?) {
                Ok(server) => return Ok(server),
                Err(why) if why.to_lowercase().contains("in use") => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(last)
    }

    /// Starts the server on this port and waits until it answers.
    fn attempt(&self, workspace: &Workspace, port: u16) -> Result<Server, String> {
        self.spawn(workspace, port)?.up()
    }

    /// Starts the server on this port, without waiting.
    pub(crate) fn spawn(&self, workspace: &Workspace, port: u16) -> Result<Server, String> {
        make_dir(&self.data())?;
        let config = self.home.join("zoo.cfg");
        write(&config, self.config(port))?;
        let log = self.home.join("server.log");
        let mut command = self.flavour.command(workspace, &self.properties)?;
        command.arg(&config).current_dir(&self.home);
        let output = create(&log)?;
        let errors = output.try_clone().map_err(|e| format!("cannot share the log: {e}"))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = Background::spawn(&mut command)?;
        Ok(Server { flavour: self.flavour, process, port, log })
    }

    fn config(&self, port: u16) -> String {
        let own: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        // A setting that a harness repeats replaces the common one, as the last line wins.
        format!("dataDir={}\nclientPort={port}\n{COMMON_LINES}{own}", self.data().display())
    }
}

impl Flavour {
    /// The server's command up to the name of its configuration file.
    pub(crate) fn command(
        self,
        workspace: &Workspace,
        properties: &[String],
    ) -> Result<Command, String> {
        match self {
            Self::Apache => {
                let mut java = apache_java(workspace)?;
                java.args(properties);
                java.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
                Ok(java)
            }
            Self::Bellwether => {
                let mut command = workspace.command(bellwether(workspace)?);
                command.arg("server").args(properties);
                Ok(command)
            }
        }
    }
}

/// Java with Apache's class path and our logging, ready for the name of a main class.
pub(crate) fn apache_java(workspace: &Workspace) -> Result<Command, String> {
    java(workspace, &maven::class_path(workspace)?)
}

/// Java with a class path and our logging, ready for the name of a main class.
pub(crate) fn java(workspace: &Workspace, class_path: &str) -> Result<Command, String> {
    let logback = workspace.cached("logback")?.join("harness.xml");
    workspace.exclusively("logback", || write(&logback, LOGBACK))?;
    let mut java = workspace.command("java");
    java.arg("-Xmx1000m").arg(format!("-Dlogback.configurationFile={}", logback.display()));
    java.args(["-cp", class_path]);
    Ok(java)
}

/// Our binary as it is quickly built, for a developer who tries something.
pub(crate) fn bellwether_debug(workspace: &Workspace) -> Result<PathBuf, String> {
    let mut cargo = workspace.cargo(&["build", "-p", "bellwether"]);
    run(&mut cargo, BUILD_LIMIT)?.success().map_err(|e| format!("building bellwether: {e}"))?;
    Ok(workspace.built("debug", "bellwether"))
}

/// Our binary as users get it; cargo decides whether there is something to build.
pub(crate) fn bellwether(workspace: &Workspace) -> Result<PathBuf, String> {
    let mut cargo = workspace.cargo(&["build", "--release", "-p", "bellwether"]);
    run(&mut cargo, BUILD_LIMIT)?.success().map_err(|e| format!("building bellwether: {e}"))?;
    Ok(workspace.built("release", "bellwether"))
}

/// Sends a four-letter word to a server on this machine and gives the answer.
pub(crate) fn four_letter_word(port: u16, word: &str) -> Result<String, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().map_err(|e: std::io::Error| format!("{word} to {address}: {e}"))
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    flavour: Flavour,
    process: Background,
    port: u16,
    log: PathBuf,
}

impl Server {
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The plain client port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until it serves: a member of an ensemble answers before it does.
    pub(crate) fn up(mut self) -> Result<Self, String> {
        let up = wait_for("an answer to srvr", START_LIMIT, || {
            if let Some(status) = self.process.ended() {
                return Some(Err(format!("it ended: {status}")));
            }
            self.word("srvr").ok().filter(|text| text.starts_with("Zookeeper version")).map(Ok)
        });
        match up {
            Ok(Ok(_)) => Ok(self),
            Ok(Err(why)) | Err(why) => Err(self.explain(&why)),
        }
    }

    /// Sends a four-letter word and gives the answer.
    pub(crate) fn word(&self, word: &str) -> Result<String, String> {
        four_letter_word(self.port, word)
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let status = self.process.terminate(STOP_LIMIT).map_err(|why| self.explain(&why))?;
        // A Java virtual machine ends with 128 + 15 when it is asked to by SIGTERM.
        let expected = match self.flavour {
            Flavour::Apache => status.code() == Some(143),
            Flavour::Bellwether => status.success(),
        };
        if expected { Ok(()) } else { Err(self.explain(&format!("after SIGTERM: {status}"))) }
    }

    /// Ends the server and starts it again with the same directory on the same port.
    pub(crate) fn restart(self, workspace: &Workspace, launch: &Launch) -> Result<Self, String> {
        let port = self.port;
        self.stop()?;
        launch.attempt(workspace, port)
    }

    /// Kills the server (SIGKILL) and starts it again with the same directory on the same port.
    pub(crate) fn crash(self, workspace: &Workspace, launch: &Launch) -> Result<Self, String> {
        let port = self.port;
        // A process that its owner lets go is killed and waited for.
        drop(self.process);
        launch.attempt(workspace, port)
    }

    /// A message with the end of the server's log.
    pub(crate) fn explain(&self, why: &str) -> String {
        let log = read(&self.log).unwrap_or_default();
        format!("{}: {why}\n{}", self.flavour, tail(&log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harness_adds_to_the_common_settings_and_may_replace_them() {
        let launch = Launch::new(Flavour::Apache, Path::new("/x"))
            .line("tickTime=500")
            .property("extendedTypesEnabled", "true");
        let config = launch.config(1234);
        assert!(config.starts_with("dataDir=/x/data\nclientPort=1234\nclientPortAddress=127"));
        assert!(config.ends_with("\ntickTime=500\n"), "{config}");
        assert_eq!(launch.properties, ["-Dzookeeper.extendedTypesEnabled=true"]);
    }
}
