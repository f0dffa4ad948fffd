//! What a member's disk has to do: the thread of the log, that of the snapshots, readers of the
//! log for learners. Each takes its time, and a machine that loses its power loses what they had
//! not synced.

use super::super::broken::{Break, ShellBreak};
use super::super::queue::Queue;
use super::super::world::Action;
use super::{Around, Loaded, Step, load};
use bellwether_node::{Event, LogToken, Settings};
use bellwether_store::{
    LogRange, RangeError, RangeStart, ReceivedSnapshot, SealedSnapshot, SnapshotWriter, Store,
    StoreError, Truncation,
};
use bellwether_tree::Now;
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use bellwether_zab::{Input, LearnerLink};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many snapshots are kept.
const RETAIN: usize = 3;
/// How many records go into one sync at most.
const BATCH_MAX: usize = 500;
/// How many bytes a reader of the log hands over at once.
const READ_BYTES: u64 = 4000;

/// How late a report that is late may be.
const LATE_US_MAX: u64 = 4_000_000;

/// The threads of the disk.
pub(super) struct DiskWork {
    /// `None` only while it is being read anew.
    store: Option<Store>,
    log: VecDeque<Work>,
    /// What the log's thread is doing: it ends all at once.
    doing: Option<Doing>,
    snapshot: Option<Snapshot>,
    sealed: Option<SealedSnapshot>,
    readers: BTreeMap<LearnerLink, LogReading>,
    /// Before this nobody hears of a sync. Syncs are reported in their order; what else the log's
    /// thread does may be reported before one that was done earlier.
    reports_from_us: u64,
    late: VecDeque<Event>,
    broken: Option<Break>,
}

/// Something for the log's thread, in order.
enum Work {
    Append(LogToken, Arc<TxnRecord>),
    Roll,
    SaveAccepted(u32),
    SaveCurrent(u32),
    Truncate(Zxid),
    Adopt(Box<SealedSnapshot>),
}

enum Doing {
    /// Records up to this token and zxid, to be synced.
    Sync(LogToken, Zxid),
    Other(Work),
}

/// What the thread of the snapshots has to do.
struct Snapshot {
    zxid: Zxid,
    writer: Writer,
    slices: VecDeque<(Vec<SnapshotItem>, bool)>,
}

enum Writer {
    Own(Option<SnapshotWriter>),
    Received(Option<ReceivedSnapshot>),
}

/// The reader where there is more, and what was read.
type ReadOn = (Option<Box<LogRange>>, Vec<Arc<TxnRecord>>);

/// A stretch of the log on its way to a learner.
enum LogReading {
    Asked { after: Zxid, up_to: Zxid },
    Open(Box<LogRange>),
}

impl DiskWork {
    pub(super) fn new(store: Store, broken: Option<Break>) -> DiskWork {
        DiskWork {
            broken,
            store: Some(store),
            log: VecDeque::new(),
            doing: None,
            snapshot: None,
            sealed: None,
            readers: BTreeMap::new(),
            reports_from_us: 0,
            late: VecDeque::new(),
        }
    }

    fn is_broken(&self, how: ShellBreak) -> bool {
        self.broken == Some(Break::Shell(how))
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("it is only away while it is being read anew")
    }

    pub(super) fn append(&mut self, token: LogToken, record: Arc<TxnRecord>) {
        self.log.push_back(Work::Append(token, record));
    }

    pub(super) fn save_accepted(&mut self, epoch: u32) {
        self.log.push_back(Work::SaveAccepted(epoch));
    }

    pub(super) fn save_current(&mut self, epoch: u32) {
        if self.broken.is_some_and(Break::saves_current_epoch_first) {
            self.log.push_front(Work::SaveCurrent(epoch));
        } else {
            self.log.push_back(Work::SaveCurrent(epoch));
        }
    }

    pub(super) fn truncate(&mut self, zxid: Zxid) {
        self.log.push_back(Work::Truncate(zxid));
    }

    pub(super) fn adopt(&mut self, zxid: Zxid) {
        let sealed = self.sealed.take().expect("it was received as a whole");
        assert_eq!(sealed.zxid(), zxid, "another snapshot was received");
        self.log.push_back(Work::Adopt(Box::new(sealed)));
    }

    /// The log's thread takes what waits for it, if it has nothing to do.
    pub(super) fn begin(&mut self, process: (usize, u64), around: &mut Around<'_>) -> Step<()> {
        if self.doing.is_some() {
            return Ok(());
        }
        let mut last = None;
        for _ in 0..BATCH_MAX {
            match self.log.pop_front() {
                Some(Work::Append(token, record)) => {
                    self.store().append(&record)?;
                    last = Some(Doing::Sync(token, record.header.zxid));
                }
                Some(other) if last.is_some() => {
                    self.log.push_front(other);
                    break;
                }
                Some(other) => {
                    last = Some(Doing::Other(other));
                    break;
                }
                None => break,
            }
        }
        if last.is_some() {
            self.doing = last;
            let us = around.load.sync_us.draw(around.chance) + around.stall_us;
            let (member, life) = process;
            around.queue.after(us, Action::LogDone { member, life });
        }
        Ok(())
    }

