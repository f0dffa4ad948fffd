//! The stage `ensemble`: rounds of faults on ensembles of real processes, ours and mixed ones with
//! Apache's members.
//!
//! Keeps true: every round counts as one check, and the stage fails when the rounds did not take
//! place. Leaves the rounds and their judge to `crates/ensembles`, and building its servers to
//! `server`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::conformance::words;
use crate::core::last_counts;
use crate::process::{Finished, Scratch, run, write};
use crate::report::{Failure, Passed, Report, say};
use crate::server::{apache_java, bellwether};
use crate::workspace::Workspace;

/// Building the driver and the preload library from empty caches.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// All rounds, on a busy machine.
const LIMIT: Duration = Duration::from_mins(15);
/// Beyond what a soak is to last: the round that is under way.
const SOAK_ROOM: Duration = Duration::from_mins(10);
/// A Java virtual machine that lives for seconds had better not optimize.
const SHORT_LIVED: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

/// The stage `ensemble`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut printed = String::new();
    report.check("the rounds of ensembles end", || {
        let done = rounds(workspace, &[], LIMIT)?;
        printed.clone_from(&done.stdout);
        // Its verdicts are counted one by one below; 2 is a run that did not take place.
        match (done.status.code(), last_counts(&done.stdout)) {
            (Some(0 | 1), Some(_)) => Ok(Passed::one()),
            _ => Err(done.output().into()),
        }
    });
    for (name, verdict) in verdicts(&printed) {
        report.check(&name, || verdict);
    }
}

/// `cargo xtask ensemble`: some rounds, or all of them for as long as a soak lasts.
pub(crate) fn command(workspace: &Workspace, words: &[&str]) -> Result<bool, String> {
    let soak = words.iter().position(|word| *word == "--soak");
    let minutes = soak.and_then(|at| words.get(at + 1)).and_then(|text| text.parse().ok());
    let limit = minutes.map_or(LIMIT, |minutes| Duration::from_mins(minutes) + SOAK_ROOM);
    let done = rounds(workspace, words, limit)?;
    say(done.output().trim_end());
    Ok(done.status.success())
}

fn rounds(workspace: &Workspace, words: &[&str], limit: Duration) -> Result<Finished, String> {
    let driver = Driver::build(workspace, &SHORT_LIVED)?;
    let mut command = driver.command(workspace, "rounds")?;
    // What a failure left is named, and stays until the next run.
    run(command.args(words), limit)
}

/// The program, and how it starts servers.
pub(crate) struct Driver {
    program: PathBuf,
    library: PathBuf,
    scratch: Scratch,
    java: Command,
    ours: PathBuf,
}

impl Driver {
    /// Builds everything; Java gets `options`.
    pub(crate) fn build(workspace: &Workspace, options: &[&str]) -> Result<Self, String> {
        let build =
            ["build", "--profile", "sim", "-p", "bellwether-ensembles", "-p", "bellwether-faults"];
        run(&mut workspace.cargo(&build), BUILD_LIMIT)?.success()?;
        let mut java = apache_java(workspace)?;
        java.args(options).arg("{properties}");
        java.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        Ok(Self {
            program: workspace.built("sim", "ensembles"),
            library: workspace.built("sim", "libbellwether_faults.so"),
            scratch: workspace.scratch("ensemble")?,
            java,
            ours: bellwether(workspace)?,
        })
    }

    /// Our own binary, which is also the load generator.
    pub(crate) fn ours(&self) -> &Path {
        &self.ours
    }

    /// The program with its command and the servers, ready for what is asked of it.
    pub(crate) fn command(&self, workspace: &Workspace, verb: &str) -> Result<Command, String> {
        let apache = self.scratch.path().join("apache.command");
        write(&apache, words(&self.java))?;
        let bellwether = self.scratch.path().join("bellwether.command");
        write(&bellwether, format!("{}\nserver\n{{properties}}\n", self.ours.display()))?;
        let mut command = workspace.command(&self.program);
        command.arg(verb).arg("--apache").arg(apache).arg("--bellwether").arg(bellwether);
        command.arg("--faults").arg(&self.library);
        command
            .arg("--work")
            .arg(workspace.cached("ensembles")?.join(std::process::id().to_string()));
        Ok(command)
    }
}

/// The verdicts in what the driver printed: a line each, and the reason below a failure.
fn verdicts(printed: &str) -> Vec<(String, Result<Passed, Failure>)> {
    let mut verdicts: Vec<(String, Result<Passed, String>)> = Vec::new();
    for line in printed.lines() {
        let rest = line.split_once(' ').map(|(word, rest)| (word, rest.trim_start()));
        match (rest, verdicts.last_mut()) {
            (Some(("ok", rest)), _) => {
                let (name, note) = rest.split_once(": ").unwrap_or((rest, ""));
                verdicts.push((name.to_owned(), Ok(Passed::noting(note))));
            }
            (Some(("FAIL", rest)), _) => {
                let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
                verdicts.push((name.to_owned(), Err(why.to_owned())));
            }
            (_, Some((_, Err(why)))) if !line.ends_with(" failed") => {
                why.push('\n');
                why.push_str(line);
            }
            _ => {} // A skip or the counts: nothing to count here.
        }
    }
    verdicts.into_iter().map(|(name, verdict)| (name, verdict.map_err(Failure::from))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_with_their_reasons() {
        let printed = "ok   a/b: 3 writes (1.0 s)\nFAIL a/c: lost\nmember 1: x\n    y (2.0 s)\n\
            ok   a/d: 4 writes\nskip a/e: because\n2 passed, 1 failed\n";
        let found = verdicts(printed);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a/b", "a/c", "a/d"]);
        assert_eq!(found[0].1, Ok(Passed::noting("3 writes (1.0 s)")));
        assert_eq!(found[1].1, Err(Failure::from("lost\nmember 1: x\n    y (2.0 s)")));
    }
}
