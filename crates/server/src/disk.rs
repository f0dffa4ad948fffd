//! The threads that own the disk: one writes the log, one writes a snapshot while there is one.
//!
//! The log's thread takes what has piled up while it was busy as one batch: one write, one sync,
//! one report. It reports a token only after the sync returned, and nothing any more once a write
//! or sync failed.

use crate::run::Message;
use bellwether_node::LogToken;
use bellwether_store::{SnapshotWriter, Store, StoreError};
use bellwether_wire::disk::{SnapshotItem, TxnRecord};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// How long the log is quiet before what can wait is done.
const IDLE: Duration = Duration::from_millis(200);

/// What the core asks of the log.
pub(crate) enum LogTask {
    /// Append these, in order; they were handed over at this moment.
    Append(Vec<(LogToken, Arc<TxnRecord>)>, Instant),
    /// Begin a new file with the next record.
    Roll,
}

/// The way to the log's thread. Dropping `tasks` ends it after what is queued.
pub(crate) struct Log {
    tasks: Option<Sender<LogTask>>,
    /// Records that the thread has not taken.
    waiting: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

/// A batch that is on stable storage.
#[derive(Clone, Debug)]
pub(crate) struct Synced {
    pub(crate) token: LogToken,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// The sync alone.
    pub(crate) elapsed: Duration,
    pub(crate) times: BatchTimes,
}

/// What took how long with a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchTimes {
    /// Records that waited when the thread came for them.
    pub(crate) queue: u64,
    /// From the first record to the end of the sync.
    pub(crate) process: Duration,
    /// Writing what is buffered, and the sync.
    pub(crate) flush: Duration,
    /// For records that were handed over together: how many, until they were taken, and until they
    /// were on stable storage.
    pub(crate) records: Vec<(u64, Duration, Duration)>,
}

impl Log {
    /// Starts the thread.
    pub(crate) fn start(store: Store, core: mpsc::Sender<Message>) -> std::io::Result<Log> {
        // Bounded by what is in flight, whoever asked for it: globalOutstandingLimit, and one more
        // per connection.
        let (tasks, queue) = channel();
        let waiting = Arc::new(AtomicU64::new(0));
        let counted = waiting.clone();
        let run = move || run_log(store, (&queue, &counted), &core);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(Log { tasks: Some(tasks), waiting, thread: Some(thread) })
    }

    /// A log whose tasks another takes.
    pub(crate) fn to(tasks: Sender<LogTask>) -> Log {
        Log { tasks: Some(tasks), waiting: Arc::default(), thread: None }
    }

    pub(crate) fn send(&self, task: LogTask) {
        match &task {
            LogTask::Append(records, _) => {
                // A figure, which orders nothing.
                self.waiting.fetch_add(len(records), Ordering::Relaxed);
            }
            LogTask::Roll => {} // Only records are counted.
        }
        // A thread that has ended has reported why, and the core will hear of it.
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task));
        drop(sent);
    }

    /// Waits for what is queued, syncs and closes.
    pub(crate) fn stop(&mut self) -> Result<(), StoreError> {
        self.tasks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_panicked)) => Err(StoreError::Poisoned),
            None => Ok(()),
        }
    }
}

fn run_log(
    mut store: Store,
    (queue, waiting): (&Receiver<LogTask>, &AtomicU64),
    core: &mpsc::Sender<Message>,
) -> Result<(), StoreError> {
    loop {
        let first = match queue.recv_timeout(IDLE) {
            Ok(task) => task,
            Err(RecvTimeoutError::Timeout) => {
                store.idle();
                match queue.recv() {
                    Ok(task) => task,
                    Err(_stopped) => return store.close().map(drop),
                }
            }
            Err(RecvTimeoutError::Disconnected) => return store.close().map(drop),
        };
        match write_batch(&mut store, first, (queue, waiting)) {
            Ok(Some(synced)) => drop(core.blocking_send(Message::Synced(synced))),
            Ok(None) => {} // Only a roll was asked for.
            Err(failure) => {
                error!(error = %failure, "the log failed; nothing in flight is acknowledged");
                let told = core.blocking_send(Message::LogFailed);
                drop(told);
                return Err(failure);
            }
        }
    }
}

fn write_batch(
    store: &mut Store,
    first: LogTask,
    (queue, waiting): (&Receiver<LogTask>, &AtomicU64),
) -> Result<Option<Synced>, StoreError> {
    let began = Instant::now();
    let mut times = BatchTimes { queue: waiting.load(Ordering::Relaxed), ..BatchTimes::default() };
    let mut handed_over = Vec::new();
    let mut last = None;
    let mut next = Some(first);
    while let Some(task) = next {
        match task {
            LogTask::Append(records, since) => {
                waiting.fetch_sub(len(&records), Ordering::Relaxed);
                handed_over.push((len(&records), since, since.elapsed()));
                for (token, record) in records {
                    store.append(&record)?;
                    last = Some(token);
                }
            }
            LogTask::Roll => store.roll()?,
        }
        next = queue.try_recv().ok();
    }
    let Some(token) = last else { return Ok(None) };
    let flushing = Instant::now();
    let report = store.sync()?;
    let ended = Instant::now();
    times.flush = ended.saturating_duration_since(flushing);
    times.process = ended.saturating_duration_since(began);
    let until_synced = |(records, since, waited): (u64, Instant, Duration)| {
        (records, waited, ended.saturating_duration_since(since))
    };
    times.records = handed_over.into_iter().map(until_synced).collect();
    Ok(Some(Synced {
        token,
        bytes: report.bytes,
        records: report.records,
        elapsed: report.elapsed,
        times,
    }))
}

fn len(records: &[(LogToken, Arc<TxnRecord>)]) -> u64 {
    u64::try_from(records.len()).unwrap_or(u64::MAX)
}

/// A slice of a snapshot, on its way to the file.
pub(crate) type Slice = (Vec<SnapshotItem>, bool);

/// Starts a thread that writes one snapshot. It asks for each slice, so that it sets the pace.
pub(crate) fn start_snapshot(
    open: impl FnOnce() -> Result<SnapshotWriter, StoreError> + Send + 'static,
    core: mpsc::Sender<Message>,
) -> std::io::Result<SyncSender<Slice>> {
    let (slices, queue) = sync_channel(1);
    let run = move || {
        let saved = match write_snapshot(open, &queue, &core) {
            Ok(saved) => saved,
            Err(failure) => {
                warn!(
                    error = %failure,
                    "the snapshot was given up; its file was removed and the log keeps everything; \
                     the next one is tried when it is due"
                );
                false
            }
        };
        // Slices that still come are dropped with the queue.
        let told = core.blocking_send(Message::SnapshotEnded { saved });
        drop(told);
    };
    std::thread::Builder::new().name("snapshot".to_owned()).spawn(run)?;
    Ok(slices)
}

/// `Ok(false)`: the server stops in between.
fn write_snapshot(
    open: impl FnOnce() -> Result<SnapshotWriter, StoreError>,
    queue: &Receiver<Slice>,
    core: &mpsc::Sender<Message>,
) -> Result<bool, StoreError> {
    let mut writer = open()?;
    while let Ok((items, last)) = queue.recv() {
        for item in items {
            writer.write(&item)?;
        }
        if last {
            writer.finish()?;
            return Ok(true);
        }
        if core.blocking_send(Message::SliceTaken).is_err() {
            break;
        }
    }
    writer.abort();
    Ok(false)
}
