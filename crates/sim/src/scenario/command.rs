//! What a client of a scenario says: words → [`Request`].

use super::words::{Words, zxid};
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::client::{Request, WatcherType};
use bellwether_wire::{Acl, Data, Perms, Zxid};

/// Reads a request of the scenario language.
pub(crate) fn request(line: &str) -> Result<Request, String> {
    if let Some(parts) = line.strip_prefix("multiread ") {
        return Ok(Request::MultiRead(parts.split(';').map(request).collect::<Result<_, _>>()?));
    }
    if line == "multi" {
        return Ok(Request::Multi(Vec::new()));
    }
    if let Some(parts) = line.strip_prefix("multi ") {
        return Ok(Request::Multi(parts.split(';').map(request).collect::<Result<_, _>>()?));
    }
    let mut words = Words::new(line);
    let verb = words.need("an operation")?;
    let request = match write(verb, &mut words)? {
        Some(write) => write,
        None => match read(verb, &mut words)? {
            Some(read) => read,
            None => watches(verb, &mut words)?,
        },
    };
    words.end()?;
    Ok(request)
}

fn write(verb: &str, words: &mut Words<'_>) -> Result<Option<Request>, String> {
    Ok(Some(match verb {
        "create" => match words.named_number("ttl")? {
            Some(ttl_ms) => Request::CreateTtl { create: create(words, 5)?, ttl_ms },
            None if words.flag("container") => Request::CreateContainer(create(words, 4)?),
            None => Request::Create(create(words, 0)?),
        },
        "create2" => Request::Create2(create(words, 0)?),
        "delete" => {
            let version = words.named_number("version")?.unwrap_or(-1);
            Request::Delete { path: path(words)?, version }
        }
        "set" => {
            let version = words.named_number("version")?.unwrap_or(-1);
            Request::SetData { path: path(words)?, data: data(words), version }
        }
        "setacl" => {
            let version = words.named_number("version")?.unwrap_or(-1);
            let path = path(words)?;
            Request::SetAcl { path, acl: Some(acl(words.need("an ACL")?)?), version }
        }
        "check" => {
            let version = words.named_number("version")?.unwrap_or(-1);
            Request::Check { path: path(words)?, version }
        }
        "reconfig" => {
            Request::Reconfig { joining: None, leaving: None, members: None, version: -1 }
        }
        "close" => Request::CloseSession,
        _ => return Ok(None),
    }))
}

fn read(verb: &str, words: &mut Words<'_>) -> Result<Option<Request>, String> {
    let watch = words.flag("watch");
    Ok(Some(match verb {
        "exists" => Request::Exists { path: path(words)?, watch },
        "get" => Request::GetData { path: path(words)?, watch },
        "ls" => Request::GetChildren { path: path(words)?, watch },
        "ls2" => Request::GetChildren2 { path: path(words)?, watch },
        "getacl" => Request::GetAcl { path: path(words)? },
        "sync" => Request::Sync { path: path(words)? },
        "ping" => Request::Ping,
        "whoami" => Request::WhoAmI,
        "ephemerals" => Request::GetEphemerals { prefix: path(words)? },
        "count" => Request::GetAllChildrenNumber { path: path(words)? },
        "sasl" => Request::Sasl { token: Box::new([]) },
        _ => return Ok(None),
    }))
}

fn watches(verb: &str, words: &mut Words<'_>) -> Result<Request, String> {
    Ok(match verb {
        "addwatch" => {
            let mode = if words.flag("recursive") { 1 } else { 0 };
            Request::AddWatch { path: path(words)?, mode }
        }
        "checkwatch" => Request::CheckWatches { path: path(words)?, watcher: watcher_type(words)? },
        "rmwatch" => Request::RemoveWatches { path: path(words)?, watcher: watcher_type(words)? },
        "setwatches" => Request::SetWatches(Box::new(set_watches(words)?)),
        "setwatches2" => Request::SetWatches2(Box::new(set_watches(words)?)),
        other => return Err(format!("{other:?} is no operation")),
    })
}

fn path(words: &mut Words<'_>) -> Result<Box<str>, String> {
    words.need("a path").map(Box::from)
}

fn data(words: &mut Words<'_>) -> Option<Data> {
    match words.next() {
        Some("null") => None,
        Some(word) => Some(word.as_bytes().into()),
        None => Some(Data::from(&b""[..])),
    }
}

/// `flags` are those of the kind of node; sequential and ephemeral nodes add theirs.
fn create(words: &mut Words<'_>, flags: i32) -> Result<Create, String> {
    let ephemeral = i32::from(words.flag("ephemeral"));
    // A sequential TTL node has the number after the plain one, others have two more.
    let sequential = if flags == 5 { 1 } else { 2 };
    let sequential = if words.flag("sequential") { sequential } else { 0 };
    let acl = match words.named("acl") {
        Some("null") => None,
        Some(text) => Some(acl(text)?),
        None => Some(vec![Acl::world_all()]),
    };
    let path = path(words)?;
    let flags = flags + ephemeral + sequential;
    Ok(Create { path, data: data(words), acl, flags })
}

/// `scheme:id:perms` with zkCli's letters, several with commas between them.
fn acl(text: &str) -> Result<Vec<Acl>, String> {
    text.split(',').map(acl_entry).collect()
}

fn acl_entry(text: &str) -> Result<Acl, String> {
    let malformed = || format!("{text:?} is not scheme:id:perms");
    let (scheme, rest) = text.split_once(':').ok_or_else(malformed)?;
    let (id, letters) = rest.rsplit_once(':').ok_or_else(malformed)?;
    let perms = letters.chars().try_fold(Perms(0), |perms, letter| {
        Some(perms.or(match letter {
            'c' => Perms::CREATE,
            'd' => Perms::DELETE,
            'r' => Perms::READ,
            'w' => Perms::WRITE,
            'a' => Perms::ADMIN,
            _ => return None,
        }))
    });
    Ok(Acl { perms: perms.ok_or_else(malformed)?, scheme: scheme.into(), id: id.into() })
}

fn watcher_type(words: &mut Words<'_>) -> Result<i32, String> {
    Ok(match words.need("a type of watch")? {
        "children" => WatcherType::Children,
        "data" => WatcherType::Data,
        "any" => WatcherType::Any,
        "persistent" => WatcherType::Persistent,
        "recursive" => WatcherType::PersistentRecursive,
        other => return Err(format!("{other:?} is no type of watch")),
    }
    .code())
}

fn set_watches(words: &mut Words<'_>) -> Result<SetWatches, String> {
    Ok(SetWatches {
        relative_zxid: words.named("since").map(zxid).transpose()?.unwrap_or(Zxid::ZERO),
        data: words.named_list("data")?,
        exist: words.named_list("exist")?,
        child: words.named_list("child")?,
        persistent: words.named_list("persistent")?,
        persistent_recursive: words.named_list("recursive")?,
    })
}
