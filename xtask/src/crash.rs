//! The stage `crash`: power losses under load, with the driver of `crates/faults`.
//!
//! Keeps true: the rounds run the binary that users get; a build that is broken on purpose must be
//! caught, or the rounds prove nothing. Leaves faults, rounds and findings to the driver.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::counted;
use crate::process::run;
use crate::report::{Failure, Passed, Report};
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
        let arguments = ["--rounds", ROUNDS];
        driver.rounds(workspace, (&bellwether(workspace)?, "server"), &arguments, "rounds")
    });
    // The control: the same build fails for what is switched on, and for nothing else.
    let broken = &driver.broken;
    report.check("crash rounds pass the build that can be broken", || {
        let arguments = ["--rounds", CONTROL_ROUNDS];
        driver.rounds(workspace, (broken, "control"), &arguments, "rounds")
    });
    for variant in BROKEN {
        report.check(&format!("crash rounds catch {variant}"), || {
            let arguments = ["--rounds", BROKEN_ROUNDS, "--break", variant, "--until-caught"];
            driver.rounds(workspace, (broken, variant), &arguments, "variant")
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

    /// Runs the driver with one server. Its directories, in the cache under a name of their own,
    /// are removed when all is well; when not, they stay, and it prints a command to repeat.
    fn rounds(
        &self,
        workspace: &Workspace,
        (server, name): (&Path, &str),
        arguments: &[&str],
        what: &str,
    ) -> Result<Passed, Failure> {
        let work = workspace.cached(&format!("crash-rounds/{}-{name}", std::process::id()))?;
        let mut command = workspace.command(&self.program);
        command.arg("--server").arg(server).args(arguments).arg("--work").arg(&work);
        let passed = counted(&mut command, ROUNDS_LIMIT, what)?;
        // The driver leaves those of a variant that was caught, as it was meant to be.
        match std::fs::remove_dir_all(&work) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("removing {}: {error}", work.display()).into())
            }
            Ok(()) | Err(_) => Ok(passed),
        }
    }
}
