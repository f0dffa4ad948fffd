//! The threads that own the disk: one writes the log, one writes a snapshot while there is one.
//!
//! The log's thread takes what has piled up while it was busy as one batch: one write, one sync,
//! one report. It reports a token only after the sync returned, and nothing any more once a write
//! or sync failed. What changes the history, and the epochs, it does in the order in which it was
//! asked, between batches.

pub(crate) mod snapshots;

use crate::run::Message;
use bellwether_node::LogToken;
use bellwether_store::{Recovery, SealedSnapshot, Store, StoreError, Truncation};
use bellwether_tree::{LoadError, Tree};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_zab::Input;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{error, info};

/// How long the log is quiet before what can wait is done.
const IDLE: Duration = Duration::from_millis(200);

/// What the core asks of the log.
pub(crate) enum LogTask {
    /// Append these, in order; they were handed over at this moment.
    Append(Vec<(LogToken, Arc<TxnRecord>)>, Instant),
    /// Begin a new file with the next record.
    Roll,
    /// Make `acceptedEpoch` durable.
    SaveAcceptedEpoch(u32),
    /// Make `currentEpoch` durable.
    SaveCurrentEpoch(u32),
    /// End the history with this transaction, and load what is left. The thread that writes a
    /// snapshot has been told to give up, and is waited for: what it writes may show what is cut.
    Truncate { to: Zxid, writer: Option<JoinHandle<()>> },
    /// Put a leader's snapshot in the place of the history.
    Adopt(Box<SealedSnapshot>),
}

/// Why the log's thread ended.
#[derive(Debug)]
pub(crate) enum LogFailure {
    Store(StoreError),
    /// What was left of the history cannot be loaded.
    Load(LoadError),
}

impl From<StoreError> for LogFailure {
    fn from(error: StoreError) -> LogFailure {
        LogFailure::Store(error)
    }
}

impl fmt::Display for LogFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogFailure::Store(error) => error.fmt(f),
            LogFailure::Load(error) => write!(f, "the data directory's content: {error}"),
        }
    }
}

/// What was loaded from a data directory.
pub(crate) struct Loaded {
    pub(crate) store: Store,
    pub(crate) tree: Tree,
    pub(crate) recent: Vec<Arc<TxnRecord>>,
}

/// Loads what is left of a history that was cut.
pub(crate) type Reload = Box<dyn FnMut(Recovery) -> Result<Loaded, LogFailure> + Send>;

/// The way to the log's thread. Dropping `tasks` ends it after what is queued.
pub(crate) struct Log {
    tasks: Option<Sender<LogTask>>,
    /// Records that the thread has not taken.
    waiting: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), LogFailure>>>,
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
    pub(crate) fn start(
        store: Store,
        reload: Reload,
        core: mpsc::Sender<Message>,
    ) -> std::io::Result<Log> {
        // Bounded by what is in flight, whoever asked for it: globalOutstandingLimit, and one more
        // per connection.
        let (tasks, queue) = channel();
        let waiting = Arc::new(AtomicU64::new(0));
        let counted = waiting.clone();
        let run = move || run_log((store, reload), (&queue, &counted), &core);
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
            // Only records are counted.
            LogTask::Roll
            | LogTask::SaveAcceptedEpoch(_)
            | LogTask::SaveCurrentEpoch(_)
            | LogTask::Truncate { .. }
            | LogTask::Adopt(_) => {}
        }
        // A thread that has ended has reported why, and the core will hear of it.
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task));
        drop(sent);
    }

    /// Waits for what is queued, syncs and closes.
    pub(crate) fn stop(&mut self) -> Result<(), LogFailure> {
        self.tasks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_panicked)) => Err(StoreError::Poisoned.into()),
            None => Ok(()),
        }
    }
}

