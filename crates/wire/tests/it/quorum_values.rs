//! Arbitrary values of what servers say to each other.

use crate::values::{U, any, list, node, text, txn, zxid};
use arbtest::arbitrary::Result;
use bellwether_wire::disk::SnapshotItem;
use bellwether_wire::quorum::{
    ClientAddress, Direction, EnsembleConfig, Id, Initial, InitialProtocol, LearnerInfo,
    LearnerType, Notification, Packet, PeerAddress, PeerState, Quorums, ServerId, ServerSpec,
    Version, Vote,
};
use bellwether_wire::{Acl, Perms, SessionId};
use std::collections::BTreeMap;
use std::sync::Arc;

fn sid(u: U<'_, '_>) -> Result<ServerId> {
    Ok(ServerId(any(u)?))
}

fn session(u: U<'_, '_>) -> Result<SessionId> {
    Ok(SessionId(any(u)?))
}

fn info(u: U<'_, '_>) -> Result<LearnerInfo> {
    Ok(LearnerInfo { sid: sid(u)?, protocol: any(u)?, config_version: any(u)? })
}

pub(crate) fn packet(direction: Direction, u: U<'_, '_>) -> Result<Packet> {
    match direction {
        Direction::ToLeader => to_leader(u),
        Direction::ToLearner => to_learner(u),
    }
}

fn ping(u: U<'_, '_>) -> Result<Packet> {
    Ok(Packet::Ping { zxid: zxid(u)?, touched: list(u, |u| Ok((session(u)?, any(u)?)))? })
}

fn to_leader(u: U<'_, '_>) -> Result<Packet> {
    Ok(match u.int_in_range(0..=6)? {
        0 => Packet::Request {
            session: session(u)?,
            cxid: any(u)?,
            op: any(u)?,
            payload: any::<Vec<u8>>(u)?.into(),
            identities: list(u, |u| Ok(Id { scheme: text(u)?, id: text(u)? }))?,
        },
        1 => Packet::Ack { zxid: zxid(u)? },
        2 => ping(u)?,
        3 => Packet::Revalidate { session: session(u)?, timeout_ms: any(u)? },
        4 => Packet::FollowerInfo { accepted_epoch: any(u)?, info: info(u)? },
        5 => Packet::ObserverInfo { accepted_epoch: any(u)?, info: info(u)? },
        _ => {
            // The largest number stands for none.
            let current_epoch = any::<Option<u32>>(u)?.filter(|epoch| *epoch != u32::MAX);
            Packet::AckEpoch { last_zxid: zxid(u)?, current_epoch }
        }
    })
}

fn to_learner(u: U<'_, '_>) -> Result<Packet> {
    Ok(match u.int_in_range(0..=13)? {
        0 => Packet::Proposal { record: Arc::new(txn(u)?) },
        1 => Packet::Commit { zxid: zxid(u)? },
        2 => ping(u)?,
        3 => Packet::RevalidateReply { session: session(u)?, valid: any(u)? },
        4 => Packet::Sync,
        5 => Packet::Inform { record: Arc::new(txn(u)?) },
        6 => Packet::CommitAndActivate { zxid: zxid(u)?, leader: sid(u)? },
        7 => Packet::InformAndActivate { leader: sid(u)?, record: Arc::new(txn(u)?) },
        8 => Packet::NewLeader { zxid: zxid(u)?, config: any(u)? },
        9 => Packet::UpToDate,
        10 => Packet::Diff { zxid: zxid(u)? },
        11 => Packet::Trunc { zxid: zxid(u)? },
        12 => Packet::Snap { zxid: zxid(u)? },
        _ => Packet::LeaderInfo { epoch: any(u)?, protocol: any(u)? },
    })
}

