//! Effects as lines of a trace: short, and the same on every run.

use bellwether_tree::Exceeded;
use bellwether_wire::client::{OpResult, Reply, ReplyBody, WatchEvent};
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{Acl, ErrorCode, OpCode, SessionId, Stat, Zxid};
use std::collections::BTreeMap;

/// What has a name in a trace because its number says nothing to a reader.
#[derive(Debug)]
pub(crate) struct Names {
    sessions: BTreeMap<SessionId, usize>,
    /// The wall clock when the server started first; times are shown relative to it.
    wall_start_ms: i64,
}

impl Names {
    pub(crate) fn new(wall_start_ms: i64) -> Names {
        Names { sessions: BTreeMap::new(), wall_start_ms }
    }

    /// `s1`, `s2` … in the order in which they were seen.
    pub(crate) fn session(&mut self, session: SessionId) -> String {
        if session == SessionId::NONE {
            return "no session".to_string();
        }
        let next = self.sessions.len() + 1;
        format!("s{}", self.sessions.entry(session).or_insert(next))
    }

    /// A transaction.
    pub(crate) fn record(&mut self, record: &TxnRecord) -> String {
        let header = &record.header;
        let txn = self.txn(header.op, header.session, &record.txn);
        format!("{} {txn}", header.zxid)
    }

    fn txn(&mut self, op: OpCode, session: SessionId, txn: &Txn) -> String {
        match txn {
            Txn::Create { create, ephemeral } => {
                let ephemeral = if *ephemeral { " ephemeral" } else { "" };
                format!("{op} {}{ephemeral}", create.path)
            }
            Txn::CreateContainer(create) => format!("{op} {}", create.path),
            Txn::CreateTtl { create, ttl_ms } => format!("{op} {} ttl={ttl_ms}", create.path),
            Txn::Delete { path } => format!("{op} {path}"),
            Txn::SetData { path, version, .. }
            | Txn::SetAcl { path, version, .. }
            | Txn::Check { path, version } => format!("{op} {path} version={version}"),
            Txn::Multi(parts) => {
                let parts: Vec<_> =
                    parts.iter().map(|(op, txn)| self.txn(*op, session, txn)).collect();
                format!("{op} [{}]", parts.join("; "))
            }
            Txn::CreateSession { timeout_ms } => {
                format!("{op} {} timeout={timeout_ms}", self.session(session))
            }
            Txn::CloseSession { paths } => {
                let paths = paths.as_deref().unwrap_or_default().join(" ");
                let space = if paths.is_empty() { "" } else { " " };
                format!("{op} {}{space}{paths}", self.session(session))
            }
            Txn::Error { code } => format!("{op} {}", error_name(*code)),
        }
    }

    /// A reply.
    pub(crate) fn reply(&mut self, reply: &Reply) -> String {
        let result = match &reply.result {
            Ok(body) => self.body(body),
            Err(code) => code.to_string(),
        };
        format!("reply xid={} zxid={} {result}", reply.xid, signed(reply.zxid))
    }

    fn body(&mut self, body: &ReplyBody) -> String {
        match body {
            ReplyBody::Empty => "ok".to_string(),
            ReplyBody::Path(path) => format!("ok {path}"),
            ReplyBody::PathStat(path, stat) => format!("ok {path} {}", self.stat(stat)),
            ReplyBody::Stat(stat) => format!("ok {}", self.stat(stat)),
            ReplyBody::Data(bytes, stat) => {
                format!("ok {} {}", data(bytes.as_deref()), self.stat(stat))
            }
            ReplyBody::Acl(list, stat) => {
                let list: Vec<_> = list.iter().map(Acl::to_string).collect();
                format!("ok [{}] {}", list.join(","), self.stat(stat))
            }
            ReplyBody::Children(names) => format!("ok [{}]", sorted(&names.names())),
            ReplyBody::Children2(names, stat) => {
                format!("ok [{}] {}", sorted(&names.names()), self.stat(stat))
            }
            ReplyBody::Multi(results) => {
                let results: Vec<_> = results.iter().map(|result| self.result(result)).collect();
                format!("ok [{}]", results.join("; "))
            }
            ReplyBody::Ephemerals(paths) => format!("ok [{}]", sorted(paths)),
            ReplyBody::Count(count) => format!("ok {count}"),
            ReplyBody::ErrorRecord => "ok error=0".to_string(),
            ReplyBody::Token(None) => "ok token=null".to_string(),
            ReplyBody::Token(Some(token)) => format!("ok token of {} bytes", token.len()),
            ReplyBody::WhoAmI(infos) => {
                let infos: Vec<_> =
                    infos.iter().map(|info| format!("{}:{}", info.scheme, info.user)).collect();
                format!("ok [{}]", infos.join(" "))
            }
        }
    }

    fn result(&mut self, result: &OpResult) -> String {
        match result {
            OpResult::Create(path) => format!("create {path}"),
            OpResult::CreateStat(path, stat) => format!("create2 {path} {}", self.stat(stat)),
            OpResult::Delete => "delete".to_string(),
            OpResult::SetData(stat) => format!("setData {}", self.stat(stat)),
            OpResult::Check => "check".to_string(),
            OpResult::GetData(bytes, stat) => {
                format!("getData {} {}", data(bytes.as_deref()), self.stat(stat))
            }
            OpResult::GetChildren(names) => format!("getChildren [{}]", sorted(&names.names())),
            OpResult::Error(code) => code.to_string(),
        }
    }

    /// A stat without the fields that are 0. The times are relative to the server's first start.
    fn stat(&mut self, stat: &Stat) -> String {
        let mut out = format!("c={} m={} p={}", stat.czxid, stat.mzxid, stat.pzxid);
        let counts = [
            ("version", stat.version),
            ("cversion", stat.cversion),
            ("aversion", stat.aversion),
            ("bytes", stat.data_length),
            ("children", stat.num_children),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            out.push_str(&format!(" {name}={count}"));
        }
        if stat.ephemeral_owner != 0 {
            out.push_str(&format!(" owner={}", self.session(SessionId(stat.ephemeral_owner))));
        }
        for (name, time) in [("ctime", stat.ctime), ("mtime", stat.mtime)] {
            let relative = time - self.wall_start_ms;
            if time != 0 && relative != 0 {
                out.push_str(&format!(" {name}={relative:+}"));
            }
        }
        out
    }
}

/// A write that exceeds a quota.
pub(crate) fn exceeded(exceeded: &Exceeded) -> String {
    let Exceeded { on, measure, value, limit, refused } = exceeded;
    let refused = if *refused { ", refused" } else { "" };
    format!("exceeded {on} {measure:?}={value} {limit:?}{refused}")
}

/// A watch event.
pub(crate) fn event(event: &WatchEvent) -> String {
    format!("event {:?} {} zxid={}", event.event, event.path, signed(event.zxid))
}

fn error_name(code: i32) -> String {
    ErrorCode::from_code(code).map_or_else(|| code.to_string(), |code| code.to_string())
}

/// -1 stands for "none" and reads badly in hexadecimal.
fn signed(zxid: Zxid) -> String {
    if zxid.0 < 0 { zxid.0.to_string() } else { zxid.to_string() }
}

fn data(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_string(), |bytes| format!("{:?}", String::from_utf8_lossy(bytes)))
}

/// The order of children is the table's own affair.
fn sorted(names: &[Box<str>]) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.join(" ")
}
