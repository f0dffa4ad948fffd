//! The commands on nodes: `ls`, `get`, `create`, `set`, `delete`, `deleteall`, `stat`, `sync`,
//! `getAllChildrenNumber`, `getEphemerals`.

use super::failure::{Failed, keeper_error};
use super::shell::Shell;
use super::table;
use super::watches::Watched;
use super::words::Words;
use super::{acls, format, json, walk};
use crate::say;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_client::{Client, Create, CreateMode, ErrorCode, Multi, Stat};
use bellwether_wire::owner::TTL_MS_MAX;
use serde_json::{Value, json};
use std::time::Duration;

/// The nodes of one transaction of `deleteall`, as in zkCli.
const DELETE_BATCH: usize = 1000;

/// The bytes of one, at most: a server takes requests of 1 MiB.
const DELETE_BATCH_BYTES: usize = 512 << 10;

/// An option with a number.
pub(super) fn number<N: std::str::FromStr>(
    words: &Words,
    option: &str,
    what: &str,
) -> Result<Option<N>, Failed> {
    let Some(text) = words.value(option) else { return Ok(None) };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Failed::usage(format!("-{option} {text:?}: expected {what}"))),
    }
}

/// A version to expect; -1 is any, as in the protocol.
pub(super) fn version(words: &Words) -> Result<Option<i32>, Failed> {
    Ok(number::<i32>(words, "v", "a version")?.filter(|version| *version != -1))
}

/// The path of a command that has one. Every row whose command asks for it needs an argument.
pub(super) fn path(words: &Words) -> &str {
    words.arg(0).expect("the row asks for a path")
}

/// A command that zkCli once had a second argument for, which meant a watch.
fn watch(shell: &Shell, words: &Words, command: (&str, &str)) -> bool {
    let (name, usage) = command;
    let old = words.args.len() > 1;
    if old {
        let text =
            format!("'{name} path [watch]' has been deprecated. Please use '{usage}' instead.");
        shell.out.note(text);
    }
    old || words.has("w")
}

fn print_stat(shell: &Shell, words: &Words, stat: &Stat) {
    if words.has("s") {
        shell.out.text(format::stat(stat));
    }
}

pub(super) async fn ls(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    if words.has("?") {
        let row = table::find("ls").expect("it is this command's own row");
        shell.out.text(format_args!("usage: {}", row.usage()));
    }
    let Some(path) = words.arg(0) else { return Ok(()) };
    let watched = watch(shell, words, ("ls", "ls [-w] path"));
    let client = shell.client()?;
    if words.has("R") {
        return ls_below(shell, &client, path, watched).await;
    }
    let (mut names, stat) = if watched {
        let (names, stat, watcher) = client.get_children_and_watch(path).await?;
        shell.watches.keep(path, Watched::Children(watcher));
        (names, stat)
    } else {
        client.get_children_and_stat(path).await?
    };
    names.sort();
    if shell.out.is_json() {
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        shell.out.value(&json!({ "path": path, "children": names, "stat": json::stat(&stat) }));
    }
    shell.out.text(format_args!("[{}]", names.join(", ")));
    print_stat(shell, words, &stat);
    Ok(())
}

async fn ls_below(
    shell: &mut Shell,
    client: &Client,
    top: &str,
    watched: bool,
) -> Result<(), Failed> {
    if watched {
        let (_, _, watcher) = client.get_data_and_watch(top).await?;
        shell.watches.keep(top, Watched::Data(watcher));
    }
    let mut below = walk::Below::new(client, top);
    if watched {
        below = below.watching();
    }
    while let Some(step) = below.next().await? {
        for path in &step.paths {
            shell.out.text(path);
            shell.out.value(&json!({ "path": path }));
        }
        if let Some((path, watcher)) = step.watcher {
            shell.watches.keep(&path, Watched::Children(watcher));
        }
    }
    Ok(())
}

pub(super) async fn get(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    let watched = watch(shell, words, ("get", "get [-s] [-w] path"));
    let client = shell.client()?;
    let (data, stat) = if watched {
        let (data, stat, watcher) = client.get_data_and_watch(path).await?;
        shell.watches.keep(path, Watched::Data(watcher));
        (data, stat)
    } else {
        client.get_data(path).await?
    };
    if shell.out.is_json() {
        let (base64, text) = (json::base64(data.as_deref()), json::text(data.as_deref()));
        let stat = json::stat(&stat);
        shell.out.value(&json!({ "path": path, "data": base64, "text": text, "stat": stat }));
        return Ok(());
    }
    let bytes = data.as_deref().unwrap_or(b"null");
    if words.has("x") {
        say::line(format::hex_dump(bytes));
    } else if words.has("b") {
        say::line(STANDARD.encode(bytes));
    } else {
        shell.out.data(bytes);
    }
    print_stat(shell, words, &stat);
    Ok(())
}

