//! Elections in any order of deliveries, with a seed for each: who is connected agrees, and nobody
//! is elected whom no quorum voted for.

use crate::describe;
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{PeerState, ServerId, Vote};
use bellwether_zab::{Effect, Input, LearnerLink, Out, Peer, Quorum};
use std::collections::{BTreeMap, BTreeSet};

/// How many orders are tried of each kind.
const SEEDS: u64 = 300;

/// Numbers that depend on nothing but the seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides.max(1)
    }

    /// A place among so many.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(count).unwrap())).unwrap()
    }

    /// One of these.
    pub(crate) fn one(&mut self, servers: &[i64]) -> i64 {
        servers[self.place(servers.len())]
    }
}

/// Up to seven servers, a random few of them observers, with histories.
fn thrown(seed: u64) -> (Dice, World) {
    let mut dice = Dice::new(seed);
    let count = dice.roll(7) + 1;
    let mut world = World::default();
    let observers: Vec<String> = (1..=count)
        .filter(|_| dice.roll(5) == 0)
        .take(usize::try_from(count - 1).unwrap())
        .map(|server| server.to_string())
        .collect();
    world.command(&format!("cluster {count} observers={}", observers.join(","))).unwrap();
    for server in 1..=count {
        let (epoch, counter) = (dice.roll(3) + 1, dice.roll(4));
        let current = epoch + dice.roll(2);
        let history = format!("history {server} received={epoch}:{counter} epoch={current}");
        world.command(&history).unwrap();
    }
    (dice, world)
}

fn state(world: &mut World, server: i64) -> PeerState {
    world.process(server).unwrap().peer.state()
}

/// Delivers some of the votes under way; `heard` sees the world after each.
fn deliver_some(world: &mut World, dice: &mut Dice, mut heard: impl FnMut(&World)) {
    let mut ways: Vec<(i64, i64)> = world.network.votes.keys().copied().collect();
    while !ways.is_empty() {
        let (from, to) = ways.swap_remove(dice.place(ways.len()));
        for _ in 0..dice.roll(3) {
            let _delivered = world.deliver_vote(from, to).unwrap();
            heard(world);
        }
    }
}

/// Delivers every vote that is under way.
fn deliver_all(world: &mut World) {
    let ways: Vec<_> = world.network.votes.iter().map(|(way, queue)| (*way, queue.len())).collect();
    for ((from, to), count) in ways {
        for _ in 0..count {
            let _delivered = world.deliver_vote(from, to).unwrap();
        }
    }
}

/// Ticks those who look; what a leader and its learners do is not the subject here.
fn tick_the_looking(world: &mut World) {
    for server in world.running() {
        let due = world.process(server).unwrap().peer.next_deadline() <= world.now_ms;
        if due && state(world, server) == PeerState::Looking {
            world.step(server, Input::Tick).unwrap();
        }
    }
}

