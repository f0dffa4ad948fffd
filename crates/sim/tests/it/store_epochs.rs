//! The epochs of a member: how they are written and read, what a start says about those that do
//! not agree with the data, and how it brings back the state before a synchronisation that did not
//! end.

use crate::site::{Site, write};
use bellwether_sim::disk::{End, Faults, SimDisk};
use bellwether_store::{
    EpochProblem, Epochs, Recovery, Role, Store, StoreError, save_accepted, save_current,
};
use bellwether_wire::Zxid;
use std::path::PathBuf;
use std::sync::Arc;

/// The transaction with this counter in this epoch.
fn zxid(epoch: u32, counter: i64) -> i64 {
    Zxid::first_of(epoch).0 + counter
}

fn file(site: &Site, name: &str) -> PathBuf {
    site.options.snapshot_dir().join(name)
}

fn read(site: &Site, name: &str) -> String {
    String::from_utf8(site.bytes(&file(site, name))).unwrap()
}

fn has(site: &Site, name: &str) -> bool {
    site.disk.list(&site.options.snapshot_dir()).unwrap().contains(&name.to_owned())
}

fn save(site: &Site, epochs: (u32, u32)) {
    save_accepted(site.disk.as_ref(), &site.options, epochs.0).unwrap();
    save_current(site.disk.as_ref(), &site.options, epochs.1).unwrap();
}

/// A member with three transactions of epoch 5, that took part in it.
fn member(site: &mut Site) -> Store {
    site.options.role = Role::Member;
    let store = {
        let (mut store, _) = site.open().unwrap();
        site.save_snapshot(0);
        write(&mut store, &[&[zxid(5, 1), zxid(5, 2)], &[zxid(5, 3)]]);
        store
    };
    save(site, (5, 5));
    store
}

fn recovered(site: &Site) -> Result<Recovery, StoreError> {
    let mut recovery = Store::open(Arc::clone(&site.disk), site.options.clone(), Box::new(|_| {}))?;
    recovery.try_for_each(|piece| piece.map(drop))?;
    Ok(recovery)
}

/// What a start of the member shows, counters only.
fn counters(site: &Site) -> String {
    match site.open() {
        Ok((store, seen)) => {
            let counters: Vec<String> = seen
                .zxids
                .iter()
                .map(|z| format!("{}.{}", Zxid(*z).epoch(), Zxid(*z).counter()))
                .collect();
            drop(store);
            format!("{} {}", counters.join(","), seen.notices.join(" ")).trim().to_owned()
        }
        Err(StoreError::Epoch { problem, .. }) => match problem {
            EpochProblem::Unfinished { .. } => "refused: unfinished".to_owned(),
            EpochProblem::BehindLast { .. } => "refused: behind".to_owned(),
            EpochProblem::AcceptedBehindCurrent { .. } => "refused: accepted".to_owned(),
            other => format!("refused: {other}"),
        },
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn epochs_are_written_as_apache_writes_them() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        save(&site, (12, 7));
        assert_eq!(
            (read(&site, "acceptedEpoch"), read(&site, "currentEpoch")),
            ("12".into(), "7".into())
        );
        assert!(!has(&site, "acceptedEpoch.tmp") && !has(&site, "currentEpoch.tmp"));
        // A shorter number leaves nothing of a longer one.
        save(&site, (8, 8));
        assert_eq!(read(&site, "acceptedEpoch"), "8");
        let epochs = recovered(&site).unwrap().epochs();
        assert_eq!(epochs, Some(Epochs { accepted: 8, current: 8 }));
    });
}

#[test]
fn missing_files_say_the_epoch_of_the_last_transaction_from_then_on() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        for name in ["acceptedEpoch", "currentEpoch"] {
            site.disk.remove(&file(&site, name)).unwrap();
        }
        let recovery = recovered(&site).unwrap();
        assert_eq!(recovery.epochs(), Some(Epochs { accepted: 5, current: 5 }));
        assert!(!has(&site, "currentEpoch"), "nothing is changed before the state was read");
        drop(recovery.finish().unwrap());
        assert_eq!(
            (read(&site, "acceptedEpoch"), read(&site, "currentEpoch")),
            ("5".into(), "5".into())
        );
    });
}

