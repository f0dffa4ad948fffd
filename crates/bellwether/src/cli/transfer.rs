//! `export` writes what is below a node as lines of JSON, `import` reads them back.
//!
//! The first line says what this is, the last one how many nodes there were: a file that was cut
//! off is recognised, and nothing of it is written. Nodes are read one after the other; what is
//! changed meanwhile may be seen in part. What clients cannot see — zxids to be, times, whether a
//! node is a container or has a time to live — cannot be brought back: the stat is for reading.

use super::failure::Failed;
use super::nodes::{number, path};
use super::shell::Shell;
use super::walk::{Below, ask_all, child};
use super::words::Words;
use super::{acls, json};
use crate::say;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_client::{Acl, Client, Create, CreateMode, Data, Error, ErrorCode, Multi, Servers};
use bellwether_client::{Stat, ZPath};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::path::Path;

/// The form of the lines. A reader of another form refuses.
const FORM: u64 = 1;

/// The nodes of one transaction of an import.
const BATCH_NODES: usize = 100;

/// The bytes of data of one, unless a single node has more: servers take requests of 1 MiB.
const BATCH_BYTES: usize = 512 << 10;

/// The longest line: a node of 128 MiB, far above what servers take.
const LINE_BYTES_MAX: u64 = 192 << 20;

/// Nodes that are named one by one before only their number is said.
const NAMED_MAX: u64 = 20;

/// What is read of one node.
type Found = Result<(Option<Data>, Vec<Acl>, Stat), Error>;

async fn read_node(client: Client, path: String) -> Found {
    let (data, stat) = client.get_data(&path).await?;
    let (acl, _) = client.get_acl(&path).await?;
    Ok((data, acl, stat))
}

pub(super) async fn export(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let (client, top) = (shell.client()?, path(words));
    let file = words.value("f");
    let mut out: Box<dyn Write> = match file {
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
        Some(name) => Box::new(BufWriter::new(create_file(name)?)),
    };
    let written =
        |error: std::io::Error| Failed::local(format!("{}: {error}", file.unwrap_or("stdout")));
    let first = json!({ "bellwether": "export", "form": FORM, "path": top });
    writeln!(out, "{first}").map_err(written)?;
    let mut below = Below::new(&client, top);
    let (mut count, mut refused) = (0_u64, 0_u64);
    while let Some(mut step) = below.next().await? {
        if skips_system(shell, top) {
            step.paths.retain(|path| path != "/zookeeper");
            below.skip("/zookeeper");
        }
        for (path, found) in ask_all(step.paths, |path| read_node(client.clone(), path)).await {
            let (data, acl, stat) = match found {
                Ok(found) => found,
                Err(error) if error.code() == Some(ErrorCode::NoNode) && path != top => continue,
                Err(error) if error.code() == Some(ErrorCode::NoAuth) => {
                    refused += 1;
                    shell.out.note(Failed::from(error).text);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (data, acl, stat) =
                (json::base64(data.as_deref()), json::acl(&acl), json::stat(&stat));
            let line = json!({ "path": path, "data": data, "acl": acl, "stat": stat });
            writeln!(out, "{line}").map_err(written)?;
            count += 1;
        }
    }
    writeln!(out, "{}", json!({ "nodes": count })).and_then(|()| out.flush()).map_err(written)?;
    drop(out);
    if let Some(name) = file {
        shell.out.note(format_args!("{count} nodes in {name}"));
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failed::local(format!("{refused} nodes could not be read and are missing"))),
    }
}

/// The server's own nodes are in no export of everything.
fn skips_system(shell: &Shell, top: &str) -> bool {
    let servers = Servers::parse(&shell.options.servers);
    top == "/" && servers.is_ok_and(|servers| servers.chroot().is_none())
}

fn create_file(name: &str) -> Result<File, Failed> {
    OpenOptions::new().write(true).create_new(true).open(name).map_err(|error| {
        Failed::local(format!("{name}: {error}")).hint("export writes to a file that is new")
    })
}

/// What to do with nodes that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Fail,
    Skip,
    Replace,
}

/// A node of an export.
#[derive(Debug, PartialEq)]
struct Node {
    path: String,
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    is_ephemeral: bool,
}

/// A file that was seen to be whole.
#[derive(Debug)]
struct Export {
    top: String,
    nodes: u64,
}

/// A line of an export.
#[derive(Debug)]
enum Line {
    Begin { top: String },
    Node(Node),
    End { nodes: u64 },
}

