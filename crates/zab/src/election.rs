//! An election: fast leader election, version 2, from the first vote until a leader is known.
//!
//! What it keeps true:
//! - The proposal is [`Core::vote`] and the round [`Core::round`], and both outlive the election:
//!   they are what this peer answers as a leader or a learner ([`answer`]).
//! - A vote counts only if a voter casts it for a voter, in this round; what servers say that have
//!   a leader already counts in any round, and only if the leader itself is among them.
//! - Nobody is chosen before a quorum agrees, and the better of two votes is the one with the
//!   higher epoch, then zxid, then server id.
//!
//! It leaves to the leader and its learners to find out whether the choice was right: an election
//! is a guess, and [`crate::leader`] gives up where a learner has more than itself.
//!
//! Apache takes votes from a queue and waits for the next one; here every wait is a deadline. Two
//! things are told or kept that Apache would not: a peer whose vote in this round is worse than
//! the proposal is answered with it (Apache leaves that to its next reminder, which may be a minute
//! away), and votes that come while a winner waits for a better one are counted, not forgotten.

use crate::effect::{Effect, Out};
use crate::input::Input;
use crate::peer::{Core, Next};
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{LearnerType, Notification, PeerState, ServerId, Version, Vote};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{debug, info, warn};

/// Of how many servers is remembered what they were answered. Those of a configuration are few; who
/// is in none may call itself anything.
const ANSWERED_MAX: usize = 256;

/// Looking for a leader.
#[derive(Debug)]
pub(crate) enum Election {
    /// An observer that lost its leader gives the voters a moment to find another.
    Delayed { until_ms: u64 },
    /// Votes are exchanged.
    Voting(Ballot),
}

/// What was said in an election.
#[derive(Debug)]
pub(crate) struct Ballot {
    /// The last vote of each voter in this round, the own one included.
    received: BTreeMap<ServerId, Cast>,
    /// What voters said that have a leader, in whatever round they elected it.
    established: BTreeMap<ServerId, Cast>,
    /// What each server said when it was last answered, the proposal and the round that it was
    /// told, and when.
    answered: BTreeMap<ServerId, ((Cast, Vote, i64), u64)>,
    /// When the proposal wins, if no better vote comes. Invariant: some exactly while a quorum of
    /// `received` agrees with it.
    decide_ms: Option<u64>,
    /// When to repeat the own vote.
    remind_ms: u64,
    /// How long to wait for the time after that.
    remind_interval_ms: u64,
}

/// A vote, and what its caster was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cast {
    vote: Vote,
    round: i64,
    state: PeerState,
    version: Version,
}

impl Election {
    /// Begins the next round with the vote for itself; an observer, the round that it hears of
    /// first.
    pub(crate) fn begin(core: &mut Core, now_ms: u64, out: &mut Out) -> Election {
        let had_leader = core.round != 0;
        core.vote = core.own_vote();
        let delay_ms = match core.settings.learner_type {
            LearnerType::Participant => {
                // A peer may have named any round at all, so that the last one can be reached.
                core.round = core.round.wrapping_add(1);
                0
            }
            // Its votes do not count, and so it has no round of its own to be ahead with.
            LearnerType::Observer => {
                core.round = 0;
                core.settings.election.observer_delay_ms
            }
        };
        if had_leader && delay_ms > 0 {
            return Election::Delayed { until_ms: now_ms + delay_ms };
        }
        Election::Voting(Ballot::open(core, now_ms, out))
    }

