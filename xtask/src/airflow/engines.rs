//! Real `OpenSearch` and Elasticsearch, from Maven Central, for the operators that write to them.
//!
//! Keeps true: what is started are the engines that their projects publish for integration tests,
//! of pinned versions; `OpenSearch` with the modules that its zip leaves out, for without them it
//! has no reindex and no scripts. They listen on loopback, and end with the check that started
//! them. Leaves the tests themselves to `tests/engines` of the package.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Installed, REQUIREMENTS};
use crate::maven::{self, Engine};
use crate::process::{
    Background, Scratch, create, free_port, make_dir, read, run, wait_for, write,
};
use crate::python::tests;
use crate::report::{Failure, Passed, Report, tail};
use crate::server::{Flavour, Launch};
use crate::workspace::{FETCH_LIMIT, Workspace};

/// The package with the import path of article 000.
const ESCOMPAT: &str = "python/airflow-provider-bellwether-escompat";
/// Airflow's own provider, whose directory that package writes into.
const UPSTREAM: &str = "python/airflow-provider-bellwether-escompat/upstream.txt";

/// The tests in which a lock, a fence or a registry matters.
const WITH_ZOOKEEPER: &[&str] = &[
    "tests/engines/test_article.py",
    "tests/engines/test_fences.py",
    "tests/engines/test_hosts.py",
];
/// What both engines need.
const JAVA_MIN: u32 = 21;
/// What an engine may take to answer; it takes 10 to 30 s.
const START_LIMIT: Duration = Duration::from_mins(3);
const STOP_LIMIT: Duration = Duration::from_mins(1);
const TESTS_LIMIT: Duration = Duration::from_mins(10);

/// The checks of the stage `airflow`.
pub(super) fn check(workspace: &Workspace, installed: &Installed, report: &mut Report) {
    let mut engines = None;
    report.check("OpenSearch 3.4.0 and Elasticsearch 9.2.0 start", || {
        engines = Some(Engines::start(workspace, installed)?);
        Ok(Passed::one())
    });
    let Some(engines) = engines else { return };
    report.check("the operators against both, with Bellwether", || {
        engines.play(workspace, installed, Flavour::Bellwether, &["tests/engines"])
    });
    report.check("those operators that use ZooKeeper too, with Apache 3.9.5", || {
        engines.play(workspace, installed, Flavour::Apache, WITH_ZOOKEEPER)
    });
    report.check("both end when they are asked to", || engines.stop());
}

/// Both engines, and what the tests need beside them.
struct Engines {
    home: Scratch,
    upstream: PathBuf,
    running: Vec<Running>,
}

impl Engines {
    fn start(workspace: &Workspace, installed: &Installed) -> Result<Self, String> {
        let java = java_home(workspace)?;
        let home = workspace.scratch("engines")?;
        let upstream = escompat(workspace, installed, home.path())?;
        let mut running = Vec::new();
        for engine in Engine::ALL {
            running.push(Running::start(workspace, engine, &java, home.path())?);
        }
        for engine in &mut running {
            engine.ready()?;
        }
        Ok(Self { home, upstream, running })
    }

    fn play(
        &self,
        workspace: &Workspace,
        installed: &Installed,
        flavour: Flavour,
        what: &[&str],
    ) -> Result<Passed, Failure> {
        let home = self.home.path().join(format!("{flavour:?}"));
        make_dir(&home)?;
        let mut pytest = installed.python(workspace);
        pytest.args(["-m", "pytest", "-q", "--tb=short"]).args(what);
        pytest.env("BELLWETHER_SCRATCH", &home).env("BELLWETHER_UPSTREAM", &self.upstream);
        for engine in &self.running {
            pytest.env(engine.variable(), format!("http://127.0.0.1:{}", engine.port));
        }
        let launch = Launch::new(flavour, &home).line("tickTime=500");
        tests(workspace, &launch, &mut pytest, TESTS_LIMIT)
    }

    fn stop(self) -> Result<Passed, Failure> {
        for mut engine in self.running {
            engine.process.terminate(STOP_LIMIT)?;
        }
        Ok(Passed::one())
    }
}

