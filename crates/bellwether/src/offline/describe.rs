//! Transactions in words and as JSON.

use super::json::Object;
use crate::calendar::{Moment, moment};
use bellwether_store::{Hole, LogRecord};
use bellwether_wire::disk::{CreateTxn, Txn, TxnRecord};
use bellwether_wire::{OpCode, Zxid};

/// A whole record on one line.
pub(super) fn record(found: &LogRecord, data: Data) -> String {
    let header = &found.record.header;
    let mark = if found.mark.is_some() { "  (begins a batch)" } else { "" };
    format!(
        "{} at {}: {}  session {}  cxid 0x{:x}  {}{mark}",
        header.zxid,
        found.offset,
        time(header.time_ms),
        header.session,
        header.cxid,
        txn(header.op, &found.record.txn, data),
    )
}

/// Whether the data of nodes is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Length,
    Content,
}

/// Operation and path of a record, for a message.
pub(super) fn short(record: &TxnRecord) -> String {
    let words = txn(record.header.op, &record.txn, Data::Length);
    format!("{} {words}", record.header.zxid)
}

/// What a hole is.
pub(super) fn hole(hole: &Hole) -> String {
    let Hole { offset, end, kind, after, guess } = hole;
    let guess = guess.as_ref().map_or(String::new(), |guess| {
        format!("; it looks like {}, which is not to be trusted", short(guess))
    });
    format!("damaged from offset {offset} to {end}, after transaction {after}: {kind}{guess}")
}

pub(super) fn hole_object(file: &str, hole: &Hole) -> Object {
    let object = Object::new("damage")
        .text("file", file)
        .number("offset", hole.offset)
        .number("end", hole.end)
        .text("what", &hole.kind)
        .text("after", hole.after);
    match &hole.guess {
        Some(guess) => object.text("looks_like", short(guess)),
        None => object,
    }
}

fn txn(op: OpCode, txn: &Txn, data: Data) -> String {
    let name = op.name();
    match txn {
        Txn::Create { create, ephemeral } => {
            let ephemeral = if *ephemeral { " ephemeral" } else { "" };
            format!("{name} {}{ephemeral}", created(create, data))
        }
        Txn::CreateContainer(create) => format!("{name} {}", created(create, data)),
        Txn::CreateTtl { create, ttl_ms } => {
            format!("{name} {} ttl {ttl_ms} ms", created(create, data))
        }
        Txn::Delete { path } => format!("{name} {path}"),
        Txn::SetData { path, data: content, version } => {
            format!("{name} {path} {} version {version}", bytes(content.as_deref(), data))
        }
        Txn::SetAcl { path, acl, version } => {
            let acl: Vec<String> = acl.iter().map(ToString::to_string).collect();
            format!("{name} {path} {} version {version}", acl.join(","))
        }
        Txn::Check { path, version } => format!("{name} {path} version {version}"),
        Txn::Multi(parts) => {
            let parts: Vec<String> =
                parts.iter().map(|(op, part)| self::txn(*op, part, data)).collect();
            format!("{name} [{}]", parts.join("; "))
        }
        Txn::CreateSession { timeout_ms } => format!("{name} timeout {timeout_ms} ms"),
        Txn::CloseSession { paths: None } => name.to_owned(),
        Txn::CloseSession { paths: Some(paths) } => format!("{name} [{}]", paths.join(" ")),
        Txn::Error { code } => format!("{name} {code}"),
    }
}

fn created(create: &CreateTxn, data: Data) -> String {
    let acl: Vec<String> = create.acl.iter().map(ToString::to_string).collect();
    format!("{} {} {}", create.path, bytes(create.data.as_deref(), data), acl.join(","))
}

fn bytes(content: Option<&[u8]>, data: Data) -> String {
    match (content, data) {
        (None, _) => "no data".to_owned(),
        (Some(content), Data::Length) => format!("{} bytes", content.len()),
        (Some(content), Data::Content) => format!("\"{}\"", content.escape_ascii()),
    }
}

/// A record as JSON, with the paths that it touches.
pub(super) fn record_object(file: &str, found: &LogRecord, data: Data) -> Object {
    let header = &found.record.header;
    let object = Object::new("transaction")
        .text("file", file)
        .number("offset", found.offset)
        .number("end", found.end)
        .text("zxid", header.zxid)
        .text("session", header.session)
        .number("cxid", header.cxid)
        .number("time_ms", header.time_ms)
        .text("type", header.op.name())
        .number("code", header.op.code())
        .texts("paths", paths(&found.record.txn))
        .text("words", txn(header.op, &found.record.txn, data))
        .flag("begins_batch", found.mark.is_some());
    match found.record.digest {
        Some(digest) => object.text("digest", digest.digest),
        None => object,
    }
}

/// The paths that a transaction names.
fn paths(txn: &Txn) -> Vec<String> {
    match txn {
        Txn::Create { create, .. }
        | Txn::CreateContainer(create)
        | Txn::CreateTtl { create, .. } => {
            vec![create.path.to_string()]
        }
        Txn::Delete { path }
        | Txn::SetData { path, .. }
        | Txn::SetAcl { path, .. }
        | Txn::Check { path, .. } => vec![path.to_string()],
        Txn::Multi(parts) => parts.iter().flat_map(|(_, part)| paths(part)).collect(),
        Txn::CloseSession { paths } => {
            paths.iter().flatten().map(|path| path.to_string()).collect()
        }
        Txn::CreateSession { .. } | Txn::Error { .. } => Vec::new(),
    }
}

/// The transactions between two that are known.
pub(super) fn between(after: Zxid, before: Zxid) -> String {
    let (first, last) = (Zxid(after.0.saturating_add(1)), Zxid(before.0.saturating_sub(1)));
    if after.epoch() != before.epoch() {
        format!("what stood between {after} and {before}, of another epoch")
    } else if first > last {
        "no transaction".to_owned()
    } else if first == last {
        format!("transaction {first}")
    } else {
        format!("transactions {first} to {last}")
    }
}

/// A time in UTC, to the millisecond.
pub(super) fn time(ms: i64) -> String {
    let Moment { year, month, day, hour, minute, second, ms, .. } = moment(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(time(1_763_683_199_999), "2025-11-20T23:59:59.999Z");
    }

    #[test]
    fn what_lies_between_two_transactions_is_counted() {
        let between = |after, before| between(Zxid(after), Zxid(before));
        assert_eq!(between(4, 5), "no transaction");
        assert_eq!(between(4, 6), "transaction 0x5");
        assert_eq!(between(4, 0x20), "transactions 0x5 to 0x1f");
        assert!(between(4, 0x1_0000_0001).contains("another epoch"));
    }
}
