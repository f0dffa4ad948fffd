//! Learners that are played by hand: a link, and whatever is sent by it, in any order and however
//! wrong. What the leader sends them is seen in the trace and goes nowhere.

use crate::network::Link;
use crate::words::{Words, number, way, zxid};
use crate::world::World;
use bellwether_wire::quorum::{LEARNER_PROTOCOL, LearnerInfo, Packet, ServerId};
use bellwether_wire::{SessionId, Zxid};
use bellwether_zab::{Input, LearnerLink};

impl World {
    /// `disconnect 1->3 [older]`: the connection is gone.
    pub(crate) fn disconnect(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (leader, link) = self.link_of_hand(words)?;
        self.network.links.remove(&link);
        self.step(leader, Input::LearnerGone(link))
    }

    /// `send 1->3 [older] ACK 5:12`: sends by the newest link, or the one before it.
    pub(crate) fn send_by_hand(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (leader, link) = self.link_of_hand(words)?;
        let learner = self.network.links.get(&link).map_or(0, |link| link.learner);
        let packet = packet(words, ServerId(learner))?;
        self.step(leader, Input::FromLearner(link, packet))
    }

    /// `log 3 2`, `log 3 fail`: hands the next two records of its log to a leader that reads it for
    /// a learner, or says that it cannot be read any further.
    pub(crate) fn log_by_hand(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let server = words.number("the leader")?;
        let read = self.process(server)?.reads.pop_front();
        let (link, after, up_to) = read.ok_or("it reads nothing")?;
        let count = words.need("how many, or fail")?;
        if count == "fail" {
            return self.step(server, Input::LogUnreadable { link });
        }
        let all = self.member(server)?.disk.read(after, up_to).ok_or("the log is not there")?;
        let count = number(count, "how many")?;
        let records: Vec<_> = all.iter().take(count).cloned().collect();
        let last = records.len() == all.len();
        if let Some(next) = records.last().filter(|_| !last) {
            let next = (link, next.header.zxid, up_to);
            self.process(server)?.reads.push_front(next);
        }
        self.step(server, Input::LogRead { link, records, last })
    }

    fn link_of_hand(&mut self, words: &mut Words<'_>) -> Result<(i64, LearnerLink), String> {
        let (learner, leader) = way(words.need("LEARNER->LEADER")?)?;
        let skipped = usize::from(words.flag("older"));
        let of_both = |one: &Link| (one.learner, one.leader) == (learner, leader);
        let links = self.network.links.iter().rev().filter(|(_, link)| of_both(link));
        let link = links.map(|(number, _)| *number).nth(skipped);
        Ok((leader, link.ok_or("there is no such link")?))
    }
}

fn packet(words: &mut Words<'_>, learner: ServerId) -> Result<Packet, String> {
    let name = words.need("a packet")?;
    let session = SessionId(0x1);
    Ok(match name {
        "FOLLOWERINFO" | "OBSERVERINFO" => {
            let accepted_epoch = words.named_number("accepted")?.unwrap_or_default();
            let info = LearnerInfo {
                sid: words.named_number("sid")?.map_or(learner, ServerId),
                protocol: words.named_number("protocol")?.unwrap_or(LEARNER_PROTOCOL),
                config_version: words.named_number("config")?.unwrap_or_default(),
            };
            match name {
                "FOLLOWERINFO" => Packet::FollowerInfo { accepted_epoch, info },
                _ => Packet::ObserverInfo { accepted_epoch, info },
            }
        }
        "ACKEPOCH" => Packet::AckEpoch {
            last_zxid: words.named_zxid("last")?.unwrap_or_default(),
            current_epoch: words.named_number("current")?,
        },
        "ACK" => Packet::Ack { zxid: zxid(words.need("a zxid")?)? },
        "PING" => {
            let touched = words.named_number("touched")?;
            let touched = touched.map(|session| (SessionId(session), 10_000)).into_iter().collect();
            Packet::Ping { zxid: Zxid::ZERO, touched }
        }
        "REQUEST" => Packet::Request {
            session,
            cxid: words.number("its xid")?,
            op: 1,
            payload: Box::default(),
            identities: Vec::new(),
        },
        "REVALIDATE" => Packet::Revalidate { session, timeout_ms: 10_000 },
        "UPTODATE" => Packet::UpToDate,
        other => return Err(format!("a learner by hand cannot send {other}")),
    })
}
