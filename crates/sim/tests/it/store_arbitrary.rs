//! Any bytes as files: a start reads what was written, or a beginning of it, or refuses.

use crate::site::{Site, record, write};
use bellwether_sim::disk::Chance;
use bellwether_store::{Recovered, Store};
use std::path::PathBuf;
use std::sync::Arc;

const SEEDS: u64 = 400;

/// A directory with two logs of batches of different sizes.
fn two_logs(chance: &mut Chance) -> (Site, i64) {
    let site = Site::simulated();
    let mut store = site.with_batches(&[]);
    let mut last = 0;
    for _ in 0..2 {
        for _ in 0..1 + chance.below(4) {
            for _ in 0..1 + chance.below(3) {
                last += 1;
                store.append(&record(last, chance.index(700))).unwrap();
            }
            store.sync().unwrap();
        }
        store.roll().unwrap();
    }
    (site, last)
}

fn change(chance: &mut Chance, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = chance.index(bytes.len());
    let end = (at + 1 + chance.index(600)).min(bytes.len());
    match chance.below(5) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at..end].fill(0),
        2 => bytes[at..end].iter_mut().for_each(|byte| *byte = chance.any().to_be_bytes()[0]),
        3 => bytes.truncate(at),
        _ => bytes[at..].fill(0),
    }
}

/// What a start reads, if it is not refused.
fn read(site: &Site) -> Option<Vec<i64>> {
    let disk = Arc::clone(&site.disk);
    let mut recovery = Store::open(disk, site.options.clone(), Box::new(|_| {})).ok()?;
    let mut zxids = Vec::new();
    for piece in &mut recovery {
        match piece.ok()? {
            Recovered::Item(_) => {}
            Recovered::Txn(txn) => {
                let size = match &txn.txn {
                    bellwether_wire::disk::Txn::SetData { data: Some(data), .. } => data.len(),
                    other => panic!("{other:?} was never written"),
                };
                assert_eq!(txn, record(txn.header.zxid.0, size));
                zxids.push(txn.header.zxid.0);
            }
        }
    }
    recovery.finish().unwrap();
    Some(zxids)
}

#[test]
fn a_synced_log_is_read_whole_or_refused_whatever_is_changed_in_it() {
    for seed in 0..SEEDS {
        let chance = &mut Chance::new(seed);
        let (site, last) = two_logs(chance);
        let logs: Vec<_> = site.names().into_iter().filter(|n| n.starts_with("log.")).collect();
        let log = site.options.log_dir().join(&logs[chance.index(logs.len())]);
        site.edit(&log, |bytes| change(chance, bytes));
        if let Some(zxids) = read(&site) {
            assert_eq!(zxids, (1..=last).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[test]
fn whatever_is_changed_no_start_panics_or_reads_what_was_not_written() {
    let mut started = 0;
    for seed in 0..SEEDS {
        let chance = &mut Chance::new(seed);
        let (site, last) = two_logs(chance);
        for name in site.names() {
            let path: PathBuf = site.options.log_dir().join(&name);
            if chance.one_in(3) {
                site.edit(&path, |bytes| change(chance, bytes));
            } else if chance.one_in(3) && name.starts_with("bellwether") {
                site.disk.remove(&path).unwrap();
            }
        }
        if let Some(zxids) = read(&site) {
            started += 1;
            let beginning: Vec<_> = (1..=last).take(zxids.len()).collect();
            assert_eq!(zxids, beginning, "seed {seed}");
            // What was started starts again, and goes on.
            let (mut store, seen) = site.open().unwrap();
            assert_eq!(seen.zxids, zxids, "seed {seed}");
            write(&mut store, &[&[last + 1]]);
        }
    }
    assert!(started > SEEDS / 4, "only {started} of {SEEDS} seeds came to a start");
}
