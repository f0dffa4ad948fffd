//! The table of watches against a naive one, which keeps Apache's two tables as maps.

use crate::script::acl;
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_tree::{
    Change, ChangeKind, Firing, Progress, WatchKind, WatchTable, WatchVisit, WatchWalk, WatcherId,
    WatchesSummary,
};
use bellwether_wire::client::{EventType, WatcherType};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Mode {
    Standard,
    Persistent,
    Recursive,
}

type Table = BTreeMap<(String, WatcherId), BTreeSet<Mode>>;

#[derive(Default)]
struct Naive {
    data: Table,
    child: Table,
}

type Told = BTreeSet<(WatcherId, EventType, String)>;

impl Naive {
    fn add(&mut self, watcher: WatcherId, path: &str, kind: WatchKind) {
        let key = (path.to_owned(), watcher);
        let mut add = |data: bool, mode| {
            let table = if data { &mut self.data } else { &mut self.child };
            table.entry(key.clone()).or_default().insert(mode);
        };
        match kind {
            WatchKind::Data => add(true, Mode::Standard),
            WatchKind::Child => add(false, Mode::Standard),
            WatchKind::Persistent => {
                add(true, Mode::Persistent);
                add(false, Mode::Persistent);
            }
            WatchKind::PersistentRecursive => add(true, Mode::Recursive),
        }
    }

    fn matching(&self, watcher: WatcherId, path: &str, watches: WatcherType) -> Vec<(bool, Mode)> {
        let wanted = match watches {
            WatcherType::Children => vec![(false, Mode::Standard)],
            WatcherType::Data => vec![(true, Mode::Standard)],
            WatcherType::Persistent => vec![(true, Mode::Persistent), (false, Mode::Persistent)],
            WatcherType::PersistentRecursive => vec![(true, Mode::Recursive)],
            WatcherType::Any => [true, false]
                .into_iter()
                .flat_map(|data| {
                    [Mode::Standard, Mode::Persistent, Mode::Recursive].map(|mode| (data, mode))
                })
                .collect(),
        };
        let key = (path.to_owned(), watcher);
        let has = |(data, mode): &(bool, Mode)| {
            let table = if *data { &self.data } else { &self.child };
            table.get(&key).is_some_and(|modes| modes.contains(mode))
        };
        wanted.into_iter().filter(has).collect()
    }

    fn remove(&mut self, watcher: WatcherId, path: &str, watches: WatcherType) -> bool {
        let found = self.matching(watcher, path, watches);
        for (data, mode) in &found {
            let table = if *data { &mut self.data } else { &mut self.child };
            table.entry((path.to_owned(), watcher)).or_default().remove(mode);
        }
        self.tidy();
        !found.is_empty()
    }

    fn forget(&mut self, watcher: WatcherId) {
        self.data.retain(|(_, other), _| *other != watcher);
        self.child.retain(|(_, other), _| *other != watcher);
    }

    fn trigger(table: &mut Table, path: &str) -> BTreeSet<WatcherId> {
        let mut told = BTreeSet::new();
        for ((watched, watcher), modes) in table.iter_mut() {
            let above = watched == "/" || path.starts_with(&format!("{watched}/"));
            if watched == path {
                told.insert(*watcher);
                modes.remove(&Mode::Standard);
            } else if above && modes.contains(&Mode::Recursive) {
                told.insert(*watcher);
            }
        }
        told
    }

    fn fire(&mut self, kind: ChangeKind, path: &str) -> Told {
        let mut told = Told::new();
        let event = match kind {
            ChangeKind::Created => EventType::NodeCreated,
            ChangeKind::Deleted => EventType::NodeDeleted,
            ChangeKind::DataChanged => EventType::NodeDataChanged,
        };
        let of_data = Self::trigger(&mut self.data, path);
        told.extend(of_data.iter().map(|watcher| (*watcher, event, path.to_owned())));
        if kind == ChangeKind::Deleted {
            let of_child = Self::trigger(&mut self.child, path);
            told.extend(of_child.iter().map(|watcher| (*watcher, event, path.to_owned())));
        }
        if kind != ChangeKind::DataChanged {
            let (parent, _) = path.rsplit_once('/').expect("an absolute path");
            let parent = if parent.is_empty() { "/" } else { parent };
            let event = EventType::NodeChildrenChanged;
            let of_parent = Self::trigger(&mut self.child, parent);
            told.extend(of_parent.iter().map(|watcher| (*watcher, event, parent.to_owned())));
        }
        self.tidy();
        told
    }