fn run_log(
    (mut store, mut reload): (Store, Reload),
    (queue, waiting): (&Receiver<LogTask>, &AtomicU64),
    core: &mpsc::Sender<Message>,
) -> Result<(), LogFailure> {
    let mut next = None;
    loop {
        let task = match next.take().map_or_else(|| queue.recv_timeout(IDLE), Ok) {
            Ok(task) => task,
            Err(RecvTimeoutError::Timeout) => {
                store.idle();
                match queue.recv() {
                    Ok(task) => task,
                    Err(_stopped) => return store.close().map(drop).map_err(LogFailure::Store),
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return store.close().map(drop).map_err(LogFailure::Store);
            }
        };
        let done = match task {
            LogTask::Append(..) | LogTask::Roll => {
                write_batch(&mut store, task, (queue, waiting)).map(|(synced, other)| {
                    next = other;
                    // Without records only a roll was asked for.
                    synced.map(Message::Synced)
                })
            }
            LogTask::SaveAcceptedEpoch(epoch) => store
                .save_accepted(epoch)
                .map(|()| Some(Message::Peer(Input::AcceptedEpochSaved(epoch)))),
            LogTask::SaveCurrentEpoch(epoch) => store
                .save_current(epoch)
                .map(|()| Some(Message::Peer(Input::CurrentEpochSaved(epoch)))),
            LogTask::Truncate { to, writer } => {
                let cut = truncate((store, &mut reload), (to, writer));
                let (left, message) = cut.map_err(|failure| give_up(failure, core))?;
                store = left;
                Ok(Some(message))
            }
            LogTask::Adopt(snapshot) => {
                store.restart_at(*snapshot).map(|_saved| Some(Message::SnapshotAdopted))
            }
        };
        let message = done.map_err(|failure| give_up(failure.into(), core))?;
        // A core that is gone has stopped already.
        drop(message.map(|message| core.blocking_send(message)));
    }
}

/// Says that the log failed.
fn give_up(failure: LogFailure, core: &mpsc::Sender<Message>) -> LogFailure {
    error!(error = %failure, "the log failed; nothing in flight is acknowledged");
    drop(core.blocking_send(Message::LogFailed));
    failure
}

/// Ends the history where the leader wants it to, and loads what is left.
fn truncate(
    (mut store, reload): (Store, &mut Reload),
    (to, writer): (Zxid, Option<JoinHandle<()>>),
) -> Result<(Store, Message), LogFailure> {
    if let Some(writer) = writer {
        drop(writer.join()); // Whether it panicked is not what matters here.
    }
    match store.truncate(to)? {
        Truncation::Absent => {
            info!(%to, "the history cannot be ended where the leader wants it to");
            Ok((store, Message::Peer(Input::TruncationImpossible)))
        }
        Truncation::Truncated => {
            let Loaded { store, tree, recent } = reload(store.into_recovery()?)?;
            let tree = Box::new(tree);
            Ok((store, Message::Truncated { tree, recent }))
        }
    }
}

/// Writes and syncs what waits, up to a task of another kind, which is returned.
fn write_batch(
    store: &mut Store,
    first: LogTask,
    (queue, waiting): (&Receiver<LogTask>, &AtomicU64),
) -> Result<(Option<Synced>, Option<LogTask>), StoreError> {
    let began = Instant::now();
    let mut times = BatchTimes { queue: waiting.load(Ordering::Relaxed), ..BatchTimes::default() };
    let mut handed_over = Vec::new();
    let mut last = None;
    let mut next = Some(first);
    let mut other = None;
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
            LogTask::SaveAcceptedEpoch(_)
            | LogTask::SaveCurrentEpoch(_)
            | LogTask::Truncate { .. }
            | LogTask::Adopt(_) => {
                other = Some(task);
                break;
            }
        }
        next = queue.try_recv().ok();
    }
    let Some(token) = last else { return Ok((None, other)) };
    let flushing = Instant::now();
    let report = store.sync()?;
    let ended = Instant::now();
    times.flush = ended.saturating_duration_since(flushing);
    times.process = ended.saturating_duration_since(began);
    let until_synced = |(records, since, waited): (u64, Instant, Duration)| {
        (records, waited, ended.saturating_duration_since(since))
    };
    times.records = handed_over.into_iter().map(until_synced).collect();
    let synced = Synced {
        token,
        bytes: report.bytes,
        records: report.records,
        elapsed: report.elapsed,
        times,
    };
    Ok((Some(synced), other))
}

fn len(records: &[(LogToken, Arc<TxnRecord>)]) -> u64 {
    u64::try_from(records.len()).unwrap_or(u64::MAX)
}
