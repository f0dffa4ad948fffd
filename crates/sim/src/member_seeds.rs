//! The store of an ensemble's member under random leaders and random crashes, one seed at a time.
//!
//! A seed drives a member through several lives. In each it takes part in epochs: a leader whose
//! history agrees with its own up to some point makes it cut, sends it what it lacks, as records or
//! as a snapshot, and then broadcasts; any of this is given up, fails, or ends in a kill or a loss
//! of power at any operation. After each start, what the store shows is compared to what it was
//! told:
//! - the state is a beginning of one history, whole, and everything that was promised in it is
//!   there; no snapshot shows what was cut;
//! - what a synchronisation brought is there only if `currentEpoch` says so;
//! - both epochs are what was written last, or what was being written;
//! - a stretch of the log that is handed out is that of the history;
//! - no start is refused.

use crate::disk::{Chance, End, Faults, SimDisk};
use crate::store_seeds::{Ended, Life, violation};
use bellwether_store::{
    Disk, LogRange, Origin, RangeStart, ReceivedSnapshot, Recovered, Recovery, Role,
    SnapshotWriter, Store, StoreError, StoreOptions, Truncation, purge,
};
use bellwether_wire::disk::{
    SnapshotItem, SnapshotNode, Txn, TxnDigest, TxnHeader, TxnRecord, snapshot::OPEN_ACL_ID,
};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Data, OpCode, SessionId, Zxid};
use std::sync::Arc;

/// How many lives a member has under one seed.
const LIVES: usize = 5;
/// How many times a start may be disturbed before one is left in peace.
const DISTURBED_STARTS_MAX: usize = 3;
/// How many of the last records a recovery hands out again.
const RECENT_MAX: usize = 7;

/// Within how many seeds, from 0 on, every way of breaking a member's store is noticed.
pub const SEEDS_TO_NOTICE_BREAK: u64 = 300;

/// Runs one seed.
pub fn run_seed(seed: u64) -> Result<(), String> {
    World::new(seed, |_| {}).run()
}

/// Runs one seed with a store that is broken on purpose.
#[cfg(any(test, feature = "canaries"))]
pub fn run_broken_seed(seed: u64, how: bellwether_store::Break) -> Result<(), String> {
    World::new(seed, |options| options.broken = Some(how)).run()
}

/// A history that may be found, whole or a beginning of it.
#[derive(Clone, Debug, Default)]
struct Possible {
    records: Vec<TxnRecord>,
    /// How many of the records must be there.
    least: usize,
    /// The epochs in which it may be found, by what `currentEpoch` says: from, and below.
    from_epoch: u32,
    below_epoch: Option<u32>,
}

/// What the store was told, beside the store.
struct World {
    chance: Chance,
    disk: SimDisk,
    options: StoreOptions,
    /// What the store is to hold.
    now: Possible,
    /// What may be there instead: a change was not finished, or is not yet final.
    instead: Vec<Possible>,
    /// What the epochs may be; one number where the last write is known to have ended.
    accepted: Vec<u32>,
    current: Vec<u32>,
    /// No epoch from this one on was ever used.
    next_epoch: u32,
    /// Makes every record differ from every other.
    next_id: i64,
    disturbed: usize,
}

/// What a recovery showed.
struct Shown {
    zxid: Zxid,
    items: Vec<SnapshotItem>,
    records: Vec<TxnRecord>,
}

impl World {
    fn new(seed: u64, adjust: impl FnOnce(&mut StoreOptions)) -> World {
        let mut chance = Chance::new(seed);
        let mut options = StoreOptions::new("/data");
        options.role = Role::Member;
        options.recent_max = RECENT_MAX;
        if chance.one_in(2) {
            options.data_log_dir = "/log".into();
        }
        options.pre_alloc_bytes = if chance.one_in(2) { 4096 } else { 0 };
        options.log_bytes_limit = chance.one_in(3).then_some(3000);
        adjust(&mut options);
        let disk = SimDisk::new(chance.any());
        World {
            chance,
            disk,
            options,
            now: Possible::default(),
            instead: Vec::new(),
            accepted: vec![0],
            current: vec![0],
            next_epoch: 1,
            next_id: 1,
            disturbed: 0,
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
            let killed = self.chance.one_in(3);
            self.disk.restart(if killed { End::Killed } else { End::PowerLost });
        }
        self.disturbed = DISTURBED_STARTS_MAX;
        match self.open() {
            Ok(_) => Ok(()),
            Err(Ended::Failed) => Err("the last start failed without a fault".to_owned()),
            Err(Ended::Violation(what)) => Err(what),
        }
    }

