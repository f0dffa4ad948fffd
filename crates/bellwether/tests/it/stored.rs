//! Settings of the data directory show in its files: a setting that nobody read would show here.

use crate::process::{Client, Server, create, eventually};
use bellwether_store::{LogReader, LogStep, OsDisk, SnapshotReader};
use bellwether_wire::client::Request;
use bellwether_wire::client::request::Create;
use bellwether_wire::disk::{SnapshotItem, Txn, TxnRecord};
use bellwether_wire::{Acl, Data};
use std::fs;
use std::path::PathBuf;

const RECORD_BYTES_MAX: usize = 1 << 20;
/// So many writes are more than any limit that a test sets.
const WRITES: i32 = 20;
const WRITE_BYTES: usize = 2048;

/// The server's files whose names begin so, by the zxid that they are named after.
fn files(server: &Server, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.data_dir().join("version-2")).expect("it is there");
    let zxid = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix(prefix)?;
        u64::from_str_radix(name.split('.').next()?, 16).ok().filter(|_| !name.ends_with(".tmp"))
    };
    let paths = entries.map(|entry| entry.expect("it is listed").path());
    let mut files: Vec<_> = paths.filter_map(|path| Some((zxid(&path)?, path))).collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// Every transaction that was logged.
fn records(server: &Server) -> Vec<TxnRecord> {
    let mut records = Vec::new();
    for path in files(server, "log.") {
        let mut reader =
            LogReader::open(&OsDisk, &path, RECORD_BYTES_MAX).expect("it can be opened");
        reader.start().expect("it can be read");
        while let LogStep::Record(record) = reader.step().expect("it can be read") {
            records.push(record.record);
        }
    }
    records
}

/// What the newest snapshot holds.
fn newest_items(server: &Server) -> Vec<SnapshotItem> {
    let path = files(server, "snapshot.").pop().expect("there is a snapshot");
    let items = SnapshotReader::open(&OsDisk, &path).expect("it can be opened");
    items.map(|item| item.expect("it can be read")).collect()
}

/// Many writes, each answered before the next.
fn write(server: &Server, client: &mut Client) {
    for xid in 1..=WRITES {
        let (header, _) = client.call(xid, &create(&format!("/n{xid}"), &[7; WRITE_BYTES]));
        assert_eq!(header.err, 0);
    }
    assert!(server.metric("zk_znode_count") > u64::try_from(WRITES).expect("it is positive"));
}

/// Whether every node of [`write`] is there.
fn has_all(server: &Server) -> bool {
    let mut client = Client::connect(server);
    (1..=WRITES).all(|xid| {
        let exists = Request::Exists { path: format!("/n{xid}").into(), watch: false };
        client.call(xid, &exists).0.err == 0
    })
}

#[test]
fn snapshots_are_compressed_as_the_setting_says_and_read_whatever_it_says() {
    let methods =
        [("", "", &b"ZKSN"[..]), ("gz", ".gz", b"\x1f\x8b"), ("snappy", ".snappy", b"\x82SNAPPY")];
    let line = |method| format!("snapCount=4\nsnapshot.compression.method={method}");
    for (number, (method, suffix, magic)) in methods.into_iter().enumerate() {
        let mut server = Server::start(&format!("compressed-{number}"), &line(method));
        let mut client = Client::connect(&server);
        write(&server, &mut client);
        eventually("snapshots", || files(&server, "snapshot.").len() > 2);
        for path in files(&server, "snapshot.") {
            let name = path.to_string_lossy();
            assert!(
                name.ends_with(suffix)
                    && name.matches('.').count() == 1 + suffix.matches('.').count(),
                "{name}"
            );
            assert!(fs::read(&path).expect("it is there").starts_with(magic), "{name}");
        }
        for (other, ..) in methods {
            server.restart_with(&line(other));
            assert!(has_all(&server), "{method:?} read by a server that writes {other:?}");
        }
    }
}

#[test]
fn a_log_reserves_what_pre_alloc_size_says() {
    for (lines, bytes) in
        [("", 64 << 20), ("preAllocSize=64", 64 << 10), ("preAllocSize=1024", 1 << 20)]
    {
        let server = Server::start(&format!("pre-alloc-{bytes}"), lines);
        Client::connect(&server);
        let logs = files(&server, "log.");
        let lengths: Vec<_> =
            logs.iter().map(|log| fs::metadata(log).expect("it is there").len()).collect();
        assert_eq!(lengths, [bytes], "{lines}");
    }
    let server = Server::start("pre-alloc-none", "preAllocSize=0");
    Client::connect(&server);
    let log = fs::read(files(&server, "log.").pop().expect("there is a log")).expect("it is there");
    assert_eq!(log.last(), Some(&b'B'), "it ends with its last record");
}

