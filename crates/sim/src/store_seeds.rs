//! The store under random work and random crashes, one seed at a time.
//!
//! A seed drives a store through several lives: appends, syncs, rolls, snapshots, purges, with
//! failing calls and a full disk now and then, each life ended by a clean stop, a kill or a loss of
//! power at any operation, in the middle of a recovery too. After each, what the store says is
//! compared to what it was told; some lives run without syncs, and only a kill ends those:
//! - everything that a sync returned `Ok` for is there, in order and whole;
//! - beyond it, nothing but a further part of what was appended, from its beginning;
//! - what one recovery has shown, the next shows, too;
//! - no start is refused.

use crate::disk::{Chance, End, Faults, SimDisk};
use bellwether_store::{
    Compression, Disk, ForceSync, Origin, Recovered, SnapshotWriter, Store, StoreError,
    StoreOptions, purge,
};
use bellwether_wire::disk::{
    SnapshotItem, SnapshotNode, Txn, TxnDigest, TxnHeader, TxnRecord, snapshot::OPEN_ACL_ID,
};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, OpCode, SessionId, Zxid};
use std::sync::Arc;

/// How many lives a store has under one seed.
const LIVES: usize = 4;
/// How many times a start may be disturbed before one is left in peace.
const DISTURBED_STARTS_MAX: usize = 3;

/// Runs one seed.
pub fn run_seed(seed: u64) -> Result<(), String> {
    World::new(seed, |_| {}).run()
}

/// Within how many seeds, from 0 on, every way of breaking the store is noticed.
pub const SEEDS_TO_NOTICE_BREAK: u64 = 200;

/// Runs one seed with a store that is broken on purpose.
#[cfg(any(test, feature = "canaries"))]
pub fn run_broken_seed(seed: u64, how: bellwether_store::Break) -> Result<(), String> {
    World::new(seed, |options| options.broken = Some(how)).run()
}

/// What the store was told, beside the store.
struct World {
    chance: Chance,
    disk: SimDisk,
    options: StoreOptions,
    /// Everything appended in the history that the last recovery has shown.
    appended: Vec<TxnRecord>,
    /// How many of these must never be lost.
    promised: usize,
    /// How many starts were disturbed since the last one that succeeded.
    disturbed: usize,
    /// Whether a life without syncs came last: until a start has synced what it left, only kills
    /// are fair.
    unsynced: bool,
}

/// Why a life ended before it was told to.
pub(crate) enum Ended {
    /// A call failed as the faults made it.
    Failed,
    /// The store broke a promise.
    Violation(String),
}

pub(crate) type Life<T> = Result<T, Ended>;

impl World {
    fn new(seed: u64, adjust: impl FnOnce(&mut StoreOptions)) -> World {
        let mut chance = Chance::new(seed);
        let mut options = StoreOptions::new("/data");
        if chance.one_in(2) {
            options.data_log_dir = "/log".into();
        }
        let sizes = [0, 4096, 8192, 20_000];
        options.pre_alloc_bytes = sizes.get(chance.index(sizes.len())).copied().unwrap_or(0);
        options.log_bytes_limit = chance.one_in(3).then_some(6000);
        options.compression = match chance.below(6) {
            0 => Compression::Gzip,
            1 => Compression::Snappy,
            _ => Compression::None,
        };
        adjust(&mut options);
        let disk = SimDisk::new(chance.any());
        World {
            chance,
            disk,
            options,
            appended: Vec::new(),
            promised: 0,
            disturbed: 0,
            unsynced: false,
        }
    }

    fn run(mut self) -> Result<(), String> {
        let mut lives = 0;
        while lives < LIVES {
            let opened = self.open();
            match opened.and_then(|store| self.live(store)) {
                Ok(()) => lives += 1,
                Err(Ended::Failed) if self.disturbed == 0 => lives += 1,
                Err(Ended::Failed) => {}
                Err(Ended::Violation(what)) => return Err(what),
            }
            let killed = self.unsynced || self.chance.one_in(3);
            self.disk.restart(if killed { End::Killed } else { End::PowerLost });
        }
        self.disturbed = DISTURBED_STARTS_MAX;
        match self.open() {
            Ok(_) => Ok(()),
            Err(Ended::Failed) => Err("the last start failed without a fault".to_owned()),
            Err(Ended::Violation(what)) => Err(what),
        }
    }

    /// Faults for a start: none, once it was disturbed often enough.
    fn faults_at_start(&mut self) -> Faults {
        if self.disturbed >= DISTURBED_STARTS_MAX || self.chance.one_in(2) {
            return Faults::default();
        }
        Faults {
            // What a sync that fails loses of a log without marks is not known and not written
            // again.
            error_one_in: if self.unsynced || self.chance.one_in(2) { 0 } else { 6 },
            off_after: self.chance.one_in(2).then(|| self.chance.below(80)),
            capacity_bytes: None,
        }
    }

