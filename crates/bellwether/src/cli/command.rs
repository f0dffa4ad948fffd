//! The commands, a row each, and what a line asks for.

use super::words::{Words, WordsError};
use bellwether_client::{Acl, AddWatchMode, CreateMode, Perms};
use std::fmt;
use std::time::Duration;

/// A command's row: what it is called, how it is used, what it does.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
    /// Letters of its options, those with a value followed by a colon.
    options: &'static str,
    build: fn(&Words) -> Result<Command, Problem>,
}

/// Every command, as `help` lists them. zkCli's `addWatch` is `watch` by another name.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "addWatch",
        usage: "[-m PERSISTENT|PERSISTENT_RECURSIVE] [-n count] path",
        help: "the same as watch",
        options: "m:n:",
        build: watch,
    },
    Row {
        name: "connect",
        usage: "host:port[,host:port...][/chroot]",
        help: "ends this session and begins one with another server",
        options: "",
        build: |words| Ok(Command::Connect { servers: required(words, 0, "a server")? }),
    },
    Row {
        name: "create",
        usage: "[-s] [-e] [-c] [-t ttl_ms] path [data] [acl]",
        help: "creates a node: -s with a number, -e ephemeral, -c container, -t with a time to live",
        options: "sect:",
        build: create,
    },
    Row {
        name: "delete",
        usage: "[-v version] path",
        help: "deletes a node without children, with -v only if it has this version",
        options: "v:",
        build: |words| {
            Ok(Command::Ask(Ask::Delete {
                path: path(words)?,
                version: number(words, 'v', "a version")?,
            }))
        },
    },
    Row {
        name: "get",
        usage: "[-s] [-w] path",
        help: "prints a node's data, with -s its stat too, with -w watching it",
        options: "sw",
        build: |words| Ok(Command::Ask(Ask::Get { path: path(words)?, with: with(words) })),
    },
    Row {
        name: "help",
        usage: "",
        help: "lists the commands",
        options: "",
        build: |_| Ok(Command::Help),
    },
    Row {
        name: "ls",
        usage: "[-s] [-w] [-R] path",
        help: "lists a node's children, with -s its stat too, with -R everything below it",
        options: "swR",
        build: |words| match words.has('R') {
            true => Ok(Command::Ask(Ask::ListBelow { path: path(words)? })),
            false => Ok(Command::Ask(Ask::List { path: path(words)?, with: with(words) })),
        },
    },
    Row {
        name: "quit",
        usage: "",
        help: "ends the session and leaves",
        options: "",
        build: |_| Ok(Command::Quit),
    },
    Row {
        name: "set",
        usage: "[-s] [-v version] path data",
        help: "sets a node's data, with -v only if it has this version",
        options: "sv:",
        build: |words| {
            let (data, version) = (required(words, 1, "data")?, number(words, 'v', "a version")?);
            Ok(Command::Ask(Ask::Set { path: path(words)?, data, version, with: with(words) }))
        },
    },
    Row {
        name: "stat",
        usage: "[-w] path",
        help: "prints a node's stat, with -w watching it",
        options: "w",
        build: |words| Ok(Command::Ask(Ask::Stat { path: path(words)?, with: with(words) })),
    },
    Row {
        name: "watch",
        usage: "[-m PERSISTENT|PERSISTENT_RECURSIVE] [-n count] path",
        help: "prints what happens to a node and below it, with -n only so many times; on the \
               command line it goes on until interrupted",
        options: "m:n:",
        build: watch,
    },
];

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Another session.
    Connect { servers: String },
    /// The list of commands.
    Help,
    /// The end.
    Quit,
    /// A watch that lasts.
    Watch { path: String, mode: AddWatchMode, count: u64 },
    /// An operation.
    Ask(Ask),
}

/// An operation on a node, with one result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Create { path: String, mode: CreateMode, data: Option<String>, acl: Option<Vec<Acl>> },
    Delete { path: String, version: Option<i32> },
    Get { path: String, with: With },
    List { path: String, with: With },
    ListBelow { path: String },
    Set { path: String, data: String, version: Option<i32>, with: With },
    Stat { path: String, with: With },
}

