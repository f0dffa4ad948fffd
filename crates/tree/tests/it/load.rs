//! Snapshots that are taken while transactions go on, and what is loaded from them.

use crate::script::{World, at, options, session};
use crate::sequence::{WHO, content, open, request, snapshot};
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_tree::{LoadError, LoadReport, Loader, Now, Progress, Tree, TreeOptions, Write};
use bellwether_wire::disk::txn::{CreateTxn, Txn, TxnDigest, TxnHeader, TxnRecord};
use bellwether_wire::disk::{SnapshotItem, SnapshotNode};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, OpCode, Owner, Perms, SessionId, Zxid};
use std::collections::BTreeMap;

fn step(world: &mut World, u: &mut Unstructured<'_>) -> Result<()> {
    let who = *u.choose(&WHO)?;
    let is_open = world.tree.session_timeout_ms(session(who)).is_some();
    let write = if is_open { Write::Request(request(u)?) } else { open() };
    let record = world.prepare(who, write);
    let _outcome = world.apply(&record);
    Ok(())
}

fn load(
    options: TreeOptions,
    start: Zxid,
    items: &[SnapshotItem],
    log: &[TxnRecord],
) -> (Tree, LoadReport) {
    let mut loader = Loader::new(options);
    loader.start_at(start);
    for item in items {
        loader.item(item).expect("it was written by the tree");
    }
    for record in log.iter().filter(|record| record.header.zxid > start) {
        loader.replay(record).expect("it was applied by the tree");
    }
    loader.finish(at(0)).expect("it is whole")
}

#[track_caller]
fn same(loaded: &Tree, tree: &Tree) {
    assert_eq!(loaded.check(), Ok(()));
    assert_eq!(content(&snapshot(loaded, 1)), content(&snapshot(tree, 1)));
    assert_eq!(loaded.digest(), tree.digest());
    assert_eq!(loaded.last_processed(), tree.last_processed());
    assert_eq!(loaded.ephemerals_count(), tree.ephemerals_count());
    assert_eq!(loaded.approximate_data_size(), tree.approximate_data_size());
}

fn creates(log: &[TxnRecord]) -> BTreeMap<(Zxid, String), i32> {
    fn of(txn: &Txn) -> Option<&CreateTxn> {
        match txn {
            Txn::Create { create, .. }
            | Txn::CreateContainer(create)
            | Txn::CreateTtl { create, .. } => Some(create),
            _ => None,
        }
    }
    let mut found = BTreeMap::new();
    for record in log {
        let parts: Vec<&Txn> = match &record.txn {
            Txn::Multi(parts) => parts.iter().map(|(_, txn)| txn).collect(),
            txn => vec![txn],
        };
        for create in parts.into_iter().filter_map(of) {
            let key = (record.header.zxid, create.path.to_string());
            found.insert(key, create.parent_cversion);
        }
    }
    found
}

/// Apache corrects a parent that is older than its children for `create` only, so a snapshot must
/// not have one.
fn no_parent_is_older_than_its_children(items: &[SnapshotItem], log: &[TxnRecord]) {
    let creates = creates(log);
    let (nodes, _) = content(items);
    for (path, (_, _, stat)) in &nodes {
        let Some(parent_cversion) = creates.get(&(stat.czxid, path.clone())) else { continue };
        let (parent, _) = path.rsplit_once('/').expect("the root was not created");
        assert!(nodes[parent].2.cversion >= *parent_cversion, "{path}");
    }
}