    /// What the log's thread was doing is done.
    pub(super) fn log_done(
        &mut self,
        ((member, life), settings, now): ((usize, u64), &Settings, Now),
        around: &mut Around<'_>,
    ) -> Step<Vec<Event>> {
        let Some(doing) = self.doing.take() else { return Ok(Vec::new()) };
        let place = member - 1;
        let event = match doing {
            Doing::Sync(token, _) if self.is_broken(ShellBreak::DurableBeforeSync) => {
                // The next change of the log writes it.
                Event::Durable { token, bytes: 0 }
            }
            Doing::Sync(token, zxid) => {
                let report = self.store().sync()?;
                around.checkers.synced(place, zxid);
                let bytes = report.bytes;
                if around.load.late_report_one_in.is_some_and(|of| around.chance.one_in(of)) {
                    let us = around.chance.below(LATE_US_MAX);
                    self.reports_from_us = self.reports_from_us.max(around.now_us() + us);
                }
                let event = Event::Durable { token, bytes };
                if self.reports_from_us > around.now_us() || !self.late.is_empty() {
                    self.late.push_back(event);
                    around.queue.at(self.reports_from_us, Action::LateReport { member, life });
                    return Ok(Vec::new());
                }
                event
            }
            Doing::Other(Work::Append(..)) => unreachable!("records are synced together"),
            Doing::Other(Work::Roll) => {
                self.store().roll()?;
                return Ok(Vec::new());
            }
            Doing::Other(Work::SaveAccepted(epoch)) => {
                self.store().save_accepted(epoch)?;
                around.checkers.saved_accepted(place, epoch);
                Event::Peer(Input::AcceptedEpochSaved(epoch))
            }
            Doing::Other(Work::SaveCurrent(epoch)) => {
                self.store().save_current(epoch)?;
                around.checkers.saved_current(place, epoch);
                Event::Peer(Input::CurrentEpochSaved(epoch))
            }
            Doing::Other(Work::Truncate(zxid)) => {
                return self.cut((place, zxid), (settings, now), around);
            }
            Doing::Other(Work::Adopt(sealed)) => {
                let zxid = sealed.zxid();
                around.checkers.cutting(place, Some(zxid));
                self.store().restart_at(*sealed)?;
                around.checkers.adopted(place, zxid);
                Event::SnapshotAdopted { adopted: true }
            }
        };
        Ok(vec![event])
    }

    /// A sync is reported at last.
    pub(super) fn late_report(&mut self) -> Option<Event> {
        self.late.pop_front()
    }

    /// Nothing is late any more.
    pub(super) fn late_reports(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.reports_from_us = 0;
        self.late.drain(..)
    }

    /// Cuts the log and reads what is left.
    fn cut(
        &mut self,
        (place, zxid): (usize, Zxid),
        (settings, now): (&Settings, Now),
        around: &mut Around<'_>,
    ) -> Step<Vec<Event>> {
        let mut events: Vec<Event> = self.abandon().into_iter().collect();
        around.checkers.cutting(place, Some(zxid));
        match self.store().truncate(zxid)? {
            Truncation::Absent => {
                around.checkers.cutting(place, None);
                events.push(Event::Peer(Input::TruncationImpossible));
            }
            Truncation::Truncated => {
                if self.is_broken(ShellBreak::EphemeralLeakAfterAbortedSync) {
                    around.checkers.truncated(place, zxid);
                    return Ok(vec![Event::Peer(Input::Truncated {
                        last: zxid,
                        recent: Vec::new(),
                    })]);
                }
                let store = self.store.take().expect("it was there a moment ago");
                let Loaded { store, tree, recent, .. } =
                    load(store.into_recovery()?, settings, now)?;
                self.store = Some(store);
                // What a synchronisation brought that never ended is cut off, too.
                around.checkers.truncated(place, tree.last_processed());
                events.push(Event::Truncated { tree: Box::new(tree), recent });
            }
        }
        Ok(events)
    }
}

/// Snapshots.
impl DiskWork {
    pub(super) fn start_snapshot(&mut self, zxid: Zxid) {
        self.log.push_back(Work::Roll);
        self.snapshot = Some(Snapshot { zxid, writer: Writer::Own(None), slices: VecDeque::new() });
    }

    /// A leader's snapshot comes.
    pub(super) fn receive(&mut self, zxid: Zxid) {
        self.sealed = None;
        self.snapshot =
            Some(Snapshot { zxid, writer: Writer::Received(None), slices: VecDeque::new() });
    }

