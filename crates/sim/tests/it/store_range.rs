//! Stretches of the logs for peers: what is handed out, what is said about the point they begin
//! after, and what cannot be read.

use crate::site::{Site, record, write};
use bellwether_store::{
    ForceSync, LogRange, RangeError, RangeStart, ReceivedSnapshot, Role, Store,
    newest_snapshot_bytes,
};
use bellwether_wire::Zxid;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const FIRST: i64 = 0x1_0000_0000;

/// Logs `1,2,3` `4,5` and, in the next epoch, `1,2`; snapshots of 0 and 3.
fn history(site: &mut Site) -> Store {
    site.options.role = Role::Member;
    let mut store = site.with_batches(&[&[1, 2], &[3]]);
    site.save_snapshot(3);
    store.roll().unwrap();
    write(&mut store, &[&[4], &[5], &[FIRST + 1, FIRST + 2]]);
    store
}

fn open(site: &Site, after: i64, up_to: i64) -> Result<LogRange, RangeError> {
    LogRange::open(Arc::clone(&site.disk), &site.options, (Zxid(after), Zxid(up_to)), None)
}

/// What a range hands out, and what it says of its beginning.
fn read(site: &Site, after: i64, up_to: i64) -> String {
    let mut range = match open(site, after, up_to) {
        Ok(range) => range,
        Err(error) => {
            let name = format!("{error:?}");
            return name.split(' ').next().unwrap().to_owned();
        }
    };
    let mut zxids = Vec::new();
    loop {
        let batch = range.next_batch(1).unwrap();
        assert!(batch.len() <= 1);
        let Some(record) = batch.first() else { break };
        let zxid = record.header.zxid;
        zxids.push(match zxid.epoch() {
            0 => zxid.counter().to_string(),
            epoch => format!("{epoch}.{}", zxid.counter()),
        });
    }
    assert_eq!(zxids.len() as u64, range.records());
    let start = match range.start() {
        RangeStart::Present => "present".to_owned(),
        RangeStart::Boundary => "boundary".to_owned(),
        RangeStart::Absent { before, next } => {
            format!("absent {} {:?}", before.counter(), next.map(Zxid::counter))
        }
    };
    format!("{start}: {}", zxids.join(",")).trim_end().to_owned()
}

#[test]
fn a_stretch_is_handed_out_in_order_across_logs_and_epochs() {
    Site::on_both(|mut site| {
        let _store = history(&mut site);
        for (after, up_to, expected) in [
            (0, 5, "boundary: 1,2,3,4,5"),
            (2, FIRST + 2, "present: 3,4,5,1.1,1.2"),
            (3, 4, "present: 4"),
            (5, FIRST + 1, "present: 1.1"),
            (5, FIRST, "present:"),
            (FIRST, FIRST + 2, "boundary: 1.1,1.2"),
            (FIRST, FIRST, "boundary:"),
            (FIRST + 2, FIRST + 2, "present:"),
            (FIRST + 1, FIRST + 1, "present:"),
            // What the peer has and this history does not.
            (7, FIRST + 2, "absent 5 Some(1): 1.1,1.2"),
            (7, 7, "absent 5 None:"),
            (7, FIRST, "absent 5 None:"),
            (FIRST + 7, FIRST + 7, "absent 2 None:"),
            // What nobody has said to be there.
            (2, 9, "Gap"),
            (2, FIRST + 3, "Gap"),
        ] {
            assert_eq!(read(&site, after, up_to), expected, "{after} {up_to}");
        }
    });
}

#[test]
fn a_log_that_was_purged_is_a_gap_unless_its_end_was_the_point() {
    Site::on_both(|mut site| {
        let _store = history(&mut site);
        site.disk.remove(&site.log(1)).unwrap();
        assert_eq!(read(&site, 3, 5), "boundary: 4,5");
        assert_eq!(read(&site, 2, 5), "Gap");
        assert_eq!(read(&site, 0, 5), "Gap");
    });
}

#[test]
fn a_hole_that_a_snapshot_fills_is_a_gap_before_anything_is_handed_out() {
    for force_sync in [ForceSync::Yes, ForceSync::No] {
        Site::on_both(|mut site| {
            site.options.force_sync = force_sync;
            let mut store = history(&mut site);
            let second = Zxid::first_of(2).0;
            let mut sent =
                ReceivedSnapshot::create(Arc::clone(&site.disk), &site.options, Zxid(second))
                    .unwrap();
            for item in crate::site::items() {
                sent.write(&item).unwrap();
            }
            store.restart_at(sent.seal().unwrap()).unwrap();
            write(&mut store, &[&[second + 1], &[second + 2]]);
            assert_eq!(read(&site, FIRST + 1, second + 2), "Gap");
            assert_eq!(read(&site, FIRST + 2, second + 2), "Gap");
            assert_eq!(read(&site, second, second + 2), "boundary: 2.1,2.2");
            assert_eq!(read(&site, second + 1, second + 2), "present: 2.2");
        });
    }
}

