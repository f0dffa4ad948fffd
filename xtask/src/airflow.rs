//! The stage `airflow`: the provider for Airflow, installed as users do, against both servers.
//!
//! Keeps true: what is tested are the wheels beside a real Airflow of pinned versions, not the
//! checkout; Airflow's own programs list what the provider offers. Leaves the tests themselves to
//! `python/airflow-provider-bellwether/tests`.

mod daemons;
mod engines;
mod tour;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Scratch, free_port, run, write};
use crate::python::{tests, wheel};
use crate::report::{Failure, Passed, Report};
use crate::secure::Servers;
use crate::server::{Flavour, Launch, SUPER_DIGEST};
use crate::workspace::{FETCH_LIMIT, Workspace};

/// The package.
const PACKAGE: &str = "python/airflow-provider-bellwether";
/// Airflow, and what builds, checks and tests the package.
const REQUIREMENTS: &str = "python/airflow-provider-bellwether/requirements.txt";
const MYPY_LIMIT: Duration = Duration::from_mins(5);
/// They take five minutes; what hangs is shown when its own limits have passed.
const TESTS_LIMIT: Duration = Duration::from_mins(20);

/// The stage `airflow`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut installed = None;
    report.check("the wheels are installed beside Airflow, and pip check is content", || {
        installed = Some(Installed::make(workspace)?);
        Ok(Passed::one())
    });
    let Some(installed) = installed else { return };
    report.check("mypy --strict finds nothing in the provider and its tests", || {
        for what in [&["-p", "bellwether_airflow"][..], &["tests"]] {
            let mut mypy = installed.python(workspace);
            mypy.args(["-m", "mypy", "--strict"]).args(what);
            run(&mut mypy, MYPY_LIMIT)?.success()?;
        }
        Ok(Passed::one())
    });
    // Each leaves its core idle for a third of its time.
    let mut done = None;
    for (index, flavour) in Flavour::BOTH.into_iter().enumerate() {
        report.check(&format!("the provider's tests and DAGs against {flavour}"), || {
            let both = done.get_or_insert_with(|| installed.test_both(workspace));
            both.get_mut(index)
                .and_then(Option::take)
                .unwrap_or_else(|| Err("it did not run".into()))
        });
    }
    report.check("the provider's ways to connect by TLS and SASL, against Apache", || {
        let mut servers = Servers::start(workspace)?;
        let mut pytest = installed.python(workspace);
        pytest.args(["-m", "pytest", "-s", "-q", "--tb=short", "tests/secure.py"]);
        let passed = servers.judge(&mut pytest)?;
        servers.stop()?;
        Ok(passed)
    });
    report.check("the tour of docs/airflow, with airflow standalone", || {
        tour::tour(workspace, &installed)
    });
    daemons::check(workspace, &installed, report);
    engines::check(workspace, &installed, report);
}

/// An environment that holds both wheels and sees an Airflow.
struct Installed {
    home: Scratch,
}

impl Installed {
    fn make(workspace: &Workspace) -> Result<Self, String> {
        let airflow = workspace.python(REQUIREMENTS)?;
        let home = workspace.scratch("airflow")?;
        let wheels = home.path().join("wheels");
        wheel(workspace, &wheels)?;
        let mut build = workspace.command(airflow.join("python"));
        build.args(["-m", "pip", "wheel", "-q", "--no-deps", "--no-index"]);
        build.args(["--no-build-isolation", "-w"]).arg(&wheels).arg(PACKAGE);
        run(&mut build, FETCH_LIMIT)?.success().map_err(|e| format!("pip wheel: {e}"))?;
        let installed = Self { home };
        let mut venv = workspace.command("python3");
        venv.args(["-m", "venv"]).arg(installed.venv());
        run(&mut venv, FETCH_LIMIT)?.success().map_err(|e| format!("python3 -m venv: {e}"))?;
        let mut pip = installed.python(workspace);
        pip.args(["-m", "pip", "install", "-q", "--no-input", "--no-deps", "--no-index"]);
        pip.arg("--find-links").arg(&wheels);
        pip.args(["bellwether-client", "airflow-provider-bellwether"]);
        run(&mut pip, FETCH_LIMIT)?.success().map_err(|e| format!("pip install: {e}"))?;
        let theirs = site(&mut workspace.command(airflow.join("python")))?;
        let ours = site(&mut installed.python(workspace))?;
        write(&Path::new(ours.trim()).join("airflow.pth"), theirs)?;
        let mut check = installed.python(workspace);
        run(check.args(["-m", "pip", "check"]), FETCH_LIMIT)?
            .success()
            .map_err(|e| format!("pip check: {e}"))?;
        Ok(installed)
    }

    fn venv(&self) -> PathBuf {
        self.home.path().join("venv")
    }

    /// Its Python, in the package's directory. What it writes beside the sources is switched off.
    fn python(&self, workspace: &Workspace) -> Command {
        let mut python = workspace.command(self.venv().join("bin/python"));
        python.arg("-B").current_dir(workspace.root().join(PACKAGE));
        python.env("MYPY_CACHE_DIR", self.home.path().join("mypy"));
        python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        python
    }

    fn test_both(&self, workspace: &Workspace) -> [Option<Result<Passed, Failure>>; 2] {
        std::thread::scope(|scope| {
            let test = |flavour| scope.spawn(move || self.test(workspace, flavour));
            Flavour::BOTH.map(test).map(|thread| thread.join().ok())
        })
    }

    fn test(&self, workspace: &Workspace, flavour: Flavour) -> Result<Passed, Failure> {
        let home = workspace.scratch("airflow")?;
        let mut pytest = self.python(workspace);
        pytest.args(["-m", "pytest", "-q", "--tb=short"]).env("BELLWETHER_SCRATCH", home.path());
        pytest.env("BELLWETHER_HARNESS", "restarts");
        let mut launch = Launch::new(flavour, home.path())
            .line("tickTime=500")
            .property("extendedTypesEnabled", "true")
            .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
        // The admin server's snapshots are Apache's alone.
        if flavour == Flavour::Apache {
            let port = free_port()?;
            launch = launch
                .line("admin.enableServer=true")
                .line("admin.serverAddress=127.0.0.1")
                .line(&format!("admin.serverPort={port}"))
                .property("admin.rateLimiterIntervalInMS", "0");
            pytest.env("BELLWETHER_ADMIN", format!("http://127.0.0.1:{port}"));
        }
        tests(workspace, &launch, &mut pytest, TESTS_LIMIT)
    }
}

/// The directory of a Python's packages.
fn site(python: &mut Command) -> Result<String, String> {
    let seen = "import site; print(site.getsitepackages()[0])";
    Ok(run(python.args(["-c", seen]), FETCH_LIMIT)?.success()?.stdout)
}
