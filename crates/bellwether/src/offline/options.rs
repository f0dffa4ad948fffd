//! The commands as a table, and their command lines. What a row says is what `--help` prints.

use super::{Done, out::Out};
use super::{log_cut, log_dump, log_recover, log_verify, purge};
use super::{snapshot_compare, snapshot_dump, snapshot_summary, snapshot_verify};
use bellwether_wire::Zxid;
use bellwether_wire::limits::{EXTRA_BUFFER_BYTES, MAX_BUFFER_BYTES};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// One command.
pub(super) struct Row {
    group: &'static str,
    verb: &'static str,
    targets: &'static str,
    /// How many targets it takes.
    count: (usize, usize),
    options: &'static [Opt],
    about: &'static str,
    pub(super) run: fn(&Options, &mut Out) -> Done,
}

/// What a server allows a record at least beyond jute.maxbuffer.
const EXTRA_BYTES_MIN: usize = 128;

const MANY: usize = usize::MAX;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { group: "log", verb: "dump", targets: "DIR|FILE …", count: (1, MANY),
          options: &[Opt::Json, Opt::Data], run: log_dump::run,
          about: "prints every transaction and every damaged place" },
    Row { group: "log", verb: "verify", targets: "DIR|FILE …", count: (1, MANY),
          options: &[Opt::Json, Opt::Snapshots, Opt::MaxBuffer], run: log_verify::run,
          about: "says whether a server starts with a directory, and what is damaged or missing" },
    Row { group: "log", verb: "recover", targets: "DIR|FILE", count: (1, 1),
          options: &[Opt::Json, Opt::Snapshots, Opt::MaxBuffer, Opt::Yes, Opt::DryRun, Opt::Output],
          run: log_recover::run,
          about: "writes damaged logs again without what is damaged; says what is lost" },
    Row { group: "log", verb: "cut", targets: "DIR|FILE", count: (1, 1),
          options: &[Opt::After, Opt::Json, Opt::Snapshots, Opt::MaxBuffer, Opt::WithSnapshots,
                     Opt::Yes, Opt::DryRun, Opt::Output],
          run: log_cut::run,
          about: "takes every transaction after one away" },
    Row { group: "snapshot", verb: "dump", targets: "DIR|FILE", count: (1, 1),
          options: &[Opt::Json, Opt::Data], run: snapshot_dump::run,
          about: "prints sessions, ACLs and nodes; of a directory those of its newest snapshot" },
    Row { group: "snapshot", verb: "verify", targets: "DIR|FILE …", count: (1, MANY),
          options: &[Opt::Json], run: snapshot_verify::run,
          about: "reads snapshots to their end and says what is wrong" },
    Row { group: "snapshot", verb: "compare", targets: "LEFT RIGHT", count: (2, 2),
          options: &[Opt::Json, Opt::Bytes, Opt::Nodes], run: snapshot_compare::run,
          about: "nodes that were added, removed or changed; with a threshold, subtrees that grew" },
    Row { group: "snapshot", verb: "summary", targets: "DIR|FILE", count: (1, 1),
          options: &[Opt::Json, Opt::Path, Opt::Depth], run: snapshot_summary::run,
          about: "nodes and bytes below each node" },
    Row { group: "purge", verb: "", targets: "DATALOGDIR [SNAPDIR]", count: (1, 2),
          options: &[Opt::Retain, Opt::Json], run: purge::run,
          about: "removes what the newest N snapshots do not need; a server may run meanwhile" },
];

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opt {
    After,
    Bytes,
    Data,
    Depth,
    DryRun,
    Json,
    MaxBuffer,
    Nodes,
    Output,
    Path,
    Retain,
    Snapshots,
    WithSnapshots,
    Yes,
}

