//! Who is still there: pings, silence, and whether a quorum follows.
//!
//! What it keeps true: a leader that a quorum has not answered for `syncLimit` ticks leads no
//! longer, and [`News::Confirmed`] means that a quorum answered a ping that was sent after it was
//! asked for.
//!
//! Pings carry no number, but a learner answers them in their order and only from UPTODATE on. So
//! they are sent from UPTODATE on, and the answers of a link are counted.

use super::broadcast::{Beat, Broadcast, Plausible};
use super::learners::{Learner, Learners, Serving, Stage};
use super::{Leader, Phase};
use crate::effect::{LearnerLink, News, Out};
use crate::peer::{Core, Next};
use bellwether_wire::quorum::{Packet, ServerId};
use tracing::warn;

/// Rounds of pings that confirm this leader. One at most is under way.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The number of the last one that was begun.
    last: u64,
    state: Round,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    /// Nobody asks.
    #[default]
    Idle,
    /// The pings are out.
    UnderWay,
    /// The pings are out, and somebody asked after they were.
    UnderWayAndWanted,
}

impl Leader {
    /// Twice a tick: who is silent is dropped, and a stage that takes too long ends.
    pub(super) fn beat(&mut self, core: &mut Core, now_ms: u64, out: &mut Out) -> Next {
        self.next_beat_ms = now_ms + beat_ms(core);
        self.drop_silent(core, now_ms, out);
        let init_ms = core.settings.init_limit * core.settings.tick_ms;
        let is_over = |since_ms| core.is_silent(now_ms, since_ms, init_ms);
        match &mut self.phase {
            Phase::Discovery(discovery) if is_over(discovery.since_ms) => {
                too_few("were heard of", &discovery.heard)
            }
            Phase::Agreement(agreement) if is_over(agreement.since_ms) => {
                too_few("promised the epoch", &agreement.promised)
            }
            Phase::Synchronisation(sync) if is_over(sync.since_ms) => {
                let acked = self.learners.iter().filter(|learner| learner.has_acked(core));
                too_few("acknowledged this leader, besides itself", acked.map(|it| &it.id))
            }
            Phase::Discovery(_)
            | Phase::Promising(_) // Its disk alone is awaited.
            | Phase::Agreement(_)
            | Phase::Synchronisation(_) => Next::Stay,
            Phase::Broadcast(broadcast) => {
                let is_tick = broadcast.beat == Beat::PingAndCount;
                broadcast.beat = if is_tick { Beat::Ping } else { Beat::PingAndCount };
                if is_tick && !is_followed(core, now_ms, &self.learners) {
                    let voters = self.learners.iter();
                    let voters = voters.filter(|learner| learner.follows(core, now_ms));
                    let following = voters.map(|learner| &learner.id);
                    return too_few("follow this leader, besides itself", following);
                }
                let zxid = broadcast.last_proposed(core);
                for learner in self.learners.iter_mut() {
                    if let Stage::Serving(serving) = &mut learner.stage {
                        serving.pings_sent += 1;
                        learner.send(Packet::Ping { zxid, touched: Vec::new() }, out);
                    }
                }
                Next::Stay
            }
        }
    }

    fn drop_silent(&mut self, core: &Core, now_ms: u64, out: &mut Out) {
        let init_ms = core.settings.init_limit * core.settings.tick_ms;
        let newcomers: Vec<LearnerLink> = self
            .learners
            .newcomers()
            .filter(|(_, since_ms)| core.is_silent(now_ms, *since_ms, init_ms))
            .map(|(link, _)| link)
            .collect();
        for link in newcomers {
            warn!(?link, "somebody connected to the quorum port and did not say who it is");
            self.learners.close(link, out);
        }
        for link in self.learners.links(|learner| learner.has_fallen_behind(core, now_ms)) {
            self.learners.close(link, out);
        }
    }
}

