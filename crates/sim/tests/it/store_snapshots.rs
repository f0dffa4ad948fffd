//! Snapshots: written and read in every compression, chosen, skipped, refused.

use crate::site::{Site, items, write};
use bellwether_sim::disk::{Faults, SimDisk};
use bellwether_store::{
    Compression, LogsWithoutSnapshot, SnapshotReader, SnapshotWriter, StoreError,
};
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, TxnDigest, snapshot::OPEN_ACL_ID};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, SessionId, Zxid};
use std::path::PathBuf;
use std::sync::Arc;

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

/// A state of some size, with everything a snapshot can hold.
fn large() -> Vec<SnapshotItem> {
    let mut items = vec![
        SnapshotItem::Session { id: SessionId(5), timeout_ms: 4000 },
        SnapshotItem::Session { id: SessionId(-6), timeout_ms: 40_000 },
        SnapshotItem::Acl { id: 1, acl: vec![Acl::world_all()] },
        SnapshotItem::Acl { id: 2, acl: vec![Acl::world_all(), Acl::world_all()] },
    ];
    items.extend(self::items());
    for n in 0..400_u32 {
        let data: Vec<u8> = (0..n).flat_map(|i| (i ^ (n << 3)).to_be_bytes()).collect();
        let data = (n % 5 != 0).then(|| Data::from(data));
        let path = format!("/a/{n:010}").into();
        let stat = StatPersisted { mzxid: Zxid(i64::from(n)), ..StatPersisted::default() };
        let acl_id = if n % 2 == 0 { OPEN_ACL_ID } else { 2 };
        items.push(SnapshotItem::Node(SnapshotNode { path, data, acl_id, stat }));
    }
    items
}

fn rest() -> [Vec<SnapshotItem>; 4] {
    let digest = TxnDigest { version: TxnDigest::VERSION, digest: -7 };
    let digest = SnapshotItem::Digest { zxid: Zxid(9), digest };
    let last = SnapshotItem::LastProcessed(Zxid(8));
    [vec![], vec![digest.clone()], vec![last.clone()], vec![digest, last]]
}

fn save(site: &Site, items: &[SnapshotItem]) -> Result<PathBuf, StoreError> {
    let mut writer = SnapshotWriter::create(Arc::clone(&site.disk), &site.options, Zxid(9))?;
    for item in items {
        writer.write(item)?;
    }
    Ok(writer.finish()?.path)
}

fn load(site: &Site, path: &std::path::Path) -> Result<Vec<SnapshotItem>, StoreError> {
    SnapshotReader::open(site.disk.as_ref(), path)?.collect()
}

#[test]
fn snapshots_round_trip_in_every_compression_and_with_every_section() {
    for compression in COMPRESSIONS {
        for rest in rest() {
            Site::on_both(|mut site| {
                site.open().unwrap();
                site.options.compression = compression;
                let items = [large(), rest.clone()].concat();
                let path = save(&site, &items).unwrap();
                assert!(path.to_string_lossy().ends_with(compression.suffix()));
                assert_eq!(load(&site, &path).unwrap(), items);
            });
        }
    }
}

#[test]
fn no_cut_and_no_changed_byte_is_taken_for_a_snapshot() {
    for compression in COMPRESSIONS {
        let mut site = Site::simulated();
        site.open().unwrap();
        site.options.compression = compression;
        let items = [items(), rest()[3].clone()].concat();
        let path = save(&site, &items).unwrap();
        let sound = site.bytes(&path);
        for at in 0..sound.len() {
            site.put(&path, &sound[..at]);
            // Where only the sections behind the nodes are cut off, an older file is left.
            let cut = load(&site, &path).unwrap_or_default();
            assert!(cut.is_empty() || items.starts_with(&cut), "{compression:?} cut at {at}");
            assert!(cut.is_empty() || cut.len() >= 2, "{compression:?} cut at {at}");
            let mut changed = sound.clone();
            changed[at] ^= 0x10;
            site.put(&path, &changed);
            // Some bytes of a compressed file's header mean nothing.
            let read = load(&site, &path).unwrap_or_else(|_| items.clone());
            assert_eq!(read, items, "{compression:?} changed at {at}");
        }
    }
}

#[test]
fn a_broken_newest_snapshot_is_skipped_for_an_older_one() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[&[1, 2]]);
        let path = site.save_snapshot(2);
        write(&mut store, &[&[3]]);
        drop(store);
        assert_eq!(site.outcome(), "3");
        site.edit(&path, |bytes| bytes[40] ^= 1);
        assert_eq!(site.outcome(), "1,2,3 SnapshotSkipped");
        site.put(&path, b"");
        assert_eq!(site.outcome(), "1,2,3 SnapshotSkipped");
    });
}

#[test]
fn an_older_snapshot_without_its_logs_is_no_way_out() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[&[1, 2]]);
        let path = site.save_snapshot(2);
        store.roll().unwrap();
        write(&mut store, &[&[3]]);
        drop(store);
        site.disk.remove(&site.log(1)).unwrap();
        assert_eq!(site.outcome(), "3");
        site.edit(&path, |bytes| bytes[40] ^= 1);
        assert_eq!(site.outcome(), "refused: MissingRecords");
    });
}

#[test]
fn logs_without_a_snapshot_are_refused_unless_trusted() {
    Site::on_both(|mut site| {
        drop(site.with_batches(&[&[1, 2]]));
        let snapshot = site.options.snapshot_dir().join("snapshot.0");
        site.disk.remove(&snapshot).unwrap();
        let error = site.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::NoSnapshot { .. }), "{error}");
        site.options.logs_without_snapshot = LogsWithoutSnapshot::Trust;
        assert_eq!(site.outcome(), "1,2");
    });
}

#[test]
fn a_broken_snapshot_alone_is_refused_unless_it_held_nothing() {
    Site::on_both(|site| {
        site.open().unwrap();
        let first = site.options.snapshot_dir().join("snapshot.0");
        site.put(&first, b"ZKSN");
        assert_eq!(site.outcome(), "SnapshotSkipped");
        site.put(&site.options.snapshot_dir().join("snapshot.5"), b"ZKSN");
        let error = site.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::NoSnapshot { .. }), "{error}");
    });
}

#[test]
fn a_snapshot_that_fails_leaves_nothing_behind() {
    let mut site = Site::simulated();
    let disk = SimDisk::new(5);
    site.disk = Arc::new(disk.clone());
    site.open().unwrap();
    let capacity_bytes = Some(disk.used_bytes() + 1000);
    disk.set_faults(Faults { capacity_bytes, ..Faults::default() });
    match save(&site, &large()).unwrap_err() {
        StoreError::SnapshotWrite { bytes_free, .. } => assert!(bytes_free.is_some()),
        other => panic!("{other}"),
    }
    assert!(!site.names().iter().any(|name| name.contains("snapshot")), "{:?}", site.names());
    disk.set_faults(Faults::default());
    let path = save(&site, &large()).unwrap();
    assert_eq!(load(&site, &path).unwrap(), large());
}

#[test]
fn an_aborted_snapshot_leaves_nothing_behind() {
    Site::on_both(|site| {
        site.open().unwrap();
        let mut writer =
            SnapshotWriter::create(Arc::clone(&site.disk), &site.options, Zxid(3)).unwrap();
        writer.write(&items()[0]).unwrap();
        writer.abort();
        assert!(!site.names().iter().any(|name| name.contains("snapshot")));
    });
}
