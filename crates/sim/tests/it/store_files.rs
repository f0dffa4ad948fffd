//! Directories, locks, segments, and what happens when a write fails.

use crate::site::{Site, items, record, write};
use bellwether_sim::disk::{End, Faults, SimDisk};
use bellwether_store::{
    Disk, ForceSync, MissingDirectories, Origin, Store, StoreError, purge, sizes,
};
use std::sync::Arc;

#[test]
fn what_is_synced_is_read_back_across_logs() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[&[1, 2], &[3]]);
        store.roll().unwrap();
        write(&mut store, &[&[4]]);
        drop(store);
        let (mut store, seen) = site.open().unwrap();
        assert_eq!((seen.items, seen.zxids), (items(), vec![1, 2, 3, 4]));
        let report = write(&mut store, &[&[5, 6]]);
        assert_eq!(report.records, 2);
        store.close().unwrap();
        let logs: Vec<_> =
            site.names().into_iter().filter(|name| name.starts_with("log.")).collect();
        assert_eq!(logs, ["log.1", "log.4", "log.5"]);
        assert_eq!(site.outcome(), "1,2,3,4,5,6");
    });
}

#[test]
fn an_empty_sync_touches_nothing() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[]);
        assert_eq!(store.sync().unwrap().records, 0);
        store.roll().unwrap();
        store.idle();
        assert!(site.names().iter().all(|name| !name.starts_with("log.")));
    });
}

#[test]
fn a_log_grows_in_steps_and_ends_at_its_limit() {
    Site::on_both(|mut site| {
        site.options.log_bytes_limit = Some(10_000);
        let mut store = site.with_batches(&[&[1]]);
        assert_eq!(site.bytes(&site.log(1)).len(), 8192);
        store.append(&record(2, 5000)).unwrap();
        store.append(&record(3, 5000)).unwrap();
        assert_eq!(store.sync().unwrap().records, 2);
        assert_eq!(site.bytes(&site.log(1)).len(), 16384);
        write(&mut store, &[&[4]]);
        assert_eq!(site.bytes(&site.log(4)).len(), 8192);
    });
}

#[test]
fn the_first_record_needs_a_snapshot_to_start_from() {
    Site::on_both(|site| {
        let (mut store, _) = site.open().unwrap();
        let error = store.append(&record(1, 0)).unwrap_err();
        assert!(matches!(error, StoreError::NoSnapshotYet { .. }), "{error}");
        site.save_snapshot(0);
        write(&mut store, &[&[1]]);
    });
}

#[test]
fn a_record_too_long_is_refused_without_harm() {
    Site::on_both(|mut site| {
        site.options.record_bytes_max = 200;
        let mut store = site.with_batches(&[&[1]]);
        let error = store.append(&record(2, 500)).unwrap_err();
        assert!(matches!(error, StoreError::RecordTooLong { .. }), "{error}");
        write(&mut store, &[&[2]]);
        drop(store);
        assert_eq!(site.outcome(), "1,2");
    });
}

#[test]
fn one_process_has_a_directory() {
    Site::on_both(|site| {
        let (store, _) = site.open().unwrap();
        let error = site.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert_eq!(error.exit_code(), 3);
        drop(store);
        site.open().unwrap();
    });
}

#[test]
fn directories_are_made_only_if_allowed() {
    Site::on_both(|mut site| {
        site.options.directories = MissingDirectories::Refuse;
        let error = site.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::MissingDirectory { .. }), "{error}");
        assert_eq!(error.exit_code(), 3);
        site.options.directories = MissingDirectories::Create;
        site.open().unwrap();
    });
}

#[test]
fn misplaced_files_are_refused_where_the_directories_differ() {
    Site::on_both(|mut site| {
        site.options.data_log_dir = site.options.data_dir.join("logs");
        drop(site.with_batches(&[&[1]]));
        assert_eq!(site.outcome(), "1");
        for path in [
            site.options.snapshot_dir().join("log.1"),
            site.options.log_dir().join("snapshot.5.gz"),
        ] {
            site.put(&path, b"x");
            let error = site.open().map(|_| ()).unwrap_err();
            assert!(matches!(error, StoreError::Misplaced { .. }), "{error}");
            assert_eq!(error.exit_code(), 3);
            site.disk.remove(&path).unwrap();
        }
    });
}

