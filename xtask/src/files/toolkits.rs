//! Apache's offline tools and ours say the same of the same files.
//!
//! Keeps true: every transaction of a log (zxid, session, cxid, type, paths), every node of a
//! snapshot (stat and length), its sessions, its last zxid and the sums of its tree are compared.
//! Leaves the form of the two outputs to each: ours is read as JSON, Apache's by its lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::json::Json;
use crate::process::run;
use crate::server::{apache_java, bellwether};
use crate::workspace::Workspace;

/// What one look at one file may take.
const LIMIT: Duration = Duration::from_mins(1);

const PERSISTENCE: &str = "org.apache.zookeeper.server.persistence.TxnLogToolkit";
const FORMATTER: &str = "org.apache.zookeeper.server.SnapshotFormatter";
const SUMMARY: &str = "org.apache.zookeeper.server.SnapshotRecursiveSummary";

/// Compares what both say of one log; returns how many transactions it has.
pub(crate) fn same_log(workspace: &Workspace, log: &Path) -> Result<usize, String> {
    let ours = objects(workspace, &["log", "dump", "--json"], log)?;
    let ours: Vec<&Json> = ours.iter().filter(|object| is(object, "transaction")).collect();
    let apache = apache(workspace, PERSISTENCE, &[&shown(log)])?;
    let theirs: Vec<Transaction<'_>> = apache.lines().filter_map(Transaction::parse).collect();
    if ours.len() != theirs.len() || ours.is_empty() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(format!("{}: {ours} transactions, Apache sees {theirs}", log.display()));
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        theirs.compare(ours).map_err(|why| format!("{}: {why}", log.display()))?;
    }
    Ok(ours.len())
}

/// Compares what both say of one snapshot; returns how many nodes it has.
pub(crate) fn same_snapshot(workspace: &Workspace, snapshot: &Path) -> Result<usize, String> {
    let at = |why| format!("{}: {why}", snapshot.display());
    let ours = objects(workspace, &["snapshot", "dump", "--json"], snapshot)?;
    let apache = apache(workspace, FORMATTER, &[&shown(snapshot)])?;
    let (ours, theirs) = (nodes(&ours)?, formatted(&apache)?);
    differing(&ours, &theirs).map_err(at)?;
    let summary = self::apache(workspace, SUMMARY, &[&shown(snapshot), "/", "1"])?;
    let sum = objects(workspace, &["snapshot", "summary", "--depth", "0", "--json"], snapshot)?;
    let root = sum.first().ok_or_else(|| at("no sum".to_owned()))?;
    let children = number(root, "nodes")? - 1;
    for (name, ours) in [("children", children), ("data", number(root, "bytes")?)] {
        let theirs = value(&summary, &format!("{name}: "))?;
        if theirs != ours.to_string() {
            return Err(at(format!("{name} below /: {ours}, Apache sees {theirs}")));
        }
    }
    Ok(ours.iter().filter(|(name, _)| name.starts_with('/')).count())
}

/// Where a transaction stands in a log.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) zxid: String,
    pub(super) offset: usize,
    pub(super) end: usize,
}

/// Where the transactions of a log stand.
pub(super) fn places(workspace: &Workspace, log: &Path) -> Result<Vec<Place>, String> {
    let objects = objects(workspace, &["log", "dump", "--json"], log)?;
    let place = |object: &Json| {
        let at = |key| usize::try_from(number(object, key)?).map_err(|e| format!("{key}: {e}"));
        let zxid = text(object, "zxid")?.to_owned();
        Ok(Place { zxid, offset: at("offset")?, end: at("end")? })
    };
    objects.iter().filter(|object| is(object, "transaction")).map(place).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What one of Apache's tools prints. Paths are UTF-8, whatever the machine's locale is.
fn apache(workspace: &Workspace, class: &str, arguments: &[&str]) -> Result<String, String> {
    let mut java = apache_java(workspace)?;
    java.args(["-Dlevel=OFF", "-Dzookeeper.extendedTypesEnabled=true"]);
    java.args(["-Dfile.encoding=UTF-8", "-Dsun.stdout.encoding=UTF-8"]);
    java.arg("-Dstdout.encoding=UTF-8").arg(class).args(arguments);
    Ok(run(&mut java, LIMIT)?.success()?.stdout)
}

/// What one of our commands prints, line by line.
fn objects(workspace: &Workspace, words: &[&str], file: &Path) -> Result<Vec<Json>, String> {
    let program: PathBuf = bellwether(workspace)?;
    let printed = run(Command::new(program).args(words).arg(file), LIMIT)?.success()?;
    printed.stdout.lines().map(Json::parse).collect()
}

fn is(object: &Json, kind: &str) -> bool {
    object.get("kind").and_then(Json::text) == Some(kind)
}

fn text<'a>(object: &'a Json, key: &str) -> Result<&'a str, String> {
    object.get(key).and_then(Json::text).ok_or_else(|| format!("no {key} in {object:?}"))
}

fn number(object: &Json, key: &str) -> Result<i64, String> {
    match object.get(key) {
        #[expect(clippy::cast_possible_truncation, reason = "counts and times are whole numbers")]
        Some(Json::Number(number)) => Ok(*number as i64),
        Some(_) | None => Err(format!("no number {key} in {object:?}")),
    }
}

/// What follows a label in Apache's text, to the end of its line.
fn value<'a>(text: &'a str, label: &str) -> Result<&'a str, String> {
    let (_, rest) = text.split_once(label).ok_or_else(|| format!("no {label:?} in {text}"))?;
    Ok(rest.lines().next().unwrap_or_default().trim())
}

