//! A history that is ended at a point: which points there are, what is left, and what is not used
//! again.

use crate::site::{Site, items, record, write};
use bellwether_sim::disk::{End, Faults, SimDisk};
use bellwether_store::{
    ForceSync, Role, SnapshotWriter, Store, StoreError, Truncation, save_accepted, save_current,
};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, snapshot::OPEN_ACL_ID};
use bellwether_wire::stat::StatPersisted;
use std::sync::Arc;

fn member(mut site: Site) -> Site {
    site.options.role = Role::Member;
    site
}

/// Logs `1,2,3` and `4,5` and `6`.
fn three_logs(site: &Site) -> Store {
    let mut store = site.with_batches(&[&[1, 2], &[3]]);
    store.roll().unwrap();
    write(&mut store, &[&[4], &[5]]);
    store.roll().unwrap();
    write(&mut store, &[&[6]]);
    store
}

/// A snapshot of `zxid` that was written while transactions up to `reach` were applied.
fn save_fuzzy(site: &Site, zxid: i64, reach: i64) {
    let mut writer =
        SnapshotWriter::create(Arc::clone(&site.disk), &site.options, Zxid(zxid)).unwrap();
    for item in items() {
        writer.write(&item).unwrap();
    }
    let stat = StatPersisted { mzxid: Zxid(reach), ..StatPersisted::default() };
    let node = SnapshotNode { path: "/b".into(), data: None, acl_id: OPEN_ACL_ID, stat };
    writer.write(&SnapshotItem::Node(node)).unwrap();
    writer.finish().unwrap();
}

fn truncate(store: &mut Store, point: i64) -> Truncation {
    store.truncate(Zxid(point)).unwrap()
}

#[test]
fn a_history_ends_at_every_record_of_it_and_goes_on_from_there() {
    for point in 0..=6 {
        Site::on_both(|site| {
            let site = member(site);
            let mut store = three_logs(&site);
            // One that waits for its sync is beyond the point, too.
            store.append(&record(7, 30)).unwrap();
            assert_eq!(truncate(&mut store, point), Truncation::Truncated);
            assert_eq!(store.last_zxid(), Zxid(point));
            let mut recovery = store.into_recovery().unwrap();
            let read = (&mut recovery).filter(|piece| piece.is_ok()).count();
            assert_eq!(read, 2 + usize::try_from(point).unwrap());
            let mut store = recovery.finish().unwrap();
            write(&mut store, &[&[point + 1], &[point + 2]]);
            store.close().unwrap();
            let zxids: Vec<String> = (1..=point + 2).map(|z| z.to_string()).collect();
            assert_eq!(site.outcome(), zxids.join(","));
        });
    }
}

#[test]
fn it_goes_on_without_a_recovery_too_and_the_last_point_changes_nothing() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        let before = site.names();
        assert_eq!(truncate(&mut store, 6), Truncation::Truncated);
        assert_eq!(site.names(), before);
        assert_eq!(truncate(&mut store, 4), Truncation::Truncated);
        write(&mut store, &[&[5]]);
        drop(store);
        assert_eq!(site.outcome(), "1,2,3,4,5");
        let kept = |name: &str| site.names().contains(&name.to_owned());
        assert!(kept("bellwether.cut.log.6.0"), "{:?}", site.names());
        assert!(site.names().iter().any(|n| n.starts_with("bellwether.cut.log.4.")));
    });
}

#[test]
fn a_point_that_the_history_does_not_have_changes_nothing() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        // The next epoch begins after 6.
        let next = Zxid::first_of(1).0;
        write(&mut store, &[&[next + 1]]);
        let before = site.names();
        for point in [7, 100, next, next + 2, next + next] {
            assert_eq!(truncate(&mut store, point), Truncation::Absent, "{point}");
        }
        assert_eq!(site.names(), before);
        write(&mut store, &[&[next + 2]]);
    });
}

#[test]
fn a_point_before_every_usable_snapshot_is_absent() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        site.save_snapshot(4);
        site.disk.remove(&site.options.snapshot_dir().join("snapshot.0")).unwrap();
        for point in [0, 2, 3] {
            assert_eq!(truncate(&mut store, point), Truncation::Absent, "{point}");
        }
        // The snapshot's own point is one, with or without records behind it.
        assert_eq!(truncate(&mut store, 4), Truncation::Truncated);
        drop(store);
        assert_eq!(site.outcome(), "");
        assert_eq!(site.open().unwrap().0.last_zxid(), Zxid(4));
    });
}

#[test]
fn a_gap_between_snapshot_and_log_makes_a_point_absent() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        site.disk.remove(&site.log(1)).unwrap();
        assert_eq!(truncate(&mut store, 5), Truncation::Absent);
        site.save_snapshot(3);
        assert_eq!(truncate(&mut store, 5), Truncation::Truncated);
        drop(store);
        assert_eq!(site.outcome(), "4,5");
    });
}

