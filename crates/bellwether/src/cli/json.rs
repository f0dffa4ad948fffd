//! Results as JSON: the protocol's own field names, and nothing that a reader would have to guess.
//!
//! Zxids and session ids are text in hexadecimal: as numbers they would exceed what many readers
//! keep exactly. Data is base64, with the text beside it where it is text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_client::{Acl, Stat, WatchEvent};
use serde_json::{Value, json};

/// A stat.
pub(super) fn stat(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.to_string(),
        "mzxid": stat.mzxid.to_string(),
        "pzxid": stat.pzxid.to_string(),
        "ctime": stat.ctime,
        "mtime": stat.mtime,
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeralOwner": format!("0x{:x}", stat.ephemeral_owner),
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
    })
}

/// Data in base64; null is null.
pub(super) fn base64(data: Option<&[u8]>) -> Value {
    data.map_or(Value::Null, |data| STANDARD.encode(data).into())
}

/// Data as text; null where it is none.
pub(super) fn text(data: Option<&[u8]>) -> Value {
    data.and_then(|data| std::str::from_utf8(data).ok()).map_or(Value::Null, Value::from)
}

/// An access control list.
pub(super) fn acl(acl: &[Acl]) -> Value {
    acl.iter()
        .map(|entry| {
            json!({
                "scheme": &*entry.scheme,
                "id": &*entry.id,
                "perms": entry.perms.to_string(),
            })
        })
        .collect()
}

/// A watch event.
pub(super) fn event(event: &WatchEvent) -> Value {
    json!({
        "event": format!("{:?}", event.event),
        "state": format!("{:?}", event.state),
        "path": &*event.path,
        "zxid": event.zxid.to_string(),
    })
}
