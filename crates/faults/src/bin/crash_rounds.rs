//! `crash-rounds`: hundreds of power losses under load, and what the server must still hold.
//!
//! Prints the seed first, a line per group of rounds that share a data directory, every finding
//! with the command that repeats it, and last `N passed, N failed`. Ends with 0 if that is what was
//! expected, 1 if not, 2 if the rounds could not be run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::io;
use std::process::ExitCode;

use bellwether_faults::preload_library;
use bellwether_faults::rounds::chain::{Chain, RoundReport, Totals};
use bellwether_faults::rounds::options::{Detail, Expectation, Options, USAGE, fault_names};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}\n\nfaults: {}", fault_names());
        return ExitCode::SUCCESS;
    }
    let library = std::env::current_exe().ok().and_then(|program| preload_library(&program));
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let options = match Options::parse(arguments.into_iter(), library, seed) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("crash-rounds: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("seed {}", options.seed);
    match run(&options) {
        Ok(totals) => conclude(&options, &totals),
        Err(error) => {
            eprintln!("crash-rounds: the rounds could not be run: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> io::Result<Totals> {
    let mut all = Totals::default();
    let end = options.first_round + options.rounds_count;
    let mut round = options.first_round;
    while round < end {
        let first = round;
        let mut group = Totals::default();
        let mut chain = Chain::begin(options, round)?;
        let mut broken = false;
        while round < end
            && !broken
            && (round == first || !round.is_multiple_of(options.chain_rounds))
        {
            let report = chain.run_round(round)?;
            print_round(options, &report, (first, &chain));
            group.add(&report);
            all.add(&report);
            broken = !report.findings.is_empty();
            round += 1;
        }
        print_group(first, round - 1, &group);
        if !broken {
            std::fs::remove_dir_all(chain.home())?;
        } else if options.caught == Expectation::OneFails {
            break;
        }
    }
    if all.failed_count == 0 {
        std::fs::remove_dir_all(&options.work)?;
    }
    Ok(all)
}

fn print_round(options: &Options, report: &RoundReport, (first, chain): (u64, &Chain<'_>)) {
    let passed = report.findings.is_empty();
    if options.detail == Detail::Rounds || !passed {
        println!(
            "round {} {}: {}, {} acknowledged, {} errors injected, {} sectors lost, {} kept",
            report.round,
            report.fault.row().name,
            if passed { "passed" } else { "FAILED" },
            report.acks_count,
            report.fired.len(),
            report.survivors.sectors_lost_count,
            report.survivors.sectors_kept_count,
        );
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
    if !passed {
        println!("  directories kept: {}", chain.home().display());
        println!("  repeat: {}", options.repeat_command(first, report.round));
    }
}

fn print_group(first: u64, last: u64, group: &Totals) {
    println!(
        "rounds {first}-{last}: {} passed, {} failed; {} writes acknowledged, {} errors injected, \
         {} files torn, {} sectors and {} names lost",
        group.passed_count,
        group.failed_count,
        group.acks_count,
        group.fired_count,
        group.survivors.files_torn_count,
        group.survivors.sectors_lost_count,
        group.survivors.names_lost_count,
    );
}

fn conclude(options: &Options, totals: &Totals) -> ExitCode {
    for (fault, of_fault) in &totals.by_fault {
        println!(
            "{}: {} rounds, {} with an injected error, {} failed, {} writes acknowledged",
            fault.row().name,
            of_fault.rounds_count,
            of_fault.struck_count,
            of_fault.failed_count,
            of_fault.acks_count,
        );
    }
    for (kind, count) in &totals.by_kind {
        println!("{kind}: in {count} rounds");
    }
    let rounds_count = totals.passed_count + totals.failed_count;
    let (passed, failed) = match options.caught {
        Expectation::AllPass => (totals.passed_count, totals.failed_count),
        Expectation::SomeFail | Expectation::OneFails => {
            println!("caught in {} of {rounds_count} rounds", totals.failed_count);
            (u64::from(totals.failed_count > 0), u64::from(totals.failed_count == 0))
        }
    };
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
