//! The stage `kazoo`: a Python client of others, driven by our script, against both servers.
//!
//! Keeps true: the script passes against Apache before ours is asked. Leaves the checks themselves
//! to `conformance/foreign/kazoo_smoke.py`.

use std::process::Command;
use std::time::Duration;

use crate::core::last_counts;
use crate::process::{Finished, converse};
use crate::report::{Failure, Passed, Report, tail};
use crate::server::{Flavour, Launch, SUPER_DIGEST};
use crate::workspace::Workspace;

/// What the scripts need.
const REQUIREMENTS: &str = "conformance/foreign/requirements.txt";
/// What the script may take in all; its own waits are shorter.
const LIMIT: Duration = Duration::from_mins(5);

/// The stage `kazoo`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    for flavour in Flavour::BOTH {
        report.check(&format!("kazoo against {flavour}"), || smoke(workspace, flavour));
    }
}

fn smoke(workspace: &Workspace, flavour: Flavour) -> Result<Passed, Failure> {
    let home = workspace.scratch("kazoo")?;
    // Short ticks, so that a session of the shortest timeout expires within seconds.
    let launch = Launch::new(flavour, home.path())
        .line("tickTime=500")
        .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
    let mut server = Some(launch.start(workspace)?);
    let address = server.as_ref().map(|server| server.address()).unwrap_or_default();
    let mut script = script(workspace, "kazoo_smoke.py", &[&address, "--restart"])?;
    let done = converse(&mut script, LIMIT, |line| {
        if line != "RESTART" {
            return Ok(None);
        }
        let running = server.take().ok_or("the server did not come back")?;
        server = Some(running.restart(workspace, &launch)?);
        Ok(Some("done\n"))
    })?;
    let passed = judge(&done)?;
    if let Some(server) = server {
        server.stop()?;
    }
    Ok(passed)
}

/// What a program that counts its checks in its last line comes to.
pub(crate) fn judge(done: &Finished) -> Result<Passed, Failure> {
    let (passed, failed) = last_counts(&done.stdout).unwrap_or_default();
    if failed > 0 || !done.status.success() {
        let printed = done.stdout.lines().filter(|line| !line.starts_with("ok"));
        let kept: Vec<&str> = printed.chain(done.stderr.lines()).collect();
        let why = format!("{failed} checks failed; {}\n{}", done.status, tail(&kept.join("\n")));
        return Err(Failure::many(passed, failed, why));
    }
    Ok(Passed::many(passed, "checks"))
}

/// One of our Python scripts, in the environment that has kazoo.
pub(crate) fn script(
    workspace: &Workspace,
    name: &str,
    arguments: &[&str],
) -> Result<Command, String> {
    let bin = workspace.python(REQUIREMENTS)?;
    let mut command = workspace.command(bin.join("python"));
    command.arg("-B").arg(workspace.root().join("conformance/foreign").join(name));
    command.args(arguments).env("PYTHONUNBUFFERED", "1");
    Ok(command)
}
