//! The stage `recipes`: the client's recipes against both servers, while a server is killed, and
//! beside kazoo's.
//!
//! Keeps true: the same program runs against Apache's server and ours. Leaves the checks to
//! `crates/client/examples/recipes_check` and `conformance/foreign/kazoo_recipes.py`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kazoo::{judge, script};
use crate::process::{converse, run};
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch};
use crate::workspace::Workspace;

/// What a program may take in all; its own waits are shorter.
const LIMIT: Duration = Duration::from_mins(5);
const BUILD_LIMIT: Duration = Duration::from_mins(5);

/// The stage `recipes`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut built = None;
    report.check("the program that checks recipes is built", || {
        built = Some(build(workspace)?);
        Ok(Passed::one())
    });
    let Some(program) = built else { return };
    for flavour in Flavour::BOTH {
        let check = |what| format!("recipes {what} {flavour}");
        report.check(&check("against"), || checks(workspace, flavour, &program));
        report.check(&check("across crashes of"), || crashes(workspace, flavour, &program));
        report.check(&check("beside kazoo's on"), || beside_kazoo(workspace, flavour, &program));
    }
}

fn build(workspace: &Workspace) -> Result<PathBuf, String> {
    let words = ["build", "-p", "bellwether-client", "--examples"];
    let done = run(&mut workspace.cargo(&words), BUILD_LIMIT)?;
    done.success().map_err(|why| format!("building the examples: {why}"))?;
    Ok(workspace.built("debug", "examples/recipes_check"))
}

/// Short ticks, so that a session of the shortest timeout expires within seconds.
fn launch(flavour: Flavour, home: &Path) -> Launch {
    Launch::new(flavour, home).line("tickTime=500")
}

fn checks(workspace: &Workspace, flavour: Flavour, program: &Path) -> Result<Passed, Failure> {
    let home = workspace.scratch("recipes")?;
    let server = launch(flavour, home.path()).start(workspace)?;
    let mut command = workspace.command(program);
    let done = run(command.arg(server.address()), LIMIT)?;
    let passed = judge(&done)?;
    let mut tour = workspace.command(workspace.built("debug", "examples/tour"));
    run(tour.arg(server.address()), LIMIT)?.success().map_err(|why| format!("tour: {why}"))?;
    server.stop()?;
    Ok(passed)
}

fn crashes(workspace: &Workspace, flavour: Flavour, program: &Path) -> Result<Passed, Failure> {
    let home = workspace.scratch("recipes")?;
    let launch = launch(flavour, home.path());
    let mut server = Some(launch.start(workspace)?);
    let address = server.as_ref().map(|server| server.address()).unwrap_or_default();
    let mut command = workspace.command(program);
    let done = converse(command.args([address.as_str(), "--crash"]), LIMIT, |line| {
        if line != "CRASH" {
            return Ok(None);
        }
        let running = server.take().ok_or("the server did not come back")?;
        server = Some(running.crash(workspace, &launch)?);
        Ok(Some("done\n"))
    })?;
    judge(&done)
}

fn beside_kazoo(
    workspace: &Workspace,
    flavour: Flavour,
    program: &Path,
) -> Result<Passed, Failure> {
    let home = workspace.scratch("recipes")?;
    let server = launch(flavour, home.path()).start(workspace)?;
    let program = program.display().to_string();
    let mut command = script(workspace, "kazoo_recipes.py", &[&server.address(), &program])?;
    let passed = judge(&run(&mut command, LIMIT)?)?;
    server.stop()?;
    Ok(passed)
}
