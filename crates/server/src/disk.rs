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
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{error, warn};

/// How long the log is quiet before what can wait is done.
const IDLE: Duration = Duration::from_millis(200);

/// What the core asks of the log.
pub(crate) enum LogTask {
    /// Append these, in order.
    Append(Vec<(LogToken, Arc<TxnRecord>)>),
    /// Begin a new file with the next record.
    Roll,
}

/// The way to the log's thread. Dropping `tasks` ends it after what is queued.
pub(crate) struct Log {
    tasks: Option<Sender<LogTask>>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

/// A batch that is on stable storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synced {
    pub(crate) token: LogToken,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) elapsed: Duration,
}

impl Log {
    /// Starts the thread.
    pub(crate) fn start(store: Store, core: mpsc::Sender<Message>) -> std::io::Result<Log> {
        // Bounded by the requests in flight, which the core bounds by globalOutstandingLimit.
        let (tasks, queue) = channel();
        let run = move || run_log(store, &queue, &core);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(Log { tasks: Some(tasks), thread: Some(thread) })
    }

    /// A log whose tasks another takes.
    pub(crate) fn to(tasks: Sender<LogTask>) -> Log {
        Log { tasks: Some(tasks), thread: None }
    }

    pub(crate) fn send(&self, task: LogTask) {
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
    queue: &Receiver<LogTask>,
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
        match write_batch(&mut store, first, queue) {
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
    queue: &Receiver<LogTask>,
) -> Result<Option<Synced>, StoreError> {
    let mut last = None;
    let mut next = Some(first);
    while let Some(task) = next {
        match task {
            LogTask::Append(records) => {
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
    let report = store.sync()?;
    Ok(Some(Synced {
        token,
        bytes: report.bytes,
        records: report.records,
        elapsed: report.elapsed,
    }))
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
