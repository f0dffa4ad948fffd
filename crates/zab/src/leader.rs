//! Leading: from the first learner that connects to the end of the epoch.
//!
//! A leader goes through `discovery` (an epoch that nobody has used), `sync` (its history on a
//! quorum) and `broadcast`. Each phase is a type that makes the next one and is dropped. Learners
//! come at any time and go through their own stages (`learners`); what a phase needs from a quorum
//! of them, it counts by server.
//!
//! What it keeps true: whatever a learner sends that it could not send at its stage closes its
//! connection and changes nothing else. Only more than a quorum's silence, a history better than
//! its own or a higher epoch ends the leader.
//!
//! It leaves to others: transactions (the node), sessions (the node), bytes and sockets (the
//! shell).

mod broadcast;
mod canary;
mod discovery;
mod learners;
mod liveness;
mod selection;
mod sync;
mod syncs;

use crate::effect::{Effect, Forwarded, LearnerLink, News, Out, Serving as Service};
use crate::election;
use crate::history::LogToken;
use crate::input::Input;
use crate::peer::{Core, LearnerStatus, Next};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{
    LEARNER_PROTOCOL, LearnerInfo, LearnerType, Packet, PeerState, ServerId,
};
use broadcast::{Broadcast, Plausible};
use discovery::{Agreement, Discovery, EPOCH_MAX, EpochAck, Promising};
use learners::{Learner, Learners, Stage};
use selection::Log;
use std::sync::Arc;
use sync::{Synchronisation, Terms};
use tracing::{info, warn};

/// The role.
#[derive(Debug)]
pub(crate) struct Leader {
    phase: Phase,
    learners: Learners,
    /// When to look at the clock: twice a tick.
    next_beat_ms: u64,
    /// Whether the log may be read for learners.
    log: Log,
}

/// How far the leader has come.
#[derive(Debug)]
enum Phase {
    /// It asks which epochs were promised.
    Discovery(Discovery),
    /// It promises one itself.
    Promising(Promising),
    /// A quorum is to promise it.
    Agreement(Agreement),
    /// A quorum is to have its history.
    Synchronisation(Synchronisation),
    /// It serves.
    Broadcast(Broadcast),
}

impl Leader {
    /// The election is won.
    pub(crate) fn begin(core: &mut Core, now_ms: u64, out: &mut Out) -> Leader {
        out.effects.push(Effect::Listen);
        let mut leader = Leader {
            phase: Phase::Discovery(Discovery::begin(core, now_ms)),
            learners: Learners::default(),
            next_beat_ms: now_ms + liveness::beat_ms(core),
            log: if core.settings.log_serves_learners { Log::Serves } else { Log::Unused },
        };
        info!(epoch = core.accepted_epoch, zxid = %core.history.received(), "leading");
        // A leader to whom no epoch is left gives up when it is over.
        drop(leader.try_to_promise(core, out));
        leader
    }

