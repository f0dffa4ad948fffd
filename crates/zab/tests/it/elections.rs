//! Elections in any order of deliveries, with a seed for each: who is connected agrees, and nobody
//! is elected whom no quorum voted for.

use crate::describe;
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{Notification, PeerState, ServerId, Vote};
use bellwether_zab::{Effect, Input, LearnerLink, Out};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers that depend on nothing but the seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of `0..sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides.max(1)
    }
}

/// Servers 1 to `count`, a random few of them observers, with histories.
fn ensemble(dice: &mut Dice, count: u64) -> World {
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
    world
}

fn state(world: &mut World, server: i64) -> PeerState {
    world.process(server).unwrap().peer.state()
}

/// Delivers some of the votes under way; `heard` sees the world after each.
fn deliver_some(world: &mut World, dice: &mut Dice, mut heard: impl FnMut(&World)) {
    let mut ways: Vec<(i64, i64)> = world.network.votes.keys().copied().collect();
    while !ways.is_empty() {
        let (from, to) = ways.swap_remove(usize::try_from(dice.roll(ways.len() as u64)).unwrap());
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
/// everybody has the same leader, the best of those who vote.
fn agrees(seed: u64) {
    let mut dice = Dice::new(seed);
    let count = dice.roll(7) + 1;
    let mut world = ensemble(&mut dice, count);
    let voters: Vec<i64> = {
        let config = &world.members.values().next().unwrap().settings.config;
        config.participants().map(|(server, _)| server.0).collect()
    };
    let needed = voters.len() / 2 + 1;
    let mut away: BTreeSet<i64> = BTreeSet::new();
    while voters.len() - away.len() > needed && dice.roll(2) == 0 {
        away.insert(voters[usize::try_from(dice.roll(voters.len() as u64)).unwrap()]);
    }
    let mut starts: BTreeMap<i64, u64> = BTreeMap::new();
    for server in world.servers().into_iter().filter(|server| !away.contains(server)) {
        starts.insert(server, dice.roll(11) * 10);
    }
    for moment in 0..100 {
        world.now_ms = moment * 10;
        let now_ms = world.now_ms;
        for (server, _) in starts.iter().filter(|(_, at)| **at == now_ms) {
            world.start(*server).unwrap();
            if dice.roll(4) == 0 {
                begin_in_a_later_round(&mut world, &mut dice, (*server, &voters));
            }
        }
        if moment % 4 == 3 {
            deliver_all(&mut world)
        } else {
            deliver_some(&mut world, &mut dice)
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
    assert_eq!(votes, BTreeSet::from([*best.unwrap()]), "seed {seed}");
    for server in world.running() {
        let state = state(&mut world, server);
        let expected = match (Some(&server) == best, voters.contains(&server)) {
            (true, _) => PeerState::Leading,
            (false, true) => PeerState::Following,
            (false, false) => PeerState::Observing,
        };
        assert_eq!(state, expected, "seed {seed}: server {server}");
    }
}

/// Somebody who is gone has told it of a later round, with a vote for almost nothing.
fn begin_in_a_later_round(world: &mut World, dice: &mut Dice, to: (i64, &[i64])) {
    let (to, voters) = to;
    let other = voters[usize::try_from(dice.roll(voters.len() as u64)).unwrap()];
    if other != to {
        let round = 2 + dice.roll(4);
        world.command(&format!("vote {other}->{to} LOOKING {other} round={round}")).unwrap();
    }
}

#[test]
fn who_is_connected_agrees_on_the_best_leader() {
    (0..500).for_each(agrees);
}

/// What servers have ever said, and in which order the world let them: votes are lost, come late,
/// and servers end and start again. Whoever is elected had a quorum of votes for it.
fn elects_with_a_quorum(seed: u64) {
    let mut dice = Dice::new(seed);
    let count = dice.roll(7) + 1;
    let mut world = ensemble(&mut dice, count);
    let mut said: BTreeMap<i64, Vec<Notification>> = BTreeMap::new();
    for server in world.servers() {
        world.start(server).unwrap();
    }
    for moment in 0..150 {
        world.now_ms += dice.roll(40);
        listen(&world, &mut said);
        let before: Vec<(i64, PeerState)> =
            world.running().into_iter().map(|s| (s, state(&mut world, s))).collect();
        match dice.roll(12) {
            0..8 => deliver_some(&mut world, &mut dice, |world| listen(world, &mut said)),
            8 => {
                let ways: Vec<_> = world.network.votes.keys().copied().collect();
                if let Some(way) = ways.get(usize::try_from(dice.roll(50)).unwrap()) {
                    world.network.votes.remove(way);
                }
            }
            9 if moment % 3 == 0 => {
                let server = i64::try_from(dice.roll(count)).unwrap() + 1;
                world.crash(server).unwrap();
                world.start(server).unwrap();
            }
            _ => tick_the_looking(&mut world),
        }
        listen(&world, &mut said);
        for (server, was) in before {
            let is = state(&mut world, server);
            if was == PeerState::Looking && is != PeerState::Looking {
                let vote = world.process(server).unwrap().peer.vote();
                assert!(
                    has_quorum(&world, &said, (server, vote)),
                    "seed {seed}: {server} elects {} and no quorum voted so:\n{}",
                    describe::vote(vote),
                    tell(&said)
                );
            }
        }
    }
}

fn tell(said: &BTreeMap<i64, Vec<Notification>>) -> String {
    let all = said.iter().flat_map(|(from, all)| all.iter().map(move |one| (from, one)));
    let lines = all.map(|(from, one)| format!("  {from} said {}", describe::notification(one)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Remembers what is under way.
fn listen(world: &World, said: &mut BTreeMap<i64, Vec<Notification>>) {
    for ((from, _), queue) in &world.network.votes {
        let all = said.entry(*from).or_default();
        for notification in queue.iter().filter(|one| !all.contains(one)).collect::<Vec<_>>() {
            all.push(notification.clone());
        }
    }
}

/// Whether a quorum, with the server itself, has ever said this: all in the same round, or with the
/// leader among those who say that it leads.
fn has_quorum(
    world: &World,
    said: &BTreeMap<i64, Vec<Notification>>,
    (server, vote): (i64, Vote),
) -> bool {
    let member = &world.members[&server];
    let quorum = bellwether_zab::Quorum::of(&member.settings.config);
    let rounds: BTreeSet<i64> = said.values().flatten().map(|one| one.round).collect();
    let who = |matches: &dyn Fn(&Notification) -> bool| -> BTreeSet<ServerId> {
        let them = said.iter().filter(|(_, all)| all.iter().any(matches));
        them.map(|(from, _)| ServerId(*from)).chain([ServerId(server)]).collect()
    };
    let in_one_round = rounds
        .iter()
        .any(|round| quorum.is_quorum(&who(&|one| one.vote == vote && one.round == *round)));
    let same = |one: &Notification| {
        one.state != PeerState::Looking
            && (one.vote.leader, one.vote.peer_epoch) == (vote.leader, vote.peer_epoch)
    };
    let mut established = who(&same);
    established.remove(&ServerId(server));
    let leads = |one: &Notification| one.state == PeerState::Leading && same(one);
    let leader_said = said.get(&vote.leader.0).is_some_and(|all| all.iter().any(leads));
    let alone = quorum.is_quorum(&BTreeSet::from([ServerId(server)]));
    in_one_round || alone || leader_said && quorum.is_quorum(&established)
}

#[test]
fn nobody_is_elected_without_a_quorum_of_votes() {
    (0..500).for_each(elects_with_a_quorum);
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
