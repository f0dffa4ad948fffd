//! Repairs of a damaged directory, with the power lost at every operation: the log is what it was
//! or what it is to be, and what was taken from it is kept before it is taken.

use crate::site::Site;
use bellwether_sim::disk::{End, Faults, SimDisk};
use bellwether_store::{
    Access, Follows, Until, forget_synced, replace_log, set_aside, shorten_log,
};
use std::path::Path;
use std::sync::Arc;

const SEEDS: u64 = 8;

/// A directory on a disk of its own, in which the record of 3 is damaged. All of it is durable.
fn damaged(seed: u64) -> (Site, SimDisk, Vec<u8>) {
    let disk = SimDisk::new(seed);
    let mut site = Site::simulated();
    site.disk = Arc::new(disk.clone());
    drop(site.with_batches(&[&[1, 2], &[3, 4], &[5, 6]]));
    let log = site.log(1);
    let (_, from, _) = site.places(&log)[2];
    site.edit(&log, |bytes| bytes[from + 40] ^= 1);
    let mut file = site.disk.open(&log, Access::ReadWrite).unwrap();
    file.sync_data().unwrap();
    let bytes = site.bytes(&log);
    (site, disk, bytes)
}

/// Runs a repair with the power lost after each of its operations in turn, and once to its end.
fn at_every_operation(repair: impl Fn(&Site) -> bool, check: impl Fn(&Site, &[u8], bool)) {
    for seed in 0..SEEDS {
        for off_after in 0.. {
            let (site, disk, before) = damaged(seed);
            disk.set_faults(Faults { off_after: Some(off_after), ..Faults::default() });
            let done = repair(&site);
            let went_off = disk.is_off();
            disk.restart(End::PowerLost);
            check(&site, &before, done);
            if !went_off {
                assert!(done, "nothing was in the way");
                break;
            }
        }
    }
}

fn exists(site: &Site, path: &Path) -> bool {
    site.disk.open(path, Access::Read).is_ok()
}

#[test]
fn a_log_is_replaced_at_once_and_kept_before() {
    let follows = Follows { last: None, snapshot: None };
    at_every_operation(
        |site| {
            let log = site.log(1);
            forget_synced(site.disk.as_ref(), &site.options.log_dir()).is_ok()
                && replace_log(site.disk.as_ref(), &log, follows, Until::End).is_ok()
        },
        |site, before, done| {
            let now = site.bytes(&site.log(1));
            if now == before {
                assert!(!done, "what has returned is durable");
                return;
            }
            let kept = site.options.log_dir().join("bellwether.cut.log.1.0");
            assert_eq!(site.bytes(&kept), before);
            assert!(!exists(site, &site.side()), "it speaks of the log as it was");
            assert_eq!(site.outcome(), "1,2,3,4,5,6");
        },
    );
}

#[test]
fn a_log_is_shortened_after_its_end_was_kept() {
    let (site, ..) = damaged(0);
    // No reader finds the damaged record, but the one before it.
    let sound = site.places(&site.log(1));
    let offset = u64::try_from(sound.last().expect("two are sound").2).unwrap();
    at_every_operation(
        |site| shorten_log(site.disk.as_ref(), &site.log(1), offset).is_ok(),
        |site, before, done| {
            let now = site.bytes(&site.log(1));
            if now == before {
                assert!(!done, "what has returned is durable");
                return;
            }
            let offset = now.len();
            let kept = site.options.log_dir().join(format!("bellwether.cut.log.1.{offset}"));
            let whole = [now, site.bytes(&kept)].concat();
            assert_eq!(whole, before);
        },
    );
}

#[test]
fn what_is_set_aside_has_one_of_two_names() {
    at_every_operation(
        |site| set_aside(site.disk.as_ref(), &site.log(1)).is_ok(),
        |site, before, done| {
            let kept = site.options.log_dir().join("bellwether.cut.log.1.0");
            let (old, new) = (exists(site, &site.log(1)), exists(site, &kept));
            assert!(old != new && (new || !done), "{old} {new} {done}");
            let path = if new { kept } else { site.log(1) };
            assert_eq!(site.bytes(&path), before);
        },
    );
}