#[test]
fn a_snapshot_taken_under_way_and_the_log_after_its_start_make_the_same_tree() {
    arbtest::arbtest(|u| {
        let mut world = World::new(options());
        for _ in 0..u.int_in_range(0..=40)? {
            step(&mut world, u)?;
        }
        let mut cursor = world.tree.snapshot_start();
        let mut items = Vec::new();
        let visits = u.int_in_range(1..=6)?;
        while world.tree.snapshot_next(&mut cursor, visits, &mut items) == Progress::More {
            for _ in 0..u.int_in_range(0..=3)? {
                step(&mut world, u)?;
            }
        }
        for _ in 0..u.int_in_range(0..=10)? {
            step(&mut world, u)?;
        }
        no_parent_is_older_than_its_children(&items, &world.log);
        // That of a leader does not say where it was complete.
        if u.arbitrary()? {
            items.retain(|item| !matches!(item, SnapshotItem::Digest { .. }));
        }
        let (loaded, report) = load(options(), cursor.zxid(), &items, &world.log);
        assert_eq!((report.digest_mismatches, report.orphans), (0, 0));
        same(&loaded, &world.tree);
        Ok(())
    })
    .budget_ms(4_000)
    .size_max(16_000);
}

#[test]
fn a_log_alone_makes_the_same_tree() {
    let mut world = World::new(options());
    world.run(
        "s1 open
         s1 create /a data=x                         => /a
         s1 create /a/e flags=1                      => /a/e
         s1 multi create /b ; delete /none           => OK ; NONODE
         s1 ttl /t flags=5 ttl=5                     => /t v=0 cv=0 av=0",
        false,
    );
    let mut loader = Loader::new(options());
    for record in &world.log {
        assert_eq!(loader.replay(record), Ok(()));
    }
    let (loaded, report) = loader.finish(at(0)).expect("nothing is missing");
    same(&loaded, &world.tree);
    let expected = LoadReport { nodes: 7, sessions: 1, txns: 5, ..LoadReport::default() };
    assert_eq!(report, expected);
}

#[test]
fn a_wrong_digest_is_counted_from_the_end_of_the_snapshot_on() {
    let mut world = World::new(options());
    world.run("s1 open\ns1 create /a => /a\ns1 create /b => /b", false);
    let spoil = |record: &TxnRecord| {
        let digest = Some(TxnDigest { version: TxnDigest::VERSION, digest: 1 });
        TxnRecord { digest, ..record.clone() }
    };
    let log: Vec<TxnRecord> = world.log.iter().map(spoil).collect();
    let mismatches = |complete_at: i64, digest: u64| {
        let mut items = snapshot(&Tree::new(options()), 100);
        items.retain(|item| matches!(item, SnapshotItem::Node(_)));
        let digest = TxnDigest { version: TxnDigest::VERSION, digest: digest.cast_signed() };
        items.push(SnapshotItem::Digest { zxid: Zxid(complete_at), digest });
        load(options(), Zxid::ZERO, &items, &log).1.digest_mismatches
    };
    // Only records at or after the snapshot's end are compared, and its own digest at its end.
    assert_eq!(mismatches(3, world.tree.digest()), 1);
    assert_eq!(mismatches(3, 7), 2);
    assert_eq!(mismatches(4, 7), 0);
}

#[test]
fn without_its_end_a_snapshot_is_compared_once_a_digest_is_right() {
    let mut world = World::new(options());
    world.run("s1 open\ns1 create /a => /a\ns1 create /b => /b\ns1 create /c => /c", false);
    let mut items = snapshot(&Tree::new(options()), 100);
    items.retain(|item| !matches!(item, SnapshotItem::Digest { .. }));
    let mismatches = |wrong: &[usize]| {
        let mut log = world.log.clone();
        for place in wrong {
            log[*place].digest = Some(TxnDigest { version: TxnDigest::VERSION, digest: 1 });
        }
        load(options(), Zxid::ZERO, &items, &log).1.digest_mismatches
    };
    assert_eq!(mismatches(&[]), 0);
    assert_eq!(mismatches(&[0, 1]), 0);
    assert_eq!(mismatches(&[1, 3]), 2);
}

fn item(path: &str, acl_id: i64, owner: Owner) -> SnapshotItem {
    let stat = StatPersisted { ephemeral_owner: owner.encode(), ..StatPersisted::default() };
    SnapshotItem::Node(SnapshotNode { path: path.into(), data: None, acl_id, stat })
}

