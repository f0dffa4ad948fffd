//! Arbitrary values of every record, as a program that follows the protocol may make them.

use arbtest::arbitrary::{Arbitrary, Result, Unstructured};
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::client::{
    ClientInfo, ConnectRequest, ConnectResponse, EventType, KeeperState, NameList, OpResult, Reply,
    ReplyBody, Request, WatchEvent,
};
use bellwether_wire::disk::{CreateTxn, FileHeader, SnapshotNode, Txn};
use bellwether_wire::disk::{TxnDigest, TxnHeader, TxnRecord};
use bellwether_wire::ops::Kind;
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, ErrorCode, OpCode, Password, Perms, SessionId, Stat, Zxid};

pub(crate) type U<'a, 'b> = &'a mut Unstructured<'b>;

pub(crate) fn any<'b, T: Arbitrary<'b>>(u: U<'_, 'b>) -> Result<T> {
    u.arbitrary()
}

pub(crate) fn text(u: U<'_, '_>) -> Result<Box<str>> {
    any(u)
}

fn data(u: U<'_, '_>) -> Result<Option<Data>> {
    Ok(any::<Option<Vec<u8>>>(u)?.map(Data::from))
}

/// At most four, so that a value is not all list.
pub(crate) fn list<'b, T>(
    u: U<'_, 'b>,
    mut one: impl FnMut(U<'_, 'b>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=4)?;
    (0..count).map(|_| one(u)).collect()
}

pub(crate) fn zxid(u: U<'_, '_>) -> Result<Zxid> {
    Ok(Zxid(any(u)?))
}

fn acl(u: U<'_, '_>) -> Result<Vec<Acl>> {
    list(u, |u| Ok(Acl { perms: Perms(any(u)?), scheme: text(u)?, id: text(u)? }))
}

fn optional_acl(u: U<'_, '_>) -> Result<Option<Vec<Acl>>> {
    if any(u)? { acl(u).map(Some) } else { Ok(None) }
}

fn stat(u: U<'_, '_>) -> Result<Stat> {
    Ok(Stat {
        czxid: zxid(u)?,
        mzxid: zxid(u)?,
        ctime: any(u)?,
        mtime: any(u)?,
        version: any(u)?,
        cversion: any(u)?,
        aversion: any(u)?,
        ephemeral_owner: any(u)?,
        data_length: any(u)?,
        num_children: any(u)?,
        pzxid: zxid(u)?,
    })
}

fn names(u: U<'_, '_>) -> Result<NameList> {
    Ok(NameList::from_names(&list(u, text)?))
}

pub(crate) fn connect_request(u: U<'_, '_>) -> Result<ConnectRequest> {
    Ok(ConnectRequest {
        protocol_version: any(u)?,
        last_zxid_seen: zxid(u)?,
        timeout_ms: any(u)?,
        session: SessionId(any(u)?),
        password: any::<Vec<u8>>(u)?.into(),
        read_only: any(u)?,
    })
}

pub(crate) fn connect_response(u: U<'_, '_>) -> Result<ConnectResponse> {
    Ok(ConnectResponse {
        timeout_ms: any(u)?,
        session: SessionId(any(u)?),
        password: Password(any(u)?),
        read_only: any(u)?,
    })
}

pub(crate) fn event(u: U<'_, '_>) -> Result<WatchEvent> {
    let event = u.int_in_range(-1..=7)?;
    let state = *u.choose(&[0, 3, 4, 5, 6, -112, 7])?;
    Ok(WatchEvent {
        zxid: zxid(u)?,
        event: EventType::from_code(event).unwrap_or(EventType::None),
        state: KeeperState::from_code(state).expect("every one of these is in the table"),
        path: text(u)?,
    })
}

fn create(u: U<'_, '_>) -> Result<Create> {
    Ok(Create { path: text(u)?, data: data(u)?, acl: optional_acl(u)?, flags: any(u)? })
}

fn set_watches(u: U<'_, '_>) -> Result<SetWatches> {
    Ok(SetWatches {
        relative_zxid: zxid(u)?,
        data: list(u, text)?,
        exist: list(u, text)?,
        child: list(u, text)?,
        ..SetWatches::default()
    })
}

/// A request of any operation that clients may send.
pub(crate) fn request(u: U<'_, '_>) -> Result<Request> {
    let sent = OpCode::ALL.iter().filter(|op| op.kind() != Kind::Internal);
    let op = *u.choose(&sent.collect::<Vec<_>>())?;
    request_of(*op, u)
}

