//! Snapshots that a leader sends: what they replace, what stays, and what a start makes of both.

use crate::site::{Site, items, write};
use bellwether_sim::disk::{End, Faults, SimDisk};
use bellwether_store::{ReceivedSnapshot, Role, Store, StoreError, purge};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, snapshot::OPEN_ACL_ID};
use bellwether_wire::stat::StatPersisted;
use std::sync::Arc;

fn member(mut site: Site) -> Site {
    site.options.role = Role::Member;
    site
}

/// What the leader's tree holds: more than ours.
fn sent() -> Vec<SnapshotItem> {
    let node = SnapshotNode {
        path: "/leader".into(),
        data: None,
        acl_id: OPEN_ACL_ID,
        stat: StatPersisted::default(),
    };
    [items(), vec![SnapshotItem::Node(node)]].concat()
}

fn begin(site: &Site, zxid: i64) -> Result<ReceivedSnapshot, StoreError> {
    let mut snapshot = ReceivedSnapshot::create(Arc::clone(&site.disk), &site.options, Zxid(zxid))?;
    for item in sent() {
        snapshot.write(&item)?;
    }
    Ok(snapshot)
}

fn receive(site: &Site, store: &mut Store, zxid: i64) -> Result<(), StoreError> {
    store.restart_at(begin(site, zxid)?.seal()?).map(drop)
}

/// Logs `1..=5` and `6,7`, and snapshots of 0 and 6.
fn history(site: &Site) -> Store {
    let mut store = site.with_batches(&[&[1, 2], &[3, 4, 5]]);
    store.roll().unwrap();
    write(&mut store, &[&[6], &[7]]);
    site.save_snapshot(6);
    store
}

#[test]
fn a_snapshot_ahead_of_the_log_is_gone_on_from() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = history(&site);
        receive(&site, &mut store, 50).unwrap();
        assert_eq!(store.last_zxid(), Zxid(50));
        // Before anything follows it, and after.
        drop(store);
        let (mut store, seen) = site.open().unwrap();
        assert_eq!((seen.items, seen.zxids, seen.notices), (sent(), vec![], vec![]));
        write(&mut store, &[&[51], &[52]]);
        drop(store);
        let (store, seen) = site.open().unwrap();
        assert_eq!((seen.items, seen.zxids, seen.notices), (sent(), vec![51, 52], vec![]));
        drop(store);
        assert!(site.names().contains(&"log.33".to_owned()), "{:?}", site.names());
    });
}

#[test]
fn records_and_snapshots_beyond_it_are_set_aside() {
    for zxid in [0, 3, 5, 6, 7] {
        Site::on_both(|site| {
            let site = member(site);
            let mut store = history(&site);
            receive(&site, &mut store, zxid).unwrap();
            write(&mut store, &[&[zxid + 1]]);
            drop(store);
            let (store, seen) = site.open().unwrap();
            assert_eq!((seen.items, seen.zxids), (sent(), vec![zxid + 1]), "{zxid}");
            drop(store);
            let names = site.names();
            assert!(!names.iter().any(|name| name.contains("tmp")), "{names:?}");
            assert!(!names.contains(&"bellwether.cutback".to_owned()), "{names:?}");
            let kept = names.iter().filter(|name| name.starts_with("bellwether.cut.")).count();
            assert_eq!(kept > 0, zxid < 7, "{zxid}: {names:?}");
        });
    }
}

#[test]
fn an_older_history_is_not_gone_on_from_across_the_gap() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = history(&site);
        receive(&site, &mut store, 50).unwrap();
        write(&mut store, &[&[51]]);
        drop(store);
        let received = site.options.snapshot_dir().join("snapshot.32");
        site.edit(&received, |bytes| bytes[30] ^= 1);
        assert_eq!(site.outcome(), "refused: Gap");
        site.disk.remove(&site.log(51)).unwrap();
        site.disk.remove(&site.side()).unwrap();
        assert_eq!(site.outcome(), "refused: EndsBeforeSnapshot");
    });
}