    /// Takes an input.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        input: Input,
        out: &mut Out,
    ) -> Next {
        let next = match input {
            Input::Tick => Next::Stay,
            Input::Notification { from, notification } => {
                election::answer(core, PeerState::Leading, (from, &notification), out);
                Next::Stay
            }
            Input::LearnerConnected(link) => {
                self.learners.connect(link, now_ms);
                Next::Stay
            }
            Input::FromLearner(link, packet) => self.take(core, now_ms, (link, packet), out),
            Input::LearnerGone(link) => {
                self.learners.gone(link, out);
                Next::Stay
            }
            Input::LogRead { link, records, last } => {
                self.log_read(core, now_ms, (link, records, last), out);
                Next::Stay
            }
            Input::LogUnreadable { link } => {
                self.log_unreadable(core, link, out);
                Next::Stay
            }
            Input::SnapshotSent(link) => {
                self.snapshot_sent(now_ms, link, out);
                Next::Stay
            }
            Input::Durable(token) => self.durable(core, now_ms, token, out),
            Input::AcceptedEpochSaved(epoch) => {
                core.accepted_epoch = epoch;
                self.accepted_epoch_saved(core, now_ms, epoch, out)
            }
            Input::CurrentEpochSaved(epoch) => {
                core.current_epoch = epoch;
                self.current_epoch_saved(core, now_ms, epoch, out)
            }
            // Of a leader that this peer had.
            Input::LeaderConnected(_)
            | Input::FromLeader(..)
            | Input::LeaderGone(_)
            | Input::SnapshotPart(_) => Next::Stay,
            Input::Truncated { .. }
            | Input::TruncationImpossible
            | Input::SnapshotComplete
            | Input::SnapshotReceived(_)
            | Input::SnapshotFailed => unreachable!("no role begins before these are known"),
        };
        match next {
            Next::Stay if now_ms >= self.next_beat_ms => self.beat(core, now_ms, out),
            Next::Stay | Next::Look(_) | Next::Lead | Next::Learn(_) => next,
        }
    }

    /// When it wants to hear of the time.
    pub(crate) fn next_deadline(&self, _core: &Core) -> u64 {
        self.next_beat_ms
    }

    /// Puts a transaction in flight.
    pub(crate) fn propose(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        record: Arc<TxnRecord>,
        out: &mut Out,
    ) {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            unreachable!("only who serves proposes")
        };
        broadcast.propose(core, now_ms, (&mut self.learners, record), out);
    }

    /// Asks whether a quorum still follows. Before it serves, nobody is told.
    pub(crate) fn confirm(&mut self, core: &mut Core, _now_ms: u64, out: &mut Out) -> u64 {
        match &mut self.phase {
            Phase::Discovery(_)
            | Phase::Promising(_)
            | Phase::Agreement(_)
            | Phase::Synchronisation(_) => 0,
            Phase::Broadcast(broadcast) => broadcast.confirm(core, &mut self.learners, out),
        }
    }

    /// A learner forwards a sync. Only who serves is asked.
    pub(crate) fn sync(&mut self, core: &Core, link: LearnerLink, out: &mut Out) {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            unreachable!("only who serves is asked for a sync")
        };
        broadcast.sync(core, (&mut self.learners, link), out);
    }

    /// Sends an answer to a learner, behind everything before it. One that left meanwhile asks
    /// again elsewhere.
    pub(crate) fn send(&mut self, link: LearnerLink, packet: Packet, out: &mut Out) {
        let Some(learner) = self.learners.get_mut(link) else { return };
        if let Packet::Snap { zxid } = &packet {
            learner.snapshot_begins(*zxid);
            out.effects.push(Effect::ToLearner(link, packet));
        } else {
            learner.send(packet, out);
        }
    }

    /// Everybody who is connected.
    pub(crate) fn learners(&self) -> Vec<LearnerStatus> {
        self.learners.status()
    }

    /// Closes every link and stops listening.
    pub(crate) fn end(&mut self, _core: &mut Core, out: &mut Out) {
        out.effects.push(Effect::StopListening);
        self.learners.close_all(out);
    }

    /// What learners are told, from the agreement on.
    fn terms(&self) -> Option<&Terms> {
        match &self.phase {
            Phase::Discovery(_) | Phase::Promising(_) | Phase::Agreement(_) => None,
            Phase::Synchronisation(sync) => Some(&sync.terms),
            Phase::Broadcast(broadcast) => Some(&broadcast.terms),
        }
    }

    /// The epoch, once it is chosen.
    fn epoch(&self) -> Option<u32> {
        match &self.phase {
            Phase::Discovery(_) => None,
            Phase::Promising(promising) => Some(promising.epoch),
            Phase::Agreement(agreement) => Some(agreement.epoch),
            Phase::Synchronisation(sync) => Some(sync.terms.epoch),
            Phase::Broadcast(broadcast) => Some(broadcast.terms.epoch),
        }
    }
}

/// From phase to phase.
impl Leader {
    /// Chooses the epoch once a quorum was heard.
    fn try_to_promise(&mut self, core: &Core, out: &mut Out) -> Next {
        let Phase::Discovery(discovery) = &self.phase else { return Next::Stay };
        match discovery.promise(core) {
            None => Next::Stay,
            Some(Err(discovery::NoEpoch)) => Next::Look("no epoch is left after this one".into()),
            Some(Ok(promising)) => {
                out.effects.push(Effect::SaveAcceptedEpoch(promising.epoch));
                self.phase = Phase::Promising(promising);
                Next::Stay
            }
        }
    }

