//! A scenario as a file: what it claims, what its server needs, and blocks of commands with what
//! they print.
//!
//! What it keeps true: reading a file and writing it with the same outputs gives the same bytes.
//!
//! What it leaves to others: what a command means.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Stands between commands and output.
const RULE: &str = "----";
/// Stands before the output of this server where it differs on purpose.
const OURS_RULE: &str = "---- bellwether";

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Apache,
    Ours,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Apache => "apache",
            Side::Ours => "bellwether",
        }
    }
}

/// What a server is started with. Scenarios that need the same share a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    /// Lines of zoo.cfg.
    pub(crate) lines: Vec<String>,
    /// `NAME=VALUE` of a `-D` each.
    pub(crate) properties: Vec<String>,
}

/// Commands, and what both servers print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) commands: Vec<String>,
    pub(crate) output: Vec<String>,
    /// What this server prints where it differs on purpose.
    pub(crate) ours: Option<Vec<String>>,
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Its path below the directory of scenarios, without `.txt`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The lines before the first block, as they are.
    head: Vec<String>,
    pub(crate) settings: Settings,
    /// Whether it wants a server that nobody used before.
    pub(crate) fresh: bool,
    /// Why the servers differ on purpose.
    pub(crate) differs: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

impl Scenario {
    /// Reads one file's text.
    pub(crate) fn parse(name: &str, path: &Path, text: &str) -> Result<Scenario, String> {
        let mut scenario = Scenario {
            name: name.to_owned(),
            path: path.to_owned(),
            head: Vec::new(),
            settings: Settings::default(),
            fresh: false,
            differs: None,
            blocks: Vec::new(),
        };
        let wrong = |number: usize, why: &str| Err(format!("{}:{number}: {why}", path.display()));
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next_if(|(line, _)| !line.is_empty()) {
            if let Err(why) = scenario.heading(line) {
                return wrong(number, &why);
            }
        }
        if !scenario.head.first().is_some_and(|line| line.starts_with("# ")) {
            return wrong(1, "the first line says what the scenario claims, behind \"# \"");
        }
        loop {
            while lines.next_if(|(line, _)| line.is_empty()).is_some() {}
            let Some((_, number)) = lines.peek().copied() else { break };
            let block: Vec<&str> = std::iter::from_fn(|| lines.next_if(|(l, _)| !l.is_empty()))
                .map(|(line, _)| line)
                .collect();
            match Block::parse(&block) {
                Ok(block) => scenario.blocks.push(block),
                Err(why) => return wrong(number, &why),
            }
        }
        if scenario.blocks.is_empty() {
            return wrong(1, "there is no block of commands");
        }
        if scenario.differs.is_none() && scenario.blocks.iter().any(|b| b.ours.is_some()) {
            return wrong(1, "an output of bellwether's own needs a line \"differs REASON\"");
        }
        Ok(scenario)
    }

    fn heading(&mut self, line: &str) -> Result<(), String> {
        self.head.push(line.to_owned());
        match line.split_once(' ') {
            _ if line == "fresh" => self.fresh = true,
            _ if line.starts_with('#') => {}
            // For the reader, and for the test that holds `docs/COMPAT.md` against the scenarios.
            Some(("proves", _)) => {}
            Some(("setting", rest)) => self.settings.lines.push(rest.to_owned()),
            Some(("property", rest)) => self.settings.properties.push(rest.to_owned()),
            Some(("differs", reason)) => self.differs = Some(reason.to_owned()),
            _ => {
                return Err(format!(
                    "{line}: not one of setting, property, proves, fresh, differs, #"
                ));
            }
        }
        Ok(())
    }

    /// What this side is expected to print, a list per block.
    pub(crate) fn expected(&self, side: Side) -> Vec<&[String]> {
        self.blocks
            .iter()
            .map(|block| match (side, &block.ours) {
                (Side::Ours, Some(ours)) => ours.as_slice(),
                (Side::Ours, None) | (Side::Apache, _) => block.output.as_slice(),
            })
            .collect()
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text: String = self.head.iter().map(|line| format!("{line}\n")).collect();
        for block in &self.blocks {
            let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
            line("");
            block.commands.iter().for_each(|command| line(command));
            line(RULE);
            block.output.iter().for_each(|output| line(output));
            if let Some(ours) = &block.ours {
                line(OURS_RULE);
                ours.iter().for_each(|output| line(output));
            }
        }
        text
    }
}

impl Block {
    fn parse(lines: &[&str]) -> Result<Block, String> {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let mut parts = lines.splitn(2, |line| *line == RULE);
        let commands: Vec<String> = owned(parts.next().unwrap_or_default());
        let rest = parts.next().ok_or("a block needs a line ---- below its commands")?;
        let mut parts = rest.splitn(2, |line| *line == OURS_RULE);
        let output = owned(parts.next().unwrap_or_default());
        let ours = parts.next().map(owned);
        if commands.is_empty() {
            return Err("a block begins with its commands".into());
        }
        Ok(Block { commands, output, ours })
    }
}

/// All scenarios below a directory whose name contains one of `filters`, in the order of names.
pub(crate) fn load(root: &Path, filters: &[String]) -> Result<Vec<Scenario>, String> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let below = path.strip_prefix(root).unwrap_or(&path);
        let name = below.with_extension("").to_string_lossy().into_owned();
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        scenarios.push(Scenario::parse(&name, &path, &text)?);
    }
    Ok(scenarios)
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let problem = |error| format!("cannot list {}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A claim.\nsetting tickTime=200\nproperty a.b=c\nfresh\ndiffers a reason\n\n\
        a: connect\n----\na: connected\n\na: ping\na: ping\n----\na: one\n---- bellwether\na: two\n";

    fn parse(text: &str) -> Result<Scenario, String> {
        Scenario::parse("area/name", Path::new("x.txt"), text)
    }

    #[test]
    fn a_file_is_written_as_it_was_read() {
        let scenario = parse(TEXT).expect("it is well formed");
        assert_eq!(scenario.text(), TEXT);
        assert_eq!(scenario.settings.lines, ["tickTime=200"]);
        assert_eq!(scenario.settings.properties, ["a.b=c"]);
        assert!(scenario.fresh && scenario.differs.as_deref() == Some("a reason"));
        assert_eq!(scenario.expected(Side::Apache)[1], ["a: one"]);
        assert_eq!(scenario.expected(Side::Ours)[1], ["a: two"]);
        assert_eq!(scenario.expected(Side::Ours)[0], ["a: connected"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, expected: &str| {
            let why = parse(text).expect_err("it is malformed");
            assert!(why.starts_with(expected), "{why}");
        };
        check("a: connect\n----\n", "x.txt:1: a: connect: not one of");
        check("# A.\nsettings x=y\n\na\n----\n", "x.txt:2: settings x=y");
        check("# A.\n\na: connect\n", "x.txt:3: a block needs a line ----");
        check("# A.\n\n----\nx\n", "x.txt:3: a block begins");
        check("# A.\n", "x.txt:1: there is no block");
        check("# A.\n\na\n----\nb\n---- bellwether\nc\n", "x.txt:1: an output of bellwether");
    }
}
