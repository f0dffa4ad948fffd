//! Following and observing: proposals are logged and acknowledged, commits reach the tree.
//!
//! What it keeps true: a proposal is acknowledged when it is on disk; the tree gets what the leader
//! says is committed, in the order of the log; nothing is taken behind a gap.

use super::order::{Place, place};
use super::sync::{gap, out_of_order};
use super::{Context, unexpected};
use crate::effect::News;
use crate::history::LogToken;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{LearnerType, Packet};
use std::sync::Arc;

/// Clients are served.
#[derive(Debug)]
pub(super) struct Broadcasting;

impl Broadcasting {
    /// The disk has everything up to this token.
    pub(super) fn synced(&self, cx: &mut Context<'_>, token: LogToken) {
        let acknowledges = match cx.core.settings.learner_type {
            LearnerType::Participant => true,
            LearnerType::Observer => false,
        };
        // One ack for each: a leader counts them proposal by proposal.
        for synced in cx.core.history.sync_to(token).filter(|_| acknowledges) {
            cx.line.acknowledge(&synced, cx.out);
        }
    }

    pub(super) fn packet(&self, cx: &mut Context<'_>, packet: Packet) -> Result<(), String> {
        let learner_type = cx.core.settings.learner_type;
        match (packet, learner_type) {
            (Packet::Proposal { record }, LearnerType::Participant) => proposal(cx, record)?,
            (
                Packet::Commit { zxid } | Packet::CommitAndActivate { zxid, .. },
                LearnerType::Participant,
            ) => commit(cx, zxid)?,
            (
                Packet::Inform { record } | Packet::InformAndActivate { record, .. },
                LearnerType::Observer,
            ) => inform(cx, record)?,
            (Packet::Ping { zxid, .. }, _) => cx.out.news.push(News::Pinged { zxid }),
            (Packet::RevalidateReply { session, valid }, _) => {
                cx.out.news.push(News::Revalidated { session, valid });
            }
            (Packet::Sync, _) => cx.out.news.push(News::Synced),
            // What is only for the other kind of learner, and what ends a synchronisation.
            (
                packet @ (Packet::Proposal { .. }
                | Packet::Commit { .. }
                | Packet::CommitAndActivate { .. }
                | Packet::Inform { .. }
                | Packet::InformAndActivate { .. }
                | Packet::NewLeader { .. }
                | Packet::UpToDate),
                _,
            ) => cx.pass_over(&packet),
            (
                packet @ (Packet::Request { .. }
                | Packet::Ack { .. }
                | Packet::Revalidate { .. }
                | Packet::FollowerInfo { .. }
                | Packet::ObserverInfo { .. }
                | Packet::Diff { .. }
                | Packet::Trunc { .. }
                | Packet::Snap { .. }
                | Packet::LeaderInfo { .. }
                | Packet::AckEpoch { .. }),
                _,
            ) => return Err(unexpected(&packet, "after UPTODATE")),
        }
        Ok(())
    }
}

fn proposal(cx: &mut Context<'_>, record: Arc<TxnRecord>) -> Result<(), String> {
    let (zxid, received) = (record.header.zxid, cx.core.history.received());
    match place(received, zxid) {
        Place::Next => cx.core.append(record, cx.out),
        Place::Contained | Place::Gap => return Err(gap(cx, zxid, received)),
    }
    #[cfg(feature = "canaries")]
    if cx.core.settings.is_broken(crate::Break::AckBeforeSync) {
        cx.line.acknowledge(&crate::history::Synced::forged(zxid), cx.out);
    }
    Ok(())
}

fn commit(cx: &mut Context<'_>, zxid: Zxid) -> Result<(), String> {
    match cx.core.history.first_uncommitted() {
        Some(head) if head == zxid => cx.core.history.commit_to(zxid),
        None if zxid <= cx.core.history.committed() => cx.pass_over(&Packet::Commit { zxid }),
        head => return Err(out_of_order(cx, zxid, head)),
    }
    Ok(())
}

fn inform(cx: &mut Context<'_>, record: Arc<TxnRecord>) -> Result<(), String> {
    let (zxid, received) = (record.header.zxid, cx.core.history.received());
    let place = place(received, zxid);
    #[cfg(feature = "canaries")]
    let is_blind = cx.core.settings.is_broken(crate::Break::ObserverSkipsGap);
    #[cfg(feature = "canaries")]
    let place = if is_blind && place == Place::Gap { Place::Next } else { place };
    match place {
        Place::Contained => {} // It was in the snapshot.
        Place::Next => {
            cx.core.append(record, cx.out);
            cx.core.history.commit_to(zxid);
        }
        Place::Gap => return Err(gap(cx, zxid, received)),
    }
    Ok(())
}