pub(super) async fn create(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    let mut create = Create::new(path, create_mode(words)?);
    if let Some(data) = words.arg(1) {
        create = create.data(data.as_bytes());
    }
    if let Some(acl) = words.arg(2) {
        create = create.acl(acls::parse(acl)?);
    }
    match shell.client()?.create(create).await {
        Ok(created) => {
            let stat = json::stat(&created.stat);
            shell.out.value(&json!({ "created": &*created.path, "stat": stat }));
            // zkCli says this on stderr too.
            shell.out.note(format_args!("Created {}", created.path));
            Ok(())
        }
        Err(error) => {
            if error.code() == Some(ErrorCode::InvalidAcl) {
                shell.out.note(keeper_error(path, ErrorCode::InvalidAcl));
            }
            Err(error.into())
        }
    }
}

fn create_mode(words: &Words) -> Result<CreateMode, Failed> {
    let (sequential, ephemeral) = (words.has("s"), words.has("e"));
    let wrong = |text: &str| Err(Failed::usage(text));
    if words.has("c") && (ephemeral || sequential) {
        return wrong(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        );
    }
    let Some(text) = words.value("t") else {
        return Ok(match (words.has("c"), ephemeral, sequential) {
            (true, _, _) => CreateMode::Container,
            (false, true, true) => CreateMode::EphemeralSequential,
            (false, true, false) => CreateMode::Ephemeral,
            (false, false, true) => CreateMode::PersistentSequential,
            (false, false, false) => CreateMode::Persistent,
        });
    };
    let Ok(ttl_ms) = text.parse::<i64>() else {
        return wrong("-t argument must be a long value");
    };
    if ephemeral {
        return wrong("TTLs cannot be used with Ephemeral znodes");
    }
    if words.has("c") {
        return wrong("TTLs cannot be used with Container znodes");
    }
    let ttl_ms = u64::try_from(ttl_ms).ok().filter(|_| (1..=TTL_MS_MAX).contains(&ttl_ms));
    let Some(ttl) = ttl_ms.map(Duration::from_millis) else {
        let text = format!("ttl must be positive and cannot be larger than: {TTL_MS_MAX}");
        return Err(Failed::usage(text));
    };
    Ok(match sequential {
        true => CreateMode::PersistentSequentialWithTtl(ttl),
        false => CreateMode::PersistentWithTtl(ttl),
    })
}

pub(super) async fn set(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let (path, text) = (path(words), words.arg(1).expect("the row asks for data"));
    let data = if words.has("b") {
        let decoded = STANDARD.decode(text);
        decoded.map_err(|error| Failed::usage(format!("{text:?} is not base64: {error}")))?
    } else {
        text.as_bytes().to_vec()
    };
    let stat = shell.client()?.set_data(path, &data, version(words)?).await?;
    shell.out.value(&json!({ "path": path, "stat": json::stat(&stat) }));
    print_stat(shell, words, &stat);
    Ok(())
}

pub(super) async fn delete(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    let mut version = version(words)?;
    if let Some(text) = words.arg(1) {
        shell.out.note(
            "'delete path [version]' has been deprecated. Please use 'delete [-v version] path' \
             instead.",
        );
        let wrong = |_| Failed::usage(format!("{text:?}: expected a version"));
        version = version.or(Some(text.parse::<i32>().map_err(wrong)?).filter(|any| *any != -1));
    }
    shell.client()?.delete(path, version).await?;
    shell.out.value(&json!({ "deleted": path }));
    Ok(())
}