/// What a command shows or sets besides its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct With {
    /// Also print the stat.
    pub(super) stat: bool,
    /// Also watch the node.
    pub(super) watch: bool,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No command has this name.
    Unknown(String),
    /// The command's name, and what is wrong with the words after it.
    Usage(&'static str, String),
    /// What is wrong; the command's name is not known yet.
    Words(String),
}

impl Problem {
    /// The exit code that zkCli has for it.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Problem::Unknown(_) => 127,
            Problem::Usage(..) | Problem::Words(_) => 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown(name) => {
                write!(f, "Command not found: {name}. Commands: ")?;
                let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
                write!(f, "{}; help says more.", names.join(", "))
            }
            Problem::Usage(name, what) => {
                let usage = ROWS.iter().find(|row| row.name == *name).map_or("", |row| row.usage);
                write!(f, "{name}: {what}.\nUsage: {name} {usage}")
            }
            Problem::Words(what) => f.write_str(what),
        }
    }
}

impl Command {
    /// Finds the row of the first word and lets it make sense of the others.
    pub(super) fn parse(words: &[String]) -> Result<Command, Problem> {
        let Some((name, rest)) = words.split_first() else {
            return Err(Problem::Words("No command was given; help lists them.".into()));
        };
        let row = ROWS.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| Problem::Unknown(name.clone()))?;
        let words = Words::parse(rest, row.options).map_err(|error| {
            let what = match error {
                WordsError::Unknown(word) => format!("there is no option {word}"),
                WordsError::NoValue(letter) => format!("option -{letter} has no value"),
            };
            Problem::Usage(row.name, what)
        })?;
        (row.build)(&words).map_err(|problem| match problem {
            Problem::Words(what) => Problem::Usage(row.name, what),
            Problem::Unknown(_) | Problem::Usage(..) => problem,
        })
    }
}

fn wrong(what: impl Into<String>) -> Problem {
    Problem::Words(what.into())
}

fn required(words: &Words, place: usize, what: &str) -> Result<String, Problem> {
    words.plain.get(place).cloned().ok_or_else(|| wrong(format!("{what} is missing")))
}

fn path(words: &Words) -> Result<String, Problem> {
    required(words, 0, "a path")
}

fn number<N: std::str::FromStr>(
    words: &Words,
    option: char,
    what: &str,
) -> Result<Option<N>, Problem> {
    let Some(text) = words.value(option) else { return Ok(None) };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(wrong(format!("{text:?} is not {what}"))),
    }
}

fn with(words: &Words) -> With {
    With { stat: words.has('s'), watch: words.has('w') }
}

fn watch(words: &Words) -> Result<Command, Problem> {
    let mode = match words.value('m').map(str::to_ascii_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => AddWatchMode::PersistentRecursive,
        Some("PERSISTENT") => AddWatchMode::Persistent,
        Some(other) => return Err(wrong(format!("{other:?} is not a mode"))),
    };
    let count = number(words, 'n', "a count")?.unwrap_or(u64::MAX);
    Ok(Command::Watch { path: path(words)?, mode, count })
}

fn create(words: &Words) -> Result<Command, Problem> {
    let (sequential, ephemeral) = (words.has('s'), words.has('e'));
    let ttl_ms: Option<u64> = number(words, 't', "a time in milliseconds")?;
    let mode = match (words.has('c'), ttl_ms.map(Duration::from_millis)) {
        (true, _) if sequential || ephemeral || ttl_ms.is_some() => {
            return Err(wrong("-c goes with none of -s, -e and -t"));
        }
        (true, _) => CreateMode::Container,
        (false, Some(_)) if ephemeral => return Err(wrong("-t does not go with -e")),
        (false, Some(ttl)) if sequential => CreateMode::PersistentSequentialWithTtl(ttl),
        (false, Some(ttl)) => CreateMode::PersistentWithTtl(ttl),
        (false, None) => match (ephemeral, sequential) {
            (true, true) => CreateMode::EphemeralSequential,
            (true, false) => CreateMode::Ephemeral,
            (false, true) => CreateMode::PersistentSequential,
            (false, false) => CreateMode::Persistent,
        },
    };
    let acl = words.plain.get(2).map(|text| parse_acl(text)).transpose()?;
    Ok(Command::Ask(Ask::Create {
        path: path(words)?,
        mode,
        data: words.plain.get(1).cloned(),
        acl,
    }))
}

