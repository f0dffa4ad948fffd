//! The stage `recipes`: the client's recipes against both servers, while a server or the leader of
//! an ensemble is killed, and beside kazoo's; and its way out of Apache's read-only mode.
//!
//! Keeps true: the same program runs against Apache's server and ours. Leaves the checks to
//! `crates/client/examples/recipes_check` and `conformance/foreign/kazoo_recipes.py`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kazoo::{judge, script};
use crate::members::{First, Members};
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
        report.check(&check("while leaders are killed, three of"), || {
            leaders_killed(workspace, flavour, &program)
        });
        report.check(&check("beside kazoo's on"), || beside_kazoo(workspace, flavour, &program));
    }
    for (first, then) in [(First::Stays, "stays read-only"), (First::Joins, "joins the others")] {
        report.check(&format!("a read-only member of Apache's is left, and {then}"), || {
            read_only(workspace, first, &program)
        });
    }
}

/// Builds the program that checks recipes, and says where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, String> {
    let words = ["build", "-p", "bellwether-client", "--examples"];
    let done = run(&mut workspace.cargo(&words), BUILD_LIMIT)?;
    done.success().map_err(|why| format!("building the examples: {why}"))?;
    Ok(workspace.built("debug", "examples/recipes_check"))
}

fn launch(flavour: Flavour, home: &Path) -> Launch {
    set(Launch::new(flavour, home))
}

/// Short ticks, so that a session of the shortest timeout expires within seconds, and as many
/// clients as there are.
fn set(launch: Launch) -> Launch {
    launch.line("tickTime=500").line("maxClientCnxns=0")
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
    asked(workspace.command(program).args([address.as_str(), "--crash"]), "CRASH", || {
        let running = server.take().ok_or("the server did not come back")?;
        server = Some(running.crash(workspace, &launch)?);
        Ok(())
    })
}

fn leaders_killed(
    workspace: &Workspace,
    flavour: Flavour,
    program: &Path,
) -> Result<Passed, Failure> {
    let home = workspace.scratch("recipes")?;
    let everybody = (3, First::Joins);
    let mut members = Members::start(workspace, (flavour, home.path()), everybody, set)?;
    let mut command = workspace.command(program);
    let passed = asked(command.args([&members.addresses(), "--crash"]), "CRASH", || {
        members.crash_leader(workspace)
    })?;
    members.stop()?;
    Ok(passed)
}

/// One member alone serves read-only; the others follow when the client has read from it.
fn read_only(workspace: &Workspace, first: First, program: &Path) -> Result<Passed, Failure> {
    let home = workspace.scratch("recipes")?;
    let of = (Flavour::Apache, home.path());
    // A member alone makes only sessions of its own, if it may make such.
    let allowed = |launch| {
        let launch = set(launch).line("localSessionsEnabled=true");
        launch.bare_property("readonlymode.enabled", "true")
    };
    let mut members = Members::start(workspace, of, (1, first), allowed)?;
    let (word, mode) = match first {
        First::Stays => ("stays", "ro"),
        First::Joins => ("joins", "rw"),
    };
    let mut command = workspace.command(program);
    command.args([&members.addresses(), "--read-only", word]);
    let passed = asked(&mut command, "MEMBERS", || members.start_others(workspace))?;
    members.first_says("isro", mode)?;
    members.stop()?;
    Ok(passed)
}

/// A program that prints a word when it needs something done, and goes on when it is.
fn asked(
    command: &mut Command,
    word: &str,
    mut act: impl FnMut() -> Result<(), String>,
) -> Result<Passed, Failure> {
    let done = converse(command, LIMIT, |line| {
        if line != word {
            return Ok(None);
        }
        act()?;
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
