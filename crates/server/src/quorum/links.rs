//! A link between a leader and a learner: what is to be sent gathers here and goes out in bursts.
//!
//! What it keeps true: one write per round of the core, as far as the socket takes it; bytes are
//! sent in the order in which they were put; what is unsent is counted, so that the core can set a
//! pace and end a link that takes nothing.

use super::{LinkEnd, QuorumMessage, SharedPlace, receiver};
use crate::run::Message;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::{Packet, SnapshotStreamWriter};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tracing::debug;

/// Below this many unsent bytes a link may be given the next slice of a snapshot, or of the log.
pub(crate) const UNSENT_BYTES_LOW: usize = 256 << 10;

/// How long a link that is closing may leave untaken what was sent before.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// For how many bytes there is room from the beginning, at most.
const CHUNK_BYTES: usize = 64 << 10;

/// How many chunks go out with one write.
const CHUNKS_PER_WRITE: usize = 64;

/// What is between the core and the socket.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    bytes: AtomicUsize,
    /// Whether the core waits for little to be left.
    awaited: AtomicBool,
    /// Told whenever little is left.
    low: Notify,
}

impl Unsent {
    fn is_low(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < UNSENT_BYTES_LOW
    }

    /// Waits until little is unsent.
    pub(crate) async fn wait_until_low(&self) {
        loop {
            let mut told = std::pin::pin!(self.low.notified());
            // From here on nothing is missed.
            told.as_mut().enable();
            if self.is_low() {
                return;
            }
            told.await;
        }
    }
}

/// A link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Gathered in this round.
    gathered: Vec<u8>,
    /// Bounded by what the core ends a link at.
    chunks: mpsc::UnboundedSender<Vec<u8>>,
    unsent: Arc<Unsent>,
    /// The snapshot that is being sent.
    snapshot: Option<SnapshotStreamWriter>,
    reading: AbortHandle,
    writing: AbortHandle,
    /// Whether what was put is still to be sent after it was dropped.
    finishes: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reading.abort();
        if !self.finishes {
            self.writing.abort();
        }
    }
}

impl Link {
    /// Begins to read and to write.
    pub(crate) fn open(
        place: SharedPlace,
        end: LinkEnd,
        stream: TcpStream,
        core: mpsc::Sender<Message>,
    ) -> Link {
        let (input, output) = stream.into_split();
        let (chunks, queue) = mpsc::unbounded_channel();
        let unsent = Arc::new(Unsent::default());
        let writing = tokio::spawn(write((end, output), queue, unsent.clone(), core.clone()));
        let reading = tokio::spawn(receiver::run(place, (end, input), core));
        Link {
            gathered: Vec::new(),
            chunks,
            unsent,
            snapshot: None,
            reading: reading.abort_handle(),
            writing: writing.abort_handle(),
            finishes: false,
        }
    }

    /// Adds a packet; whether it is the first of this round.
    pub(crate) fn put(&mut self, packet: &Packet) -> bool {
        let is_first = self.gathered.is_empty();
        packet.encode(&mut self.gathered);
        is_first
    }

    /// Adds a slice of a snapshot; `last` ends it. Whether it is the first of this round.
    pub(crate) fn put_slice(&mut self, items: &[SnapshotItem], last: bool) -> bool {
        let is_first = self.gathered.is_empty();
        let mut writer = self.snapshot.take().unwrap_or_default();
        for item in items {
            writer.write(item, &mut self.gathered);
        }
        if last {
            writer.finish(&mut self.gathered);
        } else {
            self.snapshot = Some(writer);
        }
        is_first
    }

    /// Sends what has gathered.
    pub(crate) fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let room = self.gathered.len();
        // The next one is likely to be about as long.
        let next = Vec::with_capacity(room.min(CHUNK_BYTES));
        let chunk = std::mem::replace(&mut self.gathered, next);
        self.unsent.bytes.fetch_add(room, Ordering::Relaxed);
        // A writer that has ended has failed, and the reader finds out.
        drop(self.chunks.send(chunk));
    }

    /// What is unsent, for whoever waits for it.
    pub(crate) fn pace(&self) -> Arc<Unsent> {
        self.unsent.clone()
    }

    /// How many bytes the socket has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.gathered.len() + self.unsent.bytes.load(Ordering::Relaxed)
    }

    /// Asks for [`QuorumMessage::Drained`] once little is unsent; `false` if that is so already.
    pub(crate) fn await_drained(&mut self) -> bool {
        if self.unsent() < UNSENT_BYTES_LOW {
            return false;
        }
        self.unsent.awaited.store(true, Ordering::Relaxed);
        true
    }

    /// Sends what was put, then closes.
    pub(crate) fn finish(mut self) {
        self.flush();
        self.finishes = true;
        let writing = self.writing.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CLOSING_PATIENCE).await;
            writing.abort();
        });
    }
}

/// Writes what comes, until nothing can come any more.
async fn write(
    (end, mut output): (LinkEnd, OwnedWriteHalf),
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    unsent: Arc<Unsent>,
    core: mpsc::Sender<Message>,
) {
    let mut batch = Vec::new();
    loop {
        let count = queue.recv_many(&mut batch, CHUNKS_PER_WRITE).await;
        if count == 0 {
            return;
        }
        let mut chunks: VecDeque<Vec<u8>> = batch.drain(..).collect();
        if let Err(error) = write_all(&mut output, &mut chunks, &unsent).await {
            debug!(?end, %error, "a connection between members broke");
            // The reader may not find out.
            drop(core.send(Message::Quorum(QuorumMessage::Ended(end))).await);
            return;
        }
        if !unsent.is_low() {
            continue;
        }
        unsent.low.notify_waiters();
        if unsent.awaited.swap(false, Ordering::Relaxed) {
            drop(core.send(Message::Quorum(QuorumMessage::Drained(end))).await);
        }
    }
}

async fn write_all(
    output: &mut OwnedWriteHalf,
    chunks: &mut VecDeque<Vec<u8>>,
    unsent: &Unsent,
) -> io::Result<()> {
    let mut begun = 0; // Of the first chunk.
    while !chunks.is_empty() {
        output.writable().await?;
        let mut slices = Vec::with_capacity(chunks.len());
        for (index, chunk) in chunks.iter().enumerate() {
            let from = if index == 0 { begun } else { 0 };
            slices.push(IoSlice::new(chunk.get(from..).unwrap_or_default()));
        }
        let mut written = match output.try_write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        unsent.bytes.fetch_sub(written, Ordering::Relaxed);
        while let Some(first) = chunks.front() {
            let left = first.len() - begun;
            if written < left {
                begun += written;
                break;
            }
            written -= left;
            begun = 0;
            chunks.pop_front();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
