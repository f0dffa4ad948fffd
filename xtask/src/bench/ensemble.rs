//! The figures of ensembles of three: Apache's members and ours take turns, as single servers do.
//!
//! Keeps true: both are measured by the same program in the same run; what takes minutes (a million
//! nodes, twenty kills) is done in the first round, the rest in each, and a figure is the median.
//! Leaves what a measure is to `crates/ensembles`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::page::thousands;
use crate::ensemble::Driver;
use crate::process::run;
use crate::report::say;
use crate::server::Flavour;
use crate::workspace::Workspace;

/// All measures of one side.
const LIMIT: Duration = Duration::from_mins(40);
/// What later rounds measure again.
const EVERY_ROUND: [&str; 3] = ["set", "get", "latency"];
/// The heading of the part, by which it is found again.
pub(super) const HEADING: &str = "\n## Ensembles of three\n";
/// How long an election waits for a better vote, in the protocol itself.
const FINALIZE_MS: f64 = 200.0;

/// One line of the table.
struct Row {
    title: &'static str,
    figure: &'static str,
    /// What is taken off, and the divisor of the unit.
    less: f64,
    scale: f64,
    decimals: usize,
    target: &'static str,
}

const fn line(
    title: &'static str,
    figure: &'static str,
    (less, scale, decimals): (f64, f64, usize),
    target: &'static str,
) -> Row {
    Row { title, figure, less, scale, decimals, target }
}

/// A count as it is, microseconds as milliseconds, milliseconds as they are.
const COUNT: (f64, f64, usize) = (0.0, 1.0, 0);
const MICROS: (f64, f64, usize) = (0.0, 1e3, 2);
const MIB: (f64, f64, usize) = (0.0, 1_048_576.0, 0);
const ABOVE_FINALIZE: (f64, f64, usize) = (FINALIZE_MS, 1.0, 0);

#[rustfmt::skip]
const ROWS: [Row; 12] = [
    line("sets per CPU second of all three", "sets_per_cpu_s", COUNT, "≥ 10"),
    line("sets per second", "sets_per_s", COUNT, "≥ 5"),
    line("gets per CPU second, spread over the members", "gets_per_cpu_s", COUNT, "≥ 20"),
    line("gets per second", "gets_per_s", COUNT, ""),
    line("3 connections × 1 in flight, sets: p50 ms", "set_p50_us", MICROS, "≤ 0.6"),
    line("the same: p99 ms", "set_p99_us", MICROS, "≤ 0.5"),
    line("peak MiB of all three, under sets", "resident_bytes", MIB, ""),
    line("leader killed to the first write, ms above 200: median of 20", "failover_median_ms", ABOVE_FINALIZE, "≤ 0.5"),
    line("the same: worst of 20", "failover_worst_ms", ABOVE_FINALIZE, "≤ 0.5"),
    line("member 100,000 writes behind, restart to serving, ms", "behind_back_ms", COUNT, "≤ 0.3"),
    line("empty member, 1,000,000 nodes, start to serving, ms", "snapshot_back_ms", COUNT, "≤ 0.3"),
    line("10,000 sessions back after the leader was killed, ms", "sessions_back_ms", COUNT, "≤ 0.3"),
];

type Figures = BTreeMap<String, Vec<f64>>;

/// What both sides came to.
pub(super) struct Measured {
    apache: Figures,
    ours: Figures,
}

/// Measures so many rounds.
pub(super) fn measure(workspace: &Workspace, rounds: u32) -> Result<Measured, String> {
    let driver = Driver::build(workspace, &[])?;
    let mut measured = Measured { apache: Figures::new(), ours: Figures::new() };
    for round in 1..=rounds {
        for flavour in Flavour::BOTH {
            let mut command = driver.command(workspace, "bench")?;
            command.arg("--load").arg(driver.ours());
            let (subject, figures) = match flavour {
                Flavour::Apache => ("apache", &mut measured.apache),
                Flavour::Bellwether => ("bellwether", &mut measured.ours),
            };
            command.args(["--subject", subject]);
            if round > 1 {
                command.args(EVERY_ROUND);
            }
            let done = run(&mut command, LIMIT)?.success()?;
            for (name, value) in done.stdout.lines().filter_map(figure) {
                say(&format!("round {round} three of {flavour}, {name}: {value}"));
                figures.entry(name.to_owned()).or_default().push(value);
            }
        }
    }
    Ok(measured)
}

