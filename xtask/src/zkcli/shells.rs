//! Two shells, one server: Apache's zkCli and `bellwether cli` run the same session, each against a
//! fresh server of Apache's, and print the same.
//!
//! Keeps true: every command's output is compared line by line, and so are all events in their
//! order. What may differ is one of the rules of [`RULES`], or a row of [`DELIBERATE`] that says
//! what each prints and why. Leaves the session to `conformance/foreign/shell.txt`.

use std::time::Duration;

use crate::process::{read, run, write};
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch, SUPER_DIGEST, apache_java, bellwether};
use crate::workspace::Workspace;

const SESSION: &str = "conformance/foreign/shell.txt";
/// One Java virtual machine and some two hundred commands.
const LIMIT: Duration = Duration::from_mins(2);
/// A recorded session is at least as long as this.
const COMMANDS_MIN: usize = 100;
/// A command that no shell knows stands before each: what it prints begins the next output.
const MARKER: &str = "Command not found: marker-";

/// How zkCli names a command that it does not know; ours says it once.
const TWICE: &str = "Command not found: Command not found ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shell {
    Apache,
    Ours,
}

/// What two runs may differ in.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Lines that begin so are left out.
    Drop(&'static str),
    /// What follows this beginning is left out.
    Cut(&'static str),
    /// This beginning is left out.
    Strip(&'static str),
}

#[rustfmt::skip]
const RULES: &[(Rule, &str)] = &[
    (Rule::Drop("Connecting to "),      "the banner"),
    (Rule::Drop("Welcome to "),         "the banner"),
    (Rule::Drop("JLine support is "),   "the banner"),
    (Rule::Drop("ZooKeeper -server "),  "zkCli lists all its commands below an unknown one"),
    (Rule::Drop("\t"),                  "the lines of that list"),
    (Rule::Drop(" -"),                  "options below a usage line: zkCli has them for get and set"),
    (Rule::Cut("ctime = "),             "time"),
    (Rule::Cut("mtime = "),             "time"),
    (Rule::Cut("ephemeralOwner = 0x1"), "session id"),
    (Rule::Strip("org.apache.commons.cli.UnrecognizedOptionException: "),    "a Java class"),
    (Rule::Strip("org.apache.commons.cli.MissingArgumentException: "),       "a Java class"),
    (Rule::Strip("org.apache.commons.cli.MissingOptionException: "),         "a Java class"),
    (Rule::Strip("org.apache.commons.cli.AlreadySelectedException: "),       "a Java class"),
];

/// A command after the session, on which the shells differ on purpose.
struct Deliberate {
    command: &'static str,
    /// The beginnings of the lines that each prints.
    apache: &'static [&'static str],
    ours: &'static [&'static str],
    reason: &'static str,
}

const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        command: "create /partial x world:anyone:r,oops",
        apache: &["oops does not have the form scheme:id:perm", "Created /partial"],
        ours: &["oops does not have the form scheme:id:perm"],
        reason: "a node with a part of its ACL is open to whom it should not be",
    },
    Deliberate {
        command: "create /none x oops",
        apache: &[
            "oops does not have the form scheme:id:perm",
            "KeeperErrorCode = InvalidACL",
            "Acl is not valid : null",
        ],
        ours: &["oops does not have the form scheme:id:perm"],
        reason: "the first line says it",
    },
    Deliberate {
        command: "create /perm x world:anyone:rx",
        apache: &["Unknown perm type: x", "Created /perm"],
        ours: &["Unknown perm type: x"],
        reason: "as for a wrong entry",
    },
    Deliberate {
        command: "set /by-ip two words",
        apache: &[],
        ours: &["set path data [-s] [-v version] [-b]"],
        reason: "zkCli sets the first word and drops the second in silence",
    },
    Deliberate {
        command: "delete /by-ip 99",
        apache: &["'delete path [version]' has been deprecated."],
        ours: &["'delete path [version]' has been deprecated.", "version No is not valid : /by-ip"],
        reason: "zkCli deletes the node whatever its version",
    },
    Deliberate {
        command: "deleteall /",
        apache: &["Failed to delete some node(s) in the subtree!"],
        ours: &["deleteall /: the root cannot be deleted"],
        reason: "zkCli deletes what it can before it fails",
    },
    Deliberate {
        command: "version",
        apache: &["ZooKeeper CLI version: 3.9.5-"],
        ours: &["Bellwether CLI version: "],
        reason: "it is another program",
    },
    Deliberate {
        command: "help",
        apache: &["Command not found: help"],
        ours: &["  addWatch "],
        reason: "zkCli has no help",
    },
];

