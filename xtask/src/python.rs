//! The stage `python`: the wheel of the Python package, installed as users do, against both
//! servers.
//!
//! Keeps true: what is tested is the wheel in an environment of its own, not the checkout; types
//! and stubs are checked as strictly as mypy can; tests are counted one by one. Leaves the tests
//! themselves to `python/bellwether-client/tests`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kazoo::judge;
use crate::process::{Scratch, converse, run, write};
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch, bellwether};
use crate::workspace::{FETCH_LIMIT, Workspace};

/// The package.
const PACKAGE: &str = "python/bellwether-client";
/// What builds, checks and tests it.
const REQUIREMENTS: &str = "python/bellwether-client/requirements.txt";
/// A build from empty caches.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
const MYPY_LIMIT: Duration = Duration::from_mins(5);
const TESTS_LIMIT: Duration = Duration::from_mins(8);
/// What a round beside kazoo may take.
const ROUND_LIMIT: Duration = Duration::from_mins(2);

/// The stage `python`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut installed = None;
    report.check("the wheel is built, and pip installs it in an environment of its own", || {
        installed = Some(Installed::make(workspace)?);
        Ok(Passed::one())
    });
    let Some(installed) = installed else { return };
    report.check("mypy --strict finds nothing in the package, its tests and its benchmark", || {
        let mut mypy = installed.python(workspace);
        mypy.args(["-m", "mypy", "--strict", "-p", "bellwether"]);
        run(&mut mypy, MYPY_LIMIT)?.success()?;
        let mut mypy = installed.python(workspace);
        mypy.args(["-m", "mypy", "--strict", "tests", "bench"]);
        run(&mut mypy, MYPY_LIMIT)?.success()?;
        Ok(Passed::one())
    });
    report.check("the stubs say what the extension module is", || {
        let mut stubtest = installed.python(workspace);
        stubtest.args(["-m", "mypy.stubtest", "bellwether"]);
        run(&mut stubtest, MYPY_LIMIT)?.success()?;
        Ok(Passed::one())
    });
    for flavour in Flavour::BOTH {
        report.check(&format!("the package's tests against {flavour}"), || {
            installed.test(workspace, flavour)
        });
    }
    report.check("a round beside kazoo is measured", || {
        let printed = installed.compare(workspace, 1)?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let rows = printed.lines().filter(|line| line.contains(" ratio ")).map(words);
        let rows: Vec<String> = rows.collect();
        if rows.len() == 3 { Ok(Passed::noting(rows.join("; "))) } else { Err(printed.into()) }
    });
}

/// An environment that holds the wheel.
pub(crate) struct Installed {
    home: Scratch,
}

impl Installed {
    /// Builds the wheel, installs it alone, and shows that it works without anything else. Then the
    /// environment is let see the tools.
    pub(crate) fn make(workspace: &Workspace) -> Result<Self, String> {
        let tools = workspace.python(REQUIREMENTS)?;
        let home = workspace.scratch("python")?;
        let wheels = home.path().join("wheels");
        wheel(workspace, &wheels)?;
        let installed = Self { home };
        let mut venv = workspace.command("python3");
        venv.args(["-m", "venv"]).arg(installed.venv());
        run(&mut venv, FETCH_LIMIT)?.success().map_err(|e| format!("python3 -m venv: {e}"))?;
        let mut pip = installed.python(workspace);
        pip.args(["-m", "pip", "install", "-q", "--no-input", "--no-index", "--find-links"]);
        pip.arg(&wheels).arg("bellwether-client");
        run(&mut pip, FETCH_LIMIT)?.success().map_err(|e| format!("pip install: {e}"))?;
        for arguments in [&["-m", "pip", "check"][..], &["-m", "bellwether", "--help"]] {
            let mut python = installed.python(workspace);
            run(python.args(arguments), FETCH_LIMIT)?
                .success()
                .map_err(|e| format!("{arguments:?}: {e}"))?;
        }
        let seen = "import site; print(site.getsitepackages()[0])";
        let packages = |python: &mut Command| {
            Ok::<_, String>(run(python.args(["-c", seen]), FETCH_LIMIT)?.success()?.stdout)
        };
        let theirs = packages(&mut workspace.command(tools.join("python")))?;
        let ours = packages(&mut installed.python(workspace))?;
        write(&Path::new(ours.trim()).join("tools.pth"), theirs)?;
        Ok(installed)
    }

