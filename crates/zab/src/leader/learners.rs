//! The learners of a leader: who they are and how far each has come.
//!
//! What it keeps true: a server has one link at most, and what counts for a quorum is asked by
//! server, of participants only. A learner's stage says what it was sent last and what it may send
//! next; what was proposed and committed since reaches it in order, at once or held behind a
//! snapshot.

use crate::effect::{Effect, LearnerLink, News, Out};
use crate::peer::{Core, LearnerStatus};
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{LearnerType, Packet, ServerId};
use std::collections::BTreeMap;
use tracing::warn;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(super) struct Learners {
    /// Those who have not said who they are, and since when.
    newcomers: BTreeMap<LearnerLink, u64>,
    known: BTreeMap<LearnerLink, Learner>,
    /// The link of each server. Invariant: it names exactly the links in `known`.
    by_id: BTreeMap<ServerId, LearnerLink>,
}

/// A learner that has said who it is.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) link: LearnerLink,
    pub(super) id: ServerId,
    pub(super) learner_type: LearnerType,
    /// When it said who it is.
    pub(super) since_ms: u64,
    /// When it last gave a sign of life, or was asked for what it owes.
    pub(super) heard_ms: u64,
    pub(super) stage: Stage,
}

/// How far a learner has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has said who it is. The epoch is not decided.
    Introduced,
    /// It was sent LEADERINFO.
    Asked,
    /// It has promised the epoch, and its history ends here. Not enough others have.
    Promised { last: Zxid },
    /// It is sent committed records from the log.
    ReadingLog(LogFeed),
    /// It is sent a snapshot.
    ReceivingSnapshot(Held),
    /// It was sent everything and NEWLEADER behind it.
    AwaitingAck { kind: SyncKind },
    /// It has acknowledged NEWLEADER. Not enough others have.
    Acked,
    /// It was sent UPTODATE: it serves clients, and its acks count.
    Serving(Serving),
}

/// What a synchronisation consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncKind {
    /// Records, perhaps behind a truncation.
    Records,
    /// A snapshot.
    Snapshot,
}

/// How far the log was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFeed {
    /// The last record that the learner has, or was sent.
    pub(super) sent: Zxid,
    /// The log is read up to here.
    pub(super) up_to: Zxid,
    /// Whether DIFF was sent: from then on it cannot become a snapshot.
    pub(super) progress: Progress,
    /// How many times memory had moved on when the log was read.
    pub(super) rounds: u32,
}

/// Whether anything of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Nothing,
    Begun,
}

/// What waits for the end of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) packets: Vec<Packet>,
    pub(super) bytes: usize,
    /// The snapshot has everything up to here.
    pub(super) snapshot: Zxid,
}

/// What is known of a learner that serves clients.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// Everything up to here is on its disk, as far as proposals of this epoch are concerned.
    pub(super) acked: Zxid,
    /// A proposal that it has not acknowledged, and since when it was awaited.
    pub(super) awaited: Option<(Zxid, u64)>,
    /// The newest proposal that it was sent, and when.
    pub(super) newest: (Zxid, u64),
    pub(super) pings_sent: u64,
    /// Invariant: at most `pings_sent`, for answers come in the order of the pings.
    pub(super) pings_heard: u64,
    /// The answer that counts in the round of pings that is under way.
    pub(super) round_ping: u64,
}

impl Learners {
    /// Somebody connected.
    pub(super) fn connect(&mut self, link: LearnerLink, now_ms: u64) {
        self.newcomers.insert(link, now_ms);
    }

    /// Whether this link has yet to say who it is.
    pub(super) fn is_newcomer(&self, link: LearnerLink) -> bool {
        self.newcomers.contains_key(&link)
    }

    /// It has said who it is.
    pub(super) fn introduce(&mut self, learner: Learner) {
        self.newcomers.remove(&learner.link);
        let older = self.by_id.insert(learner.id, learner.link);
        assert_eq!(older, None, "the older link of server {} was closed", learner.id);
        self.known.insert(learner.link, learner);
    }

    pub(super) fn get_mut(&mut self, link: LearnerLink) -> Option<&mut Learner> {
        self.known.get_mut(&link)
    }