    fn open(&mut self) -> Life<Store> {
        let faults = self.faults_at_start();
        self.disk.set_faults(faults);
        self.disturbed += 1;
        let force_sync = if self.chance.one_in(8) { ForceSync::No } else { ForceSync::Yes };
        self.options.force_sync = force_sync;
        let store = match self.recover() {
            Err(Ended::Failed) if faults == Faults::default() => {
                return violation("a start failed without a fault");
            }
            result => result?,
        };
        self.disturbed = 0;
        self.unsynced = force_sync == ForceSync::No;
        Ok(store)
    }

    /// Opens the store and compares what it says with what it was told.
    fn recover(&mut self) -> Life<Store> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let mut recovery = Store::open(disk, self.options.clone(), Box::new(|_| {}))
            .map_err(|e| self.judge(&e))?;
        let mut items = Vec::new();
        let mut records = Vec::new();
        for piece in &mut recovery {
            match piece.map_err(|e| self.judge(&e))? {
                Recovered::Item(item) => items.push(item),
                Recovered::Txn(record) => records.push(record),
            }
        }
        let origin = recovery.origin().clone();
        let known = self.compare(&origin, &items, &records)?;
        let store = recovery.finish().map_err(|e| self.judge(&e))?;
        let last = self.appended.get(..known).and_then(<[_]>::last);
        let last = last.map_or(Zxid::ZERO, |record| record.header.zxid);
        if store.last_zxid() != last {
            return violation(&format!("the store is at {}, not {last}", store.last_zxid()));
        }
        // From here on readers may have seen all of it.
        self.appended.truncate(known);
        self.promised = known;
        if origin == Origin::Fresh {
            self.save_snapshot()?;
        }
        Ok(store)
    }

    /// Compares; returns how many of the appended records there are.
    fn compare(
        &self,
        origin: &Origin,
        items: &[SnapshotItem],
        records: &[TxnRecord],
    ) -> Life<usize> {
        let before = match origin {
            Origin::Fresh => 0,
            Origin::LogsAlone => return violation("logs alone were trusted"),
            Origin::Snapshot { zxid, .. } => {
                let before = self.count_up_to(*zxid);
                if before > self.promised {
                    return violation("a snapshot holds what was not promised");
                }
                if items != snapshot_items(*zxid) {
                    return violation(&format!("snapshot {zxid} is not what was written"));
                }
                before
            }
        };
        let known = before + records.len();
        if known < self.promised {
            let promised = self.promised;
            return violation(&format!("{promised} records were synced, {known} are there"));
        }
        if self.appended.get(before..known) != Some(records) {
            return violation("the records are not those that were appended");
        }
        Ok(known)
    }

    fn count_up_to(&self, zxid: Zxid) -> usize {
        self.appended.partition_point(|record| record.header.zxid <= zxid)
    }

    /// Does random work until the life ends.
    fn live(&mut self, mut store: Store) -> Life<()> {
        let steps = 1 + self.chance.below(25);
        let faults = Faults {
            error_one_in: if self.chance.one_in(3) { 25 } else { 0 },
            off_after: self.chance.one_in(3).then(|| self.chance.below(120)),
            capacity_bytes: (self.chance.one_in(8))
                .then(|| self.disk.used_bytes() + self.chance.below(12_000)),
        };
        self.disk.set_faults(faults);
        for _ in 0..steps {
            match self.chance.below(12) {
                0..=4 => self.append(&mut store)?,
                5..=7 => self.sync(&mut store)?,
                8 => self.roll(&mut store)?,
                9 => self.save_snapshot()?,
                10 => self.purge()?,
                _ => store.idle(),
            }
        }
        if self.chance.one_in(3) {
            store.close().map_err(|e| self.judge(&e))?;
            self.promised = self.appended.len();
        }
        Ok(())
    }

    fn append(&mut self, store: &mut Store) -> Life<()> {
        for _ in 0..=self.chance.below(3) {
            let record = self.next_record(store.last_zxid());
            store.append(&record).map_err(|e| self.judge(&e))?;
            self.appended.push(record);
        }
        Ok(())
    }

    fn sync(&mut self, store: &mut Store) -> Life<()> {
        store.sync().map_err(|e| self.judge(&e))?;
        self.promised = self.appended.len();
        Ok(())
    }

    fn roll(&mut self, store: &mut Store) -> Life<()> {
        store.roll().map_err(|e| self.judge(&e))
    }

    fn next_record(&mut self, last: Zxid) -> TxnRecord {
        let zxid = if self.chance.one_in(40) {
            Zxid(Zxid::first_of(last.epoch() + 1).0 + 1)
        } else {
            Zxid(last.0 + 1)
        };
        let sizes = [0, 10, 400, 2000];
        let size = sizes.get(self.chance.index(sizes.len())).copied().unwrap_or(0);
        let data: Vec<u8> = (0..size).map(|_| self.chance.any().to_be_bytes()[0]).collect();
        let txn = Txn::SetData { path: "/a".into(), data: Some(Data::from(data)), version: 3 };
        let digest = TxnDigest { version: TxnDigest::VERSION, digest: zxid.0.wrapping_mul(77) };
        let header =
            TxnHeader { session: SessionId(9), cxid: 4, zxid, time_ms: 5, op: OpCode::SetData };
        TxnRecord { header, txn, digest: self.chance.one_in(2).then_some(digest) }
    }

    /// Saves the state of what was promised. A failure harms nothing.
    fn save_snapshot(&mut self) -> Life<()> {
        let promised = self.appended.get(..self.promised).and_then(<[_]>::last);
        let zxid = promised.map_or(Zxid::ZERO, |record| record.header.zxid);
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let saved = SnapshotWriter::create(disk, &self.options, zxid).and_then(|mut writer| {
            for item in snapshot_items(zxid) {
                writer.write(&item)?;
            }
            writer.finish()
        });
        match saved {
            Ok(_) => Ok(()),
            // Without the first snapshot there is nothing to go on with.
            Err(e) if zxid == Zxid::ZERO => Err(self.judge(&e)),
            Err(e) => match self.judge(&e) {
                Ended::Failed => Ok(()),
                ended @ Ended::Violation(_) => Err(ended),
            },
        }
    }

    fn purge(&mut self) -> Life<()> {
        let retain = 1 + self.chance.index(3);
        match purge(&self.disk, &self.options, retain).map_err(|e| self.judge(&e)) {
            Ok(_) | Err(Ended::Failed) => Ok(()),
            Err(ended) => Err(ended),
        }
    }

    /// Which errors the faults explain.
    fn judge(&self, error: &StoreError) -> Ended {
        match error {
            // A snapshot that cannot be read because the machine is off looks broken.
            StoreError::NoSnapshot { .. } | StoreError::Snapshot { .. } if self.disk.is_off() => {
                Ended::Failed
            }
            StoreError::Directory { .. }
            | StoreError::Io { .. }
            | StoreError::LogWrite { .. }
            | StoreError::Full { .. }
            | StoreError::Poisoned
            | StoreError::SnapshotWrite { .. } => Ended::Failed,
            StoreError::MissingDirectory { .. }
            | StoreError::Misplaced { .. }
            | StoreError::Locked { .. }
            | StoreError::NoSnapshot { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Snapshot { .. }
            | StoreError::Epoch { .. }
            | StoreError::Hole { .. }
            | StoreError::RecordTooLong { .. }
            | StoreError::NoSnapshotYet { .. } => Ended::Violation(error.to_string()),
        }
    }
}

