//! Synchronisation: every learner's history is made this leader's, until a quorum has it.
//!
//! What it keeps true:
//! - NEWLEADER follows everything that makes the histories equal, on the same link; what is
//!   proposed and committed later follows it in order.
//! - A committed record is sent as PROPOSAL and COMMIT, to observers too, as Apache does; one that
//!   is not, as PROPOSAL and to participants only. A new leader counts everything that it has as
//!   committed, since it is once a quorum has acknowledged NEWLEADER.
//! - This peer's own acknowledgement waits until its log and `currentEpoch` are on disk.
//!
//! Learners that come later go through the same, beside the broadcast.

use super::canary;
use super::learners::{Held, Learner, Learners, LogFeed, Progress, Stage, SyncKind};
use super::selection::{Log, Own, Selection};
use super::{Leader, Phase};
use crate::effect::{Effect, LearnerLink, News, Out};
use crate::peer::Core;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, Packet};
use std::sync::Arc;
use tracing::{info, warn};

/// How often the log is read again for a learner because memory has moved on meanwhile. Each time
/// there is less to read, unless more is written than the learner takes.
const LOG_ROUNDS_MAX: u32 = 8;

/// What a leader tells every learner from the agreement on.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The epoch that it leads.
    pub(super) epoch: u32,
    /// The epoch that its history comes from.
    pub(super) former_epoch: u32,
    /// The ensemble.
    pub(super) config: Box<str>,
}

/// A quorum is awaited that has this peer's history, on disk.
#[derive(Debug)]
pub(super) struct Synchronisation {
    pub(super) since_ms: u64,
    pub(super) terms: Terms,
}

impl Synchronisation {
    pub(super) fn begin(terms: Terms, now_ms: u64) -> Synchronisation {
        Synchronisation { since_ms: now_ms, terms }
    }

    /// Whether a quorum has everything, this peer included. Who has left may have another leader by
    /// now, and does not count.
    pub(super) fn is_complete(&self, core: &Core, learners: &Learners) -> bool {
        let own_is_durable = core.current_epoch == self.terms.epoch
            && core.history.durable() == core.history.received();
        let my_id = core.settings.my_id;
        let has_acked = |id| learners.by_id(id).is_some_and(|learner| learner.has_acked(core));
        own_is_durable && core.quorum.holds(|id| id == my_id || has_acked(id))
    }
}

impl Leader {
    /// Begins to send a learner what its history, which ends with `last`, lacks.
    pub(super) fn synchronise(
        &mut self,
        core: &Core,
        now_ms: u64,
        (link, last): (LearnerLink, Zxid),
        out: &mut Out,
    ) {
        let own = self.own(core);
        let selection = if canary::truncates_across_epochs(core) {
            own.select_across_epochs(last)
        } else {
            own.select(last)
        };
        let committed = own.committed;
        let learner = self.known(link);
        learner.heard_ms = now_ms;
        info!(server = %learner.id, %last, %committed, ?selection, "a learner is synchronised");
        let kind = match selection {
            Selection::Diff | Selection::Trunc(_) | Selection::Log { .. } => SyncKind::Records,
            Selection::Snap => SyncKind::Snapshot,
        };
        if self.refuses(core, link, kind) {
            return self.learners.close(link, out);
        }
        match selection {
            Selection::Diff => {
                out.effects.push(to(link, Packet::Diff { zxid: committed.max(last) }));
                self.finish_records(core, now_ms, (link, last), out);
            }
            Selection::Trunc(zxid) => {
                out.effects.push(to(link, Packet::Trunc { zxid }));
                self.finish_records(core, now_ms, (link, zxid), out);
            }
            Selection::Log { up_to } => {
                out.effects.push(Effect::ReadLog { link, after: last, up_to });
                let progress = Progress::Nothing;
                self.known(link).stage =
                    Stage::ReadingLog(LogFeed { sent: last, up_to, progress, rounds: 1 });
            }
            Selection::Snap => self.send_snapshot(core, link, out),
        }
    }

