//! Every reply is the truth at the zxid that it shows: reads show exactly that state, writes what
//! their own transaction did.

use super::{Asked, Checked, violation};
use crate::model::{Model, Znode};
use bellwether_tree::Identity;
use bellwether_wire::client::{NameList, OpResult, Reply, ReplyBody, Request};
use bellwether_wire::disk::{CreateTxn, Txn, TxnRecord};
use bellwether_wire::{Acl, ErrorCode, OpCode, Perms, SessionId, Zxid};

type Answer = Result<ReplyBody, ErrorCode>;

/// Whether any of the identities may do any of what is wanted.
pub(super) fn may(acl: &[Acl], wanted: Perms, identities: &[Identity]) -> bool {
    let is_world = |entry: &Acl| &*entry.scheme == "world" && &*entry.id == "anyone";
    let is_one =
        |entry: &Acl| identities.iter().any(|who| who.scheme == entry.scheme && who.id == entry.id);
    acl.is_empty()
        || acl.iter().any(|entry| entry.perms.grants(wanted) && (is_world(entry) || is_one(entry)))
}

/// A refusal for the session's sake needs a session that is ending.
pub(super) fn check_expired(reply: &Reply, closing: bool) -> Checked {
    if reply.result == Err(ErrorCode::SessionExpired) && !closing {
        return violation("sessions", format!("a living session got {reply:?}"));
    }
    Ok(())
}

