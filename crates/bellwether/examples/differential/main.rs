//! Runs the same random operations against Apache ZooKeeper and against this server, and compares
//! everything that clients are told: replies, watch events, their order, closed connections, and
//! the trees at the end. A stream that shows a difference is cut down to what is needed for it.
//!
//! `cargo run --release --example differential -- --apache H:P --ours H:P --seed S --ops N`
//!
//! Both servers need `extendedTypesEnabled=true`, `DigestAuthenticationProvider.superDigest` for
//! `super:secret`, `minSessionTimeout=800`, `maxSessionTimeout=600000`, and a container check
//! interval that no run reaches. They must be used by nobody else.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

mod plan;
mod random;
mod shown;
mod side;

use plan::Step;
use side::{Lines, Side};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many operations one stream has: the smaller, the sooner a difference is cut down.
const STREAM_OPS: usize = 250;
/// How many kinds of difference are cut down and shown in one run.
const SHOWN_MAX: usize = 6;
/// How many shorter streams are tried for one difference.
const TRIES_MAX: usize = 250;

/// A stream that takes longer waited for something that did not come.
const SLOW: Duration = Duration::from_secs(20);

static RUNS: AtomicU64 = AtomicU64::new(0);

struct Servers {
    apache: SocketAddr,
    ours: SocketAddr,
}

/// Where two transcripts part.
struct Difference {
    at: usize,
    apache: Lines,
    ours: Lines,
}

impl Difference {
    /// Lines that differ, without their numbers: differences of one kind look alike.
    fn kind(&self) -> String {
        let pairs = self.apache.iter().zip(&self.ours).find(|(a, b)| a != b);
        let (a, b) = match pairs {
            Some((a, b)) => (a.clone(), b.clone()),
            None => (
                self.apache.get(self.ours.len()).cloned().unwrap_or_default(),
                self.ours.get(self.apache.len()).cloned().unwrap_or_default(),
            ),
        };
        let strip = |s: &str| -> String {
            s.split_whitespace()
                .take(8)
                .collect::<Vec<_>>()
                .join(" ")
                .replace(|c: char| c.is_ascii_digit(), "")
        };
        format!("{} / {}", strip(&a), strip(&b))
    }
}

fn transcript(address: SocketAddr, run: u64, steps: &[Step]) -> io::Result<Vec<Lines>> {
    let mut side = Side::start(address, run)?;
    let mut all = steps.iter().map(|step| side.step(step)).collect::<io::Result<Vec<Lines>>>()?;
    all.push(side.tree()?);
    side.clean()?;
    Ok(all)
}

/// How often which operation had which outcome, to see that a run met enough of them.
type Outcomes = BTreeMap<String, usize>;

fn count(all: &[Lines], outcomes: &mut Outcomes) {
    let said = all.len().saturating_sub(1);
    for line in all.iter().take(said).flatten() {
        let mut words = line.split(' ').skip(1);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let outcome = match (second, words.nth(3)) {
            ("xid", Some(word)) if word.chars().all(|c| c.is_ascii_uppercase()) => word,
            ("xid", _) => "ok",
            _ => second.trim_matches(|c: char| !c.is_ascii_alphabetic()),
        };
        *outcomes.entry(format!("{first} {outcome}")).or_default() += 1;
    }
}

fn compare(
    servers: &Servers,
    steps: &[Step],
    outcomes: &mut Outcomes,
) -> io::Result<Option<Difference>> {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let (apache, ours) = std::thread::scope(|scope| {
        let apache = scope.spawn(|| transcript(servers.apache, run, steps));
        let ours = transcript(servers.ours, run, steps);
        (apache.join().expect("the driver does not panic"), ours)
    });
    let ours = ours?;
    count(&ours, outcomes);
    let pairs = apache?.into_iter().zip(ours);
    Ok(pairs.enumerate().find_map(|(at, (mut apache, mut ours))| {
        unordered(&mut apache);
        unordered(&mut ours);
        (apache != ours).then_some(Difference { at, apache, ours })
    }))
}

/// The end of a session deletes its nodes in no particular order in Apache's server, and replies
/// to auth and sasl are sent whenever they are ready.
fn unordered(lines: &mut Lines) {
    let ends = |l: &String| l.contains("closeSession") || l.contains("expired");
    if lines.iter().any(ends) {
        lines.sort();
    }
    let (early, rest) =
        lines.drain(..).partition(|l: &String| l.contains(" auth xid") || l.contains(" sasl xid"));
    let strip = |l: String| l.replace("early ", "");
    *lines = Vec::into_iter(early).chain(Vec::into_iter(rest)).map(strip).collect();
}

