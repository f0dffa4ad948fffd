//! Going through all watches, one visit at a time, however many there are: for the four-letter
//! words. Apache shows its table of data watches alone, and so does this.
//!
//! Between two visits anything may change. What is there from beginning to end is seen, and
//! nothing is told of a path or a watcher that it does not concern.

use super::{Modes, WatchTable, WatcherId};

/// How many watches there are in Apache's table of data watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchesSummary {
    /// Paths that have one.
    pub paths: usize,
    /// Pairs of both.
    pub watches: usize,
}

/// What one visit saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchVisit<'a> {
    /// Nothing that is told.
    Nothing,
    /// A path.
    Path(&'a str),
    /// A watcher.
    Watcher(WatcherId),
    /// Everything was seen.
    End,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug)]
pub struct WatchWalk(Walk);

#[derive(Clone, Copy, Debug)]
enum Walk {
    /// Path by path: the path that is next, or whose watchers are being told.
    ByPath {
        /// The path's number.
        path: u32,
        /// Set once the path was told.
        told: Option<Told>,
    },
    /// What one watcher watches, from the path with this number on.
    OfWatcher { watcher: WatcherId, from: u32 },
}

/// Which path was told, and how many of its watchers.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The hash of the path: its number may be given to another one meanwhile.
    hash: u64,
    /// Watchers with numbers below this were told.
    watchers_from: u32,
}

impl WatchWalk {
    /// A walk that tells each path, and then who watches it.
    pub fn by_path() -> WatchWalk {
        WatchWalk(Walk::ByPath { path: 0, told: None })
    }

    /// A walk that tells the paths of one watcher.
    pub fn of_watcher(watcher: WatcherId) -> WatchWalk {
        WatchWalk(Walk::OfWatcher { watcher, from: 0 })
    }

    /// The next visit. It costs about as much as finding one watch, whatever it sees.
    pub fn next<'a>(&mut self, table: &'a WatchTable) -> WatchVisit<'a> {
        match &mut self.0 {
            Walk::ByPath { path, told } => by_path(table, path, told),
            Walk::OfWatcher { watcher, from } => of_watcher(table, *watcher, from),
        }
    }
}

fn by_path<'a>(table: &'a WatchTable, id: &mut u32, told: &mut Option<Told>) -> WatchVisit<'a> {
    if !table.paths.reaches(*id) {
        return WatchVisit::End;
    }
    let watched = table.paths.get(*id).filter(|watched| watched.watches.has_data());
    let visit = match (watched, told.as_mut()) {
        (None, _) => None,
        (Some(watched), None) => {
            *told = Some(Told { hash: table.hasher.hash(&watched.path), watchers_from: 0 });
            Some(WatchVisit::Path(&watched.path))
        }
        (Some(watched), Some(told)) => {
            let list = watched.watches.list();
            let at = list.partition_point(|watch| watch.watcher < told.watchers_from);
            let same = table.hasher.hash(&watched.path) == told.hash;
            list.get(at).filter(|_| same).map(|watch| {
                told.watchers_from = watch.watcher + 1;
                let watcher = table.watchers.get(watch.watcher);
                match watcher.filter(|_| watch.modes.has(Modes::OF_DATA)) {
                    Some(watcher) => WatchVisit::Watcher(watcher.id),
                    None => WatchVisit::Nothing,
                }
            })
        }
    };
    visit.unwrap_or_else(|| {
        (*id, *told) = (*id + 1, None);
        WatchVisit::Nothing
    })
}

fn of_watcher<'a>(table: &'a WatchTable, watcher: WatcherId, from: &mut u32) -> WatchVisit<'a> {
    let number = table.by_id.get(&watcher).copied();
    let known = number.and_then(|number| Some((number, table.watchers.get(number)?)));
    let Some((number, watcher)) = known else { return WatchVisit::End };
    let Some(path) = watcher.paths.range(*from..).next() else { return WatchVisit::End };
    *from = path + 1;
    let watches = table.modes(*path, number).has(Modes::OF_DATA);
    match table.paths.get(*path).filter(|_| watches) {
        Some(path) => WatchVisit::Path(&path.path),
        None => WatchVisit::Nothing,
    }
}

impl WatchTable {
    /// How many paths a watcher watches in Apache's table of data watches.
    pub fn data_watches_of(&self, watcher: WatcherId) -> u32 {
        let number = self.by_id.get(&watcher);
        number.and_then(|number| self.watchers.get(*number)).map_or(0, |watcher| watcher.data)
    }

    /// How many data watches there are, as Apache's `wchs` tells it.
    pub fn summary(&self) -> WatchesSummary {
        WatchesSummary { paths: self.counts.data_paths, watches: self.counts.data }
    }
}
