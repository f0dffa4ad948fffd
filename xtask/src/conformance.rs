//! The stage `conformance`: text scenarios print the same on Apache's server and on ours.
//!
//! Keeps true: every scenario counts once per side, and both sides are played in one run. Leaves
//! the scenarios to `conformance/scenarios` and playing them to `crates/conformance`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Scratch, run, write};
use crate::report::{Failure, Passed, Report, say};
use crate::server::{apache_java, bellwether, bellwether_debug};
use crate::workspace::Workspace;

/// Building the runner from empty caches.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// All scenarios on both sides.
const LIMIT: Duration = Duration::from_mins(15);
const SCENARIOS: &str = "conformance/scenarios";
/// A Java virtual machine that lives for seconds had better not optimize.
const SHORT_LIVED: [&str; 4] =
    ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dlevel=WARN"];

/// The stage `conformance`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut printed = String::new();
    report.check("the runner of scenarios ends", || {
        let (mut command, _scratch) = runner(workspace, &bellwether(workspace)?, &[])?;
        let done = run(&mut command, LIMIT)?;
        printed.clone_from(&done.stdout);
        // Its verdicts are counted one by one below; 2 is a run that did not take place.
        match done.status.code() {
            Some(0 | 1) if verdicts(&printed).next().is_some() => Ok(Passed::one()),
            Some(_) | None => Err(done.output().into()),
        }
    });
    for verdict in verdicts(&printed) {
        report.check(&format!("conformance {}", verdict.name), || verdict.outcome);
    }
    let differing = printed.lines().filter(|line| line.starts_with("differs "));
    let lines: Vec<&str> = differing.collect();
    say(&format!("     {} scenarios differ on purpose", lines.len()));
    for line in lines {
        say(&format!("     {line}"));
    }
}

/// `cargo xtask conformance`: some scenarios, as quickly as they can be had.
pub(crate) fn command(workspace: &Workspace, names: &[&str]) -> Result<bool, String> {
    let (mut command, _scratch) = runner(workspace, &bellwether_debug(workspace)?, names)?;
    let done = run(&mut command, LIMIT)?;
    say(done.output().trim_end());
    Ok(done.status.success())
}

/// The runner's command, and the directory in which its servers keep theirs.
fn runner(
    workspace: &Workspace,
    ours: &Path,
    names: &[&str],
) -> Result<(Command, Scratch), String> {
    let build = ["build", "-p", "bellwether-conformance"];
    run(&mut workspace.cargo(&build), BUILD_LIMIT)?.success()?;
    let scratch = workspace.scratch("conformance")?;
    let apache = scratch.path().join("apache.command");
    write(&apache, words(&apache_command(workspace)?))?;
    let bellwether = scratch.path().join("bellwether.command");
    write(&bellwether, format!("{}\nserver\n{{properties}}\n", ours.display()))?;
    let mut command = workspace.command(workspace.built("debug", "conformance"));
    command.arg("--scenarios").arg(workspace.root().join(SCENARIOS));
    command.arg("--work").arg(scratch.path());
    command.arg("--apache").arg(apache).arg("--bellwether").arg(bellwether);
    command.args(names);
    Ok((command, scratch))
}

fn apache_command(workspace: &Workspace) -> Result<Command, String> {
    let mut java = apache_java(workspace)?;
    java.args(SHORT_LIVED).arg("{properties}");
    java.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
    Ok(java)
}

/// A command, a word per line.
pub(crate) fn words(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut text = format!("{}\n", program.display());
    for word in command.get_args() {
        text += &word.to_string_lossy();
        text.push('\n');
    }
    text
}

/// What the runner says of one scenario on one side.
struct Verdict {
    name: String,
    outcome: Result<Passed, Failure>,
}

/// The verdicts in what the runner printed: a line each, and indented lines below a failure.
fn verdicts(printed: &str) -> impl Iterator<Item = Verdict> {
    let lines: Vec<&str> = printed.lines().collect();
    let mut verdicts = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut parts = line.splitn(3, ' ');
        let (word, side, name) = (parts.next(), parts.next(), parts.next());
        let (Some(side), Some(name)) = (side, name) else { continue };
        let outcome = match word {
            Some("ok") => Ok(Passed::one()),
            Some("FAIL") => {
                let below = lines.iter().skip(at + 1).take_while(|line| line.starts_with("    "));
                let below: Vec<&str> = below.map(|line| line.trim_start_matches("    ")).collect();
                Err(Failure::from(below.join("\n")))
            }
            Some(_) | None => continue,
        };
        // Behind the name of one that passed stands what it took.
        let name = name.split(' ').next().unwrap_or(name);
        verdicts.push(Verdict { name: format!("{name} on {side}"), outcome });
    }
    verdicts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_with_their_reasons() {
        let printed = "ok apache a/b (0.1 s)\nFAIL bellwether a/b\n    x\n    +y\nok bellwether c\n\
            differs c: because\n";
        let found: Vec<(String, bool)> =
            verdicts(printed).map(|v| (v.name, v.outcome.is_ok())).collect();
        let expected =
            [("a/b on apache", true), ("a/b on bellwether", false), ("c on bellwether", true)];
        let expected: Vec<(String, bool)> =
            expected.iter().map(|(name, ok)| ((*name).to_owned(), *ok)).collect();
        assert_eq!(found, expected);
        let failure = verdicts(printed).nth(1).expect("there are three").outcome;
        assert_eq!(failure, Err(Failure::from("x\n+y")));
    }
}
