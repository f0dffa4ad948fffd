//! The disk of a member: what survives a crash, and what was asked for and is not done.
//!
//! It has one thread for the log, which does everything in the order in which it was asked.

use bellwether_wire::disk::{Txn, TxnHeader, TxnRecord};
use bellwether_wire::{OpCode, SessionId, Zxid};
use bellwether_zab::{Found, Input, LogToken};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Everything up to here is in a snapshot and in no log.
    pub(crate) base: Zxid,
    /// What is behind it.
    pub(crate) log: Vec<Arc<TxnRecord>>,
    /// What the snapshot has.
    pub(crate) snapshot: Content,
    /// What a snapshot that is on its way has.
    pub(crate) arriving: Content,
    /// What was there before a snapshot of an epoch that is not the current one yet.
    before: Option<Box<Before>>,
    pub(crate) accepted_epoch: u32,
    pub(crate) current_epoch: u32,
    /// What was asked for, the oldest first.
    pub(crate) asked: VecDeque<Op>,
    /// It does nothing by itself.
    pub(crate) held: bool,
    /// What is appended is on it only after a sync, for which nothing that comes behind waits.
    pub(crate) lazy: bool,
    written: Vec<(LogToken, Arc<TxnRecord>)>,
    /// Completions that are told after what came behind them.
    late: VecDeque<Input>,
}

/// What a disk has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// It was asked for nothing.
    Nothing,
    /// Something that nobody waits for.
    Quietly,
    /// Something that the peer is told.
    Told(Input),
}

/// Transactions, and what tells those of one zxid apart.
pub(crate) type Content = BTreeMap<Zxid, i32>;

/// A snapshot's zxid, what it has, and the log behind it.
type Before = (Zxid, Content, Vec<Arc<TxnRecord>>);

/// Something that a disk is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append(LogToken, Arc<TxnRecord>),
    SaveAcceptedEpoch(u32),
    SaveCurrentEpoch(u32),
    Truncate(Zxid),
    /// A snapshot came as a whole.
    TakeSnapshot(Zxid),
}

impl Disk {
    /// What a start finds. What was asked for and not done is lost, and what belongs to an epoch
    /// above the current one is set aside: a synchronisation left it that never ended.
    pub(crate) fn recover(&mut self) -> Found {
        self.asked.clear();
        self.written.clear();
        self.late.clear();
        if self.base.epoch() > self.current_epoch
            && let Some(before) = self.before.take()
        {
            (self.base, self.snapshot, self.log) = *before;
        }
        self.log.retain(|record| record.header.zxid.epoch() <= self.current_epoch);
        Found {
            last: self.last(),
            recent: self.log.clone(),
            accepted_epoch: self.accepted_epoch,
            current_epoch: self.current_epoch,
        }
    }

    /// Everything on it.
    pub(crate) fn content(&self) -> Content {
        let log = self.log.iter().map(|record| (record.header.zxid, record.header.cxid));
        self.snapshot.iter().map(|(zxid, tag)| (*zxid, *tag)).chain(log).collect()
    }

    /// Takes a snapshot of what is on it up to a record of the log, and forgets the log before.
    pub(crate) fn purge(&mut self, up_to: Zxid) {
        if self.before.is_none() && self.log.iter().any(|record| record.header.zxid == up_to) {
            self.snapshot = self.content();
            self.snapshot.retain(|zxid, _| *zxid <= up_to);
            self.log.retain(|record| record.header.zxid > up_to);
            self.base = up_to;
        }
    }

    /// The last zxid on it.
    pub(crate) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base, |record| record.header.zxid)
    }

    /// Does what was asked for first, and says what to tell the peer.
    pub(crate) fn work(&mut self) -> Done {
        if let Some(late) = self.late.pop_front() {
            return Done::Told(late);
        }
        let Some(op) = self.asked.pop_front() else { return self.sync() };
        Done::Told(match op {
            Op::Append(token, record) if self.lazy => {
                self.written.push((token, record));
                return Done::Quietly;
            }
            Op::Append(token, record) => {
                self.log.push(record);
                self.append_more(token)
            }
            Op::SaveAcceptedEpoch(epoch) => {
                self.accepted_epoch = epoch;
                Input::AcceptedEpochSaved(epoch)
            }
            Op::SaveCurrentEpoch(epoch) => {
                self.current_epoch = epoch;
                self.before = None;
                Input::CurrentEpochSaved(epoch)
            }
            Op::Truncate(to) => {
                self.sync_late();
                self.truncate(to)
            }
            Op::TakeSnapshot(zxid) => {
                self.sync_late();
                let log = std::mem::take(&mut self.log);
                let arriving = std::mem::take(&mut self.arriving);
                let snapshot = std::mem::replace(&mut self.snapshot, arriving);
                if zxid.epoch() > self.current_epoch && self.before.is_none() {
                    self.before = Some(Box::new((self.base, snapshot, log)));
                }
                self.base = zxid;
                Input::SnapshotReceived(zxid)
            }
        })
    }

    /// Syncs what is written.
    pub(crate) fn sync(&mut self) -> Done {
        let Some((token, _)) = self.written.last() else { return Done::Nothing };
        let token = *token;
        self.log.extend(self.written.drain(..).map(|(_, record)| record));
        Done::Told(Input::Durable(token))
    }

    /// Likewise, and tells it later.
    fn sync_late(&mut self) {
        if let Done::Told(durable) = self.sync() {
            self.late.push_back(durable);
        }
    }

    /// Of what is written these reach the disk, though nobody waited for them.
    pub(crate) fn tear(&mut self, count: usize) {
        let count = count.min(self.written.len());
        self.log.extend(self.written.drain(..count).map(|(_, record)| record));
    }

    /// One sync is for everything that stands together.
    fn append_more(&mut self, mut token: LogToken) -> Input {
        while let Some(Op::Append(next, record)) = self.asked.front() {
            token = *next;
            self.log.push(record.clone());
            self.asked.pop_front();
        }
        Input::Durable(token)
    }

    fn truncate(&mut self, to: Zxid) -> Input {
        if to != self.base && !self.log.iter().any(|record| record.header.zxid == to) {
            return Input::TruncationImpossible;
        }
        self.log.retain(|record| record.header.zxid <= to);
        Input::Truncated { last: to, recent: self.log.clone() }
    }

    /// The records behind `after`, up to `up_to`; none if the log does not reach back so far, or if
    /// `after` is of another history than this.
    pub(crate) fn read(&self, after: Zxid, up_to: Zxid) -> Option<Vec<Arc<TxnRecord>>> {
        let wanted = |record: &&Arc<TxnRecord>| {
            let zxid = record.header.zxid;
            zxid > after && zxid <= up_to
        };
        let at_start = after == self.base || after > self.base && after.counter() == 0;
        let known = at_start || self.log.iter().any(|record| record.header.zxid == after);
        known.then(|| self.log.iter().filter(wanted).cloned().collect())
    }
}

/// A transaction that says nothing but its zxid.
pub(crate) fn record(zxid: Zxid) -> Arc<TxnRecord> {
    tagged(zxid, i32::try_from(zxid.counter()).unwrap_or_default())
}

/// A transaction that can be told from another of its zxid.
pub(crate) fn tagged(zxid: Zxid, cxid: i32) -> Arc<TxnRecord> {
    let (session, op) = (SessionId(0x1), OpCode::Delete);
    let header = TxnHeader { session, cxid, zxid, time_ms: 0, op };
    let path = format!("/{}-{}", zxid.epoch(), zxid.counter());
    Arc::new(TxnRecord { header, txn: Txn::Delete { path: path.into() }, digest: None })
}