#[test]
fn snapshots_beyond_the_point_are_never_used_again() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        site.save_snapshot(5);
        // By its name it is before the point, but it shows what comes after it (ZOOKEEPER-4837).
        save_fuzzy(&site, 3, 5);
        save_fuzzy(&site, 2, 4);
        assert_eq!(truncate(&mut store, 4), Truncation::Truncated);
        drop(store);
        assert_eq!(site.outcome(), "3,4");
        let names = site.names();
        for (name, there) in [
            ("snapshot.5", false),
            ("snapshot.3", false),
            ("snapshot.2", true),
            ("snapshot.0", true),
            ("bellwether.cut.snapshot.5.0", true),
            ("bellwether.cut.snapshot.3.0", true),
        ] {
            assert_eq!(names.contains(&name.to_owned()), there, "{name} in {names:?}");
        }
    });
}

#[test]
fn what_was_set_aside_is_purged_with_what_it_belongs_to() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = three_logs(&site);
        site.save_snapshot(5);
        assert_eq!(truncate(&mut store, 4), Truncation::Truncated);
        write(&mut store, &[&[5, 6], &[7]]);
        site.save_snapshot(7);
        store.purge(1).unwrap();
        drop(store);
        let names = site.names();
        assert!(!names.iter().any(|name| name.contains("cut.snapshot")), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("cut.log.4")), "{names:?}");
    });
}

#[test]
fn without_marks_the_side_file_of_another_life_does_not_stand_in_the_way() {
    Site::on_both(|site| {
        let mut site = member(site);
        drop(site.with_batches(&[&[1, 2], &[3]]));
        site.options.force_sync = ForceSync::No;
        let (mut store, _) = site.open().unwrap();
        assert_eq!(truncate(&mut store, 2), Truncation::Truncated);
        drop(store);
        assert_eq!(site.outcome(), "1,2 NotSynced");
    });
}

#[test]
fn a_member_takes_no_record_that_leaves_a_hole() {
    Site::on_both(|site| {
        let site = member(site);
        let mut store = site.with_batches(&[&[1, 2]]);
        let next = Zxid::first_of(1).0;
        for zxid in [4, next + 2] {
            let error = store.append(&record(zxid, 10)).unwrap_err();
            assert!(matches!(error, StoreError::Hole { .. }), "{error}");
        }
        // Epochs in which nothing was proposed are left out.
        write(&mut store, &[&[3], &[next + next + 1]]);
        drop(store);
        for save in [save_accepted, save_current] {
            save(site.disk.as_ref(), &site.options, 2).unwrap();
        }
        assert_eq!(site.open().unwrap().1.zxids, [1, 2, 3, next + next + 1]);
    });
}

#[test]
fn a_member_with_a_gap_does_not_start() {
    // What a server that stands alone tolerates where no mark shows it.
    Site::on_both(|mut site| {
        site.options.force_sync = ForceSync::No;
        let mut store = site.with_batches(&[&[1, 2]]);
        write(&mut store, &[&[4]]);
        drop(store);
        assert_eq!(site.outcome(), "1,2,4 NotSynced Gap");
        let site = member(site);
        let before = site.names();
        let text = site.open().map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("between 0x2 and 0x4 are missing"), "{text}");
        assert!(text.contains("start again") && !text.contains("log recover"), "{text}");
        assert_eq!(site.names(), before);
    });
}

#[test]
fn a_member_that_has_lost_its_newest_snapshot_and_what_it_stood_for_does_not_start() {
    Site::on_both(|site| {
        let site = member(site);
        drop(site.with_batches(&[&[1, 2]]));
        site.put(&site.options.snapshot_dir().join("snapshot.5"), b"broken");
        assert_eq!(site.outcome(), "refused: EndsBeforeSnapshot");
        // Nor does one become a member in this state.
        site.disk.remove(&site.options.snapshot_dir().join("currentEpoch")).unwrap();
        assert_eq!(site.outcome(), "refused: EndsBeforeSnapshot");
        site.put(&site.options.snapshot_dir().join("snapshot.2"), b"broken");
        site.disk.remove(&site.options.snapshot_dir().join("snapshot.5")).unwrap();
        assert_eq!(site.outcome(), "1,2 SnapshotSkipped");
    });
}

#[test]
fn wherever_the_power_fails_the_history_ends_at_or_after_the_point_and_can_be_ended_again() {
    for seed in 0..4 {
        for point in [0, 2, 3, 4] {
            for off_after in 0.. {
                let disk = SimDisk::new(seed);
                let mut site = member(Site::simulated());
                site.disk = Arc::new(disk.clone());
                if seed % 2 == 1 {
                    site.options.data_log_dir = "/log".into();
                }
                let mut store = three_logs(&site);
                site.save_snapshot(5);
                save_fuzzy(&site, 3, 6);
                disk.set_faults(Faults { off_after: Some(off_after), ..Faults::default() });
                let done = matches!(store.truncate(Zxid(point)), Ok(Truncation::Truncated));
                let went_off = disk.is_off();
                drop(store);
                disk.restart(End::PowerLost);
                let (mut store, _) = site.open().unwrap();
                let last = store.last_zxid();
                assert!(last == Zxid(point) || (last == Zxid(6) && !done), "{last} {done}");
                assert_eq!(truncate(&mut store, point), Truncation::Truncated);
                drop(store);
                let (store, seen) = site.open().unwrap();
                let all: Vec<i64> = (1..=point).collect();
                assert_eq!((store.last_zxid(), seen.zxids), (Zxid(point), all));
                if !went_off {
                    break;
                }
            }
        }
    }
}
