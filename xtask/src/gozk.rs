//! The stage `gozk`: go-zookeeper's own integration tests, against both servers.
//!
//! Keeps true: the tests are the module's, but for the pattern in which it knows the date of a
//! server's version only as older servers write it; a test runs against Bellwether when it passes
//! against Apache, and every other is named with its reason.
//! Leaves starting a server to the `zkServer.sh` that the tests call.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::files::copy_directory;
use crate::json::Json;
use crate::maven::APACHE_VERSION;
use crate::process::{
    Background, Scratch, create, free_port, make_dir, read, run, wait_for, write,
};
use crate::report::{Failure, Passed, Report, tail};
use crate::server::{Flavour, START_LIMIT, apache_java, bellwether, four_letter_word};
use crate::workspace::{FETCH_LIMIT, Workspace};

const MODULE: &str = "github.com/go-zookeeper/zk@v1.0.4";
/// What the module must hash to, as its checksum database says.
const SUM: &str = "h1:DPzxraQx7OrPyXq2phlGlNSIyWEsAox0RJmjTseMV6I=";

/// The readiness pattern: the form of the date in `srvr`, and how it is parsed. Servers from 3.6 on
/// write it as ISO 8601, so the tests would wait for Apache in vain as well.
const PATTERN: [(&str, &str); 2] = [
    (r"built on (\d\d/\d\d/\d\d\d\d \d\d:\d\d", r"built on (\d\d\d\d-\d\d-\d\d \d\d:\d\d"),
    ("\"01/02/2006 15:04 MST\"", "\"2006-01-02 15:04 MST\""),
];

/// Tests of what this server does not have, by a part of their names.
const NOT_YET: [(&str, &str); 1] =
    [("Reconfig", "the members of an ensemble cannot be changed while it runs")];

/// Compiling the tests with an empty Go cache.
const BUILD_LIMIT: Duration = Duration::from_mins(5);
/// One test; the longest waits half a minute for a session to expire.
const TEST_LIMIT: Duration = Duration::from_mins(2);
/// Fewer tests than this means that the harness is broken, and not Apache.
const APACHE_PASSES_MIN: usize = 20;
/// A test that depends on time may fail once against Apache on a busy machine; it is no reason not
/// to ask it of ours, which has one attempt.
const ATTEMPTS: usize = 2;

/// The stage `gozk`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut suite = None;
    report.check("go-zookeeper's tests compile", || {
        suite = Some(Suite::build(workspace)?);
        Ok(Passed::one())
    });
    let Some(suite) = suite else { return };
    let mut runnable = Vec::new();
    for test in &suite.tests {
        match NOT_YET.iter().find(|(part, _)| test.contains(part)) {
            Some((_, why)) => report.skip(test, why),
            None => runnable.push(test.as_str()),
        }
    }
    let mut good = Vec::new();
    report.check(&format!("go-zookeeper against {}", Flavour::Apache), || {
        let bin = suite.bin(workspace, Flavour::Apache)?;
        let mut failed = Vec::new();
        for name in &runnable {
            match suite.attempts(name, &bin) {
                Ok(()) => good.push(*name),
                Err(why) => failed.push((*name, why)),
            }
        }
        if good.len() < APACHE_PASSES_MIN {
            let all: Vec<String> =
                failed.into_iter().map(|(n, why)| format!("{n}: {why}")).collect();
            return Err(format!("only {} tests passed\n{}", good.len(), all.join("\n")).into());
        }
        Ok(Passed::noting(format!("{} of {} tests passed", good.len(), runnable.len())))
    });
    for name in runnable.iter().filter(|name| !good.contains(name)) {
        report.skip(name, &format!("{} fails it too", Flavour::Apache));
    }
    against_ours(workspace, report, &suite, &good);
}

/// The tests that Apache passes, each a check of its own.
fn against_ours(workspace: &Workspace, report: &mut Report, suite: &Suite, names: &[&str]) {
    let ours = Flavour::Bellwether;
    let mut bin = None;
    report.check("zkServer.sh starts Bellwether for go-zookeeper", || {
        let found = suite.bin(workspace, ours)?;
        suite.starts(&found).map_err(|why| {
            // Each of the tests would wait in vain for the same server.
            Failure::many(0, 1 + u64::try_from(names.len()).unwrap_or(u64::MAX), why)
        })?;
        bin = Some(found);
        Ok(Passed::one())
    });
    let Some(bin) = bin else { return };
    for name in names {
        report.check(&format!("go-zookeeper against {ours}: {name}"), || {
            suite.test(name, &bin)?;
            Ok(Passed::one())
        });
    }
}

