//! The commands on quotas: `setquota`, `listquota`, `delquota`.
//!
//! A quota is a node below `/zookeeper/quota` with limits in it; servers keep what is used of it in
//! a node beside. Clients lay these nodes out, in the way of zkCli, and servers read them. They
//! belong to the server's own root, so that a shell below a chroot cannot reach them.

use super::failure::Failed;
use super::nodes::path;
use super::shell::Shell;
use super::walk;
use super::words::Words;
use bellwether_client::{Client, Create, CreateMode, Error, ErrorCode, Servers};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const USED: &str = "zookeeper_stats";

/// What an option limits: its letter, its key in the node, what zkCli calls it, the least value.
struct Limit {
    option: &'static str,
    key: &'static str,
    about: &'static str,
    too_small: &'static str,
    min: i64,
    max: i64,
}

const COUNT_TOO_SMALL: &str = "the num quota must be greater than zero";
const BYTES_TOO_SMALL: &str = "the bytes quota must be greater than or equal to zero";

#[rustfmt::skip]
const LIMIT_ROWS: [Limit; 4] = [
    Limit { option: "n", key: "count",          about: "num soft quota",   too_small: COUNT_TOO_SMALL, min: 1, max: i32::MAX as i64 },
    Limit { option: "b", key: "bytes",          about: "bytes soft quota", too_small: BYTES_TOO_SMALL, min: 0, max: i64::MAX },
    Limit { option: "N", key: "countHardLimit", about: "num hard quota",   too_small: COUNT_TOO_SMALL, min: 1, max: i32::MAX as i64 },
    Limit { option: "B", key: "byteHardLimit",  about: "bytes hard quota", too_small: BYTES_TOO_SMALL, min: 0, max: i64::MAX },
];

/// The content of a node of limits or of what is used. A key that is not there reads as -1: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Track(BTreeMap<String, i64>);