#[track_caller]
fn refused(paths: &[&str], expected: LoadError) {
    let mut loader = Loader::new(options());
    loader.start_at(Zxid(1));
    let mut result = Ok(());
    for path in paths {
        result = result.and_then(|()| loader.item(&item(path, -1, Owner::None)));
    }
    let result = result.and_then(|()| loader.finish(at(0)).map(|_| ()));
    assert_eq!(result, Err(expected));
}

#[test]
fn a_snapshot_that_cannot_be_is_refused() {
    refused(&["/a"], LoadError::MissingParent { path: "/a".into() });
    refused(&["", "/a/b"], LoadError::MissingParent { path: "/a/b".into() });
    refused(&["", "/a", "/a"], LoadError::Duplicate { path: "/a".into() });
    refused(&["", ""], LoadError::Duplicate { path: "".into() });
    refused(&["", "a"], LoadError::BadPath { path: "a".into() });
    refused(&["", "/"], LoadError::BadPath { path: "/".into() });
    refused(&["", "//a"], LoadError::BadPath { path: "//a".into() });
    for id in [-1, i64::MAX] {
        let mut loader = Loader::new(options());
        loader.start_at(Zxid(1));
        let acl = SnapshotItem::Acl { id, acl: vec![Acl::world_all()] };
        assert_eq!(loader.item(&acl), Err(LoadError::AclId { id }));
    }
    let mut loader = Loader::new(options());
    loader.start_at(Zxid(1));
    let session = SnapshotItem::Session { id: SessionId(1), timeout_ms: 1 };
    assert_eq!(loader.item(&session), Ok(()));
    assert_eq!(loader.finish(at(0)).err(), Some(LoadError::NoRoot));
}

#[test]
fn a_snapshot_must_say_where_it_starts() {
    let mut loader = Loader::new(options());
    let root = item("", -1, Owner::None);
    assert_eq!(loader.item(&root), Err(LoadError::NoStart));
    // What it says of its end is not where it starts.
    let items = [root, SnapshotItem::LastProcessed(Zxid(9))];
    assert_eq!(load(options(), Zxid(5), &items, &[]).0.last_processed(), Zxid(5));
}

#[test]
fn missing_system_nodes_are_made() {
    let (loaded, report) = load(options(), Zxid(5), &[item("", -1, Owner::None)], &[]);
    assert_eq!((report.nodes, loaded.check()), (4, Ok(())));
}

#[test]
fn an_acl_that_the_table_lacks_grants_nothing_until_the_log_sets_it() {
    let items = [item("", -1, Owner::None), item("/a", 9, Owner::None)];
    let get = |tree: &Tree| {
        let request = bellwether_wire::client::Request::GetData { path: "/a".into(), watch: false };
        tree.read(&request, SessionId(1), &[]).is_ok()
    };
    let (loaded, _) = load(options(), Zxid(5), &items, &[]);
    assert!(!get(&loaded));
    let acl = vec![Acl { perms: Perms::READ, ..Acl::world_all() }];
    let txn = Txn::SetAcl { path: "/a".into(), acl, version: 1 };
    let op = OpCode::SetAcl;
    let header = TxnHeader { session: SessionId(1), cxid: 1, zxid: Zxid(6), time_ms: 0, op };
    let log = [TxnRecord { header, txn, digest: None }];
    let (loaded, _) = load(options(), Zxid(5), &items, &log);
    assert!(get(&loaded));
}

#[test]
fn nodes_of_sessions_that_nobody_knows_are_deleted() {
    let alive = SnapshotItem::Session { id: SessionId(1), timeout_ms: 1 };
    let items = [
        alive,
        item("", -1, Owner::None),
        item("/dead", -1, Owner::Session(SessionId(2))),
        item("/alive", -1, Owner::Session(SessionId(1))),
    ];
    let (loaded, report) = load(options(), Zxid(5), &items, &[]);
    assert_eq!((report.orphans, loaded.ephemerals_count()), (1, 1));
    assert!(loaded.stat_of("/dead").is_none() && loaded.stat_of("/alive").is_some());
}