fn request_of(op: OpCode, u: U<'_, '_>) -> Result<Request> {
    use OpCode as Op;
    Ok(match op {
        Op::Create => Request::Create(create(u)?),
        Op::Create2 => Request::Create2(create(u)?),
        Op::CreateContainer => Request::CreateContainer(create(u)?),
        Op::CreateTtl => Request::CreateTtl { create: create(u)?, ttl_ms: any(u)? },
        Op::Delete => Request::Delete { path: text(u)?, version: any(u)? },
        Op::Exists => Request::Exists { path: text(u)?, watch: any(u)? },
        Op::GetData => Request::GetData { path: text(u)?, watch: any(u)? },
        Op::SetData => Request::SetData { path: text(u)?, data: data(u)?, version: any(u)? },
        Op::GetAcl => Request::GetAcl { path: text(u)? },
        Op::SetAcl => Request::SetAcl { path: text(u)?, acl: optional_acl(u)?, version: any(u)? },
        Op::GetChildren => Request::GetChildren { path: text(u)?, watch: any(u)? },
        Op::GetChildren2 => Request::GetChildren2 { path: text(u)?, watch: any(u)? },
        Op::Sync => Request::Sync { path: text(u)? },
        Op::Check => Request::Check { path: text(u)?, version: any(u)? },
        Op::Multi => Request::Multi(list(u, |u| {
            let parts = [Op::Create, Op::Create2, Op::CreateContainer, Op::CreateTtl];
            let parts = [&parts[..], &[Op::Delete, Op::SetData, Op::Check]].concat();
            let mut part = request_of(*u.choose(&parts)?, u)?;
            if let Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create) = &mut part
            {
                // Within a multi Java decodes these two fields into what they mean at once.
                create.flags = u.int_in_range(0..=4)?;
                create.acl.get_or_insert_default();
            }
            Ok(part)
        })?),
        Op::MultiRead => Request::MultiRead(list(u, |u| {
            request_of(*u.choose(&[Op::GetData, Op::GetChildren])?, u)
        })?),
        Op::Reconfig => Request::Reconfig {
            joining: any(u)?,
            leaving: any(u)?,
            members: any(u)?,
            version: any(u)?,
        },
        Op::CheckWatches => Request::CheckWatches { path: text(u)?, watcher: any(u)? },
        Op::RemoveWatches => Request::RemoveWatches { path: text(u)?, watcher: any(u)? },
        Op::Auth => {
            Request::Auth { scheme: text(u)?, auth: any::<Option<Vec<u8>>>(u)?.map(Box::from) }
        }
        Op::SetWatches => Request::SetWatches(Box::new(set_watches(u)?)),
        Op::SetWatches2 => Request::SetWatches2(Box::new(SetWatches {
            persistent: list(u, text)?,
            persistent_recursive: list(u, text)?,
            ..set_watches(u)?
        })),
        Op::Sasl => Request::Sasl { token: any::<Vec<u8>>(u)?.into() },
        Op::GetEphemerals => Request::GetEphemerals { prefix: text(u)? },
        Op::GetAllChildrenNumber => Request::GetAllChildrenNumber { path: text(u)? },
        Op::AddWatch => Request::AddWatch { path: text(u)?, mode: any(u)? },
        Op::WhoAmI => Request::WhoAmI,
        Op::CloseSession => Request::CloseSession,
        Op::Ping | Op::Notification | Op::DeleteContainer | Op::CreateSession | Op::Error => {
            Request::Ping
        }
    })
}

fn error(u: U<'_, '_>) -> Result<ErrorCode> {
    let errors = ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::Ok);
    Ok(**u.choose(&errors.collect::<Vec<_>>())?)
}

/// A reply, and the operation that it answers.
pub(crate) fn reply(u: U<'_, '_>) -> Result<(OpCode, Reply)> {
    let op = *u.choose(OpCode::ALL)?;
    let result = if u.ratio(1, 8)? { Err(error(u)?) } else { Ok(reply_body(op, u)?) };
    Ok((op, Reply { xid: any(u)?, zxid: zxid(u)?, result }))
}

