//! What a peer has received, has on disk, knows to be committed and has handed to the tree.
//!
//! The watermarks live here and nowhere else, and so does the order between them.

use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much data the records may hold that are kept in memory for learners: five hundred records,
/// the least that Apache keeps, may be 500 MB. Learners that lack more are served from the log.
const RECENT_BYTES_MAX: usize = 64 << 20;

/// A record on its way to the disk. Grows with every append and never repeats, not even when
/// records are taken back, so that a completion still in flight cannot stand for a later record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogToken(pub u64);

/// Proof that the record of this zxid is on disk. Only [`History`] makes it, from the completion
/// that says so, and an ack of a proposal needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Synced(Zxid);

impl Synced {
    /// Of which record.
    pub(crate) fn zxid(&self) -> Zxid {
        self.0
    }

    /// A lie.
    #[cfg(feature = "canaries")]
    pub(crate) fn forged(zxid: Zxid) -> Synced {
        Synced(zxid)
    }
}

/// Proof that everything received was on disk. Only [`History`] makes it.
#[derive(Debug)]
pub(crate) struct AllSynced(());

impl AllSynced {
    /// A lie.
    #[cfg(feature = "canaries")]
    pub(crate) fn forged() -> AllSynced {
        AllSynced(())
    }
}

/// The history of one peer.
///
/// Invariants: `delivered <= committed <= received`; `durable <= received`; zxids grow from the
/// front of `recent` to the back of `in_flight`; tokens grow from the front of `unsynced` to its
/// back.
#[derive(Debug)]
pub struct History {
    /// Handed to the tree, the newest last: what learners that are not far behind are sent.
    recent: VecDeque<Arc<TxnRecord>>,
    recent_max: usize,
    /// The data in `recent`.
    recent_bytes: usize,
    /// Appended, and not handed to the tree.
    in_flight: VecDeque<Arc<TxnRecord>>,
    /// How many at the front of `in_flight` are committed.
    deliverable: usize,
    /// Appended, and not known to be on disk.
    unsynced: VecDeque<(LogToken, Zxid)>,
    last_token: LogToken,
    received: Zxid,
    durable: Zxid,
    committed: Zxid,
    delivered: Zxid,
}

impl History {
    /// What recovery found: everything is on disk and in the tree. `recent` are the last records
    /// before `last`, without a gap.
    pub fn new(last: Zxid, recent: Vec<Arc<TxnRecord>>, recent_max: usize) -> History {
        let mut history = History {
            recent: VecDeque::new(),
            recent_max,
            recent_bytes: 0,
            in_flight: VecDeque::new(),
            deliverable: 0,
            unsynced: VecDeque::new(),
            last_token: LogToken(0),
            received: last,
            durable: last,
            committed: last,
            delivered: last,
        };
        history.keep(recent);
        history
    }

    /// Another history takes the place of this one: the log was cut, or a snapshot came.
    /// Completions of what was appended before count for nothing any more.
    pub fn replace(&mut self, last: Zxid, recent: Vec<Arc<TxnRecord>>) {
        self.in_flight.clear();
        self.deliverable = 0;
        self.unsynced.clear();
        self.recent.clear();
        self.recent_bytes = 0;
        (self.received, self.durable, self.committed, self.delivered) = (last, last, last, last);
        self.keep(recent);
    }

    fn keep(&mut self, recent: Vec<Arc<TxnRecord>>) {
        let skipped = recent.len().saturating_sub(self.recent_max);
        for record in recent.into_iter().skip(skipped) {
            self.remember(record);
        }
    }

    /// Takes a record, whose zxid is above everything received.
    pub fn append(&mut self, record: Arc<TxnRecord>) -> LogToken {
        let zxid = record.header.zxid;
        assert!(zxid > self.received, "{zxid} was received after {}", self.received);
        self.last_token = LogToken(self.last_token.0 + 1);
        self.unsynced.push_back((self.last_token, zxid));
        self.in_flight.push_back(record);
        self.received = zxid;
        self.last_token
    }

    /// The disk has everything up to this token. Gives the zxid up to which it is durable if that
    /// is more than before.
    pub fn durable_to(&mut self, token: LogToken) -> Option<Zxid> {
        self.sync_to(token).last().map(|Synced(zxid)| zxid)
    }