impl Opt {
    /// Name, value and meaning.
    fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Opt::After => ("after", "ZXID", "the last transaction that stays: 0x1f, or decimal"),
            Opt::Bytes => ("bytes", "N", "only nodes whose subtree differs by more than N bytes"),
            Opt::Data => ("data", "", "print the data of nodes, too"),
            Opt::Depth => ("depth", "N", "show N levels below the first; 0 shows all (1)"),
            Opt::DryRun => ("dry-run", "", "say what would be done, and change nothing"),
            Opt::Json => ("json", "", "one JSON object per line"),
            Opt::MaxBuffer => ("jute-maxbuffer", "BYTES", "the server's jute.maxbuffer (1048575)"),
            Opt::Nodes => ("nodes", "N", "only nodes whose subtree differs by more than N nodes"),
            Opt::Output => ("output", "FILE", "write a copy of one log, and leave it as it is"),
            Opt::Path => ("path", "PATH", "only this node and those below it (/)"),
            Opt::Retain => ("n", "N", "how many snapshots stay, at least 3"),
            Opt::Snapshots => ("snapshots", "DIR", "the dataDir, where it is another directory"),
            Opt::WithSnapshots => ("with-snapshots", "", "set aside snapshots of what is cut, too"),
            Opt::Yes => ("yes", "", "do not ask"),
        }
    }
}

impl Row {
    /// What a person types.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.group, self.verb).trim_end().to_owned()
    }
}

/// What stands on the command line of a command.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) targets: Vec<PathBuf>,
    pub(super) json: bool,
    pub(super) data: bool,
    pub(super) yes: bool,
    pub(super) dry_run: bool,
    pub(super) with_snapshots: bool,
    pub(super) after: Option<Zxid>,
    pub(super) output: Option<PathBuf>,
    pub(super) snapshots: Option<PathBuf>,
    pub(super) path: String,
    pub(super) depth: usize,
    pub(super) bytes: Option<u64>,
    pub(super) nodes: Option<u64>,
    pub(super) retain: Option<usize>,
    /// The longest record that the server takes.
    pub(super) record_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            targets: Vec::new(),
            json: false,
            data: false,
            yes: false,
            dry_run: false,
            with_snapshots: false,
            after: None,
            output: None,
            snapshots: None,
            path: "/".to_owned(),
            depth: 1,
            bytes: None,
            nodes: None,
            retain: None,
            record_bytes_max: MAX_BUFFER_BYTES + EXTRA_BUFFER_BYTES,
        }
    }
}

impl Options {
    /// The only target.
    pub(super) fn target(&self) -> &PathBuf {
        self.targets.first().expect("the number of targets was checked")
    }
}

/// What a command line asks for.
pub(super) enum Wish {
    Run(&'static Row, Options),
    Help(String),
}

/// Reads the arguments after the group's name.
pub(super) fn parse(group: &'static str, args: Vec<OsString>) -> Result<Wish, String> {
    let mut args = args.into_iter().peekable();
    let rows = || ROWS.iter().filter(|row| row.group == group);
    let row = match rows().find(|row| row.verb.is_empty()) {
        Some(row) => row,
        None => {
            let verb = args.next().unwrap_or_default();
            if is_help(&verb) {
                return Ok(Wish::Help(usage(group)));
            }
            let found = rows().find(|row| verb == row.verb);
            found.ok_or_else(|| match verb.is_empty() {
                true => "a command is missing.".to_owned(),
                false => format!("there is no command {}.", verb.display()),
            })?
        }
    };
    if args.peek().is_some_and(is_help) {
        return Ok(Wish::Help(usage_of(row)));
    }
    let options = parse_row(row, args.collect()).map_err(|error| format!("{error}."))?;
    let (least, most) = row.count;
    if options.targets.len() < least || options.targets.len() > most {
        return Err(format!("{} takes {}.", row.name(), row.targets));
    }
    Ok(Wish::Run(row, options))
}

fn is_help(word: &OsString) -> bool {
    ["help", "--help", "-h"].iter().any(|help| word == help)
}

fn parse_row(row: &Row, args: Vec<OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        let known = match &arg {
            Short('n') => row.options.iter().find(|opt| opt.shown().0 == "n"),
            Short('y') => row.options.iter().find(|opt| **opt == Opt::Yes),
            Long(name) => row.options.iter().find(|opt| opt.shown().0 == *name),
            Short(_) | Value(_) => None,
        };
        match (known.copied(), arg) {
            (Some(opt), _) => take(opt, &mut options, &mut parser)?,
            (None, Value(target)) => options.targets.push(target.into()),
            (None, arg @ (Short(_) | Long(_))) => return Err(arg.unexpected()),
        }
    }
    Ok(options)
}

