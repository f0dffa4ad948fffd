//! A command line becomes a request, or the bytes of something that no client library would send.
//!
//! What it keeps true: a path is sent as it is written, with `~` for the scenario's own root; what
//! an operation does not understand is an error of the scenario and is not passed over.
//!
//! What it leaves to others: sending it.

use crate::words::{Word, hex, number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::client::{Request, xid};
use bellwether_wire::{Acl, Data, OpCode, Perms, Zxid};
use sha1::{Digest as _, Sha1};
use std::collections::{BTreeMap, VecDeque};

/// What a scenario's own words stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The node that `~` stands for.
    pub(crate) root: String,
    /// The transaction that made it; `+1` is the one after it.
    pub(crate) base: i64,
}

impl Place {
    pub(crate) fn path(&self, text: &str) -> Box<str> {
        text.replace('~', &self.root).into()
    }

    /// A zxid: `+N` from the scenario's start, or a number.
    pub(crate) fn zxid(&self, text: &str) -> Result<i64, String> {
        match text.strip_prefix('+') {
            Some(steps) => Ok(self.base + number::<i64>("zxid", steps)?),
            None => number("zxid", text),
        }
    }
}

/// The words behind the verb.
#[derive(Debug)]
pub(crate) struct Args {
    rest: VecDeque<Word>,
    named: BTreeMap<String, Word>,
}

impl Args {
    pub(crate) fn new(words: Vec<Word>) -> Result<Args, String> {
        let mut args = Args { rest: VecDeque::new(), named: BTreeMap::new() };
        for word in words {
            match word.name.clone() {
                None => args.rest.push_back(word),
                Some(name) => {
                    if args.named.insert(name.clone(), word).is_some() {
                        return Err(format!("{name} is given twice"));
                    }
                }
            }
        }
        Ok(args)
    }

    /// The next bare or quoted word.
    pub(crate) fn next(&mut self, what: &str) -> Result<Word, String> {
        self.rest.pop_front().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word if there is one.
    pub(crate) fn try_next(&mut self) -> Option<Word> {
        self.rest.pop_front()
    }

    /// Takes the next word if it is this one.
    pub(crate) fn flag(&mut self, text: &str) -> bool {
        let there = self.rest.front().is_some_and(|word| word.is(text));
        if there {
            self.rest.pop_front();
        }
        there
    }

    /// The word with a name.
    pub(crate) fn named(&mut self, name: &str) -> Option<Word> {
        self.named.remove(name)
    }

    pub(crate) fn number<N: TryFrom<i64>>(&mut self, name: &str, default: N) -> Result<N, String> {
        self.named(name).map_or(Ok(default), |word| number(name, &word.text))
    }

    /// Everything was understood.
    pub(crate) fn finish(self) -> Result<(), String> {
        let named = self.named.into_keys();
        let left: Vec<String> = self.rest.into_iter().map(|word| word.text).chain(named).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("not understood: {}", left.join(" "))) }
    }
}

/// What is sent: a header and a body.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// `None`: the client's next number.
    pub(crate) xid: Option<i32>,
    pub(crate) op: i32,
    pub(crate) body: Vec<u8>,
}

/// Turns a command into what is sent.
pub(crate) fn packet(verb: &str, words: Vec<Word>, place: &Place) -> Result<Packet, String> {
    let (changes, words): (Vec<Word>, Vec<Word>) = words.into_iter().partition(is_change);
    let mut changes = Args::new(changes)?;
    let mut packet = if verb == "op" {
        let mut args = Args::new(words)?;
        let op = number("op", &args.next("the operation's number")?.text)?;
        let mut body = Vec::new();
        while let Some(word) = args.try_next() {
            match word.quoted {
                true => body.extend(place.path(&word.text).bytes()),
                false => body.extend(hex(&word.text)?),
            }
        }
        args.finish()?;
        Packet { xid: None, op, body }
    } else {
        let request = parse(verb, words, place)?;
        let xid = own_xid(request.op());
        let mut body = Vec::new();
        request.encode(&mut body);
        Packet { xid, op: request.op().code(), body }
    };
    if changes.named.contains_key("!xid") {
        packet.xid = Some(changes.number("!xid", 0)?);
    }
    packet.op = changes.number("!op", packet.op)?;
    change_body(&mut changes, &mut packet.body)?;
    changes.finish()?;
    Ok(packet)
}