    fn faults_at_start(&mut self) -> Faults {
        if self.disturbed >= DISTURBED_STARTS_MAX || self.chance.one_in(2) {
            return Faults::default();
        }
        Faults {
            error_one_in: if self.chance.one_in(2) { 0 } else { 8 },
            off_after: self.chance.one_in(2).then(|| self.chance.below(120)),
            capacity_bytes: None,
        }
    }

    fn open(&mut self) -> Life<Store> {
        let faults = self.faults_at_start();
        self.disk.set_faults(faults);
        self.disturbed += 1;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let recovery = Store::open(disk, self.options.clone(), Box::new(|_| {}));
        let store = match recovery.map_err(|e| self.judge(&e)).and_then(|r| self.recover(r)) {
            Err(Ended::Failed) if faults == Faults::default() => {
                return violation("a start failed without a fault");
            }
            result => result?,
        };
        self.disturbed = 0;
        Ok(store)
    }

    /// Reads everything and compares it with what the store was told.
    fn recover(&mut self, mut recovery: Recovery) -> Life<Store> {
        let mut shown = Shown { zxid: Zxid::ZERO, items: Vec::new(), records: Vec::new() };
        let origin = recovery.origin().clone();
        for piece in &mut recovery {
            match piece.map_err(|e| self.judge(&e))? {
                Recovered::Item(item) => shown.items.push(item),
                Recovered::Txn(record) => shown.records.push(record),
            }
        }
        match origin {
            Origin::Fresh => shown.items = items(&[], Zxid::ZERO, Zxid::ZERO),
            Origin::LogsAlone => return violation("logs alone were trusted"),
            Origin::Snapshot { zxid, .. } => shown.zxid = zxid,
        }
        let Some(epochs) = recovery.epochs() else { return violation("a member has no epochs") };
        if !self.accepted.contains(&epochs.accepted) || !self.current.contains(&epochs.current) {
            let (accepted, current) = (&self.accepted, &self.current);
            return violation(&format!("{epochs:?}, not {accepted:?} and {current:?}"));
        }
        let found = self.find(&shown, epochs.current)?;
        let recent = recovery.take_recent();
        if recent.len() > RECENT_MAX || !found.ends_with(&recent) {
            return violation("the last records are not those of the history");
        }
        let store = recovery.finish().map_err(|e| self.judge(&e))?;
        let last = found.last().map_or(Zxid::ZERO, |record| record.header.zxid);
        if store.last_zxid() != last.max(shown.zxid) {
            return violation(&format!("the store is at {}, not {last}", store.last_zxid()));
        }
        self.now = Possible { least: found.len(), records: found, ..Possible::default() };
        self.instead.clear();
        (self.accepted, self.current) = (vec![epochs.accepted], vec![epochs.current]);
        if origin == Origin::Fresh {
            self.save_snapshot()?;
        }
        Ok(store)
    }

    /// Finds the history of which this is shown; the records of it that are there.
    fn find(&self, shown: &Shown, current: u32) -> Life<Vec<TxnRecord>> {
        let mut problems = Vec::new();
        for possible in std::iter::once(&self.now).chain(&self.instead) {
            match possible.explains(shown, current) {
                Ok(records) => return Ok(records.to_vec()),
                Err(problem) => problems.push(problem),
            }
        }
        violation(&problems.join("; or: "))
    }

