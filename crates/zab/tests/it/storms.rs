//! Ensembles in a storm, with a seed for each: anything is late, links are cut, servers end at any
//! step and start again. While it lasts nothing that was promised is broken; when it is over all
//! members come to serve the same history.

use crate::disk;
use crate::elections::Dice;
use crate::network::Item;
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::Packet;
use bellwether_zab::Serving;

/// How many storms.
const SEEDS: u64 = 150;
/// How many steps of each.
const STEPS: u64 = 1_500;

/// Up to five servers with the same short history, or none.
fn ensemble(dice: &mut Dice) -> (World, Links) {
    let mut world = World::default();
    let count = 2 + dice.roll(4);
    let observers = if count > 3 && dice.roll(2) == 0 { "observers=4" } else { "" };
    let commit_log = 1 + dice.roll(6);
    let log_sync = if dice.roll(3) == 0 { "no-log-sync" } else { "" };
    let tick = "tick=200 init=10 sync=5";
    let cluster = format!("cluster {count} {observers} {tick} commit-log={commit_log} {log_sync}");
    world.command(&cluster).unwrap();
    world.truth = Some(crate::truth::Truth::default());
    let lazy = dice.roll(2) == 0;
    world.members.values_mut().for_each(|member| member.disk.lazy = lazy);
    let lossy = dice.roll(3) == 0;
    (world, if lossy { Links::Lossy } else { Links::Sound })
}

/// Whether packets about records are lost, as no connection loses them: a peer may be wrong, and
/// others must not take it for right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Sound,
    Lossy,
}

/// Loses the first packet about a record that a link carries.
fn lose(world: &mut World, place: usize) {
    let count = world.network.links.len().max(1);
    let Some(link) = world.network.links.values_mut().nth(place % count) else { return };
    let is_lost = |item: &Item| {
        matches!(
            item,
            Item::Packet(Packet::Proposal { .. } | Packet::Commit { .. } | Packet::Inform { .. })
        )
    };
    if let Some(place) = link.to_learner.iter().position(is_lost) {
        link.to_learner.remove(place);
        world.say("a packet is lost");
    }
}

/// What happens next.
fn something(world: &mut World, dice: &mut Dice, step: u64) -> Result<(), String> {
    let servers = world.servers();
    let (one, other) = (dice.one(&servers), dice.one(&servers));
    match dice.roll(100) {
        0..50 => {
            for _ in 0..dice.roll(4) {
                let _any = world.deliver_item(one, other)?;
            }
            let _any = world.deliver_vote(one, other)?;
        }
        50..62 => drop(world.work_disk(one)?),
        62..65 => drop(world.sync_disk(one)?),
        65..68 => drop(world.work_readers(one)?),
        68..74 => drop(world.is_up(one) && world.answer_dial(one)?),
        74..82 => {
            world.now_ms += dice.roll(60);
            tick(world)?;
        }
        82..91 => propose(world, one, step)?,
        91 => world.ask_for_confirmation(one)?,
        92 => world.settle()?,
        93 => {
            if world.is_up(one) {
                let applied = world.process(one)?.tree;
                world.member(one)?.disk.purge(applied);
            }
        }
        94 => drop(world.network.cuts.insert((one, other))),
        95..97 => {
            world.network.cuts.pop_first();
        }
        97 => {
            if world.is_up(one) {
                world.member(one)?.disk.tear(dice.place(4));
                world.crash(one)?;
            }
        }
        _ => {
            if !world.is_up(one) {
                world.start(one)?;
            }
        }
    }
    Ok(())
}

fn tick(world: &mut World) -> Result<(), String> {
    for server in world.running() {
        if world.process(server)?.peer.next_deadline() <= world.now_ms {
            world.step(server, bellwether_zab::Input::Tick)?;
        }
    }
    Ok(())
}

fn propose(world: &mut World, server: i64, step: u64) -> Result<(), String> {
    if !world.is_up(server) {
        return Ok(());
    }
    let Some(Serving::Leader { epoch }) = world.process(server)?.serves else { return Ok(()) };
    let last = world.last_zxid(server)?.max(Zxid::first_of(epoch));
    let next = last.next().ok_or("the counter is used up")?;
    let record = disk::tagged(next, i32::try_from(step).unwrap_or_default());
    world.say(format!("{server} proposes {}", crate::describe::zxid(next)));
    world.with(server, |peer, now, out| peer.propose(now, record, out))
}

/// A storm and what is left of it. Otherwise says what was wrong.
fn weathers(seed: u64, prepare: impl Fn(&mut World)) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let (mut world, links) = ensemble(&mut dice);
    prepare(&mut world);
    let told = weathered(&mut world, &mut dice, links);
    told.map_err(|problem| {
        let trace = world.take_trace();
        let from = trace.len().saturating_sub(if verbose() { 100_000 } else { 0 });
        format!("seed {seed}: {problem}\n{}", trace.get(from..).unwrap_or_default().join("\n"))
    })
}

/// Whether a storm that does harm is told with everything that happened.
fn verbose() -> bool {
    std::env::var_os("STORM").is_some()
}

fn weathered(world: &mut World, dice: &mut Dice, links: Links) -> Result<(), String> {
    for server in world.servers() {
        world.start(server)?;
    }
    for step in 0..STEPS {
        if links == Links::Lossy && dice.roll(60) == 0 {
            lose(world, dice.place(8));
        }
        something(world, dice, step)?;
    }
    world.say("the storm is over");
    world.network.cuts.clear();
    for server in world.servers() {
        if !world.is_up(server) {
            world.start(server)?;
        }
    }
    world.command("until all serve")?;
    for server in world.servers() {
        propose(world, server, STEPS)?;
    }
    // Whoever sees now that something was lost looks for the leader again.
    world.run(2_000)?;
    world.command("until all serve")?;
    for server in world.servers() {
        let content = &world.process(server)?.content.clone();
        let committed = world.truth.as_ref().map(|truth| &truth.committed);
        if Some(content) != committed {
            return Err(format!("{server} has {content:?} and not {committed:?}"));
        }
    }
    Ok(())
}

#[test]
fn storms_break_no_promise_and_pass() {
    let only = std::env::var("STORM").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        if let Err(problem) = weathers(seed, |_| {}) {
            panic!("{problem}");
        }
    }
}

/// A watcher that finds nothing proves nothing: every peer that is broken on purpose is found out.
#[cfg(feature = "canaries")]
#[test]
fn every_broken_peer_is_found_out() {
    use bellwether_zab::Break;
    let breaks = |world: &mut World, how: Break| {
        for member in world.members.values_mut() {
            member.settings.broken = Some(how);
        }
    };
    let mut survivors = Vec::new();
    for how in Break::ALL.iter().copied() {
        let found = (0..SEEDS).find_map(|seed| {
            let told = std::panic::catch_unwind(|| weathers(seed, |world| breaks(world, how)));
            match told {
                Ok(told) => told.err(),
                Err(_panic) => Some(format!("seed {seed}: a peer gave up")),
            }
        });
        match found {
            Some(problem) => println!("{}: {}", how.name(), problem.lines().next().unwrap()),
            None => survivors.push(how.name()),
        }
    }
    // What these storms do not show: a learner takes no truncation that its log cannot follow, a
    // late completion is seldom that of a record that was cut, and observers that lose something
    // are few. Scenarios and the simulator are for these.
    let hidden =
        ["zab-trunc-across-epochs", "zab-completion-of-truncated-append", "zab-observer-skips-gap"];
    assert_eq!(survivors, hidden);
}
