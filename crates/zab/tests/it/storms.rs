//! Ensembles in a storm, with a seed for each: anything is late, links are cut, servers end at any
//! step and start again. While it lasts nothing that was promised is broken; when it is over all
//! members come to serve the same history.

use crate::disk;
use crate::elections::Dice;
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_zab::Serving;

/// How many storms.
const SEEDS: u64 = 150;
/// How many steps of each.
const STEPS: u64 = 1_500;

/// Up to five servers with the same short history, or none.
fn ensemble(dice: &mut Dice) -> World {
    let mut world = World::default();
    let count = 2 + dice.roll(4);
    let observers = if count > 3 && dice.roll(2) == 0 { "observers=4" } else { "" };
    let commit_log = 1 + dice.roll(6);
    let log_sync = if dice.roll(3) == 0 { "no-log-sync" } else { "" };
    let tick = "tick=200 init=10 sync=5";
    let cluster = format!("cluster {count} {observers} {tick} commit-log={commit_log} {log_sync}");
    world.command(&cluster).unwrap();
    world.truth = Some(crate::truth::Truth::default());
    world
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
        50..65 => drop(world.work_disk(one)?),
        65..68 => drop(world.work_readers(one)?),
        68..74 => drop(world.is_up(one) && world.answer_dial(one)?),
        74..82 => {
            world.now_ms += dice.roll(60);
            tick(world)?;
        }
        82..92 => propose(world, one, step)?,
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
    let mut world = ensemble(&mut dice);
    prepare(&mut world);
    let told = weathered(&mut world, &mut dice);
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

fn weathered(world: &mut World, dice: &mut Dice) -> Result<(), String> {
    for server in world.servers() {
        world.start(server)?;
    }
    for step in 0..STEPS {
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
    world.settle()?;
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
    // What these storms cannot show: a disk that does things in their order hides the first two, a
    // learner of ours takes no truncation that its log cannot follow, no completion is late here, no
    // link loses a packet, and there is no node.
    let hidden = [
        "zab-current-epoch-before-sync",
        "zab-accepted-epoch-after-ack-epoch",
        "zab-trunc-across-epochs",
        "zab-completion-of-truncated-append",
        "zab-observer-skips-gap",
        "zab-ephemeral-leak-after-aborted-sync",
    ];
    assert_eq!(survivors, hidden);
}
