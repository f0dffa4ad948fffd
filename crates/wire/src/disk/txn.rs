//! Transactions as the log and the quorum protocol carry them: header, body, digest.

use crate::Data;
use crate::acl::Acl;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::limits::MAX_MULTI_DEPTH;
use crate::ops::OpCode;
use crate::session::SessionId;
use crate::zxid::Zxid;

/// What every transaction has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session that asked for it; an ephemeral node belongs to it.
    pub session: SessionId,
    /// The client's xid.
    pub cxid: i32,
    /// Its place in the order of all transactions.
    pub zxid: Zxid,
    /// The leader's wall clock when it was prepared, milliseconds since 1970.
    pub time_ms: i64,
    /// The operation. Its body is in [`Txn`], and it says more: create and create2 share a body.
    pub op: OpCode,
}

/// The fields of every kind of create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTxn {
    /// The full path, sequence number included.
    pub path: Box<str>,
    /// Data of the new node.
    pub data: Option<Data>,
    /// ACL of the new node.
    pub acl: Vec<Acl>,
    /// What the parent's stored cversion becomes; -1 (logs of 3.3) means one more than it is.
    pub parent_cversion: i32,
}

/// A transaction's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Txn {
    /// create and create2.
    Create { create: CreateTxn, ephemeral: bool },
    /// createContainer.
    CreateContainer(CreateTxn),
    /// createTTL.
    CreateTtl { create: CreateTxn, ttl_ms: i64 },
    /// delete and deleteContainer.
    Delete { path: Box<str> },
    /// setData and reconfig; `version` is the node's new one.
    SetData { path: Box<str>, data: Option<Data>, version: i32 },
    /// setACL; `version` is the node's new aversion.
    SetAcl { path: Box<str>, acl: Vec<Acl>, version: i32 },
    /// check, only within a multi.
    Check { path: Box<str>, version: i32 },
    /// multi: operation and body of each part.
    Multi(Vec<(OpCode, Txn)>),
    /// createSession.
    CreateSession { timeout_ms: i32 },
    /// closeSession: the ephemeral nodes to delete; `None` (logs before 3.6) means those there are.
    CloseSession { paths: Option<Vec<Box<str>>> },
    /// A write that was refused, with the code's number.
    Error { code: i32 },
}

/// The digest of the tree after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnDigest {
    /// How it was computed; digests of different versions do not compare.
    pub version: i32,
    /// The digest.
    pub digest: i64,
}

impl TxnDigest {
    /// The version of 3.6 and later.
    pub const VERSION: i32 = 2;
}

/// A whole transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRecord {
    /// Header.
    pub header: TxnHeader,
    /// Body.
    pub txn: Txn,
    /// Digest, where digests are enabled.
    pub digest: Option<TxnDigest>,
}

impl TxnRecord {
    /// Appends the payload of a log record.
    pub fn encode(&self, out: &mut impl Put) {
        self.header.encode(out);
        self.txn.encode(out);
        if let Some(digest) = &self.digest {
            out.put_int(digest.version);
            out.put_long(digest.digest);
        }
    }

    /// How long the payload is, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        let mut length = Length(0);
        self.encode(&mut length);
        length.0
    }

    /// Reads the payload of a log record. Bytes after it are ignored, as Apache ignores them.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only two bodies depend on the log's age")]
    pub fn decode(bytes: &[u8]) -> Decoded<TxnRecord> {
        let r = &mut Reader::new(bytes);
        let header = TxnHeader::decode(r)?;
        let txn = match header.op {
            OpCode::Create => decode_create_of_any_age(r)?,
            OpCode::CloseSession => decode_close_of_any_age(r),
            op => Txn::decode(op, r, 0)?,
        };
        let digest = decode_digest(r);
        Ok(TxnRecord { header, txn, digest })
    }
}