    /// Takes an input; says who leads once that is known.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        input: Input,
        out: &mut Out,
    ) -> Next {
        match input {
            Input::Tick => {}
            Input::Notification { from, notification } => match self {
                // Nobody asks an observer, and its own questions are not out yet.
                Election::Delayed { .. } => {}
                Election::Voting(ballot) => {
                    if let Some(chosen) = ballot.hear(core, now_ms, (from, &notification), out) {
                        return decide(core, chosen);
                    }
                }
            },
            // Only a leader takes learners: they come again when one is known.
            Input::LearnerConnected(link) => out.effects.push(Effect::CloseLearner(link)),
            Input::CurrentEpochSaved(_) => {
                core.late(input);
                if let Election::Voting(ballot) = self {
                    ballot.own_vote_changed(core, now_ms, out);
                }
            }
            Input::FromLearner(..)
            | Input::LearnerGone(_)
            | Input::LogRead { .. }
            | Input::LogUnreadable { .. }
            | Input::SnapshotSent(_)
            | Input::LeaderConnected(_)
            | Input::FromLeader(..)
            | Input::LeaderGone(_)
            | Input::Durable(_)
            | Input::AcceptedEpochSaved(_)
            | Input::Truncated { .. }
            | Input::TruncationImpossible
            | Input::SnapshotReceived(_)
            | Input::SnapshotPart(_)
            | Input::SnapshotComplete
            | Input::SnapshotFailed => core.late(input),
        }
        self.look_at_the_clock(core, now_ms, out)
    }

    /// When it wants to hear of the time.
    pub(crate) fn next_deadline(&self) -> u64 {
        match self {
            Election::Delayed { until_ms } => *until_ms,
            Election::Voting(ballot) => ballot.decide_ms.unwrap_or(ballot.remind_ms),
        }
    }

    fn look_at_the_clock(&mut self, core: &mut Core, now_ms: u64, out: &mut Out) -> Next {
        if now_ms < self.next_deadline() {
            return Next::Stay;
        }
        match self {
            Election::Delayed { .. } => {
                *self = Election::Voting(Ballot::open(core, now_ms, out));
                Next::Stay
            }
            Election::Voting(Ballot { decide_ms: Some(_), .. }) => decide(core, core.vote),
            Election::Voting(ballot) => {
                ballot.remind(core, now_ms, out);
                Next::Stay
            }
        }
    }
}

impl Ballot {
    fn open(core: &Core, now_ms: u64, out: &mut Out) -> Ballot {
        let interval_ms = core.settings.election.notify_ms_min;
        let mut ballot = Ballot {
            received: BTreeMap::new(),
            established: BTreeMap::new(),
            answered: BTreeMap::new(),
            decide_ms: None,
            remind_ms: now_ms + interval_ms,
            remind_interval_ms: interval_ms,
        };
        info!(round = core.round, zxid = %core.vote.zxid, "an election begins");
        ballot.cast(core, now_ms, out);
        ballot
    }

    /// Takes what a server says. Gives the vote that has won already, where one has.
    fn hear(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (from, heard): (ServerId, &Notification),
        out: &mut Out,
    ) -> Option<Vote> {
        debug!(%from, state = %heard.state, round = heard.round, vote = ?heard.vote, "heard");
        if from == core.settings.my_id {
            warn!(%from, "another server speaks in the name of this one: give each its own myid");
            return None;
        }
        let counts = core.quorum.is_voter(from);
        if asks(core, counts, heard) && self.is_new_question(core, now_ms, (from, heard)) {
            notify(core, PeerState::Looking, from, out);
        }
        if !counts {
            return None;
        }
        let leader = heard.vote.leader;
        if !core.quorum.is_voter(leader) {
            warn!(%from, %leader, "a vote for a server that has no vote in this configuration does \
                not count: give all servers the same server.N lines");
            return None;
        }
        match heard.state {
            PeerState::Looking => {
                self.hear_looking(core, now_ms, (from, heard), out);
                None
            }
            PeerState::Following | PeerState::Leading => {
                self.hear_established(core, now_ms, from, heard)
            }
            PeerState::Observing => None, // It does not vote, whatever our configuration says.
        }
    }

    /// A voter looks for a leader too.
    fn hear_looking(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        (from, heard): (ServerId, &Notification),
        out: &mut Out,
    ) {
        let own = core.own_vote();
        // Whoever may have lost its database elects nobody and is not elected: it can only follow
        // a leader that others have.
        if own.zxid == Zxid::MISSING || heard.vote.zxid == Zxid::MISSING {
            return;
        }
        if heard.round > core.round {
            core.round = heard.round;
            self.received.clear();
            core.vote = if beats(core, heard.vote, own) { heard.vote } else { own };
            self.cast(core, now_ms, out);
        } else if heard.round < core.round && !counts_stale(core) {
            return;
        } else if beats(core, heard.vote, core.vote) {
            core.vote = heard.vote;
            self.cast(core, now_ms, out);
        }
        self.received.insert(from, Cast { round: core.round, ..Cast::of(heard) });
        self.count(core, now_ms);
    }

