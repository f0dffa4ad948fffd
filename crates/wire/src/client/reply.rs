//! Replies: header, and a body per operation, which is left out when there is an error.

use crate::Data;
use crate::acl::Acl;
use crate::errors::ErrorCode;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::ops::OpCode;
use crate::stat::Stat;
use crate::zxid::Zxid;
use std::sync::Arc;

/// A reply to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's own xid.
    pub xid: i32,
    /// The newest transaction that the server had applied.
    pub zxid: Zxid,
    /// The result, or the error and nothing else.
    pub result: Result<ReplyBody, ErrorCode>,
}

/// What a successful operation returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// Nothing: delete, ping, auth, setWatches, closeSession, checkWatches, removeWatches.
    Empty,
    /// create, sync.
    Path(Box<str>),
    /// create2, createContainer, createTTL.
    PathStat(Box<str>, Stat),
    /// exists, setData, setACL.
    Stat(Stat),
    /// getData, reconfig.
    Data(Option<Data>, Stat),
    /// getACL.
    Acl(Vec<Acl>, Stat),
    /// getChildren.
    Children(NameList),
    /// getChildren2.
    Children2(NameList, Stat),
    /// multi, multiRead.
    Multi(Vec<OpResult>),
    /// getEphemerals.
    Ephemerals(Vec<Box<str>>),
    /// getAllChildrenNumber.
    Count(i32),
    /// addWatch, which answers with an error record that says 0.
    ErrorRecord,
    /// sasl: the server's next word; null if it has none, or takes no part.
    Token(Option<Data>),
    /// whoAmI.
    WhoAmI(Vec<ClientInfo>),
}

/// One identity of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// How it was established.
    pub scheme: Box<str>,
    /// Who it is, without any secret.
    pub user: Box<str>,
}

/// The result of one operation within a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    Create(Box<str>),
    /// Of create2, createContainer and createTTL alike.
    CreateStat(Box<str>, Stat),
    Delete,
    SetData(Stat),
    Check,
    GetData(Option<Data>, Stat),
    GetChildren(NameList),
    Error(ErrorCode),
}

/// Names of children, encoded as they travel, in shared pieces: a reply with a million names
/// shares the tree's memory instead of copying it.
#[derive(Clone, Debug, Default)]
pub struct NameList {
    count: usize,
    /// Invariant: together they hold exactly `count` encoded strings.
    chunks: Vec<Arc<[u8]>>,
}

impl NameList {
    /// A list from encoded pieces that hold `count` names together.
    pub fn from_chunks(count: usize, chunks: Vec<Arc<[u8]>>) -> NameList {
        NameList { count, chunks }
    }

    /// Encodes `names` into one piece.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> NameList {
        let mut out = Vec::new();
        for name in names {
            out.put_text(name.as_ref());
        }
        NameList { count: names.len(), chunks: vec![out.into()] }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The names.
    pub fn names(&self) -> Vec<Box<str>> {
        let mut names = Vec::with_capacity(self.count);
        for chunk in &self.chunks {
            let mut r = Reader::new(chunk);
            while let Ok(name) = r.text("child") {
                names.push(name);
            }
        }
        names
    }

    /// Its length on the wire, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        4 + self.chunks.iter().map(|chunk| chunk.len()).sum::<usize>()
    }

    fn encode(&self, out: &mut impl Put) {
        out.put_len(self.count);
        for chunk in &self.chunks {
            out.put_shared(chunk);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Decoded<NameList> {
        let names = r.texts("children")?;
        Ok(NameList::from_names(&names))
    }
}

impl PartialEq for NameList {
    /// The names count, not how they are cut into pieces.
    fn eq(&self, other: &NameList) -> bool {
        self.names() == other.names()
    }
}

impl Eq for NameList {}

impl Reply {
    /// Appends header and body.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(self.xid);
        out.put_long(self.zxid.0);
        match &self.result {
            Ok(body) => {
                out.put_int(0);
                body.encode(out);
            }
            Err(code) => out.put_int(code.code()),
        }
    }
}

/// A reply's header, as a client reads it before it knows which request the reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's own xid, or one of [`crate::client::xid`].
    pub xid: i32,
    /// The newest transaction that the server had applied.
    pub zxid: Zxid,
    /// The error's number, which may be unknown.
    pub err: i32,
}

impl ReplyHeader {
    /// Reads a header.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<ReplyHeader> {
        let (xid, zxid) = (r.int("reply.xid")?, Zxid(r.long("reply.zxid")?));
        Ok(ReplyHeader { xid, zxid, err: r.int("reply.err")? })
    }
}

impl ReplyBody {
    fn encode(&self, out: &mut impl Put) {
        match self {
            ReplyBody::Empty => {}
            ReplyBody::Path(path) => out.put_text(path),
            ReplyBody::PathStat(path, stat) => {
                out.put_text(path);
                stat.encode(out);
            }
            ReplyBody::Stat(stat) => stat.encode(out),
            ReplyBody::Data(data, stat) => {
                out.put_data(data.as_ref());
                stat.encode(out);
            }
            ReplyBody::Acl(acl, stat) => {
                Acl::encode_list(acl, out);
                stat.encode(out);
            }
            ReplyBody::Children(names) => names.encode(out),
            ReplyBody::Children2(names, stat) => {
                names.encode(out);
                stat.encode(out);
            }
            ReplyBody::Multi(results) => encode_results(results, out),
            ReplyBody::Ephemerals(paths) => out.put_texts(paths),
            ReplyBody::Count(count) => out.put_int(*count),
            ReplyBody::ErrorRecord => out.put_int(0),
            ReplyBody::Token(token) => out.put_data(token.as_ref()),
            ReplyBody::WhoAmI(infos) => {
                out.put_len(infos.len());
                for info in infos {
                    out.put_text(&info.scheme);
                    out.put_text(&info.user);
                }
            }
        }
    }