/// Servers start within 100 ms of each other, and a message takes 40 ms at most: within a second
/// everybody has the same leader, the best of those who vote. Otherwise says what was wrong.
fn agrees(seed: u64, mut world: World, dice: &mut Dice) -> Result<(), String> {
    let voters: Vec<i64> = {
        let config = &world.members.values().next().unwrap().settings.config;
        config.participants().map(|(server, _)| server.0).collect()
    };
    let needed = voters.len() / 2 + 1;
    let mut away: BTreeSet<i64> = BTreeSet::new();
    while voters.len() - away.len() > needed && dice.roll(2) == 0 {
        away.insert(dice.one(&voters));
    }
    let mut starts: BTreeMap<i64, u64> = BTreeMap::new();
    for server in world.servers().into_iter().filter(|server| !away.contains(server)) {
        starts.insert(server, dice.roll(11) * 10);
    }
    for moment in 0..100 {
        world.now_ms = moment * 10;
        let now_ms = world.now_ms;
        for (server, _) in starts.iter().filter(|(_, at)| **at == now_ms) {
            world.start(*server)?;
            if dice.roll(4) == 0 {
                begin_in_a_later_round(&mut world, dice, (*server, &voters));
            }
        }
        if moment % 4 == 3 {
            deliver_all(&mut world)
        } else {
            deliver_some(&mut world, dice, |_| {})
        }
        tick_the_looking(&mut world);
    }
    let votes: BTreeSet<i64> = world
        .running()
        .into_iter()
        .map(|server| world.process(server).unwrap().peer.vote().leader.0)
        .collect();
    let best = starts.keys().filter(|server| voters.contains(server)).max_by_key(|server| {
        let disk = &world.members[*server].disk;
        (disk.current_epoch, disk.last(), **server)
    });
    if votes != BTreeSet::from([*best.unwrap()]) {
        return Err(format!("seed {seed}: {best:?} is the best and {votes:?} were elected"));
    }
    for server in world.running() {
        let state = state(&mut world, server);
        let expected = match (Some(&server) == best, voters.contains(&server)) {
            (true, _) => PeerState::Leading,
            (false, true) => PeerState::Following,
            (false, false) => PeerState::Observing,
        };
        if state != expected {
            return Err(format!("seed {seed}: {server} is {state} and not {expected}"));
        }
    }
    Ok(())
}

/// Somebody who is gone has told it of a later round, with a vote for almost nothing.
fn begin_in_a_later_round(world: &mut World, dice: &mut Dice, to: (i64, &[i64])) {
    let (to, voters) = to;
    let other = dice.one(voters);
    if other != to {
        let round = 2 + dice.roll(4);
        world.command(&format!("vote {other}->{to} LOOKING {other} round={round}")).unwrap();
    }
}

#[test]
fn who_is_connected_agrees_on_the_best_leader() {
    for seed in 0..SEEDS {
        let (mut dice, world) = thrown(seed);
        agrees(seed, world, &mut dice).unwrap();
    }
}

/// What servers have said: in what state, which vote, in which round.
type Said = BTreeMap<i64, Vec<(PeerState, Vote, i64)>>;

/// Votes are lost, come late, and servers end and start again: whoever is elected had a quorum of
/// votes for it. Otherwise says what was wrong.
fn elects_with_a_quorum(seed: u64, mut world: World, dice: &mut Dice) -> Result<(), String> {
    let mut said = Said::new();
    let servers = world.servers();
    for server in world.servers() {
        world.start(server)?;
    }
    for moment in 0..150 {
        world.now_ms += dice.roll(40);
        listen(&world, &mut said);
        let looking = looking(&mut world);
        match dice.roll(12) {
            0..8 => deliver_some(&mut world, dice, |world| listen(world, &mut said)),
            8 => {
                let ways: Vec<_> = world.network.votes.keys().copied().collect();
                if let Some(way) = ways.get(dice.place(50)) {
                    world.network.votes.remove(way);
                }
            }
            9 if moment % 3 == 0 => {
                let server = dice.one(&servers);
                world.crash(server)?;
                world.start(server)?;
            }
            10 => {
                let server = dice.one(&servers);
                let resigns = |peer: &mut Peer, now, out: &mut Out| peer.resign(now, "it may", out);
                world.with(server, resigns)?;
            }
            _ => tick_the_looking(&mut world),
        }
        listen(&world, &mut said);
        for server in looking {
            let vote = world.process(server)?.peer.vote();
            if state(&mut world, server) != PeerState::Looking
                && !has_quorum(&world, &said, (server, vote))
            {
                let vote = describe::vote(vote);
                return Err(format!("seed {seed}: {server} elects {vote}, after {said:?}"));
            }
        }
    }
    Ok(())
}

fn looking(world: &mut World) -> Vec<i64> {
    let running = world.running().into_iter();
    running.filter(|server| state(world, *server) == PeerState::Looking).collect()
}

