//! Seeds in, a verdict out; and the runner of the text scenarios.

use bellwether_sim::ensemble::{EnsembleBreak, run_ensemble, run_for_speed};
use bellwether_sim::scenario::{self, OnDifference, Verdict};
use bellwether_sim::{Break, Telling, run};
use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

const USAGE: &str = "\
bellwether-sim [ensemble] --seeds N [--from S] [--break NAME]   run N seeds, from S (0) on
bellwether-sim [ensemble] --seed S [--trace] [--break NAME]     repeat one
bellwether-sim ensemble --speed N                               N operations, as fast as it can
bellwether-sim scenario [--rewrite] [NAME ...]                  run the text scenarios";

/// How many failing seeds are shown.
const SHOWN_MAX: usize = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut io::stdout().lock();
    let result = match args.split_first() {
        Some((command, rest)) if command == "scenario" => run_scenarios(rest, out),
        Some((command, rest)) if command == "ensemble" => run_seeds(World::Ensemble, rest, out),
        Some(_) => run_seeds(World::OneServer, &args, out),
        None => writeln!(out, "{USAGE}").map(|()| false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn run_seeds(world: World, args: &[String], out: &mut impl Write) -> io::Result<bool> {
    match Options::parse(world, args) {
        Ok(options) => options.run(out),
        Err(problem) => writeln!(out, "{problem}\n{USAGE}").map(|()| false),
    }
}

/// Which simulation it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    /// One server, its disk and its clients.
    OneServer,
    /// Members, their network and their clients.
    Ensemble,
}

/// What became of a seed.
struct Outcome {
    /// What was broken, if anything was.
    broken: Option<String>,
    story: Vec<String>,
    /// What it was and what it did, for whoever repeats it.
    summary: String,
    counts: Counts,
}

/// What was done, over all seeds.
#[derive(Clone, Copy, Default)]
struct Counts {
    transactions: u64,
    starts: u64,
    /// Requests of clients; counted for ensembles only.
    operations: u64,
}

/// What the command line asks for.
struct Options {
    world: World,
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    broken: Option<String>,
    speed: Option<u64>,
}

impl Options {
    fn parse(world: World, args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            world,
            seeds: 0,
            from: 0,
            seed: None,
            trace: false,
            broken: None,
            speed: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |value: &String| {
                value.parse::<u64>().map_err(|error| format!("{arg} {value}: {error}"))
            };
            match arg.as_str() {
                "--seeds" => options.seeds = number(value()?)?,
                "--from" => options.from = number(value()?)?,
                "--seed" => options.seed = Some(number(value()?)?),
                "--speed" if world == World::Ensemble => options.speed = Some(number(value()?)?),
                "--trace" => options.trace = true,
                "--break" => options.broken = Some(world.known_break(value()?)?),
                _ => return Err(format!("{arg} is not known")),
            }
        }
        if options.seed.is_none() && options.seeds == 0 && options.speed.is_none() {
            return Err("--seed or --seeds is missing".to_string());
        }
        Ok(options)
    }

    fn run(&self, out: &mut impl Write) -> io::Result<bool> {
        match (self.speed, self.seed) {
            (Some(operations), _) => measure(operations, out),
            (None, Some(seed)) => self.run_one(seed, out),
            (None, None) => self.run_many(out),
        }
    }

    fn run_one(&self, seed: u64, out: &mut impl Write) -> io::Result<bool> {
        let telling = if self.trace { Telling::Everything } else { Telling::Verdict };
        let outcome = self.world.run(seed, self.broken.as_deref(), telling);
        for line in outcome.story {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "seed {seed}: {}", outcome.summary)?;
        let passed = outcome.broken.is_none();
        if let Some(broken) = outcome.broken {
            writeln!(out, "{broken}")?;
        }
        let (passes, fails) = if passed { (1, 0) } else { (0, 1) };
        writeln!(out, "{passes} passed, {fails} failed")?;
        Ok(passed)
    }

    fn run_many(&self, out: &mut impl Write) -> io::Result<bool> {
        let (mut done, mut failed, mut shown) = (0, 0, 0);
        let mut counts = Counts::default();
        for (seed, verdict) in self.verdicts() {
            done += 1;
            let seen = match verdict {
                Ok(outcome) => {
                    counts.add(outcome.counts);
                    outcome.broken
                }
                Err(panic) => Some(panic),
            };
            if let Some(seen) = seen {
                failed += 1;
                self.show(out, &mut shown, (seed, &seen))?;
            }
            if done % 10_000 == 0 {
                writeln!(out, "{done} of {} seeds, {failed} failed", self.seeds)?;
            }
        }
        let Counts { transactions, starts, operations } = counts;
        if self.world == World::Ensemble {
            writeln!(out, "{operations} operations")?;
        }
        writeln!(out, "{transactions} transactions, {starts} starts")?;
        writeln!(out, "{} passed, {failed} failed", done - failed)?;
        Ok(failed == 0)
    }

    /// Runs the seeds on every processor, each run on one thread; verdicts come as they are ready.
    fn verdicts(&self) -> mpsc::Receiver<(u64, Result<Outcome, String>)> {
        let (verdicts, receiver) = mpsc::sync_channel(1000);
        let (next, end) = (AtomicU64::new(self.from), self.from + self.seeds);
        let next = std::sync::Arc::new(next);
        std::panic::set_hook(Box::new(|_| {}));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (verdicts, next) = (verdicts.clone(), next.clone());
            let (world, broken) = (self.world, self.broken.clone());
            let mut seeds = std::iter::repeat_with(move || next.fetch_add(1, Ordering::Relaxed))
                .take_while(move |seed| *seed < end);
            let one = move |seed| {
                let run = || world.run(seed, broken.as_deref(), Telling::Verdict);
                let verdict = catch_unwind(AssertUnwindSafe(run));
                verdicts.send((seed, verdict.map_err(|panic| said(&*panic)))).is_ok()
            };
            std::thread::spawn(move || seeds.all(one));
        }
        receiver
    }

    /// A failing seed, and the one command that repeats it.
    fn show(
        &self,
        out: &mut impl Write,
        shown: &mut usize,
        (seed, seen): (u64, &str),
    ) -> io::Result<()> {
        *shown += 1;
        if *shown > SHOWN_MAX {
            return Ok(());
        }
        writeln!(out, "seed {seed} failed: {seen}")?;
        let world = match self.world {
            World::OneServer => "",
            World::Ensemble => "ensemble ",
        };
        match &self.broken {
            None => writeln!(out, "  repeat it with: cargo xtask sim {world}{seed}"),
            Some(how) => {
                let command = "cargo run --profile sim -p bellwether-sim --features canaries --";
                writeln!(out, "  repeat it with: {command} {world}--seed {seed} --break {how}")
            }
        }
    }
}