/// The items of a stream, in its order.
pub(crate) fn items(u: U<'_, '_>) -> Result<Vec<SnapshotItem>> {
    let mut items =
        list(u, |u| Ok(SnapshotItem::Session { id: session(u)?, timeout_ms: any(u)? }))?;
    items.extend(list(u, |u| {
        let acl = list(u, |u| Ok(Acl { perms: Perms(any(u)?), scheme: text(u)?, id: text(u)? }))?;
        Ok(SnapshotItem::Acl { id: any(u)?, acl })
    })?);
    let nodes = list(u, |u| Ok(SnapshotItem::Node(node(u)?)))?;
    // No node has the path of the root of all paths: it ends the nodes.
    items.extend(nodes.into_iter().filter(|item| match item {
        SnapshotItem::Node(node) => &*node.path != "/",
        SnapshotItem::Session { .. }
        | SnapshotItem::Acl { .. }
        | SnapshotItem::Digest { .. }
        | SnapshotItem::LastProcessed(_) => true,
    }));
    Ok(items)
}

pub(crate) fn notification(u: U<'_, '_>) -> Result<Notification> {
    let config: Option<Box<str>> = any(u)?;
    let version = if config.is_some() { Version::CURRENT } else { Version::NONE };
    let vote = Vote { leader: sid(u)?, zxid: zxid(u)?, peer_epoch: any(u)? };
    Ok(Notification { state: *u.choose(&PeerState::ALL)?, vote, round: any(u)?, version, config })
}

pub(crate) fn initial(u: U<'_, '_>) -> Result<Initial> {
    let protocol = *u.choose(&[InitialProtocol::Old, InitialProtocol::V1, InitialProtocol::V2])?;
    if protocol == InitialProtocol::Old {
        let sid = ServerId(u.int_in_range(0..=i64::MAX)?);
        return Ok(Initial { protocol, sid, addresses: Vec::new() });
    }
    let mut addresses = list(u, |u| Ok(peer_address(u)?.election().into_boxed_str()))?;
    addresses.push("[::]:0".into());
    Ok(Initial { protocol, sid: sid(u)?, addresses })
}

/// As Java prints them.
const HOSTS: [&str; 7] = [
    "localhost",
    "zk-1.zk.svc",
    "10.0.0.1",
    "0.0.0.0",
    "0:0:0:0:0:0:0:1",
    "2001:db8:0:0:0:7:0:1",
    "fe80:0:0:0:0:0:0:1%2",
];

fn peer_address(u: U<'_, '_>) -> Result<PeerAddress> {
    let quorum_port: u16 = any(u)?;
    let election_port = quorum_port.wrapping_add(u.int_in_range(1..=u16::MAX)?);
    let host: &str = u.choose(&HOSTS)?;
    Ok(PeerAddress { host: host.into(), quorum_port, election_port })
}

fn spec(u: U<'_, '_>) -> Result<ServerSpec> {
    let mut addresses = list(u, peer_address)?;
    addresses.push(peer_address(u)?);
    addresses.sort();
    addresses.dedup();
    let client = if any(u)? {
        let host: &str = u.choose(&HOSTS)?;
        Some(ClientAddress { host: host.into(), port: any(u)? })
    } else {
        None
    };
    let role = *u.choose(&[LearnerType::Participant, LearnerType::Observer])?;
    Ok(ServerSpec { addresses, role, client })
}

pub(crate) fn ensemble(u: U<'_, '_>) -> Result<EnsembleConfig> {
    let version = u.int_in_range(0..=i64::MAX)?;
    let mut servers = BTreeMap::new();
    for _ in 0..u.int_in_range(0..=20)? {
        let sid = if any(u)? { sid(u)? } else { ServerId(u.int_in_range(0..=254)?) };
        servers.insert(sid, spec(u)?);
    }
    let grouped = servers.values().any(|spec| spec.role == LearnerType::Participant) && any(u)?;
    if !grouped {
        return Ok(EnsembleConfig { version, servers, quorums: Quorums::Majority });
    }
    let (mut groups, mut weights) = (BTreeMap::new(), BTreeMap::new());
    for (sid, spec) in &servers {
        if spec.role == LearnerType::Participant || any(u)? {
            groups.insert(*sid, u.int_in_range(1..=3)?);
            weights.insert(*sid, any(u)?);
        }
    }
    Ok(EnsembleConfig { version, servers, quorums: Quorums::Hierarchical { groups, weights } })
}
