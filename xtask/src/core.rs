//! The checks of the Rust code itself: clippy, tests, documentation, simulation.
//!
//! Keeps true: tests are counted from what the test programs printed, an ignored test is a failed
//! one, and warnings are errors. Leaves to the crates what their tests claim.

use std::process::Command;
use std::time::Duration;

use crate::process::{Finished, run};
use crate::report::{Failure, Passed, Report, say, tail};
use crate::workspace::Workspace;

/// What a build from empty caches may take on two cores, with room for a busy machine.
const BUILD_LIMIT: Duration = Duration::from_mins(20);
/// What the simulator may take for all its seeds, its build included.
const SIM_LIMIT: Duration = Duration::from_mins(15);
/// How many seeds one run of the stage plays.
const SEEDS: &str = "10000";
/// How many of them for ensembles.
const ENSEMBLE_SEEDS: &str = "2000";
/// How many of them for each property of the client and its recipes.
const CLIENT_SEEDS: &str = "100";

/// The stage `clippy`.
pub(crate) fn clippy(workspace: &Workspace, report: &mut Report) {
    report.check("clippy", || {
        let arguments = ["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(&mut workspace.cargo(&arguments), BUILD_LIMIT)?.success()?;
        Ok(Passed::one())
    });
}

/// The stage `tests`.
pub(crate) fn tests(workspace: &Workspace, report: &mut Report) {
    report.check("cargo test", || {
        let mut cargo = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
        judge_tests(&run(&mut cargo, BUILD_LIMIT)?)
    });
}

/// The stage `doc`.
pub(crate) fn documentation(workspace: &Workspace, report: &mut Report) {
    report.check("rustdoc", || {
        let mut cargo =
            workspace.cargo(&["doc", "-q", "--workspace", "--no-deps", "--document-private-items"]);
        // Private items are documented, so links to them lead somewhere.
        cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
        run(&mut cargo, BUILD_LIMIT)?.success()?;
        Ok(Passed::one())
    });
}

/// The stage `sim`.
pub(crate) fn simulation(workspace: &Workspace, report: &mut Report) {
    report.check("simulated seeds", || {
        counted(&mut simulator(workspace, &["--seeds", SEEDS]), SIM_LIMIT, "seeds")
    });
    report.check("simulated ensembles", || {
        let arguments = ["ensemble", "--seeds", ENSEMBLE_SEEDS];
        counted(&mut simulator(workspace, &arguments), SIM_LIMIT, "seeds")
    });
    report.check("clients over simulated ensembles", || {
        let arguments = [
            "test",
            "--profile",
            "sim",
            "-p",
            "bellwether-client",
            "--test",
            "it",
            "--no-fail-fast",
        ];
        let mut cargo = workspace.cargo(&arguments);
        judge_tests(&run(cargo.env("SEEDS", CLIENT_SEEDS), SIM_LIMIT)?)
    });
}

/// Repeats one simulation and shows what it printed.
pub(crate) fn repeat_simulation(
    workspace: &Workspace,
    (world, seed): (Option<&str>, &str),
    options: &[&str],
) -> Result<bool, String> {
    let number = seed.parse::<u64>().map_err(|e| format!("a seed is a number, not {seed}: {e}"))?;
    let number = number.to_string();
    let arguments: Vec<&str> = world.into_iter().chain(["--seed", &number]).collect();
    let mut simulator = simulator(workspace, &arguments);
    let done = run(simulator.args(options), SIM_LIMIT)?;
    say(done.output().trim_end());
    Ok(done.status.success())
}

fn simulator(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut cargo =
        workspace.cargo(&["run", "-q", "--profile", "sim", "-p", "bellwether-sim", "--"]);
    cargo.args(arguments);
    cargo
}

/// Runs a program that ends with the line `N passed, N failed`, and takes its counts.
pub(crate) fn counted(
    command: &mut Command,
    limit: Duration,
    what: &str,
) -> Result<Passed, Failure> {
    let done = run(command, limit)?;
    let Some((passed, failed)) = last_counts(&done.stdout) else {
        return Err(
            format!("no line with counts; {}\n{}", done.status, tail(&done.output())).into()
        );
    };
    if failed > 0 || !done.status.success() {
        let why = format!("{failed} failed; {}\n{}", done.status, tail(&done.output()));
        return Err(Failure::many(passed, failed, why));
    }
    Ok(Passed::many(passed, what))
}

/// The counts in the last line that has them.
pub(crate) fn last_counts(text: &str) -> Option<(u64, u64)> {
    text.lines().rev().find_map(|line| {
        let (passed, failed) = line.trim().split_once(" passed, ")?;
        Some((passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
    })
}

/// What `cargo test` printed, as counts of tests.
fn judge_tests(done: &Finished) -> Result<Passed, Failure> {
    let mut counts = Counts::default();
    for line in done.stdout.lines() {
        counts.add(line);
    }
    let broken: Vec<&str> = done.stdout.lines().filter(|line| is_failed_test(line)).collect();
    if counts.failed > 0 || !done.status.success() {
        let why = format!(
            "{} of {} tests failed; {}\n{}\n{}",
            counts.failed,
            counts.failed + counts.passed,
            done.status,
            broken.join("\n"),
            tail(&format!("{}{}", errors(&done.stderr), panics(&done.stdout))),
        );
        return Err(Failure::many(counts.passed, counts.failed, why));
    }
    if counts.ignored > 0 {
        let why = format!("{} tests are marked to be ignored", counts.ignored);
        return Err(Failure::many(counts.passed, counts.ignored, why));
    }
    Ok(Passed::many(counts.passed, "tests"))
}

/// `test a::b ... FAILED`
fn is_failed_test(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with(" FAILED")
}

/// What the compiler had to say, without the progress of the build.
fn errors(stderr: &str) -> String {
    let noise = ["Compiling", "Running", "Finished", "Doc-tests", "Downloading", "Downloaded"];
    let kept = stderr.lines().filter(|line| !noise.iter().any(|n| line.trim().starts_with(n)));
    kept.map(|line| format!("{line}\n")).collect()
}

/// What the tests printed that failed: the part that the test programs head with `failures:`.
fn panics(stdout: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in stdout.lines() {
        inside = (inside || line == "failures:") && !line.starts_with("test result:");
        if inside && !line.is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; …`
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let result = result.split_once(". ").map_or(result, |(_, counts)| counts);
        for part in result.split(';') {
            let mut words = part.split_whitespace();
            let (count, what) = (words.next(), words.next());
            let Some(count) = count.and_then(|count| count.parse::<u64>().ok()) else { continue };
            match what {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    fn judged(script: &str) -> Result<Passed, Failure> {
        judge_tests(&run(&mut shell(script), Duration::from_secs(10))?)
    }

    #[test]
    fn adds_up_the_results_of_every_test_program() {
        let line = |p, f, i| {
            format!("test result: ok. {p} passed; {f} failed; {i} ignored; 0 measured; finished")
        };
        let mut counts = Counts::default();
        counts.add(&line(3, 0, 0));
        counts.add("running 4 tests");
        counts.add(&line(10, 2, 1));
        assert_eq!(counts, Counts { passed: 13, failed: 2, ignored: 1 });
    }

    #[test]
    fn takes_the_counts_of_cargo_test() {
        let ran = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'";
        assert_eq!(judged(ran), Ok(Passed::many(3, "tests")));
    }

    #[test]
    fn an_ignored_test_and_a_failed_build_fail() {
        let ignored = judged("echo 'test result: ok. 3 passed; 0 failed; 1 ignored'");
        assert!(format!("{ignored:?}").contains("1 tests are marked"), "{ignored:?}");
        let build = judged("echo '  Compiling x' >&2; echo 'error: no' >&2; exit 101");
        let why = format!("{build:?}");
        assert!(why.contains("error: no") && !why.contains("Compiling"), "{why}");
    }

    #[test]
    fn a_failed_test_is_named() {
        let script = "echo 'test a::b ... FAILED'; echo 'failures:'; echo boom
            echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 101";
        let why = format!("{:?}", judged(script));
        assert!(why.contains("test a::b ... FAILED") && why.contains("boom"), "{why}");
        assert!(why.contains("passed: 1, failed: 1"), "{why}");
    }

    #[test]
    fn takes_the_counts_of_our_own_programs() {
        let limit = Duration::from_secs(10);
        let good = counted(&mut shell("echo '7 passed, 0 failed'"), limit, "seeds");
        assert_eq!(good, Ok(Passed::many(7, "seeds")));
        let bad = counted(&mut shell("echo '7 passed, 1 failed'; exit 1"), limit, "seeds");
        assert!(bad.is_err());
        let lying = counted(&mut shell("echo '7 passed, 0 failed'; exit 1"), limit, "seeds");
        assert!(lying.is_err());
        let silent = counted(&mut shell("true"), limit, "seeds");
        assert!(silent.is_err());
    }
}