    /// Reads the body of a successful reply to `op`.
    pub fn decode(op: OpCode, r: &mut Reader<'_>) -> Decoded<ReplyBody> {
        use OpCode as Op;
        Ok(match op {
            Op::Create | Op::Sync => ReplyBody::Path(r.text("path")?),
            Op::Create2 | Op::CreateContainer | Op::CreateTtl => {
                ReplyBody::PathStat(r.text("path")?, Stat::decode(r)?)
            }
            Op::Exists | Op::SetData | Op::SetAcl => ReplyBody::Stat(Stat::decode(r)?),
            Op::GetData | Op::Reconfig => {
                ReplyBody::Data(r.buffer("data")?.map(Data::from), Stat::decode(r)?)
            }
            Op::GetAcl => {
                ReplyBody::Acl(Acl::decode_list(r)?.unwrap_or_default(), Stat::decode(r)?)
            }
            Op::GetChildren => ReplyBody::Children(NameList::decode(r)?),
            Op::GetChildren2 => ReplyBody::Children2(NameList::decode(r)?, Stat::decode(r)?),
            Op::Multi | Op::MultiRead => ReplyBody::Multi(decode_results(r)?),
            Op::GetEphemerals => ReplyBody::Ephemerals(r.texts("ephemerals")?),
            Op::GetAllChildrenNumber => ReplyBody::Count(r.int("totalNumber")?),
            Op::AddWatch => {
                r.int("err")?;
                ReplyBody::ErrorRecord
            }
            Op::WhoAmI => ReplyBody::WhoAmI(decode_infos(r)?),
            Op::Sasl => ReplyBody::Token(r.buffer("token")?.map(Data::from)),
            Op::Delete
            | Op::Ping
            | Op::Check
            | Op::CheckWatches
            | Op::RemoveWatches
            | Op::Auth
            | Op::SetWatches
            | Op::SetWatches2
            | Op::CloseSession
            | Op::Notification
            | Op::DeleteContainer
            | Op::CreateSession
            | Op::Error => ReplyBody::Empty,
        })
    }
}

fn decode_infos(r: &mut Reader<'_>) -> Decoded<Vec<ClientInfo>> {
    let count = r.count("clientInfo", 8)?.unwrap_or(0);
    (0..count)
        .map(|_| {
            Ok(ClientInfo {
                scheme: r.string("authScheme")?.unwrap_or_default(),
                user: r.string("user")?.unwrap_or_default(),
            })
        })
        .collect()
}

fn result_header(out: &mut impl Put, op: OpCode, err: i32) {
    out.put_int(op.code());
    out.put_bool(false);
    out.put_int(err);
}

fn encode_results(results: &[OpResult], out: &mut impl Put) {
    for result in results {
        match result {
            OpResult::Create(path) => {
                result_header(out, OpCode::Create, 0);
                out.put_text(path);
            }
            OpResult::CreateStat(path, stat) => {
                result_header(out, OpCode::Create2, 0);
                out.put_text(path);
                stat.encode(out);
            }
            OpResult::Delete => result_header(out, OpCode::Delete, 0),
            OpResult::SetData(stat) => {
                result_header(out, OpCode::SetData, 0);
                stat.encode(out);
            }
            OpResult::Check => result_header(out, OpCode::Check, 0),
            OpResult::GetData(data, stat) => {
                result_header(out, OpCode::GetData, 0);
                out.put_data(data.as_ref());
                stat.encode(out);
            }
            OpResult::GetChildren(names) => {
                result_header(out, OpCode::GetChildren, 0);
                names.encode(out);
            }
            OpResult::Error(code) => {
                result_header(out, OpCode::Error, code.code());
                out.put_int(code.code());
            }
        }
    }
    out.put_int(-1);
    out.put_bool(true);
    out.put_int(-1);
}

fn decode_results(r: &mut Reader<'_>) -> Decoded<Vec<OpResult>> {
    let mut results = Vec::new();
    loop {
        let offset = r.offset();
        let (code, done) = (r.int("result.type")?, r.bool("result.done")?);
        r.int("result.err")?;
        if done {
            return Ok(results);
        }
        let problem = Problem::Unknown(i64::from(code));
        let unknown = DecodeError { what: "result.type", offset, problem };
        results.push(match code {
            1 => OpResult::Create(r.text("path")?),
            15 => OpResult::CreateStat(r.text("path")?, Stat::decode(r)?),
            2 => OpResult::Delete,
            5 => OpResult::SetData(Stat::decode(r)?),
            13 => OpResult::Check,
            4 => OpResult::GetData(r.buffer("data")?.map(Data::from), Stat::decode(r)?),
            8 => OpResult::GetChildren(NameList::decode(r)?),
            -1 => {
                let err = ErrorCode::from_code(r.int("result.error")?);
                OpResult::Error(err.ok_or(unknown)?)
            }
            _ => return Err(unknown),
        });
    }
}