impl World {
    /// The name of a way to be broken, if there is one of that name.
    fn known_break(self, name: &str) -> Result<String, String> {
        let all: Vec<&str> = match self {
            World::OneServer => Break::ALL.iter().map(|how| how.name()).collect(),
            World::Ensemble => EnsembleBreak::all().into_iter().map(EnsembleBreak::name).collect(),
        };
        if all.contains(&name) {
            return Ok(name.to_string());
        }
        Err(format!("--break {name} is none of {}", all.join(", ")))
    }

    fn run(self, seed: u64, broken: Option<&str>, telling: Telling) -> Outcome {
        match self {
            World::OneServer => {
                let run = run(seed, broken.and_then(Break::from_name), telling);
                let (transactions, starts) = (run.transactions as u64, run.starts);
                Outcome {
                    broken: run.violation.map(|violation| violation.to_string()),
                    story: run.story,
                    summary: format!("{transactions} transactions, {starts} starts"),
                    counts: Counts { transactions, starts, operations: 0 },
                }
            }
            World::Ensemble => {
                let broken = broken.and_then(EnsembleBreak::from_name);
                let run = run_ensemble(seed, broken, telling);
                let transactions = run.transactions as u64;
                let (starts, operations) = (run.starts, run.operations);
                Outcome {
                    broken: run.violation.map(|violation| violation.to_string()),
                    story: run.tale,
                    summary: format!(
                        "{}: {operations} answers, {transactions} transactions, {starts} starts, \
                         {} ms",
                        run.plan, run.length_ms
                    ),
                    counts: Counts { transactions, starts, operations },
                }
            }
        }
    }
}

impl Counts {
    fn add(&mut self, more: Counts) {
        self.transactions += more.transactions;
        self.starts += more.starts;
        self.operations += more.operations;
    }
}

/// How many operations a second one core gets through.
fn measure(operations: u64, out: &mut impl Write) -> io::Result<bool> {
    let started = Instant::now();
    let run = run_for_speed(operations);
    let seconds = started.elapsed().as_secs_f64();
    if let Some(violation) = &run.violation {
        writeln!(out, "{violation}")?;
    }
    let (done, transactions) = (run.operations, run.transactions);
    writeln!(out, "{}: {done} operations, {transactions} transactions", run.plan)?;
    let per_second = u128::from(done) * 1000 / started.elapsed().as_millis().max(1);
    writeln!(out, "{seconds:.2} s, {per_second} operations a second")?;
    Ok(run.violation.is_none())
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without words"))
}

fn run_scenarios(args: &[String], out: &mut impl Write) -> io::Result<bool> {
    let rewrite = args.iter().any(|arg| arg == "--rewrite");
    let on_difference = if rewrite { OnDifference::Rewrite } else { OnDifference::Report };
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let paths = scenario::all().map_err(io::Error::other)?;
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.iter().any(|wanted| **wanted == name) {
            continue;
        }
        match scenario::run_file(&path, on_difference) {
            Verdict::Same => passed += 1,
            Verdict::Differs { line, expected, seen } => {
                let done = if rewrite { "rewritten" } else { "differs" };
                writeln!(out, "{name}: {done} from line {line}")?;
                writeln!(out, "  expected: {expected}\n  seen:     {seen}")?;
                failed += usize::from(!rewrite);
                passed += usize::from(rewrite);
            }
            Verdict::Failed(error) => {
                writeln!(out, "{name}: {error}")?;
                failed += 1;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}
