//! What a server said, as text that is the same on every server and in every run: zxids count from
//! the scenario's start, sessions have the names of their clients, times are there or not.
//!
//! What it leaves to others: the order of the lines.

use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{ConnectResponse, KeeperState, OpResult, ReplyBody, WatchEvent};
use bellwether_wire::{Acl, Data, ErrorCode, OpCode, Password, Perms, Reader, SessionId, Stat};

use crate::request::Place;

/// Data up to this length is shown whole.
const DATA_BYTES_SHOWN: usize = 100;

/// What is needed to write it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) place: Place,
    /// How often the root's children had changed when the scenario began.
    pub(crate) root_cversion: i32,
    sessions: Vec<(SessionId, String)>,
}

impl Shown {
    /// Names a session, after its client; a client's second one is `a2`.
    pub(crate) fn meet(&mut self, session: SessionId, client: &str) {
        if session == SessionId::NONE || self.sessions.iter().any(|(id, _)| *id == session) {
            return;
        }
        let same = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()) == client;
        let name = match self.sessions.iter().filter(|(_, name)| same(name)).count() {
            0 => client.to_owned(),
            before => format!("{client}{}", before + 1),
        };
        self.sessions.push((session, name));
    }

    pub(crate) fn path(&self, path: &str) -> String {
        if path.is_empty() {
            return "\"\"".into();
        }
        if self.place.root.is_empty() { path.into() } else { path.replace(&self.place.root, "~") }
    }

    pub(crate) fn zxid(&self, zxid: i64) -> String {
        match zxid {
            zxid if zxid <= 0 => format!("{zxid}"),
            zxid if zxid < self.place.base => "old".into(),
            zxid => format!("+{}", zxid - self.place.base),
        }
    }

    pub(crate) fn session(&self, session: i64) -> String {
        if session == 0 {
            return "none".into();
        }
        let known = self.sessions.iter().find(|(id, _)| id.0 == session);
        known.map_or_else(|| format!("0x{session:x}"), |(_, name)| name.clone())
    }

    /// A text with the names of what differs from run to run.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &self.sessions {
            text = text.replace(&format!("0x{:x}", id.0), &format!("(session {name})"));
        }
        if self.place.root.is_empty() { text } else { text.replace(&self.place.root, "~") }
    }

    pub(crate) fn connected(&self, response: &ConnectResponse, frame: &[u8]) -> String {
        let password = match response.password {
            Password(bytes) if bytes == [0; 16] => "zeros",
            password if password == response.session.password() => "derived",
            Password(_) => "other",
        };
        let first = frame.first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let protocol = if first == 0 { String::new() } else { format!(" protocol={first}") };
        let read_only = match response.read_only {
            Some(read_only) => read_only.to_string(),
            None => "absent".into(),
        };
        let (session, timeout) = (self.session(response.session.0), response.timeout_ms);
        format!(
            "connected session={session} timeout={timeout} password={password} \
             readonly={read_only}{protocol}"
        )
    }

    pub(crate) fn event(&self, event: &WatchEvent) -> String {
        let state = if event.state == KeeperState::SyncConnected {
            String::new()
        } else {
            format!(" {:?}", event.state)
        };
        let (path, zxid) = (self.path(&event.path), self.zxid(event.zxid.0));
        format!("event {:?} {path} zxid={zxid}{state}", event.event)
    }

    pub(crate) fn op(op: i32) -> String {
        OpCode::from_code(op).map_or_else(|| format!("op {op}"), |op| op.name().into())
    }

    /// A reply to an operation, or to a request that nobody knows.
    pub(crate) fn reply(
        &self,
        header: &ReplyHeader,
        op: Option<i32>,
        r: &mut Reader<'_>,
    ) -> String {
        let name = op.map_or_else(|| "unasked".into(), Shown::op);
        let mut text = format!("{name} xid={} zxid={}", header.xid, self.zxid(header.zxid.0));
        text += " ";
        if header.err != 0 {
            text += &error(header.err);
        } else if let Some(op) = op.and_then(OpCode::from_code) {
            let before = r.clone();
            match ReplyBody::decode(op, r) {
                Ok(body) => text += &self.body(&body),
                Err(problem) => {
                    text += &format!("unreadable ({problem})");
                    *r = before;
                }
            }
        } else {
            text += "ok";
        }
        if r.remaining() > 0 {
            text += &format!(" and the bytes {}", hexadecimal(r.rest()));
        }
        text
    }

    fn body(&self, body: &ReplyBody) -> String {
        match body {
            ReplyBody::Empty => "ok".into(),
            ReplyBody::ErrorRecord => "ok error=0".into(),
            ReplyBody::Token(None) => "ok token".into(),
            ReplyBody::Token(Some(token)) => format!("ok token of {} bytes", token.len()),
            ReplyBody::Path(path) => format!("ok {}", self.path(path)),
            ReplyBody::PathStat(path, stat) => {
                format!("ok {} {}", self.path(path), self.stat(stat))
            }
            ReplyBody::Stat(stat) => format!("ok {}", self.stat(stat)),
            ReplyBody::Data(data, stat) => {
                format!("ok {} {}", bytes(data.as_ref()), self.stat(stat))
            }
            ReplyBody::Acl(acl, stat) => format!("ok {} {}", entries(acl), self.stat(stat)),
            ReplyBody::Children(names) => format!("ok {}", self.names(names.names())),
            ReplyBody::Children2(names, stat) => {
                format!("ok {} {}", self.names(names.names()), self.stat(stat))
            }
            ReplyBody::Multi(results) => {
                let results: Vec<String> = results.iter().map(|r| self.result(r)).collect();
                format!("ok [{}]", results.join("; "))
            }
            ReplyBody::Ephemerals(paths) => format!("ok {}", self.names(paths.clone())),
            ReplyBody::Count(count) => format!("ok {count}"),
            ReplyBody::WhoAmI(infos) => {
                let mut infos: Vec<String> =
                    infos.iter().map(|info| format!("{}:{}", info.scheme, info.user)).collect();
                infos.sort();
                format!("ok [{}]", infos.join(", "))
            }
        }
    }

    fn result(&self, result: &OpResult) -> String {
        match result {
            OpResult::Create(path) => format!("create {}", self.path(path)),
            OpResult::CreateStat(path, stat) => {
                format!("create2 {} {}", self.path(path), self.stat(stat))
            }
            OpResult::Delete => "delete".into(),
            OpResult::SetData(stat) => format!("setData {}", self.stat(stat)),
            OpResult::Check => "check".into(),
            OpResult::GetData(data, stat) => {
                format!("getData {} {}", bytes(data.as_ref()), self.stat(stat))
            }
            OpResult::GetChildren(names) => format!("getChildren {}", self.names(names.names())),
            OpResult::Error(code) => code.to_string(),
        }
    }

    /// Sorted: Apache lists children in the order of a hash table.
    fn names(&self, names: Vec<Box<str>>) -> String {
        let own = |name: &str| self.place.root.strip_prefix('/') == Some(name);
        let shown = |name: &str| if own(name) { "~".into() } else { self.path(name) };
        let mut names: Vec<String> = names.iter().map(|name| shown(name)).collect();
        names.sort();
        format!("[{}]", names.join(", "))
    }

    fn stat(&self, stat: &Stat) -> String {
        let time = |time: i64| if time == 0 { "never" } else { "set" };
        let times = match (time(stat.ctime), time(stat.mtime)) {
            ("set", "set") => String::new(),
            (created, modified) => format!(" ctime={created} mtime={modified}"),
        };
        let owner = match stat.ephemeral_owner {
            0 => String::new(),
            owner => format!(" owner={}", self.session(owner)),
        };
        // The root's own count depends on what was played before.
        let is_root = stat.czxid.0 == 0 && stat.cversion >= self.root_cversion.max(1);
        let cversion = match is_root {
            true => format!("+{}", stat.cversion - self.root_cversion),
            false => stat.cversion.to_string(),
        };
        format!(
            "{{c={} m={} p={} version={} cversion={} aversion={} bytes={} children={}{owner}{times}}}",
            self.zxid(stat.czxid.0),
            self.zxid(stat.mzxid.0),
            self.zxid(stat.pzxid.0),
            stat.version,
            cversion,
            stat.aversion,
            stat.data_length,
            stat.num_children,
        )
    }
}