/// The lines of a file, with their numbers for those who must mend it.
struct Lines {
    name: String,
    file: BufReader<File>,
    number: u64,
}

impl Lines {
    fn open(name: &str) -> Result<Lines, Failed> {
        let opened = File::open(Path::new(name));
        let file = opened.map_err(|error| Failed::local(format!("{name}: {error}")))?;
        Ok(Lines { name: name.to_owned(), file: BufReader::new(file), number: 0 })
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Failed {
        Failed::usage(format!("{}, line {}: {what}", self.name, self.number))
            .hint("nothing was written; a whole export ends with a line {\"nodes\":N}")
    }

    fn next(&mut self) -> Result<Option<Line>, Failed> {
        let mut bytes = Vec::new();
        self.number += 1;
        let mut limited = (&mut self.file).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut bytes);
        match read {
            Err(error) => return Err(self.wrong(error)),
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| self.wrong(error))?;
        line(&value).map(Some).map_err(|what| self.wrong(what))
    }
}

fn line(value: &Value) -> Result<Line, String> {
    if let Some(nodes) = value.get("nodes") {
        let nodes = nodes.as_u64().ok_or("nodes is no number")?;
        return Ok(Line::End { nodes });
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let path = text("path").ok_or("there is no path")?;
    ZPath::check(&path).map_err(|problem| format!("path {path:?}: {problem}"))?;
    if value.get("bellwether").is_some() {
        return match value.get("form").and_then(Value::as_u64) {
            Some(FORM) => Ok(Line::Begin { top: path }),
            form => Err(format!("form {form:?} is not known, expected {FORM}")),
        };
    }
    let data = match value.get("data") {
        Some(Value::Null) => None,
        Some(Value::String(text)) => {
            Some(STANDARD.decode(text).map_err(|error| format!("data is not base64: {error}"))?)
        }
        Some(_) | None => return Err("there is no data, neither base64 nor null".to_owned()),
    };
    let entries = value.get("acl").and_then(Value::as_array).ok_or("there is no acl")?;
    let acl = entries.iter().map(acl_entry).collect::<Result<_, _>>()?;
    let owner = value.get("stat").and_then(|stat| stat.get("ephemeralOwner"));
    let is_ephemeral = owner.and_then(Value::as_str).is_some_and(|owner| owner != "0x0");
    Ok(Line::Node(Node { path, data, acl, is_ephemeral }))
}

fn acl_entry(value: &Value) -> Result<Acl, String> {
    let text = |key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.ok_or_else(|| format!("an entry of the acl has no {key}"))
    };
    let perms = acls::parse_perms(text("perms")?).map_err(|failed| failed.text)?;
    Ok(Acl { perms, scheme: text("scheme")?.into(), id: text("id")?.into() })
}

/// Reads a file to its end: what is damaged is known before anything is written.
fn check(name: &str) -> Result<Export, Failed> {
    let mut lines = Lines::open(name)?;
    let Some(Line::Begin { top }) = lines.next()? else {
        return Err(lines.wrong("this is no export: {\"bellwether\":\"export\", ...} is expected"));
    };
    let (mut seen, mut end) = (0, None);
    while let Some(line) = lines.next()? {
        match line {
            Line::Node(node) if end.is_none() => {
                if below(&top, &node.path).is_none() {
                    return Err(lines.wrong(format!("{} is not below {top}", node.path)));
                }
                seen += 1;
            }
            Line::End { nodes } if end.is_none() => end = Some(nodes),
            Line::Node(_) | Line::Begin { .. } | Line::End { .. } => {
                return Err(lines.wrong("this line does not belong here"));
            }
        }
    }
    match end {
        Some(nodes) if nodes == seen => Ok(Export { top, nodes }),
        Some(nodes) => Err(lines.wrong(format!("{nodes} nodes are expected, there are {seen}"))),
        None => Err(lines.wrong(format!("the file ends after {seen} nodes: it was cut off"))),
    }
}

/// What of a path is below `top`: empty, or a slash and more.
fn below<'a>(top: &str, path: &'a str) -> Option<&'a str> {
    if top == "/" {
        return Some(if path == "/" { "" } else { path });
    }
    path.strip_prefix(top).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path that a node of an export gets.
fn moved(export: &Export, target: &str, path: &str) -> String {
    let rest = below(&export.top, path).unwrap_or_default();
    match (target, rest) {
        ("/", "") => "/".to_owned(),
        ("/", rest) => rest.to_owned(),
        (target, rest) => format!("{target}{rest}"),
    }
}