    fn tidy(&mut self) {
        self.data.retain(|_, modes| !modes.is_empty());
        self.child.retain(|_, modes| !modes.is_empty());
    }
}

const KINDS: [WatchKind; 4] =
    [WatchKind::Data, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];
const TYPES: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::PersistentRecursive,
];
const CHANGES: [ChangeKind; 3] =
    [ChangeKind::Created, ChangeKind::Deleted, ChangeKind::DataChanged];
const PATHS: [&str; 6] = ["/a", "/a/b", "/a/b/c", "/ab", "/a/c", "/b"];

fn change(kind: ChangeKind, path: &str) -> Change {
    let acl = |text| acl(text).expect("a list").into();
    Change { kind, path: path.into(), acl: acl("world:r"), parent_acl: acl("world:c") }
}

fn fire(table: &mut WatchTable, kind: ChangeKind, path: &str) -> Told {
    let mut firing = Firing::new();
    table.fire(&change(kind, path), &mut firing);
    let mut told = Told::new();
    for delivery in firing.by_ref() {
        let event = (delivery.watcher, delivery.event, delivery.path.to_string());
        assert!(told.insert(event), "a watcher is told once");
    }
    assert!(firing.is_empty());
    told
}

fn step(table: &mut WatchTable, naive: &mut Naive, u: &mut Unstructured<'_>) -> Result<()> {
    let watcher = WatcherId(u.int_in_range(1..=6)?);
    let path = *u.choose(&PATHS)?;
    match u.int_in_range(0..=9)? {
        0..=4 => {
            let path = if u.ratio(1, 8)? { "/" } else { path };
            let kind = *u.choose(&KINDS)?;
            table.add(watcher, path, kind);
            naive.add(watcher, path, kind);
        }
        5 => {
            let watches = *u.choose(&TYPES)?;
            let expected = naive.remove(watcher, path, watches);
            assert_eq!(table.remove(watcher, path, watches), expected);
        }
        6 => {
            let visits = u.int_in_range(1..=3)?;
            while table.forget(watcher, visits) == Progress::More {}
            naive.forget(watcher);
        }
        _ => {
            let kind = *u.choose(&CHANGES)?;
            assert_eq!(fire(table, kind, path), naive.fire(kind, path), "{kind:?} {path}");
        }
    }
    let watches = *u.choose(&TYPES)?;
    let expected = !naive.matching(watcher, path, watches).is_empty();
    assert_eq!(table.contains(watcher, path, watches), expected);
    Ok(())
}

/// The pairs that a walk tells; it tells none twice, and no head without what belongs below it.
fn walked(table: &WatchTable, mut walk: WatchWalk) -> BTreeSet<(String, WatcherId)> {
    let (mut path, mut watcher) = (None, None);
    let (mut pairs, mut heads_alone) = (BTreeSet::new(), 0);
    let mut first = None;
    loop {
        let visit = walk.next(table);
        match visit {
            WatchVisit::Nothing => continue,
            WatchVisit::End => break,
            WatchVisit::Path(told) => path = Some(told.to_owned()),
            WatchVisit::Watcher(told) => watcher = Some(told),
        }
        let kind = std::mem::discriminant(&visit);
        let is_head = *first.get_or_insert(kind) == kind;
        if is_head {
            heads_alone += 1;
            assert_eq!(heads_alone, 1, "nothing stood below the head before");
            continue;
        }
        heads_alone = 0;
        let pair = path.clone().zip(watcher).expect("a head comes first");
        assert!(pairs.insert(pair), "{path:?} {watcher:?}");
    }
    assert_eq!(heads_alone, 0);
    pairs
}

fn paths_of(table: &WatchTable, watcher: WatcherId) -> Vec<&str> {
    let (mut walk, mut paths) = (WatchWalk::of_watcher(watcher), Vec::new());
    loop {
        match walk.next(table) {
            WatchVisit::Nothing => {}
            WatchVisit::Path(path) => paths.push(path),
            WatchVisit::Watcher(_) => panic!("the watcher is known"),
            WatchVisit::End => break,
        }
    }
    paths.sort_unstable();
    paths
}

#[test]
fn a_walk_tells_nothing_wrong_when_all_changes_between_its_visits() {
    let mut table = WatchTable::new([1, 2]);
    for watcher in 1..=3 {
        table.add(WatcherId(watcher), "/a", WatchKind::Data);
    }
    let mut walk = WatchWalk::by_path();
    assert_eq!(walk.next(&table), WatchVisit::Path("/a"));
    assert_eq!(walk.next(&table), WatchVisit::Watcher(WatcherId(1)));
    // The path's number goes to another path.
    fire(&mut table, ChangeKind::Deleted, "/a");
    for watcher in 1..=3 {
        table.add(WatcherId(watcher), "/b", WatchKind::Data);
    }
    assert_eq!(walk.next(&table), WatchVisit::Nothing);
    assert_eq!(walk.next(&table), WatchVisit::End);
}

