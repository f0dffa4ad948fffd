//! Requests: header, and a body per operation.
//!
//! Decoding follows Java where Java is lenient: bytes after the body are ignored, and a null path
//! of setData, setACL and check reads as the empty path, which the write then refuses.

use crate::Data;
use crate::acl::Acl;
use crate::client::event::numbered;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::ops::{Kind, OpCode};
use crate::zxid::Zxid;

/// What stands before every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's own number for it; see [`crate::client::xid`].
    pub xid: i32,
    /// The operation's number, which may be unknown.
    pub op: i32,
}

impl RequestHeader {
    /// Reads a header.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<RequestHeader> {
        Ok(RequestHeader { xid: r.int("request.xid")?, op: r.int("request.type")? })
    }

    /// Appends a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_int(self.xid);
        out.put_int(self.op);
    }
}

numbered! {
    /// Which watches [`Request::RemoveWatches`] and [`Request::CheckWatches`] mean.
    WatcherType {
        /// Watches on children.
        Children = 1,
        /// Watches on data and existence.
        Data = 2,
        /// All of them.
        Any = 3,
        /// Persistent ones (3.9).
        Persistent = 4,
        /// Persistent recursive ones (3.9).
        PersistentRecursive = 5,
    }
}

numbered! {
    /// What [`Request::AddWatch`] sets.
    AddWatchMode {
        /// Fires for the node and its children's names until it is removed.
        Persistent = 0,
        /// Fires for the node and everything below it until it is removed.
        PersistentRecursive = 1,
    }
}

/// The fields of every kind of create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Where; a sequential node gets a number appended.
    pub path: Box<str>,
    /// The node's data; null is kept as null.
    pub data: Option<Data>,
    /// Its ACL; null or empty is refused.
    pub acl: Option<Vec<Acl>>,
    /// The create mode's number: 0 persistent, 1 ephemeral, 2 and 3 sequential, 4 container, 5 and
    /// 6 with a time to live.
    pub flags: i32,
}

/// A request's body. Each variant is the row of [`OpCode`] with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Create(Create),
    Create2(Create),
    CreateContainer(Create),
    CreateTtl {
        create: Create,
        ttl_ms: i64,
    },
    Delete {
        path: Box<str>,
        version: i32,
    },
    Exists {
        path: Box<str>,
        watch: bool,
    },
    GetData {
        path: Box<str>,
        watch: bool,
    },
    SetData {
        path: Box<str>,
        data: Option<Data>,
        version: i32,
    },
    GetAcl {
        path: Box<str>,
    },
    SetAcl {
        path: Box<str>,
        acl: Option<Vec<Acl>>,
        version: i32,
    },
    GetChildren {
        path: Box<str>,
        watch: bool,
    },
    GetChildren2 {
        path: Box<str>,
        watch: bool,
    },
    Sync {
        path: Box<str>,
    },
    Ping,
    Check {
        path: Box<str>,
        version: i32,
    },
    Multi(Vec<Request>),
    MultiRead(Vec<Request>),
    Reconfig {
        joining: Option<Box<str>>,
        leaving: Option<Box<str>>,
        members: Option<Box<str>>,
        version: i64,
    },
    CheckWatches {
        path: Box<str>,
        watcher: i32,
    },
    RemoveWatches {
        path: Box<str>,
        watcher: i32,
    },
    Auth {
        scheme: Box<str>,
        /// `None` for null, which proves nothing; an empty secret may.
        auth: Option<Box<[u8]>>,
    },
    // Rare and large: a request is moved a dozen times on its way.
    SetWatches(Box<SetWatches>),
    SetWatches2(Box<SetWatches>),
    Sasl {
        token: Box<[u8]>,
    },
    GetEphemerals {
        prefix: Box<str>,
    },
    GetAllChildrenNumber {
        path: Box<str>,
    },
    AddWatch {
        path: Box<str>,
        mode: i32,
    },
    WhoAmI,
    CloseSession,
}