/// `figure NAME VALUE`
fn figure(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
    Some((name, value.parse().ok()?))
}

/// The part of the page.
pub(super) fn render(measured: &Measured) -> String {
    let mut part = format!(
        "{HEADING}\n\
         Three members on the loopback addresses of one machine, tickTime 500; 16 connections with 32\n\
         requests in flight each, spread over the members, where nothing else is said. The client that\n\
         looks for a new leader dials every 10 ms; 200 ms of every election are the protocol's own wait.\n\n\
         | measure | {} | {} | Bellwether ÷ Apache | wanted |\n| --- | ---: | ---: | ---: | ---: |\n",
        Flavour::Apache,
        Flavour::Bellwether,
    );
    for row in ROWS {
        let value = |side: &Figures| (median(side, row.figure) - row.less) / row.scale;
        let (apache, ours) = (value(&measured.apache), value(&measured.ours));
        let shown = |value: f64| thousands(&format!("{:.*}", row.decimals, value));
        writeln!(
            part,
            "| {} | {} | {} | {:.2} | {} |",
            row.title,
            shown(apache),
            shown(ours),
            ours / apache,
            row.target
        )
        .expect("a String takes everything");
    }
    let of = |name| median(&measured.ours, name) / 1e3;
    let (own, slow) = (of("set_p99_us_at_leader"), of("set_p99_us_slow_follower"));
    writeln!(
        part,
        "\nWith 200 ms for every sync of one follower, sets at the leader have a p99 of {slow:.2} ms, {:.2}\n\
         times the {own:.2} ms without (wanted: ≤ 1.2).",
        slow / own
    )
    .expect("a String takes everything");
    let back = of("large_snapshot_back_ms");
    let worst = median(&measured.ours, "large_snapshot_worst_read_ms");
    let grown = median(&measured.ours, "large_snapshot_leader_grown_mib");
    writeln!(
        part,
        "\nAn empty member of ours takes over 1.1 GB (1,150 nodes) while 3 clients write: {back:.1} s. The\n\
         longest that a read at the leader took meanwhile was {worst:.0} ms, and the leader's peak grew\n\
         by {grown:.0} MiB; nobody lost a connection. (Apache's 1,000 MB of heap do not hold that tree.)"
    )
    .expect("a String takes everything");
    part
}

fn median(figures: &Figures, name: &str) -> f64 {
    let mut values = figures.get(name).cloned().unwrap_or_default();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_both_sides_and_their_ratio() {
        let side = |sets, failover| {
            let of = |value| vec![value];
            Figures::from([
                ("sets_per_cpu_s".to_owned(), vec![sets, 1.0, 1e9]),
                ("failover_median_ms".to_owned(), of(failover)),
                ("set_p99_us_at_leader".to_owned(), of(2_000.0)),
                ("set_p99_us_slow_follower".to_owned(), of(2_200.0)),
                ("large_snapshot_back_ms".to_owned(), of(4_200.0)),
                ("large_snapshot_worst_read_ms".to_owned(), of(17.0)),
                ("large_snapshot_leader_grown_mib".to_owned(), of(100.0)),
            ])
        };
        let part =
            render(&Measured { apache: side(10_000.0, 600.0), ours: side(110_000.0, 300.0) });
        assert!(part.contains("| 10,000 | 110,000 | 11.00 | ≥ 10 |"), "{part}");
        assert!(part.contains("| 400 | 100 | 0.25 | ≤ 0.5 |"), "{part}");
        assert!(part.contains("clients write: 4.2 s."), "{part}");
        assert!(part.contains("was 17 ms, and the leader's peak grew\nby 100 MiB"), "{part}");
        assert!(part.contains("a p99 of 2.20 ms, 1.10\ntimes the 2.00 ms"), "{part}");
    }

    #[test]
    fn a_figure_is_a_line_of_three_words() {
        assert_eq!(figure("figure sets_per_s 12.500"), Some(("sets_per_s", 12.5)));
        assert_eq!(figure("member 1: x"), None);
    }
}
