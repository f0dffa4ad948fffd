//! The audit log: what is written down of a request, and the line that it becomes.
//!
//! Only writes are audited, refused ones too, and the ephemeral nodes that end with their session.
//! What a line needs of the request is put aside when that is proposed, because the connection may
//! be gone when its outcome is known; the line is an effect of the reply step, on the server that
//! has the connection.
//!
//! Fields, their order, and what is left out are Apache's. One thing is not: a control character in
//! a value is escaped, since who may write a path could write lines otherwise.

use crate::event::ConnId;
use bellwether_tree::{Change, ChangeKind, Identity};
use bellwether_wire::client::{OpResult, ReplyBody, Request};
use bellwether_wire::{Acl, ErrorCode, SessionId, Zxid};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Whose doing it was.
    pub actor: Actor,
    /// What was done.
    pub operation: Operation,
    /// To which node, if it is one.
    pub znode: Option<Box<str>>,
    /// What kind of node was to be created: a name of [`znode_type`].
    pub znode_type: Option<&'static str>,
    /// The ACL that was to be set, as it was asked for.
    pub acl: Option<Box<[Acl]>>,
    /// What came of it.
    pub result: AuditResult,
}

/// Whose doing an audited operation was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client's: its session, and the identities it had when it asked.
    Client(SessionId, Arc<[Identity]>),
    /// The server's, for the sake of this session.
    ServerFor(SessionId),
    /// The server's.
    Server,
}

impl Actor {
    /// The session that it was for.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Actor::Client(session, _) | Actor::ServerFor(session) => Some(*session),
            Actor::Server => None,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Delete,
    SetData,
    SetAcl,
    /// Several at once, which failed: those of one that succeeded have a line each.
    Multi,
    Reconfig,
    /// An ephemeral node was deleted because its session ended.
    EphemeralDeleted,
    ServerStart,
    ServerStop,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditResult {
    Success,
    Failure,
    /// It has begun; nobody may be there to tell its end.
    Invoked,
}

impl Operation {
    /// Its name in a line.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::SetData => "setData",
            Operation::SetAcl => "setAcl",
            Operation::Multi => "multiOperation",
            Operation::Reconfig => "reconfig",
            Operation::EphemeralDeleted => "ephemeralZNodeDeletionOnSessionCloseOrExpire",
            Operation::ServerStart => "serverStart",
            Operation::ServerStop => "serverStop",
        }
    }
}

impl AuditResult {
    fn name(self) -> &'static str {
        match self {
            AuditResult::Success => "success",
            AuditResult::Failure => "failure",
            AuditResult::Invoked => "invoked",
        }
    }
}

impl AuditEvent {
    /// Something that the server did for itself.
    pub fn of_server(operation: Operation, result: AuditResult) -> AuditEvent {
        let actor = Actor::Server;
        AuditEvent { actor, operation, znode: None, znode_type: None, acl: None, result }
    }

    /// The line, without its time. `server_user` is who runs the server.
    pub fn line(&self, server_user: &str) -> String {
        let mut line = Line::default();
        match &self.actor {
            Actor::Client(session, identities) => {
                line.field("session", format_args!("{session}"));
                let users = users(identities);
                if !users.is_empty() {
                    line.field("user", format_args!("{users}"));
                }
                if let Some(ip) = identities.iter().find(|identity| &*identity.scheme == "ip") {
                    line.field("ip", format_args!("{}", ip.id));
                }
            }
            Actor::ServerFor(session) => {
                line.field("session", format_args!("{session}"));
                line.field("user", format_args!("{server_user}"));
            }
            Actor::Server => line.field("user", format_args!("{server_user}")),
        }
        line.field("operation", format_args!("{}", self.operation.name()));
        if let Some(znode) = &self.znode {
            line.field("znode", format_args!("{znode}"));
        }
        if let Some(znode_type) = self.znode_type {
            line.field("znode_type", format_args!("{znode_type}"));
        }
        if let Some(acl) = &self.acl {
            // Nothing stands between its entries.
            let text: String = acl.iter().map(Acl::to_string).collect();
            line.field("acl", format_args!("{text}"));
        }
        line.field("result", format_args!("{}", self.result.name()));
        line.text
    }
}

/// `name=value` pairs with tabs between them.
#[derive(Default)]
struct Line {
    text: String,
}

