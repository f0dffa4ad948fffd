//! Reading the log for a learner, at the pace of its link.
//!
//! What it keeps true: one batch at a time is on its way to the core, and the next is read when
//! little is unsent; the disk is read on threads that may block. Whatever is not whole is reported
//! as unreadable: the learner gets a snapshot.

use super::links::Unsent;
use crate::run::Message;
use bellwether_store::{
    Disk, LogRange, RangeError, RangeStart, StoreOptions, newest_snapshot_bytes,
};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_zab::{Input, LearnerLink};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, spawn_blocking};
use tracing::{info, warn};

/// What is read at a time, in bytes.
const BATCH_BYTES: u64 = 256 << 10;

/// The logs of a data directory.
#[derive(Clone)]
pub(crate) struct LogReader {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: StoreOptions,
    /// `snapshotSizeFactor`: more than this share of the newest snapshot is not read.
    pub(crate) share: f64,
}

/// Records for a learner.
#[derive(Debug)]
pub(crate) struct LogRead {
    pub(crate) link: LearnerLink,
    pub(crate) records: Vec<Arc<TxnRecord>>,
    pub(crate) last: bool,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A reading that is under way; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Reading(AbortHandle);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to read from behind `after` up to and including `up_to`.
pub(crate) fn start(
    logs: LogReader,
    (link, unsent): (LearnerLink, Arc<Unsent>),
    (after, up_to): (Zxid, Zxid),
    core: mpsc::Sender<Message>,
) -> Reading {
    let task = async move {
        let opened = spawn_blocking(move || logs.open(after, up_to)).await;
        let range = match opened {
            Ok(Some(range)) => range,
            Ok(None) | Err(_) => return unreadable(link, &core).await,
        };
        if send(range, (link, unsent), &core).await.is_none() {
            unreadable(link, &core).await;
        }
    };
    Reading(tokio::spawn(task).abort_handle())
}

async fn unreadable(link: LearnerLink, core: &mpsc::Sender<Message>) {
    drop(core.send(Message::Peer(Input::LogUnreadable { link })).await);
}

impl LogReader {
    /// The stretch, if it is all there and short enough.
    fn open(&self, after: Zxid, up_to: Zxid) -> Option<LogRange> {
        let bytes_max = match newest_snapshot_bytes(self.disk.as_ref(), &self.options) {
            Ok(snapshot) => share_of(snapshot.unwrap_or(0), self.share),
            Err(error) => {
                warn!(%error, "the newest snapshot cannot be looked at; a learner gets a snapshot");
                return None;
            }
        };
        let range =
            LogRange::open(self.disk.clone(), &self.options, (after, up_to), Some(bytes_max));
        match range {
            Ok(range) => match range.start() {
                RangeStart::Present | RangeStart::Boundary => Some(range),
                RangeStart::Absent { before, .. } => {
                    info!(%after, %before, "a learner's history is another; it gets a snapshot");
                    None
                }
            },
            Err(error) => {
                complain(&error);
                None
            }
        }
    }
}

/// As Apache: the share of the snapshot's size, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a size needs no exact number, and a negative one is none"
)]
fn share_of(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

fn complain(error: &RangeError) {
    match error {
        RangeError::Gap { .. } | RangeError::TooLong { .. } | RangeError::Gone { .. } => {
            info!(reason = %error, "the log does not serve a learner, which gets a snapshot");
        }
        RangeError::Changed { .. } | RangeError::Store(_) => {
            warn!(%error, "the log cannot be read for a learner, which gets a snapshot");
        }
    }
}

/// Hands on everything; `None` where it cannot be read to its end.
async fn send(
    mut range: LogRange,
    (link, unsent): (LearnerLink, Arc<Unsent>),
    core: &mpsc::Sender<Message>,
) -> Option<()> {
    let one_at_a_time = Arc::new(Semaphore::new(1));
    loop {
        let permit = one_at_a_time.clone().acquire_owned().await.expect("it is never closed");
        unsent.wait_until_low().await;
        let step = move || {
            let batch = range.next_batch(BATCH_BYTES);
            (range, batch)
        };
        let (read, batch) = spawn_blocking(step).await.ok()?;
        range = read;
        let records = match batch {
            Ok(records) => records.into_iter().map(Arc::new).collect::<Vec<_>>(),
            Err(error) => {
                complain(&error);
                return None;
            }
        };
        let last = records.last().is_none_or(|record| record.header.zxid >= range.end());
        let read = LogRead { link, records, last, permit };
        core.send(Message::LogRead(read)).await.ok()?;
        if last {
            return Some(());
        }
    }
}
