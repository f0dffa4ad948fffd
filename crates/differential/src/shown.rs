//! What a server said, as text that does not depend on the server: zxids have names, times are only
//! there or not, sessions have the order of their appearance, names of children are sorted.

use crate::zxids::Zxids;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{ConnectResponse, OpResult, ReplyBody, WatchEvent};
use bellwether_wire::ops::Kind;
use bellwether_wire::{ErrorCode, OpCode, Password, Reader, SessionId, Stat};

/// What is needed to write it.
pub(crate) struct Shown {
    pub(crate) prefix: String,
    pub(crate) zxids: Zxids,
    /// The root's stat at the start.
    pub(crate) root: Stat,
    sessions: Vec<SessionId>,
}

impl Shown {
    pub(crate) fn new(prefix: String) -> Shown {
        Shown { prefix, zxids: Zxids::default(), root: Stat::default(), sessions: Vec::new() }
    }

    pub(crate) fn path(&self, path: &str) -> String {
        path.replace(&self.prefix, "~")
    }

    fn session(&mut self, session: i64) -> String {
        if session == 0 {
            return "nobody".into();
        }
        match self.sessions.iter().position(|s| s.0 == session) {
            Some(at) => format!("session {at}"),
            None => "unknown session".into(),
        }
    }

    /// Whether a session has been seen before.
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains(&session)
    }

    pub(crate) fn connected(&mut self, response: &ConnectResponse, frame: &[u8]) -> String {
        let session = response.session;
        if session != SessionId::NONE && !self.sessions.contains(&session) {
            self.sessions.push(session);
        }
        let password = match response.password {
            Password(bytes) if bytes == [0; 16] => "zeros",
            password if password == session.password() => "its own",
            Password(_) => "other",
        };
        format!(
            "{} timeout {} password {password} read-only {:?} {} bytes protocol {:?}",
            self.session(session.0),
            response.timeout_ms,
            response.read_only,
            frame.len(),
            frame.get(..4),
        )
    }

    pub(crate) fn event(&mut self, event: &WatchEvent, err: i32) -> String {
        format!(
            "event {:?} {:?} {:?} zxid {} err {err}",
            event.event,
            event.state,
            self.path(&event.path),
            self.zxids.of_header(event.zxid.0)
        )
    }

    pub(crate) fn reply(
        &mut self,
        slot: usize,
        header: &ReplyHeader,
        op: i32,
        r: &mut Reader<'_>,
    ) -> String {
        let name = OpCode::from_code(op).map_or_else(|| format!("op {op}"), |op| op.name().into());
        let zxid = self.reply_zxid(slot, header, op);
        let mut text = format!("{name} xid {} zxid {zxid} ", header.xid);
        if header.err != 0 {
            text += &self.error(header.err);
            if op == OpCode::MultiRead.code() {
                // Apache sends what it had of the results, which no client reads.
                return text;
            }
        } else if let Some(op) = OpCode::from_code(op) {
            let rest = r.rest();
            match ReplyBody::decode(op, r) {
                Ok(body) => text += &self.body(op, 0, Some(&body)),
                Err(error) => text += &format!("unreadable body ({error}): {rest:x?}"),
            }
        }
        if r.remaining() > 0 {
            text += &format!(" and {} bytes more", r.remaining());
        }
        text
    }

    fn reply_zxid(&mut self, slot: usize, header: &ReplyHeader, op: i32) -> String {
        let is_write = OpCode::from_code(op).is_some_and(|op| op.kind() == Kind::Write);
        // What cannot be decoded becomes no transaction.
        let is_decoded = header.err != ErrorCode::MarshallingError.code();
        if is_write && is_decoded {
            self.zxids.name(header.zxid.0, slot, header.xid);
        } else if self.zxids.are_together() {
            // Which of the others' writes it comes after is open.
            return "any".into();
        }
        self.zxids.of_header(header.zxid.0)
    }

    fn error(&self, code: i32) -> String {
        ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |code| code.to_string())
    }

    pub(crate) fn body(&mut self, op: OpCode, err: i32, body: Option<&ReplyBody>) -> String {
        let Some(body) = body else { return format!("{op} {}", self.error(err)) };
        match body {
            ReplyBody::Empty | ReplyBody::ErrorRecord | ReplyBody::Token(None) => "ok".into(),
            ReplyBody::Token(Some(token)) => format!("token {}", bytes(Some(token))),
            ReplyBody::Path(path) => format!("{:?}", self.path(path)),
            ReplyBody::PathStat(path, stat) => {
                format!("{:?} {}", self.path(path), self.stat(stat))
            }
            ReplyBody::Stat(stat) => self.stat(stat),
            ReplyBody::Data(data, stat) => {
                format!("{} {}", bytes(data.as_deref()), self.stat(stat))
            }
            ReplyBody::Acl(acl, stat) => {
                // Which of several identities `auth` becomes first is open in Apache's server.
                let mut acl: Vec<String> =
                    acl.iter().map(|a| format!("{}:{}:{}", a.scheme, a.id, a.perms.0)).collect();
                acl.sort();
                format!("{acl:?} {}", self.stat(stat))
            }
            ReplyBody::Children(names) => self.names(names.names()),
            ReplyBody::Children2(names, stat) => {
                format!("{} {}", self.names(names.names()), self.stat(stat))
            }
            ReplyBody::Multi(results) => {
                let results: Vec<String> = results.iter().map(|r| self.result(r)).collect();
                format!("[{}]", results.join("; "))
            }
            ReplyBody::Ephemerals(paths) => self.names(paths.clone()),
            ReplyBody::Count(count) => format!("{count}"),
            ReplyBody::WhoAmI(infos) => {
                let mut infos: Vec<String> =
                    infos.iter().map(|i| format!("{}:{}", i.scheme, i.user)).collect();
                infos.sort();
                format!("{infos:?}")
            }
        }
    }

    fn result(&mut self, result: &OpResult) -> String {
        match result {
            OpResult::Create(path) => format!("create {:?}", self.path(path)),
            OpResult::CreateStat(path, stat) => {
                format!("create2 {:?} {}", self.path(path), self.stat(stat))
            }
            OpResult::Delete => "delete".into(),
            OpResult::SetData(stat) => format!("setData {}", self.stat(stat)),
            OpResult::Check => "check".into(),
            OpResult::GetData(data, stat) => {
                format!("getData {} {}", bytes(data.as_deref()), self.stat(stat))
            }
            OpResult::GetChildren(names) => format!("getChildren {}", self.names(names.names())),
            OpResult::Error(code) => code.to_string(),
        }
    }

    fn names(&self, names: Vec<Box<str>>) -> String {
        let mut names: Vec<String> = names.iter().map(|name| self.run_name(name)).collect();
        names.sort();
        format!("{names:?}")
    }

    /// The root's child of this run has another name in every run.
    fn run_name(&self, name: &str) -> String {
        if self.prefix.strip_prefix('/') == Some(name) { "~".into() } else { self.path(name) }
    }

    fn stat(&mut self, stat: &Stat) -> String {
        let is_root = stat.czxid.0 == 0 && stat.num_children == self.root.num_children + 1;
        let (cversion, version) = match is_root {
            true => (stat.cversion - self.root.cversion, stat.version - self.root.version),
            false => (stat.cversion, stat.version),
        };
        let time = |time: i64| if time == 0 { "never" } else { "once" };
        format!(
            "{{c {} m {} p {} ctime {} mtime {} v {version} cv {cversion} av {} owner {} len {} children {}}}",
            self.zxids.of_node(stat.czxid.0),
            self.zxids.of_node(stat.mzxid.0),
            self.zxids.of_node(stat.pzxid.0),
            time(stat.ctime),
            time(stat.mtime),
            stat.aversion,
            self.session(stat.ephemeral_owner),
            stat.data_length,
            stat.num_children
        )
    }
}

fn bytes(data: Option<&[u8]>) -> String {
    match data {
        None => "null".into(),
        Some(data) if data.len() > 16 => format!("{} bytes", data.len()),
        Some(data) => data.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "h",
    }
}