#[test]
fn an_epoch_that_begins_with_the_snapshot_hides_no_gap() {
    // Without marks only the broken snapshot tells that there was something in between.
    for force_sync in [bellwether_store::ForceSync::Yes, bellwether_store::ForceSync::No] {
        Site::on_both(|site| {
            let mut site = member(site);
            site.options.force_sync = force_sync;
            let mut store = history(&site);
            let epoch = Zxid::first_of(3).0;
            receive(&site, &mut store, epoch).unwrap();
            write(&mut store, &[&[epoch + 1]]);
            drop(store);
            for save in [bellwether_store::save_accepted, bellwether_store::save_current] {
                save(site.disk.as_ref(), &site.options, 3).unwrap();
            }
            let (store, seen) = site.open().unwrap();
            assert_eq!((seen.items, seen.zxids), (sent(), vec![epoch + 1]));
            drop(store);
            let received = site.options.snapshot_dir().join("snapshot.300000000");
            site.edit(&received, |bytes| bytes[30] ^= 1);
            assert_eq!(site.outcome(), "refused: Gap");
        });
    }
}

#[test]
fn what_is_not_put_in_place_leaves_nothing_behind() {
    Site::on_both(|site| {
        let site = member(site);
        let store = history(&site);
        let before = site.names();
        begin(&site, 50).unwrap().abort();
        drop(begin(&site, 50).unwrap().seal().unwrap());
        drop(begin(&site, 50).unwrap());
        assert_eq!(site.names(), before);
        // A process that ends meanwhile leaves it to the next start.
        let temporary = site.options.snapshot_dir().join("bellwether.tmp.received.snapshot.32");
        site.put(&temporary, b"a part of it");
        drop(store);
        assert_eq!(site.outcome(), "7 TemporaryRemoved");
        assert_eq!(site.names(), before);
    });
}

#[test]
fn a_store_that_failed_to_change_its_history_does_nothing_more() {
    let disk = SimDisk::new(3);
    let mut site = member(Site::simulated());
    site.disk = Arc::new(disk.clone());
    let mut store = history(&site);
    let sealed = begin(&site, 3).unwrap().seal().unwrap();
    disk.set_faults(Faults { off_after: Some(20), ..Faults::default() });
    store.restart_at(sealed).unwrap_err();
    disk.set_faults(Faults::default());
    assert!(matches!(store.sync(), Err(StoreError::Poisoned)));
    assert!(matches!(store.truncate(Zxid(1)), Err(StoreError::Poisoned)));
    assert!(matches!(store.into_recovery().map(drop), Err(StoreError::Poisoned)));
}

#[test]
fn wherever_the_power_fails_there_is_one_history_or_the_other() {
    for seed in 0..4 {
        for zxid in [0, 3, 6, 7, 50] {
            for off_after in 0.. {
                let disk = SimDisk::new(seed);
                let mut site = member(Site::simulated());
                site.disk = Arc::new(disk.clone());
                if seed % 2 == 1 {
                    site.options.data_log_dir = "/log".into();
                }
                let mut store = history(&site);
                // The directory must be durable itself: what is tested is the change.
                site.disk.sync_dir(&site.options.snapshot_dir()).unwrap();
                disk.set_faults(Faults { off_after: Some(off_after), ..Faults::default() });
                let done = receive(&site, &mut store, zxid).is_ok();
                let went_off = disk.is_off();
                drop(store);
                disk.restart(End::PowerLost);
                let (store, seen) = site.open().unwrap();
                if seen.items == sent() {
                    assert_eq!((store.last_zxid(), seen.zxids), (Zxid(zxid), vec![]));
                } else {
                    assert!(!done, "{zxid}");
                    assert_eq!((store.last_zxid(), seen.zxids), (Zxid(7), vec![7]), "{zxid}");
                }
                if !went_off {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_change_that_waits_to_be_completed_is_said_when_it_cannot_be() {
    Site::on_both(|site| {
        let site = member(site);
        drop(history(&site));
        let note = site.options.log_dir().join("bellwether.cutback");
        site.put(&note, b"bellwether cutback 1\nlog log.1\nchecksum 00000000\n");
        let text = site.open().map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("bellwether.cutback: it is damaged"), "{text}");
        let purged = purge(site.disk.as_ref(), &site.options, 1).unwrap();
        assert!(purged.snapshots.is_empty() && purged.logs.is_empty());
        site.disk.remove(&note).unwrap();
        assert_eq!(site.outcome(), "7");
    });
}