fn error(code: i32) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |code| code.to_string())
}

fn entries(acl: &[Acl]) -> String {
    let entry = |acl: &Acl| format!("{}:{}:{}", acl.scheme, acl.id, letters(acl.perms.0));
    let entries: Vec<String> = acl.iter().map(entry).collect();
    format!("[{}]", entries.join(", "))
}

fn letters(perms: i32) -> String {
    if perms & !31 != 0 || perms == 0 {
        return perms.to_string();
    }
    Perms(perms).to_string()
}

fn bytes(data: Option<&Data>) -> String {
    let Some(data) = data else { return "null".into() };
    if data.len() > DATA_BYTES_SHOWN {
        return format!("({} bytes)", data.len());
    }
    match std::str::from_utf8(data) {
        Ok(text) if !text.contains(char::is_control) => format!("{text:?}"),
        Ok(_) | Err(_) => format!("0x{}", hexadecimal(data)),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_named_after_their_clients() {
        let mut shown = Shown::default();
        for (id, client) in [(7, "a"), (8, "b"), (9, "a"), (7, "b")] {
            shown.meet(SessionId(id), client);
        }
        assert_eq!([0, 7, 8, 9, 10].map(|id| shown.session(id)), ["none", "a", "b", "a2", "0xa"]);
        assert_eq!(shown.text("0x7 and 0x9"), "(session a) and (session a2)");
    }

    #[test]
    fn zxids_count_from_the_start() {
        let shown = Shown { place: Place { root: "/s".into(), base: 10 }, ..Shown::default() };
        assert_eq!([-1, 0, 3, 10, 12].map(|zxid| shown.zxid(zxid)), ["-1", "0", "old", "+0", "+2"]);
        assert_eq!(shown.names(vec!["s".into(), "b".into(), "a".into()]), "[a, b, ~]");
    }

    #[test]
    fn data_and_permissions_are_readable() {
        assert_eq!(bytes(Some(&Data::from(*b"a \"b"))), "\"a \\\"b\"");
        assert_eq!(bytes(Some(&Data::from([0, 255]))), "0x00ff");
        assert_eq!(bytes(None), "null");
        assert_eq!([31, 17, 0, 64].map(letters), ["cdrwa", "ra", "0", "64"]);
    }
}