    /// Takes part in epochs until the life ends.
    fn live(&mut self, mut store: Store) -> Life<()> {
        let faults = Faults {
            error_one_in: if self.chance.one_in(3) { 40 } else { 0 },
            off_after: self.chance.one_in(2).then(|| self.chance.below(300)),
            capacity_bytes: (self.chance.one_in(8))
                .then(|| self.disk.used_bytes() + self.chance.below(20_000)),
        };
        self.disk.set_faults(faults);
        for _ in 0..1 + self.chance.below(3) {
            store = self.follow(store)?;
            for _ in 0..self.chance.below(15) {
                match self.chance.below(10) {
                    0..=3 => self.broadcast(&mut store)?,
                    4..=5 => self.sync(&mut store)?,
                    6 => store.roll().map_err(|e| self.judge(&e))?,
                    7 => self.save_snapshot()?,
                    8 => self.purge()?,
                    _ => self.read_range()?,
                }
            }
        }
        if self.chance.one_in(3) {
            store.close().map_err(|e| self.judge(&e))?;
            self.now.least = self.now.records.len();
        }
        Ok(())
    }

    /// Follows a new leader: promises, is brought to its history, and takes its epoch over.
    fn follow(&mut self, mut store: Store) -> Life<Store> {
        let (theirs, epoch) = (self.next_epoch, self.next_epoch + 1);
        self.next_epoch += 2;
        self.accepted.push(epoch);
        store.save_accepted(epoch).map_err(|e| self.judge(&e))?;
        self.accepted = vec![epoch];
        let have = self.now.records.len();
        let agreed =
            if self.chance.one_in(2) { have } else { have - self.chance.index(have.min(6) + 1) };
        let mut history = self.now.records.get(..agreed).unwrap_or_default().to_vec();
        let mut zxid = Zxid::first_of(theirs);
        for _ in 0..self.chance.below(5) {
            zxid = Zxid(zxid.0 + 1);
            history.push(self.record(zxid));
        }
        let mut store = if self.chance.one_in(3) {
            self.take_snapshot(store, &history, epoch)?
        } else if agreed < have {
            self.take_truncation(store, &history, (agreed, epoch))?
        } else {
            store
        };
        for record in history.get(self.now.records.len()..).unwrap_or_default().to_vec() {
            self.append(&mut store, record)?;
            if self.chance.one_in(4) {
                store.roll().map_err(|e| self.judge(&e))?;
            }
        }
        if self.chance.one_in(6) {
            // The leader is lost before its NEWLEADER was acknowledged.
            let recovery = store.into_recovery().map_err(|e| self.judge(&e))?;
            return self.recover(recovery);
        }
        self.sync(&mut store)?;
        self.current.push(epoch);
        store.save_current(epoch).map_err(|e| self.judge(&e))?;
        self.current = vec![epoch];
        self.instead.clear();
        Ok(store)
    }

    /// SNAP: the history up to some record of it, the rest comes as records.
    fn take_snapshot(
        &mut self,
        mut store: Store,
        history: &[TxnRecord],
        epoch: u32,
    ) -> Life<Store> {
        let sent = history.len() - self.chance.index(history.len().min(3) + 1);
        let sent = history.get(..sent).unwrap_or_default();
        let last = sent.last().map_or(Zxid::ZERO, |record| record.header.zxid);
        // A leader in whose epoch nothing was proposed sends the beginning of it.
        let whole = sent.len() == history.len();
        let zxid = if whole && self.chance.one_in(3) { Zxid::first_of(epoch) } else { last };
        let mut received =
            ReceivedSnapshot::create(Arc::new(self.disk.clone()), &self.options, zxid)
                .map_err(|e| self.judge(&e))?;
        for item in items(sent, zxid, last) {
            received.write(&item).map_err(|e| self.judge(&e))?;
        }
        if self.chance.one_in(8) {
            received.abort();
            return Err(Ended::Failed);
        }
        let sealed = received.seal().map_err(|e| self.judge(&e))?;
        let new = Possible {
            least: sent.len(),
            records: sent.to_vec(),
            from_epoch: zxid.epoch(),
            below_epoch: None,
        };
        self.instead.push(std::mem::replace(&mut self.now, new));
        store.restart_at(sealed).map_err(|e| self.judge(&e))?;
        // Where its epoch is beyond the current one, a start still brings back what was before.
        for old in &mut self.instead {
            old.below_epoch = Some(zxid.epoch());
        }
        Ok(store)
    }

