//! Text scenarios of ensembles: commands above, what clients and roles showed below `----`.
//!
//! The members are those of the simulator; everybody is on time and nothing goes wrong but what the
//! commands say. All checkers watch. The language is listed in `scenarios/README.md`.

use super::client::Link;
use super::faults::Mend;
use super::network::Host;
use super::plan::Plan;
use super::world::{Action, Mode, World};
use crate::disk::{Chance, End};
use crate::scenario::command;
use crate::scenario::words::Words;

/// How long a command that waits for something waits.
const PATIENCE_US: u64 = 60_000_000;
const STEP_US: u64 = 1000;

/// The ensemble of a scenario.
pub(crate) struct Stage {
    world: Option<World>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage { world: None }
    }

    /// What happened since this was asked last.
    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.world.as_mut().map(|world| world.tale.take_shown()).unwrap_or_default()
    }

    /// Runs one command.
    pub(crate) fn command(&mut self, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = &mut Words::new(rest);
        if verb == "cluster" {
            let mut world = cluster(words)?;
            let result = until(&mut world, "every member serves", World::all_serve);
            self.world = Some(world);
            return result;
        }
        let world = self.world.as_mut().ok_or("begin with: cluster VOTERS")?;
        match verb {
            "run" => run(world, 1000 * words.number::<u64>("a time")?),
            "until" => match words.need("serving or quiet")? {
                "serving" => until(world, "every member serves", World::all_serve),
                "quiet" => until(world, "all have applied the same", World::is_quiet),
                other => Err(format!("nobody waits until {other:?}")),
            },
            "partition" => partition(world, words.need("groups, as in 1,2|3")?),
            "deaf" => {
                let (member, to) = (number(world, words)?, number(world, words)?);
                world.net.block(Host::Member(to), Host::Member(member));
                Ok(())
            }
            "heal" => {
                let now_us = world.now_us();
                world.net.heal(now_us);
                Ok(())
            }
            "crash" | "power-loss" => {
                let end = if verb == "crash" { End::Killed } else { End::PowerLost };
                let member = number(world, words)?;
                world.crash(member, end);
                Ok(())
            }
            "start" => {
                let member = number(world, words)?;
                world.start(member).map_err(|violation| violation.to_string())
            }
            "pause" => {
                let member = number(world, words)?;
                if let Some(machine) = world.members.get_mut(member - 1) {
                    machine.paused = true;
                }
                Ok(())
            }
            "resume" => {
                let member = number(world, words)?;
                world.resume(member).map_err(|violation| violation.to_string())
            }
            "compare" => {
                world.compare().map_err(|violation| violation.to_string())?;
                world.tale.show(|_| "all trees are equal".to_string());
                Ok(())
            }
            name => client(world, name, rest),
        }
    }
}

fn cluster(words: &mut Words<'_>) -> Result<World, String> {
    let observers = words.named_number("observers")?.unwrap_or(0);
    let memory = words.named_number("memory")?.unwrap_or(500);
    let voters = words.number("how many vote")?;
    let mut plan = Plan::for_scenario(voters, observers);
    plan.keep_in_memory(memory);
    let mut world = World::new(plan, None, &mut Chance::new(7), false);
    world.mode = Mode::Told;
    world.tale.show_scenario();
    for member in 1..=voters + observers {
        world.queue.at(0, Action::Mend(Mend::Restart(member)));
    }
    Ok(world)
}

fn number(world: &World, words: &mut Words<'_>) -> Result<usize, String> {
    let member: usize = words.number("a member")?;
    match (1..=world.members.len()).contains(&member) {
        true => Ok(member),
        false => Err(format!("there is no member {member}")),
    }
}

fn run(world: &mut World, us: u64) -> Result<(), String> {
    let until_us = world.now_us() + us;
    world.go_on_until(until_us).map_err(|violation| violation.to_string())
}

fn until(world: &mut World, what: &str, happened: impl Fn(&World) -> bool) -> Result<(), String> {
    let end_us = world.now_us() + PATIENCE_US;
    while !happened(world) {
        if world.now_us() > end_us {
            return Err(format!("waited in vain: {what}"));
        }
        run(world, STEP_US)?;
    }
    Ok(())
}

/// `1,2|3`: who is in different groups does not hear each other.
fn partition(world: &mut World, groups: &str) -> Result<(), String> {
    let parse = |text: &str| text.parse::<usize>().map_err(|error| format!("{text:?}: {error}"));
    let group = |text: &str| text.split(',').map(parse).collect::<Result<Vec<_>, _>>();
    let groups: Vec<Vec<usize>> = groups.split('|').map(group).collect::<Result<_, _>>()?;
    for (place, group) in groups.iter().enumerate() {
        let others = groups.iter().enumerate().filter(|(other, _)| *other != place);
        for other in others.flat_map(|(_, other)| other) {
            for member in group {
                world.net.block(Host::Member(*member), Host::Member(*other));
            }
        }
    }
    Ok(())
}

/// `c1 connect 2`, `c1 gone`, and whatever a client may ask for; `c1 send …` does not wait for the
/// reply.
fn client(world: &mut World, name: &str, rest: &str) -> Result<(), String> {
    let place = name.strip_prefix('c').and_then(|number| number.parse::<usize>().ok());
    let client = place.and_then(|place| place.checked_sub(1));
    let client = client.filter(|client| *client < world.clients.len());
    let client = client.ok_or_else(|| format!("{name:?} is neither command nor client"))?;
    let (verb, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let words = &mut Words::new(after);
    match verb {
        "connect" => {
            if let Some(timeout_ms) = words.named_number("timeout")?
                && let Some(it) = world.clients.get_mut(client)
            {
                it.timeout_ms = timeout_ms;
            }
            let member = number(world, words)?;
            if !world.dial_client(client, member) {
                return Err(format!("{member} does not answer"));
            }
            world.flush_client(client);
            world.client_turn_after(client, 1000);
            until(world, "an answer to a connect request", |world| {
                let link = world.clients.get(client).map(|it| it.link);
                !matches!(link, Some(Link::Connecting { .. }))
            })
        }
        "gone" => {
            world.leave(client);
            Ok(())
        }
        "send" => ask(world, client, after),
        _ => {
            ask(world, client, rest)?;
            until(world, "a reply", |world| {
                world.clients.get(client).is_none_or(|it| it.asked.is_empty())
            })
        }
    }
}

fn ask(world: &mut World, client: usize, line: &str) -> Result<(), String> {
    let request = command::request(line)?;
    let (told, now_us) = (world.checkers.told(), world.now_us());
    let it = world.clients.get_mut(client).ok_or("it was found a moment ago")?;
    if !matches!(it.link, Link::Connected { .. }) {
        return Err("it has no connection".to_string());
    }
    it.ask(request, told, now_us);
    world.flush_client(client);
    Ok(())
}
