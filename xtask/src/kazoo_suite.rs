//! The stage `kazoo-suite`: the tests that come with kazoo, against both servers.
//!
//! Keeps true: the suite is the wheel's own, started through the same stand-in for `java` for both
//! servers; what is not run stands in `conformance/foreign-skips.txt`, and nothing skips itself
//! beyond that. A test that fails is asked once more on its own, of either server, and the stage
//! says so: some measure by their clock. Both servers are asked at once: the tests mostly wait.
//! Leaves to the stand-in what the suite's zoo.cfg is stripped of, and prints it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::maven::APACHE_VERSION;
use crate::process::{free_port, make_dir, read, run};
use crate::report::{Failure, Passed, Report, say, tail};
use crate::server::{Flavour, apache_java, bellwether};
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "conformance/foreign/kazoo-suite/requirements.txt";
/// The directory that holds the stand-in for `java`.
const STAND_IN: &str = "conformance/foreign/kazoo-suite";
const SKIPS: &str = "conformance/foreign-skips.txt";
/// Where the suite's tests are, below the directory of packages.
const TESTS: &str = "kazoo/tests";
/// Collecting the tests imports every one of kazoo's handlers.
const COLLECT_LIMIT: Duration = Duration::from_mins(2);
const SUITE_LIMIT: Duration = Duration::from_mins(12);
/// Seconds after which a single test has failed.
const TEST_LIMIT_S: &str = "120";
/// So many tests that fail may depend on a moment of the machine; more have another cause.
const AGAIN_MAX: usize = 5;
/// Fewer tests than this means that the harness is broken.
const TESTS_MIN: usize = 400;

/// The stage `kazoo-suite`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut suite = None;
    report.check("kazoo's tests are found, and each row of foreign-skips.txt names one", || {
        let found = Suite::find(workspace)?;
        let count = found.names.len();
        suite = Some(found);
        Ok(Passed::noting(format!("{count} tests")))
    });
    let Some(suite) = suite else { return };
    for skip in &suite.skips {
        let side = match skip.servers {
            Servers::Both => "",
            Servers::OursAlone => " against Bellwether",
            Servers::Three => continue,
        };
        report.skip(&format!("kazoo's {}{side}", skip.test), &skip.reason);
    }
    let suite = &suite;
    let [apache, ours] = std::thread::scope(|scope| {
        let run = |flavour| scope.spawn(move || suite.run(workspace, flavour));
        // Collected first: both must be under way before one is waited for.
        let both = [Flavour::Apache, Flavour::Bellwether].map(run);
        both.map(|side| side.join().unwrap_or_else(|_| Err("the stage panicked".to_owned())))
    });
    for (flavour, side) in [(Flavour::Apache, apache), (Flavour::Bellwether, ours)] {
        report.check(&format!("kazoo's tests against {flavour}"), || judge(flavour, side?));
    }
}

/// Against what a test is not run as the others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servers {
    Both,
    OursAlone,
    /// It is run against both, each with an ensemble of three.
    Three,
}

/// A row of the skips.
#[derive(Debug, PartialEq, Eq)]
struct Skip {
    servers: Servers,
    /// The beginning of the test's name.
    test: String,
    reason: String,
}

/// The suite, as it is installed.
struct Suite {
    python: PathBuf,
    /// The directory of packages: names of tests begin below it.
    packages: PathBuf,
    names: BTreeSet<String>,
    skips: Vec<Skip>,
}

impl Suite {
    fn find(workspace: &Workspace) -> Result<Self, String> {
        let python = workspace.python(REQUIREMENTS)?.join("python");
        let mut ask = workspace.command(&python);
        ask.args([
            "-c",
            "import kazoo, os; print(os.path.dirname(os.path.dirname(kazoo.__file__)))",
        ]);
        let packages = run(&mut ask, COLLECT_LIMIT)?.success()?.stdout;
        let packages = PathBuf::from(packages.trim());
        let skips = skips(&read(&workspace.root().join(SKIPS))?)?;
        let mut suite = Self { python, packages, names: BTreeSet::new(), skips };
        let mut collect = suite.pytest(workspace);
        collect.args(["--collect-only", "-q", TESTS]);
        let listed = run(&mut collect, COLLECT_LIMIT)?.success()?.stdout;
        suite.names = listed.lines().filter_map(test_name).map(str::to_owned).collect();
        if suite.names.len() < TESTS_MIN {
            return Err(format!("only {} tests\n{}", suite.names.len(), tail(&listed)));
        }
        for skip in &suite.skips {
            if !suite.names.iter().any(|name| name.starts_with(&skip.test)) {
                return Err(format!("{SKIPS} names {}, which is no test: remove it", skip.test));
            }
        }
        Ok(suite)
    }

