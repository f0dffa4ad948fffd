//! The stage `differential`: the same random operations to Apache and to us, compared field by
//! field, and the command that repeats one.
//!
//! Keeps true: CI plays one fixed seed, so that what fails there fails everywhere. Leaves the
//! comparison to `crates/differential`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::core::last_counts;
use crate::process::{Scratch, run};
use crate::report::{Failure, Passed, Report, say};
use crate::server::{Flavour, Launch, Server};
use crate::workspace::Workspace;

/// The seed of CI.
const SEED: &str = "1";
/// How many operations CI compares.
const OPERATIONS: &str = "50000";
/// A difference that is cut down takes a while; a comparison without one does not.
const LIMIT: Duration = Duration::from_mins(30);
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// Streams that showed a difference are kept here, below the cache.
const KEPT: &str = "differential";
/// The digest of `super:secret`, who can do everything in every stream.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// The stage `differential`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    report.check("random operations against both servers", || compare(workspace));
}

fn compare(workspace: &Workspace) -> Result<Passed, Failure> {
    let servers = Servers::start(workspace)?;
    let mut driver = servers.driver(workspace)?;
    driver.args(["--seed", SEED, "--ops", OPERATIONS, "--quiet"]);
    let done = run(&mut driver, LIMIT)?;
    let (passed, failed) = last_counts(&done.stdout).unwrap_or_default();
    if failed > 0 || !done.status.success() {
        // All of it: the streams that differ are cut down, and stand there to be read.
        let why = format!("{failed} streams differ; {}\n{}", done.status, done.output());
        return Err(Failure::many(passed, failed, why));
    }
    servers.stop()?;
    let figures = done.stdout.lines().rev().nth(1).unwrap_or_default();
    Ok(Passed::many(passed, &format!("streams; {figures}")))
}

/// `cargo xtask differential SEED [OPERATIONS]` or `… FILE`: shows what the driver prints.
pub(crate) fn repeat(workspace: &Workspace, arguments: &[&str]) -> Result<bool, String> {
    let options = options(arguments)?;
    let servers = Servers::start(workspace)?;
    let done = run(servers.driver(workspace)?.args(options), LIMIT)?;
    say(done.output().trim_end());
    servers.stop()?;
    Ok(done.status.success())
}

/// The driver's options for a seed or a file.
fn options<'a>(arguments: &[&'a str]) -> Result<Vec<&'a str>, String> {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    match arguments {
        [seed] if is_number(seed) => Ok(vec!["--seed", seed, "--ops", OPERATIONS]),
        [seed, ops] if is_number(seed) && is_number(ops) => Ok(vec!["--seed", seed, "--ops", ops]),
        [file] if Path::new(file).is_file() => Ok(vec!["--replay", file]),
        other => Err(format!(
            "differential takes SEED, SEED OPERATIONS, or a file that it wrote; not {:?}",
            other.join(" ")
        )),
    }
}

/// Both servers, with settings under which everything can be compared.
struct Servers {
    apache: Server,
    ours: Server,
    // Dropped last: it holds what the servers write.
    _homes: [Scratch; 2],
}

impl Servers {
    fn start(workspace: &Workspace) -> Result<Self, String> {
        let homes = [workspace.scratch("differential")?, workspace.scratch("differential")?];
        let [apache, ours] = &homes;
        Ok(Self {
            apache: launch(Flavour::Apache, apache).start(workspace)?,
            ours: launch(Flavour::Bellwether, ours).start(workspace)?,
            _homes: homes,
        })
    }

    /// The driver, with its servers and the place for what it finds.
    fn driver(&self, workspace: &Workspace) -> Result<Command, String> {
        let package = "bellwether-differential";
        let mut cargo = workspace.cargo(&["build", "-q", "--release", "-p", package]);
        run(&mut cargo, BUILD_LIMIT)?.success().map_err(|e| format!("building {package}: {e}"))?;
        let mut driver = workspace.command(workspace.built("release", package));
        driver.args(["--apache", &self.apache.address(), "--ours", &self.ours.address()]);
        driver.arg("--save").arg(workspace.cached(KEPT)?);
        Ok(driver)
    }

    fn stop(self) -> Result<(), String> {
        self.apache.stop()?;
        self.ours.stop()
    }
}

fn launch(flavour: Flavour, home: &Scratch) -> Launch {
    // Short ticks, so that a session of the shortest timeout expires at once, and containers that
    // stay until a stream deletes them.
    Launch::new(flavour, home.path())
        .line("tickTime=100")
        .line("minSessionTimeout=200")
        .line("maxSessionTimeout=600000")
        .line("maxClientCnxns=0")
        .property("extendedTypesEnabled", "true")
        .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .bare_property("znode.container.checkIntervalMs", "2000000000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_a_length_or_a_file() {
        assert_eq!(options(&["7"]), Ok(vec!["--seed", "7", "--ops", OPERATIONS]));
        assert_eq!(options(&["7", "900"]), Ok(vec!["--seed", "7", "--ops", "900"]));
        assert!(options(&["no-such-file"]).is_err());
        assert!(options(&[]).is_err());
        assert!(options(&["7", "8", "9"]).is_err());
    }
}