/// Leaves out what the difference does not need.
fn shrink(
    servers: &Servers,
    steps: Vec<Step>,
    first: Difference,
) -> io::Result<(Vec<Step>, Difference)> {
    let kind = first.kind();
    let (mut best, mut difference) = (steps, first);
    best.truncate(difference.at + 1);
    let mut tries = 0;
    let mut chunk = best.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < best.len() && tries < TRIES_MAX {
            let mut candidate = best.clone();
            let end = (at + chunk).min(candidate.len());
            candidate.drain(at..end);
            tries += 1;
            match compare(servers, &candidate, &mut Outcomes::new())? {
                Some(found) if found.kind() == kind => {
                    (best, difference, shorter) = (candidate, found, true);
                    best.truncate(difference.at + 1);
                }
                Some(_) | None => at += chunk,
            }
        }
        if tries >= TRIES_MAX || (chunk == 1 && !shorter) {
            break;
        }
        chunk = chunk.div_ceil(2).max(1);
        if chunk == 1 && shorter && best.len() < 2 {
            break;
        }
    }
    shrink_batches(servers, &kind, best, difference)
}

fn shrink_batches(
    servers: &Servers,
    kind: &str,
    mut best: Vec<Step>,
    mut difference: Difference,
) -> io::Result<(Vec<Step>, Difference)> {
    for step in (0..best.len()).rev() {
        let mut at = 0;
        while let Some(Step::Batch { sent, .. }) = best.get(step) {
            if at >= sent.len() || sent.len() == 1 {
                break;
            }
            let mut candidate = best.clone();
            if let Some(Step::Batch { sent, .. }) = candidate.get_mut(step) {
                sent.remove(at);
            }
            match compare(servers, &candidate, &mut Outcomes::new())? {
                Some(found) if found.kind() == kind => (best, difference) = (candidate, found),
                Some(_) | None => at += 1,
            }
        }
    }
    Ok((best, difference))
}

fn report(seed: u64, steps: &[Step], difference: &Difference) {
    println!("\n== seed {seed}, cut down to {} steps", steps.len());
    for (at, step) in steps.iter().enumerate() {
        println!("{at:3} {step:?}");
    }
    println!("-- after step {}", difference.at);
    let both = difference.apache.len().max(difference.ours.len());
    for at in 0..both {
        let (a, b) = (difference.apache.get(at), difference.ours.get(at));
        let mark = if a == b { ' ' } else { '!' };
        println!("{mark} apache: {}", a.map_or("-", |l| l));
        if a != b {
            println!("{mark} ours:   {}", b.map_or("-", |l| l));
        }
    }
}

fn main() -> io::Result<()> {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        options.insert(name, value);
    }
    let address = |name: &str| -> io::Result<SocketAddr> {
        let text =
            options.get(name).ok_or_else(|| io::Error::other(format!("{name} is missing")))?;
        text.parse().map_err(io::Error::other)
    };
    let servers = Servers { apache: address("--apache")?, ours: address("--ours")? };
    let number = |name: &str, default: u64| -> u64 {
        options.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, ops) = (number("--seed", 1), number("--ops", 20_000));
    let stream_ops =
        usize::try_from(number("--stream", STREAM_OPS as u64)).map_err(io::Error::other)?;
    RUNS.store(number("--run", u64::from(std::process::id()) % 1000 * 10_000), Ordering::Relaxed);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut outcomes = Outcomes::new();
    let (mut done, mut streams, mut different) = (0, 0, 0);
    while done < ops {
        let stream_seed = seed.wrapping_mul(1_000_003).wrapping_add(streams);
        let steps = random::stream(stream_seed, stream_ops);
        done += steps.iter().map(Step::len).sum::<usize>() as u64;
        streams += 1;
        let started = Instant::now();
        let difference = compare(&servers, &steps, &mut outcomes)?;
        if started.elapsed() > SLOW {
            println!("stream {stream_seed} took {:?}", started.elapsed());
        }
        let Some(difference) = difference else { continue };
        different += 1;
        let kind = difference.kind();
        let seen = kinds.entry(kind.clone()).or_default();
        *seen += 1;
        if *seen > 1 || kinds.len() > SHOWN_MAX {
            continue;
        }
        println!("stream {stream_seed} differs after step {}: {kind}", difference.at);
        report(
            stream_seed,
            steps.get(difference.at..=difference.at).unwrap_or_default(),
            &difference,
        );
        let (steps, difference) = shrink(&servers, steps, difference)?;
        report(stream_seed, &steps, &difference);
    }
    let answered: usize = outcomes.values().sum();
    println!(
        "\n{done} operations in {streams} streams, {answered} answers and events compared, \
         {different} streams differ"
    );
    let outcomes: Vec<String> =
        outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
    println!("{}", outcomes.join(" · "));
    for (kind, count) in kinds {
        println!("{count:4} × {kind}");
    }
    if different == 0 { Ok(()) } else { Err(io::Error::other("the servers differ")) }
}