pub(crate) fn violation<T>(what: &str) -> Life<T> {
    Err(Ended::Violation(what.to_owned()))
}

/// The state at a zxid, as a snapshot.
fn snapshot_items(zxid: Zxid) -> Vec<SnapshotItem> {
    let stat = StatPersisted {
        czxid: zxid,
        mzxid: zxid,
        ctime: 1,
        mtime: 2,
        version: 3,
        cversion: 4,
        aversion: 5,
        ephemeral_owner: 0,
        pzxid: zxid,
    };
    let node = |path: &str, data: Option<&[u8]>, acl_id| {
        let data = data.map(Data::from);
        SnapshotItem::Node(SnapshotNode { path: path.into(), data, acl_id, stat })
    };
    let size = usize::try_from(zxid.0 % 1500).expect("it is small");
    let digest = TxnDigest { version: TxnDigest::VERSION, digest: zxid.0 };
    vec![
        SnapshotItem::Session { id: SessionId(zxid.0), timeout_ms: 4000 },
        SnapshotItem::Acl { id: 1, acl: vec![Acl::world_all()] },
        node("", Some(b""), OPEN_ACL_ID),
        node("/a", Some(&vec![7; size]), 1),
        node("/b", None, 1),
        SnapshotItem::Digest { zxid, digest },
        SnapshotItem::LastProcessed(zxid),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_store::Break;

    /// Few enough for an unoptimised build; the simulator's own runs take thousands.
    const SEEDS: u64 = 1_000;

    #[test]
    fn promises_hold_under_every_seed() {
        for seed in 0..SEEDS {
            if let Err(what) = run_seed(seed) {
                panic!("seed {seed}: {what}");
            }
        }
    }

    fn check_noticed(how: Break) {
        let noticed = (0..SEEDS_TO_NOTICE_BREAK).find(|seed| run_broken_seed(*seed, how).is_err());
        assert!(noticed.is_some(), "{how:?} was not noticed");
    }

    #[test]
    fn an_acknowledgement_before_the_sync_is_noticed() {
        check_noticed(Break::AckBeforeSync);
    }

    #[test]
    fn a_directory_that_is_not_synced_is_noticed() {
        check_noticed(Break::NoDirSync);
    }

    #[test]
    fn a_sync_that_is_asked_for_twice_is_noticed() {
        check_noticed(Break::RetryAfterFailedSync);
    }
}