#[test]
fn a_node_newer_than_the_log_is_not_left_out_of_the_next_snapshot() {
    // A snapshot without the log after it: what is newer than its name stays.
    let stat = StatPersisted { czxid: Zxid(9), ..StatPersisted::default() };
    let node = SnapshotNode { path: "/new".into(), data: None, acl_id: -1, stat };
    let items = [item("", -1, Owner::None), SnapshotItem::Node(node)];
    let (loaded, _) = load(options(), Zxid(5), &items, &[]);
    let (nodes, _) = content(&snapshot(&loaded, 1));
    assert!(nodes.contains_key("/new"));
}

#[test]
fn replaying_a_delete_takes_the_children_that_came_later() {
    let mut world = World::new(options());
    world.run("s1 open\ns1 create /a => /a", false);
    let start = world.tree.last_processed();
    world.run("s1 delete /a\ns1 create /a => /a\ns1 create2 /a/b => /a/b v=0 cv=0 av=0", false);
    // As if everything had been written at the end.
    let items = snapshot(&world.tree, 100);
    let (loaded, report) = load(options(), start, &items, &world.log);
    same(&loaded, &world.tree);
    assert_eq!(report.digest_mismatches, 0);
}

#[test]
fn a_cursor_does_not_follow_a_number_that_was_given_out_again() {
    let mut world = World::new(options());
    world.run("s1 open\ns1 create /a => /a\ns1 create /a/x => /a/x", false);
    let mut cursor = world.tree.snapshot_start();
    let mut items = Vec::new();
    let has_a = |items: &[SnapshotItem]| content(items).0.contains_key("/a");
    while !has_a(&items) {
        assert_eq!(world.tree.snapshot_next(&mut cursor, 1, &mut items), Progress::More);
    }
    // The slab gives the places of /a and /a/x to /b and /b/y.
    world.run("s1 delete /a/x\ns1 delete /a\ns1 create /b => /b\ns1 create /b/y => /b/y", false);
    while world.tree.snapshot_next(&mut cursor, 1, &mut items) == Progress::More {}
    let (nodes, _) = content(&items);
    assert_eq!(nodes.keys().filter(|path| path.contains('y')).count(), 0);
    same(&load(options(), cursor.zxid(), &items, &world.log).0, &world.tree);
}

fn replayed_create(parent_cversion: i32, zxid: i64) -> TxnRecord {
    let acl = vec![Acl::world_all()];
    let create = CreateTxn { path: "/p/c".into(), data: None, acl, parent_cversion };
    let (op, zxid) = (OpCode::Create2, Zxid(zxid));
    let header = TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 0, op };
    TxnRecord { header, txn: Txn::Create { create, ephemeral: false }, digest: None }
}

#[test]
fn a_replayed_create_raises_its_parent_and_never_lowers_it() {
    let parent = |log: &[TxnRecord]| {
        let items = ["", "/p", "/p/c"].map(|path| item(path, -1, Owner::None));
        let (loaded, _) = load(options(), Zxid(5), &items, log);
        let stat = loaded.stat_of("/p").expect("it was loaded");
        // Clients see twice the creates less the children.
        (i64::from(stat.cversion + 1) / 2, stat.pzxid.0)
    };
    assert_eq!(parent(&[]), (0, 0));
    assert_eq!(parent(&[replayed_create(3, 6)]), (3, 6));
    assert_eq!(parent(&[replayed_create(3, 6), replayed_create(2, 7)]), (3, 6));
    assert_eq!(parent(&[replayed_create(-1, 6), replayed_create(-1, 7)]), (2, 7));
}

fn due(tree: &Tree, mono_ms: u64, never_used_ms: u64) -> String {
    let mut cursor = tree.reap_start();
    let mut out = Vec::new();
    let now = Now { mono_ms, wall_ms: -1 };
    while tree.reap_next(now, &mut cursor, 1, never_used_ms, &mut out) == Progress::More {}
    out.join(" ")
}

