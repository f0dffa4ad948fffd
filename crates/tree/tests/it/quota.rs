//! What quotas count and refuse, on the tree alone. The naive model counts too (`model`), and the
//! scenarios of `conformance/scenarios/quota` are what Apache does.

use crate::script::{World, at, check, identities, options, session, show};
use bellwether_tree::{
    Caller, Exceeded, Limit, Loader, Measure, Progress, Stamp, TreeOptions, Write,
};
use bellwether_wire::client::Request;
use bellwether_wire::{ErrorCode, Zxid};

const QUOTA_ON_A: &str = "
    s0 create /a data=1
    s0 create /a/b data=22
    s0 create /zookeeper/quota/a
    s0 create /zookeeper/quota/a/zookeeper_limits data=count=5
    s0 create /zookeeper/quota/a/zookeeper_stats";

/// The script's lines with the answers that creates give.
fn creates(script: &str) -> String {
    let line = |line: &str| {
        let path = line.split_whitespace().nth(2).expect("a path");
        format!("{line} => {path}\n")
    };
    script.lines().filter(|text| !text.trim().is_empty()).map(line).collect()
}

fn stats(world: &World, on: &str) -> String {
    let path = format!("/zookeeper/quota{on}/zookeeper_stats").into();
    let got =
        world.tree.read(&Request::GetData { path, watch: false }, session("s0"), &identities("s0"));
    show(&got).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn statistics_follow_every_write_at_and_below_the_path() {
    let get = "s0 get /zookeeper/quota/a/zookeeper_stats";
    check(&format!(
        "{}
         {get}                           => count=2,bytes=3 v=0 cv=0 av=0
         s1 create /a/c data=333         => /a/c
         s1 create /ab data=333          => /ab
         s1 create /a/b/e flags=1 data=1 => /a/b/e
         {get}                           => count=4,bytes=7 v=0 cv=0 av=0
         s1 set /a data=55555            => v=1 cv=2 av=0 kids=2
         s1 delete /a/c                  => ok
         {get}                           => count=3,bytes=8 v=0 cv=0 av=0
         s1 close                        => ok
         {get}                           => count=2,bytes=7 v=0 cv=0 av=0",
        creates(QUOTA_ON_A)
    ));
}

#[test]
fn a_failed_multi_counts_nothing() {
    check(&format!(
        "{}
         s1 multi create /a/x data=1 ; delete /none => OK ; NONODE
         s0 get /zookeeper/quota/a/zookeeper_stats  => count=2,bytes=3 v=0 cv=0 av=0",
        creates(QUOTA_ON_A)
    ));
}

#[test]
fn statistics_that_a_client_spoiled_stay_until_they_are_made_anew() {
    check(&format!(
        "{}
         s1 set /zookeeper/quota/a/zookeeper_stats data=spoiled => v=1 cv=0 av=0
         s1 create /a/x                                         => /a/x
         s0 get /zookeeper/quota/a/zookeeper_stats              => spoiled v=1 cv=0 av=0
         s1 delete /zookeeper/quota/a/zookeeper_stats           => ok
         s1 create /zookeeper/quota/a/zookeeper_stats => /zookeeper/quota/a/zookeeper_stats
         s0 get /zookeeper/quota/a/zookeeper_stats              => count=3,bytes=3 v=0 cv=0 av=0",
        creates(QUOTA_ON_A)
    ));
}

#[test]
fn a_node_right_below_the_quotas_is_no_quota_on_the_root() {
    // Apache's server ends when such a node is created.
    check(
        "s1 create /zookeeper/quota/zookeeper_limits data=count=0 => /zookeeper/quota/zookeeper_limits
         s1 create /zookeeper/quota/zookeeper_stats => /zookeeper/quota/zookeeper_stats
         s1 create /a                               => /a
         s1 delete /zookeeper/quota/zookeeper_limits => ok",
    );
}

fn enforcing() -> TreeOptions {
    TreeOptions { enforce_quota: true, ..options() }
}

/// Prepares a create of `path` and says what became of it, and what it exceeds.
fn exceed(world: &mut World, path: &str) -> (Option<ErrorCode>, Vec<Exceeded>) {
    let acl = Some(vec![bellwether_wire::Acl::world_all()]);
    let create = bellwether_wire::client::request::Create {
        path: path.into(),
        data: Some(b"12345".as_slice().into()),
        acl,
        flags: 0,
    };
    world.zxid += 1;
    let stamp = Stamp { zxid: Zxid(world.zxid), time_ms: 0 };
    let caller = Caller { session: session("s0"), cxid: 1, identities: &identities("s0") };
    let write = Write::Request(Request::Create(create));
    let record = world.tree.prepare(&mut world.pending, stamp, caller, write);
    let code = world.apply(&record).err();
    (code, world.pending.take_exceeded())
}

#[test]
fn a_write_beyond_a_limit_is_reported_and_refused_only_where_quotas_are_enforced() {
    let exceeded = |measure, value, limit, refused| Exceeded {
        on: "/a".into(),
        measure,
        value,
        limit,
        refused,
    };
    for (options, refused) in [(options(), false), (enforcing(), true)] {
        let mut world = World::new(options);
        world.run("s0 open", false);
        world.run(&creates(QUOTA_ON_A), false);
        let mut limits = |text: &str| {
            let set = format!("s0 set /zookeeper/quota/a/zookeeper_limits data={text}");
            let version = world.tree.stat_of("/zookeeper/quota/a/zookeeper_limits");
            let next = version.map_or(0, |stat| stat.version + 1);
            world.run(&format!("{set} => v={next} cv=0 av=0"), false);
            exceed(&mut world, &format!("/a/{next}"))
        };
        let soft = exceeded(Measure::Bytes, 8, Limit::Soft(7), false);
        assert_eq!(limits("bytes=7"), (None, vec![soft]));
        assert_eq!(limits("bytes=7=;byteHardLimit=13"), (None, vec![]));
        let both = [
            exceeded(Measure::Count, 5, Limit::Soft(0), false),
            exceeded(Measure::Bytes, 18, Limit::Hard(17), refused),
        ];
        let code = refused.then_some(ErrorCode::QuotaExceeded);
        assert_eq!(limits("count=0=;byteHardLimit=17"), (code, both.to_vec()));
        let code = refused.then_some(ErrorCode::MarshallingError);
        assert_eq!(limits("spoiled"), (code, vec![]));
    }
}

#[test]
fn a_multi_is_judged_part_by_part_by_what_is_applied() {
    let script = format!(
        "{}
         s0 set /zookeeper/quota/a/zookeeper_limits data=countHardLimit=3 => v=1 cv=0 av=0
         s1 multi create /a/x ; create /a/y                     => /a/x ; /a/y
         s0 get /zookeeper/quota/a/zookeeper_stats              => count=4,bytes=3 v=0 cv=0 av=0
         s1 multi delete /a/x ; create /a/z                     => OK ; QUOTAEXCEEDED
         s1 multi set /a data=1 ; create /a/z ; create /b       => OK ; QUOTAEXCEEDED ; RUNTIMEINCONSISTENCY
         s1 create /a/x                                         => NODEEXISTS
         s1 create /a/none/x                                    => NONODE
         s1 set /a data=12345678 v=9                            => BADVERSION",
        creates(QUOTA_ON_A)
    );
    let mut world = World::new(enforcing());
    world.run("s0 open\ns1 open", false);
    world.run(&script, false);
}

#[test]
fn quotas_of_a_namespace_add_up() {
    let mut world = World::new(options());
    world.run("s0 open", false);
    world.run(&creates(QUOTA_ON_A), false);
    world.run(
        &creates(
            "s0 create /zookeeper/quota/a/b
             s0 create /zookeeper/quota/a/b/zookeeper_limits data=count=1,bytes=2=;countHardLimit=9
             s0 create /zookeeper/quota/b
             s0 create /zookeeper/quota/b/zookeeper_stats",
        ),
        false,
    );
    let figures = world.tree.quota_figures();
    let shown: Vec<_> = figures
        .iter()
        .map(|(name, f)| (*name, f.count_limit, f.bytes_limit, f.count_usage, f.bytes_usage))
        .collect();
    let expected =
        [("a", Some(14), Some(1), Some(2), Some(3)), ("b", None, None, Some(0), Some(0))];
    assert_eq!(shown, expected);
}

#[test]
fn loading_makes_the_statistics_anew() {
    let mut world = World::new(options());
    world.run("s0 open", false);
    world.run(&creates(QUOTA_ON_A), false);
    world.run("s0 set /zookeeper/quota/a/zookeeper_stats data=spoiled => v=1 cv=0 av=0", false);
    let (mut cursor, mut items) = (world.tree.snapshot_start(), Vec::new());
    while world.tree.snapshot_next(&mut cursor, 1, &mut items) == Progress::More {
        // The snapshot is fuzzy: what is created meanwhile is replayed over it.
        if items.len() >= 4 && world.tree.stat_of("/a/late").is_none() {
            world.run("s0 create /a/late data=4444 => /a/late", false);
        }
    }
    let mut loader = Loader::new(options());
    loader.start_at(cursor.zxid());
    for item in items {
        assert_eq!(loader.item(&item), Ok(()));
    }
    for record in world.log.iter().filter(|record| record.header.zxid > cursor.zxid()) {
        assert_eq!(loader.replay(record), Ok(()));
    }
    let (tree, report) = loader.finish(at(0)).expect("it is whole");
    assert_eq!((tree.check(), report.digest_mismatches), (Ok(()), 0));
    let before = stats(&world, "/a");
    world.tree = tree;
    assert_eq!((&*before, &*stats(&world, "/a")), ("spoiled", "count=3,bytes=7"));
}