impl Track {
    fn parse(data: Option<&[u8]>) -> Result<Track, Failed> {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let mut track = Track::default();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let value = if value.is_empty() { Ok(-1) } else { value.parse() };
            let wrong = |_| Failed::local(format!("the quota {text:?} cannot be read at {pair:?}"));
            track.0.insert(key.to_owned(), value.map_err(wrong)?);
        }
        Ok(track)
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    fn set(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value);
    }

    fn to_json(&self) -> Value {
        let fields = self.0.iter().map(|(key, value)| (key.clone(), Value::from(*value)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

/// As servers and clients of every version read it: those that know only the first two keys stop at
/// the second equals sign.
impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.get("count"), self.get("bytes"))?;
        let mut others = self.0.iter().filter(|(key, _)| !matches!(&***key, "count" | "bytes"));
        let Some((key, value)) = others.next() else { return Ok(()) };
        write!(f, "=;{key}={value}")?;
        others.try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

fn limits_path(path: &str) -> String {
    format!("{QUOTA}{path}/{LIMITS}")
}

fn used_path(path: &str) -> String {
    format!("{QUOTA}{path}/{USED}")
}

/// The session, if it reaches the nodes of quotas.
fn client(shell: &Shell) -> Result<Client, Failed> {
    let chroot = Servers::parse(&shell.options.servers).ok();
    if chroot.as_ref().is_some_and(|servers| servers.chroot().is_some()) {
        let text =
            "Quotas belong to the server's own root, which a shell below a chroot cannot see";
        return Err(Failed::local(text).hint("connect without a chroot, and name the whole path"));
    }
    shell.client()
}

/// zkCli refuses two limits at a time.
fn one_limit(words: &Words) -> Result<(), Failed> {
    let mut given = words.options();
    let Some(first) = given.next() else { return Ok(()) };
    match given.find(|other| *other != first) {
        Some(other) => Err(Failed::usage(format!(
            "The option '{other}' was specified but an option from this group has already been \
             selected: '{first}'"
        ))
        .hint("one limit at a time: a second call adds another")),
        None => Ok(()),
    }
}

pub(super) async fn setquota(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    one_limit(words)?;
    let Some((limit, text)) =
        LIMIT_ROWS.iter().find_map(|limit| Some((limit, words.value(limit.option)?)))
    else {
        let all = LIMIT_ROWS.map(|limit| format!("-{} {}", limit.option, limit.about)).join(", ");
        return Err(Failed::usage(format!("Missing required option: [{all}]")));
    };
    let path = path(words);
    if path.starts_with(QUOTA) {
        return Err(Failed::usage(format!("cannot set a quota under the path: {QUOTA}")));
    }
    let value = text.parse::<i64>().ok().filter(|value| *value <= limit.max);
    let Some(value) = value else {
        return Err(Failed::usage("NumberFormatException happens when parsing the option value")
            .hint("a whole number is expected"));
    };
    if value < limit.min {
        return Err(Failed::usage(limit.too_small));
    }
    let client = client(shell)?;
    if client.exists(path).await?.is_none() {
        return Err(Failed::usage(format!("{path} does not exist.")));
    }
    refuse_below(&client, path).await?;
    refuse_above(&client, path).await?;
    let (limits, used) = store(&client, path, (limit.key, value)).await?;
    warn(shell, &limits, &used);
    shell.out.value(&json!({ "path": path, "limits": limits.to_json(), "used": used.to_json() }));
    Ok(())
}

/// Writes the limit, and the nodes above it where there are none.
async fn store(
    client: &Client,
    path: &str,
    (key, value): (&str, i64),
) -> Result<(Track, Track), Failed> {
    let mut above = String::from("/zookeeper");
    for name in std::iter::once("quota").chain(path.split('/').skip(1)) {
        above = walk::child(&above, name);
        make(client, &above, None).await?;
    }
    let fresh = LIMIT_ROWS.iter().map(|limit| (limit.key.to_owned(), -1)).collect();
    let mut limits = match client.get_data(&limits_path(path)).await {
        Ok((data, _)) => Track::parse(data.as_deref())?,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            let mut limits = Track(fresh);
            limits.set(key, value);
            make(client, &limits_path(path), Some(&limits)).await?;
            let none = Track([("count".to_owned(), 0), ("bytes".to_owned(), 0)].into());
            make(client, &used_path(path), Some(&none)).await?;
            let (used, _) = client.get_data(&used_path(path)).await?;
            return Ok((limits, Track::parse(used.as_deref())?));
        }
        Err(error) => return Err(error.into()),
    };
    limits.set(key, value);
    let (used, _) = client.get_data(&used_path(path)).await?;
    let used = Track::parse(used.as_deref())?;
    client.set_data(&limits_path(path), limits.to_string().as_bytes(), None).await?;
    Ok((limits, used))
}

/// Creates a node unless it is there: to ask costs no transaction.
async fn make(client: &Client, path: &str, content: Option<&Track>) -> Result<(), Error> {
    if client.exists(path).await?.is_some() {
        return Ok(());
    }
    let mut create = Create::new(path, CreateMode::Persistent);
    if let Some(content) = content {
        create = create.data(content.to_string().as_bytes());
    }
    match client.create(create).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}

fn warn(shell: &Shell, limits: &Track, used: &Track) {
    let exceeded = |key: &str, used: i64| (0..used).contains(&limits.get(key));
    let (count, bytes) = (used.get("count"), used.get("bytes"));
    if exceeded("count", count) || exceeded("countHardLimit", count) {
        let what = "the count quota you create is less than the existing count:";
        shell.out.text(format_args!("[Warning]: {what}{count}"));
    }
    if exceeded("bytes", bytes) || exceeded("byteHardLimit", bytes) {
        let what = "the bytes quota you create is less than the existing bytes:";
        shell.out.text(format_args!("[Warning]: {what}{bytes}"));
    }
}

/// A quota below one with a quota would be counted twice.
async fn refuse_below(client: &Client, path: &str) -> Result<(), Failed> {
    let top = format!("{QUOTA}{path}");
    if client.exists(&top).await?.is_none() {
        return Ok(());
    }
    let mut below = walk::Below::new(client, &top);
    while let Some(step) = below.next().await? {
        let limits = walk::child(&step.parent, LIMITS);
        if step.parent != top && step.paths.contains(&limits) {
            let child = step.parent.strip_prefix(QUOTA).unwrap_or(&step.parent);
            return Err(Failed::usage(format!("{path} has a child {child} which has a quota")));
        }
    }
    Ok(())
}

async fn refuse_above(client: &Client, path: &str) -> Result<(), Failed> {
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        if client.exists(&limits_path(parent)).await?.is_some() {
            return Err(Failed::usage(format!("{path} has a parent {parent} which has a quota")));
        }
        above = parent;
    }
    Ok(())
}