    fn pytest(&self, workspace: &Workspace) -> Command {
        let mut pytest = workspace.command(&self.python);
        pytest.args(["-B", "-m", "pytest", "-p", "no:cacheprovider"]);
        // Names of tests are taken and printed as seen from where it runs.
        pytest.arg("--rootdir").arg(&self.packages).current_dir(&self.packages);
        // The harness of the tests reads it before it knows whether a test needs a server.
        pytest.env("ZOOKEEPER_VERSION", APACHE_VERSION);
        pytest
    }

    fn left_out(&self, flavour: Flavour) -> impl Iterator<Item = &Skip> {
        self.skips.iter().filter(move |skip| match skip.servers {
            Servers::Both | Servers::Three => true,
            Servers::OursAlone => flavour == Flavour::Bellwether,
        })
    }

    /// The tests that are run with three servers.
    fn with_three(&self) -> Vec<&str> {
        let rows = || self.skips.iter().filter(|skip| skip.servers == Servers::Three);
        let wanted = self.names.iter().filter(|name| rows().any(|row| name.starts_with(&row.test)));
        wanted.map(String::as_str).collect()
    }

    /// Asks one server. What fails is asked once more, with nothing else going on.
    fn run(&self, workspace: &Workspace, flavour: Flavour) -> Result<Done, String> {
        let wanted = self
            .names
            .iter()
            .filter(|name| !self.left_out(flavour).any(|skip| name.starts_with(&skip.test)));
        let wanted: Vec<&str> = wanted.map(String::as_str).collect();
        let mut done = self.attempt(workspace, (flavour, 1), &wanted)?;
        self.ask_again(workspace, (flavour, 1), &mut done)?;
        let mut three = self.attempt(workspace, (flavour, 3), &self.with_three())?;
        self.ask_again(workspace, (flavour, 3), &mut three)?;
        done.passed += three.passed;
        done.dropped.extend(three.dropped);
        done.again.extend(three.again);
        done.failed.extend(three.failed);
        done.printed += &three.printed;
        Ok(done)
    }

    /// Asks once more for what failed, if that is little.
    fn ask_again(
        &self,
        workspace: &Workspace,
        servers: (Flavour, u32),
        done: &mut Done,
    ) -> Result<(), String> {
        let failed = std::mem::take(&mut done.failed);
        if !(1..=AGAIN_MAX).contains(&failed.len()) {
            done.failed = failed;
            return Ok(());
        }
        let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
        let again = self.attempt(workspace, servers, &names)?;
        done.again = failed.into_iter().filter(|it| !again.failed.contains(it)).collect();
        done.passed += again.passed;
        (done.failed, done.printed) = (again.failed, again.printed);
        Ok(())
    }

    fn attempt(
        &self,
        workspace: &Workspace,
        (flavour, servers): (Flavour, u32),
        wanted: &[&str],
    ) -> Result<Done, String> {
        let home = workspace.scratch("kazoo-suite")?;
        let (temporary, dropped) = (home.path().join("tmp"), home.path().join("dropped"));
        make_dir(&temporary)?;
        let mut pytest = self.pytest(workspace);
        pytest.args(["-v", "-rfE", "--disable-warnings", "--tb=short", "--timeout", TEST_LIMIT_S]);
        pytest.args(wanted.iter().map(|name| format!("{TESTS}/{name}")));
        pytest.env("TMPDIR", &temporary).env("SUITE_DROPPED", &dropped);
        pytest
            .env("ZOOKEEPER_CLUSTER_SIZE", servers.to_string())
            .env("ZOOKEEPER_PATH", home.path());
        pytest.env("ZOOKEEPER_PORT_OFFSET", free_port()?.to_string());
        pytest.env("PATH", path_with(&workspace.root().join(STAND_IN))?);
        match flavour {
            Flavour::Bellwether => {
                pytest.env("SUITE_SERVER", "bellwether");
                pytest.env("BELLWETHER_BIN", bellwether(workspace)?);
            }
            Flavour::Apache => {
                let java = apache_java(workspace)?;
                pytest.env("SUITE_SERVER", "apache").env("SUITE_JAVA", java_program(&java)?);
                pytest.env("SUITE_CLASSES", classes(&java)?);
            }
        }
        let finished = run(&mut pytest, SUITE_LIMIT)?;
        let verdicts: Vec<(&str, &str)> = finished.stdout.lines().filter_map(verdict).collect();
        let verdict = |name: &str| verdicts.iter().find(|(test, _)| *test == name);
        let mut done = Done { printed: tail(&finished.output()), ..Done::default() };
        done.dropped = read(&dropped)?.lines().map(str::to_owned).collect();
        for name in wanted {
            match verdict(name) {
                Some((_, "PASSED")) => done.passed += 1,
                Some((_, word)) => done.failed.push(((*name).to_owned(), (*word).to_owned())),
                None => done.failed.push(((*name).to_owned(), "it was not run".to_owned())),
            }
        }
        Ok(done)
    }
}

