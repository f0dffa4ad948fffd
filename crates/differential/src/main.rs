//! Runs the same random operations against Apache ZooKeeper and against this server, and compares
//! everything that clients are told: replies, watch events, their order, closed connections, and
//! the trees at the end. A stream that shows a difference is cut down to what is needed for it,
//! printed, and written to a file that repeats it.
//!
//! Keeps true: a seed always makes the same streams, and what is not compared stands in one table
//! (`deliberate`). Leaves to `cargo xtask differential` to start the servers.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

mod compare;
mod conn;
mod deliberate;
mod fields;
mod plan;
mod random;
mod shown;
mod shrink;
mod side;
mod text;
mod zxids;

use compare::{Difference, Servers, Tally};
use plan::Step;
use shrink::Found;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io};

/// How many operations one stream has: the smaller, the sooner a difference is cut down.
const STREAM_OPS: usize = 250;
/// How long a difference may be cut down: where a reply is missing, every try takes its time.
const SHRINK_MAX: Duration = Duration::from_mins(2);
/// How many kinds of difference are cut down and shown in one run.
const SHOWN_MAX: usize = 6;

const USAGE: &str = "\
Usage: bellwether-differential --apache HOST:PORT --ours HOST:PORT [OPTION …]

  --seed N     the seed of all streams (1)
  --ops N      how many operations are compared, at the least (50000)
  --stream N   only this stream of the seed
  --replay F   only the stream in this file
  --save DIR   where streams that differ are written to (the current directory)
  --quiet      without the table of outcomes

Both servers need extendedTypesEnabled=true, a superDigest for super:secret,
minSessionTimeout=200, maxSessionTimeout=600000, tickTime=100, maxClientCnxns=0 and a
container check interval that no run reaches. Nobody else may use them.
";

/// What the command line asks for.
struct Options {
    servers: Servers,
    seed: u64,
    ops: usize,
    stream: Option<u64>,
    replay: Option<PathBuf>,
    save: PathBuf,
    quiet: bool,
}

/// `None` for `--help`.
fn parse() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt as _};
    let (mut apache, mut ours): (Option<SocketAddr>, Option<SocketAddr>) = (None, None);
    let (mut seed, mut ops, mut stream) = (1, 50_000, None);
    let (mut replay, mut save, mut quiet) = (None, PathBuf::from("."), false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("apache") => apache = Some(parser.value()?.parse()?),
            Long("ours") => ours = Some(parser.value()?.parse()?),
            Long("seed") => seed = parser.value()?.parse()?,
            Long("ops") => ops = parser.value()?.parse()?,
            Long("stream") => stream = Some(parser.value()?.parse()?),
            Long("replay") => replay = Some(parser.value()?.into()),
            Long("save") => save = parser.value()?.into(),
            Long("quiet") => quiet = true,
            Long("help") => return Ok(None),
            Long(_) | Short(_) | Value(_) => {
                return Err(argument.unexpected());
            }
        }
    }
    let apache = apache.ok_or("--apache is missing")?;
    let ours = ours.ok_or("--ours is missing")?;
    let servers = Servers { apache, ours };
    Ok(Some(Options { servers, seed, ops, stream, replay, save, quiet }))
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}\n{}", deliberate::table());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            println!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Driver::new(&options).run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("differential: {error}");
            ExitCode::from(2)
        }
    }
}

/// One run over many streams.
struct Driver<'a> {
    options: &'a Options,
    /// Makes the names of the nodes of all streams different.
    runs: u64,
    tally: Tally,
    kinds: BTreeMap<String, usize>,
}