/// `scheme:id:perms`, several with commas between them. The id may itself have colons.
fn parse_acl(text: &str) -> Result<Vec<Acl>, Problem> {
    let entry = |entry: &str| {
        let not_an_entry = || wrong(format!("{entry:?} is not scheme:id:perms"));
        let (scheme, rest) = entry.split_once(':').ok_or_else(not_an_entry)?;
        let (id, letters) = rest.rsplit_once(':').ok_or_else(not_an_entry)?;
        let perms = letters.chars().try_fold(Perms(0), |perms, letter| match letter {
            'r' => Ok(perms.or(Perms::READ)),
            'w' => Ok(perms.or(Perms::WRITE)),
            'c' => Ok(perms.or(Perms::CREATE)),
            'd' => Ok(perms.or(Perms::DELETE)),
            'a' => Ok(perms.or(Perms::ADMIN)),
            other => Err(wrong(format!("{other:?} is none of the permissions c, d, r, w and a"))),
        })?;
        Ok(Acl { perms, scheme: scheme.into(), id: id.into() })
    };
    text.split(',').map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::words::split;
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Command, &str>) {
        let got = Command::parse(&split(line)).map_err(|problem| {
            let text = problem.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        });
        assert_eq!(got, expected.map_err(str::to_owned), "{line}");
    }

    fn create(mode: CreateMode, data: Option<&str>, acl: Option<Vec<Acl>>) -> Command {
        Command::Ask(Ask::Create { path: "/a".into(), mode, data: data.map(str::to_owned), acl })
    }

    #[test]
    fn lines_become_commands() {
        let path = || "/a".to_owned();
        check("ls /a", Ok(Command::Ask(Ask::List { path: path(), with: With::default() })));
        let both = With { stat: true, watch: true };
        check("ls -sw /a", Ok(Command::Ask(Ask::List { path: path(), with: both })));
        check("ls -R /a", Ok(Command::Ask(Ask::ListBelow { path: path() })));
        check(
            "get /a -s",
            Ok(Command::Ask(Ask::Get { path: path(), with: With { stat: true, watch: false } })),
        );
        let set = |version| {
            Command::Ask(Ask::Set {
                path: path(),
                data: "x".into(),
                version,
                with: With::default(),
            })
        };
        check("set /a x", Ok(set(None)));
        check("set -v 3 /a x", Ok(set(Some(3))));
        check("delete /a -v 0", Ok(Command::Ask(Ask::Delete { path: path(), version: Some(0) })));
        check("create -e -s /a", Ok(create(CreateMode::EphemeralSequential, None, None)));
        let ttl = CreateMode::PersistentWithTtl(Duration::from_millis(500));
        check("create -t 500 /a d", Ok(create(ttl, Some("d"), None)));
        let digest = Acl { perms: Perms(3), scheme: "digest".into(), id: "u:h=".into() };
        let acl = vec![digest, Acl { perms: Perms(0), ..Acl::world_all() }];
        check(
            "create /a d digest:u:h=:rw,world:anyone:",
            Ok(create(CreateMode::Persistent, Some("d"), Some(acl))),
        );
        let mode = AddWatchMode::Persistent;
        check(
            "addWatch -m persistent /a",
            Ok(Command::Watch { path: path(), mode, count: u64::MAX }),
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("", Err("No command was given; help lists them."));
        check("ls", Err("ls: a path is missing."));
        check("set /a", Err("set: data is missing."));
        check("ls -x /a", Err("ls: there is no option -x."));
        check("delete -v x /a", Err("delete: \"x\" is not a version."));
        check("create -c -e /a", Err("create: -c goes with none of -s, -e and -t."));
        check("create /a d world", Err("create: \"world\" is not scheme:id:perms."));
        check(
            "create /a d world:anyone:x",
            Err("create: 'x' is none of the permissions c, d, r, w and a."),
        );
        let unknown = Command::parse(&split("frobnicate")).unwrap_err();
        assert_eq!(unknown.exit_code(), 127);
        assert!(unknown.to_string().starts_with("Command not found: frobnicate. Commands: addW"));
    }
}
