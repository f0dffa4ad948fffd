//! Taking over the leader's history: DIFF, TRUNC or SNAP, then records, until NEWLEADER.
//!
//! What it keeps true:
//! - A record is appended when the leader says that it is committed, and never behind a gap.
//!   Proposals that nobody has committed yet wait in memory.
//! - What is in the stream behind TRUNC or SNAP is interpreted when the disk has done what they
//!   ask for.
//! - Nothing of it is committed here before UPTODATE.

use super::backlog::Backlog;
use super::order::{Place, place};
use super::takeover::Joining;
use super::{Context, Phase, Turn, full, unexpected};
use crate::effect::{Effect, News, Out};
use crate::input::Input;
use crate::peer::Settles;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::Packet;
use std::sync::Arc;
use tracing::{error, info, warn};

/// The leader knows how far the history goes, and chooses how to bring it up to its own.
#[derive(Debug)]
pub(super) struct Choosing {
    pub(super) epoch: u32,
}

impl Choosing {
    pub(super) fn packet(self, cx: &mut Context<'_>, packet: &Packet) -> Turn {
        let (epoch, received) = (self.epoch, cx.core.history.received());
        match *packet {
            Packet::Diff { zxid } if cx.core.needs_snapshot => begin_empty(epoch, cx, zxid),
            Packet::Diff { zxid } => {
                info!(leader = %cx.leader, epoch, %received, up_to = %zxid, "getting a DIFF");
                Ok(Phase::Copying(Copying::begin(epoch, zxid, cx)))
            }
            Packet::Trunc { zxid } if cx.core.needs_snapshot || zxid > received => {
                warn!(
                    leader = %cx.leader, %zxid, %received,
                    "the leader asks to truncate the log behind its end; it is not followed"
                );
                Err(format!("TRUNC to {zxid} is of no use to a log that ends with {received}"))
            }
            Packet::Trunc { zxid } => {
                warn!(
                    leader = %cx.leader, epoch, %received, to = %zxid,
                    "truncating the log: what is behind this zxid was never committed"
                );
                cx.out.effects.push(Effect::Truncate(zxid));
                Ok(Phase::Rebuilding(Rebuilding { epoch, stage: Stage::Truncating { to: zxid } }))
            }
            Packet::Snap { zxid } => {
                info!(leader = %cx.leader, epoch, %received, %zxid, "getting a snapshot");
                cx.out.news.push(News::ReceiveSnapshot { link: cx.line.link(), zxid });
                Ok(Phase::Rebuilding(Rebuilding { epoch, stage: Stage::Receiving }))
            }
            Packet::Ping { .. } => Ok(Phase::Choosing(self)), // Nobody is served yet.
            Packet::Proposal { .. }
            | Packet::Commit { .. }
            | Packet::CommitAndActivate { .. }
            | Packet::Inform { .. }
            | Packet::InformAndActivate { .. }
            | Packet::NewLeader { .. }
            | Packet::UpToDate
            | Packet::LeaderInfo { .. }
            | Packet::Sync
            | Packet::RevalidateReply { .. }
            | Packet::Request { .. }
            | Packet::Ack { .. }
            | Packet::Revalidate { .. }
            | Packet::FollowerInfo { .. }
            | Packet::ObserverInfo { .. }
            | Packet::AckEpoch { .. } => Err(unexpected(packet, "before DIFF, TRUNC or SNAP")),
        }
    }
}

/// The leader answers with records where everything was asked for. That is sound where it has
/// nothing: what is here was never committed. A leader that has something must send it as a whole,
/// because what is here would be gone before the records are there, and may be needed.
fn begin_empty(epoch: u32, cx: &mut Context<'_>, zxid: Zxid) -> Turn {
    if zxid.counter() != 0 {
        warn!(
            leader = %cx.leader, %zxid,
            "the leader sends single records where it was asked for a snapshot, because this \
             server's log does not reach back to where it has to be cut; it is not followed. \
             Move the content of version-2 of this server away and start it again"
        );
        return Err("a DIFF came where a snapshot is needed".into());
    }
    warn!(leader = %cx.leader, "the leader's history is empty: beginning with an empty tree");
    cx.out.news.push(News::BeginEmpty);
    Ok(Phase::Rebuilding(Rebuilding { epoch, stage: Stage::Receiving }))
}