/// The number that a request of this kind always has.
fn own_xid(op: OpCode) -> Option<i32> {
    let own = [
        (OpCode::Ping, xid::PING),
        (OpCode::Auth, xid::AUTH),
        (OpCode::SetWatches, xid::SET_WATCHES),
        (OpCode::SetWatches2, xid::SET_WATCHES),
    ];
    own.iter().find(|(own, _)| *own == op).map(|(_, xid)| *xid)
}

fn is_change(word: &Word) -> bool {
    word.name.as_ref().is_some_and(|name| name.starts_with('!')) || word.is("!null")
}

/// What is done to an encoded body before it is sent.
pub(crate) fn change_body(changes: &mut Args, body: &mut Vec<u8>) -> Result<(), String> {
    if changes.flag("!null") {
        let length = body.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
        let end = (length as usize + 4).min(body.len());
        body.splice(..end, [0xff; 4]);
    }
    let cut: usize = changes.number("!cut", 0)?;
    body.truncate(body.len().saturating_sub(cut));
    if let Some(word) = changes.named("!append") {
        body.extend(hex(&word.text)?);
    }
    Ok(())
}

/// A request from its verb and words.
fn parse(verb: &str, words: Vec<Word>, place: &Place) -> Result<Request, String> {
    if verb == "multi" || verb == "multiRead" {
        let parts = words.split(|word| word.is(";")).filter(|part| !part.is_empty());
        let parts = parts
            .map(|part| match part.split_first() {
                Some((verb, words)) => parse(&verb.text, words.to_vec(), place),
                None => Err("an empty part".into()),
            })
            .collect::<Result<Vec<Request>, String>>()?;
        return Ok(if verb == "multi" { Request::Multi(parts) } else { Request::MultiRead(parts) });
    }
    let mut args = Args::new(words)?;
    let request = match writing(verb, &mut args, place)? {
        Some(request) => request,
        None => match reading(verb, &mut args, place)? {
            Some(request) => request,
            None => connection(verb, &mut args, place)?
                .ok_or_else(|| format!("{verb}: no such operation"))?,
        },
    };
    args.finish()?;
    Ok(request)
}

fn writing(verb: &str, args: &mut Args, place: &Place) -> Result<Option<Request>, String> {
    let request = match verb {
        "create" => Request::Create(create(args, place, 0)?),
        "create2" => Request::Create2(create(args, place, 0)?),
        "createContainer" => Request::CreateContainer(create(args, place, 4)?),
        "createTTL" => {
            Request::CreateTtl { ttl_ms: args.number("ttl", 0)?, create: create(args, place, 5)? }
        }
        "delete" => Request::Delete { path: path(args, place)?, version: version(args)? },
        "setData" => Request::SetData {
            path: path(args, place)?,
            data: data(args.try_next())?,
            version: version(args)?,
        },
        "setACL" => Request::SetAcl {
            path: path(args, place)?,
            acl: acl(&args.next("the ACL")?)?,
            version: version(args)?,
        },
        "check" => Request::Check { path: path(args, place)?, version: version(args)? },
        "reconfig" => {
            let mut text = |name| args.named(name).map(|word| word.text.into());
            let (joining, leaving) = (text("joining"), text("leaving"));
            let members = text("members");
            Request::Reconfig { joining, leaving, members, version: args.number("version", -1)? }
        }
        "closeSession" => Request::CloseSession,
        _ => return Ok(None),
    };
    Ok(Some(request))
}