impl Line {
    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let tab = if self.text.is_empty() { "" } else { "\t" };
        write!(self.text, "{tab}{name}=").expect("writing to a String succeeds");
        for c in value.to_string().chars() {
            if c.is_control() {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
        }
    }
}

/// The names of a client's identities: of a digest the user, of super nothing.
fn users(identities: &[Identity]) -> String {
    let names = identities.iter().filter_map(|identity| match &*identity.scheme {
        "digest" => identity.id.split(':').next(),
        "super" => None,
        _ => Some(&*identity.id),
    });
    names.filter(|name| !name.trim().is_empty()).collect::<Vec<_>>().join(",")
}

/// What a create's flags ask for, in Apache's words.
pub fn znode_type(flags: i32) -> Option<&'static str> {
    Some(match flags {
        0 => "persistent",
        1 => "ephemeral",
        2 => "persistent_sequential",
        3 => "ephemeral_sequential",
        4 => "container",
        5 => "persistent_with_ttl",
        6 => "persistent_sequential_with_ttl",
        _ => return None,
    })
}

/// What is put aside of a request for its line.
#[derive(Debug)]
pub(crate) struct Asked {
    session: SessionId,
    identities: Arc<[Identity]>,
    what: What,
}

#[derive(Debug)]
enum What {
    One {
        operation: Operation,
        znode: Option<Box<str>>,
        znode_type: Option<&'static str>,
        acl: Option<Box<[Acl]>>,
    },
    /// Per part that has a line if all succeed: its operation, and the path where it is known.
    Multi(Vec<Option<(Operation, Box<str>)>>, BTreeMap<Box<str>, &'static str>),
}

/// Requests whose lines wait for their outcome, in the order of their zxids. Empty where nothing is
/// audited.
#[derive(Debug, Default)]
pub(crate) struct Audits {
    waiting: VecDeque<(Zxid, Asked)>,
    /// What a learner forwarded, by connection and xid: it has no zxid yet.
    forwarded: BTreeMap<(ConnId, i32), Asked>,
}

impl Audits {
    pub(crate) fn put(&mut self, zxid: Zxid, asked: Asked) {
        self.waiting.push_back((zxid, asked));
    }

    pub(crate) fn put_forwarded(&mut self, request: (ConnId, i32), asked: Asked) {
        self.forwarded.insert(request, asked);
    }

    /// What was forwarded for this connection.
    pub(crate) fn take_forwarded(&mut self, request: (ConnId, i32)) -> Option<Asked> {
        self.forwarded.remove(&request)
    }

    /// What was asked by the transaction whose turn it is.
    pub(crate) fn take(&mut self, zxid: Zxid) -> Option<Asked> {
        let oldest = self.waiting.front();
        assert!(oldest.is_none_or(|(oldest, _)| *oldest >= zxid), "transactions apply in order");
        self.waiting.pop_front_if(|(waiting, _)| *waiting == zxid).map(|(_, asked)| asked)
    }
}

impl Asked {
    /// What to put aside of a write; `None` for one that has no line. As in Apache, a request has
    /// none either whose flags mean nothing or whose ACL is null: its server fails to write it.
    pub(crate) fn of(
        request: Option<&Request>,
        session: SessionId,
        identities: &Arc<[Identity]>,
    ) -> Option<Asked> {
        let what = match request {
            // Of the writes only a multi is proposed though it cannot be decoded.
            None => What::Multi(Vec::new(), BTreeMap::new()),
            Some(request) => What::of(request)?,
        };
        Some(Asked { session, identities: Arc::clone(identities), what })
    }

