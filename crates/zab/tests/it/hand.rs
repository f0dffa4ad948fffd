//! A leader that is played by hand: a learner alone against whatever a leader may say.

use crate::disk;
use crate::network::{Dial, Item};
use crate::words::{Words, way, zxid};
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{
    LEARNER_PROTOCOL, Notification, Packet, PeerState, ServerId, Version, Vote,
};
use bellwether_wire::{OpCode, SessionId};
use bellwether_zab::{Input, LeaderLink};
use std::sync::Arc;

impl World {
    /// `hand 3 leads 1 2 [epoch=5]`: every other server tells these that 3 leads, and 3 takes their
    /// connections. What they do until then is not written down.
    pub(crate) fn hand(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let leader: i64 = words.number("the leader")?;
        if self.is_up(leader) {
            return Err(format!("server {leader} runs, and cannot be played"));
        }
        match words.need("leads")? {
            "leads" => {}
            other => return Err(format!("a leader by hand leads, it does not {other}")),
        }
        let epoch = words.named_number("epoch")?.unwrap_or_default();
        self.network.hands.insert(leader);
        for learner in words.servers(self.running().into_iter())? {
            let kept = self.take_trace();
            self.elect(learner, leader, epoch)?;
            drop(self.take_trace());
            kept.into_iter().for_each(|line| self.say(line));
            self.answer_dial(learner)?;
        }
        Ok(())
    }

    fn elect(&mut self, learner: i64, leader: i64, peer_epoch: i64) -> Result<(), String> {
        let settings = self.member(learner)?.settings.clone();
        self.now_ms += settings.election.observer_delay_ms + 1;
        let voters: Vec<i64> = settings.config.participants().map(|(server, _)| server.0).collect();
        self.step(learner, Input::Tick)?;
        let vote = Vote { leader: ServerId(leader), zxid: Zxid::ZERO, peer_epoch };
        for from in voters.into_iter().filter(|voter| *voter != learner) {
            let state = if from == leader { PeerState::Leading } else { PeerState::Following };
            let (version, config) = (Version::CURRENT, Some("version=0".into()));
            let notification = Notification { state, vote, round: 1, version, config };
            self.tell(from, learner, notification)?;
        }
        let learns = matches!(
            self.process(learner)?.peer.state(),
            PeerState::Following | PeerState::Observing
        );
        if learns { Ok(()) } else { Err(format!("{learner} does not learn from {leader}")) }
    }

    /// `says 3->1 PROPOSAL 6:1-6:3`: a packet of a leader that is played by hand, or `TREE 6:0`
    /// behind SNAP, or `END`.
    pub(crate) fn says(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (leader, learner) = way(words.need("FROM->TO")?)?;
        let links = self.network.links.values_mut();
        let mut links = links.filter(|one| (one.leader, one.learner) == (leader, learner));
        let link = links.next_back().ok_or(format!("{learner} has no link to {leader}"))?;
        let items = items(words)?;
        let count = items.len();
        if !link.closed_by_learner {
            link.to_learner.extend(items);
        }
        for _ in 0..count {
            self.deliver_item(leader, learner)?;
        }
        Ok(())
    }

    /// `snapshot 1 part`, `snapshot 1 fails`: what a node tells of a snapshot that it receives.
    pub(crate) fn snapshot(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let server: i64 = words.number("the server")?;
        let receives = self.process(server)?.receives;
        let (link, _) = receives.ok_or(format!("server {server} receives no snapshot"))?;
        match words.need("part or fails")? {
            "part" => self.step(server, Input::SnapshotPart(link)),
            "fails" => {
                self.process(server)?.receives = None;
                self.step(server, Input::SnapshotFailed)
            }
            other => Err(format!("a snapshot cannot {other}")),
        }
    }

    /// `connect 2->1`: a learner that need not be there connects.
    pub(crate) fn connect(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (learner, leader) = way(words.need("FROM->TO")?)?;
        let number = self.network.connect(Dial { learner, link: LeaderLink(0), leader });
        self.step(leader, Input::LearnerConnected(number))
    }

    /// `asks 1`: a client of 1 asks for a sync.
    pub(crate) fn asks(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let server: i64 = words.number("the server")?;
        let request = Packet::Request {
            session: SessionId(1),
            cxid: 7,
            op: OpCode::Sync.code(),
            payload: Box::default(),
            identities: Vec::new(),
        };
        self.with(server, |peer, _, out| peer.to_leader(request, out))
    }
}

/// What a packet's name and the words behind it stand for: one packet, or one for each zxid.
fn items(words: &mut Words<'_>) -> Result<Vec<Item>, String> {
    let name = words.need("a packet")?;
    let one = |packet: Packet| vec![Item::Packet(packet)];
    let each = |words: &mut Words<'_>, packet: &dyn Fn(Zxid) -> Packet| -> Result<_, String> {
        let range = words.need("a zxid")?;
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (zxid(first)?, zxid(last)?);
        Ok((first.0..=last.0).map(|at| Item::Packet(packet(Zxid(at)))).collect::<Vec<_>>())
    };
    let leader = ServerId(3);
    let record = |at: Zxid| -> Arc<TxnRecord> { disk::record(at) };
    Ok(match name {
        "LEADERINFO" => {
            let epoch = words.number("the epoch")?;
            one(Packet::LeaderInfo { epoch, protocol: LEARNER_PROTOCOL })
        }
        "DIFF" => each(words, &|zxid| Packet::Diff { zxid })?,
        "TRUNC" => each(words, &|zxid| Packet::Trunc { zxid })?,
        "SNAP" => each(words, &|zxid| Packet::Snap { zxid })?,
        "TREE" => vec![Item::Tree(zxid(words.need("its zxid")?)?)],
        "END" => vec![Item::End],
        "PROPOSAL" => each(words, &|zxid| Packet::Proposal { record: record(zxid) })?,
        "COMMIT" => each(words, &|zxid| Packet::Commit { zxid })?,
        "COMMITANDACTIVATE" => each(words, &|zxid| Packet::CommitAndActivate { zxid, leader })?,
        "INFORM" => each(words, &|zxid| Packet::Inform { record: record(zxid) })?,
        "INFORMANDACTIVATE" => each(words, &|zxid| {
            let record = record(zxid);
            Packet::InformAndActivate { leader, record }
        })?,
        "NEWLEADER" => each(words, &|zxid| Packet::NewLeader { zxid, config: None })?,
        "UPTODATE" => one(Packet::UpToDate),
        "PING" => each(words, &|zxid| Packet::Ping { zxid, touched: Vec::new() })?,
        "SYNC" => one(Packet::Sync),
        "REVALIDATE" => one(Packet::RevalidateReply { session: SessionId(1), valid: true }),
        other => return Err(format!("no leader says {other}")),
    })
}
