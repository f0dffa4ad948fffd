//! The reading side of a link: bytes become packets, and behind a SNAP the items of a snapshot.
//!
//! What it keeps true: what was read and not yet taken by the core is bounded: packets by the
//! queue to the core, a snapshot by the pace of the file that it is written to.

use super::{LinkEnd, QuorumMessage, SharedPlace};
use crate::run::Message;
use crate::warn_limited;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::{
    Direction, Packet, PacketReader, SnapshotStep, SnapshotStreamReader,
};
use bellwether_zab::LeaderLink;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

/// What one read takes at most, in bytes.
const READ_BYTES: usize = 64 << 10;

/// How many batches of a snapshot may wait for its file.
pub(crate) const SNAPSHOT_BATCHES_MAX: usize = 8;

/// How many items of a snapshot are handed over together: what the core may load in one step.
const SNAPSHOT_ITEMS_MAX: usize = 256;

/// Reads until the connection ends, and says that it has.
pub(super) async fn run(
    place: SharedPlace,
    (end, input): (LinkEnd, OwnedReadHalf),
    core: mpsc::Sender<Message>,
) {
    let mut receiver = Receiver {
        direction: match end {
            LinkEnd::Learner(_) => Direction::ToLeader,
            LinkEnd::Leader(_) => Direction::ToLearner,
        },
        packets: PacketReader::new(place.data_bytes_max),
        snapshots: Arc::new(Semaphore::new(SNAPSHOT_BATCHES_MAX)),
        buffer: vec![0; READ_BYTES],
        place,
        end,
        input,
        core,
    };
    // Whoever ends it has said why.
    let Ended = receiver.receive().await.unwrap_or_else(|ended| ended);
    drop(receiver.core.send(Message::Quorum(QuorumMessage::Ended(end))).await);
}

struct Receiver {
    place: SharedPlace,
    end: LinkEnd,
    direction: Direction,
    input: OwnedReadHalf,
    packets: PacketReader,
    /// Permits for batches of a snapshot.
    snapshots: Arc<Semaphore>,
    buffer: Vec<u8>,
    core: mpsc::Sender<Message>,
}

/// Nothing more can be read.
struct Ended;

impl Receiver {
    async fn receive(&mut self) -> Result<Ended, Ended> {
        loop {
            if let Some(link) = self.take_packets().await? {
                self.receive_snapshot(link).await?;
                continue; // Packets may have come behind it.
            }
            let bytes = self.read().await?;
            self.packets.push(self.buffer.get(..bytes).unwrap_or_default());
        }
    }

    async fn read(&mut self) -> Result<usize, Ended> {
        match self.input.read(&mut self.buffer).await {
            Ok(0) => {
                debug!(end = ?self.end, "the other side closed its connection");
                Err(Ended)
            }
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                debug!(end = ?self.end, %error, "a connection between members broke");
                Err(Ended)
            }
        }
    }

    /// Hands on the packets that are there. With a link where a snapshot follows.
    async fn take_packets(&mut self) -> Result<Option<LeaderLink>, Ended> {
        let mut packets = Vec::new();
        let mut snapshot = None;
        let mut failed = false;
        while snapshot.is_none() {
            match self.packets.next(self.direction) {
                Ok(Some(packet)) => {
                    if let (LinkEnd::Leader(link), Packet::Snap { .. }) = (self.end, &packet) {
                        snapshot = Some(link);
                    }
                    packets.push(packet);
                }
                Ok(None) => break,
                Err(error) => {
                    self.complain(&error.to_string());
                    failed = true;
                    break;
                }
            }
        }
        if !packets.is_empty() {
            self.tell(QuorumMessage::Packets { end: self.end, packets }).await?;
        }
        if failed { Err(Ended) } else { Ok(snapshot) }
    }

    async fn receive_snapshot(&mut self, link: LeaderLink) -> Result<(), Ended> {
        let mut stream = SnapshotStreamReader::new(self.place.data_bytes_max);
        stream.push(&self.packets.take_rest());
        let mut items = Vec::new();
        loop {
            match stream.step() {
                Ok(SnapshotStep::Item(item)) => {
                    items.push(item);
                    if items.len() >= SNAPSHOT_ITEMS_MAX {
                        self.hand_over(link, std::mem::take(&mut items), false).await?;
                    }
                }
                Ok(SnapshotStep::NeedsMore) => {
                    let bytes = self.read().await?;
                    stream.push(self.buffer.get(..bytes).unwrap_or_default());
                }
                Ok(SnapshotStep::Done { rest }) => {
                    self.packets.push(&rest);
                    return self.hand_over(link, items, true).await;
                }
                Err(error) => {
                    self.complain(&error.to_string());
                    return Err(Ended);
                }
            }
        }
    }

    async fn hand_over(
        &mut self,
        link: LeaderLink,
        items: Vec<SnapshotItem>,
        last: bool,
    ) -> Result<(), Ended> {
        let permit = self.snapshots.clone().acquire_owned().await;
        let permit = permit.expect("it is never closed");
        self.tell(QuorumMessage::Snapshot { link, items, last, permit }).await
    }

    async fn tell(&self, message: QuorumMessage) -> Result<(), Ended> {
        self.core.send(Message::Quorum(message)).await.map_err(|_stopped| Ended)
    }

    fn complain(&self, error: &str) {
        match self.end {
            LinkEnd::Learner(link) => warn_limited!(
                self.place.repeats,
                "learner's packet",
                learner = link.0,
                error,
                "a connection to the quorum port was closed: what came is not from a learner. If \
                 nobody scans ports there, look at the version of that member"
            ),
            LinkEnd::Leader(_) => warn_limited!(
                self.place.repeats,
                "leader's packet",
                error,
                "the connection to the leader was closed: what came cannot be read; look at the \
                 leader's version and at jute.maxbuffer of both"
            ),
        }
    }
}