    /// A voter has a leader: perhaps everybody has it, and this peer comes late.
    fn hear_established(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        from: ServerId,
        heard: &Notification,
    ) -> Option<Vote> {
        let cast = Cast::of(heard);
        if cast.round == core.round {
            // As Apache does, without a version: whoever has one is then asked for the leader only.
            self.received.insert(from, Cast { version: Version::NONE, ..cast });
            if is_won(core, &self.received, cast) {
                return Some(cast.vote);
            }
            self.count(core, now_ms);
        }
        self.established.insert(from, cast);
        if is_won(core, &self.established, cast) {
            core.round = cast.round;
            return Some(cast.vote);
        }
        None
    }

    /// Whether this is worth an answer: a peer that says the same again at once has answered an
    /// answer. Servers with different configurations would go on like that as fast as they can.
    fn is_new_question(
        &mut self,
        core: &Core,
        now_ms: u64,
        (from, heard): (ServerId, &Notification),
    ) -> bool {
        let question = (Cast::of(heard), core.vote, core.round);
        let patience_ms = core.settings.election.notify_ms_min / 2;
        if let Some((before, at_ms)) = self.answered.get(&from)
            && *before == question
            && now_ms < at_ms + patience_ms
        {
            return false;
        }
        if self.answered.len() >= ANSWERED_MAX {
            self.answered.clear();
        }
        self.answered.insert(from, (question, now_ms));
        true
    }

    /// What was under way on the disk when the last role ended has made the own vote better.
    fn own_vote_changed(&mut self, core: &mut Core, now_ms: u64, out: &mut Out) {
        let own = core.own_vote();
        if beats(core, own, core.vote) {
            core.vote = own;
            self.cast(core, now_ms, out);
        }
    }

    /// Casts the proposal, which is another than before or in another round.
    fn cast(&mut self, core: &Core, now_ms: u64, out: &mut Out) {
        let Core { vote, round, .. } = *core;
        let my_id = core.settings.my_id;
        if core.quorum.is_voter(my_id) && vote.zxid != Zxid::MISSING {
            let state = PeerState::Looking;
            self.received.insert(my_id, Cast { vote, round, state, version: Version::CURRENT });
        }
        self.remind_ms = now_ms + self.remind_interval_ms;
        self.decide_ms = None;
        self.count(core, now_ms);
        tell_voters(core, out);
    }

    /// Sees whether a quorum agrees with the proposal.
    fn count(&mut self, core: &Core, now_ms: u64) {
        let state = PeerState::Looking;
        let proposal =
            Cast { vote: core.vote, round: core.round, state, version: Version::CURRENT };
        let wait_ms = core.settings.election.finalize_wait_ms;
        self.decide_ms = agreed(core, &self.received, proposal)
            .then(|| self.decide_ms.unwrap_or(now_ms + wait_ms));
    }

    /// Repeats the vote to everybody, and waits twice as long until the next time.
    fn remind(&mut self, core: &Core, now_ms: u64, out: &mut Out) {
        let longest_ms = core.settings.election.notify_ms_max;
        self.remind_interval_ms = self.remind_interval_ms.saturating_mul(2).min(longest_ms);
        self.remind_ms = now_ms + self.remind_interval_ms;
        tell_voters(core, out);
    }
}

impl Cast {
    fn of(heard: &Notification) -> Cast {
        let Notification { state, vote, round, version, config: _ } = *heard;
        Cast { vote, round, state, version }
    }

    /// Whether two say the same. Among servers that have a leader the epoch decides: it belongs to
    /// one leader, while zxid and round depend on when each of them joined. Servers before 3.4.6
    /// name another epoch than later ones, so that between the two only the leader counts.
    fn agrees(&self, other: &Cast) -> bool {
        let same_leader = self.vote.leader == other.vote.leader;
        if self.state == PeerState::Looking || other.state == PeerState::Looking {
            self.vote == other.vote && self.round == other.round
        } else if (self.version > Version::NONE) != (other.version > Version::NONE) {
            same_leader
        } else {
            same_leader && self.vote.peer_epoch == other.vote.peer_epoch
        }
    }
}