/// The check of the stage `zkcli` that is about shells.
pub(super) fn stage(workspace: &Workspace, report: &mut Report) {
    report.check("bellwether cli prints what zkCli prints", || {
        let session = read(&workspace.root().join(SESSION))?;
        let commands: Vec<&str> = session.lines().filter(|line| !line.is_empty()).collect();
        if commands.len() < COMMANDS_MIN {
            return Err(format!("{SESSION}: only {} commands", commands.len()).into());
        }
        let apache = transcript(workspace, Shell::Apache, &commands)?;
        let ours = transcript(workspace, Shell::Ours, &commands)?;
        let differences = differences(&commands, &apache, &ours);
        if differences.is_empty() {
            let (same, differ) = (commands.len(), DELIBERATE.len());
            return Ok(Passed::noting(format!("{same} commands, {differ} differ on purpose")));
        }
        Err(Failure::from(differences.join("\n")))
    });
}

/// What a shell printed: the lines of each command, and the events.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transcript {
    outputs: Vec<Vec<String>>,
    events: Vec<String>,
}

fn transcript(
    workspace: &Workspace,
    shell: Shell,
    commands: &[&str],
) -> Result<Transcript, String> {
    let home = workspace.scratch("shells")?;
    let server = Launch::new(Flavour::Apache, home.path())
        .property("extendedTypesEnabled", "true")
        .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .start(workspace)?;
    let all = commands.iter().copied().chain(DELIBERATE.iter().map(|row| row.command));
    let marked = all.enumerate().map(|(number, line)| format!("marker-{number}\n{line}\n"));
    let script = home.path().join("session.txt");
    write(&script, marked.collect::<String>())?;
    let mut program = match shell {
        Shell::Apache => {
            let mut java = apache_java(workspace)?;
            java.arg("-Dlevel=OFF").arg("org.apache.zookeeper.ZooKeeperMain");
            java.arg("-waitforconnection");
            java
        }
        Shell::Ours => {
            let mut ours = workspace.command(bellwether(workspace)?);
            ours.arg("cli");
            ours
        }
    };
    program.args(["-server", &server.address()]);
    // One stream for both outputs keeps their order.
    let mut wrapper = workspace.command("sh");
    wrapper.args(["-c", "script=$1; shift; exec \"$@\" <\"$script\" 2>&1", "sh"]);
    wrapper.arg(&script).arg(program.get_program()).args(program.get_args());
    let printed = run(&mut wrapper, LIMIT)?;
    let address = server.address();
    server.stop()?;
    Ok(Transcript::parse(&printed.stdout.replace(&address, "SERVER")))
}

impl Transcript {
    /// Takes what was printed apart, without what the rules leave out.
    fn parse(printed: &str) -> Transcript {
        let mut transcript = Transcript::default();
        for line in printed.lines().filter(|line| !line.is_empty() && *line != "WATCHER::") {
            let line = line.replacen(TWICE, "Command not found: ", 1);
            if line.starts_with("WatchedEvent ") {
                // That a session begins is told to a person only.
                if !line.contains("state:SyncConnected type:None") {
                    transcript.events.push(line);
                }
            } else if line.starts_with(MARKER) {
                transcript.outputs.push(Vec::new());
            } else if let (Some(line), Some(output)) =
                (normal(&line), transcript.outputs.last_mut())
            {
                output.push(line);
            }
        }
        transcript
    }
}