impl TxnHeader {
    /// Reads a header.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<TxnHeader> {
        let session = SessionId(r.long("txn.clientId")?);
        let cxid = r.int("txn.cxid")?;
        let zxid = Zxid(r.long("txn.zxid")?);
        let time_ms = r.long("txn.time")?;
        Ok(TxnHeader { session, cxid, zxid, time_ms, op: decode_op(r)? })
    }

    /// Appends a header.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_long(self.session.0);
        out.put_int(self.cxid);
        out.put_long(self.zxid.0);
        out.put_long(self.time_ms);
        out.put_int(self.op.code());
    }
}

fn decode_op(r: &mut Reader<'_>) -> Decoded<OpCode> {
    let offset = r.offset();
    let code = r.int("txn.type")?;
    let problem = Problem::Unknown(i64::from(code));
    OpCode::from_code(code).ok_or(DecodeError { what: "txn.type", offset, problem })
}

/// A digest may be missing, and what follows the body may be too short to be one.
fn decode_digest(r: &mut Reader<'_>) -> Option<TxnDigest> {
    let version = r.int("digest.version").ok()?;
    Some(TxnDigest { version, digest: r.long("digest.treeDigest").ok()? })
}

/// Logs of 3.3 have no parentCVersion: where the body is too short, it is read again without.
fn decode_create_of_any_age(r: &mut Reader<'_>) -> Decoded<Txn> {
    let mut old = r.clone();
    match Txn::decode(OpCode::Create, r, 0) {
        Err(DecodeError { problem: Problem::Truncated, .. }) => {
            let create = CreateTxn::decode_without_cversion(&mut old)?;
            let ephemeral = old.bool("create.ephemeral")?;
            *r = old;
            Ok(Txn::Create { create, ephemeral })
        }
        result => result,
    }
}

/// Before 3.6 a closeSession had no body, and a digest may follow at once. Apache reads the list
/// and takes a failure for "no list"; a digest's version (2) and the halves of its value can look
/// like a list only if their lengths fit, so the whole must fit to be believed.
fn decode_close_of_any_age(r: &mut Reader<'_>) -> Txn {
    let mut with_list = r.clone();
    match with_list.texts("closeSession.paths2Delete") {
        Ok(paths) if r.remaining() > 0 => {
            *r = with_list;
            Txn::CloseSession { paths: Some(paths) }
        }
        Ok(_) | Err(_) => Txn::CloseSession { paths: None },
    }
}

impl CreateTxn {
    fn decode_without_cversion(r: &mut Reader<'_>) -> Decoded<CreateTxn> {
        Ok(CreateTxn {
            path: r.text("create.path")?,
            data: r.buffer("create.data")?.map(Data::from),
            acl: Acl::decode_list(r)?.unwrap_or_default(),
            parent_cversion: -1,
        })
    }

    fn encode_without_cversion(&self, out: &mut impl Put) {
        out.put_text(&self.path);
        out.put_data(self.data.as_ref());
        Acl::encode_list(&self.acl, out);
    }
}

impl Txn {
    /// Reads the body of `op`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most operations make no transaction")]
    fn decode(op: OpCode, r: &mut Reader<'_>, depth: usize) -> Decoded<Txn> {
        Ok(match op {
            OpCode::Create | OpCode::Create2 => {
                let mut create = CreateTxn::decode_without_cversion(r)?;
                let ephemeral = r.bool("create.ephemeral")?;
                create.parent_cversion = r.int("create.parentCVersion")?;
                Txn::Create { create, ephemeral }
            }
            OpCode::CreateContainer => {
                let mut create = CreateTxn::decode_without_cversion(r)?;
                create.parent_cversion = r.int("create.parentCVersion")?;
                Txn::CreateContainer(create)
            }
            OpCode::CreateTtl => {
                let mut create = CreateTxn::decode_without_cversion(r)?;
                create.parent_cversion = r.int("create.parentCVersion")?;
                Txn::CreateTtl { create, ttl_ms: r.long("create.ttl")? }
            }
            OpCode::Delete | OpCode::DeleteContainer => {
                Txn::Delete { path: r.text("delete.path")? }
            }
            OpCode::SetData | OpCode::Reconfig => Txn::SetData {
                path: r.text("setData.path")?,
                data: r.buffer("setData.data")?.map(Data::from),
                version: r.int("setData.version")?,
            },
            OpCode::SetAcl => Txn::SetAcl {
                path: r.text("setACL.path")?,
                acl: Acl::decode_list(r)?.unwrap_or_default(),
                version: r.int("setACL.version")?,
            },
            OpCode::Check => {
                Txn::Check { path: r.text("check.path")?, version: r.int("check.version")? }
            }
            OpCode::Multi if depth < MAX_MULTI_DEPTH => Txn::Multi(decode_parts(r, depth + 1)?),
            OpCode::CreateSession => Txn::CreateSession { timeout_ms: r.int("timeOut")? },
            OpCode::CloseSession => {
                Txn::CloseSession { paths: Some(r.texts("closeSession.paths2Delete")?) }
            }
            OpCode::Error => Txn::Error { code: r.int("error.err")? },
            other => {
                let problem = Problem::Unknown(i64::from(other.code()));
                return Err(r.error("txn.type", problem));
            }
        })
    }

