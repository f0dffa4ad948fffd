//! The stage `java`: Apache's own client and Curator, driven by our program, against both servers.
//!
//! Keeps true: the program passes against Apache before ours is asked, and both servers give the
//! same lines, but for the differences that the program names. Leaves the checks themselves to
//! `conformance/foreign/java/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kazoo::judge;
use crate::maven;
use crate::process::{Finished, converse, make_dir, run};
use crate::recipes;
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch, SUPER_DIGEST, Server, java};
use crate::workspace::Workspace;

/// Where the program stands.
const SOURCES: &str = "conformance/foreign/java";
/// What the compiler may take.
const COMPILE_LIMIT: Duration = Duration::from_mins(2);
/// What the program may take in all; its own waits are shorter.
const LIMIT: Duration = Duration::from_mins(5);
/// What the program adds to the name of a check whose answers differ, each as it has to be.
const DIFFERS: &str = " (a documented difference): ";

/// What runs: the Java program, and ours that takes part in recipes beside Curator.
#[derive(Debug)]
struct Program {
    class_path: String,
    ours: PathBuf,
}

/// The stage `java`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut seen: Vec<BTreeSet<String>> = Vec::new();
    let mut built = None;
    report.check("java program", || {
        let home = workspace.scratch("java")?;
        let class_path = compile(workspace, &home.path().join("classes"))?;
        built = Some((home, Program { class_path, ours: recipes::build(workspace)? }));
        Ok(Passed::one())
    });
    let Some((home, program)) = built else { return };
    for flavour in Flavour::BOTH {
        report.check(&format!("java against {flavour}"), || {
            let own = home.path().join(format!("{flavour:?}"));
            make_dir(&own)?;
            let done = play(workspace, flavour, &own, &program)?;
            seen.push(comparable(&done.stdout));
            judge(&done)
        });
    }
    report.check("java sees the same of both", || match seen.as_slice() {
        [original, ours] => compare(original, ours),
        _ => Err("it did not run against both".into()),
    });
}

/// Compiles the program, and gives the class path that runs it.
fn compile(workspace: &Workspace, classes: &Path) -> Result<String, String> {
    let jars = maven::curator_class_path(workspace)?;
    let files = workspace.files()?.into_iter();
    let sources: Vec<String> =
        files.filter(|name| name.starts_with(SOURCES) && name.ends_with(".java")).collect();
    let mut javac = workspace.command("javac");
    javac.args(["-proc:none", "-nowarn", "-encoding", "UTF-8", "-cp", &jars, "-d"]);
    javac.arg(classes).args(sources);
    run(&mut javac, COMPILE_LIMIT)?.success().map_err(|e| format!("javac: {e}"))?;
    Ok(format!("{}:{jars}", classes.display()))
}

/// Runs the program against one server, which is killed and started again when it asks.
fn play(
    workspace: &Workspace,
    flavour: Flavour,
    home: &Path,
    Program { class_path, ours }: &Program,
) -> Result<Finished, String> {
    // Short ticks and checks, so that what expires does so within seconds.
    let launch = Launch::new(flavour, home)
        .line("tickTime=500")
        .line("maxSessionTimeout=60000")
        .property("extendedTypesEnabled", "true")
        .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .bare_property("znode.container.checkIntervalMs", "100");
    let mut server = Some(launch.start(workspace)?);
    let address = server.as_ref().map(Server::address).unwrap_or_default();
    let mut program = java(workspace, class_path)?;
    // What the clients log is read only when a check fails: what went wrong is enough.
    program.args(["-Dlevel=ERROR", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]);
    program.args(["Main", &address]).arg(format!("{flavour:?}").to_lowercase()).arg(ours);
    let done = converse(&mut program, LIMIT, |line| {
        if line != "KILL" {
            return Ok(None);
        }
        let running = server.take().ok_or("the server did not come back")?;
        server = Some(running.crash(workspace, &launch)?);
        Ok(Some("done\n"))
    })?;
    if let Some(server) = server {
        server.stop()?;
    }
    Ok(done)
}

/// The lines of the checks in an order of their own, since subjects run beside each other.
fn comparable(printed: &str) -> BTreeSet<String> {
    let checks = printed.lines().filter(|line| line.starts_with("ok   "));
    checks.map(|line| line.split(DIFFERS).next().unwrap_or(line).to_owned()).collect()
}

fn compare(original: &BTreeSet<String>, ours: &BTreeSet<String>) -> Result<Passed, Failure> {
    let missing = original.difference(ours).map(|line| format!("Apache alone: {line}"));
    let added = ours.difference(original).map(|line| format!("Bellwether alone: {line}"));
    let all: Vec<String> = missing.chain(added).collect();
    if all.is_empty() { Ok(Passed::one()) } else { Err(all.join("\n").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_server_alone_answers_is_a_failure() {
        let original = comparable("ok   b: 2\nok   a: 1\nnoise\n2 passed, 0 failed\n");
        let same = comparable("ok   a: 1\nok   b: 2\n");
        assert_eq!(compare(&original, &same), Ok(Passed::one()));
        let other = comparable("ok   a: 1\nok   b: 3\n");
        assert!(compare(&original, &other).is_err());
    }

    #[test]
    fn a_documented_difference_has_to_be_there_and_may_differ() {
        let original = comparable("ok   a (a documented difference): 1\n");
        let ours = comparable("ok   a (a documented difference): 2\n");
        assert_eq!(compare(&original, &ours), Ok(Passed::one()));
        assert!(compare(&original, &comparable("")).is_err());
    }
}