/// What a peer that is not looking says to a server that asks. A voter is told only while it looks
/// for a leader; who has no vote, an observer or a server yet to join, always. An observer tells no
/// voter, for which it would not count: voters answer observers, and so it would never end.
pub(crate) fn answer(
    core: &Core,
    state: PeerState,
    (from, heard): (ServerId, &Notification),
    out: &mut Out,
) {
    let counts = core.quorum.is_voter(from);
    let asks = heard.state == PeerState::Looking && core.quorum.is_voter(core.settings.my_id);
    if asks || !counts {
        notify(core, state, from, out);
    }
}

/// The election is over.
fn decide(core: &mut Core, chosen: Vote) -> Next {
    core.vote = chosen;
    let leader = chosen.leader;
    info!(%leader, round = core.round, epoch = chosen.peer_epoch, zxid = %chosen.zxid, "elected");
    if leader == core.settings.my_id { Next::Lead } else { Next::Learn(leader) }
}

/// Whether a quorum of these votes says this.
fn agreed(core: &Core, votes: &BTreeMap<ServerId, Cast>, cast: Cast) -> bool {
    let same = votes.iter().filter(|(_, vote)| cast.agrees(vote));
    let same: BTreeSet<ServerId> = same.map(|(server, _)| *server).collect();
    core.quorum.is_quorum(&same)
}

/// Whether a quorum of these has this leader and the leader itself says that it leads: otherwise a
/// server that is gone would be followed for as long as a quorum has not noticed it. This peer
/// leads if the others say so in its own round.
fn is_won(core: &Core, votes: &BTreeMap<ServerId, Cast>, cast: Cast) -> bool {
    let leader = cast.vote.leader;
    let leads = if leader == core.settings.my_id {
        core.round == cast.round
    } else {
        votes.get(&leader).is_some_and(|vote| vote.state == PeerState::Leading)
    };
    leads && agreed(core, votes, cast)
}

/// Whether a vote takes the place of another: never for a server of weight 0.
fn beats(core: &Core, vote: Vote, other: Vote) -> bool {
    core.quorum.may_lead(vote.leader) && rank(core, vote) > rank(core, other)
}

/// What makes a vote better: the higher epoch, then zxid, then server.
fn rank(core: &Core, vote: Vote) -> (i64, Zxid, ServerId) {
    if counts_stale(core) {
        return (0, Zxid::ZERO, vote.leader);
    }
    (vote.peer_epoch, vote.zxid, vote.leader)
}

/// Whether a server wants to hear the proposal: it does not count, and asks for nothing else; or it
/// looks too, and is in an earlier round, or in this one with a worse vote. Of two voters one at
/// most thinks so of the other, so that answers end; an observer thinks so of no voter, since those
/// answer it always.
fn asks(core: &Core, counts: bool, heard: &Notification) -> bool {
    let votes = core.quorum.is_voter(core.settings.my_id);
    let is_worse = rank(core, heard.vote) < rank(core, core.vote);
    let is_behind = heard.round < core.round || heard.round == core.round && is_worse;
    !counts || votes && heard.state == PeerState::Looking && is_behind
}

/// Tells every other voter the proposal.
fn tell_voters(core: &Core, out: &mut Out) {
    for voter in core.quorum.voters().filter(|voter| *voter != core.settings.my_id) {
        notify(core, PeerState::Looking, voter, out);
    }
}

fn notify(core: &Core, state: PeerState, to: ServerId, out: &mut Out) {
    let notification = Notification {
        state,
        vote: core.vote,
        round: core.round,
        version: Version::CURRENT,
        config: Some(core.settings.config.to_string().into()),
    };
    out.effects.push(Effect::Notify { to, notification: Box::new(notification) });
}

/// Whether this peer is broken so that votes of the past count, be they of an earlier round or for
/// a history that is behind.
#[cfg(feature = "canaries")]
fn counts_stale(core: &Core) -> bool {
    core.settings.is_broken(crate::broken::Break::StaleVoteAccepted)
}

#[cfg(not(feature = "canaries"))]
fn counts_stale(_core: &Core) -> bool {
    false
}