    /// How many bytes of data it puts into nodes, which is what makes a transaction large.
    pub fn data_bytes(&self) -> usize {
        let len = |data: &Option<Data>| data.as_ref().map_or(0, |data| data.len());
        match self {
            Txn::Create { create, .. }
            | Txn::CreateContainer(create)
            | Txn::CreateTtl { create, .. } => len(&create.data),
            Txn::SetData { data, .. } => len(data),
            Txn::Multi(parts) => parts.iter().map(|(_, part)| part.data_bytes()).sum(),
            Txn::Delete { .. }
            | Txn::SetAcl { .. }
            | Txn::Check { .. }
            | Txn::CreateSession { .. }
            | Txn::CloseSession { .. }
            | Txn::Error { .. } => 0,
        }
    }

    /// How long the body is, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        let mut length = Length(0);
        self.encode(&mut length);
        length.0
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut impl Put) {
        match self {
            Txn::Create { create, ephemeral } => {
                create.encode_without_cversion(out);
                out.put_bool(*ephemeral);
                out.put_int(create.parent_cversion);
            }
            Txn::CreateContainer(create) => {
                create.encode_without_cversion(out);
                out.put_int(create.parent_cversion);
            }
            Txn::CreateTtl { create, ttl_ms } => {
                create.encode_without_cversion(out);
                out.put_int(create.parent_cversion);
                out.put_long(*ttl_ms);
            }
            Txn::Delete { path } => out.put_text(path),
            Txn::SetData { path, data, version } => {
                out.put_text(path);
                out.put_data(data.as_ref());
                out.put_int(*version);
            }
            Txn::SetAcl { path, acl, version } => {
                out.put_text(path);
                Acl::encode_list(acl, out);
                out.put_int(*version);
            }
            Txn::Check { path, version } => {
                out.put_text(path);
                out.put_int(*version);
            }
            Txn::Multi(parts) => encode_parts(parts, out),
            Txn::CreateSession { timeout_ms } => out.put_int(*timeout_ms),
            Txn::CloseSession { paths: Some(paths) } => out.put_texts(paths),
            Txn::CloseSession { paths: None } => {}
            Txn::Error { code } => out.put_int(*code),
        }
    }
}

/// Counts what would be written.
struct Length(usize);

impl Put for Length {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

fn decode_parts(r: &mut Reader<'_>, depth: usize) -> Decoded<Vec<(OpCode, Txn)>> {
    let count = r.count("multi.txns", 8)?.unwrap_or(0);
    (0..count)
        .map(|_| {
            let op = decode_op(r)?;
            let start = r.offset() + 4;
            let body = r.buffer("multi.data")?.unwrap_or_default();
            let txn = Txn::decode(op, &mut Reader::new(body), depth)
                .map_err(|e| DecodeError { offset: start + e.offset, ..e })?;
            Ok((op, txn))
        })
        .collect()
}

fn encode_parts(parts: &[(OpCode, Txn)], out: &mut impl Put) {
    out.put_len(parts.len());
    for (op, txn) in parts {
        out.put_int(op.code());
        out.put_len(txn.encoded_bytes());
        txn.encode(out);
    }
}
