//! `bellwether snapshot dump`: sessions, ACLs and nodes of one snapshot, as they stand in it.

use super::hold::Hold;
use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::target::{self, Target};
use super::{Done, Failure, Found, describe};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_store::{OsDisk, SnapshotReader, newest_sound_snapshot};
use bellwether_wire::disk::{SnapshotItem, SnapshotNode};
use std::path::{Path, PathBuf};

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let (path, _hold) = choose(options.target())?;
    let file = path.display().to_string();
    out.text(|| file.clone())?;
    let (mut nodes, mut bytes) = (0_u64, 0_u64);
    for item in SnapshotReader::open(&OsDisk, &path)? {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                out.say(|| error.to_string(), || Object::new("damage").text("what", &error))?;
                return Ok(Found::Something);
            }
        };
        if let SnapshotItem::Node(node) = &item {
            nodes += 1;
            bytes += length(node);
        }
        out.say(|| words(&item, options.data), || object(&item, options.data))?;
    }
    out.say(
        || format!("end of {file}: {nodes} nodes, {bytes} bytes of data"),
        || {
            Object::new("snapshot")
                .text("file", &file)
                .number("nodes", nodes)
                .number("bytes", bytes)
        },
    )?;
    Ok(Found::Nothing)
}

/// The snapshot that was named, or the newest sound one of a directory.
pub(super) fn choose(given: &Path) -> Result<(PathBuf, Option<Hold>), Failure> {
    match Target::find(given)? {
        Target::File(path) => Ok((path, None)),
        Target::Directory(dir) => {
            let hold = Hold::to_read(&dir)?;
            let newest = newest_sound_snapshot(&OsDisk, &target::contents(&dir)?);
            let (_, path) = newest.ok_or_else(|| {
                let dir = dir.display();
                Failure::Directory(format!(
                    "{dir} has no snapshot that can be read to its end; inspect it with: \
                     bellwether snapshot verify {dir}"
                ))
            })?;
            Ok((path, Some(hold)))
        }
    }
}

/// The length of a node's data.
pub(super) fn length(node: &SnapshotNode) -> u64 {
    node.data.as_ref().map_or(0, |data| data.len() as u64)
}

/// The path as clients write it.
pub(super) fn path(node: &SnapshotNode) -> &str {
    if node.path.is_empty() { "/" } else { &node.path }
}

fn words(item: &SnapshotItem, data: bool) -> String {
    match item {
        SnapshotItem::Session { id, timeout_ms } => {
            format!("session {id}  timeout {timeout_ms} ms")
        }
        SnapshotItem::Acl { id, acl } => {
            let acl: Vec<String> = acl.iter().map(ToString::to_string).collect();
            format!("acl {id}  {}", acl.join(","))
        }
        SnapshotItem::Node(node) => {
            let stat = &node.stat;
            let data = if data { format!("  data {}", base64(node)) } else { String::new() };
            format!(
                "{}  {} bytes  acl {}  czxid {} {}  mzxid {} {}  pzxid {}  versions {} {} {}  \
                 owner 0x{:x}{data}",
                path(node),
                length(node),
                node.acl_id,
                stat.czxid,
                describe::time(stat.ctime),
                stat.mzxid,
                describe::time(stat.mtime),
                stat.pzxid,
                stat.version,
                stat.cversion,
                stat.aversion,
                stat.ephemeral_owner,
            )
        }
        SnapshotItem::Digest { zxid, digest } => {
            format!("digest {:x} (version {}) at {zxid}", digest.digest, digest.version)
        }
        SnapshotItem::LastProcessed(zxid) => format!("last transaction {zxid}"),
    }
}

fn object(item: &SnapshotItem, data: bool) -> Object {
    match item {
        SnapshotItem::Session { id, timeout_ms } => {
            Object::new("session").text("id", id).number("timeout_ms", timeout_ms)
        }
        SnapshotItem::Acl { id, acl } => {
            Object::new("acl").number("id", id).texts("acl", acl.iter().map(ToString::to_string))
        }
        SnapshotItem::Node(node) => {
            let stat = &node.stat;
            let object = Object::new("node")
                .text("path", path(node))
                .number("bytes", length(node))
                .number("acl", node.acl_id)
                .text("czxid", stat.czxid)
                .text("mzxid", stat.mzxid)
                .text("pzxid", stat.pzxid)
                .number("ctime_ms", stat.ctime)
                .number("mtime_ms", stat.mtime)
                .number("version", stat.version)
                .number("cversion", stat.cversion)
                .number("aversion", stat.aversion)
                .text("owner", format_args!("0x{:x}", stat.ephemeral_owner));
            if data { object.text("data", base64(node)) } else { object }
        }
        SnapshotItem::Digest { zxid, digest } => Object::new("digest")
            .text("zxid", zxid)
            .number("version", digest.version)
            .text("digest", digest.digest),
        SnapshotItem::LastProcessed(zxid) => Object::new("last").text("zxid", zxid),
    }
}

fn base64(node: &SnapshotNode) -> String {
    STANDARD.encode(node.data.as_deref().unwrap_or_default())
}
