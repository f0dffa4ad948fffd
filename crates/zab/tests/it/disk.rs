//! The disk of a member: what survives a crash, and what was asked for and is not done.
//!
//! It has one thread for the log, which does everything in the order in which it was asked.

use bellwether_wire::disk::{Txn, TxnHeader, TxnRecord};
use bellwether_wire::{OpCode, SessionId, Zxid};
use bellwether_zab::{Found, Input, LogToken};
use std::collections::VecDeque;
use std::sync::Arc;

/// A disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Everything up to here is in a snapshot and in no log.
    pub(crate) base: Zxid,
    /// What is behind it.
    pub(crate) log: Vec<Arc<TxnRecord>>,
    pub(crate) accepted_epoch: u32,
    pub(crate) current_epoch: u32,
    /// What was asked for, the oldest first.
    pub(crate) asked: VecDeque<Op>,
    /// It does nothing by itself.
    pub(crate) held: bool,
}

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
    /// What a start finds. What was asked for and not done is lost.
    pub(crate) fn recover(&mut self) -> Found {
        self.asked.clear();
        Found {
            last: self.last(),
            recent: self.log.clone(),
            accepted_epoch: self.accepted_epoch,
            current_epoch: self.current_epoch,
        }
    }

    /// The last zxid on it.
    pub(crate) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base, |record| record.header.zxid)
    }

    /// Does what was asked for first, and says what to tell the peer.
    pub(crate) fn work(&mut self) -> Option<Input> {
        Some(match self.asked.pop_front()? {
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
                Input::CurrentEpochSaved(epoch)
            }
            Op::Truncate(to) => self.truncate(to),
            Op::TakeSnapshot(zxid) => {
                (self.base, self.log) = (zxid, Vec::new());
                Input::SnapshotReceived(zxid)
            }
        })
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

    /// The records behind `after`, up to `up_to`; none if the log does not reach back so far.
    pub(crate) fn read(&self, after: Zxid, up_to: Zxid) -> Option<Vec<Arc<TxnRecord>>> {
        let wanted = |record: &&Arc<TxnRecord>| {
            let zxid = record.header.zxid;
            zxid > after && zxid <= up_to
        };
        (after >= self.base).then(|| self.log.iter().filter(wanted).cloned().collect())
    }
}

/// A transaction that says nothing but its zxid.
pub(crate) fn record(zxid: Zxid) -> Arc<TxnRecord> {
    let (session, op) = (SessionId(0x1), OpCode::Delete);
    let cxid = i32::try_from(zxid.counter()).unwrap_or_default();
    let header = TxnHeader { session, cxid, zxid, time_ms: 0, op };
    let path = format!("/{}-{}", zxid.epoch(), zxid.counter());
    Arc::new(TxnRecord { header, txn: Txn::Delete { path: path.into() }, digest: None })
}
