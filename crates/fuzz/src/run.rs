//! The loop: an input from the pool, changed, given to the target.
//!
//! What it keeps true: a run is repeated by its target and seed; what was accepted joins the pool,
//! so that later inputs reach deeper.

use crate::mutate::{Random, mutate};
use crate::{Target, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// More accepted inputs than this replace others.
const POOL_INPUTS_MAX: usize = 2_000;
/// No input may take longer: a decoder must not be a way to stop a server.
const SLOW: Duration = Duration::from_secs(1);

/// What a run without a failure did.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Inputs that were accepted.
    pub accepted: u64,
}

/// An input that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The input.
    pub input: Vec<u8>,
    /// How many were tried before it.
    pub inputs: u64,
    /// What was said.
    pub message: String,
}

/// Tries the corpus, then changed inputs while `go_on` says so, which is told how many there were.
pub fn run(
    target: &Target,
    seed: u64,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Finished, Failure> {
    let mut random = Random::new(seed);
    let mut pool = target.corpus();
    let committed = pool.len();
    let mut finished = Finished { inputs: 0, accepted: 0 };
    for input in &pool {
        tell(try_one(target, input), input, &mut finished)?;
    }
    while go_on(finished.inputs) {
        // Half of the inputs come from the corpus, so that the pool does not drift away from it.
        let from = if random.below(2) == 0 { committed } else { pool.len() };
        let parent: &Vec<u8> = random.choose(pool.get(..from).unwrap_or(&pool));
        let input = mutate(parent, &pool, &mut random);
        if tell(try_one(target, &input), &input, &mut finished)? == Verdict::Accepted {
            keep(&mut pool, committed, input, &mut random);
        }
    }
    Ok(finished)
}

fn tell(
    tried: Result<Verdict, String>,
    input: &[u8],
    finished: &mut Finished,
) -> Result<Verdict, Failure> {
    let inputs = finished.inputs;
    let verdict = tried.map_err(|message| Failure { input: input.to_vec(), inputs, message })?;
    finished.inputs += 1;
    finished.accepted += u64::from(verdict == Verdict::Accepted);
    Ok(verdict)
}

fn keep(pool: &mut Vec<Vec<u8>>, committed: usize, input: Vec<u8>, random: &mut Random) {
    if pool.len() < POOL_INPUTS_MAX {
        pool.push(input);
        return;
    }
    let at = committed + random.below(pool.len().saturating_sub(committed));
    if let Some(place) = pool.get_mut(at) {
        *place = input;
    }
}

fn try_one(target: &Target, input: &[u8]) -> Result<Verdict, String> {
    let begun = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| (target.check)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })?;
    if begun.elapsed() > SLOW { Err("it took more than a second".to_owned()) } else { Ok(verdict) }
}
