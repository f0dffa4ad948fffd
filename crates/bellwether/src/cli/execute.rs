//! Does what a command asks for, and prints what zkCli prints.

use super::command::{Ask, ROWS, With};
use super::format;
use crate::say;
use bellwether_client::{Acl, ErrorCode, OneshotWatcher, PersistentWatcher, SessionEnd, Stat};
use bellwether_client::{AddWatchMode, Change, Client, Create, CreateMode, Error};

/// The watch that a command has set.
pub(super) enum Watched {
    No,
    Once(OneshotWatcher),
    /// Until it has fired so often.
    Lasting(PersistentWatcher, u64),
}

/// What a command failed with.
pub(super) struct Failed {
    /// The text to print.
    pub(super) text: String,
    /// As in zkCli, a stat of a node that is not there watches for it all the same.
    pub(super) watched: Watched,
}

impl From<String> for Failed {
    fn from(text: String) -> Failed {
        Failed { text, watched: Watched::No }
    }
}

/// Lists the commands.
pub(super) fn help() {
    for row in ROWS {
        say::line(format_args!("  {} {}\n      {}", row.name, row.usage, row.help));
    }
}

/// Does an operation.
pub(super) async fn execute(client: &Client, ask: Ask) -> Result<Watched, Failed> {
    match ask {
        Ask::Create { path, mode, data, acl } => create(client, &path, mode, (data, acl)).await,
        Ask::Delete { path, version } => {
            let deleted = client.delete(&path, version).await;
            deleted.map(|()| Watched::No).map_err(|error| format::error(&path, &error).into())
        }
        Ask::Get { path, with } => {
            get(client, &path, with).await.map_err(|error| format::error(&path, &error).into())
        }
        Ask::List { path, with } => {
            list(client, &path, with).await.map_err(|error| format::error(&path, &error).into())
        }
        Ask::ListBelow { path } => list_below(client, &path).await,
        Ask::Set { path, data, version, with } => {
            let set = client.set_data(&path, data.as_bytes(), version).await;
            let set = set.map_err(|error| format::error(&path, &error))?;
            print_stat(with, &set);
            Ok(Watched::No)
        }
        Ask::Stat { path, with } => stat(client, &path, with).await,
    }
}

fn print_stat(with: With, stat: &Stat) {
    if with.stat {
        say::line(format::stat(stat));
    }
}

async fn create(
    client: &Client,
    path: &str,
    mode: CreateMode,
    (data, acl): (Option<String>, Option<Vec<Acl>>),
) -> Result<Watched, Failed> {
    let mut create = Create::new(path, mode);
    if let Some(data) = data {
        create = create.data(data.as_bytes());
    }
    if let Some(acl) = acl {
        create = create.acl(acl);
    }
    let created = client.create(create).await.map_err(|error| format::error(path, &error))?;
    // zkCli says this on stderr too.
    say::error(format_args!("Created {}", created.path));
    Ok(Watched::No)
}

async fn get(client: &Client, path: &str, with: With) -> Result<Watched, Error> {
    let (data, stat, watched) = if with.watch {
        let (data, stat, watcher) = client.get_data_and_watch(path).await?;
        (data, stat, Watched::Once(watcher))
    } else {
        let (data, stat) = client.get_data(path).await?;
        (data, stat, Watched::No)
    };
    say::bytes(data.as_deref().unwrap_or(b"null"));
    print_stat(with, &stat);
    Ok(watched)
}

async fn list(client: &Client, path: &str, with: With) -> Result<Watched, Error> {
    let (names, stat, watched) = if with.watch {
        let (names, stat, watcher) = client.get_children_and_watch(path).await?;
        (names, stat, Watched::Once(watcher))
    } else {
        let (names, stat) = client.get_children_and_stat(path).await?;
        (names, stat, Watched::No)
    };
    say::line(format::names(names));
    print_stat(with, &stat);
    Ok(watched)
}

/// Every path from `top` down, in zkCli's order: the children of a node together, then what is
/// below each of them. A node that is deleted meanwhile is left out with what was below it.
async fn list_below(client: &Client, top: &str) -> Result<Watched, Failed> {
    let mut waiting = vec![top.to_owned()];
    let mut is_top = true;
    while let Some(path) = waiting.pop() {
        let mut names = match client.get_children(&path).await {
            Ok(names) => names,
            Err(error) if !is_top && error.code() == Some(ErrorCode::NoNode) => continue,
            Err(error) => return Err(format::error(&path, &error).into()),
        };
        if is_top {
            say::line(&path);
        }
        is_top = false;
        names.sort();
        let above = if path == "/" { "" } else { &path };
        let mut paths: Vec<_> = names.iter().map(|name| format!("{above}/{name}")).collect();
        for path in &paths {
            say::line(path);
        }
        // The last one put on the stack is the next one taken.
        paths.reverse();
        waiting.extend(paths);
    }
    Ok(Watched::No)
}

async fn stat(client: &Client, path: &str, with: With) -> Result<Watched, Failed> {
    let (stat, watched) = if with.watch {
        let both = client.exists_and_watch(path).await;
        both.map(|(stat, watcher)| (stat, Watched::Once(watcher)))
    } else {
        client.exists(path).await.map(|stat| (stat, Watched::No))
    }
    .map_err(|error| format::error(path, &error))?;
    let Some(stat) = stat else {
        return Err(Failed { text: format!("Node does not exist: {path}"), watched });
    };
    say::line(format::stat(&stat));
    Ok(watched)
}

/// Sets a watch that lasts.
pub(super) async fn watch(
    client: &Client,
    path: &str,
    mode: AddWatchMode,
    count: u64,
) -> Result<Watched, Failed> {
    let watcher = client.add_watch(path, mode).await;
    watcher
        .map(|watcher| Watched::Lasting(watcher, count))
        .map_err(|error| format::error(path, &error).into())
}

/// Prints events until there were `count`, or until the session ends. Whether it went well.
pub(super) async fn follow(client: &Client, path: &str, mode: AddWatchMode, count: u64) -> bool {
    let mut watcher = match client.add_watch(path, mode).await {
        Ok(watcher) => watcher,
        Err(error) => {
            say::error(format::error(path, &error));
            return false;
        }
    };
    for _ in 0..count {
        match watcher.changed().await {
            Ok(Change::Event(event)) => say::line(format::event(&event)),
            Ok(Change::Gap) => say::line(format::GAP),
            Err(SessionEnd::Closed) => return true,
            Err(end) => {
                say::error(format_args!("{end}; run it again to go on watching."));
                return false;
            }
        }
    }
    true
}
