//! The stage `zkcli`: Apache's own shell, with one script against both servers.
//!
//! Keeps true: what it prints must be equal line by line, zxids and versions included; only times,
//! session ids and the address differ between two runs. Leaves the script to
//! `conformance/foreign/zkcli.txt`, and the comparison with our own shell to `shells`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::process::run;
use crate::report::{Passed, Report};
use crate::server::{Flavour, Launch, SUPER_DIGEST, apache_java};
use crate::workspace::Workspace;

mod shells;

const SCRIPT: &str = "conformance/foreign/zkcli.txt";
/// One Java virtual machine and about a hundred commands.
const LIMIT: Duration = Duration::from_mins(2);
/// A shell that fails at the start prints less than this.
const LINES_MIN: usize = 100;

/// The stage `zkcli`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut expected = String::new();
    let original = report.check("zkCli against the original", || {
        expected = transcript(workspace, Flavour::Apache)?;
        let count = expected.lines().count();
        if count < LINES_MIN {
            return Err(format!("only {count} lines\n{expected}").into());
        }
        Ok(Passed::one())
    });
    report.check("zkCli prints the same against Bellwether", || {
        if !original {
            return Err("there is nothing to compare with".into());
        }
        compare(&expected, &transcript(workspace, Flavour::Bellwether)?)?;
        Ok(Passed::noting(format!("{} lines", expected.lines().count())))
    });
    shells::stage(workspace, report);
}

/// Everything that the shell printed, without what differs between two runs.
fn transcript(workspace: &Workspace, flavour: Flavour) -> Result<String, String> {
    let home = workspace.scratch("zkcli")?;
    let server = Launch::new(flavour, home.path())
        .property("extendedTypesEnabled", "true")
        .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .start(workspace)?;
    let mut java = apache_java(workspace)?;
    java.arg("-Dlevel=OFF").arg("org.apache.zookeeper.ZooKeeperMain");
    java.args(["-waitforconnection", "-server", &server.address()]);
    // One stream for both outputs keeps their order; the shell reads its commands from a file.
    let mut shell = workspace.command("sh");
    shell.args(["-c", "script=$1; shift; exec \"$@\" <\"$script\" 2>&1", "sh", SCRIPT]);
    shell.arg(java.get_program()).args(java.get_args());
    let printed = run(&mut shell, LIMIT)?;
    let address = server.address();
    server.stop()?;
    let lines = printed.stdout.lines().map(|line| normal(line, &address));
    Ok(lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect())
}

/// A line without prompts, times, session ids and the address; nothing for a notification, which
/// the shell prints from another thread.
fn normal(line: &str, address: &str) -> String {
    let mut line = line;
    while let Some((_, rest)) = line.split_once("] ").filter(|_| line.starts_with("[zk: ")) {
        // A prompt is followed by the command's output, or by the next prompt.
        line = rest;
    }
    if line.starts_with("WATCHER::") || line.starts_with("WatchedEvent ") {
        return String::new();
    }
    let line = line.replace(address, "SERVER");
    let time = ["ctime = ", "mtime = "].iter().find(|start| line.starts_with(**start));
    if let Some(start) = time {
        return format!("{start}TIME");
    }
    match line.strip_prefix("ephemeralOwner = 0x") {
        Some(id) if id != "0" => "ephemeralOwner = SESSION".to_owned(),
        _ => line,
    }
}

/// Nothing, or where the transcripts part.
fn compare(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let pairs = expected.lines().zip(found.lines()).zip(1..);
    let parted = pairs.into_iter().find(|((expected, found), _)| expected != found);
    let (number, before) = parted.map_or((0, ("", "")), |(lines, number)| (number, lines));
    let mine: BTreeSet<&str> = expected.lines().collect();
    let other: BTreeSet<&str> = found.lines().collect();
    let lost = mine.difference(&other).take(10).map(|line| format!("-{line}"));
    let extra = other.difference(&mine).take(10).map(|line| format!("+{line}"));
    let lines: Vec<String> = lost.chain(extra).collect();
    Err(format!(
        "the outputs part at line {number}: {:?} became {:?}\n{}",
        before.0,
        before.1,
        lines.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_between_runs_is_hidden() {
        let check = |line: &str, expected: &str| assert_eq!(normal(line, "1.2.3.4:5"), expected);
        check("ctime = Sat Nov 21 10:00:00 UTC 2026", "ctime = TIME");
        check("ephemeralOwner = 0x10000", "ephemeralOwner = SESSION");
        check("ephemeralOwner = 0x0", "ephemeralOwner = 0x0");
        check("cZxid = 0x2", "cZxid = 0x2");
        check("[zk: 1.2.3.4:5(CONNECTED) 0] [zk: 1.2.3.4:5(CONNECTED) 1] hello", "hello");
        check("[zk: 1.2.3.4:5(CONNECTED) 7] ", "");
        check("WATCHER::", "");
        check("Connecting to 1.2.3.4:5", "Connecting to SERVER");
    }

    #[test]
    fn the_place_where_outputs_part_is_named() {
        assert_eq!(compare("a\nb\n", "a\nb\n"), Ok(()));
        let why = compare("a\nb\n", "a\nc\n").expect_err("they differ");
        assert!(why.starts_with("the outputs part at line 2: \"b\" became \"c\""), "{why}");
        assert!(compare("a\n", "a\nb\n").is_err());
    }
}