/// Installs the package of the import path, and fetches the provider that it stands beside.
fn escompat(workspace: &Workspace, installed: &Installed, home: &Path) -> Result<PathBuf, String> {
    let wheels = home.join("wheels");
    let airflow = workspace.python(REQUIREMENTS)?;
    let mut build = workspace.command(airflow.join("python"));
    build.args(["-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation"]);
    build.arg("-w").arg(&wheels).arg(ESCOMPAT);
    run(&mut build, FETCH_LIMIT)?.success().map_err(|e| format!("pip wheel: {e}"))?;
    let mut install = installed.python(workspace);
    install.args(["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--find-links"]);
    install.arg(&wheels).arg("airflow-provider-bellwether-escompat");
    run(&mut install, FETCH_LIMIT)?.success().map_err(|e| format!("pip install: {e}"))?;
    let kept = workspace.cached("escompat")?;
    let mark = kept.join("fetched.txt");
    let wanted = read(&workspace.root().join(UPSTREAM))?;
    workspace.exclusively("escompat", || {
        if std::fs::read_to_string(&mark).is_ok_and(|fetched| fetched == wanted) {
            return Ok(());
        }
        let mut fetch = workspace.command(airflow.join("python"));
        fetch.args(["-m", "pip", "download", "-q", "--no-deps", "-r", UPSTREAM, "-d"]).arg(&kept);
        run(&mut fetch, FETCH_LIMIT)?.success().map_err(|e| format!("pip download: {e}"))?;
        write(&mark, &wanted)
    })?;
    Ok(kept)
}

/// An engine that was started.
struct Running {
    engine: Engine,
    port: u16,
    log: PathBuf,
    process: Background,
}

impl Running {
    fn start(
        workspace: &Workspace,
        engine: Engine,
        java: &Path,
        scratch: &Path,
    ) -> Result<Self, String> {
        let program = installed_engine(workspace, engine, java)?;
        let own = scratch.join(engine.name());
        make_dir(&own)?;
        // Two engines are started side by side, and each writes into its own copy of this.
        let config = own.join("config");
        copy(&program.join("config"), &config)?;
        let (port, log) = (free_port()?, own.join("output"));
        let mut command = as_somebody(workspace, &program.join("bin").join(engine.name()))?;
        command.stdin(std::process::Stdio::null());
        command.stdout(create(&log)?).stderr(create(&own.join("errors"))?);
        for (name, value) in engine.environment(java, &config) {
            command.env(name, value);
        }
        for setting in [
            format!("http.port={port}"),
            format!("transport.port={}", free_port()?),
            format!("path.data={}", own.join("data").display()),
            format!("path.logs={}", own.join("logs").display()),
            format!("path.repo={}", own.join("snapshots").display()),
            "network.host=127.0.0.1".to_owned(),
            "discovery.type=single-node".to_owned(),
            "cluster.routing.allocation.disk.threshold_enabled=false".to_owned(),
        ] {
            command.arg(format!("-E{setting}"));
        }
        if engine == Engine::Elasticsearch {
            command.arg("-Expack.security.enabled=false");
        }
        let process = Background::spawn(&mut command)?;
        Ok(Self { engine, port, log, process })
    }

    /// Waits until it answers.
    fn ready(&mut self) -> Result<(), String> {
        let name = self.engine.name();
        let (port, process) = (self.port, &mut self.process);
        let answered = wait_for(&format!("an answer of {name}"), START_LIMIT, || {
            if let Some(status) = process.ended() {
                return Some(Err(format!("it ended: {status}")));
            }
            answers(port).then_some(Ok(()))
        });
        answered.and_then(|ended| ended).map_err(|why| {
            let said = read(&self.log).unwrap_or_default();
            format!("{name} did not start: {why}\n{}", tail(&said))
        })
    }

    fn variable(&self) -> String {
        format!("BELLWETHER_{}", self.engine.name().to_uppercase())
    }
}

/// Whether an engine answers on a port, with a leader.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(
            b"GET /_cluster/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"green\""))
}

/// The directory of an engine, unpacked and completed once.
fn installed_engine(workspace: &Workspace, engine: Engine, java: &Path) -> Result<PathBuf, String> {
    let (name, version) = (engine.name(), engine.version());
    let zips = maven::engine(workspace, engine)?;
    let modules: Vec<_> = engine
        .modules()
        .iter()
        .map(|module| Ok((module, maven::module(workspace, module)?)))
        .collect::<Result<_, String>>()?;
    let home = workspace.cached("engines")?.join(format!("{name}-{version}"));
    workspace.exclusively("engines", || {
        let mark = home.join("bellwether-complete");
        if mark.is_file() {
            return Ok(());
        }
        if home.exists() {
            std::fs::remove_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        }
        let parent = workspace.cached("engines")?;
        let mut unpack = workspace.command(java.join("bin/jar"));
        unpack.current_dir(&parent).arg("--extract").arg("--file");
        unpack.arg(zips.join(format!("{name}-{version}.zip")));
        run(&mut unpack, FETCH_LIMIT)?.success().map_err(|e| format!("jar: {e}"))?;
        // The JDK's unpacking forgets what may be executed.
        let mut chmod = workspace.command("chmod");
        chmod.args(["-R", "u+x"]).arg(home.join("bin"));
        run(&mut chmod, FETCH_LIMIT)?.success().map_err(|e| format!("chmod: {e}"))?;
        for (module, jars) in &modules {
            let own = home.join("modules").join(module.directory);
            complete(&home.join("lib"), jars, &own)?;
            write(&own.join("plugin-descriptor.properties"), module.descriptor(version))?;
        }
        write(&mark, "")
    })?;
    Ok(home)
}