impl<'a> Driver<'a> {
    fn new(options: &'a Options) -> Driver<'a> {
        Driver { options, runs: 0, tally: Tally::default(), kinds: BTreeMap::new() }
    }

    /// Plays every stream that is asked for; how many of them differ.
    fn run(mut self) -> io::Result<usize> {
        let (seed, mut ops, mut streams) = (self.options.seed, 0, 0);
        if let Some(path) = &self.options.replay {
            let file = fs::read_to_string(path).map_err(|error| said(path, error))?;
            let steps = text::read(&file, random::SLOTS).map_err(|error| said(path, error))?;
            (ops, streams) = (steps.iter().map(Step::len).sum(), 1);
            self.stream("replay", steps)?;
        } else if let Some(stream) = self.options.stream {
            (ops, streams) = (STREAM_OPS, 1);
            self.stream(&format!("{seed}-{stream}"), of_seed(seed, stream))?;
        } else {
            while ops < self.options.ops {
                self.stream(&format!("{seed}-{streams}"), of_seed(seed, streams))?;
                // The questions at the end of a stream do not count.
                ops += STREAM_OPS;
                streams += 1;
            }
        }
        Ok(self.finish(ops, streams))
    }

    fn finish(self, ops: usize, streams: u64) -> usize {
        let different: usize = self.kinds.values().sum();
        let Tally { answers, nodes, outcomes } = &self.tally;
        if !self.options.quiet {
            let outcomes: Vec<String> =
                outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
            println!("{}", outcomes.join(" · "));
        }
        for (kind, count) in &self.kinds {
            println!("{count:4} × {kind}");
        }
        println!(
            "seed {}: {ops} operations in {streams} streams, {answers} replies and events and \
             {nodes} nodes compared, {} kinds of outcome, {different} streams differ",
            self.options.seed,
            outcomes.len(),
        );
        println!("{} passed, {different} failed", streams.saturating_sub(different as u64));
        different
    }

    fn stream(&mut self, name: &str, steps: Vec<Step>) -> io::Result<()> {
        let first = self.compare(&steps).inspect_err(|error| {
            println!("stream {name} came to an end: {error}");
            self.save(name, &steps);
        })?;
        let Some(difference) = first else { return Ok(()) };
        let kind = difference.kind();
        let seen = self.kinds.entry(kind.clone()).or_default();
        *seen += 1;
        if *seen > 1 || self.kinds.len() > SHOWN_MAX {
            return Ok(());
        }
        println!("stream {name} differs after step {}: {kind}", difference.at);
        let found = Found { steps, difference };
        let end = Instant::now() + SHRINK_MAX;
        let found = shrink::shrink(found, &mut |steps| {
            if Instant::now() > end {
                return Ok(None);
            }
            Ok(self.compare(steps)?.filter(|found| found.kind() == kind))
        })?;
        report(&found);
        self.save(name, &found.steps);
        Ok(())
    }

    fn compare(&mut self, steps: &[Step]) -> io::Result<Option<Difference>> {
        self.runs += 1;
        compare::compare(&self.options.servers, self.runs, steps, &mut self.tally)
    }

    fn save(&self, name: &str, steps: &[Step]) {
        let path = self.options.save.join(format!("stream-{name}.txt"));
        match fs::write(&path, text::write(steps)) {
            Ok(()) => println!("repeat it: cargo xtask differential {}", path.display()),
            Err(error) => println!("{}", said(&path, error)),
        }
    }
}

/// The streams of a seed are numbered.
fn of_seed(seed: u64, stream: u64) -> Vec<Step> {
    random::stream(seed.wrapping_mul(1_000_003).wrapping_add(stream), STREAM_OPS)
}

fn said(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

/// A stream that was cut down, and both transcripts of the step that differs.
fn report(found: &Found) {
    let Found { steps, difference } = found;
    println!("cut down to {} steps:\n{}", steps.len(), text::write(steps).trim_end());
    match difference.at < steps.len() {
        true => println!("# after the last of them:"),
        false => println!("# the trees at the end:"),
    }
    for at in 0..difference.apache.len().max(difference.ours.len()) {
        let (a, b) = (difference.apache.get(at), difference.ours.get(at));
        let line = |line: Option<&String>| line.cloned().unwrap_or_else(|| "-".into());
        if a == b {
            println!("#   both:   {}", line(a));
        } else {
            println!("# ! apache: {}\n# ! ours:   {}", line(a), line(b));
        }
    }
}