#[test]
fn unfinished_files_are_removed() {
    Site::on_both(|site| {
        drop(site.with_batches(&[&[1]]));
        for name in ["bellwether.tmp.snapshot.7", "snapshot.7.tmp"] {
            site.put(&site.options.snapshot_dir().join(name), b"half");
        }
        assert_eq!(site.outcome(), "1 TemporaryRemoved TemporaryRemoved");
        assert_eq!(site.outcome(), "1");
    });
}

#[test]
fn without_force_sync_it_says_so_and_writes_no_marks() {
    Site::on_both(|mut site| {
        site.options.force_sync = ForceSync::No;
        let store = site.with_batches(&[&[1, 2]]);
        drop(store);
        let places = site.places(&site.log(1));
        assert_eq!(places[0].2 - places[0].1, places[1].2 - places[1].1);
        assert!(!site.names().contains(&"bellwether.synced".to_owned()));
        assert_eq!(site.outcome(), "1,2 NotSynced");
    });
}

#[test]
fn purge_keeps_what_the_kept_snapshots_need() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[&[1, 2]]);
        for first in [3, 5, 7] {
            site.save_snapshot(first - 1);
            store.roll().unwrap();
            write(&mut store, &[&[first], &[first + 1]]);
        }
        // A broken one does not count.
        site.put(&site.options.snapshot_dir().join("snapshot.8"), b"broken");
        for log in [1, 3] {
            site.put(&site.options.log_dir().join(format!("bellwether.cut.log.{log}.16")), b"cut");
        }
        assert_eq!(purge(site.disk.as_ref(), &site.options, 9).unwrap().logs.len(), 0);
        let purged = store.purge(2).unwrap();
        assert_eq!((purged.snapshots.len(), purged.logs.len()), (2, 1));
        drop(store);
        let names = site.names();
        for (name, kept) in [
            ("log.1", false),
            ("log.3", true),
            ("bellwether.cut.log.1.16", false),
            ("bellwether.cut.log.3.16", true),
            ("snapshot.2", false),
            ("snapshot.4", true),
            ("snapshot.8", true),
        ] {
            assert_eq!(names.contains(&name.to_owned()), kept, "{name} in {names:?}");
        }
        assert_eq!(site.outcome(), "7,8 SnapshotSkipped");
        let sizes = sizes(site.disk.as_ref(), &site.options).unwrap();
        assert!(sizes.log_bytes >= 3 * 8192 && sizes.snapshot_bytes > 100, "{sizes:?}");
    });
}

fn faulty() -> (Site, SimDisk, Store) {
    let mut site = Site::simulated();
    let disk = SimDisk::new(7);
    site.disk = Arc::new(disk.clone());
    let store = site.with_batches(&[&[1, 2]]);
    (site, disk, store)
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_written() {
    // The write is the first operation of a batch, the sync the second.
    for off_after in [0, 1] {
        let (site, disk, mut store) = faulty();
        store.append(&record(3, 30)).unwrap();
        disk.set_faults(Faults { off_after: Some(off_after), ..Faults::default() });
        let error = store.sync().unwrap_err();
        assert!(matches!(error, StoreError::LogWrite { .. }), "{error}");
        assert_eq!(error.exit_code(), 1);
        disk.set_faults(Faults::default());
        let before = disk.operations();
        let failures = [
            store.sync().map(|_| ()).unwrap_err(),
            store.append(&record(4, 30)).unwrap_err(),
            store.roll().unwrap_err(),
        ];
        assert!(failures.iter().all(|e| matches!(e, StoreError::Poisoned)), "{failures:?}");
        assert_eq!(disk.operations(), before);
        disk.restart(End::PowerLost);
        let (_, seen) = site.open().unwrap();
        assert!(seen.zxids.starts_with(&[1, 2]), "{:?}", seen.zxids);
    }
}

#[test]
fn a_full_disk_is_named_with_what_is_free() {
    let (site, disk, mut store) = faulty();
    let capacity = Some(disk.used_bytes() + 100);
    disk.set_faults(Faults { capacity_bytes: capacity, ..Faults::default() });
    store.append(&record(3, 20_000)).unwrap();
    match store.sync().unwrap_err() {
        StoreError::Full { path, bytes_free, .. } => {
            assert_eq!((path, bytes_free), (site.log(1), Some(100)));
        }
        other => panic!("{other}"),
    }
    drop(store);
    disk.set_faults(Faults::default());
    assert_eq!(site.outcome(), "1,2");
}

#[test]
fn a_fresh_directory_says_that_it_is_one() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(3));
    let site = Site::simulated();
    let recovery = Store::open(disk, site.options.clone(), Box::new(|_| {})).unwrap();
    assert_eq!(recovery.origin(), &Origin::Fresh);
}