    /// What this leader has to offer.
    fn own(&self, core: &Core) -> Own {
        let terms = self.terms().expect("learners are synchronised once the epoch is agreed");
        let committed = self.settled(core);
        let zxids = core.history.records().map(|record| record.header.zxid);
        Own {
            memory: zxids.take_while(|zxid| *zxid <= committed).collect(),
            committed,
            durable: core.history.durable(),
            epoch: terms.epoch,
            former_epoch: terms.former_epoch,
            log: self.log,
        }
    }

    /// Up to where learners are told that everything is committed.
    fn settled(&self, core: &Core) -> Zxid {
        match &self.phase {
            Phase::Discovery(_)
            | Phase::Promising(_)
            | Phase::Agreement(_)
            | Phase::Synchronisation(_) => core.history.received(),
            Phase::Broadcast(_) => core.history.committed(),
        }
    }

    /// Whether an observer comes when too many are being synchronised. Participants are counted and
    /// never refused.
    fn refuses(&mut self, core: &Core, link: LearnerLink, kind: SyncKind) -> bool {
        let (limit, setting) = match kind {
            SyncKind::Records => {
                (core.settings.diff_syncs_max, "zookeeper.leader.maxConcurrentDiffSyncs")
            }
            SyncKind::Snapshot => {
                (core.settings.snapshot_syncs_max, "zookeeper.leader.maxConcurrentSnapSyncs")
            }
        };
        let under_way = self.learners.syncs(kind);
        let learner = self.known(link);
        let refused = learner.learner_type == LearnerType::Observer && under_way >= limit;
        if refused {
            warn!(
                server = %learner.id, under_way, setting,
                "an observer is sent away, because as many learners as may are being synchronised; \
                 it comes again"
            );
        }
        refused
    }

    /// The next records of the log came.
    pub(super) fn log_read(
        &mut self,
        core: &Core,
        now_ms: u64,
        (link, records, last): (LearnerLink, Vec<Arc<TxnRecord>>, bool),
        out: &mut Out,
    ) {
        let settled = self.settled(core);
        let Some(learner) = self.learners.get_mut(link) else { return };
        learner.heard_ms = now_ms;
        let Stage::ReadingLog(feed) = &mut learner.stage else {
            unreachable!("the log was not asked for")
        };
        if feed.progress == Progress::Nothing {
            feed.progress = Progress::Begun;
            out.effects.push(to(link, Packet::Diff { zxid: settled }));
        }
        for record in records {
            let zxid = record.header.zxid;
            assert!(feed.sent < zxid && zxid <= feed.up_to, "{zxid} of the log was not asked for");
            feed.sent = zxid;
            out.effects.push(to(link, Packet::Proposal { record }));
            out.effects.push(to(link, Packet::Commit { zxid }));
        }
        if !last {
            return;
        }
        // What was in memory when the log was asked for may have left it.
        let before_memory = core.history.recent_min().map_or(settled, |zxid| Zxid(zxid.0 - 1));
        if before_memory <= feed.up_to {
            let sent = feed.sent;
            return self.finish_records(core, now_ms, (link, sent), out);
        }
        feed.rounds += 1;
        feed.up_to = before_memory;
        if feed.rounds > LOG_ROUNDS_MAX || before_memory > core.history.durable() {
            warn!(
                server = %learner.id, rounds = feed.rounds,
                "a learner that is sent the log does not come closer to its end: its connection is \
                 closed and it comes again; a higher commitLogCount keeps more in memory for it"
            );
            return self.learners.close(link, out);
        }
        out.effects.push(Effect::ReadLog { link, after: feed.sent, up_to: feed.up_to });
    }

    /// The log has not what a learner lacks.
    pub(super) fn log_unreadable(&mut self, core: &Core, link: LearnerLink, out: &mut Out) {
        let Some(learner) = self.learners.get_mut(link) else { return };
        let Stage::ReadingLog(feed) = &learner.stage else {
            unreachable!("the log was not asked for")
        };
        if feed.progress == Progress::Begun {
            warn!(
                server = %learner.id, sent = %feed.sent,
                "the log ended before a learner was sent all of it: its connection is closed, and \
                 learners that are far behind receive snapshots from here on"
            );
            self.log = Log::Unused;
            self.learners.close(link, out);
        } else if self.refuses(core, link, SyncKind::Snapshot) {
            self.learners.close(link, out);
        } else {
            self.send_snapshot(core, link, out);
        }
    }