/// The disk cuts the log or receives a snapshot.
#[derive(Debug)]
pub(super) struct Rebuilding {
    epoch: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The log is being cut behind this record.
    Truncating { to: Zxid },
    /// The snapshot comes in and is written.
    Receiving,
    /// It takes the place of the tree and of the files.
    Installing,
}

/// Whose turn it is while the disk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Leader,
    Disk,
}

impl Rebuilding {
    /// Whose.
    pub(super) fn awaits(&self) -> Awaits {
        match self.stage {
            Stage::Receiving => Awaits::Leader,
            Stage::Truncating { .. } | Stage::Installing => Awaits::Disk,
        }
    }

    /// What the disk and the node say of it.
    pub(super) fn step(self, cx: &mut Context<'_>, input: Input) -> Turn {
        let Rebuilding { epoch, stage } = self;
        match (stage, input) {
            (Stage::Truncating { to }, Input::Truncated { last, recent }) => {
                cx.core.replace_history(last, recent);
                if last != to {
                    // What a synchronisation that was given up had left went with it.
                    return Err(format!("the log was to end at {to} and ends at {last}"));
                }
                Ok(Phase::Copying(Copying::begin(epoch, last, cx)))
            }
            (Stage::Truncating { .. }, Input::TruncationImpossible) => {
                cx.core.needs_snapshot = true;
                warn!(
                    leader = %cx.leader,
                    "the log does not reach back to where the leader wants it cut; the next leader \
                     is asked for a snapshot, and the data stay until it is whole"
                );
                Err("the log cannot be cut where the leader wants it".into())
            }
            (Stage::Receiving, Input::SnapshotComplete) => {
                Ok(Phase::Rebuilding(Rebuilding { epoch, stage: Stage::Installing }))
            }
            (Stage::Installing, Input::SnapshotReceived(zxid)) => {
                cx.core.replace_history(zxid, Vec::new());
                Ok(Phase::Copying(Copying::begin(epoch, zxid, cx)))
            }
            (Stage::Receiving | Stage::Installing, Input::SnapshotFailed) => {
                Err("the leader's snapshot could not be received".into())
            }
            (stage, input) => unreachable!("{input:?} was not asked for in {stage:?}"),
        }
    }

    /// The role ends.
    pub(super) fn end(self, out: &mut Out) -> Settles {
        match self.stage {
            Stage::Receiving => {
                out.news.push(News::ReceivingEnded);
                Settles::AtOnce
            }
            Stage::Truncating { .. } | Stage::Installing => Settles::Later,
        }
    }
}

/// Records come, and which of them are committed.
#[derive(Debug)]
pub(super) struct Copying {
    epoch: u32,
    /// What the leader said that it had committed: it sends no less.
    announced: Zxid,
    /// Proposals that are not committed, each behind the one before, the first behind everything
    /// received.
    held: Backlog,
}

impl Copying {
    fn begin(epoch: u32, announced: Zxid, cx: &Context<'_>) -> Copying {
        Copying { epoch, announced, held: Backlog::new(cx.core.settings.learner_queue_bytes_max) }
    }