fn reading(verb: &str, args: &mut Args, place: &Place) -> Result<Option<Request>, String> {
    let request = match verb {
        "exists" => Request::Exists { path: path(args, place)?, watch: args.flag("watch") },
        "getData" => Request::GetData { path: path(args, place)?, watch: args.flag("watch") },
        "getChildren" => {
            Request::GetChildren { path: path(args, place)?, watch: args.flag("watch") }
        }
        "getChildren2" => {
            Request::GetChildren2 { path: path(args, place)?, watch: args.flag("watch") }
        }
        "getACL" => Request::GetAcl { path: path(args, place)? },
        "sync" => Request::Sync { path: path(args, place)? },
        "getEphemerals" => {
            let prefix = args.try_next().map_or("".into(), |word| place.path(&word.text));
            Request::GetEphemerals { prefix }
        }
        "getAllChildrenNumber" => Request::GetAllChildrenNumber { path: path(args, place)? },
        _ => return Ok(None),
    };
    Ok(Some(request))
}

fn connection(verb: &str, args: &mut Args, place: &Place) -> Result<Option<Request>, String> {
    let request = match verb {
        "ping" => Request::Ping,
        "whoAmI" => Request::WhoAmI,
        "checkWatches" => {
            Request::CheckWatches { path: path(args, place)?, watcher: watcher(args)? }
        }
        "removeWatches" => {
            Request::RemoveWatches { path: path(args, place)?, watcher: watcher(args)? }
        }
        "addWatch" => Request::AddWatch {
            path: path(args, place)?,
            mode: match args.next("the mode")?.text.as_str() {
                "persistent" => 0,
                "recursive" => 1,
                other => number("mode", other)?,
            },
        },
        "auth" => {
            let scheme = args.next("the scheme")?.text.into();
            Request::Auth { scheme, auth: data(args.try_next())?.map(|data| (*data).into()) }
        }
        "sasl" => Request::Sasl { token: data(args.try_next())?.unwrap_or_default()[..].into() },
        "setWatches" => Request::SetWatches(Box::new(set_watches(args, place)?)),
        "setWatches2" => Request::SetWatches2(Box::new(set_watches(args, place)?)),
        _ => return Ok(None),
    };
    Ok(Some(request))
}

fn set_watches(args: &mut Args, place: &Place) -> Result<SetWatches, String> {
    let seen = args.named("seen").map_or(Ok(place.base), |word| place.zxid(&word.text))?;
    let mut list = |name| {
        let word = args.named(name);
        let text = word.map(|word| word.text).unwrap_or_default();
        text.split(',').filter(|path| !path.is_empty()).map(|path| place.path(path)).collect()
    };
    Ok(SetWatches {
        relative_zxid: Zxid(seen),
        data: list("data"),
        exist: list("exist"),
        child: list("child"),
        persistent: list("persistent"),
        persistent_recursive: list("recursive"),
    })
}

fn path(args: &mut Args, place: &Place) -> Result<Box<str>, String> {
    Ok(place.path(&args.next("the path")?.text))
}

fn version(args: &mut Args) -> Result<i32, String> {
    args.number("version", -1)
}

fn watcher(args: &mut Args) -> Result<i32, String> {
    match args.next("the kind of watch")?.text.as_str() {
        "children" => Ok(1),
        "data" => Ok(2),
        "any" => Ok(3),
        "persistent" => Ok(4),
        "recursive" => Ok(5),
        other => number("kind of watch", other),
    }
}

/// `null`, `0xHEX`, `zeros(N)`, or text; null when there is no word.
fn data(word: Option<Word>) -> Result<Option<Data>, String> {
    let Some(word) = word.filter(|word| !word.is("null")) else { return Ok(None) };
    let bytes = match (word.text.strip_prefix("0x"), word.text.strip_prefix("zeros(")) {
        (Some(digits), _) if !word.quoted => hex(digits)?,
        (_, Some(count)) if !word.quoted => {
            vec![0; number("zeros", count.trim_end_matches(')'))?]
        }
        _ => word.text.into_bytes(),
    };
    Ok(Some(bytes.into()))
}

fn create(args: &mut Args, place: &Place, flags: i32) -> Result<Create, String> {
    let path = path(args, place)?;
    let data = data(args.try_next())?;
    let flags = match args.named("flags").map(|word| word.text) {
        None => flags,
        Some(text) => match text.as_str() {
            "ephemeral" => 1,
            "sequential" => 2,
            "ephemeral-sequential" => 3,
            "container" => 4,
            "ttl" => 5,
            "ttl-sequential" => 6,
            other => number("flags", other)?,
        },
    };
    let acl = args.named("acl").map_or(Ok(Some(vec![Acl::world_all()])), |word| acl(&word))?;
    Ok(Create { path, data, acl, flags })
}

