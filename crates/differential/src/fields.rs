//! The fields of every request by name: the one place that knows which requests have which fields,
//! so that placing paths, writing a stream as text and reading it back need no table of their own.

use bellwether_wire::client::Request;
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::{Acl, Data, OpCode};

/// One field of a request.
pub(crate) enum Field<'a> {
    /// A path of the tree, which may be one of the run's own.
    Path(&'a mut Box<str>),
    Paths(&'a mut Vec<Box<str>>),
    Text(&'a mut Box<str>),
    MaybeText(&'a mut Option<Box<str>>),
    Int(&'a mut i32),
    Long(&'a mut i64),
    /// A zxid, from the start of the run.
    Zxid(&'a mut i64),
    Flag(&'a mut bool),
    Data(&'a mut Option<Data>),
    Bytes(&'a mut Box<[u8]>),
    MaybeBytes(&'a mut Option<Box<[u8]>>),
    Acl(&'a mut Option<Vec<Acl>>),
    Parts(&'a mut Vec<Request>),
}

/// A field and its name.
pub(crate) type Named<'a> = (&'static str, Field<'a>);

/// The fields of a request, in the order in which they are sent.
pub(crate) fn fields(request: &mut Request) -> Vec<Named<'_>> {
    match request {
        Request::Create(create) | Request::Create2(create) | Request::CreateContainer(create) => {
            of_create(create)
        }
        Request::CreateTtl { create, ttl_ms } => {
            let mut all = of_create(create);
            all.push(("ttl", Field::Long(ttl_ms)));
            all
        }
        Request::Delete { path, version } | Request::Check { path, version } => {
            vec![("path", Field::Path(path)), ("version", Field::Int(version))]
        }
        Request::Exists { path, watch }
        | Request::GetData { path, watch }
        | Request::GetChildren { path, watch }
        | Request::GetChildren2 { path, watch } => {
            vec![("path", Field::Path(path)), ("watch", Field::Flag(watch))]
        }
        Request::SetData { path, data, version } => vec![
            ("path", Field::Path(path)),
            ("data", Field::Data(data)),
            ("version", Field::Int(version)),
        ],
        Request::SetAcl { path, acl, version } => vec![
            ("path", Field::Path(path)),
            ("acl", Field::Acl(acl)),
            ("version", Field::Int(version)),
        ],
        Request::GetAcl { path }
        | Request::Sync { path }
        | Request::GetEphemerals { prefix: path }
        | Request::GetAllChildrenNumber { path } => vec![("path", Field::Path(path))],
        Request::CheckWatches { path, watcher } | Request::RemoveWatches { path, watcher } => {
            vec![("path", Field::Path(path)), ("watcher", Field::Int(watcher))]
        }
        Request::AddWatch { path, mode } => {
            vec![("path", Field::Path(path)), ("mode", Field::Int(mode))]
        }
        Request::Multi(parts) | Request::MultiRead(parts) => vec![("parts", Field::Parts(parts))],
        Request::Reconfig { joining, leaving, members, version } => vec![
            ("joining", Field::MaybeText(joining)),
            ("leaving", Field::MaybeText(leaving)),
            ("members", Field::MaybeText(members)),
            ("version", Field::Long(version)),
        ],
        Request::Auth { scheme, auth } => {
            vec![("scheme", Field::Text(scheme)), ("auth", Field::MaybeBytes(auth))]
        }
        Request::SetWatches(watches) => of_watches(watches, Lists::Three),
        Request::SetWatches2(watches) => of_watches(watches, Lists::Five),
        Request::Sasl { token } => vec![("token", Field::Bytes(token))],
        Request::Ping | Request::WhoAmI | Request::CloseSession => Vec::new(),
    }
}

fn of_create(create: &mut Create) -> Vec<Named<'_>> {
    let Create { path, data, acl, flags } = create;
    vec![
        ("path", Field::Path(path)),
        ("data", Field::Data(data)),
        ("acl", Field::Acl(acl)),
        ("flags", Field::Int(flags)),
    ]
}

/// How many lists of paths a request to set watches has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    Three,
    Five,
}

fn of_watches(watches: &mut SetWatches, lists: Lists) -> Vec<Named<'_>> {
    let SetWatches { relative_zxid, data, exist, child, persistent, persistent_recursive } =
        watches;
    let mut all = vec![
        ("zxid", Field::Zxid(&mut relative_zxid.0)),
        ("data", Field::Paths(data)),
        ("exist", Field::Paths(exist)),
        ("child", Field::Paths(child)),
    ];
    if lists == Lists::Five {
        all.push(("persistent", Field::Paths(persistent)));
        all.push(("recursive", Field::Paths(persistent_recursive)));
    }
    all
}

/// The operation's request with every field empty; none for what only servers make.
pub(crate) fn blank(op: OpCode) -> Option<Request> {
    let path: Box<str> = "".into();
    let create = || Create { path: "".into(), data: None, acl: None, flags: 0 };
    Some(match op {
        OpCode::Create => Request::Create(create()),
        OpCode::Create2 => Request::Create2(create()),
        OpCode::CreateContainer => Request::CreateContainer(create()),
        OpCode::CreateTtl => Request::CreateTtl { create: create(), ttl_ms: 0 },
        OpCode::Delete => Request::Delete { path, version: 0 },
        OpCode::Exists => Request::Exists { path, watch: false },
        OpCode::GetData => Request::GetData { path, watch: false },
        OpCode::SetData => Request::SetData { path, data: None, version: 0 },
        OpCode::GetAcl => Request::GetAcl { path },
        OpCode::SetAcl => Request::SetAcl { path, acl: None, version: 0 },
        OpCode::GetChildren => Request::GetChildren { path, watch: false },
        OpCode::GetChildren2 => Request::GetChildren2 { path, watch: false },
        OpCode::Sync => Request::Sync { path },
        OpCode::Ping => Request::Ping,
        OpCode::Check => Request::Check { path, version: 0 },
        OpCode::Multi => Request::Multi(Vec::new()),
        OpCode::MultiRead => Request::MultiRead(Vec::new()),
        OpCode::Reconfig => {
            Request::Reconfig { joining: None, leaving: None, members: None, version: 0 }
        }
        OpCode::CheckWatches => Request::CheckWatches { path, watcher: 0 },
        OpCode::RemoveWatches => Request::RemoveWatches { path, watcher: 0 },
        OpCode::Auth => Request::Auth { scheme: path, auth: None },
        OpCode::SetWatches => Request::SetWatches(Box::default()),
        OpCode::SetWatches2 => Request::SetWatches2(Box::default()),
        OpCode::Sasl => Request::Sasl { token: Box::default() },
        OpCode::GetEphemerals => Request::GetEphemerals { prefix: path },
        OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path },
        OpCode::AddWatch => Request::AddWatch { path, mode: 0 },
        OpCode::WhoAmI => Request::WhoAmI,
        OpCode::CloseSession => Request::CloseSession,
        OpCode::Notification | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::Error => {
            return None;
        }
    })
}
