//! `cargo xtask bench`: Apache ZooKeeper and Bellwether on this machine, alternating in one run.
//!
//! Keeps true: both are driven by the same load generator with the same arguments, start with an
//! empty directory on the same file system, sync what they acknowledge, and take turns, so that
//! a busy moment of the machine meets both. The page says what was run.
//! Leaves the load itself to `bellwether bench`, and the page's form to `page`.

use std::time::Duration;

use crate::json::Json;
use crate::process::{read, run, write};
use crate::report::say;
use crate::server::{Flavour, Launch, Server, bellwether};
use crate::workspace::Workspace;

mod ensemble;
mod page;
mod python;
mod steps;

/// Where the result is written.
const PAGE: &str = "docs/BENCHMARKS.md";
/// What is measured, in this order, on one server after the other.
const WORKLOADS: [&str; 4] = ["get", "set", "create", "mixed"];
/// Seconds of load before measuring: a Java virtual machine compiles what is hot meanwhile.
const WARM_UP_S: &str = "8";
/// What a workload may take on top of its own time: preparing nodes, and removing them.
const ROOM: Duration = Duration::from_mins(3);

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    rounds: u32,
    seconds: u32,
    part: Part,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// Ensembles alone; the rest of the page stays.
    Ensemble,
    /// The Python package and kazoo alone; the rest of the page stays.
    Python,
}

impl Plan {
    pub(crate) const USAGE: &str = "bench [--rounds N] [--seconds S] [--part ensemble|python]";

    /// Reads the options; three rounds are the least that has a middle.
    pub(crate) fn parse(mut words: &[&str]) -> Result<Self, String> {
        let mut plan = Self { rounds: 3, seconds: 10, part: Part::All };
        while let [name, value, rest @ ..] = words {
            let part = match (*name, *value) {
                ("--part", "ensemble") => Some(Part::Ensemble),
                ("--part", "python") => Some(Part::Python),
                _ => None,
            };
            if let Some(part) = part {
                plan.part = part;
                words = rest;
                continue;
            }
            let number = value.parse().map_err(|e| format!("{name} {value}: {e}"))?;
            match *name {
                "--rounds" => plan.rounds = number,
                "--seconds" => plan.seconds = number,
                _ => return Err(format!("no such option: {name}\n{}", Self::USAGE)),
            }
            words = rest;
        }
        match words {
            [] if plan.rounds >= 3 && plan.seconds >= 1 => Ok(plan),
            [] => Err("at least 3 rounds of at least 1 second".to_owned()),
            _ => Err(format!("an option needs a value\n{}", Self::USAGE)),
        }
    }
}

/// What the load generator says of one workload on one server.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    ops_per_s: f64,
    ops_per_cpu_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    rss_peak_bytes: f64,
}

/// One measurement.
#[derive(Debug, Clone)]
struct Sample {
    round: u32,
    flavour: Flavour,
    workload: &'static str,
    figures: Figures,
}

/// Measures, and writes the page.
pub(crate) fn command(workspace: &Workspace, plan: Plan) -> Result<(), String> {
    let path = workspace.root().join(PAGE);
    let old = read(&path)?;
    let (single, rest) = cut(&old, ensemble::HEADING);
    let (ensembles, python) = cut(rest, python::HEADING);
    let all = plan.part == Part::All;
    let mut text = if all { single_servers(workspace, plan)? } else { single.to_owned() };
    text.push_str(&match plan.part {
        Part::All | Part::Ensemble => ensemble::render(&ensemble::measure(workspace, plan.rounds)?),
        Part::Python => ensembles.to_owned(),
    });
    text.push_str(&match plan.part {
        Part::All | Part::Python => python::measure(workspace, plan.rounds)?,
        Part::Ensemble => python.to_owned(),
    });
    write(&path, text)?;
    say(&format!("wrote {PAGE}"));
    Ok(())
}

/// What stands before a heading, and the rest from it on.
fn cut<'a>(text: &'a str, heading: &str) -> (&'a str, &'a str) {
    text.split_at(text.find(heading).unwrap_or(text.len()))
}

