//! The connection to the leader, and the only place from which a learner sends.

use super::promise::{EpochAccepted, HistoryTaken};
use crate::effect::{Effect, LeaderLink, Out};
use crate::history::Synced;
use crate::peer::Core;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{LEARNER_PROTOCOL, LearnerInfo, LearnerType, Packet, ServerId};

/// A connection that was asked for, or stands.
#[derive(Debug)]
pub(super) struct Line {
    link: LeaderLink,
}

impl Line {
    /// Asks for a connection.
    pub(super) fn dial(core: &mut Core, leader: ServerId, out: &mut Out) -> Line {
        let link = core.leader_link();
        out.effects.push(Effect::Dial { link, leader });
        Line { link }
    }

    /// Whether something comes from this connection. A former one may still be heard of.
    pub(super) fn is(&self, link: LeaderLink) -> bool {
        self.link == link
    }

    /// Its number, for whoever receives a snapshot from it.
    pub(super) fn link(&self) -> LeaderLink {
        self.link
    }

    /// Says who is there.
    pub(super) fn greet(&self, core: &Core, out: &mut Out) {
        let info = LearnerInfo {
            sid: core.settings.my_id,
            protocol: LEARNER_PROTOCOL,
            config_version: core.settings.config.version,
        };
        let accepted_epoch = core.accepted_epoch;
        let greeting = match core.settings.learner_type {
            LearnerType::Participant => Packet::FollowerInfo { accepted_epoch, info },
            LearnerType::Observer => Packet::ObserverInfo { accepted_epoch, info },
        };
        self.send(greeting, out);
    }

    /// Promises to follow no leader of an earlier epoch, and says how far the history goes.
    pub(super) fn accept(&self, accepted: &EpochAccepted, core: &Core, out: &mut Out) {
        // Who names zxid 0 is sent everything.
        let last_zxid = if core.needs_snapshot { Zxid::ZERO } else { core.history.received() };
        let current_epoch = accepted.counted(core);
        self.send(Packet::AckEpoch { last_zxid, current_epoch }, out);
    }

    /// Acknowledges NEWLEADER.
    pub(super) fn take_leader(&self, taken: &HistoryTaken, out: &mut Out) {
        self.send(Packet::Ack { zxid: Zxid::first_of(taken.epoch()) }, out);
    }

    /// Acknowledges UPTODATE.
    pub(super) fn follow(&self, taken: &HistoryTaken, out: &mut Out) {
        self.send(Packet::Ack { zxid: Zxid::first_of(taken.epoch()) }, out);
    }

    /// Acknowledges a proposal.
    pub(super) fn acknowledge(&self, synced: &Synced, out: &mut Out) {
        self.send(Packet::Ack { zxid: synced.zxid() }, out);
    }

    /// Passes on what clients ask for and what they gave a sign of.
    pub(super) fn forward(&self, packet: Packet, out: &mut Out) {
        let is_forwarded = matches!(
            packet,
            Packet::Request { .. } | Packet::Revalidate { .. } | Packet::Ping { .. }
        );
        assert!(is_forwarded, "{} is no packet of a client", packet.name());
        self.send(packet, out);
    }

    /// Closes it, or gives up making it.
    pub(super) fn close(&self, out: &mut Out) {
        out.effects.push(Effect::CloseLeader(self.link));
    }

    fn send(&self, packet: Packet, out: &mut Out) {
        out.effects.push(Effect::ToLeader(self.link, packet));
    }
}
