//! What callers fill in: kinds of nodes, creates, multis.

use crate::chroot::Chroot;
use crate::error::Error;
use bellwether_wire::client::request;
use bellwether_wire::client::{OpResult, Request};
use bellwether_wire::{Acl, Data, ErrorCode, Stat};
use std::time::Duration;

/// What kind of node to create.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until it is deleted.
    #[default]
    Persistent,
    /// Ends with the session.
    Ephemeral,
    /// Stays; ten digits that count up are appended to its name.
    PersistentSequential,
    /// Ends with the session; ten digits that count up are appended to its name.
    EphemeralSequential,
    /// Is deleted by the server some time after its last child was.
    Container,
    /// Is deleted by the server when it has had no child and no change for so long.
    PersistentWithTtl(Duration),
    /// Likewise, with ten digits that count up appended to its name.
    PersistentSequentialWithTtl(Duration),
}

impl CreateMode {
    fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
            CreateMode::Container => 4,
            CreateMode::PersistentWithTtl(_) => 5,
            CreateMode::PersistentSequentialWithTtl(_) => 6,
        }
    }

    /// Whether it ends with the session.
    pub fn is_ephemeral(self) -> bool {
        match self {
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => true,
            CreateMode::Persistent
            | CreateMode::PersistentSequential
            | CreateMode::Container
            | CreateMode::PersistentWithTtl(_)
            | CreateMode::PersistentSequentialWithTtl(_) => false,
        }
    }

    /// Whether the server appends a number.
    pub fn is_sequential(self) -> bool {
        match self {
            CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential
            | CreateMode::PersistentSequentialWithTtl(_) => true,
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::Container
            | CreateMode::PersistentWithTtl(_) => false,
        }
    }
}

/// A node to be created.
#[derive(Clone, Debug)]
pub struct Create {
    pub(crate) path: Box<str>,
    pub(crate) mode: CreateMode,
    pub(crate) data: Option<Data>,
    pub(crate) acl: Vec<Acl>,
}

impl Create {
    /// A node with null data, open to everybody.
    pub fn new(path: &str, mode: CreateMode) -> Create {
        Create { path: path.into(), mode, data: None, acl: vec![Acl::world_all()] }
    }