/// Fills the directory of a module with the jars that the engine does not have: one that it has
/// twice keeps it from starting.
fn complete(lib: &Path, jars: &Path, module: &Path) -> Result<(), String> {
    make_dir(module)?;
    let has: BTreeSet<String> = jars_in(lib)?.iter().map(|jar| artifact(jar)).collect();
    for jar in jars_in(jars)? {
        if !has.contains(&artifact(&jar)) {
            let (from, to) = (jars.join(&jar), module.join(&jar));
            std::fs::copy(&from, to).map_err(|e| format!("{}: {e}", from.display()))?;
        }
    }
    Ok(())
}

fn jars_in(directory: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()));
    let names = entries?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "jar")).collect())
}

/// The name of a jar without its version: `asm` of `asm-9.7.jar`.
fn artifact(jar: &str) -> String {
    let mut parts = jar.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts
        .take_while(|part| !part.starts_with(|c: char| c.is_ascii_digit()))
        .fold(first, |name, part| format!("{name}-{part}"))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(from).arg(to);
    run(&mut copy, FETCH_LIMIT)?.success().map_err(|e| format!("cp: {e}"))?;
    Ok(())
}

/// A program that does not run as root, which engines refuse: in a user namespace in which we are
/// somebody, and in which our files are still ours.
fn as_somebody(workspace: &Workspace, program: &Path) -> Result<Command, String> {
    let id = run(workspace.command("id").arg("-u"), FETCH_LIMIT)?.success()?;
    if id.stdout.trim() != "0" {
        return Ok(workspace.command(program));
    }
    let mut command = workspace.command("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
    Ok(command)
}

/// The newest JDK that is installed beside the `java` of the path, or named by `JAVA_HOME`.
fn java_home(workspace: &Workspace) -> Result<PathBuf, String> {
    let mut homes: Vec<PathBuf> =
        std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    let mut which = workspace.command("sh");
    which.args(["-c", "readlink -f \"$(command -v java)\""]);
    let java = run(&mut which, FETCH_LIMIT)?.stdout;
    // BESIDE/JDK/bin/java
    if let Some(beside) = Path::new(java.trim()).ancestors().nth(3) {
        let entries = std::fs::read_dir(beside).into_iter().flatten().flatten();
        homes.extend(entries.map(|entry| entry.path()));
    }
    let newest = homes
        .into_iter()
        .filter(|home| home.join("bin/jar").is_file())
        .filter_map(|home| Some((release(&read(&home.join("release")).ok()?)?, home)))
        .max();
    match newest {
        Some((version, home)) if version >= JAVA_MIN => Ok(home),
        found => Err(format!(
            "the engines need a JDK of at least {JAVA_MIN}; {} is the newest that is installed \
             beside the java of the PATH or as JAVA_HOME",
            found.map_or("none".to_owned(), |(version, home)| {
                format!("{version} ({})", home.display())
            })
        )),
    }
}

/// The major version in the file `release` of a JDK.
fn release(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"').split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_jdk_is_in_its_release_file() {
        assert_eq!(release("VENDOR=\"x\"\nJAVA_VERSION=\"25.0.1\"\n"), Some(25));
        assert_eq!(release("JAVA_VERSION=\"25\"\n"), Some(25));
        assert_eq!(release("JAVA_VERSION=\"1.8.0_402\"\n"), Some(1));
        assert_eq!(release("nothing"), None);
    }

    #[test]
    fn a_jar_is_known_without_its_version() {
        assert_eq!(artifact("asm-9.7.jar"), "asm");
        assert_eq!(artifact("httpcore5-h2-5.3.4.jar"), "httpcore5-h2");
        assert_eq!(artifact("api-1.0-beta.jar"), "api");
    }
}
