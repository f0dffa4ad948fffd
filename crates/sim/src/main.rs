//! Seeds in, a verdict out; and the runner of the text scenarios.

use bellwether_sim::scenario::{self, OnDifference, Verdict};
use bellwether_sim::{Break, Run, Telling, run};
use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

const USAGE: &str = "\
bellwether-sim --seeds N [--from S] [--break NAME]   run N seeds, from S (0) on
bellwether-sim --seed S [--trace] [--break NAME]     repeat one
bellwether-sim scenario [--rewrite] [NAME ...]       run the text scenarios";

/// How many failing seeds are shown.
const SHOWN_MAX: usize = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut io::stdout().lock();
    let result = match args.split_first() {
        Some((command, rest)) if command == "scenario" => run_scenarios(rest, out),
        Some(_) => match Options::parse(&args) {
            Ok(options) => options.run(out),
            Err(problem) => writeln!(out, "{problem}\n{USAGE}").map(|()| false),
        },
        None => writeln!(out, "{USAGE}").map(|()| false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Options {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    broken: Option<Break>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
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
                "--trace" => options.trace = true,
                "--break" => {
                    let name = value()?;
                    let all: Vec<_> = Break::ALL.iter().map(|how| how.name()).collect();
                    let problem = || format!("--break {name} is none of {}", all.join(", "));
                    options.broken = Some(Break::from_name(name).ok_or_else(problem)?);
                }
                _ => return Err(format!("{arg} is not known")),
            }
        }
        if options.seed.is_none() && options.seeds == 0 {
            return Err("--seed or --seeds is missing".to_string());
        }
        Ok(options)
    }

    fn run(&self, out: &mut impl Write) -> io::Result<bool> {
        match self.seed {
            Some(seed) => self.run_one(seed, out),
            None => self.run_many(out),
        }
    }

    fn run_one(&self, seed: u64, out: &mut impl Write) -> io::Result<bool> {
        let telling = if self.trace { Telling::Everything } else { Telling::Verdict };
        let Run { violation, story, transactions, starts } = run(seed, self.broken, telling);
        for line in story {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "seed {seed}: {transactions} transactions, {starts} starts")?;
        let passed = violation.is_none();
        if let Some(violation) = violation {
            writeln!(out, "{violation}")?;
        }
        let (passes, fails) = if passed { (1, 0) } else { (0, 1) };
        writeln!(out, "{passes} passed, {fails} failed")?;
        Ok(passed)
    }

    fn run_many(&self, out: &mut impl Write) -> io::Result<bool> {
        let (mut done, mut failed, mut shown) = (0, 0, 0);
        let (mut transactions, mut starts) = (0, 0);
        for (seed, verdict) in self.verdicts() {
            done += 1;
            match verdict {
                Ok(run) if run.violation.is_none() => {
                    transactions += run.transactions as u64;
                    starts += run.starts;
                }
                Ok(run) => {
                    failed += 1;
                    let seen = run.violation.map(|seen| seen.to_string()).unwrap_or_default();
                    show(out, &mut shown, (seed, &seen), self.broken)?;
                }
                Err(panic) => {
                    failed += 1;
                    show(out, &mut shown, (seed, &panic), self.broken)?;
                }
            }
            if done % 10_000 == 0 {
                writeln!(out, "{done} of {} seeds, {failed} failed", self.seeds)?;
            }
        }
        writeln!(out, "{transactions} transactions, {starts} starts")?;
        writeln!(out, "{} passed, {failed} failed", done - failed)?;
        Ok(failed == 0)
    }

    /// Runs the seeds on every processor, each run on one thread; verdicts come as they are ready.
    fn verdicts(&self) -> mpsc::Receiver<(u64, Result<Run, String>)> {
        let (verdicts, receiver) = mpsc::sync_channel(1000);
        let (next, end) = (AtomicU64::new(self.from), self.from + self.seeds);
        let next = std::sync::Arc::new(next);
        std::panic::set_hook(Box::new(|_| {}));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (verdicts, next, broken) = (verdicts.clone(), next.clone(), self.broken);
            let mut seeds = std::iter::repeat_with(move || next.fetch_add(1, Ordering::Relaxed))
                .take_while(move |seed| *seed < end);
            let one = move |seed| {
                let run = || run(seed, broken, Telling::Verdict);
                let verdict = catch_unwind(AssertUnwindSafe(run));
                verdicts.send((seed, verdict.map_err(|panic| said(&*panic)))).is_ok()
            };
            std::thread::spawn(move || seeds.all(one));
        }
        receiver
    }
}

/// A failing seed, and the one command that repeats it.
fn show(
    out: &mut impl Write,
    shown: &mut usize,
    (seed, seen): (u64, &str),
    broken: Option<Break>,
) -> io::Result<()> {
    *shown += 1;
    if *shown > SHOWN_MAX {
        return Ok(());
    }
    writeln!(out, "seed {seed} failed: {seen}")?;
    match broken {
        None => writeln!(out, "  repeat it with: cargo xtask sim {seed}"),
        Some(how) => {
            let command = "cargo run --profile sim -p bellwether-sim --";
            writeln!(out, "  repeat it with: {command} --seed {seed} --break {}", how.name())
        }
    }
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