/// A line by the rules; `None` if it is left out.
fn normal(line: &str) -> Option<String> {
    for (rule, _) in RULES {
        match rule {
            Rule::Drop(begin) if line.starts_with(begin) => return None,
            Rule::Cut(begin) if line.starts_with(begin) => return Some((*begin).to_owned()),
            Rule::Strip(begin) => {
                if let Some(rest) = line.strip_prefix(begin) {
                    return Some(rest.to_owned());
                }
            }
            Rule::Drop(_) | Rule::Cut(_) => {} // It is another line.
        }
    }
    Some(line.to_owned())
}

/// A text per command on which the shells differ, but for what they should.
fn differences(commands: &[&str], apache: &Transcript, ours: &Transcript) -> Vec<String> {
    let mut texts = Vec::new();
    let nothing = Vec::new();
    let output =
        |from: &Transcript, place: usize| from.outputs.get(place).unwrap_or(&nothing).clone();
    for (place, command) in commands.iter().enumerate() {
        let (expected, found) = (output(apache, place), output(ours, place));
        if expected != found {
            texts.push(format!("{command}\n  zkCli: {expected:?}\n  ours:  {found:?}"));
        }
    }
    for (place, row) in (commands.len()..).zip(DELIBERATE) {
        for (who, expected, from) in [("zkCli", row.apache, apache), ("ours", row.ours, ours)] {
            let found = output(from, place);
            let whole = who == "zkCli" || row.command != "help";
            let begins = |(line, begin): (&String, &&str)| line.starts_with(*begin);
            let fits = found.iter().zip(expected).all(begins)
                && (found.len() == expected.len() || !whole && found.len() > expected.len());
            if !fits {
                let (command, reason) = (row.command, row.reason);
                texts.push(format!(
                    "{command} ({reason})\n  {who} should print {expected:?}\n  it prints {found:?}"
                ));
            }
        }
    }
    if apache.events != ours.events {
        texts.push(format!("events\n  zkCli: {:#?}\n  ours:  {:#?}", apache.events, ours.events));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_leave_out_what_differs_between_runs_and_nothing_else() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(normal(line).as_deref(), expected, "{line}");
        };
        check("Welcome to ZooKeeper!", None);
        check(" -s   Print znode stats additionally", None);
        check("\tls [-s] [-w] [-R] path", None);
        check("ctime = Sat Nov 21 10:00:00 UTC 2026", Some("ctime = "));
        check("ephemeralOwner = 0x0", Some("ephemeralOwner = 0x0"));
        check("cZxid = 0x2", Some("cZxid = 0x2"));
        let java = "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -z";
        check(java, Some("Unrecognized option: -z"));
    }

    #[test]
    fn outputs_are_told_apart_by_markers_and_events_are_kept_aside() {
        let printed = "Connecting to SERVER\nCommand not found: Command not found marker-0\n[a]\n\n\
                       WATCHER::\n\nWatchedEvent state:SyncConnected type:NodeCreated path:/a\n\
                       Command not found: marker-1\n";
        let transcript = Transcript::parse(printed);
        assert_eq!(transcript.outputs, [vec!["[a]".to_owned()], vec![]]);
        assert_eq!(transcript.events.len(), 1);
    }

    #[test]
    fn a_difference_names_its_command() {
        let one = |line: &str| Transcript { outputs: vec![vec![line.to_owned()]], events: vec![] };
        let found = differences(&["ls /"], &one("[a]"), &one("[b]"));
        assert!(found[0].starts_with("ls /\n  zkCli: [\"[a]\"]\n  ours:  [\"[b]\"]"), "{found:?}");
    }
}
