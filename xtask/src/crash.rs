//! The stage `crash`: power losses under load, with the driver of `crates/faults`.
//!
//! Keeps true: the rounds run the binary that users get; a build that is broken on purpose must be
//! caught, or the rounds prove nothing. Leaves faults, rounds and findings to the driver.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::core::counted;
use crate::process::run;
use crate::report::{Passed, Report};
use crate::server::bellwether;
use crate::workspace::Workspace;

/// Building the driver and the broken server with an empty target directory.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// All rounds with all faults.
const ROUNDS_LIMIT: Duration = Duration::from_mins(10);
/// How many rounds the server has to survive.
const ROUNDS: &str = "200";
/// As many as share a data directory.
const CONTROL_ROUNDS: &str = "20";
/// In how many rounds a broken server has to be caught.
const BROKEN_ROUNDS: &str = "60";
/// What `BELLWETHER_BREAK` can switch on in a build with the feature `canaries`.
const BROKEN: [&str; 3] = ["ack-before-sync", "no-dir-sync", "retry-after-failed-sync"];

/// The stage `crash`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut driver = None;
    report.check("the driver of crash rounds builds", || {
        driver = Some(Driver::build(workspace)?);
        Ok(Passed::one())
    });
    let Some(driver) = driver else { return };
    report.check("crash rounds", || {
        let server = bellwether(workspace)?;
        let mut rounds = driver.rounds(workspace, &server)?;
        counted(rounds.args(["--rounds", ROUNDS]), ROUNDS_LIMIT, "rounds")
    });
    // The control: the same build fails for what is switched on, and for nothing else.
    report.check("crash rounds pass the build that can be broken", || {
        let mut rounds = driver.rounds(workspace, &driver.broken)?;
        counted(rounds.args(["--rounds", CONTROL_ROUNDS]), ROUNDS_LIMIT, "rounds")
    });
    for variant in BROKEN {
        report.check(&format!("crash rounds catch {variant}"), || {
            let mut rounds = driver.rounds(workspace, &driver.broken)?;
            rounds.args(["--rounds", BROKEN_ROUNDS, "--break", variant, "--until-caught"]);
            counted(&mut rounds, ROUNDS_LIMIT, "variant")
        });
    }
}

/// The programs of a crash round.
struct Driver {
    program: PathBuf,
    /// The server that can be broken. It has a profile of its own, so that it never stands where
    /// the server for users is expected.
    broken: PathBuf,
}

impl Driver {
    fn build(workspace: &Workspace) -> Result<Self, String> {
        let faults = ["build", "--profile", "sim", "-p", "bellwether-faults"];
        run(&mut workspace.cargo(&faults), BUILD_LIMIT)?.success()?;
        let broken = ["build", "--profile", "sim", "-p", "bellwether", "--features", "canaries"];
        run(&mut workspace.cargo(&broken), BUILD_LIMIT)?.success()?;
        Ok(Self {
            program: workspace.built("sim", "crash-rounds"),
            broken: workspace.built("sim", "bellwether"),
        })
    }

    /// The driver for one server, with its directories in the cache; it removes them when all is
    /// well and leaves them, and a command to repeat, when something was found.
    fn rounds(&self, workspace: &Workspace, server: &std::path::Path) -> Result<Command, String> {
        let mut command = workspace.command(&self.program);
        command.arg("--server").arg(server);
        command
            .arg("--work")
            .arg(workspace.cached(&format!("crash-rounds/{}", std::process::id()))?);
        Ok(command)
    }
}