    /// The lines, once it is known what came of it.
    pub(crate) fn lines(
        self,
        result: &Result<ReplyBody, ErrorCode>,
        mut out: impl FnMut(AuditEvent),
    ) {
        let Asked { session, identities, what } = self;
        let actor = Actor::Client(session, identities);
        match what {
            What::One { operation, znode, znode_type, acl } => {
                // What was created may have got a number.
                let created = match result {
                    Ok(ReplyBody::Path(path) | ReplyBody::PathStat(path, _)) => Some(path.clone()),
                    Ok(_) | Err(_) => None,
                };
                let result =
                    if result.is_ok() { AuditResult::Success } else { AuditResult::Failure };
                let znode = created.or(znode);
                out(AuditEvent { actor, operation, znode, znode_type, acl, result });
            }
            What::Multi(parts, types) => {
                let results = multi_results(result);
                let Some(results) = results else {
                    let (operation, result) = (Operation::Multi, AuditResult::Failure);
                    out(AuditEvent {
                        actor,
                        operation,
                        znode: None,
                        znode_type: None,
                        acl: None,
                        result,
                    });
                    return;
                };
                for (part, result) in parts.into_iter().zip(results) {
                    let Some((operation, path)) = part else { continue };
                    let znode = created_path(result).unwrap_or(path);
                    // Apache looks the kind up by the path that was asked for.
                    let is_create = operation == Operation::Create;
                    let znode_type = types.get(&znode).copied().filter(|_| is_create);
                    let (actor, znode) = (actor.clone(), Some(znode));
                    let result = AuditResult::Success;
                    out(AuditEvent { actor, operation, znode, znode_type, acl: None, result });
                }
            }
        }
    }
}

/// The results of a multi's parts; `None` if it failed.
fn multi_results(result: &Result<ReplyBody, ErrorCode>) -> Option<&[OpResult]> {
    match result {
        Ok(ReplyBody::Multi(results)) => {
            let failed = results.iter().any(|result| matches!(result, OpResult::Error(_)));
            (!failed).then_some(results)
        }
        Ok(_) | Err(_) => None,
    }
}

fn created_path(result: &OpResult) -> Option<Box<str>> {
    match result {
        OpResult::Create(path) | OpResult::CreateStat(path, _) => Some(path.clone()),
        OpResult::Delete
        | OpResult::SetData(_)
        | OpResult::Check
        | OpResult::GetData(..)
        | OpResult::GetChildren(_)
        | OpResult::Error(_) => None,
    }
}

impl What {
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else has no line")]
    fn of(request: &Request) -> Option<What> {
        let one = |operation, path: &str| What::One {
            operation,
            znode: Some(path.into()),
            znode_type: None,
            acl: None,
        };
        Some(match request {
            Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create)
            | Request::CreateTtl { create, .. } => What::One {
                operation: Operation::Create,
                znode: Some(create.path.clone()),
                znode_type: Some(znode_type(create.flags)?),
                acl: None,
            },
            Request::Delete { path, .. } => one(Operation::Delete, path),
            Request::SetData { path, .. } => one(Operation::SetData, path),
            Request::SetAcl { path, acl, .. } => What::One {
                operation: Operation::SetAcl,
                znode: Some(path.clone()),
                znode_type: None,
                acl: Some(acl.as_deref()?.into()),
            },
            Request::Reconfig { .. } => What::One {
                operation: Operation::Reconfig,
                znode: None,
                znode_type: None,
                acl: None,
            },
            Request::Multi(parts) => {
                let mut types = BTreeMap::new();
                for part in parts {
                    // A TTL node's kind is not looked at in a multi.
                    if let Request::Create(create)
                    | Request::Create2(create)
                    | Request::CreateContainer(create) = part
                    {
                        types.insert(create.path.clone(), znode_type(create.flags)?);
                    }
                }
                What::Multi(parts.iter().map(part).collect(), types)
            }
            _ => return None,
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else has no line")]
fn part(request: &Request) -> Option<(Operation, Box<str>)> {
    Some(match request {
        Request::Create(create)
        | Request::Create2(create)
        | Request::CreateContainer(create)
        | Request::CreateTtl { create, .. } => (Operation::Create, create.path.clone()),
        Request::Delete { path, .. } => (Operation::Delete, path.clone()),
        Request::SetData { path, .. } => (Operation::SetData, path.clone()),
        _ => return None,
    })
}

/// The lines of a session's end: one per node that ended with it.
pub(crate) fn ended(session: SessionId, changes: &[Change], mut out: impl FnMut(AuditEvent)) {
    for change in changes {
        if change.kind == ChangeKind::Deleted {
            out(AuditEvent {
                actor: Actor::ServerFor(session),
                operation: Operation::EphemeralDeleted,
                znode: Some(change.path.clone()),
                znode_type: None,
                acl: None,
                result: AuditResult::Success,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::Perms;
    use bellwether_wire::client::request::Create;

    fn identity(scheme: &str, id: &str) -> Identity {
        Identity { scheme: scheme.into(), id: id.into() }
    }

    /// The lines of a request, tabs as bars, after `result`.
    fn check(request: &Request, result: Result<ReplyBody, ErrorCode>, expected: &[&str]) {
        let identities: Arc<[Identity]> = Arc::new([
            identity("ip", "10.0.0.1"),
            identity("digest", "ann:hash="),
            identity("super", ""),
            identity("digest", " :hash="),
            identity("digest", "super:hash="),
        ]);
        let mut lines = Vec::new();
        if let Some(asked) = Asked::of(Some(request), SessionId(-1), &identities) {
            asked.lines(&result, |event| lines.push(event.line("server").replace('\t', "|")));
        }
        let head = "session=0xffffffffffffffff|user=10.0.0.1,ann,super|ip=10.0.0.1|operation=";
        let expected: Vec<String> = expected.iter().map(|rest| format!("{head}{rest}")).collect();
        assert_eq!(lines, expected);
    }

    fn create(path: &str, flags: i32) -> Request {
        Request::Create(Create { path: path.into(), data: None, acl: None, flags })
    }

    #[test]
    fn a_line_has_what_was_asked_and_the_path_that_came_of_it() {
        check(
            &create("/s-", 2),
            Ok(ReplyBody::Path("/s-0000000001".into())),
            &["create|znode=/s-0000000001|znode_type=persistent_sequential|result=success"],
        );
        check(
            &create("/s-", 3),
            Err(ErrorCode::NoAuth),
            &["create|znode=/s-|znode_type=ephemeral_sequential|result=failure"],
        );
        let world = Acl { perms: Perms::READ, ..Acl::world_all() };
        let acl = Some(vec![world, Acl { scheme: "ip".into(), ..Acl::world_all() }]);
        check(
            &Request::SetAcl { path: "/a".into(), acl, version: 0 },
            Err(ErrorCode::BadVersion),
            &["setAcl|znode=/a|acl=world:anyone:rip:anyone:cdrwa|result=failure"],
        );
    }

    #[test]
    fn what_apaches_server_fails_to_write_has_no_line() {
        check(&create("/a", 9), Err(ErrorCode::BadArguments), &[]);
        let null = Request::SetAcl { path: "/a".into(), acl: None, version: 0 };
        check(&null, Err(ErrorCode::InvalidAcl), &[]);
        check(&Request::Multi(vec![create("/a", 9)]), Err(ErrorCode::BadArguments), &[]);
        check(&Request::CloseSession, Ok(ReplyBody::Empty), &[]);
    }

    #[test]
    fn a_multi_is_a_line_per_part_or_one_that_it_failed() {
        let delete = Request::Delete { path: "/b".into(), version: -1 };
        let multi = Request::Multi(vec![create("/a", 0), delete]);
        let done = vec![OpResult::Create("/a".into()), OpResult::Delete];
        check(
            &multi,
            Ok(ReplyBody::Multi(done)),
            &[
                "create|znode=/a|znode_type=persistent|result=success",
                "delete|znode=/b|result=success",
            ],
        );
        let failed = vec![OpResult::Error(ErrorCode::Ok), OpResult::Error(ErrorCode::NoNode)];
        check(&multi, Ok(ReplyBody::Multi(failed)), &["multiOperation|result=failure"]);
        check(&multi, Err(ErrorCode::SessionExpired), &["multiOperation|result=failure"]);
    }

    #[test]
    fn nobody_can_write_lines_or_fields_of_their_own() {
        check(
            &create("/a\nsession=0x1\tuser=root\u{85}", 0),
            Err(ErrorCode::BadArguments),
            &[
                "create|znode=/a\\nsession=0x1\\tuser=root\\u{85}|znode_type=persistent|result=failure",
            ],
        );
    }

    #[test]
    fn the_server_signs_its_own_doings() {
        let event = AuditEvent::of_server(Operation::ServerStop, AuditResult::Invoked);
        assert_eq!(event.line("zk"), "user=zk\toperation=serverStop\tresult=invoked");
        let change =
            |kind| Change { kind, path: "/e".into(), acl: Arc::new([]), parent_acl: Arc::new([]) };
        let changes = [change(ChangeKind::Deleted), change(ChangeKind::Created)];
        let mut lines = Vec::new();
        ended(SessionId(1), &changes, |event| lines.push(event.line("zk")));
        let operation = "ephemeralZNodeDeletionOnSessionCloseOrExpire";
        let expected =
            format!("session=0x1\tuser=zk\toperation={operation}\tznode=/e\tresult=success");
        assert_eq!(lines, [expected]);
    }
}
