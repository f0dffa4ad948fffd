//! Scripts of requests and what they answer: `who op arguments => answer`, a line each.
//!
//! [`check`] runs every script twice: each request applied before the next one is prepared, and all
//! writes prepared before the first is applied. The answers must be the same.

use bellwether_tree::{Caller, Identity, Now, Pending, Stamp, Tree, TreeOptions, Write};
use bellwether_wire::client::request::Create;
use bellwether_wire::client::{OpResult, ReplyBody, Request};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{Acl, ErrorCode, OwnerFormat, Perms, SessionId, Stat, Zxid};

pub(crate) fn options() -> TreeOptions {
    TreeOptions { owner_format: OwnerFormat::EXTENDED, ..TreeOptions::new([1, 2]) }
}

pub(crate) fn at(mono_ms: u64) -> Now {
    Now { mono_ms, wall_ms: 1_000_000 }
}

/// A tree, what is pending, and the transactions that wait to be applied.
pub(crate) struct World {
    pub(crate) tree: Tree,
    pub(crate) pending: Pending,
    pub(crate) zxid: i64,
    waiting: Vec<(String, TxnRecord)>,
    pub(crate) log: Vec<TxnRecord>,
}

/// Session 1 is `s1`: its caller is known by its address and, from `s2` on, by a digest too. The
/// caller of `s0` is super; a session's id is never 0.
pub(crate) fn session(who: &str) -> SessionId {
    match who.trim_start_matches('s').parse().expect("sessions are s0, s1 …") {
        0 => SessionId(1000),
        id => SessionId(id),
    }
}

pub(crate) fn identities(who: &str) -> Vec<Identity> {
    let identity = |scheme: &str, id: &str| Identity { scheme: scheme.into(), id: id.into() };
    let mut identities = vec![identity("ip", "10.0.0.1")];
    match who {
        "s0" => identities.push(identity("super", "")),
        "s1" => {}
        other => identities.push(identity("digest", &format!("{other}:hash"))),
    }
    identities
}

/// `world:rw,digest-s2:a`: letters are permissions; `ip-ADDRESS`, `auth` and `bad` are there too.
pub(crate) fn acl(text: &str) -> Option<Vec<Acl>> {
    if text == "null" {
        return None;
    }
    let entry = |text: &str| {
        let (who, letters) = text.split_once(':').expect("who:letters");
        let (scheme, id) = match who.split_once('-') {
            Some(("digest", user)) => ("digest", format!("{user}:hash")),
            Some((scheme, id)) => (scheme, id.to_owned()),
            None if who == "world" => ("world", "anyone".to_owned()),
            None => (who, String::new()),
        };
        let perm = |letter| 1 << "rwcda".find(letter).expect("one of rwcda");
        let perms = Perms(letters.chars().map(perm).sum());
        Acl { perms, scheme: scheme.into(), id: id.into() }
    };
    Some(text.split(',').filter(|text| !text.is_empty()).map(entry).collect())
}

fn request(words: &[&str]) -> Write {
    let path = |at: usize| -> Box<str> { (*words.get(at).unwrap_or(&"")).replace("''", "").into() };
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let version = option("v=").map_or(-1, |text| text.parse().expect("a version"));
    let data = option("data=").map(|text| text.as_bytes().into());
    let requested_acl = acl(option("acl=").unwrap_or("world:rwcda"));
    let flags = option("flags=").map_or(0, |text| text.parse().expect("flags"));
    let ttl_ms = option("ttl=").map_or(-1, |text| text.parse().expect("milliseconds"));
    let create = || Create { path: path(1), data: data.clone(), acl: requested_acl.clone(), flags };
    let watch = false;
    Write::Request(match words[0] {
        "create" => Request::Create(create()),
        "create2" => Request::Create2(create()),
        "container" => Request::CreateContainer(Create { flags: flags | 4, ..create() }),
        "createContainer" => Request::CreateContainer(create()),
        "ttl" => Request::CreateTtl { create: create(), ttl_ms },
        "delete" => Request::Delete { path: path(1), version },
        "set" => Request::SetData { path: path(1), data, version },
        "setacl" => Request::SetAcl { path: path(1), acl: requested_acl, version },
        "check" => Request::Check { path: path(1), version },
        "multi" => {
            let parts = words[1..].split(|word| *word == ";").filter(|words| !words.is_empty());
            let part = |words| match request(words) {
                Write::Request(request) => request,
                other => panic!("{other:?} cannot be in a multi"),
            };
            Request::Multi(parts.map(part).collect())
        }
        "exists" => Request::Exists { path: path(1), watch },
        "get" => Request::GetData { path: path(1), watch },
        "getacl" => Request::GetAcl { path: path(1) },
        "ls" => Request::GetChildren { path: path(1), watch },
        "ls2" => Request::GetChildren2 { path: path(1), watch },
        "count" => Request::GetAllChildrenNumber { path: path(1) },
        "ephemerals" => Request::GetEphemerals { prefix: path(1) },
        "reap" => return Write::DeleteContainer { path: path(1) },
        "open" => return Write::CreateSession { timeout_ms: 30_000 },
        "close" => return Write::CloseSession,
        "malformed" => return Write::Malformed,
        "moved" => return Write::Refused(ErrorCode::SessionMoved),
        other => panic!("no operation {other}"),
    })
}

fn is_read(write: &Write) -> bool {
    let Write::Request(request) = write else { return false };
    request.op().kind() == bellwether_wire::ops::Kind::Read
}

