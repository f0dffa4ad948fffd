//! The names of a long queue, kept by watches: so that a take from it need not list them all.
//!
//! What it keeps true: after a refresh it shows whatever the connected server had applied when it
//! last answered this session, for a server tells of a change before it answers what comes after.
//! What was told before the names were listed is told again after it, in its order, so each name
//! ends as its last event left it.

use super::nodes::names;
use super::queue::of_one_priority;
use crate::{AddWatchMode, Change, Client, Error, EventType, PersistentWatcher};
use std::collections::BTreeSet;

/// Whoever watches is told six times of each entry: when it is put, taken, counted and done. A list
/// costs a name of each. So names are kept while there are so many entries to each that is taken,
/// which tells how many may be watching...
const KEEP_ABOVE: usize = 20;
/// ...and not any more when there are only so many.
const DROP_BELOW: usize = 5;

/// Whether it is cheaper to be told of changes than to list so many names at each take.
pub(super) fn is_long(entries: usize, taken: usize) -> bool {
    entries > KEEP_ABOVE * (taken + 1)
}

/// The entries of a queue and those that are taken.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: Names,
    taken: Names,
}

impl Backlog {
    pub(super) async fn open(
        client: &Client,
        entries: &str,
        taken: &str,
    ) -> Result<Backlog, Error> {
        let (entries, taken) =
            tokio::try_join!(Names::of(client, entries), Names::of(client, taken))?;
        Ok(Backlog { entries, taken })
    }

    /// Takes in what was told. `false` if something may have been missed, or if the list is so
    /// short that it is not worth keeping.
    pub(super) fn refresh(&mut self) -> bool {
        let whole = self.entries.refresh() && self.taken.refresh();
        whole && self.entries.names.len() > DROP_BELOW * (self.taken.names.len() + 1)
    }

    /// The first entries that nobody seems to work on: so many at most, and of one priority.
    pub(super) fn first(&self, count: usize) -> Vec<Box<str>> {
        let free = self.entries.names.iter().filter(|name| !self.taken.names.contains(*name));
        of_one_priority(free, count)
    }

    /// Whether nobody seems to work on this one.
    pub(super) fn is_free(&self, name: &str) -> bool {
        self.entries.names.contains(name) && !self.taken.names.contains(name)
    }
}

/// The names below a path.
#[derive(Debug)]
struct Names {
    prefix: Box<str>,
    names: BTreeSet<Box<str>>,
    watcher: PersistentWatcher,
}

impl Names {
    async fn of(client: &Client, path: &str) -> Result<Names, Error> {
        let watcher = client.retrying().add_watch(path, AddWatchMode::PersistentRecursive).await?;
        let names = names(client, path).await?.into_iter().collect();
        Ok(Names { prefix: format!("{path}/").into(), names, watcher })
    }

    fn refresh(&mut self) -> bool {
        while let Some(change) = self.watcher.try_changed() {
            // A session that has ended tells so at the next request.
            let Ok(Change::Event(event)) = change else { return false };
            let Some(name) = event.path.strip_prefix(&*self.prefix) else { continue };
            if name.contains('/') {
                continue;
            }
            match event.event {
                EventType::NodeCreated => drop(self.names.insert(name.into())),
                EventType::NodeDeleted => drop(self.names.remove(name)),
                EventType::None
                | EventType::NodeDataChanged
                | EventType::NodeChildrenChanged
                | EventType::DataWatchRemoved
                | EventType::ChildWatchRemoved
                | EventType::PersistentWatchRemoved => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_when_it_is_long_beside_what_is_taken() {
        assert!(!is_long(20, 0));
        assert!(is_long(21, 0));
        assert!(!is_long(200, 9));
    }
}