/// What an import has done.
#[derive(Debug, Default)]
struct Done {
    created: u64,
    replaced: u64,
    skipped: u64,
    ephemeral: u64,
}

/// An import that runs.
struct Import<'a> {
    shell: &'a Shell,
    client: Client,
    existing: Existing,
    done: Done,
    batch: Vec<Node>,
    batch_bytes: usize,
}

pub(super) async fn import(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let existing = match words.value("x") {
        None | Some("fail") => Existing::Fail,
        Some("skip") => Existing::Skip,
        Some("replace") => Existing::Replace,
        Some(other) => {
            return Err(Failed::usage(format!("-x {other}: expected fail, skip or replace")));
        }
    };
    let batch_nodes = number::<usize>(words, "b", "a number of nodes")?.unwrap_or(BATCH_NODES);
    let batch_nodes = batch_nodes.clamp(1, BATCH_NODES * 10);
    let name = words.arg(0).expect("the row asks for a file");
    let export = check(name)?;
    let target = words.arg(1).unwrap_or(&export.top).to_owned();
    ZPath::check(&target)
        .map_err(|problem| Failed::usage(super::failure::wrong_path(&target, problem)))?;
    let mut import = Import {
        client: shell.client()?,
        shell,
        existing,
        done: Done::default(),
        batch: Vec::new(),
        batch_bytes: 0,
    };
    if existing == Existing::Fail {
        import.refuse_existing(name, &export, &target).await?;
    }
    let mut lines = Lines::open(name)?;
    while let Some(line) = lines.next()? {
        let Line::Node(mut node) = line else { continue };
        node.path = moved(&export, &target, &node.path);
        if node.is_ephemeral && !words.has("e") {
            import.leave_out(&node.path);
            continue;
        }
        if node.path == "/" && existing != Existing::Replace {
            import.done.skipped += 1; // It is always there.
            continue;
        }
        let bytes = node.data.as_ref().map_or(0, Vec::len) + node.path.len();
        if import.batch.len() >= batch_nodes || import.batch_bytes + bytes > BATCH_BYTES {
            import.write().await?;
        }
        import.batch_bytes += bytes;
        import.batch.push(node);
    }
    import.write().await?;
    import.report(&export, &target);
    Ok(())
}

impl Import<'_> {
    /// Refuses before the first write if the top is there, or a child of it where it is the root.
    async fn refuse_existing(
        &self,
        name: &str,
        export: &Export,
        target: &str,
    ) -> Result<(), Failed> {
        let there = |path: &str| {
            Failed::code(path, ErrorCode::NodeExists)
                .hint("-x skip keeps what is there, -x replace overwrites it")
        };
        if target != "/" {
            return match self.client.exists(target).await? {
                Some(_) => Err(there(target)),
                None => Ok(()),
            };
        }
        let names = self.client.get_children("/").await?;
        let present: BTreeSet<String> = names.iter().map(|name| child("/", name)).collect();
        let mut lines = Lines::open(name)?;
        while let Some(line) = lines.next()? {
            let Line::Node(node) = line else { continue };
            let path = moved(export, target, &node.path);
            if present.contains(&path) {
                return Err(there(&path));
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &str) {
        self.done.ephemeral += 1;
        if self.done.ephemeral <= NAMED_MAX {
            self.shell.out.note(format_args!("left out, it was ephemeral: {path}"));
        }
    }

    /// Writes the nodes that are gathered.
    async fn write(&mut self) -> Result<(), Failed> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let is_there = self.present(&batch).await?;
        let mut multi = Multi::new();
        let mut written = Vec::new();
        let mut acls = Vec::new();
        for (node, is_there) in batch.into_iter().zip(is_there) {
            if is_there && self.existing == Existing::Skip {
                self.done.skipped += 1;
                continue;
            }
            written.push(node.path.clone());
            if is_there {
                self.done.replaced += 1;
                multi = multi.set_data(&node.path, &node.data.unwrap_or_default(), None);
                acls.push((node.path, node.acl));
                continue;
            }
            self.done.created += 1;
            let mut create = Create::new(&node.path, CreateMode::Persistent).acl(node.acl);
            if let Some(data) = node.data {
                create = create.data(&data);
            }
            multi = multi.create(create);
        }
        if !multi.is_empty() {
            let result = self.client.multi(multi).await;
            result.map_err(|error| refused(error, &written))?;
        }
        // A transaction of the protocol cannot set an ACL.
        for (path, acl) in acls {
            self.client.set_acl(&path, acl, None).await?;
        }
        Ok(())
    }

    /// Which of these nodes are there already.
    async fn present(&self, batch: &[Node]) -> Result<Vec<bool>, Failed> {
        if self.existing == Existing::Fail {
            return Ok(vec![false; batch.len()]);
        }
        let paths = batch.iter().map(|node| node.path.clone()).collect();
        let ask = |path: String| {
            let client = self.client.clone();
            async move { client.exists(&path).await }
        };
        let answers = ask_all(paths, ask).await.into_iter();
        answers.map(|(_, answer)| Ok(answer?.is_some())).collect()
    }

    fn report(&self, export: &Export, target: &str) {
        let Done { created, replaced, skipped, ephemeral } = &self.done;
        if *ephemeral > NAMED_MAX {
            let more = ephemeral - NAMED_MAX;
            self.shell.out.note(format_args!("and {more} more that were ephemeral"));
        }
        self.shell.out.value(&json!({
            "path": target,
            "nodes": export.nodes,
            "created": created,
            "replaced": replaced,
            "skipped": skipped,
            "ephemeral": ephemeral,
        }));
        if !self.shell.out.is_json() {
            say::line(format_args!(
                "{created} created, {replaced} replaced, {skipped} skipped, {ephemeral} ephemeral \
                 left out, at {target}"
            ));
        }
    }
}