#[test]
fn a_log_ends_at_txn_log_size_limit_in_kb() {
    for (lines, logs) in [("", 1), ("txnLogSizeLimitInKb=-1", 1), ("txnLogSizeLimitInKb=8", 5)] {
        let mut server = Server::start(&format!("log-limit-{logs}-{}", lines.len()), lines);
        let mut client = Client::connect(&server);
        write(&server, &mut client);
        // Four writes and the header are more than 8 KiB; so the fifth begins the next log.
        assert_eq!(files(&server, "log.").len(), logs, "{lines}");
        assert_eq!(records(&server).len(), usize::try_from(WRITES).expect("positive") + 1);
        server.restart();
        assert!(has_all(&server));
    }
}

#[test]
fn a_snapshot_follows_snap_count_writes_or_snap_size_limit_in_kb() {
    for lines in ["snapCount=6", "snapSizeLimitInKb=16"] {
        let server = Server::start(&format!("snap-{}", lines.len()), lines);
        let mut client = Client::connect(&server);
        write(&server, &mut client);
        eventually(lines, || files(&server, "snapshot.").len() > 1);
        assert!(files(&server, "log.").len() > 1, "a snapshot begins a log");
    }
    // Neither limit is reached, so that the last reply was sent without a snapshot having begun.
    let server = Server::start("snap-none", "snapSizeLimitInKb=0");
    let mut client = Client::connect(&server);
    write(&server, &mut client);
    assert_eq!(files(&server, "log.").len(), 1);
}

#[test]
fn the_end_of_a_session_lists_its_nodes_as_close_session_txn_says() {
    let listed = |paths: &[&str]| Some(paths.iter().map(|path| Box::from(*path)).collect());
    for (lines, expected) in [
        ("", listed(&["/e1", "/e2"])),
        ("closeSessionTxn.enabled=true", listed(&["/e1", "/e2"])),
        ("closeSessionTxn.enabled=false", None),
    ] {
        let mut server = Server::start(&format!("close-{}", lines.len()), lines);
        let mut client = Client::connect(&server);
        for (xid, path) in [(1, "/e1"), (2, "/e2")] {
            let (data, acl) = (Some(Data::from(&b""[..])), Some(vec![Acl::world_all()]));
            let ephemeral = Create { path: path.into(), data, acl, flags: 1 };
            assert_eq!(client.call(xid, &Request::Create(ephemeral)).0.err, 0);
        }
        assert_eq!(client.call(3, &Request::CloseSession).0.err, 0);
        let last = records(&server).pop().expect("there are records");
        assert_eq!(last.txn, Txn::CloseSession { paths: expected }, "{lines}");
        server.restart();
        assert_eq!(server.metric("zk_ephemerals_count"), 0);
        assert_eq!(server.metric("zk_digest_mismatches_count"), 0);
    }
}

#[test]
fn a_snapshot_ends_with_its_zxid_as_serialize_last_processed_zxid_says() {
    for (value, expected) in [("true", true), ("false", false)] {
        let lines = format!("snapCount=2\nserializeLastProcessedZxid.enabled={value}");
        let mut server = Server::start(&format!("last-zxid-{value}"), &lines);
        let has = |server: &Server| {
            let is_it = |item: &SnapshotItem| matches!(item, SnapshotItem::LastProcessed(_));
            newest_items(server).iter().any(is_it)
        };
        assert_eq!(has(&server), expected, "the first");
        let mut client = Client::connect(&server);
        write(&server, &mut client);
        eventually("a later one", || files(&server, "snapshot.").len() > 1);
        assert_eq!(has(&server), expected, "a later one");
        server.restart_with("serializeLastProcessedZxid.enabled=true");
        assert!(has_all(&server));
    }
}

#[test]
fn digests_are_written_and_compared_as_digest_enabled_says() {
    let lines = |enabled: bool| format!("snapCount=2\ndigest.enabled={enabled}");
    let check = |server: &Server, enabled: bool| {
        let written = |record: &TxnRecord| record.digest.is_some();
        let records = records(server);
        assert!(records.iter().all(|record| written(record) == enabled), "{enabled}");
        let is_digest = |item: &SnapshotItem| matches!(item, SnapshotItem::Digest { .. });
        assert_eq!(newest_items(server).iter().any(is_digest), enabled);
    };
    for enabled in [true, false] {
        let mut server = Server::start(&format!("digest-{enabled}"), &lines(enabled));
        let mut client = Client::connect(&server);
        write(&server, &mut client);
        eventually("a later snapshot", || files(&server, "snapshot.").len() > 1);
        check(&server, enabled);
        // The other setting reads it, goes on from it, and is read by the first again.
        for other in [!enabled, enabled] {
            server.restart_with(&lines(other));
            assert!(has_all(&server), "{enabled}, then {other}");
            assert_eq!(server.metric("zk_digest_mismatches_count"), 0);
        }
    }
}

#[test]
fn logs_alone_are_loaded_where_snapshot_trust_empty_says_so() {
    let mut server = Server::start("trust-empty", "");
    let mut client = Client::connect(&server);
    write(&server, &mut client);
    for path in files(&server, "snapshot.") {
        fs::remove_file(path).expect("it is ours");
    }
    server.restart_with("snapshot.trust.empty=true");
    assert!(has_all(&server));
}
