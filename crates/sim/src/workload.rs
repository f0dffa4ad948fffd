//! What clients do: every operation, on few enough paths that they get into each other's way.

use crate::disk::Chance;
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::client::{Request, WatcherType};
use bellwether_wire::{Acl, Data, OpCode, Perms, Zxid};

const PATHS: &[&str] =
    &["/a", "/b", "/c", "/a/x", "/a/y", "/b/x", "/c/x", "/a/x/deep", "/b/x/deep", "/q", "/ab"];

/// A user that some nodes belong to.
pub(crate) const USER: &str = "ann:hash";

fn path(chance: &mut Chance) -> Box<str> {
    let place = chance.index(PATHS.len());
    PATHS.get(place).copied().unwrap_or("/a").into()
}

/// The root too: it can be read and watched.
fn read_path(chance: &mut Chance) -> Box<str> {
    if chance.one_in(8) { "/".into() } else { path(chance) }
}

fn paths(chance: &mut Chance) -> Vec<Box<str>> {
    (0..chance.below(4)).map(|_| path(chance)).collect()
}

fn data(chance: &mut Chance) -> Option<Data> {
    match chance.below(12) {
        0 => None,
        1 => Some(vec![b'x'; chance.index(1500)].into()),
        _ => Some(chance.below(1000).to_string().into_bytes().into()),
    }
}

fn version(chance: &mut Chance) -> i32 {
    let versions = [-1, -1, -1, 0, 1, 2];
    versions.get(chance.index(versions.len())).copied().unwrap_or(-1)
}

fn acl(chance: &mut Chance) -> Vec<Acl> {
    let user = Acl { perms: Perms::ALL, scheme: "digest".into(), id: USER.into() };
    let reader = Acl { perms: Perms::READ, ..Acl::world_all() };
    match chance.below(10) {
        0 => vec![user],
        1 => vec![user, reader],
        _ => vec![Acl::world_all()],
    }
}

fn create(chance: &mut Chance, flags: &[i32]) -> Create {
    let flags = flags.get(chance.index(flags.len())).copied().unwrap_or(0);
    let mut path = path(chance);
    if matches!(flags, 2 | 3 | 6) {
        path = format!("{path}-").into();
    }
    Create { path, data: data(chance), acl: Some(acl(chance)), flags }
}

/// A request.
pub(crate) fn request(chance: &mut Chance, seen: Zxid) -> Request {
    if chance.one_in(30) {
        return quota(chance);
    }
    match chance.below(100) {
        0..=44 => write(chance),
        45..=52 => Request::Multi((0..chance.below(5)).map(|_| part(chance)).collect()),
        53..=86 => read(chance),
        _ => other(chance, seen),
    }
}

/// A quota is made and removed as a whole, and read. The hard limits are reached now and then.
fn quota(chance: &mut Chance) -> Request {
    let on = if chance.one_in(3) { "/b" } else { "/a" };
    let node = |name: &str| format!("/zookeeper/quota{on}{name}").into();
    let create = |name: &str, data: &str| {
        let data = Some(data.as_bytes().into());
        Request::Create(Create {
            path: node(name),
            data,
            acl: Some(vec![Acl::world_all()]),
            flags: 0,
        })
    };
    let delete = |name: &str| Request::Delete { path: node(name), version: -1 };
    let (limits, stats) = ("/zookeeper_limits", "/zookeeper_stats");
    match chance.below(6) {
        0 => create("", ""),
        1 | 2 => {
            let text = "count=2,bytes=20=;byteHardLimit=2000;countHardLimit=5";
            Request::Multi(vec![create(limits, text), create(stats, "")])
        }
        3 => Request::Multi(vec![delete(stats), delete(limits)]),
        _ => Request::GetData { path: node(stats), watch: chance.one_in(2) },
    }
}

