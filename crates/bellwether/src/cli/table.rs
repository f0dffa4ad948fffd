//! The commands, a row each. Parsing, help, completion and `docs/cli.md` come from these rows.
//!
//! The usage of a command that zkCli has is zkCli's own text, since it is printed for a wrong line.
//! A row without arguments beyond its `args.max` refuses what is too much: `set /a two words` is
//! a value that was not quoted.

use super::failure::Failed;
use super::shell::Shell;
use super::words::{Opt, Value, Words, flag, valued};
use super::{acls, ensemble, nodes, quotas, session, top, transfer, tree, watches};
use std::pin::Pin;

/// What a command does while it runs.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failed>> + 'a>>;

/// A command.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What follows the name.
    pub(super) usage: &'static str,
    pub(super) about: &'static str,
    pub(super) options: &'static [Opt],
    /// How many arguments there may be besides the options: at least, at most.
    args: (usize, usize),
    pub(super) needs: Needs,
    pub(super) run: for<'a> fn(&'a mut Shell, &'a Words) -> Running<'a>,
}

/// What a command cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Session,
}

const STAT: Opt = flag("s", "print the stat too");
const WATCH: Opt = flag("w", "watch it");

/// Every command, sorted as `help` lists them.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "addWatch",
        usage: "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default \
                is PERSISTENT_RECURSIVE",
        about: "sets a watch that lasts: on a node, or on everything below it too",
        options: &[valued("m", "PERSISTENT, or PERSISTENT_RECURSIVE")],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(watches::add_watch(shell, words)),
    },
    Row {
        name: "addauth",
        usage: "scheme auth",
        about: "adds an identity to the session: addauth digest user:password",
        options: &[],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(acls::addauth(shell, words)),
    },
    Row {
        name: "close",
        usage: "",
        about: "ends the session; connect begins another",
        options: &[],
        args: (0, 0),
        needs: Needs::Session,
        run: |shell, words| Box::pin(session::close(shell, words)),
    },
    Row {
        name: "config",
        usage: "[-c] [-w] [-s]",
        about: "prints the ensemble's configuration",
        options: &[flag("c", "print a connect string only"), STAT, WATCH],
        args: (0, 0),
        needs: Needs::Session,
        run: |shell, words| Box::pin(ensemble::config(shell, words)),
    },
    Row {
        name: "connect",
        usage: "host:port",
        about: "ends this session and begins one with another server, or with the same",
        options: &[],
        args: (0, 1),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::connect(shell, words)),
    },
    Row {
        name: "create",
        usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        about: "creates a node; an acl is scheme:id:cdrwa,...",
        options: &[
            flag("c", "a container, removed some time after its last child"),
            flag("e", "ephemeral: removed with this session"),
            flag("s", "sequential: the server appends a number"),
            valued("t", "removed after so many milliseconds without a child or a change"),
        ],
        args: (1, 3),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::create(shell, words)),
    },
    Row {
        name: "delete",
        usage: "[-v version] path",
        about: "deletes a node without children",
        options: &[valued("v", "only if the node has this dataVersion")],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::delete(shell, words)),
    },
    Row {
        name: "deleteall",
        usage: "path [-b batch size]",
        about: "deletes a node and everything below it, the deepest first",
        options: &[valued("b", "so many nodes in a transaction (1000); 0 deletes one by one")],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::deleteall(shell, words)),
    },
    Row {
        name: "delquota",
        usage: "[-n|-b|-N|-B] path",
        about: "removes a quota, or one of its limits",
        options: &[
            flag("n", "the soft limit of nodes"),
            flag("b", "the soft limit of bytes"),
            flag("N", "the hard limit of nodes"),
            flag("B", "the hard limit of bytes"),
        ],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(quotas::delquota(shell, words)),
    },
    Row {
        name: "exit",
        usage: "",
        about: "the same as quit",
        options: &[],
        args: (0, 0),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::quit(shell, words)),
    },
    Row {
        name: "export",
        usage: "[-f file] path",
        about: "writes a node and everything below it as lines of JSON",
        options: &[valued("f", "to this file, which must not be there yet")],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(transfer::export(shell, words)),
    },
    Row {
        name: "find",
        usage: "[-name glob] [-contains text] [-larger bytes] [-children n] [-ephemeral] \
                [-owner session] [-n count] [path]",
        about: "prints the paths below a node that fit all that is asked for",
        options: &[
            valued("name", "the name fits; with a slash in it the whole path does"),
            valued("contains", "the data has this text in it"),
            valued("larger", "the data has more bytes"),
            valued("children", "there are more children"),
            flag("ephemeral", "it ends with a session"),
            valued("owner", "it ends with this session, 0x..."),
            valued("n", "end after so many"),
        ],
        args: (0, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(tree::find(shell, words)),
    },
    Row {
        name: "get",
        usage: "[-s] [-w] [-b] [-x] path",
        about: "prints a node's data",
        options: &[
            flag("b", "Output data in base64 format"),
            flag("s", "Print znode stats additionally"),
            flag("w", "Watch for changes on the znode"),
            flag("x", "Output data in hexdump format"),
        ],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::get(shell, words)),
    },
    Row {
        name: "getAcl",
        usage: "[-s] path",
        about: "prints a node's access control list",
        options: &[STAT],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(acls::get_acl(shell, words)),
    },
    Row {
        name: "getAllChildrenNumber",
        usage: "path",
        about: "prints how many nodes are below a node, at any depth",
        options: &[],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::get_all_children_number(shell, words)),
    },
    Row {
        name: "getEphemerals",
        usage: "path",
        about: "lists the ephemeral nodes of this session, all or those that start with a path",
        options: &[],
        args: (0, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::get_ephemerals(shell, words)),
    },
    Row {
        name: "help",
        usage: "[command]",
        about: "lists the commands, or explains one",
        options: &[],
        args: (0, 1),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::help(shell, words)),
    },
    Row {
        name: "history",
        usage: "",
        about: "prints the last lines with their numbers, for redo",
        options: &[],
        args: (0, 0),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::history(shell, words)),
    },
    Row {
        name: "import",
        usage: "[-x fail|skip|replace] [-e] [-b nodes] file [path]",
        about: "creates the nodes that export wrote, where they were or at another path",
        options: &[
            valued("x", "what to do where a node is there already: fail (without writing), skip, replace"),
            flag("e", "make ephemeral nodes persistent ones; without it they are left out"),
            valued("b", "so many nodes in a transaction (100)"),
        ],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(transfer::import(shell, words)),
    },
    Row {
        name: "listquota",
        usage: "path",
        about: "prints a node's quota and what is used of it",
        options: &[],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(quotas::listquota(shell, words)),
    },
    Row {
        name: "ls",
        usage: "[-s] [-w] [-R] path",
        about: "lists a node's children",
        options: &[flag("?", "explain"), flag("R", "everything below it, a path per line"), STAT, WATCH],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::ls(shell, words)),
    },
    Row {
        name: "printwatches",
        usage: "on|off",
        about: "says whether watch events are printed, or changes it",
        options: &[],
        args: (0, 1),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::printwatches(shell, words)),
    },
    Row {
        name: "quit",
        usage: "",
        about: "ends the session and leaves",
        options: &[],
        args: (0, 0),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::quit(shell, words)),
    },
    Row {
        name: "reconfig",
        usage: "[-s] [-v version] [[-file path] | \
                [-members serverID=host:port1:port2;port3[,...]*]] | \
                [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
        about: "changes the ensemble's members",
        options: &[
            STAT,
            valued("v", "only if the configuration has this version, in hexadecimal"),
            valued("file", "all members, from a file"),
            valued("members", "all members"),
            valued("add", "servers that join"),
            valued("remove", "ids of servers that leave"),
        ],
        args: (0, 0),
        needs: Needs::Session,
        run: |shell, words| Box::pin(ensemble::reconfig(shell, words)),
    },
    Row {
        name: "redo",
        usage: "cmdno",
        about: "runs a line of the history again",
        options: &[],
        args: (1, 1),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::redo(shell, words)),
    },
    Row {
        name: "removewatches",
        usage: "path [-c|-d|-a] [-l]",
        about: "removes the watches that this shell has set on a node",
        options: &[
            flag("c", "those on its children's names"),
            flag("d", "those on its data"),
            flag("p", "those that last, on the node"),
            flag("r", "those that last, on everything below it"),
            flag("a", "all of them, as without an option"),
            flag("l", "here, when no server is connected"),
        ],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(watches::removewatches(shell, words)),
    },
    Row {
        name: "set",
        usage: "path data [-s] [-v version] [-b]",
        about: "sets a node's data",
        options: &[
            flag("b", "Supply data in base64 format"),
            flag("s", "Print znode stats additionally"),
            valued("v", "Set with an expected version"),
        ],
        args: (2, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::set(shell, words)),
    },
    Row {
        name: "setAcl",
        usage: "[-s] [-v version] [-R] path acl",
        about: "sets a node's access control list, scheme:id:cdrwa,...",
        options: &[
            STAT,
            valued("v", "only if the node has this aclVersion"),
            flag("R", "on everything below it too"),
        ],
        args: (2, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(acls::set_acl(shell, words)),
    },
    Row {
        name: "setquota",
        usage: "-n|-b|-N|-B val path",
        about: "limits how many nodes or bytes there may be below a node",
        options: &[
            valued("n", "nodes, soft: more of them are logged"),
            valued("b", "bytes, soft"),
            valued("N", "nodes, hard: more of them are refused where the server has enforceQuota=true"),
            valued("B", "bytes, hard, where the server has enforceQuota=true"),
        ],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(quotas::setquota(shell, words)),
    },
    Row {
        name: "stat",
        usage: "[-w] path",
        about: "prints a node's stat",
        options: &[WATCH],
        args: (1, 2),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::stat(shell, words)),
    },
    Row {
        name: "sync",
        usage: "path",
        about: "waits until this server has what the leader had",
        options: &[],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(nodes::sync(shell, words)),
    },
    Row {
        name: "top",
        usage: "[-i seconds] [-n rounds] [-l lines] [-z]",
        about: "shows what the server is busy with: sessions, changed paths, watches, largest nodes",
        options: &[
            valued("i", "so many seconds to a round (2)"),
            valued("n", "end after so many rounds; without end on a terminal, else 1"),
            valued("l", "lines of each list (10)"),
            flag("z", "the largest nodes too: asks for the stats of up to 10000 nodes"),
        ],
        args: (0, 0),
        needs: Needs::Session,
        run: |shell, words| Box::pin(top::top(shell, words)),
    },
    Row {
        name: "tree",
        usage: "[-L depth] [-s] [path]",
        about: "draws what is below a node",
        options: &[valued("L", "not deeper than this"), flag("s", "with bytes, versions and owners")],
        args: (0, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(tree::tree(shell, words)),
    },
    Row {
        name: "version",
        usage: "",
        about: "prints the shell's version",
        options: &[],
        args: (0, 0),
        needs: Needs::Nothing,
        run: |shell, words| Box::pin(session::version(shell, words)),
    },
    Row {
        name: "watch",
        usage: "[-m mode] [-n count] path",
        about: "prints what happens to a node and below it, until interrupted",
        options: &[
            valued("m", "PERSISTENT (the node alone), or PERSISTENT_RECURSIVE"),
            valued("n", "end after so many events"),
        ],
        args: (1, 1),
        needs: Needs::Session,
        run: |shell, words| Box::pin(watches::watch(shell, words)),
    },
    Row {
        name: "whoami",
        usage: "",
        about: "prints the identities of the session",
        options: &[],
        args: (0, 0),
        needs: Needs::Session,
        run: |shell, words| Box::pin(acls::whoami(shell, words)),
    },
];

