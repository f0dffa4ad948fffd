//! From NEWLEADER to UPTODATE: the history becomes that of the leader's epoch.
//!
//! What it keeps true: `currentEpoch` is saved when every record of the synchronisation is on disk,
//! and NEWLEADER is acknowledged when that is saved. What comes meanwhile waits: it is logged,
//! acknowledged and committed like everything later, behind UPTODATE.

use super::backlog::Backlog;
use super::broadcast::Broadcasting;
use super::promise::{EpochSaved, HistoryTaken};
use super::sync::Awaits;
use super::{Context, Phase, Turn, full, unexpected};
use crate::effect::{Effect, News, Serving};
use crate::history::AllSynced;
use bellwether_wire::quorum::{LearnerType, Packet, Vote};
use std::cmp::Ordering;
use tracing::info;

/// NEWLEADER came.
#[derive(Debug)]
pub(super) struct Joining {
    epoch: u32,
    /// Proposals that were not committed before, and what came since.
    later: Backlog,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Records are on their way to the disk.
    Records,
    /// `currentEpoch` is.
    Epoch(AllSynced),
    /// NEWLEADER is acknowledged.
    Acknowledged(HistoryTaken),
}

impl Joining {
    /// `held` are the proposals that nobody has committed yet.
    pub(super) fn begin(epoch: u32, held: Backlog, cx: &mut Context<'_>) -> Joining {
        let joining = Joining { epoch, later: held, stage: Stage::Records };
        #[cfg(feature = "canaries")]
        if cx.core.settings.is_broken(crate::Break::CurrentEpochBeforeSync) {
            cx.out.effects.push(Effect::SaveCurrentEpoch(epoch));
            return Joining { stage: Stage::Epoch(AllSynced::forged()), ..joining };
        }
        joining.synced(cx)
    }

    /// Whose turn it is.
    pub(super) fn awaits(&self) -> Awaits {
        match self.stage {
            Stage::Records | Stage::Epoch(_) => Awaits::Disk,
            Stage::Acknowledged(_) => Awaits::Leader,
        }
    }

    /// The disk has more records than before.
    pub(super) fn synced(self, cx: &mut Context<'_>) -> Joining {
        match (&self.stage, cx.core.history.all_synced()) {
            (Stage::Records, Some(all_synced)) => {
                cx.out.effects.push(Effect::SaveCurrentEpoch(self.epoch));
                Joining { stage: Stage::Epoch(all_synced), ..self }
            }
            // Nothing is appended once everything is on disk.
            (Stage::Records | Stage::Epoch(_) | Stage::Acknowledged(_), _) => self,
        }
    }

    /// An epoch is on disk: this one, or what a role before this one had asked for.
    pub(super) fn saved(self, cx: &mut Context<'_>, saved: EpochSaved) -> Turn {
        let Joining { epoch, later, stage } = self;
        let stage = match (stage, saved.epoch().cmp(&epoch)) {
            (Stage::Epoch(all_synced), Ordering::Equal) => {
                let taken = HistoryTaken::of(all_synced, saved);
                cx.line.take_leader(&taken, cx.out);
                Stage::Acknowledged(taken)
            }
            (_, Ordering::Greater) => {
                return Err(format!("epoch {} began before the leader's {epoch}", saved.epoch()));
            }
            (stage, Ordering::Less | Ordering::Equal) => stage,
        };
        Ok(Phase::Joining(Joining { epoch, later, stage }))
    }

    pub(super) fn packet(mut self, cx: &mut Context<'_>, packet: Packet) -> Turn {
        match packet {
            Packet::Proposal { .. }
            | Packet::Commit { .. }
            | Packet::CommitAndActivate { .. }
            | Packet::Inform { .. }
            | Packet::InformAndActivate { .. } => self.later.push(packet).map_err(full)?,
            Packet::UpToDate => match self.stage {
                Stage::Acknowledged(taken) => return Ok(up_to_date(&taken, self.later, cx)),
                Stage::Records | Stage::Epoch(_) => {
                    return Err(unexpected(&packet, "before NEWLEADER was acknowledged"));
                }
            },
            Packet::Ping { .. } => {} // Answered once clients are served.
            Packet::NewLeader { .. } | Packet::Sync | Packet::RevalidateReply { .. } => {
                cx.pass_over(&packet);
            }
            Packet::Request { .. }
            | Packet::Ack { .. }
            | Packet::Revalidate { .. }
            | Packet::FollowerInfo { .. }
            | Packet::ObserverInfo { .. }
            | Packet::Diff { .. }
            | Packet::Trunc { .. }
            | Packet::Snap { .. }
            | Packet::LeaderInfo { .. }
            | Packet::AckEpoch { .. } => return Err(unexpected(&packet, "before UPTODATE")),
        }
        Ok(Phase::Joining(self))
    }
}

/// A quorum has the leader's history, and so has this server: all of it is committed.
fn up_to_date(taken: &HistoryTaken, later: Backlog, cx: &mut Context<'_>) -> Phase {
    let epoch = taken.epoch();
    info!(leader = %cx.leader, epoch, zxid = %cx.core.history.received(), "up to date");
    cx.line.follow(taken, cx.out);
    // Every member tells the same to those who look for a leader later.
    cx.core.vote = Vote { leader: cx.leader, peer_epoch: i64::from(epoch), ..cx.core.vote };
    cx.core.history.commit_to(cx.core.history.received());
    cx.out.news.push(News::Serve(match cx.core.settings.learner_type {
        LearnerType::Participant => Serving::Follower { epoch },
        LearnerType::Observer => Serving::Observer { epoch },
    }));
    cx.waiting.put_in_front(later);
    Phase::Broadcasting(Broadcasting)
}