    pub(super) fn packet(mut self, cx: &mut Context<'_>, packet: Packet) -> Turn {
        match packet {
            Packet::Proposal { record } => self.proposal(cx, record)?,
            Packet::Commit { zxid } | Packet::CommitAndActivate { zxid, .. } => {
                self.commit(cx, zxid)?;
            }
            Packet::Inform { record } | Packet::InformAndActivate { record, .. } => {
                self.inform(cx, record)?;
            }
            Packet::NewLeader { zxid, .. } => {
                if zxid != Zxid::first_of(self.epoch) {
                    return Err(format!("NEWLEADER {zxid} is not of epoch {}", self.epoch));
                }
                let received = cx.core.history.received();
                // An announcement whose counter is 0 names an epoch, which need not have a record.
                if self.announced > received && self.announced.counter() != 0 {
                    return Err(gap(cx, zxid, received));
                }
                // The text of the ensemble counts only where it may be changed while it runs.
                return Ok(Phase::Joining(Joining::begin(self.epoch, self.held, cx)));
            }
            Packet::Ping { .. } => {} // Answered once clients are served.
            Packet::Sync | Packet::RevalidateReply { .. } => cx.pass_over(&packet),
            Packet::Request { .. }
            | Packet::Ack { .. }
            | Packet::Revalidate { .. }
            | Packet::FollowerInfo { .. }
            | Packet::ObserverInfo { .. }
            | Packet::UpToDate
            | Packet::Diff { .. }
            | Packet::Trunc { .. }
            | Packet::Snap { .. }
            | Packet::LeaderInfo { .. }
            | Packet::AckEpoch { .. } => return Err(unexpected(&packet, "before NEWLEADER")),
        }
        Ok(Phase::Copying(self))
    }

    fn proposal(&mut self, cx: &mut Context<'_>, record: Arc<TxnRecord>) -> Result<(), String> {
        let (zxid, received) = (record.header.zxid, cx.core.history.received());
        if zxid <= received {
            return Ok(()); // The history has it: it was in the log, or in the snapshot.
        }
        let last = self.held.back().and_then(proposed).unwrap_or(received);
        match place(last, zxid) {
            Place::Next => self.held.push(Packet::Proposal { record }).map_err(full),
            Place::Contained | Place::Gap => Err(gap(cx, zxid, last)),
        }
    }

    fn commit(&mut self, cx: &mut Context<'_>, zxid: Zxid) -> Result<(), String> {
        if zxid <= cx.core.history.received() {
            return Ok(()); // The history has it.
        }
        match self.held.pop() {
            Some(Packet::Proposal { record }) if record.header.zxid == zxid => {
                cx.core.append(record, cx.out);
                Ok(())
            }
            head => Err(out_of_order(cx, zxid, head.as_ref().and_then(proposed))),
        }
    }

    fn inform(&mut self, cx: &mut Context<'_>, record: Arc<TxnRecord>) -> Result<(), String> {
        let (zxid, received) = (record.header.zxid, cx.core.history.received());
        if self.held.front().and_then(proposed) == Some(zxid) {
            return self.commit(cx, zxid);
        }
        match place(received, zxid) {
            Place::Contained => Ok(()),
            Place::Next if self.held.is_empty() => {
                cx.core.append(record, cx.out);
                Ok(())
            }
            Place::Next | Place::Gap => Err(gap(cx, zxid, received)),
        }
    }
}

/// The zxid of a proposal.
fn proposed(packet: &Packet) -> Option<Zxid> {
    if let Packet::Proposal { record } = packet { Some(record.header.zxid) } else { None }
}

/// A record does not follow the one before.
pub(super) fn gap(cx: &Context<'_>, zxid: Zxid, last: Zxid) -> String {
    warn!(
        leader = %cx.leader, %zxid, %last,
        "the leader sent a record that does not follow the last one; nothing is taken behind a \
         gap. If this goes on with one leader, restart that leader"
    );
    format!("{zxid} does not follow {last}")
}

/// A commit is not that of the oldest proposal.
pub(super) fn out_of_order(cx: &Context<'_>, zxid: Zxid, expected: Option<Zxid>) -> String {
    let expected = expected.map_or_else(|| "none".into(), |zxid| zxid.to_string());
    error!(
        leader = %cx.leader, %zxid, %expected,
        "the leader commits another transaction than the next one; it is not followed. If this \
         goes on with one leader, restart that leader"
    );
    format!("COMMIT {zxid} came where {expected} is next")
}
