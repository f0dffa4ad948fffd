//! The names in a data directory: Apache's, and ours among them.
//!
//! Apache takes a name apart at its dots and reads the second part as a zxid, so that
//! `log.5.anything` is a log to it. All names of ours therefore begin with `bellwether.`, which
//! its listings, its purge and its check of misplaced files pass over.

use crate::options::Compression;
use bellwether_wire::Zxid;

/// The lock of a directory.
pub(crate) const LOCK: &str = "bellwether.lock";
/// What is known to be synced.
pub(crate) const SYNCED: &str = "bellwether.synced";
/// What is left to be done to snapshots and logs.
pub(crate) const CUTBACK: &str = "bellwether.cutback";
/// The last epoch that a member promised to follow; Apache's name.
pub(crate) const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// The last epoch whose history a member has; Apache's name.
pub(crate) const CURRENT_EPOCH: &str = "currentEpoch";
const TEMPORARY: &str = "bellwether.tmp.";
const CUT: &str = "bellwether.cut.";

/// A log's name.
pub(crate) fn log(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// A snapshot's name.
pub(crate) fn snapshot(zxid: Zxid, compression: Compression) -> String {
    format!("snapshot.{:x}{}", zxid.0, compression.suffix())
}

/// The name of a file until it is whole.
pub(crate) fn temporary(name: &str) -> String {
    format!("{TEMPORARY}{name}")
}

/// The name of an epoch's file until it is whole; Apache's.
pub(crate) fn unnamed_epoch(name: &str) -> String {
    format!("{name}.tmp")
}

/// The name of a snapshot that a leader sends, until it takes the place of what is there.
pub(crate) fn received(name: &str) -> String {
    temporary(&format!("received.{name}"))
}

/// The name under which the bytes that were cut off a log are kept.
pub(crate) fn cut(log: &str, offset: u64) -> String {
    format!("{CUT}{log}.{offset}")
}

/// The zxid of the log from which the bytes in a file of this name were cut.
pub(crate) fn cut_zxid(name: &str) -> Option<Zxid> {
    name.strip_prefix(CUT).and_then(log_zxid)
}

/// Whether a file of this name keeps what was cut off or set aside.
pub(crate) fn is_kept(name: &str) -> bool {
    name.starts_with(CUT)
}

/// The name that a kept file had, and whatever follows it.
pub(crate) fn without_kept(name: &str) -> &str {
    name.strip_prefix(CUT).unwrap_or(name)
}

/// The zxid of the snapshot that a kept file was.
pub(crate) fn kept_snapshot_zxid(name: &str) -> Option<Zxid> {
    name.strip_prefix(CUT).and_then(snapshot_zxid)
}

/// The zxid of a log's name.
pub(crate) fn log_zxid(name: &str) -> Option<Zxid> {
    zxid_after("log", name)
}

/// The zxid of a snapshot's name. Apache's unfinished ones (`.tmp`) are not snapshots.
pub(crate) fn snapshot_zxid(name: &str) -> Option<Zxid> {
    if name.ends_with(".tmp") { None } else { zxid_after("snapshot", name) }
}

fn zxid_after(prefix: &str, name: &str) -> Option<Zxid> {
    let mut parts = name.split('.');
    let hex = parts.next().filter(|first| *first == prefix).and_then(|_| parts.next())?;
    i64::from_str_radix(hex, 16).ok().filter(|zxid| *zxid >= 0).map(Zxid)
}

/// Whether Apache counts a name among the logs when it looks for misplaced files.
pub(crate) fn looks_like_log(name: &str) -> bool {
    name.starts_with("log.")
}

/// Whether Apache counts a name among the snapshots when it looks for misplaced files.
pub(crate) fn looks_like_snapshot(name: &str) -> bool {
    name.starts_with("snapshot.")
}

/// Whether a file is left over from a write that did not end, ours or Apache's.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY) || (looks_like_snapshot(name) && name.ends_with(".tmp"))
}

/// How a snapshot of this name is compressed.
pub(crate) fn compression(name: &str) -> Compression {
    match name.rsplit('.').next() {
        Some("gz") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        Some(_) | None => Compression::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_apaches() {
        assert_eq!(log(Zxid(0x1_0000_000a)), "log.10000000a");
        assert_eq!(snapshot(Zxid(0), Compression::Gzip), "snapshot.0.gz");
        assert_eq!(log_zxid("log.a"), Some(Zxid(10)));
        assert_eq!(log_zxid("log.a.anything"), Some(Zxid(10)));
        assert_eq!(cut_zxid(&cut("log.a", 16)), Some(Zxid(10)));
        assert_eq!(snapshot_zxid("snapshot.1f.snappy"), Some(Zxid(31)));
        for name in ["log", "log.", "log.x", "logs.1", "snapshot.1", "log.-1"] {
            assert_eq!(log_zxid(name), None, "{name}");
        }
    }

    #[test]
    fn apache_ignores_names_of_ours() {
        let ours = [
            LOCK.to_owned(),
            SYNCED.to_owned(),
            CUTBACK.to_owned(),
            temporary("snapshot.5"),
            temporary("log.5"),
            cut("log.5", 16),
        ];
        for name in &ours {
            assert_eq!((log_zxid(name), snapshot_zxid(name)), (None, None), "{name}");
            assert!(!looks_like_log(name) && !looks_like_snapshot(name), "{name}");
        }
    }

    #[test]
    fn unfinished_files_are_known_by_their_names() {
        assert!(is_temporary("snapshot.5.tmp") && is_temporary(&temporary("snapshot.5")));
        assert!(!is_temporary("snapshot.5") && !is_temporary("log.5.tmp"));
        assert_eq!(snapshot_zxid("snapshot.5.tmp"), None);
    }
}