#[test]
fn containers_and_ttl_nodes_are_due_by_the_monotonic_clock() {
    let mut world = World::new(options());
    world.run(
        "s1 open
         s1 container /used        => /used v=0 cv=0 av=0
         s1 create /used/x         => /used/x
         s1 container /unused      => /unused v=0 cv=0 av=0
         s1 ttl /t flags=5 ttl=100 => /t v=0 cv=0 av=0
         s1 ttl /p flags=5 ttl=100 => /p v=0 cv=0 av=0
         s1 create /p/x            => /p/x",
        false,
    );
    assert_eq!(due(&world.tree, 100, 0), "");
    assert_eq!(due(&world.tree, 101, 0), "/t");
    assert_eq!(due(&world.tree, 101, 100), "/unused /t");
    world.run("s1 delete /used/x\ns1 delete /p/x", false);
    assert_eq!(due(&world.tree, 50, 0), "/used");
    assert_eq!(due(&world.tree, 101, 0), "/used /t /p");
    // Setting the data starts the time again.
    let set =
        bellwether_wire::client::Request::SetData { path: "/t".into(), data: None, version: -1 };
    let record = world.prepare("s1", Write::Request(set));
    world.tree.apply(at(90), &record, None);
    assert_eq!(due(&world.tree, 190, 0), "/used /p");
    assert_eq!(due(&world.tree, 191, 0), "/used /t /p");
}

#[test]
fn what_remains_of_a_time_to_live_is_fixed_when_it_is_loaded() {
    let ttl = |mtime, path: &str| {
        let ephemeral_owner = Owner::Ttl { ttl_ms: 1000 }.encode();
        let stat = StatPersisted { mtime, ephemeral_owner, ..StatPersisted::default() };
        SnapshotItem::Node(SnapshotNode { path: path.into(), data: None, acl_id: -1, stat })
    };
    let mut loader = Loader::new(options());
    loader.start_at(Zxid(1));
    for item in [
        item("", -1, Owner::None),
        ttl(5_000, "/now"),
        ttl(4_400, "/older"),
        ttl(1, "/over"),
        ttl(90_000, "/ahead"),
    ] {
        assert_eq!(loader.item(&item), Ok(()));
    }
    let (tree, _) = loader.finish(Now { mono_ms: 10, wall_ms: 5_000 }).expect("it is whole");
    assert_eq!(due(&tree, 10, 0), "/over");
    assert_eq!(due(&tree, 410, 0), "/over");
    assert_eq!(due(&tree, 411, 0), "/older /over");
    assert_eq!(due(&tree, 1011, 0), "/now /older /over /ahead");
}

#[test]
fn a_slice_is_bounded_in_bytes() {
    let mut world = World::new(options());
    world.run("s1 open", false);
    let mut tree = world.tree;
    for number in 0..5 {
        let zxid = tree.last_processed().next().expect("zxids are left");
        let header = TxnHeader {
            session: world.log[0].header.session,
            cxid: 1,
            zxid,
            time_ms: 0,
            op: OpCode::Create,
        };
        let create = CreateTxn {
            path: format!("/n{number}").into(),
            data: Some(vec![0; 600_000].into()),
            acl: Vec::new(),
            parent_cversion: number + 1,
        };
        let txn = Txn::Create { create, ephemeral: false };
        tree.apply(at(0), &TxnRecord { header, txn, digest: None }, None);
    }
    let (mut cursor, mut slices) = (tree.snapshot_start(), 0);
    loop {
        let mut items = Vec::new();
        let progress = tree.snapshot_next(&mut cursor, 1000, &mut items);
        let is_large = |item: &&SnapshotItem| {
            let SnapshotItem::Node(node) = item else { return false };
            node.data.as_ref().is_some_and(|data| data.len() > 9)
        };
        let large = items.iter().filter(is_large);
        assert!(large.count() <= 2);
        slices += 1;
        if progress == Progress::Done {
            break;
        }
    }
    assert!(slices >= 3);
}
