//! The snapshot that is being written: of this server's tree, or a leader's.
//!
//! What it keeps true: there is one at a time; what a given-up one still reports is for no other;
//! each reports one end, in the order in which they began.

use super::{Core, Message};
use crate::disk::LogTask;
use crate::disk::snapshots::{Opener, Writing};
use crate::quorum::receiver::SNAPSHOT_BATCHES_MAX;
use bellwether_node::Event;
use bellwether_store::SealedSnapshot;
use bellwether_wire::Zxid;
use tracing::error;

impl Core {
    pub(super) fn start_snapshot(&mut self, zxid: Zxid) {
        self.send_log_batch();
        self.log.send(LogTask::Roll);
        self.figures.snapshot_started();
        if self.truncating {
            self.snapshot_number += 1;
            return self.no_snapshot();
        }
        self.write_snapshot(self.snapshots.own(zxid), 1);
    }

    pub(super) fn receive_snapshot(&mut self, zxid: Zxid) {
        self.figures.snapshot_started();
        // What came by a link that is gone was never written.
        self.forget_received();
        // Each batch that comes has a permit.
        self.write_snapshot(self.snapshots.received(zxid), SNAPSHOT_BATCHES_MAX);
    }

    fn write_snapshot(&mut self, opener: Opener, room: usize) {
        self.snapshot_number += 1;
        let (snapshot, before) = ((self.snapshot_number, opener), self.abandoned.take());
        match Writing::start(snapshot, room, before, self.sender.clone()) {
            Ok(writing) => self.snapshot = Some(writing),
            Err(error) => {
                error!(%error, "no thread for the snapshot; it is tried again when the next is due");
                self.no_snapshot();
            }
        }
    }

    /// Reports the end of one that did not begin.
    fn no_snapshot(&mut self) {
        let (core, number) = (self.sender.clone(), self.snapshot_number);
        tokio::spawn(async move {
            drop(core.send(Message::SnapshotEnded { number, saved: false }).await);
        });
    }

    /// Gives up what is being written. Its thread still reports its end.
    pub(super) fn abandon_snapshot(&mut self) {
        if let Some(writing) = self.snapshot.take() {
            self.abandoned = Some(writing.abandon());
        }
        self.forget_received();
        self.drop_sealed();
    }

    /// The thread of a snapshot has taken a slice.
    pub(super) fn slice_of_file_taken(&mut self, number: u64) {
        let Some(writing) = &self.snapshot else { return };
        match (writing.number == number, writing.is_received) {
            (true, true) => self.received_slice_taken(),
            (true, false) => self.step(Event::SnapshotSliceTaken),
            (false, true | false) => {} // Of one that was given up.
        }
    }

    pub(super) fn snapshot_sealed(&mut self, number: u64, sealed: Box<SealedSnapshot>) {
        self.drop_sealed();
        self.sealed = Some(sealed);
        if self.snapshot.as_ref().is_none_or(|writing| writing.number != number) {
            self.drop_sealed(); // It was given up when it was just complete.
        }
    }

    pub(super) fn snapshot_ended(&mut self, number: u64, saved: bool) {
        if self.snapshot.as_ref().is_some_and(|writing| writing.number == number) {
            self.snapshot = None;
        }
        self.figures.snapshot_ended(saved);
        self.step(Event::SnapshotEnded { saved });
    }

    pub(super) fn adopt_snapshot(&mut self, zxid: Zxid) {
        let sealed = self.sealed.take().expect("a snapshot is sealed before it ends");
        assert_eq!(sealed.zxid(), zxid, "it is the one that came");
        self.send_log_batch();
        self.log.send(LogTask::Adopt(sealed));
    }

    /// Its file is removed, which may take a while.
    fn drop_sealed(&mut self) {
        if let Some(sealed) = self.sealed.take() {
            tokio::task::spawn_blocking(move || drop(sealed));
        }
    }

    pub(super) fn truncate(&mut self, to: Zxid) {
        self.send_log_batch();
        self.truncating = true;
        let writer = self.snapshot.take().map(Writing::abandon).or_else(|| self.abandoned.take());
        self.log.send(LogTask::Truncate { to, writer });
    }

    pub(super) fn save_accepted_epoch(&mut self, epoch: u32) {
        self.send_log_batch();
        self.log.send(LogTask::SaveAcceptedEpoch(epoch));
    }

    pub(super) fn save_current_epoch(&mut self, epoch: u32) {
        self.send_log_batch();
        self.log.send(LogTask::SaveCurrentEpoch(epoch));
    }
}