pub(super) async fn deleteall(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    let batch = match words.value("b").map(str::parse::<i32>) {
        None => DELETE_BATCH,
        Some(Ok(batch)) => usize::try_from(batch).unwrap_or(0),
        Some(Err(_)) => return Err(Failed::usage("-b argument must be an int value")),
    };
    if path == "/" {
        return Err(Failed::usage("deleteall /: the root cannot be deleted")
            .hint("name the nodes below it"));
    }
    let client = shell.client()?;
    let mut below = walk::Below::new(&client, path);
    let mut paths = Vec::new();
    while let Some(step) = below.next().await? {
        paths.extend(step.paths);
    }
    let count = paths.len();
    // What is listed later lies deeper, or beside.
    while !paths.is_empty() {
        let taken = last_batch(&paths, batch);
        let doomed = paths.split_off(paths.len() - taken);
        if batch == 0 {
            for path in doomed.iter().rev() {
                client.delete(path, None).await?;
            }
            continue;
        }
        let multi = doomed.iter().rev().fold(Multi::new(), |multi, path| multi.delete(path, None));
        if let Err(error) = client.multi(multi).await {
            let left = paths.len() + doomed.len();
            shell.out.note(format_args!("{left} of {count} nodes are left: {error}"));
            return Err(Failed::local("Failed to delete some node(s) in the subtree!"));
        }
    }
    shell.out.value(&json!({ "deleted": path, "count": count }));
    Ok(())
}

/// How many of the last paths go into one transaction.
fn last_batch(paths: &[String], batch: usize) -> usize {
    let mut bytes = 0;
    let fits = paths.iter().rev().take(batch.max(1)).take_while(|path| {
        bytes += path.len() + 16;
        bytes <= DELETE_BATCH_BYTES
    });
    fits.count().max(1)
}

pub(super) async fn stat(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    let watched = watch(shell, words, ("stat", "stat [-w] path"));
    let client = shell.client()?;
    let stat = if watched {
        let (stat, watcher) = client.exists_and_watch(path).await?;
        shell.watches.keep(path, Watched::Data(watcher));
        stat
    } else {
        client.exists(path).await?
    };
    let Some(stat) = stat else { return Err(Failed::code(path, ErrorCode::NoNode)) };
    shell.out.value(&json!({ "path": path, "stat": json::stat(&stat) }));
    shell.out.text(format::stat(&stat));
    Ok(())
}

pub(super) async fn sync(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    shell.client()?.sync(path(words)).await?;
    shell.out.value(&json!({ "synced": path(words) }));
    shell.out.text("Sync is OK");
    Ok(())
}

pub(super) async fn get_all_children_number(
    shell: &mut Shell,
    words: &Words,
) -> Result<(), Failed> {
    let count = shell.client()?.get_all_children_number(path(words)).await?;
    shell.out.value(&json!({ "path": path(words), "count": count }));
    shell.out.text(count);
    Ok(())
}

pub(super) async fn get_ephemerals(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let paths = shell.client()?.get_ephemerals(words.arg(0).unwrap_or("/")).await?;
    shell.out.value(&paths.iter().map(|path| Value::from(&**path)).collect());
    shell.out.text(format_args!("[{}]", paths.join(", ")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words::split;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let words = table::find("create").expect("it is there").parse(&split(line));
        let got = match words.and_then(|words| create_mode(&words)) {
            Ok(mode) => format!("{mode:?}"),
            Err(failed) => failed.text,
        };
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn options_make_a_mode_or_exclude_each_other() {
        check("/a", "Persistent");
        check("-e -s /a", "EphemeralSequential");
        check("-c /a", "Container");
        check("-t 500 /a", "PersistentWithTtl(500ms)");
        check("-t 500 -s /a", "PersistentSequentialWithTtl(500ms)");
        let exclusive =
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.";
        check("-c -e /a", exclusive);
        check("-c -t 5 /a", "TTLs cannot be used with Container znodes");
        check("-e -t 5 /a", "TTLs cannot be used with Ephemeral znodes");
        check("-t x /a", "-t argument must be a long value");
        let range = "ttl must be positive and cannot be larger than: 1099511627775";
        check("-t 0 /a", range);
        check("-t -5 /a", range);
        check("-t 1099511627776 /a", range);
    }

    #[test]
    fn a_batch_ends_at_its_count_or_its_bytes() {
        let short: Vec<String> = (0..10).map(|n| format!("/{n}")).collect();
        assert_eq!(last_batch(&short, 1000), 10);
        assert_eq!(last_batch(&short, 3), 3);
        assert_eq!(last_batch(&short, 0), 1);
        let long = vec![format!("/{}", "x".repeat(200 << 10)); 5];
        assert_eq!(last_batch(&long, 1000), 2);
        let longer = vec![format!("/{}", "x".repeat(600 << 10))];
        assert_eq!(last_batch(&longer, 1000), 1);
    }
}