/// The row of a command.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// The row that has nearly this name.
pub(super) fn resembling(name: &str) -> Option<&'static Row> {
    let lower = name.to_lowercase();
    let close = |row: &&Row| {
        let known = row.name.to_lowercase();
        known == lower || distance(&known, &lower) == 1
    };
    ROWS.iter().find(close)
}

/// 0 for equal words, 1 for words that one letter, or two that changed places, tell apart; else 2.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let begin = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = |word: &[char], skip: usize| word.get(begin + skip..).map(<[char]>::to_vec);
    let swapped = match (one.get(begin..begin + 2), other.get(begin..begin + 2)) {
        (Some([a, b]), Some([c, d])) => a == d && b == c && rest(&one, 2) == rest(&other, 2),
        _ => false,
    };
    if one == other {
        0
    } else if swapped
        || rest(&one, 1).is_some_and(|left| Some(left) == rest(&other, 1))
        || rest(&one, 1).is_some_and(|left| Some(left) == rest(&other, 0))
        || rest(&one, 0).is_some_and(|left| Some(left) == rest(&other, 1))
    {
        1
    } else {
        2
    }
}

impl Row {
    /// Sorts the words after the name, or says how the command is used.
    pub(super) fn parse(&self, words: &[String]) -> Result<Words, Failed> {
        let words = Words::parse(words, self.options)
            .map_err(|error| Failed::usage(error.to_string()).hint("help COMMAND explains it"))?;
        let (min, max) = self.args;
        match words.arg(max) {
            Some(_) if !words.has("?") => Err(Failed::usage(self.usage())
                .hint("that is a word too much; data with spaces stands in quotes")),
            Some(_) | None if words.args.len() < min && !words.has("?") => {
                Err(Failed::usage(self.usage()))
            }
            Some(_) | None => Ok(words),
        }
    }