/// The compiled tests in a copy of the module.
struct Suite {
    scratch: Scratch,
    /// The tests of the module that start servers, one or three.
    tests: Vec<String>,
}

impl Suite {
    fn build(workspace: &Workspace) -> Result<Self, String> {
        let module = download(workspace)?;
        let scratch = workspace.scratch("gozk")?;
        let copy = scratch.path().join("zk");
        copy_directory(&module, &copy)?;
        let flw = copy.join("flw.go");
        write(&flw, patched(&read(&flw)?)?)?;
        let mut go = go(workspace)?;
        go.current_dir(&copy).args(["test", "-c", "-o", "zk.test", "."]);
        run(&mut go, BUILD_LIMIT)?.success()?;
        let tests = cluster_tests(&copy)?;
        Ok(Self { scratch, tests })
    }

    /// A directory with the `zkServer.sh` that starts servers of this flavour.
    fn bin(&self, workspace: &Workspace, flavour: Flavour) -> Result<PathBuf, String> {
        let name = match flavour {
            Flavour::Apache => "apache",
            Flavour::Bellwether => "bellwether",
        };
        let bin = self.scratch.path().join(name);
        let script = bin.join("zkServer.sh");
        if script.exists() {
            return Ok(bin);
        }
        make_dir(&bin)?;
        let start = match flavour {
            Flavour::Apache => {
                let java = apache_java(workspace)?;
                let mut words = vec![quoted(&java.get_program().to_string_lossy())];
                words.extend(java.get_args().map(|word| quoted(&word.to_string_lossy())));
                words.push("\"${flags[@]}\"".to_owned());
                words.push("org.apache.zookeeper.server.quorum.QuorumPeerMain \"$2\"".to_owned());
                format!("read -r -a flags <<<\"${{SERVER_JVMFLAGS:-}}\"\nexec {}", words.join(" "))
            }
            Flavour::Bellwether => {
                let binary = bellwether(workspace)?.display().to_string();
                let ours = workspace.root().join("deploy/compat/bin/zkServer.sh");
                let ours = ours.display().to_string();
                format!("export BELLWETHER_BIN={}\nexec {} \"$@\"", quoted(&binary), quoted(&ours))
            }
        };
        // The tests write no address, and would have their server listen on every interface.
        let text = format!(
            "#!/usr/bin/env bash\nset -euo pipefail\n\
             grep -q '^clientPortAddress=' \"$2\" || echo 'clientPortAddress=127.0.0.1' >>\"$2\"\n\
             {start}\n"
        );
        write(&script, text)?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))
            .map_err(|e| format!("cannot make {} executable: {e}", script.display()))?;
        Ok(bin)
    }

    /// Starts a server as the tests do, and waits until it answers.
    fn starts(&self, bin: &Path) -> Result<(), String> {
        let home = self.scratch.path().join("start");
        make_dir(&home)?;
        let (port, config, log) = (free_port()?, home.join("zoo.cfg"), home.join("server.log"));
        write(&config, format!("dataDir={}\nclientPort={port}\n", home.join("data").display()))?;
        let mut script = Command::new(bin.join("zkServer.sh"));
        script.arg("start-foreground").arg(&config).current_dir(&home);
        let output = create(&log)?;
        let errors = output.try_clone().map_err(|e| format!("cannot share the log: {e}"))?;
        script.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut server = Background::spawn(&mut script)?;
        let up = wait_for("a server behind zkServer.sh", START_LIMIT, || {
            if let Some(status) = server.ended() {
                return Some(Err(format!("zkServer.sh ended: {status}")));
            }
            let answer = four_letter_word(port, "srvr").ok()?;
            answer.starts_with("Zookeeper version").then_some(Ok(()))
        });
        up.and_then(|up| up)
            .map_err(|why| format!("{why}\n{}", tail(&read(&log).unwrap_or_default())))
    }

    fn attempts(&self, name: &str, bin: &Path) -> Result<(), String> {
        let mut last = Ok(());
        for _ in 0..ATTEMPTS {
            last = self.test(name, bin);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn test(&self, name: &str, bin: &Path) -> Result<(), String> {
        let copy = self.scratch.path().join("zk");
        let mut test = Command::new(copy.join("zk.test"));
        test.current_dir(&copy).args(["-test.v", "-test.timeout=100s"]);
        test.arg(format!("-test.run=^{name}$"));
        test.env("ZOOKEEPER_BIN_PATH", bin).env("ZK_VERSION", APACHE_VERSION);
        let done = run(&mut test, TEST_LIMIT)?;
        let passed = done.stdout.lines().any(|line| line.starts_with(&format!("--- PASS: {name}")));
        if passed && done.status.success() {
            return Ok(());
        }
        // The test's own words first: what follows them is the log of its server.
        let own = done.stdout.lines().filter(|line| line.contains("_test.go:"));
        let words: Vec<&str> = own.chain(done.stderr.lines()).collect();
        Err(format!("{}\n{}", done.status, tail(&words.join("\n"))))
    }
}

/// Go with caches of its own.
fn go(workspace: &Workspace) -> Result<Command, String> {
    let mut go = workspace.command("go");
    go.env("GOPATH", workspace.cached("go/path")?);
    go.env("GOMODCACHE", workspace.cached("go/modules")?);
    go.env("GOCACHE", workspace.cached("go/build")?);
    // A module cache that can be deleted, and the compiler that is there.
    go.env("GOFLAGS", "-modcacherw").env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    Ok(go)
}

/// The module's directory in the cache, checked against its pinned checksum.
fn download(workspace: &Workspace) -> Result<PathBuf, String> {
    let elsewhere = workspace.scratch("go")?;
    let mut go = go(workspace)?;
    go.current_dir(elsewhere.path()).args(["mod", "download", "-json", MODULE]);
    let done = run(&mut go, FETCH_LIMIT)?.success().map_err(|e| format!("go mod download: {e}"))?;
    let json = Json::parse(&done.stdout)?;
    let member = |name: &str| json.get(name).and_then(Json::text).unwrap_or_default();
    if member("Sum") != SUM {
        return Err(format!("{MODULE} has the checksum {}, not {SUM}", member("Sum")));
    }
    Ok(PathBuf::from(member("Dir")))
}

/// The module's file with the one pattern changed; anything unexpected in it is an error.
fn patched(text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for (old, new) in PATTERN {
        match text.matches(old).count() {
            1 => text = text.replace(old, new),
            count => return Err(format!("flw.go holds {old} {count} times, not once")),
        }
    }
    Ok(text)
}

/// The tests that start servers, from the text of the test files.
fn cluster_tests(directory: &Path) -> Result<Vec<String>, String> {
    let mut tests = Vec::new();
    let entries = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.to_string_lossy().ends_with("_test.go")) {
        tests.extend(tests_in(&read(path)?));
    }
    Ok(tests)
}