/// Compares a reply with the model, which is in the state that the reply shows.
pub(super) fn check(
    model: &Model,
    (asked, session): (&Asked, SessionId),
    reply: &Reply,
    record: Option<&TxnRecord>,
) -> Checked {
    if reply.result == Err(ErrorCode::SessionExpired) && !asked.write {
        return Ok(());
    }
    let expected = match (&asked.request, record) {
        (None, None) => Some(Err(ErrorCode::MarshallingError)),
        (_, Some(record)) => {
            let zxid = record.header.zxid;
            if reply.zxid < zxid {
                return violation("replies", format!("{zxid} is answered at {}", reply.zxid));
            }
            written(model, record, reply.zxid)
        }
        (Some(_), None) if asked.write => {
            return violation("replies", format!("{asked:?} was answered and never appended"));
        }
        (Some(request), None) => read(model, request, (session, &asked.identities)),
    };
    match expected {
        Some(expected) if !same(&expected, &reply.result) => {
            let (seen, at) = (&reply.result, reply.zxid);
            violation("replies", format!("{asked:?} got {seen:?} at {at}, not {expected:?}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Names may come in any order.
fn same(expected: &Answer, seen: &Answer) -> bool {
    let sorted = |names: &NameList| {
        let mut names = names.names();
        names.sort();
        names
    };
    match (expected, seen) {
        (Ok(ReplyBody::Children(expected)), Ok(ReplyBody::Children(seen))) => {
            sorted(expected) == sorted(seen)
        }
        (Ok(ReplyBody::Children2(expected, stat)), Ok(ReplyBody::Children2(seen, seen_stat))) => {
            sorted(expected) == sorted(seen) && stat == seen_stat
        }
        (Ok(ReplyBody::Ephemerals(expected)), Ok(ReplyBody::Ephemerals(seen))) => {
            let (mut expected, mut seen) = (expected.clone(), seen.clone());
            expected.sort();
            seen.sort();
            expected == seen
        }
        (Ok(ReplyBody::Multi(expected)), Ok(ReplyBody::Multi(seen))) => {
            expected.len() == seen.len()
                && expected.iter().zip(seen).all(|(expected, seen)| match (expected, seen) {
                    (OpResult::GetChildren(expected), OpResult::GetChildren(seen)) => {
                        sorted(expected) == sorted(seen)
                    }
                    (expected, seen) => expected == seen,
                })
        }
        (expected, seen) => expected == seen,
    }
}

/// What a write must be answered with; `None` where the stat has been overtaken.
fn written(model: &Model, record: &TxnRecord, shown: Zxid) -> Option<Answer> {
    let node = |path: &str| model.nodes.get(path).filter(|_| shown == record.header.zxid);
    Some(match &record.txn {
        Txn::Error { code } => Err(ErrorCode::from_code(*code).unwrap_or(ErrorCode::SystemError)),
        Txn::Create { create, .. }
        | Txn::CreateContainer(create)
        | Txn::CreateTtl { create, .. } => {
            if record.header.op == OpCode::Create {
                Ok(ReplyBody::Path(create.path.clone()))
            } else {
                Ok(ReplyBody::PathStat(create.path.clone(), node(&create.path)?.wire_stat()))
            }
        }
        Txn::Delete { .. } | Txn::CloseSession { .. } => Ok(ReplyBody::Empty),
        Txn::SetData { path, .. } | Txn::SetAcl { path, .. } => {
            Ok(ReplyBody::Stat(node(path)?.wire_stat()))
        }
        Txn::Multi(parts) => return multi(parts),
        Txn::Check { .. } | Txn::CreateSession { .. } => Err(ErrorCode::SystemError),
    })
}

/// The stats of a multi are those of the moment between its parts, which the model has not: only
/// multis without them are compared as a whole.
fn multi(parts: &[(OpCode, Txn)]) -> Option<Answer> {
    let failed = parts.iter().any(|(_, txn)| matches!(txn, Txn::Error { .. }));
    let one = |(op, txn): &(OpCode, Txn)| {
        let refused = matches!(txn, Txn::Error { .. });
        if failed && !refused { Some(OpResult::Error(ErrorCode::Ok)) } else { part(*op, txn) }
    };
    Some(Ok(ReplyBody::Multi(parts.iter().map(one).collect::<Option<_>>()?)))
}

fn part(op: OpCode, txn: &Txn) -> Option<OpResult> {
    let path = |create: &CreateTxn| (op == OpCode::Create).then(|| create.path.clone());
    match txn {
        Txn::Create { create, .. } => path(create).map(OpResult::Create),
        Txn::Delete { .. } => Some(OpResult::Delete),
        Txn::Check { .. } => Some(OpResult::Check),
        Txn::Error { code } => ErrorCode::from_code(*code).map(OpResult::Error),
        Txn::CreateContainer(_)
        | Txn::CreateTtl { .. }
        | Txn::SetData { .. }
        | Txn::SetAcl { .. }
        | Txn::Multi(_)
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. } => None,
    }
}

/// What a read must be answered with; `None` where the model does not know.
#[expect(clippy::wildcard_enum_match_arm, reason = "only reads come here, and some say nothing")]
fn read(model: &Model, request: &Request, who: (SessionId, &[Identity])) -> Option<Answer> {
    let (session, identities) = who;
    let names = |node: &Znode| NameList::from_names(&node.children.iter().collect::<Vec<_>>());
    let readable = |path: &str| readable(model, path, identities);
    Some(match request {
        Request::Ping | Request::SetWatches(_) | Request::SetWatches2(_) => Ok(ReplyBody::Empty),
        Request::Sync { path } => Ok(ReplyBody::Path(path.clone())),
        Request::Exists { path, .. } => {
            readable(path).map(|node| ReplyBody::Stat(node.wire_stat()))
        }
        Request::GetData { path, .. } => {
            readable(path).map(|node| ReplyBody::Data(node.data.clone(), node.wire_stat()))
        }
        Request::GetChildren { path, .. } => {
            readable(path).map(|node| ReplyBody::Children(names(node)))
        }
        Request::GetChildren2 { path, .. } => {
            readable(path).map(|node| ReplyBody::Children2(names(node), node.wire_stat()))
        }
        Request::MultiRead(parts) => {
            let part = |part: &Request| match read(model, part, who)? {
                Ok(ReplyBody::Data(data, stat)) => Some(OpResult::GetData(data, stat)),
                Ok(ReplyBody::Children(names)) => Some(OpResult::GetChildren(names)),
                Ok(_) => None,
                Err(code) => Some(OpResult::Error(code)),
            };
            Ok(ReplyBody::Multi(parts.iter().map(part).collect::<Option<_>>()?))
        }
        Request::GetEphemerals { prefix } => {
            let own = model.ephemerals(session).into_iter();
            let own = own.filter(|path| path.starts_with(&**prefix)).map(Box::from);
            Ok(ReplyBody::Ephemerals(own.collect()))
        }
        Request::GetAllChildrenNumber { path } => readable(path).map(|_| {
            let below = if &**path == "/" { "/".to_string() } else { format!("{path}/") };
            let is_below = |other: &&String| other.starts_with(&below) && ***other != **path;
            let count = model.nodes.keys().filter(is_below).count();
            ReplyBody::Count(i32::try_from(count).expect("models are small"))
        }),
        Request::AddWatch { .. } => Ok(ReplyBody::ErrorRecord),
        _ => return None,
    })
}

fn readable<'m>(
    model: &'m Model,
    path: &str,
    identities: &[Identity],
) -> Result<&'m Znode, ErrorCode> {
    let node = model.nodes.get(path).ok_or(ErrorCode::NoNode)?;
    if may(&node.acl, Perms::READ, identities) { Ok(node) } else { Err(ErrorCode::NoAuth) }
}