    /// The disk has everything up to this token. Gives each record that it did not have before. A
    /// token whose record was taken back stands for none.
    pub(crate) fn sync_to(&mut self, token: LogToken) -> impl Iterator<Item = Synced> + '_ {
        assert!(token <= self.last_token, "{token:?} was never given out");
        let synced = self.unsynced.partition_point(|(unsynced, _)| *unsynced <= token);
        if let Some((_, last)) = synced.checked_sub(1).and_then(|last| self.unsynced.get(last)) {
            self.durable = *last;
        }
        self.unsynced.drain(..synced).map(|(_, zxid)| Synced(zxid))
    }

    /// The proof that everything received is on disk, where it is.
    pub(crate) fn all_synced(&self) -> Option<AllSynced> {
        self.unsynced.is_empty().then_some(AllSynced(()))
    }

    /// The token that a broken peer takes a completion for: one of a record that was taken back
    /// counts for whatever came after it.
    #[cfg(feature = "canaries")]
    pub(crate) fn mistaken(&self, token: LogToken) -> LogToken {
        let is_stale = self.unsynced.front().is_some_and(|(first, _)| token < *first);
        if is_stale { self.last_token } else { token }
    }

    /// Everything up to this zxid is committed.
    pub fn commit_to(&mut self, zxid: Zxid) {
        assert!(zxid <= self.received, "{zxid} is committed and was not received");
        if zxid > self.committed {
            self.committed = zxid;
            // Mostly it is the next one.
            let rest = self.in_flight.range(self.deliverable..);
            self.deliverable += rest.take_while(|record| record.header.zxid <= zxid).count();
        }
    }

    /// The zxid of the first record that is received and not committed.
    pub fn first_uncommitted(&self) -> Option<Zxid> {
        self.in_flight.get(self.deliverable).map(|record| record.header.zxid)
    }

    /// The next committed record for the tree.
    pub fn deliver(&mut self) -> Option<Arc<TxnRecord>> {
        if !self.has_committed() {
            return None;
        }
        let record = self.in_flight.pop_front()?;
        self.deliverable -= 1;
        self.delivered = record.header.zxid;
        if self.recent_max > 0 {
            self.remember(record.clone());
        }
        Some(record)
    }

    /// Keeps a record for learners, and so many of those before it as may be.
    fn remember(&mut self, record: Arc<TxnRecord>) {
        self.recent_bytes += record.txn.data_bytes();
        self.recent.push_back(record);
        while self.recent.len() > self.recent_max || self.recent_bytes > RECENT_BYTES_MAX {
            let oldest = self.recent.pop_front();
            self.recent_bytes -= oldest.map_or(0, |oldest| oldest.txn.data_bytes());
        }
    }

    /// Whether a committed record waits for the tree.
    pub fn has_committed(&self) -> bool {
        self.deliverable > 0
    }

    /// The zxid of the oldest record kept in memory; `None` if none is.
    pub fn recent_min(&self) -> Option<Zxid> {
        self.recent.front().or(self.in_flight.front()).map(|record| record.header.zxid)
    }

    /// The records kept in memory, the oldest first; those up to [`History::committed`] are
    /// committed.
    pub fn records(&self) -> impl Iterator<Item = &Arc<TxnRecord>> {
        self.recent.iter().chain(&self.in_flight)
    }

    /// The records that are received and not committed, the oldest first.
    pub fn uncommitted(&self) -> impl DoubleEndedIterator<Item = &Arc<TxnRecord>> {
        self.in_flight.iter().skip(self.deliverable)
    }

    /// How many records are received and not handed to the tree.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The last zxid received.
    pub fn received(&self) -> Zxid {
        self.received
    }

    /// The last zxid known to be on disk.
    pub fn durable(&self) -> Zxid {
        self.durable
    }

    /// The last zxid known to be committed.
    pub fn committed(&self) -> Zxid {
        self.committed
    }

    /// The last zxid handed to the tree.
    pub fn delivered(&self) -> Zxid {
        self.delivered
    }

    /// Fails if the order of the watermarks does not hold.
    pub fn check(&self) {
        let holds = self.delivered <= self.committed
            && self.committed <= self.received
            && self.durable <= self.received;
        assert!(
            holds,
            "delivered {} <= committed {} <= received {}, durable {} <= received",
            self.delivered, self.committed, self.received, self.durable
        );
        assert_eq!(self.unsynced.is_empty(), self.durable == self.received, "what is not on disk");
        let last_committed = self.deliverable.checked_sub(1).map(|at| self.in_flight.get(at));
        let is_split = last_committed
            .is_none_or(|record| record.is_some_and(|record| record.header.zxid <= self.committed))
            && self.first_uncommitted().is_none_or(|zxid| zxid > self.committed);
        assert!(is_split, "{} records in flight are committed", self.deliverable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::disk::{Txn, TxnHeader};
    use bellwether_wire::{OpCode, SessionId};

    fn record(zxid: i64) -> Arc<TxnRecord> {
        let (session, op) = (SessionId(1), OpCode::Delete);
        let header = TxnHeader { session, cxid: 0, zxid: Zxid(zxid), time_ms: 0, op };
        Arc::new(TxnRecord { header, txn: Txn::Delete { path: "/a".into() }, digest: None })
    }

    /// A history that ends with 3, and 4 to `last` appended to it.
    fn up_to(last: i64) -> (History, Vec<LogToken>) {
        let mut history = History::new(Zxid(3), vec![record(2), record(3)], 3);
        let tokens = (4..=last).map(|zxid| history.append(record(zxid))).collect();
        history.check();
        (history, tokens)
    }

    fn zxids<'a>(records: impl IntoIterator<Item = &'a Arc<TxnRecord>>) -> Vec<i64> {
        records.into_iter().map(|record| record.header.zxid.0).collect()
    }

    fn synced(history: &mut History, token: LogToken) -> Vec<i64> {
        let synced = history.sync_to(token).map(|synced| synced.zxid().0).collect();
        history.check();
        synced
    }

    #[test]
    fn each_record_is_proved_synced_once_and_in_order() {
        let (mut history, tokens) = up_to(8);
        assert!(history.all_synced().is_none());
        assert_eq!(synced(&mut history, tokens[1]), [4, 5]);
        assert_eq!(synced(&mut history, tokens[1]), []);
        assert_eq!(history.durable(), Zxid(5));
        assert_eq!(history.durable_to(tokens[0]), None, "an older completion says nothing");
        assert_eq!(history.durable_to(tokens[4]), Some(Zxid(8)));
        assert!(history.all_synced().is_some());
    }

    #[test]
    fn proofs_that_nobody_reads_count_all_the_same() {
        let (mut history, tokens) = up_to(6);
        drop(history.sync_to(tokens[2]));
        history.check();
        assert_eq!(history.durable(), Zxid(6));
    }

    #[test]
    #[should_panic(expected = "was never given out")]
    fn a_completion_of_nothing_is_a_bug() {
        let (mut history, _) = up_to(4);
        drop(history.sync_to(LogToken(2)));
    }

    #[test]
    fn completions_of_records_that_were_taken_back_count_for_nothing() {
        let (mut history, old) = up_to(6);
        history.replace(Zxid(4), vec![record(4)]);
        history.check();
        let new: Vec<LogToken> = (5..=7).map(|zxid| history.append(record(zxid))).collect();
        assert!(new > old, "no token is given out twice");
        assert_eq!(synced(&mut history, old[2]), []);
        assert_eq!((history.durable(), history.received()), (Zxid(4), Zxid(7)));
        assert_eq!(synced(&mut history, new[1]), [5, 6]);
    }

    #[test]
    fn only_what_is_committed_is_delivered() {
        let (mut history, _) = up_to(7);
        assert!(history.deliver().is_none());
        assert_eq!(history.first_uncommitted(), Some(Zxid(4)));
        history.commit_to(Zxid(6));
        history.check();
        assert_eq!(history.first_uncommitted(), Some(Zxid(7)));
        let delivered: Vec<_> = std::iter::from_fn(|| history.deliver()).collect();
        assert_eq!(zxids(&delivered), [4, 5, 6]);
        history.check();
        assert_eq!((history.delivered(), history.committed()), (Zxid(6), Zxid(6)));
        assert_eq!(zxids(history.uncommitted()), [7]);
        history.commit_to(Zxid(5));
        assert_eq!(history.committed(), Zxid(6), "what is committed stays so");
    }

    #[test]
    fn a_commit_does_not_wait_for_the_own_disk() {
        let (mut history, tokens) = up_to(5);
        history.commit_to(Zxid(5));
        assert_eq!(history.deliver().map(|record| record.header.zxid), Some(Zxid(4)));
        history.check();
        assert_eq!(synced(&mut history, tokens[1]), [4, 5]);
    }

    #[test]
    #[should_panic(expected = "is committed and was not received")]
    fn what_was_not_received_cannot_be_committed() {
        up_to(5).0.commit_to(Zxid(6));
    }

    #[test]
    #[should_panic(expected = "was received after")]
    fn records_come_in_order() {
        up_to(5).0.append(record(5));
    }

    #[test]
    fn memory_keeps_the_last_records_and_everything_in_flight() {
        let (mut history, _) = up_to(7);
        assert_eq!(zxids(history.records()), [2, 3, 4, 5, 6, 7]);
        history.commit_to(Zxid(5));
        while history.deliver().is_some() {}
        assert_eq!(zxids(history.records()), [3, 4, 5, 6, 7], "three of those in the tree");
        assert_eq!(history.recent_min(), Some(Zxid(3)));
        history.replace(Zxid(9), (1..=9).map(record).collect());
        assert_eq!(zxids(history.records()), [7, 8, 9]);
        history.replace(Zxid(20), Vec::new());
        assert_eq!((history.recent_min(), history.in_flight()), (None, 0));
    }

    #[test]
    fn memory_is_bounded_in_bytes_too() {
        let large = |zxid: i64| {
            let data = Some(vec![0; RECENT_BYTES_MAX / 2].into());
            let txn = Txn::SetData { path: "/a".into(), data, version: 1 };
            Arc::new(TxnRecord { txn, ..(*record(zxid)).clone() })
        };
        let mut history = History::new(Zxid(0), Vec::new(), 500);
        for zxid in 1..=3 {
            history.append(large(zxid));
        }
        history.append(record(4));
        history.commit_to(Zxid(4));
        while history.deliver().is_some() {}
        assert_eq!(zxids(history.records()), [2, 3, 4]);
        history.append(large(5));
        history.commit_to(Zxid(5));
        while history.deliver().is_some() {}
        assert_eq!(zxids(history.records()), [3, 4, 5]);
    }

    #[test]
    fn a_history_without_memory_delivers_all_the_same() {
        let mut history = History::new(Zxid(0), vec![record(0)], 0);
        history.append(record(1));
        history.commit_to(Zxid(1));
        assert!(history.deliver().is_some());
        assert_eq!(zxids(history.records()), []);
        history.check();
    }
}