    /// TRUNC to what both have; a snapshot where that cannot be done.
    fn take_truncation(
        &mut self,
        mut store: Store,
        history: &[TxnRecord],
        (agreed, epoch): (usize, u32),
    ) -> Life<Store> {
        let point = agreed.checked_sub(1).and_then(|at| history.get(at));
        let point = point.map_or(Zxid::ZERO, |record| record.header.zxid);
        let before = self.now.clone();
        self.now.records.truncate(agreed);
        self.now.least = agreed;
        self.instead.push(before);
        match store.truncate(point).map_err(|e| self.judge(&e))? {
            Truncation::Truncated => self.instead.clear(),
            Truncation::Absent => {
                self.now = self.instead.pop().unwrap_or_default();
                return self.take_snapshot(store, history, epoch);
            }
        }
        if self.chance.one_in(2) {
            return Ok(store);
        }
        let recovery = store.into_recovery().map_err(|e| self.judge(&e))?;
        let store = self.recover(recovery)?;
        if self.now.records.len() == agreed {
            Ok(store)
        } else {
            violation("what was cut is there again")
        }
    }

    /// The leader of the current epoch proposes.
    fn broadcast(&mut self, store: &mut Store) -> Life<()> {
        let epoch = self.current.last().copied().unwrap_or(0);
        for _ in 0..=self.chance.below(3) {
            let last = store.last_zxid().max(Zxid::first_of(epoch));
            let record = self.record(Zxid(last.0 + 1));
            self.append(store, record)?;
        }
        Ok(())
    }

    fn append(&mut self, store: &mut Store, record: TxnRecord) -> Life<()> {
        store.append(&record).map_err(|e| self.judge(&e))?;
        self.now.records.push(record);
        Ok(())
    }

    fn sync(&mut self, store: &mut Store) -> Life<()> {
        store.sync().map_err(|e| self.judge(&e))?;
        self.now.least = self.now.records.len();
        Ok(())
    }

    fn record(&mut self, zxid: Zxid) -> TxnRecord {
        let sizes = [0, 10, 400];
        let size = sizes.get(self.chance.index(sizes.len())).copied().unwrap_or(0);
        let txn =
            Txn::SetData { path: "/a".into(), data: Some(Data::from(vec![7; size])), version: 3 };
        let time_ms = self.next_id;
        self.next_id += 1;
        let header =
            TxnHeader { session: SessionId(9), cxid: 4, zxid, time_ms, op: OpCode::SetData };
        let digest = TxnDigest { version: TxnDigest::VERSION, digest: time_ms };
        TxnRecord { header, txn, digest: self.chance.one_in(2).then_some(digest) }
    }

    /// Saves the state at one of the last promised records. It may show what came after it.
    fn save_snapshot(&mut self) -> Life<()> {
        let back = self.chance.index(self.now.least.min(3) + 1);
        let promised = self.now.records.get(..self.now.least).unwrap_or_default();
        let reach = promised.last().map_or(Zxid::ZERO, |record| record.header.zxid);
        let held = promised.get(..promised.len() - back).unwrap_or_default();
        let zxid = held.last().map_or(Zxid::ZERO, |record| record.header.zxid);
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let saved = SnapshotWriter::create(disk, &self.options, zxid).and_then(|mut writer| {
            for item in items(held, zxid, reach) {
                writer.write(&item)?;
            }
            writer.finish()
        });
        match saved.map_err(|e| self.judge(&e)) {
            // Without the first snapshot there is nothing to go on with.
            Err(Ended::Failed) if !promised.is_empty() => Ok(()),
            result => result.map(drop),
        }
    }

    fn purge(&mut self) -> Life<()> {
        let retain = 1 + self.chance.index(3);
        match purge(&self.disk, &self.options, retain).map_err(|e| self.judge(&e)) {
            Ok(_) | Err(Ended::Failed) => Ok(()),
            Err(ended) => Err(ended),
        }
    }

    /// Reads a stretch as for a peer. The logs need not have it, but what they hand out is right.
    fn read_range(&mut self) -> Life<()> {
        let promised = self.now.records.get(..self.now.least).unwrap_or_default();
        let Some(last) = promised.last() else { return Ok(()) };
        let at = self.chance.index(promised.len());
        let Some(after) = promised.get(at) else { return Ok(()) };
        let points = (after.header.zxid, last.header.zxid);
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let Ok(mut range) = LogRange::open(disk, &self.options, points, None) else {
            return Ok(());
        };
        let mut read = Vec::new();
        loop {
            match range.next_batch(600) {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => read.extend(batch),
                Err(_) if self.disk.is_off() => return Err(Ended::Failed),
                Err(error) => return violation(&error.to_string()),
            }
        }
        let expected = promised.get(at + 1..).unwrap_or_default();
        if read != expected || matches!(range.start(), RangeStart::Absent { .. }) {
            let what = format!("the stretch {points:?} is not that of the history");
            return violation(&what);
        }
        Ok(())
    }

