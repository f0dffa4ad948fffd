//! The longest step of the core with a million nodes in the tree: creates fill it while snapshots
//! are made, then creates and snapshots go on.
//!
//! Beside it stands what a thread sees that only looks at the clock, on the machine at rest: the
//! system, or what is below it, takes the processor away for so long at a time, and a step that it
//! hits takes so much longer.
//! Leaves to the tests that count visits to prove that a step is bounded at all.

use std::time::{Duration, Instant};

use crate::process::run;
use crate::report::say;
use crate::server::{Flavour, Launch, Server, bellwether};
use crate::workspace::Workspace;

/// How many nodes there are before, and how many are created while it is measured again.
const NODES: [u32; 2] = [1_000_000, 500_000];
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the machine at rest is watched.
const WATCHED: Duration = Duration::from_secs(20);
const METRIC: &str = "zk_core_step_ms_max";

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Steps {
    /// The longest step, milliseconds.
    pub(super) step_ms: f64,
    /// The longest time between two looks at the clock, milliseconds.
    pub(super) stall_ms: f64,
}

/// Measures.
pub(super) fn measure(workspace: &Workspace) -> Result<Steps, String> {
    let home = workspace.scratch("bench")?;
    let server = Launch::new(Flavour::Bellwether, home.path()).start(workspace)?;
    fill(workspace, &server).map_err(|why| server.explain(&why))?;
    let text = server.word("mntr")?;
    let step_ms = metric(&text)?;
    server.stop()?;
    let steps = Steps { step_ms, stall_ms: stalls().as_secs_f64() * 1000.0 };
    say(&format!(
        "longest step: {:.1} ms, longest stall of the machine: {:.1} ms",
        steps.step_ms, steps.stall_ms
    ));
    Ok(steps)
}

fn fill(workspace: &Workspace, server: &Server) -> Result<(), String> {
    for count in NODES {
        let mut load = workspace.command(bellwether(workspace)?);
        load.args(["bench", "--connections", "16", "--inflight", "32", "--size", "100"]);
        load.args(["--server", &server.address(), "--workload", "create", "--keep"]);
        load.args(["--count", &count.to_string()]);
        run(&mut load, PATIENCE)?.success()?;
    }
    Ok(())
}

/// The longest time between two looks at the clock of a thread that does nothing else.
fn stalls() -> Duration {
    let started = Instant::now();
    let (mut longest, mut last) = (Duration::ZERO, started);
    while last - started < WATCHED {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    longest
}

fn metric(text: &str) -> Result<f64, String> {
    let line = text.lines().find_map(|line| line.strip_prefix(METRIC));
    let value = line.and_then(|value| value.trim().parse().ok());
    value.ok_or_else(|| format!("mntr says nothing of {METRIC}:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_read_and_missed() {
        assert_eq!(metric("zk_a\t1\nzk_core_step_ms_max\t1.25\n"), Ok(1.25));
        assert!(metric("zk_a\t1\n").is_err());
    }
}