    pub(super) fn by_id(&self, id: ServerId) -> Option<&Learner> {
        self.by_id.get(&id).and_then(|link| self.known.get(link))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Learner> {
        self.known.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Learner> {
        self.known.values_mut()
    }

    /// Those who have promised the epoch, and where their histories end.
    pub(super) fn promised(&self) -> Vec<(LearnerLink, Zxid)> {
        let promised = |learner: &Learner| match &learner.stage {
            Stage::Promised { last } => Some((learner.link, *last)),
            Stage::Introduced
            | Stage::Asked
            | Stage::ReadingLog(_)
            | Stage::ReceivingSnapshot(_)
            | Stage::AwaitingAck { .. }
            | Stage::Acked
            | Stage::Serving(_) => None,
        };
        self.iter().filter_map(promised).collect()
    }

    /// Those of whom something holds.
    pub(super) fn links(&self, wanted: impl Fn(&Learner) -> bool) -> Vec<LearnerLink> {
        self.iter().filter(|learner| wanted(learner)).map(|learner| learner.link).collect()
    }

    /// Those who have been silent about who they are since before this.
    pub(super) fn newcomers(&self) -> impl Iterator<Item = (LearnerLink, u64)> + '_ {
        self.newcomers.iter().map(|(link, since_ms)| (*link, *since_ms))
    }

    /// How many are being synchronised in this way.
    pub(super) fn syncs(&self, kind: SyncKind) -> usize {
        self.iter().filter(|learner| learner.stage.sync() == Some(kind)).count()
    }

    /// Its connection is gone.
    pub(super) fn gone(&mut self, link: LearnerLink, out: &mut Out) {
        self.newcomers.remove(&link);
        if let Some(learner) = self.known.remove(&link) {
            self.by_id.remove(&learner.id);
            out.news.push(News::LearnerLeft(link));
        }
    }

    /// Closes its connection. Whoever decides it has logged why.
    pub(super) fn close(&mut self, link: LearnerLink, out: &mut Out) {
        self.gone(link, out);
        out.effects.push(Effect::CloseLearner(link));
    }

    /// Closes every connection.
    pub(super) fn close_all(&mut self, out: &mut Out) {
        let Learners { newcomers, known, by_id: _ } = std::mem::take(self);
        for link in newcomers.into_keys().chain(known.into_keys()) {
            out.effects.push(Effect::CloseLearner(link));
        }
    }

    /// Sends to each of them what `packet` gives for it, and drops those for whom too much is held.
    pub(super) fn send_to_all(
        &mut self,
        core: &Core,
        out: &mut Out,
        packet: impl Fn(&mut Learner) -> Option<Packet>,
    ) {
        let mut overfull = Vec::new();
        for learner in self.known.values_mut() {
            if let Some(packet) = packet(learner) {
                learner.send(packet, out);
                if learner.is_overfull(core) {
                    overfull.push(learner.link);
                }
            }
        }
        for link in overfull {
            self.close(link, out);
        }
    }

    /// What is known of them, for reading.
    pub(super) fn status(&self) -> Vec<LearnerStatus> {
        let newcomer = |link: &LearnerLink| LearnerStatus {
            link: *link,
            id: None,
            learner_type: LearnerType::Observer,
            synced: false,
            acked: Zxid::ZERO,
            held_bytes: 0,
        };
        let newcomers = self.newcomers.keys().map(newcomer);
        newcomers.chain(self.known.values().map(Learner::status)).collect()
    }
}

impl Learner {
    /// Whether it is counted in quorums.
    pub(super) fn votes(&self, core: &Core) -> bool {
        self.learner_type == LearnerType::Participant && core.quorum.is_voter(self.id)
    }

    /// Whether its vote counts, and it waits for the others to acknowledge this leader too.
    pub(super) fn has_acked(&self, core: &Core) -> bool {
        self.votes(core) && matches!(self.stage, Stage::Acked)
    }

    /// Whether it follows, as far as can be seen. Whoever serves clients and is silent was dropped;
    /// whoever is being synchronised has as long as both limits together.
    pub(super) fn follows(&self, core: &Core, now_ms: u64) -> bool {
        let settings = &core.settings;
        let limit_ms = (settings.init_limit + settings.sync_limit) * settings.tick_ms;
        let is_serving = self.stage.serving().is_some();
        self.votes(core) && (is_serving || !core.is_silent(now_ms, self.since_ms, limit_ms))
    }

