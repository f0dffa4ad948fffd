//! Random writes over few paths, so that they meet; and the tree's whole content, to compare.

use crate::script::acl;
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_tree::{Progress, Tree, Write};
use bellwether_wire::client::Request;
use bellwether_wire::client::request::Create;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, SessionId};
use std::collections::BTreeMap;

pub(crate) const WHO: [&str; 4] = ["s0", "s1", "s2", "s3"];

/// Quotas on `/a` and on `/a/b`; what would be one on the root is none.
pub(crate) const QUOTA_PATHS: [&str; 6] = [
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/b/zookeeper_limits",
    "/zookeeper/quota/a/b/zookeeper_stats",
    "/zookeeper/quota/zookeeper_limits",
    "/zookeeper/quota/zookeeper_stats",
];

fn path(u: &mut Unstructured<'_>) -> Result<Box<str>> {
    let odd = ["/", "", "a", "/zookeeper", "/zookeeper/config", "/a/", "//a", "/a//b", "/."];
    if u.ratio(1, 24)? {
        return Ok((*u.choose(&odd)?).into());
    }
    if u.ratio(1, 5)? {
        return Ok((*u.choose(&QUOTA_PATHS)?).into());
    }
    let mut path = String::new();
    for _ in 0..u.int_in_range(1..=3)? {
        path.push('/');
        path.push_str(u.choose(&["a", "b", "c"])?);
    }
    Ok(path.into())
}

fn version(u: &mut Unstructured<'_>) -> Result<i32> {
    if u.ratio(2, 3)? { Ok(-1) } else { u.int_in_range(0..=2) }
}

fn data(u: &mut Unstructured<'_>) -> Result<Option<Data>> {
    let quotas = ["count=2", "count=1,bytes=3=;countHardLimit=3", "bytes=1=;byteHardLimit=12"];
    let text = if u.ratio(1, 5)? { u.choose(&quotas)? } else { u.choose(&["", "x", "some data"])? };
    Ok(if u.ratio(1, 4)? { None } else { Some(text.as_bytes().into()) })
}

fn some_acl(u: &mut Unstructured<'_>) -> Result<Option<Vec<Acl>>> {
    if u.ratio(3, 5)? {
        return Ok(acl("world:rwcda"));
    }
    let choices = [
        "world:rc",
        "auth:rwcda",
        "digest-s2:rwcda,world:r",
        "bad-x:r",
        "null",
        "",
        "ip-10.0.0.1:rwcd",
        "world:rwcda,world:rwcda",
        "world:a,digest-s3:cd",
    ];
    Ok(acl(u.choose(&choices)?))
}

fn create(u: &mut Unstructured<'_>, flags: &[i32]) -> Result<Create> {
    let flags = *u.choose(flags)?;
    Ok(Create { path: path(u)?, data: data(u)?, acl: some_acl(u)?, flags })
}

fn part(u: &mut Unstructured<'_>) -> Result<Request> {
    Ok(match u.int_in_range(0..=9)? {
        0 | 1 => Request::Create(create(u, &[0, 0, 1, 2, 3])?),
        2 => Request::Create2(create(u, &[0, 1, 2, 3])?),
        3 => Request::CreateContainer(create(u, &[4])?),
        4 => Request::CreateTtl { create: create(u, &[5, 6])?, ttl_ms: u.int_in_range(0..=3)? },
        5 | 6 => Request::Delete { path: path(u)?, version: version(u)? },
        7 | 8 => Request::SetData { path: path(u)?, data: data(u)?, version: version(u)? },
        _ => Request::Check { path: path(u)?, version: version(u)? },
    })
}

/// What the model refuses as the tree does. A null ACL within a multi is not decoded at all.
fn multi(u: &mut Unstructured<'_>) -> Result<Request> {
    let mut parts = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let mut part = part(u)?;
        if let Request::Create(create)
        | Request::Create2(create)
        | Request::CreateContainer(create) = &mut part
        {
            create.acl.get_or_insert_default();
        }
        parts.push(part);
    }
    Ok(Request::Multi(parts))
}

pub(crate) fn request(u: &mut Unstructured<'_>) -> Result<Request> {
    Ok(match u.int_in_range(0..=20)? {
        0..=3 => multi(u)?,
        4 | 5 => Request::SetAcl { path: path(u)?, acl: some_acl(u)?, version: version(u)? },
        6 => Request::CloseSession,
        7 => Request::Create(create(u, &[0, 1, 5, 7, -1])?),
        _ => loop {
            let part = part(u)?;
            if !matches!(part, Request::Check { .. }) {
                break part;
            }
        },
    })
}

pub(crate) fn open() -> Write {
    Write::CreateSession { timeout_ms: 30_000 }
}

/// All of a tree, in slices of `visits` with `between` called after each.
pub(crate) fn snapshot(tree: &Tree, visits: usize) -> Vec<SnapshotItem> {
    let mut cursor = tree.snapshot_start();
    let mut items = Vec::new();
    while tree.snapshot_next(&mut cursor, visits, &mut items) == Progress::More {}
    items
}

/// A node as a snapshot has it, with its ACL written out.
pub(crate) type Content = BTreeMap<String, (Option<Data>, Vec<Acl>, StatPersisted)>;

pub(crate) fn content(items: &[SnapshotItem]) -> (Content, BTreeMap<SessionId, i32>) {
    let mut acls = BTreeMap::from([(-1, vec![Acl::world_all()])]);
    let (mut nodes, mut sessions) = (Content::new(), BTreeMap::new());
    for item in items.iter().cloned() {
        match item {
            SnapshotItem::Session { id, timeout_ms } => {
                sessions.insert(id, timeout_ms);
            }
            SnapshotItem::Acl { id, acl } => {
                assert_eq!(acls.insert(id, acl), None, "an id stands there once");
            }
            SnapshotItem::Node(SnapshotNode { path, data, acl_id, stat }) => {
                let acl = acls.get(&acl_id).expect("the table has every id").clone();
                let twice = nodes.insert(path.into(), (data, acl, stat));
                assert_eq!(twice, None, "a path stands there once");
            }
            SnapshotItem::Digest { .. } | SnapshotItem::LastProcessed(_) => {}
        }
    }
    (nodes, sessions)
}
