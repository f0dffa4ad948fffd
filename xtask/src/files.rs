//! The stage `files`: a data directory of one server is opened by the other, both ways.
//!
//! Keeps true: equal trees are shown by dumps through a client, node by node and stat by stat; the
//! directory really holds several logs and snapshots of the kind that the check names; and
//! what the reader adds is read again by the writer, whose digests must agree; and both sides'
//! offline tools find the same in the files, and can repair them.
//! Leaves the tree itself to `conformance/foreign/populate.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kazoo::script;
use crate::process::{make_dir, run};
use crate::report::{Passed, Report};
use crate::server::{Flavour, Launch, SUPER_DIGEST, Server};
use crate::workspace::Workspace;

mod repaired;
mod toolkits;

/// What filling or dumping a server may take.
const LIMIT: Duration = Duration::from_mins(3);
/// How many lines of a difference are shown.
const SHOWN: usize = 6;

/// How the writer writes, and how its snapshots are recognised. The reader has defaults.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    suffix: &'static str,
    properties: &'static [(&'static str, &'static str)],
}

/// The same file without everything that later releases added to it.
const BARE: &[(&str, &str)] = &[
    ("digest.enabled", "false"),
    ("closeSessionTxn.enabled", "false"),
    ("serializeLastProcessedZxid.enabled", "false"),
];

const KINDS: [Kind; 4] = [
    Kind { name: "plain", suffix: "", properties: &[] },
    Kind { name: "gz", suffix: ".gz", properties: &[("snapshot.compression.method", "gz")] },
    Kind {
        name: "snappy",
        suffix: ".snappy",
        properties: &[("snapshot.compression.method", "snappy")],
    },
    Kind { name: "bare", suffix: "", properties: BARE },
];

/// The stage `files`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    for (writer, reader) in
        [(Flavour::Apache, Flavour::Bellwether), (Flavour::Bellwether, Flavour::Apache)]
    {
        for kind in KINDS {
            let name = format!("{reader} reads {} files of {writer}, and back", kind.name);
            report.check(&name, || {
                let seen = Exchange { workspace, kind }.play(writer, reader)?;
                let note = format!("equal trees; Apache's tools and ours see the same {seen}");
                Ok(Passed::many(2, &note))
            });
        }
        let [kind, ..] = KINDS;
        report.check(&format!("both start with a damaged log of {writer}, repaired"), || {
            Ok(Passed::noting(repaired::play(&Exchange { workspace, kind }, writer)?))
        });
    }
}

/// One round trip of a directory.
struct Exchange<'a> {
    workspace: &'a Workspace,
    kind: Kind,
}

impl Exchange<'_> {
    fn play(&self, writer: Flavour, reader: Flavour) -> Result<String, String> {
        let home = self.workspace.scratch("files")?;
        let path = |name: &str| home.path().join(name);
        // Two runs, so that there are several logs, a replay, and sessions without a connection.
        for root in ["/first", "/second"] {
            let server = self.start(writer, &path("written"), self.kind.properties)?;
            self.populate(&server, root)?;
            server.stop()?;
        }
        self.is_worth_reading(&path("written/data/version-2"))?;
        let seen = self.seen_by_tools(&path("written/data/version-2"))?;
        let kept = self.copy(&path("written"), &path("kept"), writer)?;
        let expected = self.dump(&kept)?;
        kept.stop()?;

        let read = self.copy(&path("written"), &path("read"), reader)?;
        same(&expected, &self.dump(&read)?, writer, reader)?;
        self.populate(&read, "/third")?;
        let expected = self.dump(&read)?;
        read.stop()?;

        let back = self.copy(&path("read"), &path("back"), writer)?;
        same(&expected, &self.dump(&back)?, reader, writer)?;
        digests_agree(&back)?;
        back.stop()?;
        Ok(seen)
    }

    /// A server that rolls its files often, knows every kind of node, and expires nobody.
    fn start(
        &self,
        flavour: Flavour,
        home: &Path,
        properties: &[(&str, &str)],
    ) -> Result<Server, String> {
        make_dir(home)?;
        let mut launch = Launch::new(flavour, home)
            .line("maxSessionTimeout=4000000")
            .property("extendedTypesEnabled", "true")
            .property("snapCount", "300")
            .property("preAllocSize", "1024")
            .property("DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
        for (name, value) in properties {
            launch = launch.property(name, value);
        }
        launch.start(self.workspace)
    }

    /// Starts a server on a copy, so that every reader sees what the writer left.
    fn copy(&self, from: &Path, to: &Path, flavour: Flavour) -> Result<Server, String> {
        copy_directory(&from.join("data"), &to.join("data"))?;
        self.start(flavour, to, &[])
    }

    fn populate(&self, server: &Server, root: &str) -> Result<(), String> {
        let mut populate = script(self.workspace, "populate.py", &[&server.address(), root])?;
        run(&mut populate, LIMIT)?.success().map_err(|why| server.explain(&why))?;
        Ok(())
    }

    fn dump(&self, server: &Server) -> Result<String, String> {
        let mut dump = script(self.workspace, "tree_dump.py", &[&server.address()])?;
        let done = run(&mut dump, LIMIT)?.success().map_err(|why| server.explain(&why))?;
        Ok(done.stdout)
    }

    /// What Apache's offline tools and ours both find in the newest files, which have the rest.
    fn seen_by_tools(&self, directory: &Path) -> Result<String, String> {
        let newest = |prefix: &str| -> Result<PathBuf, String> {
            let mut names = file_names(directory)?;
            names.retain(|name| zxid_of(name, prefix).is_some() && !name.ends_with(".tmp"));
            let newest = names.iter().max_by_key(|name| zxid_of(name, prefix));
            newest.map(|name| directory.join(name)).ok_or_else(|| format!("no {prefix} is there"))
        };
        let first = directory.join("log.1");
        let transactions = toolkits::same_log(self.workspace, &first)?
            + toolkits::same_log(self.workspace, &newest("log.")?)?;
        let nodes = toolkits::same_snapshot(self.workspace, &newest("snapshot.")?)?;
        Ok(format!("{transactions} transactions and {nodes} nodes"))
    }

    /// A directory without several logs and compressed snapshots would prove nothing.
    fn is_worth_reading(&self, directory: &Path) -> Result<(), String> {
        let names = file_names(directory)?;
        let logs = names.iter().filter(|name| name.starts_with("log.")).count();
        let is_snapshot = |name: &&String| {
            let number = name.strip_prefix("snapshot.");
            let number = number.and_then(|rest| rest.strip_suffix(self.kind.suffix));
            number.is_some_and(|zxid| u64::from_str_radix(zxid, 16).is_ok())
        };
        let snapshots = names.iter().filter(is_snapshot).count();
        if logs >= 2 && snapshots >= 2 {
            return Ok(());
        }
        Err(format!("{logs} logs and {snapshots} snapshots are too few: {}", names.join(" ")))
    }
}