impl Learner {
    /// Whether it owes an answer, or the ack of a proposal, for too long.
    fn has_fallen_behind(&self, core: &Core, now_ms: u64) -> bool {
        let Some(limit_ms) = self.owes_ms(core) else { return false };
        if core.is_silent(now_ms, self.heard_ms, limit_ms) {
            warn!(
                server = %self.id, limit_ms, until = self.stage.name(),
                "nothing was heard from a learner for too long: its connection is closed"
            );
            return true;
        }
        let Stage::Serving(Serving { awaited: Some((zxid, since_ms)), .. }) = &self.stage else {
            return false;
        };
        let is_late = core.is_silent(now_ms, *since_ms, limit_ms);
        if is_late {
            warn!(
                server = %self.id, %zxid, limit_ms,
                "a learner did not acknowledge a proposal for too long: its connection is closed; \
                 look at its disk and its network"
            );
        }
        is_late
    }
}

/// Whether a quorum follows.
fn is_followed(core: &Core, now_ms: u64, learners: &Learners) -> bool {
    let my_id = core.settings.my_id;
    let follows = |learner: &Learner| learner.follows(core, now_ms);
    core.quorum.holds(|id| id == my_id || learners.by_id(id).is_some_and(follows))
}

/// How long it is from one beat to the next, milliseconds.
pub(super) fn beat_ms(core: &Core) -> u64 {
    (core.settings.tick_ms / 2).max(1)
}

fn too_few<'a>(what: &str, servers: impl IntoIterator<Item = &'a ServerId>) -> Next {
    let servers: Vec<String> = servers.into_iter().map(ServerId::to_string).collect();
    let servers = if servers.is_empty() { "none".to_owned() } else { servers.join(", ") };
    Next::Look(format!("only these servers {what}, which are no quorum: {servers}").into())
}

impl Broadcast {
    /// Somebody asks whether a quorum still follows.
    pub(super) fn confirm(&mut self, core: &Core, learners: &mut Learners, out: &mut Out) -> u64 {
        match self.rounds.state {
            Round::Idle => {
                self.begin_round(core, learners, out);
                self.rounds.last
            }
            Round::UnderWay | Round::UnderWayAndWanted => {
                self.rounds.state = Round::UnderWayAndWanted;
                self.rounds.last + 1
            }
        }
    }

    fn begin_round(&mut self, core: &Core, learners: &mut Learners, out: &mut Out) {
        self.rounds.last += 1;
        self.rounds.state = Round::UnderWay;
        for learner in learners.iter_mut() {
            self.join_round(core, learner, out);
        }
        self.end_round(core, learners, out);
    }

    /// Pings a voter whose answer counts in the round that is under way.
    pub(super) fn join_round(&self, core: &Core, learner: &mut Learner, out: &mut Out) {
        let voted = learner.votes(core);
        if let Stage::Serving(serving) = &mut learner.stage
            && self.rounds.state != Round::Idle
            && voted
        {
            serving.pings_sent += 1;
            serving.round_ping = serving.pings_sent;
            let zxid = self.last_proposed(core);
            learner.send(Packet::Ping { zxid, touched: Vec::new() }, out);
        }
    }

    /// A learner answered a ping. Gives whether it can have.
    pub(super) fn pinged(
        &mut self,
        core: &Core,
        (learners, link): (&mut Learners, LearnerLink),
        out: &mut Out,
    ) -> Plausible {
        if let Some(learner) = learners.get_mut(link)
            && let Stage::Serving(serving) = &mut learner.stage
        {
            serving.pings_heard += 1;
            if serving.pings_heard > serving.pings_sent {
                return Plausible::No;
            }
            self.end_round(core, learners, out);
        }
        Plausible::Yes
    }

    /// Ends the round that is under way once a quorum has answered.
    fn end_round(&mut self, core: &Core, learners: &mut Learners, out: &mut Out) {
        let my_id = core.settings.my_id;
        let answered = |learner: &Learner| {
            let serving = learner.stage.serving().filter(|_| learner.votes(core));
            serving.is_some_and(|serving| serving.pings_heard >= serving.round_ping)
        };
        if self.rounds.state == Round::Idle
            || !core.quorum.holds(|id| id == my_id || learners.by_id(id).is_some_and(answered))
        {
            return;
        }
        out.news.push(News::Confirmed(self.rounds.last));
        self.confirmed(core, (learners, self.rounds.last), out);
        let wanted = self.rounds.state == Round::UnderWayAndWanted;
        self.rounds.state = Round::Idle;
        if wanted {
            self.begin_round(core, learners, out);
        }
    }
}