pub(super) async fn listquota(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let (client, path) = (client(shell)?, path(words));
    shell.out.note(format_args!("absolute path is {}", limits_path(path)));
    let mut tracks = Vec::new();
    for node in [limits_path(path), used_path(path)] {
        match client.get_data(&node).await {
            Ok((data, _)) => tracks.push(Track::parse(data.as_deref())?),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                let text = format!("quota for {path} does not exist.");
                return Err(Failed { kind: "NONODE", ..Failed::local(text) });
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let [limits, used] = tracks.as_slice() {
        let (limit_value, used_value) = (limits.to_json(), used.to_json());
        shell.out.value(&json!({ "path": path, "limits": limit_value, "used": used_value }));
        shell.out.text(format_args!("Output quota for {path} {limits}"));
        shell.out.text(format_args!("Output stat for {path} {used}"));
    }
    Ok(())
}

pub(super) async fn delquota(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    one_limit(words)?;
    let (client, path) = (client(shell)?, path(words));
    let limits = match client.get_data(&limits_path(path)).await {
        Ok((data, _)) => Track::parse(data.as_deref())?,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            let text = format!("Quota does not exist for {path}");
            return Err(Failed { kind: "NONODE", ..Failed::local(text) });
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(limit) = LIMIT_ROWS.iter().find(|limit| words.has(limit.option)) {
        let mut limits = limits;
        limits.set(limit.key, -1);
        client.set_data(&limits_path(path), limits.to_string().as_bytes(), None).await?;
        shell.out.value(&json!({ "path": path, "limits": limits.to_json() }));
        return Ok(());
    }
    remove(&client, path).await?;
    shell.out.value(&json!({ "path": path, "limits": null }));
    Ok(())
}

/// Removes the nodes of a quota, and those above it that nothing needs any more.
async fn remove(client: &Client, path: &str) -> Result<(), Error> {
    for node in [limits_path(path), used_path(path)] {
        match client.delete(&node, None).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    let whole = format!("{QUOTA}{path}");
    let mut node = whole.as_str();
    while node != QUOTA && client.get_children(node).await?.is_empty() {
        client.delete(node, None).await?;
        node = node.rsplit_once('/').map_or(QUOTA, |(above, _)| above);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = Track::parse(Some(text.as_bytes())).map(|track| track.to_string());
        assert_eq!(got.unwrap_or_else(|failed| failed.text), expected);
    }

    #[test]
    fn limits_are_kept_in_the_form_that_old_servers_read() {
        check("", "count=-1,bytes=-1");
        check("count=5,bytes=-1", "count=5,bytes=-1");
        let all = "count=5,bytes=-1=;byteHardLimit=7;countHardLimit=-1";
        check(all, all);
        check("count=5,bytes=", "count=5,bytes=-1");
        check("count=x", "the quota \"count=x\" cannot be read at \"count=x\"");
    }
}