    /// Whether it is sent what is proposed and committed. Before that, and while the log is read,
    /// everything is found in the history when its turn comes.
    pub(super) fn is_forwarded_to(&self) -> bool {
        match &self.stage {
            Stage::Introduced | Stage::Asked | Stage::Promised { .. } | Stage::ReadingLog(_) => {
                false
            }
            Stage::ReceivingSnapshot(_)
            | Stage::AwaitingAck { .. }
            | Stage::Acked
            | Stage::Serving(_) => true,
        }
    }

    /// Sends a packet, or holds it until the snapshot is through.
    pub(super) fn send(&mut self, packet: Packet, out: &mut Out) {
        if let Stage::ReceivingSnapshot(held) = &mut self.stage {
            held.bytes += size_of::<Packet>();
            held.bytes += packet.record().map_or(0, |record| record.encoded_bytes());
            held.packets.push(packet);
        } else {
            out.effects.push(Effect::ToLearner(self.link, packet));
        }
    }

    /// Whether more is held for it than may be.
    pub(super) fn is_overfull(&self, core: &Core) -> bool {
        let Stage::ReceivingSnapshot(held) = &self.stage else { return false };
        let is_overfull = held.bytes > core.settings.learner_queue_bytes_max;
        if is_overfull {
            warn!(
                server = %self.id, held_bytes = held.bytes,
                "more is written than can wait while a learner receives a snapshot: its \
                 connection is closed and it comes again; write less meanwhile, or let it start \
                 from a copy of another server's data"
            );
        }
        is_overfull
    }

    /// For how long it may owe an answer, milliseconds; `None` where it owes none.
    pub(super) fn owes_ms(&self, core: &Core) -> Option<u64> {
        let settings = &core.settings;
        match &self.stage {
            // Others are awaited, not this one. Whether a socket takes a snapshot is the shell's
            // to see.
            Stage::Introduced
            | Stage::Promised { .. }
            | Stage::ReceivingSnapshot(_)
            | Stage::Acked => None,
            Stage::Asked | Stage::ReadingLog(_) | Stage::AwaitingAck { .. } => {
                Some(settings.init_limit * settings.tick_ms)
            }
            Stage::Serving(_) => Some(settings.sync_limit * settings.tick_ms),
        }
    }

    fn status(&self) -> LearnerStatus {
        let (synced, acked, held_bytes) = match &self.stage {
            Stage::Introduced
            | Stage::Asked
            | Stage::Promised { .. }
            | Stage::ReadingLog(_)
            | Stage::AwaitingAck { .. }
            | Stage::Acked => (false, Zxid::ZERO, 0),
            Stage::ReceivingSnapshot(held) => (false, Zxid::ZERO, held.bytes),
            Stage::Serving(serving) => (true, serving.acked, 0),
        };
        let Learner { link, id, learner_type, .. } = *self;
        LearnerStatus { link, id: Some(id), learner_type, synced, acked, held_bytes }
    }
}

impl Stage {
    /// What it waits for, for people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Stage::Introduced => "an epoch is agreed",
            Stage::Asked => "it promises the epoch",
            Stage::Promised { .. } => "others promise the epoch",
            Stage::ReadingLog(_) => "it is sent the log",
            Stage::ReceivingSnapshot(_) => "it is sent a snapshot",
            Stage::AwaitingAck { .. } => "it acknowledges the new leader",
            Stage::Acked => "others acknowledge the new leader",
            Stage::Serving(_) => "it serves clients",
        }
    }

    /// What is kept of a learner that serves.
    pub(super) fn serving(&self) -> Option<&Serving> {
        match self {
            Stage::Introduced
            | Stage::Asked
            | Stage::Promised { .. }
            | Stage::ReadingLog(_)
            | Stage::ReceivingSnapshot(_)
            | Stage::AwaitingAck { .. }
            | Stage::Acked => None,
            Stage::Serving(serving) => Some(serving),
        }
    }

    /// What it is being synchronised with.
    fn sync(&self) -> Option<SyncKind> {
        match self {
            Stage::Introduced
            | Stage::Asked
            | Stage::Promised { .. }
            | Stage::Acked
            | Stage::Serving(_) => None,
            Stage::ReadingLog(_) => Some(SyncKind::Records),
            Stage::ReceivingSnapshot(_) => Some(SyncKind::Snapshot),
            Stage::AwaitingAck { kind } => Some(*kind),
        }
    }
}