/// A line of Apache's dump of a log.
#[derive(Debug, PartialEq, Eq)]
struct Transaction<'a> {
    session: &'a str,
    cxid: &'a str,
    zxid: &'a str,
    kind: &'a str,
    rest: &'a str,
}

impl<'a> Transaction<'a> {
    /// Takes a line apart; nothing for other lines, such as those within data.
    fn parse(line: &'a str) -> Option<Self> {
        let (_, line) = line.split_once(" session 0x")?;
        let (session, line) = line.split_once(" cxid 0x")?;
        let (cxid, line) = line.split_once(" zxid 0x")?;
        let (zxid, line) = line.split_once(' ')?;
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(Self { session, cxid, zxid, kind, rest })
    }

    fn compare(&self, ours: &Json) -> Result<(), String> {
        let cxid = format!("{:x}", number(ours, "cxid")?);
        let found = [text(ours, "session")?, text(ours, "zxid")?, text(ours, "type")?, &cxid];
        let session = format!("0x{}", self.session);
        let zxid = format!("0x{}", self.zxid);
        let expected = [session.as_str(), zxid.as_str(), self.kind, self.cxid];
        if found != expected {
            return Err(format!("{found:?}, Apache sees {expected:?}"));
        }
        let paths = ours.get("paths").map(Json::items).unwrap_or_default();
        let mut paths = paths.iter().filter_map(Json::text);
        match paths.find(|path| !self.rest.contains(path)) {
            Some(path) => Err(format!("{zxid}: {path} is not in Apache's {:?}", self.rest)),
            None => Ok(()),
        }
    }
}

/// Facts by name: a node's by its path, and those of the whole by words.
type Facts = BTreeMap<String, String>;

/// The facts in our dump.
fn nodes(objects: &[Json]) -> Result<Facts, String> {
    let mut facts = Facts::new();
    let mut count = 0;
    for object in objects {
        if is(object, "session") {
            let timeout = number(object, "timeout_ms")?;
            facts.insert(format!("session {}", text(object, "id")?), timeout.to_string());
        }
        if is(object, "node") {
            count += 1;
            let fact = format!(
                "{} {} {} {} {} {} {} {}",
                text(object, "czxid")?,
                text(object, "mzxid")?,
                text(object, "pzxid")?,
                number(object, "cversion")?,
                number(object, "version")?,
                number(object, "aversion")?,
                text(object, "owner")?,
                number(object, "bytes")?
            );
            facts.insert(text(object, "path")?.to_owned(), fact);
        }
    }
    facts.insert("count".to_owned(), count.to_string());
    Ok(facts)
}

/// The facts in Apache's text. Its formatter does not read as far as the digest.
fn formatted(text: &str) -> Result<Facts, String> {
    let mut facts = Facts::new();
    // Apache's tree has its root under two names, and counts both.
    let count = value(text, "(count=")?.trim_end_matches("):").parse::<u64>();
    let count = count.map_err(|error| format!("the count of nodes: {error}"))? - 1;
    facts.insert("count".to_owned(), count.to_string());
    let hex = |value: &str| match value.trim_start_matches("0x").trim_start_matches('0') {
        "" => "0x0".to_owned(),
        digits => format!("0x{digits}"),
    };
    for block in text.split("----\n/").skip(1) {
        let path = format!("/{}", block.lines().next().unwrap_or_default());
        let field = |name: &str| value(block, &format!("  {name} = "));
        let fact = format!(
            "{} {} {} {} {} {} {} {}",
            hex(field("cZxid")?),
            hex(field("mZxid")?),
            hex(field("pZxid")?),
            field("cversion")?,
            field("dataVersion")?,
            field("aclVersion")?,
            hex(field("ephemeralOwner")?),
            field("dataLength")?
        );
        facts.insert(path, fact);
    }
    let sessions = text.split("Session Details (sid, timeout, ephemeralCount):\n").nth(1);
    for line in sessions.unwrap_or_default().lines().filter(|line| line.starts_with("0x")) {
        let mut fields = line.split(", ");
        let (id, timeout) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        facts.insert(format!("session {}", hex(id)), timeout.to_owned());
    }
    Ok(facts)
}

/// Nothing, or the first fact that differs.
fn differing(ours: &Facts, theirs: &Facts) -> Result<(), String> {
    let names = ours.keys().chain(theirs.keys());
    let mut differing = names.filter(|name| ours.get(*name) != theirs.get(*name));
    match differing.next() {
        Some(name) => {
            let (ours, theirs) = (ours.get(name), theirs.get(name));
            Err(format!("{name}: {ours:?}, Apache sees {theirs:?}"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_apaches_dump_is_taken_apart() {
        let line =
            "11/21/26, 1:22 PM UTC session 0x1a1 cxid 0x2 zxid 0x7 create2 /a,data,[31],false,1";
        let found = Transaction::parse(line).expect("it is one");
        assert_eq!((found.session, found.cxid, found.zxid), ("1a1", "2", "7"));
        assert_eq!((found.kind, found.rest), ("create2", "/a,data,[31],false,1"));
        let closed = Transaction::parse("x session 0x1 cxid 0x0 zxid 0x8 closeSession");
        assert_eq!(closed.map(|closed| closed.kind), Some("closeSession"));
        assert_eq!(Transaction::parse("EOF reached after 7 txns."), None);
    }

    #[test]
    fn a_fact_that_differs_is_named() {
        let facts = |value: &str| Facts::from([("/a".to_owned(), value.to_owned())]);
        assert_eq!(differing(&facts("1"), &facts("1")), Ok(()));
        let why = differing(&facts("1"), &facts("2")).expect_err("they differ");
        assert!(why.starts_with("/a: "), "{why}");
        assert!(differing(&facts("1"), &Facts::new()).is_err());
    }
}