#[test]
fn a_server_that_stands_alone_passes_over_epochs() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        site.options.role = Role::Standalone;
        for content in ["", "nonsense", "1", "99"] {
            site.put(&file(&site, "currentEpoch"), content.as_bytes());
            assert_eq!(counters(&site), "5.1,5.2,5.3");
            assert_eq!(read(&site, "currentEpoch"), content);
        }
        assert_eq!(recovered(&site).unwrap().epochs(), None);
    });
}

#[test]
fn epochs_that_cannot_be_read_are_refused_with_what_to_do() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        for (name, content, expected) in [
            ("currentEpoch", "", "the file is empty"),
            ("currentEpoch", "-5", "the epoch -5 is negative"),
            ("acceptedEpoch", "five", "this is not a number: \"five\""),
            ("acceptedEpoch", "99999999999", "too large"),
        ] {
            save(&site, (5, 5));
            site.put(&file(&site, name), content.as_bytes());
            let error = site.open().map(|_| ()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(expected), "{text}");
            assert!(text.contains("nothing was changed") && text.contains("start again"), "{text}");
            assert_eq!(error.exit_code(), 1);
        }
        save(&site, (5, 5));
        site.put(&file(&site, "currentEpoch"), b" 5 \n");
        assert_eq!(counters(&site), "5.1,5.2,5.3");
    });
}

#[test]
fn epochs_that_contradict_the_data_are_refused() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        for (epochs, expected) in [
            ((4, 5), "refused: accepted"),
            ((4, 4), "refused: behind"),
            ((3, 4), "refused: behind"),
        ] {
            save(&site, epochs);
            let before = site.names();
            assert_eq!(counters(&site), expected, "{epochs:?}");
            assert_eq!(site.names(), before, "a refusal changes nothing");
        }
    });
}

#[test]
fn a_current_epoch_that_lacks_only_its_name_counts() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        save(&site, (5, 4));
        site.put(&file(&site, "currentEpoch.tmp"), b"5");
        assert_eq!(counters(&site), "5.1,5.2,5.3");
        assert_eq!(read(&site, "currentEpoch"), "5");
        assert!(!has(&site, "currentEpoch.tmp"));
    });
}

#[test]
fn one_that_is_left_over_does_not_count_later() {
    Site::on_both(|mut site| {
        drop(member(&mut site));
        for content in ["6", "torn"] {
            site.put(&file(&site, "currentEpoch.tmp"), content.as_bytes());
            assert_eq!(counters(&site), "5.1,5.2,5.3");
            assert_eq!(
                (read(&site, "currentEpoch"), has(&site, "currentEpoch.tmp")),
                ("5".into(), false)
            );
        }
    });
}

#[test]
fn an_unfinished_synchronisation_is_undone() {
    Site::on_both(|mut site| {
        let mut store = member(&mut site);
        save_accepted(site.disk.as_ref(), &site.options, 8).unwrap();
        // What the leader of epoch 8 had, up to a part of epoch 6; NEWLEADER was never answered.
        write(&mut store, &[&[zxid(5, 4)], &[zxid(6, 1)]]);
        store.roll().unwrap();
        write(&mut store, &[&[zxid(6, 2)], &[zxid(6, 3)]]);
        site.save_snapshot(zxid(6, 2));
        store.close().unwrap();
        // The transactions of epoch 5 are the leader's, too, and stay.
        assert_eq!(counters(&site), "5.1,5.2,5.3,5.4 SynchronisationUndone");
        assert_eq!(counters(&site), "5.1,5.2,5.3,5.4");
        let kept: Vec<String> =
            site.names().into_iter().filter(|name| name.starts_with("bellwether.cut.")).collect();
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert_eq!(
            (read(&site, "acceptedEpoch"), read(&site, "currentEpoch")),
            ("8".into(), "5".into())
        );
        // The next leader's history is taken over in the same way.
        let (mut store, _) = site.open().unwrap();
        write(&mut store, &[&[zxid(6, 1), zxid(6, 2)]]);
        save(&site, (9, 9));
        drop(store);
        assert_eq!(counters(&site), "5.1,5.2,5.3,5.4,6.1,6.2");
    });
}