    /// The own promise stands: everybody may hear of the epoch.
    fn accepted_epoch_saved(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        epoch: u32,
        out: &mut Out,
    ) -> Next {
        let Phase::Promising(promising) = &self.phase else { return Next::Stay };
        if promising.epoch != epoch {
            return Next::Stay; // It was promised to another leader, when this peer followed.
        }
        self.phase = Phase::Agreement(promising.saved(core, now_ms));
        for learner in self.learners.iter_mut() {
            learner.ask(epoch, now_ms, out);
        }
        self.try_to_synchronise(core, now_ms, out)
    }

    /// Begins to synchronise once a quorum has promised the epoch.
    fn try_to_synchronise(&mut self, core: &mut Core, now_ms: u64, out: &mut Out) -> Next {
        let Phase::Agreement(agreement) = &self.phase else { return Next::Stay };
        if !agreement.is_settled(core) {
            return Next::Stay;
        }
        let epoch = agreement.epoch;
        let config = core.settings.config.to_string().into();
        let terms = Terms { epoch, former_epoch: core.current_epoch, config };
        self.phase = Phase::Synchronisation(Synchronisation::begin(terms, now_ms));
        out.effects.push(Effect::SaveCurrentEpoch(epoch));
        for (link, last) in self.learners.promised() {
            self.synchronise(core, now_ms, (link, last), out);
        }
        Next::Stay
    }

    fn current_epoch_saved(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        epoch: u32,
        out: &mut Out,
    ) -> Next {
        if let Phase::Synchronisation(sync) = &mut self.phase
            && epoch != sync.terms.epoch
        {
            // This peer followed until lately, and that was under way.
            sync.terms.former_epoch = epoch;
        }
        self.try_to_serve(core, now_ms, out)
    }

    fn durable(&mut self, core: &mut Core, now_ms: u64, token: LogToken, out: &mut Out) -> Next {
        #[cfg(feature = "canaries")]
        let token = core.completed(token);
        let Some(durable) = core.history.durable_to(token) else { return Next::Stay };
        if let Phase::Broadcast(broadcast) = &mut self.phase {
            broadcast.commit(core, &mut self.learners, durable, out);
        }
        self.try_to_serve(core, now_ms, out)
    }

    /// Serves once a quorum has everything.
    fn try_to_serve(&mut self, core: &mut Core, now_ms: u64, out: &mut Out) -> Next {
        let Phase::Synchronisation(sync) = &self.phase else { return Next::Stay };
        if !sync.is_complete(core, &self.learners) {
            return Next::Stay;
        }
        let mut broadcast = Broadcast::begin(sync);
        let epoch = broadcast.terms.epoch;
        core.history.commit_to(core.history.received());
        core.vote.peer_epoch = i64::from(epoch);
        info!(epoch, zxid = %core.history.received(), "a quorum follows: serving as leader");
        out.news.push(News::Serve(Service::Leader { epoch }));
        for learner in self.learners.iter_mut() {
            if matches!(learner.stage, Stage::Acked) {
                broadcast.admit(core, now_ms, learner, out);
            }
        }
        self.phase = Phase::Broadcast(broadcast);
        Next::Stay
    }
}

/// What learners send.
impl Leader {
    fn take(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (link, packet): (LearnerLink, Packet),
        out: &mut Out,
    ) -> Next {
        let Some(learner) = self.learners.get_mut(link) else {
            return match self.learners.is_newcomer(link) {
                true => self.first_packet(core, now_ms, (link, packet), out),
                false => Next::Stay, // Its connection was closed in this very moment.
            };
        };
        learner.heard_ms = now_ms;
        match (&learner.stage, packet) {
            (Stage::Asked, Packet::AckEpoch { last_zxid, current_epoch }) => {
                self.epoch_acked(core, now_ms, (link, last_zxid, current_epoch), out)
            }
            (Stage::AwaitingAck { .. }, Packet::Ack { zxid }) => {
                self.new_leader_acked(core, now_ms, (link, zxid), out)
            }
            (Stage::Serving(_), packet) => self.served(core, (link, packet), out),
            (
                Stage::Introduced
                | Stage::Asked
                | Stage::Promised { .. }
                | Stage::ReadingLog(_)
                | Stage::ReceivingSnapshot(_)
                | Stage::AwaitingAck { .. }
                | Stage::Acked,
                packet,
            ) => self.unexpected(link, &packet, out),
        }
    }

