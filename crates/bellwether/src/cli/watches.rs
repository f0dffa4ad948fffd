//! The watches of the shell: what is set, what is spent, and the commands `addWatch`,
//! `removewatches` and `watch`.
//!
//! As in zkCli there is at most one watch of a kind on a path: setting it again changes nothing.
//! What they tell is printed by the reporter, once per event, however many watches it concerns.

use super::failure::Failed;
use super::nodes::{number, path};
use super::shell::{Mode, Shell};
use super::words::Words;
use super::{format, json};
use bellwether_client::{AddWatchMode, Change, ErrorCode, EventType, KeeperState, OneshotWatcher};
use bellwether_client::{PersistentWatcher, SessionEnd, WatchEvent, Zxid};
use serde_json::json;
use std::collections::BTreeMap;

/// A watch that a command has set.
#[derive(Debug)]
pub(super) enum Watched {
    Data(OneshotWatcher),
    Children(OneshotWatcher),
    Node(PersistentWatcher),
    Subtree(PersistentWatcher),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Children,
    Data,
    Node,
    Subtree,
}

impl Kind {
    /// Those that a command without an option means.
    const ALL: [Kind; 4] = [Kind::Children, Kind::Data, Kind::Node, Kind::Subtree];

    /// What a client is told when it removes such a watch itself.
    fn removed(self) -> EventType {
        match self {
            Kind::Children => EventType::ChildWatchRemoved,
            Kind::Data => EventType::DataWatchRemoved,
            Kind::Node | Kind::Subtree => EventType::PersistentWatchRemoved,
        }
    }
}

/// The watches that are set, as values: dropping one removes it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    set: BTreeMap<(String, Kind), Watched>,
}

impl Watches {
    /// Holds a watch until it is spent or removed.
    pub(super) fn keep(&mut self, path: &str, watched: Watched) {
        let kind = match &watched {
            Watched::Data(_) => Kind::Data,
            Watched::Children(_) => Kind::Children,
            Watched::Node(_) => Kind::Node,
            Watched::Subtree(_) => Kind::Subtree,
        };
        self.set.insert((path.to_owned(), kind), watched);
    }

    /// Forgets the watches that fire once and did so with this event.
    pub(super) fn spend(&mut self, event: &WatchEvent) {
        let spent: &[Kind] = match event.event {
            EventType::NodeCreated | EventType::NodeDataChanged => &[Kind::Data],
            EventType::NodeDeleted => &[Kind::Data, Kind::Children],
            EventType::NodeChildrenChanged => &[Kind::Children],
            EventType::None
            | EventType::DataWatchRemoved
            | EventType::ChildWatchRemoved
            | EventType::PersistentWatchRemoved => &[],
        };
        for kind in spent {
            self.set.remove(&(event.path.to_string(), *kind));
        }
    }

    /// Whether there is a watch that may have missed something while no server was connected.
    pub(super) fn any_lasting(&self) -> bool {
        self.set.keys().any(|(_, kind)| matches!(kind, Kind::Node | Kind::Subtree))
    }

    /// The session has ended, and the watches with it.
    pub(super) fn clear(&mut self) {
        self.set.clear();
    }
}

fn mode(words: &Words) -> Result<AddWatchMode, ()> {
    match words.value("m").map(str::to_ascii_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => Ok(AddWatchMode::PersistentRecursive),
        Some("PERSISTENT") => Ok(AddWatchMode::Persistent),
        Some(_) => Err(()),
    }
}

fn usage(name: &str) -> Failed {
    Failed::usage(super::table::find(name).map_or_else(String::new, |row| row.usage()))
}

pub(super) async fn add_watch(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let mode = mode(words).map_err(|()| usage("addWatch"))?;
    let watcher = shell.client()?.add_watch(path(words), mode).await?;
    let watched = match mode {
        AddWatchMode::Persistent => Watched::Node(watcher),
        AddWatchMode::PersistentRecursive => Watched::Subtree(watcher),
    };
    shell.watches.keep(path(words), watched);
    shell.out.value(&json!({ "watching": path(words) }));
    Ok(())
}

/// Goes on until there were so many events, or until it is interrupted. The reporter prints them,
/// but for those of a command of its own: of these there are exactly as many as were asked for.
pub(super) async fn watch(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let mode = mode(words).map_err(|()| usage("watch"))?;
    let count = number(words, "n", "a count")?.unwrap_or(u64::MAX);
    let mut watcher = shell.client()?.add_watch(path(words), mode).await?;
    let reported = shell.mode != Mode::Once;
    shell.print_watches.set(reported && shell.print_watches.get());
    for _ in 0..count {
        match watcher.changed().await {
            Ok(Change::Event(_)) if reported => {}
            Ok(Change::Event(event)) => {
                shell.out.text(format::event(&event));
                shell.out.value(&json::event(&event));
            }
            Ok(Change::Gap) => shell.out.note(super::reporter::GAP),
            Err(SessionEnd::Closed) => return Ok(()),
            Err(end) => {
                return Err(Failed::local(end.to_string()).hint("run it again to go on watching"));
            }
        }
    }
    Ok(())
}

pub(super) async fn removewatches(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let path = path(words);
    bellwether_client::ZPath::check(path)
        .map_err(|problem| Failed::usage(super::failure::wrong_path(path, problem)))?;
    let kinds: &[Kind] = if words.has("c") {
        &[Kind::Children]
    } else if words.has("d") {
        &[Kind::Data]
    } else if words.has("p") {
        &[Kind::Node]
    } else if words.has("r") {
        &[Kind::Subtree]
    } else {
        &Kind::ALL
    };
    let mut removed = Vec::new();
    for kind in kinds {
        let Some(watched) = shell.watches.set.remove(&(path.to_owned(), *kind)) else { continue };
        match watched {
            Watched::Data(watcher) | Watched::Children(watcher) => watcher.remove().await?,
            Watched::Node(watcher) | Watched::Subtree(watcher) => watcher.remove().await?,
        }
        if !removed.contains(&kind.removed()) {
            removed.push(kind.removed());
        }
    }
    if removed.is_empty() {
        return Err(
            Failed::code(path, ErrorCode::NoWatcher).hint("this shell has set no such watch on it")
        );
    }
    for event in removed {
        let (zxid, state) = (Zxid(-1), KeeperState::SyncConnected);
        shell.tell(&WatchEvent { zxid, event, state, path: path.into() });
    }
    Ok(())
}