fn reply_body(op: OpCode, u: U<'_, '_>) -> Result<ReplyBody> {
    use OpCode as Op;
    Ok(match op {
        Op::Create | Op::Sync => ReplyBody::Path(text(u)?),
        Op::Create2 | Op::CreateContainer | Op::CreateTtl => {
            ReplyBody::PathStat(text(u)?, stat(u)?)
        }
        Op::Exists | Op::SetData | Op::SetAcl => ReplyBody::Stat(stat(u)?),
        Op::GetData | Op::Reconfig => ReplyBody::Data(data(u)?, stat(u)?),
        Op::GetAcl => ReplyBody::Acl(acl(u)?, stat(u)?),
        Op::GetChildren => ReplyBody::Children(names(u)?),
        Op::GetChildren2 => ReplyBody::Children2(names(u)?, stat(u)?),
        Op::Multi | Op::MultiRead => ReplyBody::Multi(list(u, result_of_part)?),
        Op::GetEphemerals => ReplyBody::Ephemerals(list(u, text)?),
        Op::GetAllChildrenNumber => ReplyBody::Count(any(u)?),
        Op::AddWatch => ReplyBody::ErrorRecord,
        Op::Sasl => ReplyBody::Token(data(u)?),
        Op::WhoAmI => {
            ReplyBody::WhoAmI(list(u, |u| Ok(ClientInfo { scheme: text(u)?, user: text(u)? }))?)
        }
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

fn result_of_part(u: U<'_, '_>) -> Result<OpResult> {
    Ok(match u.int_in_range(0..=7)? {
        0 => OpResult::Create(text(u)?),
        1 => OpResult::CreateStat(text(u)?, stat(u)?),
        2 => OpResult::Delete,
        3 => OpResult::SetData(stat(u)?),
        4 => OpResult::Check,
        5 => OpResult::GetData(data(u)?, stat(u)?),
        6 => OpResult::GetChildren(names(u)?),
        _ => OpResult::Error(error(u)?),
    })
}

fn create_txn(u: U<'_, '_>) -> Result<CreateTxn> {
    Ok(CreateTxn { path: text(u)?, data: data(u)?, acl: acl(u)?, parent_cversion: any(u)? })
}

/// Operations that make the transactions of a multi.
const PARTS: [OpCode; 8] = [
    OpCode::Create,
    OpCode::Create2,
    OpCode::CreateContainer,
    OpCode::CreateTtl,
    OpCode::Delete,
    OpCode::SetData,
    OpCode::Check,
    OpCode::Error,
];

/// Operations that make transactions only by themselves.
const ALONE: [OpCode; 6] = [
    OpCode::SetAcl,
    OpCode::Multi,
    OpCode::Reconfig,
    OpCode::DeleteContainer,
    OpCode::CreateSession,
    OpCode::CloseSession,
];

pub(crate) fn txn(u: U<'_, '_>) -> Result<TxnRecord> {
    let op = *u.choose(&[&PARTS[..], &ALONE].concat())?;
    let header = TxnHeader {
        session: SessionId(any(u)?),
        cxid: any(u)?,
        zxid: zxid(u)?,
        time_ms: any(u)?,
        op,
    };
    // No tree has the digest 0, which after a closeSession without a list would read as a list.
    let digest = any::<Option<i64>>(u)?.filter(|digest| *digest != 0);
    let digest = digest.map(|digest| TxnDigest { version: TxnDigest::VERSION, digest });
    Ok(TxnRecord { header, txn: txn_body(op, u)?, digest })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "callers choose among the other operations")]
fn txn_body(op: OpCode, u: U<'_, '_>) -> Result<Txn> {
    use OpCode as Op;
    Ok(match op {
        Op::Create | Op::Create2 => Txn::Create { create: create_txn(u)?, ephemeral: any(u)? },
        Op::CreateContainer => Txn::CreateContainer(create_txn(u)?),
        Op::CreateTtl => Txn::CreateTtl { create: create_txn(u)?, ttl_ms: any(u)? },
        Op::Delete | Op::DeleteContainer => Txn::Delete { path: text(u)? },
        Op::SetData | Op::Reconfig => {
            Txn::SetData { path: text(u)?, data: data(u)?, version: any(u)? }
        }
        Op::SetAcl => Txn::SetAcl { path: text(u)?, acl: acl(u)?, version: any(u)? },
        Op::Check => Txn::Check { path: text(u)?, version: any(u)? },
        Op::Multi => Txn::Multi(list(u, |u| {
            let op = *u.choose(&PARTS)?;
            Ok((op, txn_body(op, u)?))
        })?),
        Op::CreateSession => Txn::CreateSession { timeout_ms: any(u)? },
        Op::CloseSession => {
            Txn::CloseSession { paths: if any(u)? { Some(list(u, text)?) } else { None } }
        }
        _ => Txn::Error { code: any(u)? },
    })
}

pub(crate) fn node(u: U<'_, '_>) -> Result<SnapshotNode> {
    let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, pzxid, .. } = stat(u)?;
    Ok(SnapshotNode {
        path: text(u)?,
        data: data(u)?,
        acl_id: any(u)?,
        stat: StatPersisted {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner: any(u)?,
            pzxid,
        },
    })
}

pub(crate) fn file_header(u: U<'_, '_>) -> Result<FileHeader> {
    Ok(FileHeader { magic: any(u)?, version: any(u)?, dbid: any(u)? })
}