    fn unexpected(&mut self, link: LearnerLink, packet: &Packet, out: &mut Out) -> Next {
        let (server, until) = match self.learners.get_mut(link) {
            Some(learner) => (Some(learner.id.0), learner.stage.name()),
            None => (None, "it says who it is"),
        };
        warn!(
            server,
            packet = packet.name(),
            until,
            "a learner sent what it may not send yet: its connection is closed"
        );
        self.learners.close(link, out);
        Next::Stay
    }

    /// A learner says who it is.
    fn first_packet(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (link, packet): (LearnerLink, Packet),
        out: &mut Out,
    ) -> Next {
        let (learner_type, promised, info) =
            if let Packet::FollowerInfo { accepted_epoch, info } = packet {
                (LearnerType::Participant, accepted_epoch, info)
            } else if let Packet::ObserverInfo { accepted_epoch, info } = packet {
                (LearnerType::Observer, accepted_epoch, info)
            } else {
                return self.unexpected(link, &packet, out);
            };
        if let Some(reason) = refuses(core, info, promised) {
            warn!(server = %info.sid, "a learner is sent away: {reason}");
            self.learners.close(link, out);
            return Next::Stay;
        }
        let id = info.sid;
        if let Some(older) = self.learners.by_id(id).map(|learner| learner.link) {
            warn!(
                server = %id,
                "a learner has a second connection: its older one is closed; if two servers have \
                 this number in their myid, give one of them another"
            );
            self.learners.close(older, out);
        }
        info!(server = %id, ?learner_type, promised, "a learner has come");
        let stage = Stage::Introduced;
        let (since_ms, heard_ms) = (now_ms, now_ms);
        let learner = Learner { link, id, learner_type, since_ms, heard_ms, stage };
        let votes = learner.votes(core);
        if let Phase::Discovery(discovery) = &mut self.phase {
            discovery.hear(core, &learner, promised);
        }
        self.learners.introduce(learner);
        self.welcome(core, now_ms, (link, promised, votes), out)
    }

    /// Tells a learner the epoch, if it is known.
    fn welcome(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (link, promised, votes): (LearnerLink, u32, bool),
        out: &mut Out,
    ) -> Next {
        if let Some(epoch) = self.epoch()
            && promised > epoch
            && votes
        {
            // It can promise nothing lower, so it would be shut out for as long as this epoch
            // lasts. The next one is above both.
            core.epoch_floor = core.epoch_floor.max(promised);
            return Next::Look(
                format!("a server has promised epoch {promised}, and this one is {epoch}").into(),
            );
        }
        match &self.phase {
            Phase::Discovery(_) => self.try_to_promise(core, out),
            Phase::Promising(_) => Next::Stay,
            Phase::Agreement(Agreement { epoch, .. })
            | Phase::Synchronisation(Synchronisation { terms: Terms { epoch, .. }, .. })
            | Phase::Broadcast(Broadcast { terms: Terms { epoch, .. }, .. }) => {
                let epoch = *epoch;
                if let Some(learner) = self.learners.get_mut(link) {
                    learner.ask(epoch, now_ms, out);
                }
                Next::Stay
            }
        }
    }

    /// A learner has promised the epoch.
    fn epoch_acked(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (link, last, current_epoch): (LearnerLink, Zxid, Option<u32>),
        out: &mut Out,
    ) -> Next {
        let Some(learner) = self.learners.get_mut(link) else { return Next::Stay };
        let Phase::Agreement(agreement) = &mut self.phase else {
            self.synchronise(core, now_ms, (link, last), out);
            return Next::Stay;
        };
        match agreement.answered(core, learner, last, current_epoch) {
            EpochAck::Fine => {
                learner.stage = Stage::Promised { last };
                self.try_to_synchronise(core, now_ms, out)
            }
            EpochAck::AheadOfLeader if learner.votes(core) => Next::Look(
                format!("server {} has more, up to {last}, and may lead itself", learner.id).into(),
            ),
            EpochAck::AheadOfLeader => {
                warn!(
                    server = %learner.id, %last, own = %core.history.received(),
                    "a server without a vote has more than the leader that the voters elected: its \
                     connection is closed; if it comes again and stays, it has lost that"
                );
                self.learners.close(link, out);
                Next::Stay
            }
        }
    }