fn write(chance: &mut Chance) -> Request {
    match chance.below(20) {
        0..=5 => Request::Create(create(chance, &[0, 0, 1, 1, 2, 3])),
        6..=7 => Request::Create2(create(chance, &[0, 1, 2])),
        8 => Request::CreateContainer(create(chance, &[4])),
        9 => {
            let ttl_ms = i64::try_from(1 + chance.below(20_000)).expect("it is small");
            Request::CreateTtl { create: create(chance, &[5, 6]), ttl_ms }
        }
        10..=13 => Request::Delete { path: path(chance), version: version(chance) },
        14..=18 => {
            Request::SetData { path: path(chance), data: data(chance), version: version(chance) }
        }
        _ => {
            let path = path(chance);
            Request::SetAcl { path, acl: Some(acl(chance)), version: version(chance) }
        }
    }
}

/// A part of a multi.
fn part(chance: &mut Chance) -> Request {
    if chance.one_in(6) {
        return Request::Check { path: path(chance), version: version(chance) };
    }
    // A multi cannot set an ACL.
    match write(chance) {
        write if write.op() != OpCode::SetAcl => write,
        _ => Request::Delete { path: path(chance), version: -1 },
    }
}

fn read(chance: &mut Chance) -> Request {
    let watch = chance.one_in(2);
    match chance.below(12) {
        0..=2 => Request::Exists { path: read_path(chance), watch },
        3..=6 => Request::GetData { path: read_path(chance), watch },
        7..=8 => Request::GetChildren { path: read_path(chance), watch },
        9 => Request::GetChildren2 { path: read_path(chance), watch },
        10 => Request::GetAcl { path: read_path(chance) },
        _ => Request::MultiRead(
            (0..chance.below(4))
                .map(|_| match chance.below(2) {
                    0 => Request::GetData { path: read_path(chance), watch },
                    _ => Request::GetChildren { path: read_path(chance), watch },
                })
                .collect(),
        ),
    }
}

fn other(chance: &mut Chance, seen: Zxid) -> Request {
    match chance.below(28) {
        0..=4 => Request::Sync { path: "/".into() },
        5..=8 => Request::Ping,
        9..=12 => {
            let mode = i32::from(chance.one_in(2));
            Request::AddWatch { path: read_path(chance), mode }
        }
        13..=14 => {
            Request::RemoveWatches { path: read_path(chance), watcher: watcher_type(chance) }
        }
        15..=16 => Request::CheckWatches { path: read_path(chance), watcher: watcher_type(chance) },
        17..=18 => Request::GetEphemerals { prefix: "/".into() },
        19..=20 => Request::GetAllChildrenNumber { path: read_path(chance) },
        21 => Request::WhoAmI,
        22..=23 => set_watches(chance, seen),
        24 => Request::Sasl { token: Box::new([]) },
        25 => Request::Auth { scheme: "digest".into(), auth: Some(USER.as_bytes().into()) },
        26 if chance.one_in(3) => {
            Request::Auth { scheme: "digest".into(), auth: Some(b"nobody"[..].into()) }
        }
        26 => Request::Reconfig { joining: None, leaving: None, members: None, version: -1 },
        _ => Request::CloseSession,
    }
}

fn watcher_type(chance: &mut Chance) -> i32 {
    let types = WatcherType::from_code(1 + i32::from(chance.one_in(2)));
    match chance.below(4) {
        0 => WatcherType::Any,
        1 => WatcherType::Persistent,
        2 => WatcherType::PersistentRecursive,
        _ => types.unwrap_or(WatcherType::Data),
    }
    .code()
}

/// The watches that a client sets again after a reconnect.
pub(crate) fn set_watches(chance: &mut Chance, seen: Zxid) -> Request {
    let watches = SetWatches {
        relative_zxid: seen,
        data: paths(chance),
        exist: paths(chance),
        child: paths(chance),
        persistent: paths(chance),
        persistent_recursive: paths(chance),
    };
    if chance.one_in(2) {
        return Request::SetWatches2(Box::new(watches));
    }
    Request::SetWatches(Box::new(SetWatches {
        persistent: Vec::new(),
        persistent_recursive: Vec::new(),
        ..watches
    }))
}
