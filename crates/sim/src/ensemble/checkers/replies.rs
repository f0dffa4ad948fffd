//! Every reply is the truth at the zxid that it shows: reads show exactly that state, writes what
//! their own transaction did.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::client::Asked;
use crate::ensemble::truth::Truth;
use bellwether_wire::client::{OpResult, Reply, ReplyBody, Request};
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{ErrorCode, OpCode, Zxid};

const PROMISE: &str = "replies";

type Answer = Result<ReplyBody, ErrorCode>;

/// Compares the answer to a write with its transaction.
pub(in crate::ensemble) fn written(
    asked: &Asked,
    reply: &Reply,
    (record, truth): (&TxnRecord, &Truth),
) -> Checked {
    let zxid = record.header.zxid;
    if reply.zxid < zxid {
        return violation(PROMISE, format!("{zxid} is answered at {}", reply.zxid));
    }
    compare(asked, reply, outcome(record, truth))
}

/// Compares the answer to a read with the state that it shows.
pub(in crate::ensemble) fn read(asked: &Asked, reply: &Reply, truth: &Truth) -> Checked {
    compare(asked, reply, state(&asked.request, reply.zxid, truth))
}

fn compare(asked: &Asked, reply: &Reply, expected: Option<Answer>) -> Checked {
    match expected {
        Some(expected) if !same(&expected, &reply.result) => {
            let (seen, at) = (&reply.result, reply.zxid);
            violation(PROMISE, format!("{asked:?} got {seen:?} at {at}, not {expected:?}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Names may come in any order.
fn same(expected: &Answer, seen: &Answer) -> bool {
    match (expected, seen) {
        (Ok(ReplyBody::Children(expected)), Ok(ReplyBody::Children(seen))) => {
            sorted(expected.names()) == sorted(seen.names())
        }
        (Ok(ReplyBody::Children2(expected, stat)), Ok(ReplyBody::Children2(seen, seen_stat))) => {
            sorted(expected.names()) == sorted(seen.names()) && stat == seen_stat
        }
        (expected, seen) => expected == seen,
    }
}

fn sorted(mut names: Vec<Box<str>>) -> Vec<Box<str>> {
    names.sort();
    names
}

/// What a write must be answered with.
fn outcome(record: &TxnRecord, truth: &Truth) -> Option<Answer> {
    let stat = |path: &str| truth.at(path, record.header.zxid).map(|state| state.stat);
    Some(match &record.txn {
        Txn::Error { code } => Err(ErrorCode::from_code(*code).unwrap_or(ErrorCode::SystemError)),
        Txn::Create { create, .. } if record.header.op == OpCode::Create => {
            Ok(ReplyBody::Path(create.path.clone()))
        }
        Txn::Create { create, .. }
        | Txn::CreateContainer(create)
        | Txn::CreateTtl { create, .. } => {
            Ok(ReplyBody::PathStat(create.path.clone(), stat(&create.path)?))
        }
        Txn::Delete { .. } | Txn::CloseSession { .. } => Ok(ReplyBody::Empty),
        Txn::SetData { path, .. } | Txn::SetAcl { path, .. } => Ok(ReplyBody::Stat(stat(path)?)),
        Txn::Multi(parts) => return multi(parts),
        Txn::Check { .. } | Txn::CreateSession { .. } => return None, // No client asks for these.
    })
}

/// The stats of a multi are those of the moment between its parts, which nobody else sees.
fn multi(parts: &[(OpCode, Txn)]) -> Option<Answer> {
    let failed = parts.iter().any(|(_, txn)| matches!(txn, Txn::Error { .. }));
    let one = |(_, txn): &(OpCode, Txn)| {
        Some(match txn {
            Txn::Error { code } => OpResult::Error(ErrorCode::from_code(*code)?),
            _ if failed => OpResult::Error(ErrorCode::Ok),
            Txn::Create { create, .. } => OpResult::Create(create.path.clone()),
            Txn::Delete { .. } => OpResult::Delete,
            Txn::Check { .. } => OpResult::Check,
            Txn::CreateContainer(_)
            | Txn::CreateTtl { .. }
            | Txn::SetData { .. }
            | Txn::SetAcl { .. }
            | Txn::Multi(_)
            | Txn::CreateSession { .. }
            | Txn::CloseSession { .. } => return None,
        })
    };
    Some(Ok(ReplyBody::Multi(parts.iter().map(one).collect::<Option<_>>()?)))
}

/// What a read must be answered with; `None` where it shows nothing of the tree.
#[expect(clippy::wildcard_enum_match_arm, reason = "only reads come here, and some say nothing")]
fn state(request: &Request, zxid: Zxid, truth: &Truth) -> Option<Answer> {
    let at = |path: &str| truth.at(path, zxid).ok_or(ErrorCode::NoNode);
    let names = |path: &str| {
        let names = truth.children_at(path, zxid);
        bellwether_wire::client::NameList::from_names(&names)
    };
    Some(match request {
        Request::Ping => Ok(ReplyBody::Empty),
        Request::Sync { path } => Ok(ReplyBody::Path(path.clone())),
        Request::Exists { path, .. } => at(path).map(|state| ReplyBody::Stat(state.stat)),
        Request::GetData { path, .. } => {
            at(path).map(|state| ReplyBody::Data(state.data.clone(), state.stat))
        }
        Request::GetChildren { path, .. } => at(path).map(|_| ReplyBody::Children(names(path))),
        Request::GetChildren2 { path, .. } => {
            at(path).map(|state| ReplyBody::Children2(names(path), state.stat))
        }
        Request::AddWatch { .. } => Ok(ReplyBody::ErrorRecord),
        _ => return None,
    })
}