    /// How it is used, with its options, laid out as zkCli does.
    pub(super) fn usage(&self) -> String {
        let mut text = format!("{} {}", self.name, self.usage);
        let shown = |option: &Opt| match option.value {
            Value::None => format!("-{}", option.name),
            Value::Needed => format!("-{} <arg>", option.name),
        };
        let width = self.options.iter().map(|option| shown(option).len()).max().unwrap_or(0);
        let mut options: Vec<&Opt> = self.options.iter().collect();
        options.sort_by_key(|option| option.name.to_lowercase());
        for option in options {
            text.push_str(&format!("\n {:width$}   {}", shown(option), option.about));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::split;
    use super::*;

    #[test]
    fn rows_are_sorted_and_names_are_unique() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn options_have_different_names_and_say_what_they_do() {
        for row in ROWS {
            let mut names: Vec<&str> = row.options.iter().map(|option| option.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), row.options.len(), "{}", row.name);
            assert!(row.options.iter().all(|option| !option.about.is_empty()), "{}", row.name);
        }
    }

    /// A command as `docs/cli.md` has it.
    fn section(row: &Row) -> String {
        let usage = row.usage.split(" # ").next().unwrap_or_default();
        let text = format!("**`{}`** {}\n", format!("{} {usage}", row.name).trim_end(), row.about);
        let options = row.options.iter().map(|option| {
            let value = if option.value == Value::Needed { " …" } else { "" };
            format!("- `-{}{value}` {}\n", option.name, option.about)
        });
        let options: String = options.collect();
        if options.is_empty() { text } else { format!("{text}\n{options}") }
    }

    #[test]
    fn the_page_of_the_shell_has_every_command() {
        let page = expect_test::expect_file!["../../../../docs/cli.md"];
        let mark = "cli::table -->\n";
        let text = page.data();
        let (head, _) = text.split_once(mark).expect("the page has a mark where commands begin");
        let sections: Vec<String> = ROWS.iter().map(section).collect();
        page.assert_eq(&format!("{head}{mark}\n{}", sections.join("\n")));
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let words = split(line);
        let (name, rest) = words.split_first().expect("a command");
        let got = match find(name).expect("it is known").parse(rest) {
            Ok(words) => format!("{:?}", words.args),
            Err(failed) => failed.text.lines().next().unwrap_or_default().to_owned(),
        };
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn a_line_has_as_many_arguments_as_its_command_takes() {
        check("ls /", r#"["/"]"#);
        check("ls", "ls [-s] [-w] [-R] path");
        check("ls -?", "[]");
        check("set /a", "set path data [-s] [-v version] [-b]");
        check("set /a two words", "set path data [-s] [-v version] [-b]");
        check("whoami", "[]");
        check("whoami x", "whoami ");
        check("get -q /a", "Unrecognized option: -q");
    }

    #[test]
    fn usage_is_laid_out_as_zkcli_does() {
        let expected = "set path data [-s] [-v version] [-b]\n \
                        -b         Supply data in base64 format\n \
                        -s         Print znode stats additionally\n \
                        -v <arg>   Set with an expected version";
        assert_eq!(find("set").expect("it is there").usage(), expected);
    }

    #[test]
    fn a_slip_of_the_fingers_finds_its_command() {
        let name = |typed| resembling(typed).map(|row| row.name);
        assert_eq!(name("getacl"), Some("getAcl"));
        assert_eq!(name("sl"), Some("ls"));
        assert_eq!(name("creat"), Some("create"));
        assert_eq!(name("deletee"), Some("delete"));
        assert_eq!(name("wjoami"), Some("whoami"));
        assert_eq!(name("frobnicate"), None);
    }
}