    pub(super) fn slice(
        &mut self,
        (member, life): (usize, u64),
        items: Vec<SnapshotItem>,
        last: bool,
        around: &mut Around<'_>,
    ) {
        // One that the disk gave up is still walked until its end was reported.
        let Some(snapshot) = &mut self.snapshot else { return };
        snapshot.slices.push_back((items, last));
        let us = around.load.sync_us.draw(around.chance) + around.stall_us;
        around.queue.after(us, Action::SnapshotTurn { member, life });
    }

    /// Gives up what is being written, and reports its end unless that was done.
    pub(super) fn abandon(&mut self) -> Option<Event> {
        self.sealed = None;
        self.snapshot.take().map(|_| Event::SnapshotEnded { saved: false })
    }

    /// The thread of the snapshots writes a slice.
    pub(super) fn snapshot_turn(&mut self) -> Vec<Event> {
        let Some(mut snapshot) = self.snapshot.take() else { return Vec::new() };
        let Some((items, last)) = snapshot.slices.pop_front() else {
            self.snapshot = Some(snapshot);
            return Vec::new();
        };
        let written = self.write(&mut snapshot, &items, last);
        match written {
            Ok(Some(sealed)) => {
                self.sealed = Some(sealed);
                vec![Event::SnapshotEnded { saved: true }]
            }
            Ok(None) if last => {
                // What cannot be purged now is purged after the next one.
                drop(self.store().purge(RETAIN));
                vec![Event::SnapshotEnded { saved: true }]
            }
            Ok(None) => {
                let own = matches!(snapshot.writer, Writer::Own(_));
                self.snapshot = Some(snapshot);
                if own { vec![Event::SnapshotSliceTaken] } else { Vec::new() }
            }
            Err(_) => vec![Event::SnapshotEnded { saved: false }],
        }
    }

    fn write(
        &mut self,
        snapshot: &mut Snapshot,
        items: &[SnapshotItem],
        last: bool,
    ) -> Result<Option<SealedSnapshot>, StoreError> {
        let store = self.store();
        match &mut snapshot.writer {
            Writer::Own(slot) => {
                let mut writer = match slot.take() {
                    Some(writer) => writer,
                    None => SnapshotWriter::create(store.disk(), store.options(), snapshot.zxid)?,
                };
                for item in items {
                    writer.write(item)?;
                }
                if last {
                    writer.finish()?;
                } else {
                    *slot = Some(writer);
                }
                Ok(None)
            }
            Writer::Received(slot) => {
                let mut writer = match slot.take() {
                    Some(writer) => writer,
                    None => ReceivedSnapshot::create(store.disk(), store.options(), snapshot.zxid)?,
                };
                for item in items {
                    writer.write(item)?;
                }
                if last {
                    return writer.seal().map(Some);
                }
                *slot = Some(writer);
                Ok(None)
            }
        }
    }
}

/// Reading the log for learners.
impl DiskWork {
    pub(super) fn read_log(
        &mut self,
        process: (usize, u64),
        link: LearnerLink,
        (after, up_to): (Zxid, Zxid),
        around: &mut Around<'_>,
    ) {
        self.readers.insert(link, LogReading::Asked { after, up_to });
        read_soon(process, link, around.queue, around.load.sync_us.min + around.stall_us);
    }

    /// A reader hands over its next records.
    pub(super) fn reader_turn(
        &mut self,
        process: (usize, u64),
        link: LearnerLink,
        around: &mut Around<'_>,
    ) -> Vec<Event> {
        let Some(reading) = self.readers.remove(&link) else { return Vec::new() };
        match self.read(reading) {
            Ok((range, records)) => {
                let last = range.is_none();
                if let Some(range) = range {
                    self.readers.insert(link, LogReading::Open(range));
                    read_soon(process, link, around.queue, 200 + around.stall_us);
                }
                vec![Event::Peer(Input::LogRead { link, records, last })]
            }
            Err(_) => vec![Event::Peer(Input::LogUnreadable { link })],
        }
    }

    /// Gives the reader back where there is more.
    fn read(&mut self, reading: LogReading) -> Result<ReadOn, RangeError> {
        let mut range = match reading {
            LogReading::Open(range) => range,
            LogReading::Asked { after, up_to } => {
                let store = self.store();
                let bytes_max = Some(1 << 20);
                let range =
                    LogRange::open(store.disk(), store.options(), (after, up_to), bytes_max)?;
                // A learner whose last record is not of this history cannot go on from it.
                if matches!(range.start(), RangeStart::Absent { .. }) || range.end() < up_to {
                    return Err(RangeError::Gap { after, before: range.end() });
                }
                Box::new(range)
            }
        };
        let records: Vec<_> = range.next_batch(READ_BYTES)?.into_iter().map(Arc::new).collect();
        let ended = records.last().is_none_or(|last| last.header.zxid >= range.end());
        Ok((if ended { None } else { Some(range) }, records))
    }
}

fn read_soon(
    (member, life): (usize, u64),
    link: LearnerLink,
    queue: &mut Queue<Action>,
    after_us: u64,
) {
    queue.after(after_us, Action::ReaderTurn { member, life, link });
}