#[test]
fn it_is_undone_while_the_lock_is_held_too() {
    Site::on_both(|mut site| {
        let mut store = member(&mut site);
        save_accepted(site.disk.as_ref(), &site.options, 6).unwrap();
        write(&mut store, &[&[zxid(6, 1)]]);
        let mut recovery = store.into_recovery().unwrap();
        assert_eq!((&mut recovery).filter(|piece| piece.is_ok()).count(), 2 + 3);
        assert!(matches!(site.open(), Err(StoreError::Locked { .. })));
        let mut store = recovery.finish().unwrap();
        write(&mut store, &[&[zxid(5, 4)]]);
        drop(store);
        assert_eq!(counters(&site), "5.1,5.2,5.3,5.4");
    });
}

#[test]
fn it_is_refused_where_the_state_before_is_not_whole() {
    Site::on_both(|mut site| {
        let mut store = member(&mut site);
        save_accepted(site.disk.as_ref(), &site.options, 6).unwrap();
        store.roll().unwrap();
        write(&mut store, &[&[zxid(6, 1)]]);
        site.save_snapshot(zxid(6, 1));
        drop(store);
        let first = site.options.snapshot_dir().join("snapshot.0");
        site.disk.remove(&first).unwrap();
        let before = site.names();
        let error = site.open().map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("epoch 6 did not end") && text.contains("move the content"),
            "{text}"
        );
        assert_eq!(site.names(), before);
        // With a sound snapshot but without a log the same.
        site.save_snapshot(0);
        assert_eq!(counters(&site), "5.1,5.2,5.3 SynchronisationUndone");
    });
}

/// A directory on a disk of its own, in which everything is durable.
fn durable(seed: u64) -> (Site, SimDisk) {
    let disk = SimDisk::new(seed);
    let mut site = Site::simulated();
    site.disk = Arc::new(disk.clone());
    member(&mut site).close().unwrap();
    (site, disk)
}

#[test]
fn an_epoch_is_the_old_or_the_new_one_wherever_the_power_fails() {
    for seed in 0..20 {
        for off_after in 0.. {
            let (site, disk) = durable(seed);
            disk.set_faults(Faults { off_after: Some(off_after), ..Faults::default() });
            let saved = save_accepted(site.disk.as_ref(), &site.options, 6).is_ok();
            let went_off = disk.is_off();
            disk.restart(End::PowerLost);
            let epochs = recovered(&site).unwrap().epochs().unwrap();
            assert!(epochs.accepted == 6 || (epochs.accepted == 5 && !saved), "{epochs:?}");
            if !went_off {
                break;
            }
        }
    }
}

#[test]
fn a_purge_keeps_what_an_unfinished_synchronisation_is_undone_with() {
    Site::on_both(|mut site| {
        let mut store = member(&mut site);
        save_accepted(site.disk.as_ref(), &site.options, 6).unwrap();
        store.roll().unwrap();
        write(&mut store, &[&[zxid(6, 1)]]);
        site.save_snapshot(zxid(6, 1));
        assert!(store.purge(1).unwrap().snapshots.is_empty());
        drop(store);
        assert_eq!(counters(&site), "5.1,5.2,5.3 SynchronisationUndone");
        // Once its epoch is the current one it counts.
        let (mut store, _) = site.open().unwrap();
        write(&mut store, &[&[zxid(6, 1)]]);
        save(&site, (6, 6));
        site.save_snapshot(zxid(6, 1));
        assert!(!store.purge(1).unwrap().snapshots.is_empty());
    });
}