/// The run of one side.
#[derive(Debug, Default)]
struct Done {
    passed: u64,
    /// Tests that failed, and what became of them.
    failed: Vec<(String, String)>,
    /// Those that passed when they were asked again.
    again: Vec<(String, String)>,
    /// What the stand-in took out of the suite's configuration.
    dropped: BTreeSet<String>,
    printed: String,
}

/// What the run of one side comes to.
fn judge(flavour: Flavour, done: Done) -> Result<Passed, Failure> {
    for name in done.dropped {
        say(&format!("     {flavour}: started without {name}"));
    }
    for (name, word) in done.again {
        say(&format!("     {flavour}: {name}: {word}, and passed when it was run again alone"));
    }
    if done.failed.is_empty() {
        return Ok(Passed::many(done.passed, "tests"));
    }
    let failed: Vec<String> =
        done.failed.iter().map(|(name, word)| format!("{name}: {word}")).collect();
    let count = u64::try_from(failed.len()).unwrap_or(u64::MAX);
    Err(Failure::many(done.passed, count, format!("{}\n{}", failed.join("\n"), done.printed)))
}

/// A test's name in a line of the list.
fn test_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix(TESTS)?.strip_prefix('/')?;
    name.contains("::").then_some(name)
}

/// A test's name and what became of it, in a line such as `kazoo/tests/x.py::T::t PASSED [ 1%]`.
/// What the test or its server prints may stand in between.
fn verdict(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = test_name(line)?.split_once(' ')?;
    let word = rest.split_whitespace().next()?;
    ["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"]
        .contains(&word)
        .then_some((name, word))
}

/// The rows of kazoo.
fn skips(text: &str) -> Result<Vec<Skip>, String> {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let mut skips = Vec::new();
    for row in rows {
        let mut words = row.splitn(4, ' ');
        let parts = (words.next(), words.next(), words.next(), words.next());
        let (Some(suite), Some(servers), Some(test), Some(reason)) = parts else {
            return Err(format!("{SKIPS}: expected suite, servers, test and reason: {row}"));
        };
        let servers = match servers {
            "both" => Servers::Both,
            "bellwether" => Servers::OursAlone,
            "three" => Servers::Three,
            other => {
                return Err(format!("{SKIPS}: {other} is not both, bellwether or three: {row}"));
            }
        };
        if suite == "kazoo" {
            skips.push(Skip { servers, test: test.to_owned(), reason: reason.to_owned() });
        }
    }
    Ok(skips)
}

fn path_with(first: &Path) -> Result<std::ffi::OsString, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).map_err(|e| format!("PATH: {e}"))
}

/// The real `java`, which the stand-in would otherwise find in its own place.
fn java_program(java: &Command) -> Result<PathBuf, String> {
    let program = PathBuf::from(java.get_program());
    if program.is_absolute() {
        return Ok(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(&program));
    found.find(|it| it.is_file()).ok_or_else(|| "there is no java in PATH".to_owned())
}

fn classes(java: &Command) -> Result<String, String> {
    let words: Vec<String> =
        java.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let at = words.iter().position(|word| word == "-cp");
    let classes = at.and_then(|at| words.get(at + 1));
    classes.cloned().ok_or_else(|| format!("no class path in {words:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_and_nothing_else_is_one() {
        let line = "kazoo/tests/test_a.py::TestA::test_b PASSED                    [  1%]";
        assert_eq!(verdict(line), Some(("test_a.py::TestA::test_b", "PASSED")));
        for other in ["kazoo/tests/test_a.py::TestA::test_b ", "PASSED", "kazoo/tests/x.py PASSED"]
        {
            assert_eq!(verdict(other), None, "{other}");
        }
    }

    #[test]
    fn a_row_has_four_parts() {
        let text = "# x\n\nkazoo both a.py::B it waits\nother both x y z\nkazoo bellwether c d e\nkazoo three f g\n";
        let row = |servers, test: &str, reason: &str| Skip {
            servers,
            test: test.to_owned(),
            reason: reason.to_owned(),
        };
        let expected = vec![
            row(Servers::Both, "a.py::B", "it waits"),
            row(Servers::OursAlone, "c", "d e"),
            row(Servers::Three, "f", "g"),
        ];
        assert_eq!(skips(text), Ok(expected));
        assert!(skips("kazoo both a").is_err() && skips("kazoo some a b").is_err());
    }
}