/// The page without ensembles.
fn single_servers(workspace: &Workspace, plan: Plan) -> Result<String, String> {
    let mut samples = Vec::new();
    for round in 1..=plan.rounds {
        for flavour in Flavour::BOTH {
            for workload in WORKLOADS {
                let figures = measure(workspace, plan, flavour, workload)?;
                say(&format!(
                    "round {round} {flavour}, {workload}: {:.0}/s, {:.0} per CPU second, p99 {:.0} us",
                    figures.ops_per_s, figures.ops_per_cpu_s, figures.p99_us
                ));
                samples.push(Sample { round, flavour, workload, figures });
            }
        }
    }
    let mut text = page::render(plan, &page::Machine::look(workspace)?, &samples);
    text.push_str(&page::longest_step(steps::measure(workspace)?));
    Ok(text)
}

/// One workload on a fresh server, so that peak memory belongs to the workload.
fn measure(
    workspace: &Workspace,
    plan: Plan,
    flavour: Flavour,
    workload: &str,
) -> Result<Figures, String> {
    let home = workspace.scratch("bench")?;
    let server = Launch::new(flavour, home.path()).start(workspace)?;
    let figures = drive(workspace, plan, &server, workload).map_err(|why| server.explain(&why))?;
    server.stop()?;
    Ok(figures)
}

fn drive(
    workspace: &Workspace,
    plan: Plan,
    server: &Server,
    workload: &str,
) -> Result<Figures, String> {
    let mut load = workspace.command(bellwether(workspace)?);
    load.args(["bench", "--json", "--connections", "16", "--inflight", "32", "--size", "100"]);
    load.args(["--server", &server.address(), "--workload", workload]);
    load.args(["--warmup", WARM_UP_S]);
    load.args(["--seconds", &plan.seconds.to_string(), "--pid", &server.pid().to_string()]);
    let limit = ROOM + Duration::from_secs(u64::from(plan.seconds));
    figures(&run(&mut load, limit)?.success()?.stdout)
}

/// The figures in what the load generator printed.
fn figures(text: &str) -> Result<Figures, String> {
    let json = Json::parse(text)?;
    let number = |name: &str| match json.get(name) {
        Some(Json::Number(number)) => Ok(*number),
        found => Err(format!("bench printed {found:?} for {name}\n{text}")),
    };
    let errors = number("errors")?;
    if errors > 0.0 {
        return Err(format!("{errors} requests failed\n{text}"));
    }
    Ok(Figures {
        ops_per_s: number("ops_per_s")?,
        ops_per_cpu_s: number("ops_per_cpu_s")?,
        p50_us: number("p50_us")?,
        p99_us: number("p99_us")?,
        p999_us: number("p999_us")?,
        rss_peak_bytes: number("rss_peak_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_bounded() {
        assert_eq!(Plan::parse(&[]), Ok(Plan { rounds: 3, seconds: 10, part: Part::All }));
        let plan = Plan::parse(&["--seconds", "5", "--rounds", "4"]);
        assert_eq!(plan, Ok(Plan { rounds: 4, seconds: 5, part: Part::All }));
        for (name, part) in [("ensemble", Part::Ensemble), ("python", Part::Python)] {
            assert_eq!(Plan::parse(&["--part", name]).map(|plan| plan.part), Ok(part));
        }
        for wrong in [
            &["--rounds", "2"][..],
            &["--rounds"],
            &["--x", "1"],
            &["--seconds", "x"],
            &["--part", "x"],
        ] {
            assert!(Plan::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_page_is_cut_before_a_heading_and_whole_without_it() {
        assert_eq!(cut("a\n## B\nc", "## B"), ("a\n", "## B\nc"));
        assert_eq!(cut("a\n", "## B"), ("a\n", ""));
    }

    #[test]
    fn a_figure_that_is_missing_is_an_error() {
        let whole = r#"{"workload":"get","ops_per_s":5,"ops_per_cpu_s":10.5,"p50_us":1,"p99_us":2,
            "p999_us":3,"rss_peak_bytes":4096,"errors":0}"#;
        assert_eq!(figures(whole).map(|found| found.ops_per_cpu_s), Ok(10.5));
        assert!(figures(&whole.replace("10.5", "null")).is_err());
        assert!(figures(&whole.replace("\"errors\":0", "\"errors\":2")).is_err());
    }
}