/// Names the node that a transaction failed on.
fn refused(error: Error, paths: &[String]) -> Failed {
    let hint = "nodes written before it stay; -x skip goes on behind them";
    match &error {
        Error::Multi { index, code, .. } => {
            Failed::code(paths.get(*index).map_or("", String::as_str), *code).hint(hint)
        }
        Error::Refused { .. }
        | Error::UnknownCode(_)
        | Error::ConnectionLost
        | Error::SessionEnded(..)
        | Error::NoServer { .. }
        | Error::TooLarge { .. }
        | Error::Path { .. }
        | Error::Argument(_)
        | Error::Servers(_) => Failed::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_move_from_one_top_to_another() {
        let check = |top: &str, target: &str, path: &str, expected: &str| {
            let export = Export { top: top.to_owned(), nodes: 0 };
            assert_eq!(moved(&export, target, path), expected);
        };
        check("/a", "/a", "/a/b", "/a/b");
        check("/a", "/x/y", "/a", "/x/y");
        check("/a", "/x/y", "/a/b", "/x/y/b");
        check("/a", "/", "/a", "/");
        check("/a", "/", "/a/b", "/b");
        check("/", "/x", "/", "/x");
        check("/", "/x", "/b/c", "/x/b/c");
        check("/", "/", "/b", "/b");
        assert_eq!(below("/a", "/ab"), None);
    }

    #[track_caller]
    fn wrong(text: &str, expected: &str) {
        let value = serde_json::from_str(text).expect("the test writes JSON");
        assert_eq!(line(&value).map(drop), Err(expected.to_owned()), "{text}");
    }

    #[test]
    fn a_line_is_read_or_says_what_is_wrong_with_it() {
        let text = r#"{"path":"/a","data":"aGk=","acl":[{"scheme":"world","id":"anyone",
            "perms":"cdrwa"}],"stat":{"ephemeralOwner":"0x10"}}"#;
        let read = line(&serde_json::from_str(text).expect("it is JSON"));
        let Ok(Line::Node(node)) = read else { panic!("{read:?}") };
        let acl = vec![Acl::world_all()];
        let data = Some(b"hi".to_vec());
        assert_eq!(node, Node { path: "/a".into(), data, acl, is_ephemeral: true });
        wrong("{}", "there is no path");
        wrong(r#"{"path":"a"}"#, "path \"a\": the path must start with /");
        wrong(r#"{"path":"/a"}"#, "there is no data, neither base64 nor null");
        wrong(r#"{"path":"/a","data":null}"#, "there is no acl");
        wrong(r#"{"path":"/a","data":null,"acl":[{}]}"#, "an entry of the acl has no perms");
        let perms = r#"{"path":"/a","data":null,"acl":[{"scheme":"s","id":"i","perms":"x"}]}"#;
        wrong(perms, "Unknown perm type: x");
        wrong(
            r#"{"bellwether":"export","form":2,"path":"/"}"#,
            "form Some(2) is not known, expected 1",
        );
    }
}
