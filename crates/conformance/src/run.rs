//! All scenarios on both sides, at the same time: compared with what they expect, or recorded.
//!
//! What it keeps true: a line per scenario and side, `ok SIDE NAME (TIME)` or `FAIL SIDE NAME`,
//! with an indented reason below the latter; scenarios with equal settings share a server, in the
//! order of their names; a server that a scenario broke is not used again.

use crate::launch::{Recipe, Server};
use crate::play::play;
use crate::scenario::{Scenario, Settings, Side};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How many lines from the first difference on are shown of either output.
const LINES_SHOWN: usize = 6;

/// What a scenario printed, block by block, or why it could not be played.
type Played = Result<Vec<Vec<String>>, String>;

/// Plays on both sides and prints the verdicts; true when all are as expected.
pub(crate) fn compare(scenarios: &[Scenario], apache: &Recipe, ours: &Recipe) -> bool {
    let all: Vec<&Scenario> = scenarios.iter().collect();
    let failed = |recipe: &Recipe| {
        let mut failed = 0;
        play_all(&all, recipe, &mut |scenario, played, took| {
            failed += usize::from(!verdict(scenario, recipe.side, (&played, took)));
        });
        failed
    };
    let failed: usize = thread::scope(|scope| {
        let other = scope.spawn(|| failed(apache));
        failed(ours) + other.join().expect("a side does not panic")
    });
    for scenario in scenarios {
        if let Some(reason) = &scenario.differs {
            println!("differs {}: {reason}", scenario.name);
        }
    }
    failed == 0
}

fn verdict(scenario: &Scenario, side: Side, (played, took): (&Played, Duration)) -> bool {
    let (side_name, name) = (side.name(), &scenario.name);
    let problem = match played {
        Ok(outputs) => difference(scenario, side, outputs),
        Err(why) => Some(why.clone()),
    };
    match problem {
        None => println!("ok {side_name} {name} ({:.1} s)", took.as_secs_f64()),
        Some(ref why) => {
            println!("FAIL {side_name} {name}\n    {}", why.trim_end().replace('\n', "\n    "));
        }
    }
    problem.is_none()
}

/// The first block that printed something else, as a difference of lines.
fn difference(scenario: &Scenario, side: Side, outputs: &[Vec<String>]) -> Option<String> {
    let expected = scenario.expected(side);
    let pairs = expected.iter().zip(outputs).zip(&scenario.blocks);
    let mut found = pairs.filter(|((expected, output), _)| **expected != output.as_slice());
    let ((expected, output), block) = found.next()?;
    let same = expected.iter().zip(output.iter()).take_while(|(a, b)| a == b).count();
    let rest = |lines: &[String], mark: &str| -> String {
        let shown = lines.iter().skip(same).take(LINES_SHOWN);
        shown.map(|line| format!("{mark}{line}\n")).collect()
    };
    let first = block.commands.first().map_or("", String::as_str);
    let mut text = format!("in the block of \"{first}\", after {same} lines as expected\n");
    text += &rest(expected, "-");
    text += &rest(output, "+");
    Some(text)
}

/// Plays on Apache and writes what it printed into the files; on this server too where it differs.
pub(crate) fn record(
    mut scenarios: Vec<Scenario>,
    apache: &Recipe,
    ours: &Recipe,
) -> Result<bool, String> {
    let all: Vec<&Scenario> = scenarios.iter().collect();
    let differing: Vec<&Scenario> = all.iter().copied().filter(|s| s.differs.is_some()).collect();
    let mut good = true;
    let mut collect = |list: &[&Scenario], recipe: &Recipe| {
        let mut outputs = BTreeMap::new();
        play_all(list, recipe, &mut |scenario, played, _| match played {
            Ok(played) => {
                outputs.insert(scenario.name.clone(), played);
            }
            Err(why) => {
                good = false;
                println!("FAIL {} {}\n    {why}", recipe.side.name(), scenario.name);
            }
        });
        outputs
    };
    let theirs = collect(&all, apache);
    let own = collect(&differing, ours);
    for scenario in &mut scenarios {
        let Some(outputs) = theirs.get(&scenario.name) else { continue };
        for (at, (block, output)) in scenario.blocks.iter_mut().zip(outputs).enumerate() {
            block.output.clone_from(output);
            let own = own.get(&scenario.name).and_then(|own| own.get(at));
            block.ours = own.filter(|own| *own != output).cloned();
        }
        if scenario.differs.is_some() && scenario.blocks.iter().all(|b| b.ours.is_none()) {
            good = false;
            println!("FAIL {}: it says that the servers differ, and they do not", scenario.name);
        }
        let text = scenario.text();
        let problem = |error| format!("cannot write {}: {error}", scenario.path.display());
        if fs::read_to_string(&scenario.path).map_err(problem)? != text {
            fs::write(&scenario.path, text).map_err(problem)?;
            println!("recorded {}", scenario.name);
        }
    }
    Ok(good)
}

/// Plays scenarios on one side, those with equal settings one after the other on one server.
fn play_all(
    scenarios: &[&Scenario],
    recipe: &Recipe,
    done: &mut dyn FnMut(&Scenario, Played, Duration),
) {
    let mut groups: BTreeMap<(&Settings, Option<&str>), Vec<&Scenario>> = BTreeMap::new();
    for scenario in scenarios {
        let own = scenario.fresh.then_some(scenario.name.as_str());
        groups.entry((&scenario.settings, own)).or_default().push(scenario);
    }
    let mut started = 0;
    for ((settings, _), group) in groups {
        let mut server: Option<Server> = None;
        for (number, scenario) in (1..).zip(group) {
            let begun = Instant::now();
            let ready = match server.take() {
                Some(server) => Ok(server),
                None => {
                    started += 1;
                    Server::start(recipe, settings, &started.to_string())
                }
            };
            let played = ready.and_then(|mut ready| {
                let played = play(&mut ready, number, scenario)?;
                server = Some(ready);
                Ok(played)
            });
            done(scenario, played, begun.elapsed());
        }
    }
}