/// Remembers what is under way.
fn listen(world: &World, said: &mut Said) {
    for ((from, _), queue) in &world.network.votes {
        let all = said.entry(*from).or_default();
        for one in queue.iter().map(|one| (one.state, one.vote, one.round)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
}

/// Whether a quorum, with the server itself, has ever said this in one round; or has said that it
/// has this leader, and so has the leader.
fn has_quorum(world: &World, said: &Said, (server, vote): (i64, Vote)) -> bool {
    let quorum = Quorum::of(&world.members[&server].settings.config);
    let who = |said_so: &dyn Fn(PeerState, Vote, i64) -> bool| -> BTreeSet<ServerId> {
        let them = said.iter().filter(|(_, all)| all.iter().any(|(s, v, r)| said_so(*s, *v, *r)));
        them.map(|(from, _)| ServerId(*from)).collect()
    };
    let rounds: BTreeSet<i64> = said.values().flatten().map(|(_, _, round)| *round).collect();
    let in_one_round = [0].iter().chain(&rounds).any(|in_round| {
        let mut them = who(&|_, one, round| one == vote && round == *in_round);
        them.insert(ServerId(server));
        quorum.is_quorum(&them)
    });
    let has_it = |state: PeerState, one: Vote| {
        state != PeerState::Looking
            && (one.leader, one.peer_epoch) == (vote.leader, vote.peer_epoch)
    };
    let leads = who(&|state, one, _| state == PeerState::Leading && has_it(state, one));
    let have_it = who(&|state, one, _| has_it(state, one));
    in_one_round || leads.contains(&vote.leader) && quorum.is_quorum(&have_it)
}

#[test]
fn nobody_is_elected_without_a_quorum_of_votes() {
    for seed in 0..SEEDS {
        let (mut dice, world) = thrown(seed);
        elects_with_a_quorum(seed, world, &mut dice).unwrap();
    }
}

/// A check that finds nothing proves nothing.
#[cfg(feature = "canaries")]
#[test]
fn a_peer_that_accepts_stale_votes_is_found_out() {
    let found = (0..SEEDS).find_map(|seed| {
        let (mut dice, mut world) = thrown(seed);
        for member in world.members.values_mut() {
            member.settings.broken = Some(bellwether_zab::Break::StaleVoteAccepted);
        }
        agrees(seed, world, &mut dice).err()
    });
    assert!(found.is_some(), "{SEEDS} seeds found nothing");
}

#[test]
fn who_looks_takes_no_learners() {
    let mut world = World::default();
    world.command("cluster 3").unwrap();
    world.start(1).unwrap();
    let mut out = Out::default();
    let peer = &mut world.process(1).unwrap().peer;
    peer.step(1, Input::LearnerConnected(LearnerLink(7)), &mut out);
    assert!(matches!(out.effects[..], [Effect::CloseLearner(LearnerLink(7))]), "{out:?}");
}

#[test]
fn an_epoch_that_is_saved_late_makes_the_vote_better() {
    let mut world = World::default();
    world.command("cluster 3").unwrap();
    world.command("history 1 received=5:1 epoch=5").unwrap();
    world.start(1).unwrap();
    world.step(1, Input::CurrentEpochSaved(6)).unwrap();
    let peer = &world.process(1).unwrap().peer;
    assert_eq!(peer.vote(), Vote { leader: ServerId(1), zxid: Zxid(0x5_0000_0001), peer_epoch: 6 });
}

#[test]
fn the_last_round_there_is_is_followed_by_another() {
    let mut world = World::default();
    world.command("cluster 1").unwrap();
    world.start(1).unwrap();
    world.command(&format!("vote 9->1 LOOKING 9 round={}", i64::MAX)).unwrap();
    assert_eq!(state(&mut world, 1), PeerState::Looking);
    world.command("cluster 3").unwrap();
    world.start(3).unwrap();
    world.command(&format!("vote 1->3 LOOKING 3 round={}", i64::MAX)).unwrap();
    world.command("tick 3 +200").unwrap();
    assert_eq!(state(&mut world, 3), PeerState::Leading);
    world.command("resign 3 it has enough").unwrap();
    assert_eq!(state(&mut world, 3), PeerState::Looking);
}