#[test]
fn a_stretch_that_is_too_long_is_not_read_to_its_end() {
    Site::on_both(|mut site| {
        let _store = history(&mut site);
        let range = open(&site, 0, 5).unwrap();
        let places = [site.places(&site.log(1)), site.places(&site.log(4))].concat();
        let bytes: usize = places.iter().take(5).map(|(_, from, to)| to - from).sum();
        assert_eq!(range.bytes(), bytes as u64);
        let with = |bytes_max| {
            let points = (Zxid(0), Zxid(5));
            LogRange::open(Arc::clone(&site.disk), &site.options, points, Some(bytes_max))
        };
        assert!(with(range.bytes()).is_ok());
        let bytes_max = range.bytes() - 1;
        assert!(matches!(with(bytes_max), Err(RangeError::TooLong { .. })));
        assert!(matches!(with(0), Err(RangeError::TooLong { .. })));
        let newest = site.bytes(&site.options.snapshot_dir().join("snapshot.3")).len() as u64;
        let found = newest_snapshot_bytes(site.disk.as_ref(), &site.options).unwrap();
        assert_eq!(found, Some(newest));
    });
}

#[test]
fn a_batch_has_one_transaction_at_least_and_no_more_than_fit() {
    Site::on_both(|mut site| {
        let _store = history(&mut site);
        let mut range = open(&site, 0, 5).unwrap();
        assert_eq!(range.next_batch(0).unwrap().len(), 0);
        assert_eq!(range.next_batch(1).unwrap().len(), 1);
        assert_eq!(range.next_batch(u64::MAX).unwrap().len(), 4);
        assert_eq!(range.next_batch(u64::MAX).unwrap().len(), 0);
    });
}

#[test]
fn what_is_purged_or_cut_meanwhile_is_an_error_and_not_garbage() {
    Site::on_both(|mut site| {
        let mut store = history(&mut site);
        let mut purged = open(&site, 0, FIRST + 2).unwrap();
        assert_eq!(purged.next_batch(1).unwrap().len(), 1);
        site.disk.remove(&site.log(4)).unwrap();
        let error = loop {
            match purged.next_batch(1) {
                Ok(batch) => assert!(!batch.is_empty()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, RangeError::Gone { .. }), "{error}");
        assert!(purged.next_batch(1).unwrap().is_empty(), "nothing comes after an error");
        drop(purged);
        let mut cut = open(&site, 0, 3).unwrap();
        store.truncate(Zxid(1)).unwrap();
        let error = cut.next_batch(u64::MAX).unwrap_err();
        assert!(matches!(error, RangeError::Changed { .. }), "{error}");
    });
}

#[test]
fn a_batch_that_is_being_written_is_not_looked_at() {
    Site::on_both(|mut site| {
        let store = history(&mut site);
        drop(store);
        let log = site.log(4);
        let places = site.places(&log);
        let (_, from, to) = *places.last().unwrap();
        site.edit(&log, |bytes| bytes[from + 30..to].fill(0xee));
        assert_eq!(read(&site, 3, FIRST + 1), "present: 4,5,1.1");
        assert_eq!(read(&site, 3, FIRST), "present: 4,5");
        assert_eq!(read(&site, 3, FIRST + 2), "Gap");
    });
}

#[test]
fn a_reader_keeps_up_with_the_thread_of_the_log() {
    let mut site = Site::real();
    site.options.role = Role::Member;
    site.options.log_bytes_limit = Some(20_000);
    let mut store = site.with_batches(&[&[1]]);
    let synced = AtomicI64::new(1);
    const LAST: i64 = 2_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for zxid in 2..=LAST {
                store.append(&record(zxid, usize::try_from(zxid % 300).unwrap())).unwrap();
                if zxid % 7 == 0 || zxid == LAST {
                    store.sync().unwrap();
                    synced.store(zxid, Ordering::Release);
                }
            }
        });
        let mut at = 0;
        while at < LAST {
            let up_to = synced.load(Ordering::Acquire);
            let mut range = open(&site, at, up_to).unwrap();
            loop {
                let batch = range.next_batch(5_000).unwrap();
                for record in &batch {
                    at += 1;
                    assert_eq!(record.header.zxid, Zxid(at));
                }
                if batch.is_empty() {
                    break;
                }
            }
            assert_eq!(at, up_to);
        }
    });
}

#[test]
fn a_recovery_hands_out_the_last_transactions_again() {
    Site::on_both(|mut site| {
        drop(history(&mut site));
        for save in [bellwether_store::save_accepted, bellwether_store::save_current] {
            save(site.disk.as_ref(), &site.options, 1).unwrap();
        }
        for (recent_max, expected) in [
            (0, &[][..]),
            (2, &[FIRST + 1, FIRST + 2]),
            // Those that the snapshot of 3 holds are among them, as far as its log has them.
            (500, &[1, 2, 3, 4, 5, FIRST + 1, FIRST + 2]),
        ] {
            site.options.recent_max = recent_max;
            let disk = Arc::clone(&site.disk);
            let mut recovery = Store::open(disk, site.options.clone(), Box::new(|_| {})).unwrap();
            assert!(recovery.all(|piece| piece.is_ok()));
            let recent = recovery.take_recent();
            let zxids: Vec<i64> = recent.iter().map(|record| record.header.zxid.0).collect();
            assert_eq!(zxids, expected, "{recent_max}");
        }
    });
}