#[test]
fn it_tells_whom_the_naive_one_tells() {
    arbtest::arbtest(|u| {
        let (mut table, mut naive) = (WatchTable::new([1, 2]), Naive::default());
        for _ in 0..u.int_in_range(0..=120)? {
            step(&mut table, &mut naive, u)?;
            let keys = |table: &Table| table.keys().cloned().collect::<BTreeSet<_>>();
            let all: BTreeSet<_> = keys(&naive.data).union(&keys(&naive.child)).cloned().collect();
            let paths: BTreeSet<_> = all.iter().map(|(path, _)| path).collect();
            assert_eq!(table.len(), naive.data.len() + naive.child.len());
            assert_eq!(table.paths_count(), paths.len());
            let watchers: BTreeSet<_> = all.iter().map(|(_, watcher)| *watcher).collect();
            assert_eq!(watchers.len(), table.watchers_count());
            let expected = keys(&naive.data);
            assert_eq!(walked(&table, WatchWalk::by_path()), expected);
            for watcher in watchers {
                let own = expected.iter().filter(|(_, other)| *other == watcher);
                let own: Vec<&str> = own.map(|(path, _)| path.as_str()).collect();
                assert_eq!(paths_of(&table, watcher), own);
                assert_eq!(table.data_watches_of(watcher) as usize, own.len());
            }
            let summary = WatchesSummary {
                paths: expected.iter().map(|(path, _)| path).collect::<BTreeSet<_>>().len(),
                watches: expected.len(),
            };
            assert_eq!(table.summary(), summary);
        }
        Ok(())
    })
    .budget_ms(2_000)
    .size_max(8_000);
}

#[test]
fn an_event_carries_the_acl_of_the_node_it_names() {
    let mut table = WatchTable::new([1, 2]);
    table.add(WatcherId(1), "/a", WatchKind::Child);
    table.add(WatcherId(2), "/a/b", WatchKind::Data);
    let mut firing = Firing::new();
    table.fire(&change(ChangeKind::Deleted, "/a/b"), &mut firing);
    let first = firing.next().expect("the node's own watcher");
    assert_eq!((first.event, &*first.path), (EventType::NodeDeleted, "/a/b"));
    assert_eq!(*first.acl, *acl("world:r").expect("a list"));
    let second = firing.next().expect("the parent's watcher");
    assert_eq!((second.event, &*second.path), (EventType::NodeChildrenChanged, "/a"));
    assert_eq!(*second.acl, *acl("world:c").expect("a list"));
    assert_eq!((firing.next(), table.is_empty()), (None, true));
}

#[test]
fn a_one_shot_watch_is_gone_before_its_event_is_delivered() {
    let mut table = WatchTable::new([1, 2]);
    for watcher in 0..1000 {
        table.add(WatcherId(watcher), "/a", WatchKind::Data);
    }
    let mut firing = Firing::new();
    table.fire(&change(ChangeKind::DataChanged, "/a"), &mut firing);
    assert!(table.is_empty() && table.paths_count() == 0);
    assert_eq!(firing.count(), 1000);
}

#[test]
fn who_has_nothing_left_is_not_known_after_some_calls() {
    let mut table = WatchTable::new([1, 2]);
    for watcher in 0..1000 {
        table.add(WatcherId(watcher), "/a", WatchKind::Data);
    }
    fire(&mut table, ChangeKind::Deleted, "/a");
    assert!(table.watchers_count() > 0, "one call does not put a thousand in order");
    for _ in 0..1000 {
        table.forget(WatcherId(9999), 1);
    }
    assert_eq!(table.watchers_count(), 0);
}

#[test]
fn a_closed_connection_is_forgotten_in_slices() {
    let mut table = WatchTable::new([1, 2]);
    for n in 0..100 {
        table.add(WatcherId(1), &format!("/n{n}"), WatchKind::PersistentRecursive);
        table.add(WatcherId(2), &format!("/n{n}"), WatchKind::Child);
    }
    let mut slices = 1;
    while table.forget(WatcherId(1), 10) == Progress::More {
        assert_eq!(table.len(), 200 - 10 * slices);
        slices += 1;
    }
    assert_eq!((slices, table.len(), table.watchers_count()), (10, 100, 1));
}
