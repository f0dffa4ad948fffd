//! Everything that peers send, as a line of a trace.

use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{Notification, Packet, Vote};
use bellwether_zab::Serving;

/// `5:12`, as commands write it.
pub(crate) fn zxid(zxid: Zxid) -> String {
    match zxid {
        Zxid::MISSING => "missing".into(),
        _ => format!("{}:{}", zxid.epoch(), zxid.counter()),
    }
}

/// `3 zxid=5:12 epoch=5`.
pub(crate) fn vote(vote: Vote) -> String {
    if vote == Vote::NONE {
        return "nobody".into();
    }
    format!("{} zxid={} epoch={}", vote.leader, zxid(vote.zxid), vote.peer_epoch)
}

/// `LOOKING for 3 zxid=5:12 epoch=5 round=1`.
pub(crate) fn notification(notification: &Notification) -> String {
    let Notification { state, vote: cast, round, version: _, config: _ } = notification;
    format!("{state} {} round={round}", vote(*cast))
}

/// In which role clients are served.
pub(crate) fn serving(serving: Serving) -> String {
    match serving {
        Serving::Alone => "alone".into(),
        Serving::Leader { epoch } => format!("as the leader of epoch {epoch}"),
        Serving::Follower { epoch } => format!("as a follower in epoch {epoch}"),
        Serving::Observer { epoch } => format!("as an observer in epoch {epoch}"),
    }
}

fn record(record: &TxnRecord) -> String {
    zxid(record.header.zxid)
}

/// A packet: its name and what it says.
pub(crate) fn packet(packet: &Packet) -> String {
    let name = packet.name();
    let says = match packet {
        Packet::Request { session, cxid, op, .. } => format!("session={session} {cxid} op={op}"),
        Packet::Proposal { record: one } | Packet::Inform { record: one } => record(one),
        Packet::Ack { zxid: at }
        | Packet::Commit { zxid: at }
        | Packet::Diff { zxid: at }
        | Packet::Trunc { zxid: at }
        | Packet::Snap { zxid: at } => zxid(*at),
        Packet::Ping { zxid: at, touched } if touched.is_empty() => zxid(*at),
        Packet::Ping { zxid: at, touched } => format!("{} touched={touched:?}", zxid(*at)),
        Packet::Revalidate { session, timeout_ms } => format!("session={session} {timeout_ms} ms"),
        Packet::RevalidateReply { session, valid } => format!("session={session} valid={valid}"),
        Packet::Sync | Packet::UpToDate => String::new(),
        Packet::CommitAndActivate { zxid: at, leader } => {
            format!("{} leader={leader}", zxid(*at))
        }
        Packet::InformAndActivate { leader, record: one } => {
            format!("{} leader={leader}", record(one))
        }
        Packet::NewLeader { zxid: at, config } => match config {
            Some(_) => zxid(*at),
            None => format!("{} without a configuration", zxid(*at)),
        },
        Packet::FollowerInfo { accepted_epoch, info }
        | Packet::ObserverInfo { accepted_epoch, info } => {
            format!("accepted={accepted_epoch} sid={}", info.sid)
        }
        Packet::LeaderInfo { epoch, .. } => format!("epoch={epoch}"),
        Packet::AckEpoch { last_zxid, current_epoch: Some(current) } => {
            format!("last={} current={current}", zxid(*last_zxid))
        }
        Packet::AckEpoch { last_zxid, current_epoch: None } => {
            format!("last={} promised before", zxid(*last_zxid))
        }
    };
    format!("{name} {says}").trim_end().into()
}