    /// A learner has everything.
    fn new_leader_acked(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (link, zxid): (LearnerLink, Zxid),
        out: &mut Out,
    ) -> Next {
        let expected = self.epoch().map(Zxid::first_of);
        let Some(learner) = self.learners.get_mut(link) else { return Next::Stay };
        if Some(zxid) != expected {
            warn!(
                server = %learner.id, %zxid,
                "a learner acknowledged another leader than this one: its connection is closed"
            );
            self.learners.close(link, out);
            return Next::Stay;
        }
        info!(server = %learner.id, "a learner has everything");
        match &mut self.phase {
            Phase::Discovery(_) | Phase::Promising(_) | Phase::Agreement(_) => {
                unreachable!("nobody was sent NEWLEADER")
            }
            Phase::Synchronisation(_) => {
                learner.stage = Stage::Acked;
                self.try_to_serve(core, now_ms, out)
            }
            Phase::Broadcast(broadcast) => {
                broadcast.admit(core, now_ms, learner, out);
                Next::Stay
            }
        }
    }

    /// A learner that serves clients sent something.
    fn served(
        &mut self,
        core: &mut Core,
        (link, packet): (LearnerLink, Packet),
        out: &mut Out,
    ) -> Next {
        let Phase::Broadcast(broadcast) = &mut self.phase else {
            unreachable!("nobody was sent UPTODATE")
        };
        let plausible = match packet {
            Packet::Ack { zxid } => broadcast.acked(core, (&mut self.learners, link), zxid, out),
            Packet::Ping { zxid: _, touched } => {
                let plausible = broadcast.pinged(core, (&mut self.learners, link), out);
                if plausible == Plausible::Yes && !touched.is_empty() {
                    out.news.push(News::Touched { link, sessions: touched });
                }
                plausible
            }
            Packet::Request { session, cxid, op, payload, identities } => {
                let request = Forwarded { session, cxid, op, payload, identities };
                out.news.push(News::Forwarded { link, request });
                Plausible::Yes
            }
            Packet::Revalidate { session, timeout_ms } => {
                out.news.push(News::Revalidate { link, session, timeout_ms });
                Plausible::Yes
            }
            Packet::FollowerInfo { .. } | Packet::ObserverInfo { .. } | Packet::AckEpoch { .. } => {
                Plausible::No
            }
            Packet::Proposal { .. }
            | Packet::Commit { .. }
            | Packet::RevalidateReply { .. }
            | Packet::Sync
            | Packet::Inform { .. }
            | Packet::CommitAndActivate { .. }
            | Packet::InformAndActivate { .. }
            | Packet::NewLeader { .. }
            | Packet::UpToDate
            | Packet::Diff { .. }
            | Packet::Trunc { .. }
            | Packet::Snap { .. }
            | Packet::LeaderInfo { .. } => Plausible::No,
        };
        if plausible == Plausible::No {
            warn!(?link, "a learner sent what no learner sends: its connection is closed");
            self.learners.close(link, out);
        }
        Next::Stay
    }
}

impl Learner {
    /// Asks for a promise of the epoch.
    fn ask(&mut self, epoch: u32, now_ms: u64, out: &mut Out) {
        self.stage = Stage::Asked;
        self.heard_ms = now_ms;
        self.send(Packet::LeaderInfo { epoch, protocol: LEARNER_PROTOCOL }, out);
    }
}

/// Why a learner cannot be taken, if it cannot.
fn refuses(core: &Core, info: LearnerInfo, promised: u32) -> Option<String> {
    let LearnerInfo { sid, protocol, config_version } = info;
    if protocol < LEARNER_PROTOCOL {
        return Some(format!(
            "it speaks version {protocol:#x} of the protocol, and {LEARNER_PROTOCOL:#x} is the \
             lowest: it is older than ZooKeeper 3.4"
        ));
    }
    if config_version > core.settings.config.version {
        return Some(format!(
            "it has version {config_version:x} of the ensemble's configuration, and this leader \
             has {:x}: give all servers the same",
            core.settings.config.version
        ));
    }
    if sid == core.settings.my_id {
        return Some("it has this server's own number: give each its own myid".into());
    }
    if sid == ServerId::OBSERVER || sid.0 < 0 {
        return Some("it has no number of its own: give it a myid".into());
    }
    if promised >= EPOCH_MAX {
        return Some(format!("it has promised epoch {promised}, after which there is none"));
    }
    None
}