impl World {
    pub(crate) fn new(options: TreeOptions) -> World {
        let tree = Tree::new(options);
        World { tree, pending: Pending::new(), zxid: 0, waiting: Vec::new(), log: Vec::new() }
    }

    pub(crate) fn prepare(&mut self, who: &str, write: Write) -> TxnRecord {
        self.zxid += 1;
        let stamp = Stamp { zxid: Zxid(self.zxid), time_ms: 1000 * self.zxid };
        let identities = identities(who);
        let cxid = i32::try_from(self.zxid).expect("scripts are short");
        let caller = Caller { session: session(who), cxid, identities: &identities };
        self.tree.prepare(&mut self.pending, stamp, caller, write)
    }

    pub(crate) fn apply(&mut self, record: &TxnRecord) -> Result<ReplyBody, ErrorCode> {
        let outcome = self.tree.apply(at(0), record, None);
        assert_ne!(outcome.digest_matches, Some(false), "{record:?}");
        self.pending.applied(record.header.zxid);
        self.log.push(record.clone());
        outcome.result
    }

    /// Runs a line; what is prepared and not applied waits.
    fn line(&mut self, line: &str, pipelined: bool) {
        let (command, expected) = line.split_once("=>").unwrap_or((line, "ok"));
        let words: Vec<&str> = command.split_whitespace().collect();
        let write = request(&words[1..]);
        if is_read(&write) {
            self.flush();
            let Write::Request(request) = write else { unreachable!("only requests read") };
            let got = self.tree.read(&request, session(words[0]), &identities(words[0]));
            assert_eq!(show(&got), expected.trim(), "{line}");
            return;
        }
        let record = self.prepare(words[0], write);
        self.waiting.push((line.to_owned(), record));
        if !pipelined {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for (line, record) in std::mem::take(&mut self.waiting) {
            let got = self.apply(&record);
            let (_, expected) = line.split_once("=>").unwrap_or((&line, "ok"));
            assert_eq!(show(&got), expected.trim(), "{line}");
        }
        assert_eq!((self.pending.is_empty(), self.pending.len()), (true, 0));
        assert_eq!(self.tree.check(), Ok(()));
    }

    pub(crate) fn run(&mut self, script: &str, pipelined: bool) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.line(line, pipelined);
        }
        self.flush();
    }
}

#[track_caller]
pub(crate) fn check_with(options: &TreeOptions, script: &str) {
    for pipelined in [false, true] {
        let mut world = World::new(options.clone());
        world.run("s0 open\ns1 open\ns2 open", false);
        world.run(script, pipelined);
    }
}

/// Runs a script with the sessions s0 (super), s1 (nobody in particular) and s2 (a digest).
#[track_caller]
pub(crate) fn check(script: &str) {
    check_with(&options(), script);
}

pub(crate) fn show(result: &Result<ReplyBody, ErrorCode>) -> String {
    match result {
        Err(code) => code.name().to_owned(),
        Ok(ReplyBody::Empty) => "ok".to_owned(),
        Ok(ReplyBody::Path(path)) => path.to_string(),
        Ok(ReplyBody::PathStat(path, stat)) => format!("{path} {}", show_stat(stat)),
        Ok(ReplyBody::Stat(stat)) => show_stat(stat),
        Ok(ReplyBody::Data(data, stat)) => format!("{} {}", show_data(data), show_stat(stat)),
        Ok(ReplyBody::Acl(acl, stat)) => format!("{} av={}", show_acl(acl), stat.aversion),
        Ok(ReplyBody::Children(names)) => names.names().join(" "),
        Ok(ReplyBody::Children2(names, stat)) => {
            format!("{} {}", names.names().join(" "), show_stat(stat))
        }
        Ok(ReplyBody::Ephemerals(paths)) => paths.join(" "),
        Ok(ReplyBody::Count(count)) => count.to_string(),
        Ok(ReplyBody::Multi(results)) => {
            results.iter().map(show_part).collect::<Vec<_>>().join(" ; ")
        }
        Ok(other) => panic!("{other:?} is not answered here"),
    }
}

fn show_part(result: &OpResult) -> String {
    match result {
        OpResult::Create(path) => path.to_string(),
        OpResult::CreateStat(path, stat) => format!("{path} {}", show_stat(stat)),
        OpResult::Delete => "deleted".to_owned(),
        OpResult::SetData(stat) => show_stat(stat),
        OpResult::Check => "checked".to_owned(),
        OpResult::GetData(data, _) => show_data(data),
        OpResult::GetChildren(names) => names.names().join(" "),
        OpResult::Error(code) => code.name().to_owned(),
    }
}

fn show_data(data: &Option<bellwether_wire::Data>) -> String {
    data.as_ref().map_or("null".to_owned(), |data| String::from_utf8_lossy(data).into_owned())
}

fn show_acl(acl: &[Acl]) -> String {
    let entries =
        acl.iter().map(|entry| format!("{}:{}:{}", entry.scheme, entry.id, entry.perms.0));
    entries.collect::<Vec<_>>().join(",")
}

/// Versions first, then what is not 0.
fn show_stat(stat: &Stat) -> String {
    let mut text = format!("v={} cv={} av={}", stat.version, stat.cversion, stat.aversion);
    if stat.num_children != 0 {
        text += &format!(" kids={}", stat.num_children);
    }
    if stat.ephemeral_owner != 0 {
        text += &format!(" owner=s{}", stat.ephemeral_owner);
    }
    text
}