fn tests_in(text: &str) -> Vec<String> {
    let mut tests: Vec<String> = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("func ") {
            name = rest.split('(').next().filter(|name| name.starts_with("Test"));
        }
        let starts = line.contains("StartTestCluster(t, ");
        tests.extend(name.take_if(|_| starts).map(str::to_owned));
    }
    tests
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_changed_once_and_nothing_else() {
        let text =
            "a built on (\\d\\d/\\d\\d/\\d\\d\\d\\d \\d\\d:\\d\\d b \"01/02/2006 15:04 MST\" c";
        let changed = patched(text).expect("both stand there once");
        let expected =
            "a built on (\\d\\d\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d b \"2006-01-02 15:04 MST\" c";
        assert_eq!(changed, expected);
        assert!(patched("nothing").is_err());
        assert!(patched(&format!("{text}{text}")).is_err());
    }

    #[test]
    fn a_test_that_starts_servers_is_found_once() {
        let text = "func TestA(t *testing.T) {\n\tts, err := StartTestCluster(t, 1, nil, w)\n}\n\
            func helper() {\n\tStartTestCluster(t, 5, nil)\n}\nfunc TestB(t *testing.T) {}\n\
            func TestC(t *testing.T) {\n\tx\n\tts, err := StartTestCluster(t, 3, nil, w)\n}\n";
        assert_eq!(tests_in(text), ["TestA", "TestC"]);
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("a'b c"), r"'a'\''b c'");
    }
}
