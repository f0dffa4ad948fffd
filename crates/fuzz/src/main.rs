//! The program that looks for inputs which break a promise.
//!
//! What it keeps true: a failure is told as one line for the target's corpus, which `cargo test`
//! then repeats for ever.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use bellwether_fuzz::{Failure, TARGETS, Target, run, target, to_hex};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
Usage: bellwether-fuzz TARGET|all [--seconds N] [--seed S]

Changes the target's inputs and tries them for N seconds (default 10). The same seed (default 1)
gives the same inputs in the same order.
";

struct Arguments {
    targets: Vec<&'static Target>,
    time: Duration,
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("bellwether-fuzz: {error}\n\n{USAGE}\nTargets:");
            for target in TARGETS {
                eprintln!("  {:<12}{}", target.name, target.doc);
            }
            return ExitCode::from(2);
        }
    };
    let failed = arguments.targets.iter().filter(|target| !look(target, &arguments)).count();
    println!("{} passed, {failed} failed", arguments.targets.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut names, mut seconds, mut seed) = (Vec::new(), 10, 1);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Value(name) => names.push(name.string()?),
            short @ Short(_) | short @ Long(_) => return Err(short.unexpected()),
        }
    }
    let mut targets = Vec::new();
    for name in &names {
        match (name.as_str(), target(name)) {
            ("all", _) => targets.extend(TARGETS),
            (_, Some(target)) => targets.push(target),
            (_, None) => return Err(format!("there is no target {name}").into()),
        }
    }
    if targets.is_empty() {
        return Err("name a target".into());
    }
    Ok(Arguments { targets, time: Duration::from_secs(seconds), seed })
}

/// Whether no input broke a promise.
fn look(target: &Target, arguments: &Arguments) -> bool {
    let until = Instant::now() + arguments.time;
    // The clock is asked now and then: most inputs take a microsecond.
    let go_on = |inputs: u64| !inputs.is_multiple_of(64) || Instant::now() < until;
    match run(target, arguments.seed, go_on) {
        Ok(finished) => {
            let (inputs, accepted) = (finished.inputs, finished.accepted);
            println!("ok   {}: {inputs} inputs, {accepted} accepted", target.name);
            true
        }
        Err(Failure { input, inputs, message }) => {
            println!(
                "FAIL {}: {message}\n  after {inputs} inputs, seed {}",
                target.name, arguments.seed
            );
            println!(
                "  add this line to crates/fuzz/corpus/{}.hex to repeat it:\n{}",
                target.name,
                to_hex(&input)
            );
            false
        }
    }
}