    fn venv(&self) -> PathBuf {
        self.home.path().join("venv")
    }

    /// Its Python, in the package's directory. What it writes beside the sources is switched off.
    pub(crate) fn python(&self, workspace: &Workspace) -> Command {
        let mut python = workspace.command(self.venv().join("bin/python"));
        python.arg("-B").current_dir(workspace.root().join(PACKAGE));
        python.env("MYPY_CACHE_DIR", self.home.path().join("mypy"));
        python.env("PYTHONUNBUFFERED", "1");
        python
    }

    /// Measures so many rounds beside kazoo, with a server of ours: what `compare.py` prints.
    pub(crate) fn compare(&self, workspace: &Workspace, rounds: u32) -> Result<String, String> {
        let home = workspace.scratch("bench")?;
        let server = Launch::new(Flavour::Bellwether, home.path()).start(workspace)?;
        let mut compare = self.python(workspace);
        compare.args(["bench/compare.py", &server.address(), &rounds.to_string()]);
        let printed = run(&mut compare, ROUND_LIMIT * rounds)?.success()?.stdout;
        server.stop()?;
        Ok(printed)
    }

    fn test(&self, workspace: &Workspace, flavour: Flavour) -> Result<Passed, Failure> {
        let home = workspace.scratch("python")?;
        // Short ticks, so that a session of the shortest timeout expires within seconds.
        let launch = Launch::new(flavour, home.path())
            .line("tickTime=500")
            .property("extendedTypesEnabled", "true");
        let mut pytest = self.python(workspace);
        pytest.args(["-m", "pytest", "-s", "-q"]);
        // For the programs of the articles that call zkCli.sh.
        pytest.env("BELLWETHER_BIN", bellwether(workspace)?);
        tests(workspace, &launch, &mut pytest, TESTS_LIMIT)
    }
}

/// Builds the wheel of the client into a directory.
pub(crate) fn wheel(workspace: &Workspace, wheels: &Path) -> Result<(), String> {
    let tools = workspace.python(REQUIREMENTS)?;
    let mut maturin = workspace.command(tools.join("maturin"));
    maturin.args(["build", "--out"]).arg(wheels).current_dir(workspace.root().join(PACKAGE));
    maturin.env("CARGO_TARGET_DIR", workspace.built("python", ""));
    run(&mut maturin, BUILD_LIMIT)?.success().map_err(|e| format!("maturin build: {e}"))?;
    Ok(())
}

/// Runs tests against a server that `BELLWETHER_HOSTS` tells them of, and that they may have
/// restarted or killed.
pub(crate) fn tests(
    workspace: &Workspace,
    launch: &Launch,
    pytest: &mut Command,
    limit: Duration,
) -> Result<Passed, Failure> {
    tests_with(workspace, &[("BELLWETHER_HOSTS", launch)], pytest, limit)
}

/// Runs tests against servers that these variables tell them of, and that they may have restarted
/// or killed, all at once. What they print as `figure: TEXT` is shown with the check.
pub(crate) fn tests_with(
    workspace: &Workspace,
    launches: &[(&str, &Launch)],
    pytest: &mut Command,
    limit: Duration,
) -> Result<Passed, Failure> {
    let mut servers = Vec::new();
    for (variable, launch) in launches {
        let server = launch.start(workspace)?;
        pytest.env(variable, server.address());
        servers.push(server);
    }
    let done = converse(pytest, limit, |line| {
        // Behind the marks of the tests before it.
        let command = line.trim_start_matches(['.', 'F', 'E', 's']);
        if !["RESTART", "CRASH"].contains(&command) {
            return Ok(None);
        }
        let running = std::mem::take(&mut servers);
        for (server, (_, launch)) in running.into_iter().zip(launches) {
            servers.push(match command {
                "CRASH" => server.crash(workspace, launch)?,
                _ => server.restart(workspace, launch)?,
            });
        }
        Ok(Some("done\n"))
    })?;
    let figures = done.stdout.lines().filter_map(|line| line.split_once("figure: "));
    let passed = figures.fold(judge(&done)?, |passed, (_, figure)| passed.and(figure));
    for server in servers {
        server.stop()?;
    }
    Ok(passed)
}