    /// With this data.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Create {
        self.data = Some(data.into());
        self
    }

    /// With this access control list. An empty one is refused by servers.
    #[must_use]
    pub fn acl(mut self, acl: Vec<Acl>) -> Create {
        self.acl = acl;
        self
    }

    pub(crate) fn into_request(self, chroot: &Chroot) -> Result<Request, Error> {
        let Create { path, mode, data, acl } = self;
        let path = match mode.is_sequential() {
            true => chroot.apply_sequential(&path)?,
            false => chroot.apply(&path)?,
        };
        let create = request::Create { path, data, acl: Some(acl), flags: mode.flags() };
        match mode {
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential => Ok(Request::Create2(create)),
            CreateMode::Container => Ok(Request::CreateContainer(create)),
            CreateMode::PersistentWithTtl(ttl) | CreateMode::PersistentSequentialWithTtl(ttl) => {
                match i64::try_from(ttl.as_millis()) {
                    Ok(ttl_ms @ 1..) => Ok(Request::CreateTtl { create, ttl_ms }),
                    Ok(_) | Err(_) => Err(Error::Argument("a TTL is at least one millisecond")),
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Create(Create),
    Delete { path: Box<str>, version: Option<i32> },
    SetData { path: Box<str>, data: Data, version: Option<i32> },
    Check { path: Box<str>, version: Option<i32> },
}

/// Several writes that happen all or not at all, under one zxid.
#[derive(Clone, Debug, Default)]
pub struct Multi {
    ops: Vec<Op>,
}

/// How an ensemble's members shall change. Servers read the texts: `server.ID=host:port:port;port`,
/// several with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconfiguration {
    /// These are all of them.
    Members(Box<str>),
    /// Some join, some leave.
    Incremental {
        /// Servers that join.
        joining: Option<Box<str>>,
        /// Ids of those that leave.
        leaving: Option<Box<str>>,
    },
}

/// What the protocol calls "whatever version".
pub(crate) const ANY_VERSION: i32 = -1;

impl Multi {
    /// Without an operation yet.
    pub fn new() -> Multi {
        Multi::default()
    }

    /// And create a node.
    #[must_use]
    pub fn create(mut self, create: Create) -> Multi {
        self.ops.push(Op::Create(create));
        self
    }

    /// And delete a node, if it has this version.
    #[must_use]
    pub fn delete(mut self, path: &str, version: Option<i32>) -> Multi {
        self.ops.push(Op::Delete { path: path.into(), version });
        self
    }

    /// And set a node's data, if it has this version.
    #[must_use]
    pub fn set_data(mut self, path: &str, data: &[u8], version: Option<i32>) -> Multi {
        self.ops.push(Op::SetData { path: path.into(), data: data.into(), version });
        self
    }

    /// Provided that a node exists and has this version.
    #[must_use]
    pub fn check(mut self, path: &str, version: Option<i32>) -> Multi {
        self.ops.push(Op::Check { path: path.into(), version });
        self
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn into_request(self, chroot: &Chroot) -> Result<Request, Error> {
        let ops = self.ops.into_iter().map(|op| {
            Ok(match op {
                Op::Create(create) => create.into_request(chroot)?,
                Op::Delete { path, version } => {
                    let version = version.unwrap_or(ANY_VERSION);
                    Request::Delete { path: chroot.apply(&path)?, version }
                }
                Op::SetData { path, data, version } => {
                    let version = version.unwrap_or(ANY_VERSION);
                    Request::SetData { path: chroot.apply(&path)?, data: Some(data), version }
                }
                Op::Check { path, version } => {
                    let version = version.unwrap_or(ANY_VERSION);
                    Request::Check { path: chroot.apply(&path)?, version }
                }
            })
        });
        ops.collect::<Result<_, _>>().map(Request::Multi)
    }
}

/// Several reads in one request.
#[derive(Clone, Debug, Default)]
pub struct MultiRead {
    reads: Vec<Read>,
}

#[derive(Clone, Debug)]
enum Read {
    Data(Box<str>),
    Children(Box<str>),
}

/// What one read of a [`MultiRead`] gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// A node's data and stat.
    Data(Option<Data>, Stat),
    /// The names of a node's children.
    Children(Vec<Box<str>>),
    /// Why there is none.
    Refused(ErrorCode),
}

impl MultiRead {
    /// Without a read yet.
    pub fn new() -> MultiRead {
        MultiRead::default()
    }

    /// And a node's data.
    #[must_use]
    pub fn get_data(mut self, path: &str) -> MultiRead {
        self.reads.push(Read::Data(path.into()));
        self
    }

    /// And the names of a node's children.
    #[must_use]
    pub fn get_children(mut self, path: &str) -> MultiRead {
        self.reads.push(Read::Children(path.into()));
        self
    }

    pub(crate) fn into_request(self, chroot: &Chroot) -> Result<Request, Error> {
        let reads = self.reads.into_iter().map(|read| {
            Ok(match read {
                Read::Data(path) => Request::GetData { path: chroot.apply(&path)?, watch: false },
                Read::Children(path) => {
                    Request::GetChildren { path: chroot.apply(&path)?, watch: false }
                }
            })
        });
        reads.collect::<Result<_, _>>().map(Request::MultiRead)
    }
}

impl From<OpResult> for ReadResult {
    fn from(result: OpResult) -> ReadResult {
        match result {
            OpResult::GetData(data, stat) => ReadResult::Data(data, stat),
            OpResult::GetChildren(names) => ReadResult::Children(names.names()),
            OpResult::Error(code) => ReadResult::Refused(code),
            OpResult::Create(_)
            | OpResult::CreateStat(..)
            | OpResult::Delete
            | OpResult::SetData(_)
            | OpResult::Check => ReadResult::Refused(ErrorCode::DataInconsistency),
        }
    }
}