/// `null`, `empty`, or `SCHEME:ID:PERMS` separated by commas; PERMS are letters or a number.
fn acl(word: &Word) -> Result<Option<Vec<Acl>>, String> {
    match word.text.as_str() {
        "null" => return Ok(None),
        "empty" => return Ok(Some(Vec::new())),
        _ => {}
    }
    word.text.split(',').map(acl_entry).collect::<Result<Vec<Acl>, String>>().map(Some)
}

fn acl_entry(text: &str) -> Result<Acl, String> {
    let wrong = || format!("{text} is not SCHEME:ID:PERMS");
    let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (id, perms) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let id = match id.strip_prefix("hash(").and_then(|id| id.strip_suffix(')')) {
        Some(secret) => digest_id(secret),
        None => id.to_owned(),
    };
    let letters = || perms.chars().map(letter).sum::<Option<i32>>();
    let perms = match letters() {
        Some(perms) => perms,
        None => number("permissions", perms)?,
    };
    Ok(Acl { perms: Perms(perms), scheme: scheme.into(), id: id.into() })
}

fn letter(letter: char) -> Option<i32> {
    match letter {
        'r' => Some(1),
        'w' => Some(2),
        'c' => Some(4),
        'd' => Some(8),
        'a' => Some(16),
        _ => None,
    }
}

/// The identity that `auth digest USER:PASSWORD` proves.
fn digest_id(secret: &str) -> String {
    let user = secret.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(Sha1::digest(secret.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::split;

    fn sent(line: &str) -> Result<Packet, String> {
        let words = split(line)?;
        let (verb, words) = words.split_first().expect("a command has a verb");
        packet(&verb.text, words.to_vec(), &Place { root: "/s".into(), base: 10 })
    }

    #[track_caller]
    fn check(line: &str, expected: &Request) {
        let mut body = Vec::new();
        expected.encode(&mut body);
        let packet = sent(line).expect("the line is well formed");
        assert_eq!((packet.op, packet.body), (expected.op().code(), body), "{line}");
    }

    #[test]
    fn a_command_is_the_request_that_it_names() {
        check("delete ~/a version=3", &Request::Delete { path: "/s/a".into(), version: 3 });
        check("exists ~ watch", &Request::Exists { path: "/s".into(), watch: true });
        let entry = Acl { perms: Perms(17), scheme: "ip".into(), id: "::1/64".into() };
        let create = Create { path: "/s/x".into(), data: None, acl: Some(vec![entry]), flags: 3 };
        let line = "create ~/x null flags=ephemeral-sequential acl=ip:::1/64:ra";
        check(line, &Request::Create(create));
        let parts = vec![
            Request::Delete { path: "/s".into(), version: -1 },
            Request::Check { path: "/a".into(), version: -1 },
        ];
        check("multi delete ~ ; check /a", &Request::Multi(parts));
        let watches = SetWatches {
            relative_zxid: Zxid(12),
            data: vec!["/s/a".into(), "/s/b".into()],
            ..SetWatches::default()
        };
        check("setWatches seen=+2 data=~/a,~/b", &Request::SetWatches(Box::new(watches)));
    }

    #[test]
    fn bytes_can_be_what_no_client_sends() {
        let packet = sent("delete ~ !cut=4 !append=00ff !xid=-7 !op=99").expect("well formed");
        assert_eq!((packet.xid, packet.op), (Some(-7), 99));
        assert_eq!(packet.body, [0, 0, 0, 2, b'/', b's', 0, 255]);
        assert_eq!(sent("getACL ~ !null").expect("well formed").body, [255; 4]);
        assert_eq!(sent("op 12 0001").expect("well formed").body, [0, 1]);
    }

    #[test]
    fn a_typing_mistake_is_an_error() {
        for line in ["delete", "delete ~ versoin=3", "exists ~ wacth", "creat ~", "setACL ~ world"]
        {
            assert!(sent(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_hash_is_what_the_scheme_digest_makes() {
        assert_eq!(digest_id("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }
}