    /// Which errors the faults explain.
    fn judge(&self, error: &StoreError) -> Ended {
        match error {
            // What cannot be read because the machine is off looks broken.
            StoreError::NoSnapshot { .. }
            | StoreError::Snapshot { .. }
            | StoreError::Epoch { .. }
            | StoreError::Corrupt { .. }
                if self.disk.is_off() =>
            {
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

impl Possible {
    /// The records of it that are there, if what is shown is a beginning of it.
    fn explains(&self, shown: &Shown, current: u32) -> Result<&[TxnRecord], String> {
        if current < self.from_epoch || self.below_epoch.is_some_and(|below| current >= below) {
            return Err(format!("it is not to be found in epoch {current}"));
        }
        let zxid = |record: &TxnRecord| record.header.zxid;
        let most = self.records.partition_point(|record| zxid(record).epoch() <= current);
        let before = self.records.partition_point(|record| zxid(record) <= shown.zxid);
        let known = before + shown.records.len();
        if known < self.least.min(most) || known > most {
            return Err(format!("{known} records, of {} to {most}", self.least.min(most)));
        }
        let (held, rest) = self.records.split_at(before);
        if !rest.starts_with(&shown.records) {
            return Err("the records are others".to_owned());
        }
        let there = self.records.get(..known).unwrap_or_default();
        let last = there.last().map_or(Zxid::ZERO, zxid).max(shown.zxid);
        if shown.items.first() != items(held, shown.zxid, Zxid::ZERO).first() {
            return Err(format!("the snapshot {} is of another history", shown.zxid));
        }
        match reach(&shown.items) {
            Some(reach) if reach <= last => Ok(there),
            reach => Err(format!("the snapshot shows {reach:?}, but {last} is the last")),
        }
    }
}

/// The state after these records, which shows an effect of `reach`.
fn items(records: &[TxnRecord], zxid: Zxid, reach: Zxid) -> Vec<SnapshotItem> {
    let mut hash = zxid.0.cast_unsigned();
    for record in records {
        hash = (hash ^ record.header.time_ms.cast_unsigned()).wrapping_mul(0x0100_0000_01b3);
    }
    let hash = Data::from(&hash.to_be_bytes()[..]);
    let node = |path: &str, data, stat| {
        SnapshotItem::Node(SnapshotNode { path: path.into(), data, acl_id: OPEN_ACL_ID, stat })
    };
    let stat = StatPersisted { mzxid: reach, ..StatPersisted::default() };
    vec![
        node("", Some(hash), StatPersisted::default()),
        node("/a", None, stat),
        SnapshotItem::LastProcessed(zxid),
    ]
}

/// The newest transaction that a state shows.
fn reach(items: &[SnapshotItem]) -> Option<Zxid> {
    let nodes = items.iter().filter_map(|item| match item {
        SnapshotItem::Node(node) => Some(node.stat.mzxid),
        SnapshotItem::Session { .. }
        | SnapshotItem::Acl { .. }
        | SnapshotItem::Digest { .. }
        | SnapshotItem::LastProcessed(_) => None,
    });
    nodes.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_store::Break;

    /// Few enough for an unoptimised build.
    const SEEDS: u64 = 600;

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
    fn an_epoch_that_gets_its_name_before_its_sync_is_noticed() {
        check_noticed(Break::RenameBeforeSync);
    }

    #[test]
    fn a_snapshot_that_outlives_its_history_is_noticed() {
        check_noticed(Break::SnapshotNotSetAside);
    }

    #[test]
    fn a_change_of_history_that_is_not_noted_is_noticed() {
        check_noticed(Break::CutbackNotNoted);
    }

    #[test]
    fn syncs_that_are_left_out_are_noticed() {
        check_noticed(Break::AckBeforeSync);
        check_noticed(Break::NoDirSync);
    }
}