fn take(opt: Opt, options: &mut Options, parser: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
    match opt {
        Opt::After => options.after = Some(parser.value()?.parse_with(zxid)?),
        Opt::Bytes => options.bytes = Some(parser.value()?.parse()?),
        Opt::Data => options.data = true,
        Opt::Depth => options.depth = parser.value()?.parse()?,
        Opt::DryRun => options.dry_run = true,
        Opt::Json => options.json = true,
        Opt::MaxBuffer => {
            let bytes: usize = parser.value()?.parse()?;
            // As a server does without jute.maxbuffer.extrasize.
            options.record_bytes_max = bytes.saturating_add(bytes.max(EXTRA_BYTES_MIN));
        }
        Opt::Nodes => options.nodes = Some(parser.value()?.parse()?),
        Opt::Output => options.output = Some(parser.value()?.into()),
        Opt::Path => options.path = parser.value()?.string()?,
        Opt::Retain => options.retain = Some(parser.value()?.parse()?),
        Opt::Snapshots => options.snapshots = Some(parser.value()?.into()),
        Opt::WithSnapshots => options.with_snapshots = true,
        Opt::Yes => options.yes = true,
    }
    Ok(())
}

/// A zxid as people write it: hexadecimal with `0x`, or decimal.
fn zxid(text: &str) -> Result<Zxid, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.ok().filter(|number| *number >= 0);
    number.map(Zxid).ok_or_else(|| format!("{text} is no zxid: expected 0x1f or 31"))
}

/// The commands of a group.
pub(super) fn usage(group: &str) -> String {
    let mut text = String::new();
    for row in ROWS.iter().filter(|row| row.group == group) {
        let begin = if text.is_empty() { "usage:" } else { "\n      " };
        writeln!(text, "{begin} bellwether {} {}", row.name(), row.targets)
            .expect("a String takes everything");
        writeln!(text, "         {}", row.about).expect("a String takes everything");
        text.push_str(&options_of(row));
    }
    text + "\nDIR is a dataDir, a dataLogDir, or its version-2, on which no server runs.\n\
            Exit codes: 0 all is well, 1 something is wrong or differs, 2 the command line is wrong,\n\
            3 the directory or file cannot be used. docs/tools.md says what to do about it.\n"
}

fn usage_of(row: &Row) -> String {
    let mut text = format!("usage: bellwether {} {}\n", row.name(), row.targets);
    writeln!(text, "         {}", row.about).expect("a String takes everything");
    text + &options_of(row)
}

fn options_of(row: &Row) -> String {
    let mut text = String::new();
    for opt in row.options {
        let (name, value, about) = opt.shown();
        let dashes = if name.len() == 1 { "-" } else { "--" };
        let shown = format!("{dashes}{name} {value}");
        writeln!(text, "           {shown:<24} {about}").expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(group: &'static str, args: &[&str]) -> String {
        let args = args.iter().map(OsString::from).collect();
        parse(group, args).err().expect("it is wrong")
    }

    #[test]
    fn a_command_line_that_is_wrong_is_named() {
        assert_eq!(refused("log", &[]), "a command is missing.");
        assert_eq!(refused("log", &["dmup"]), "there is no command dmup.");
        assert_eq!(refused("log", &["dump"]), "log dump takes DIR|FILE ….");
        assert_eq!(refused("snapshot", &["compare", "a"]), "snapshot compare takes LEFT RIGHT.");
        let text = refused("log", &["cut", "--after", "1f", "d"]);
        assert!(text.contains("1f is no zxid: expected 0x1f or 31"), "{text}");
        assert!(refused("log", &["dump", "--yes", "d"]).contains("--yes"));
    }

    #[test]
    fn every_option_that_a_row_takes_is_in_its_help() {
        for row in ROWS {
            let text = usage_of(row);
            for opt in row.options {
                assert!(text.contains(opt.shown().2), "{} {opt:?}", row.name());
            }
        }
    }

    #[test]
    fn zxids_are_hexadecimal_with_a_prefix() {
        assert_eq!(zxid("0x1f"), Ok(Zxid(31)));
        assert_eq!(zxid("31"), Ok(Zxid(31)));
        assert!(zxid("-1").is_err() && zxid("").is_err());
    }
}