/// Apache compares the digest that each transaction carries with its own tree as it replays.
fn digests_agree(server: &Server) -> Result<(), String> {
    let metrics = server.word("mntr")?;
    let name = "zk_digest_mismatches_count";
    match metrics.lines().find_map(|line| line.strip_prefix(name)) {
        Some(count) if count.trim() == "0" => Ok(()),
        Some(count) => Err(server.explain(&format!("{name} is {}", count.trim()))),
        None => Err(server.explain(&format!("mntr has no {name}"))),
    }
}

/// Nothing, or the first lines in which two dumps differ.
fn same(written: &str, read: &str, writer: Flavour, reader: Flavour) -> Result<(), String> {
    if written == read && !written.is_empty() {
        return Ok(());
    }
    let mut shown = Vec::new();
    for (sign, text, other) in [('-', written, read), ('+', read, written)] {
        let others: std::collections::BTreeSet<&str> = other.lines().collect();
        let only = text.lines().filter(|line| !others.contains(line));
        shown.extend(only.take(SHOWN).map(|line| format!("{sign}{}", short(line))));
    }
    Err(format!(
        "{} nodes by {writer} (-), {} by {reader} (+)\n{}",
        written.lines().count(),
        read.lines().count(),
        shown.join("\n")
    ))
}

/// A node's line without most of its data.
fn short(line: &str) -> String {
    if line.chars().count() <= 700 {
        return line.to_owned();
    }
    let start: String = line.chars().take(300).collect();
    let end: Vec<char> = line.chars().rev().take(400).collect();
    format!("{start}…{}", end.into_iter().rev().collect::<String>())
}

/// The zxid in the name of a log or snapshot.
fn zxid_of(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.split('.').next()?;
    u64::from_str_radix(digits, 16).ok()
}

fn file_names(directory: &Path) -> Result<Vec<String>, String> {
    let fault = |e: std::io::Error| format!("cannot list {}: {e}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Copies a directory and what is below it.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> Result<(), String> {
    make_dir(to)?;
    for name in file_names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy_directory(&source, &target)?;
        } else {
            // The bytes alone: what a package manager made read-only must be writable here.
            let bytes = fs::read(&source).map_err(|e| format!("{}: {e}", source.display()))?;
            crate::process::write(&target, bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Scratch, write};

    #[test]
    fn a_difference_shows_the_lines_of_one_side() {
        let (apache, ours) = (Flavour::Apache, Flavour::Bellwether);
        assert_eq!(same("a\nb\n", "a\nb\n", apache, ours), Ok(()));
        let why = same("a\nb\n", "a\nc\n", apache, ours).expect_err("they differ");
        assert!(why.ends_with("\n-b\n+c"), "{why}");
        assert!(same("", "", apache, ours).is_err());
    }

    #[test]
    fn a_long_line_is_shortened_in_its_middle() {
        let line = format!("a{}z", "x".repeat(2_000));
        let text = short(&line);
        assert!(text.starts_with('a') && text.ends_with('z') && text.chars().count() < 710);
    }

    #[test]
    fn a_directory_is_copied_whole_and_writable() {
        let scratch = Scratch::new(&std::env::temp_dir(), "copy-test").expect("temp is writable");
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        make_dir(&from.join("below")).expect("it is ours");
        write(&from.join("below/file"), "text").expect("it is ours");
        copy_directory(&from, &to).expect("it can be copied");
        assert_eq!(fs::read_to_string(to.join("below/file")).ok().as_deref(), Some("text"));
    }
}