/// The watches that a client had on its former connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The newest zxid the client has seen: what changed after it fires at once.
    pub relative_zxid: Zxid,
    /// Set by getData, or by exists on a node that was there.
    pub data: Vec<Box<str>>,
    /// Set by exists on a node that was not there.
    pub exist: Vec<Box<str>>,
    /// Set by getChildren.
    pub child: Vec<Box<str>>,
    /// Persistent ones; setWatches2 only.
    pub persistent: Vec<Box<str>>,
    /// Persistent recursive ones; setWatches2 only.
    pub persistent_recursive: Vec<Box<str>>,
}

impl SetWatches {
    /// Turns every list around, so that taking from the end takes in the order of the client.
    pub fn reverse(&mut self) {
        let SetWatches { relative_zxid: _, data, exist, child, persistent, persistent_recursive } =
            self;
        for list in [data, exist, child, persistent, persistent_recursive] {
            list.reverse();
        }
    }
}

impl Request {
    /// Reads the body of `op`. Operations that only servers make are refused by their number.
    pub fn decode(op: OpCode, r: &mut Reader<'_>) -> Decoded<Request> {
        match op.kind() {
            Kind::Write => decode_write(op, r),
            Kind::Read | Kind::Internal => decode_read(op, r),
        }
    }

    /// Its row in the table of operations.
    pub fn op(&self) -> OpCode {
        match self {
            Request::Create(_) => OpCode::Create,
            Request::Create2(_) => OpCode::Create2,
            Request::CreateContainer(_) => OpCode::CreateContainer,
            Request::CreateTtl { .. } => OpCode::CreateTtl,
            Request::Delete { .. } => OpCode::Delete,
            Request::Exists { .. } => OpCode::Exists,
            Request::GetData { .. } => OpCode::GetData,
            Request::SetData { .. } => OpCode::SetData,
            Request::GetAcl { .. } => OpCode::GetAcl,
            Request::SetAcl { .. } => OpCode::SetAcl,
            Request::GetChildren { .. } => OpCode::GetChildren,
            Request::GetChildren2 { .. } => OpCode::GetChildren2,
            Request::Sync { .. } => OpCode::Sync,
            Request::Ping => OpCode::Ping,
            Request::Check { .. } => OpCode::Check,
            Request::Multi(_) => OpCode::Multi,
            Request::MultiRead(_) => OpCode::MultiRead,
            Request::Reconfig { .. } => OpCode::Reconfig,
            Request::CheckWatches { .. } => OpCode::CheckWatches,
            Request::RemoveWatches { .. } => OpCode::RemoveWatches,
            Request::Auth { .. } => OpCode::Auth,
            Request::SetWatches(_) => OpCode::SetWatches,
            Request::SetWatches2(_) => OpCode::SetWatches2,
            Request::Sasl { .. } => OpCode::Sasl,
            Request::GetEphemerals { .. } => OpCode::GetEphemerals,
            Request::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Request::AddWatch { .. } => OpCode::AddWatch,
            Request::WhoAmI => OpCode::WhoAmI,
            Request::CloseSession => OpCode::CloseSession,
        }
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create) => create.encode(out),
            Request::CreateTtl { create, ttl_ms } => {
                create.encode(out);
                out.put_long(*ttl_ms);
            }
            Request::Delete { path, version } | Request::Check { path, version } => {
                out.put_text(path);
                out.put_int(*version);
            }
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::GetChildren { path, watch }
            | Request::GetChildren2 { path, watch } => {
                out.put_text(path);
                out.put_bool(*watch);
            }
            Request::SetData { path, data, version } => {
                out.put_text(path);
                out.put_buffer(data.as_deref());
                out.put_int(*version);
            }
            Request::SetAcl { path, acl, version } => {
                out.put_text(path);
                encode_acl(acl.as_deref(), out);
                out.put_int(*version);
            }
            Request::GetAcl { path }
            | Request::Sync { path }
            | Request::GetAllChildrenNumber { path }
            | Request::GetEphemerals { prefix: path } => out.put_text(path),
            Request::CheckWatches { path, watcher: number }
            | Request::RemoveWatches { path, watcher: number }
            | Request::AddWatch { path, mode: number } => {
                out.put_text(path);
                out.put_int(*number);
            }
            Request::Ping | Request::WhoAmI | Request::CloseSession => {} // They have no body.
            Request::Multi(ops) | Request::MultiRead(ops) => encode_multi(ops, out),
            Request::Reconfig { joining, leaving, members, version } => {
                for text in [joining, leaving, members] {
                    out.put_buffer(text.as_ref().map(|t| t.as_bytes()));
                }
                out.put_long(*version);
            }
            Request::Auth { scheme, auth } => {
                out.put_int(0);
                out.put_text(scheme);
                out.put_buffer(auth.as_deref());
            }
            Request::SetWatches(watches) => watches.encode(out),
            Request::SetWatches2(watches) => {
                watches.encode(out);
                out.put_texts(&watches.persistent);
                out.put_texts(&watches.persistent_recursive);
            }
            Request::Sasl { token } => out.put_buffer(Some(token)),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are decoded elsewhere")]
fn decode_write(op: OpCode, r: &mut Reader<'_>) -> Decoded<Request> {
    Ok(match op {
        OpCode::Create => Request::Create(Create::decode(r)?),
        OpCode::Create2 => Request::Create2(Create::decode(r)?),
        OpCode::CreateContainer => Request::CreateContainer(Create::decode(r)?),
        OpCode::CreateTtl => {
            Request::CreateTtl { create: Create::decode(r)?, ttl_ms: r.long("createTTL.ttl")? }
        }
        OpCode::Delete => {
            Request::Delete { path: r.text(WRITTEN_PATH)?, version: r.int("delete.version")? }
        }
        OpCode::SetData => Request::SetData {
            path: written_path(r)?,
            data: r.buffer("setData.data")?.map(Data::from),
            version: r.int("setData.version")?,
        },
        OpCode::SetAcl => Request::SetAcl {
            path: written_path(r)?,
            acl: Acl::decode_list(r)?,
            version: r.int("setACL.version")?,
        },
        OpCode::Check => {
            Request::Check { path: written_path(r)?, version: r.int("check.version")? }
        }
        OpCode::Multi => Request::Multi(decode_multi(r, is_write_of_multi)?),
        OpCode::Reconfig => Request::Reconfig {
            joining: r.string("reconfig.joiningServers")?,
            leaving: r.string("reconfig.leavingServers")?,
            members: r.string("reconfig.newMembers")?,
            version: r.long("reconfig.curConfigId")?,
        },
        OpCode::CloseSession => Request::CloseSession,
        other => return Err(not_a_request(other, r)),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are decoded elsewhere")]
fn decode_read(op: OpCode, r: &mut Reader<'_>) -> Decoded<Request> {
    Ok(match op {
        OpCode::Exists => Request::Exists { path: r.text("path")?, watch: r.bool("watch")? },
        OpCode::GetData => Request::GetData { path: r.text("path")?, watch: r.bool("watch")? },
        OpCode::GetChildren => {
            Request::GetChildren { path: r.text("path")?, watch: r.bool("watch")? }
        }
        OpCode::GetChildren2 => {
            Request::GetChildren2 { path: r.text("path")?, watch: r.bool("watch")? }
        }
        OpCode::GetAcl => Request::GetAcl { path: r.text("path")? },
        OpCode::Sync => Request::Sync { path: r.text("path")? },
        OpCode::Ping => Request::Ping,
        OpCode::MultiRead => Request::MultiRead(decode_multi(r, is_read_of_multi)?),
        // On a null path there is no watch, as there is none on an empty one.
        OpCode::CheckWatches => {
            Request::CheckWatches { path: written_path(r)?, watcher: r.int("type")? }
        }
        OpCode::RemoveWatches => {
            Request::RemoveWatches { path: written_path(r)?, watcher: r.int("type")? }
        }
        OpCode::Auth => {
            r.int("auth.type")?;
            let scheme = r.string("auth.scheme")?.unwrap_or_default();
            Request::Auth { scheme, auth: r.buffer("auth.auth")?.map(Box::from) }
        }
        OpCode::SetWatches => Request::SetWatches(Box::new(SetWatches::decode(r)?)),
        OpCode::SetWatches2 => {
            let mut watches = SetWatches::decode(r)?;
            watches.persistent = watched(r, "setWatches2.persistentWatches")?;
            watches.persistent_recursive = watched(r, "setWatches2.persistentRecursiveWatches")?;
            Request::SetWatches2(Box::new(watches))
        }
        OpCode::Sasl => {
            let null = r.error("sasl.token", Problem::Null);
            Request::Sasl { token: r.buffer("sasl.token")?.ok_or(null)?.into() }
        }
        OpCode::GetEphemerals => {
            // Null, as the empty prefix, stands for all of them.
            Request::GetEphemerals { prefix: r.string("prefixPath")?.unwrap_or_default() }
        }
        OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path: r.text("path")? },
        OpCode::AddWatch => Request::AddWatch { path: r.text("path")?, mode: r.int("mode")? },
        OpCode::WhoAmI => Request::WhoAmI,
        other => return Err(not_a_request(other, r)),
    })
}

/// The path of a create or delete. Java decodes a null one and fails where it looks for the parent,
/// so that the request has taken a zxid: whoever numbers them asks what could not be decoded.
pub const WRITTEN_PATH: &str = "write.path";

/// A null path of another write is refused as an empty one is, after the session was checked.
fn written_path(r: &mut Reader<'_>) -> Decoded<Box<str>> {
    Ok(r.string("path")?.unwrap_or_default())
}

fn not_a_request(op: OpCode, r: &Reader<'_>) -> DecodeError {
    r.error("request.type", Problem::Unknown(i64::from(op.code())))
}

fn encode_acl(acl: Option<&[Acl]>, out: &mut Vec<u8>) {
    match acl {
        Some(list) => Acl::encode_list(list, out),
        None => out.put_int(-1),
    }
}

impl Create {
    fn decode(r: &mut Reader<'_>) -> Decoded<Create> {
        Ok(Create {
            path: r.text(WRITTEN_PATH)?,
            data: r.buffer("create.data")?.map(Data::from),
            acl: Acl::decode_list(r)?,
            flags: r.int("create.flags")?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(&self.path);
        out.put_buffer(self.data.as_deref());
        encode_acl(self.acl.as_deref(), out);
        out.put_int(self.flags);
    }
}

impl SetWatches {
    fn decode(r: &mut Reader<'_>) -> Decoded<SetWatches> {
        Ok(SetWatches {
            relative_zxid: Zxid(r.long("setWatches.relativeZxid")?),
            data: watched(r, "setWatches.dataWatches")?,
            exist: watched(r, "setWatches.existWatches")?,
            child: watched(r, "setWatches.childWatches")?,
            ..SetWatches::default()
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_long(self.relative_zxid.0);
        out.put_texts(&self.data);
        out.put_texts(&self.exist);
        out.put_texts(&self.child);
    }
}

/// A list of paths that a request to set watches must have: a null one is refused, as by Apache.
fn watched(r: &mut Reader<'_>, what: &'static str) -> Decoded<Vec<Box<str>>> {
    let null = r.error(what, Problem::Null);
    let count = r.count(what, 4)?.ok_or(null)?;
    (0..count).map(|_| r.text(what)).collect()
}

fn is_write_of_multi(op: OpCode) -> bool {
    use OpCode::{Check, Create, Create2, CreateContainer, CreateTtl, Delete, SetData};
    [Create, Create2, CreateContainer, CreateTtl, Delete, SetData, Check].contains(&op)
}

fn is_read_of_multi(op: OpCode) -> bool {
    [OpCode::GetData, OpCode::GetChildren].contains(&op)
}

fn decode_multi(r: &mut Reader<'_>, allowed: fn(OpCode) -> bool) -> Decoded<Vec<Request>> {
    let mut ops = Vec::new();
    loop {
        let offset = r.offset();
        let (code, done) = (r.int("multi.type")?, r.bool("multi.done")?);
        r.int("multi.err")?;
        if done {
            return Ok(ops);
        }
        let problem = Problem::Unknown(i64::from(code));
        let unknown = DecodeError { what: "multi.type", offset, problem };
        let op = OpCode::from_code(code).filter(|op| allowed(*op)).ok_or(unknown)?;
        let part = Request::decode(op, r)?;
        check_part(&part, offset)?;
        ops.push(part);
    }
}

/// What Java refuses while it decodes a part of a multi: it makes options of a create's fields at
/// once, where a create that stands alone is decoded as it is and judged later.
fn check_part(part: &Request, offset: usize) -> Decoded<()> {
    let (Request::Create(create) | Request::Create2(create) | Request::CreateContainer(create)) =
        part
    else {
        return Ok(());
    };
    let error = |what, problem| Err(DecodeError { what, offset, problem });
    match (create.flags, &create.acl) {
        (0..=6, None) => error("create.acl", Problem::Null),
        // The time to live that 5 and 6 ask for has its own operation.
        (0..=4, Some(_)) => Ok(()),
        (flags, _) => error("create.flags", Problem::Unknown(i64::from(flags))),
    }
}

fn encode_multi(ops: &[Request], out: &mut Vec<u8>) {
    for op in ops {
        out.put_int(op.op().code());
        out.put_bool(false);
        out.put_int(-1);
        op.encode(out);
    }
    out.put_int(-1);
    out.put_bool(true);
    out.put_int(-1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_small_enough_to_be_moved_in_registers() {
        assert!(size_of::<Request>() <= 96, "{}", size_of::<Request>());
    }

    #[test]
    fn watches_are_set_again_from_lists_that_are_there() {
        let watches = SetWatches { persistent: vec!["/a".into()], ..SetWatches::default() };
        let request = Request::SetWatches2(Box::new(watches));
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let decode = |bytes: &[u8]| Request::decode(OpCode::SetWatches2, &mut Reader::new(bytes));
        assert_eq!(decode(&bytes), Ok(request));
        // The last list is empty; as null it is none.
        let end = bytes.len() - 4;
        bytes.splice(end.., (-1_i32).to_be_bytes());
        let why = decode(&bytes).expect_err("a null list");
        let expected = ("setWatches2.persistentRecursiveWatches", Problem::Null);
        assert_eq!((why.what, why.problem), expected);
    }

    #[track_caller]
    fn check(flags: i32, acl: Option<Vec<Acl>>, expected: Result<(), &'static str>) {
        let create = Create { path: "/a".into(), data: None, acl, flags };
        let multi = Request::Multi(vec![Request::Create(create)]);
        let mut bytes = Vec::new();
        multi.encode(&mut bytes);
        let got = Request::decode(OpCode::Multi, &mut Reader::new(&bytes));
        assert_eq!(got.map(|_| ()).map_err(|error| error.what), expected, "flags {flags}");
    }

    #[test]
    fn within_a_multi_a_create_must_mean_something_to_be_decoded() {
        let open = || Some(vec![Acl::world_all()]);
        for flags in 0..=4 {
            check(flags, open(), Ok(()));
            check(flags, Some(vec![]), Ok(()));
            check(flags, None, Err("create.acl"));
        }
        for flags in [-1, 5, 6, 7, 9] {
            check(flags, open(), Err("create.flags"));
        }
    }
}
