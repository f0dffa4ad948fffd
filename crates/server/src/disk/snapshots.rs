//! The threads that write snapshots: one at a time, its own tree's or a leader's.
//!
//! What it keeps true: a thread begins when the one before has ended, and reports its one end; it
//! asks for each slice, so that it sets the pace; a snapshot that is given up leaves no file.

use crate::run::Message;
use bellwether_store::{ReceivedSnapshot, SealedSnapshot, SnapshotWriter, StoreError};
use bellwether_wire::disk::SnapshotItem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use tracing::warn;

/// A slice of a snapshot, on its way to the file.
pub(crate) type Slice = (Vec<SnapshotItem>, bool);

/// Opens the file of a snapshot, on the snapshot's own thread.
pub(crate) enum Opener {
    /// Of this server's own tree.
    Own(Box<dyn FnOnce() -> Result<SnapshotWriter, StoreError> + Send>),
    /// Of a leader's.
    Received(Box<dyn FnOnce() -> Result<ReceivedSnapshot, StoreError> + Send>),
}

/// A snapshot that is being written.
pub(crate) struct Writing {
    /// Which one it is; what it reports names it.
    pub(crate) number: u64,
    /// Whether it is a leader's, whose slices come by themselves.
    pub(crate) is_received: bool,
    slices: SyncSender<Slice>,
    thread: JoinHandle<()>,
}

impl Writing {
    /// Starts a thread that waits for `before` to end, if there is one, and then writes. `room` is
    /// how many slices may wait.
    pub(crate) fn start(
        (number, opener): (u64, Opener),
        room: usize,
        before: Option<JoinHandle<()>>,
        core: mpsc::Sender<Message>,
    ) -> std::io::Result<Writing> {
        let (slices, queue) = sync_channel(room);
        let is_received = matches!(opener, Opener::Received(_));
        let run = move || {
            if let Some(before) = before {
                drop(before.join()); // Whether it panicked is not what matters here.
            }
            let file = File { number, queue, core };
            let saved = match file.write(opener) {
                Ok(saved) => saved,
                Err(failure) => {
                    warn!(
                        error = %failure,
                        "the snapshot was given up; its file was removed and the log keeps \
                         everything; the next one is tried when it is due"
                    );
                    false
                }
            };
            let File { number, queue, core } = file;
            // Slices that still come are dropped with the queue.
            drop(queue);
            drop(core.blocking_send(Message::SnapshotEnded { number, saved }));
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(run)?;
        Ok(Writing { number, is_received, slices, thread })
    }

    /// Hands over a slice that was asked for. A thread that has failed has said so.
    pub(crate) fn hand_over(&self, slice: Slice) {
        drop(self.slices.try_send(slice));
    }

    /// Gives up what is not complete. The thread reports its end.
    pub(crate) fn abandon(self) -> JoinHandle<()> {
        self.thread
    }
}

/// The thread's side.
struct File {
    number: u64,
    queue: Receiver<Slice>,
    core: mpsc::Sender<Message>,
}

impl File {
    /// `Ok(false)`: it was given up, or the server stops.
    fn write(&self, opener: Opener) -> Result<bool, StoreError> {
        match opener {
            Opener::Own(open) => {
                let mut writer = open()?;
                if !self.write_slices(|item| writer.write(item))? {
                    writer.abort();
                    return Ok(false);
                }
                writer.finish().map(|_saved| true)
            }
            Opener::Received(open) => {
                let mut writer = open()?;
                if !self.write_slices(|item| writer.write(item))? {
                    writer.abort();
                    return Ok(false);
                }
                let sealed: Box<SealedSnapshot> = Box::new(writer.seal()?);
                let number = self.number;
                Ok(self.core.blocking_send(Message::SnapshotSealed { number, sealed }).is_ok())
            }
        }
    }

    /// Whether the last one came.
    fn write_slices(
        &self,
        mut write: impl FnMut(&SnapshotItem) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        while let Ok((items, last)) = self.queue.recv() {
            for item in items {
                write(&item)?;
            }
            if last {
                return Ok(true);
            }
            let taken = Message::SliceTaken { number: self.number };
            if self.core.blocking_send(taken).is_err() {
                break;
            }
        }
        Ok(false)
    }
}