    /// Asks for a snapshot, and holds what is not in it.
    fn send_snapshot(&mut self, core: &Core, link: LearnerLink, out: &mut Out) {
        let settled = self.settled(core);
        let learner = self.known(link);
        learner.stage = Stage::ReceivingSnapshot(Held::default());
        out.news.push(News::SendSnapshot(link));
        learner.send_rest(core, (core.history.delivered(), settled), out);
        if learner.is_overfull(core) {
            self.learners.close(link, out);
        }
    }

    /// The snapshot is on its way as a whole: what was held follows.
    pub(super) fn snapshot_sent(&mut self, now_ms: u64, link: LearnerLink, out: &mut Out) {
        let Some(learner) = self.learners.get_mut(link) else { return };
        let Stage::ReceivingSnapshot(held) = &mut learner.stage else {
            unreachable!("no snapshot was asked for")
        };
        let Held { packets, snapshot, .. } = std::mem::take(held);
        let missing = |packet: &Packet| zxid_of(packet).is_none_or(|zxid| zxid > snapshot);
        out.effects.extend(packets.into_iter().filter(missing).map(|packet| to(link, packet)));
        self.new_leader(now_ms, (link, SyncKind::Snapshot), out);
    }

    /// Sends everything in memory behind `after`, and NEWLEADER.
    fn finish_records(
        &mut self,
        core: &Core,
        now_ms: u64,
        (link, after): (LearnerLink, Zxid),
        out: &mut Out,
    ) {
        let settled = self.settled(core);
        let learner = self.known(link);
        // From here on it is forwarded to.
        learner.stage = Stage::AwaitingAck { kind: SyncKind::Records };
        learner.send_rest(core, (after, settled), out);
        self.new_leader(now_ms, (link, SyncKind::Records), out);
    }

    fn new_leader(&mut self, now_ms: u64, (link, kind): (LearnerLink, SyncKind), out: &mut Out) {
        let terms = self.terms().expect("learners are synchronised once the epoch is agreed");
        let zxid = Zxid::first_of(terms.epoch);
        let config = Some(terms.config.clone());
        out.effects.push(to(link, Packet::NewLeader { zxid, config }));
        let learner = self.known(link);
        learner.stage = Stage::AwaitingAck { kind };
        learner.heard_ms = now_ms;
    }

    /// A learner that is there: it was looked up in this step.
    fn known(&mut self, link: LearnerLink) -> &mut Learner {
        self.learners.get_mut(link).expect("it was found in this step")
    }
}

impl Learner {
    /// The node says with [`Packet::Snap`] up to where its snapshot goes. What it has need not
    /// follow it.
    pub(super) fn snapshot_begins(&mut self, zxid: Zxid) {
        if let Stage::ReceivingSnapshot(held) = &mut self.stage {
            held.snapshot = zxid;
        }
    }

    /// Sends, or holds, what is in memory behind `after`; up to `settled` it is committed.
    fn send_rest(&mut self, core: &Core, (after, settled): (Zxid, Zxid), out: &mut Out) {
        let records = core.history.records();
        for record in records.skip_while(|record| record.header.zxid <= after) {
            let zxid = record.header.zxid;
            let is_settled = zxid <= settled;
            if !is_settled && self.learner_type == LearnerType::Observer {
                break; // It is informed once they are committed.
            }
            self.send(Packet::Proposal { record: record.clone() }, out);
            if is_settled {
                self.send(Packet::Commit { zxid }, out);
            }
        }
    }
}

/// Of which transaction a packet that was held speaks.
fn zxid_of(packet: &Packet) -> Option<Zxid> {
    if let Packet::Commit { zxid } = packet {
        return Some(*zxid);
    }
    packet.record().map(|record| record.header.zxid)
}

fn to(link: LearnerLink, packet: Packet) -> Effect {
    Effect::ToLearner(link, packet)
}
