//! docs/BENCHMARKS.md: the figures of one run, with what they were measured on.
//!
//! Keeps true: a figure is the median of the rounds and every round is shown; the machine is
//! described, not named. Leaves measuring to `bench`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::steps::Steps;
use super::{Figures, Plan, Sample, WARM_UP_S, WORKLOADS};
use crate::process::{read, run};
use crate::server::Flavour;
use crate::workspace::Workspace;

/// One column: its title, its unit's divisor, and where it stands in the figures.
struct Column {
    title: &'static str,
    scale: f64,
    decimals: usize,
    get: fn(&Figures) -> f64,
}

#[rustfmt::skip]
const COLUMNS: [Column; 6] = [
    Column { title: "per CPU second", scale: 1.0, decimals: 0, get: |f| f.ops_per_cpu_s },
    Column { title: "per second", scale: 1.0, decimals: 0, get: |f| f.ops_per_s },
    Column { title: "p50 ms", scale: 1e3, decimals: 2, get: |f| f.p50_us },
    Column { title: "p99 ms", scale: 1e3, decimals: 2, get: |f| f.p99_us },
    Column { title: "p99.9 ms", scale: 1e3, decimals: 2, get: |f| f.p999_us },
    Column { title: "peak MiB", scale: 1_048_576.0, decimals: 0, get: |f| f.rss_peak_bytes },
];

/// What the figures were measured on.
#[derive(Debug)]
pub(super) struct Machine {
    cores: usize,
    processor: String,
    memory_gib: f64,
    kernel: String,
    file_system: String,
    java: String,
}

impl Machine {
    pub(super) fn look(workspace: &Workspace) -> Result<Self, String> {
        let processors = read(Path::new("/proc/cpuinfo"))?;
        let memory = read(Path::new("/proc/meminfo"))?;
        let kernel = read(Path::new("/proc/sys/kernel/osrelease"))?;
        let mut java = workspace.command("java");
        let java = run(java.arg("-version"), Duration::from_mins(1))?.success()?.output();
        let mounts = read(Path::new("/proc/mounts"))?;
        let kib: f64 = member(&memory, "MemTotal")
            .and_then(|text| text.trim_end_matches("kB").trim().parse().ok())
            .unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: member(&processors, "model name").unwrap_or("unknown").to_owned(),
            memory_gib: kib / 1_048_576.0,
            // What follows the number says who built it.
            kernel: kernel.split('-').next().unwrap_or_default().trim().to_owned(),
            file_system: file_system(&mounts, &workspace.cached("scratch")?).to_owned(),
            java: java.lines().next().unwrap_or_default().replace('"', ""),
        })
    }
}

/// The value of `name : value`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// The type of the file system that a path is on: the longest mount point above it.
fn file_system<'a>(mounts: &'a str, path: &Path) -> &'a str {
    let rows = mounts.lines().map(|line| line.split(' ').collect::<Vec<&str>>());
    let above = rows.filter_map(|row| match row.as_slice() {
        [_, point, kind, ..] if path.starts_with(point) => Some((point.len(), *kind)),
        _ => None,
    });
    above.max_by_key(|(length, _)| *length).map_or("unknown", |(_, kind)| kind)
}

/// The page.
pub(super) fn render(plan: Plan, machine: &Machine, samples: &[Sample]) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`. {} and {} took turns on one machine, {} rounds, each\n\
         workload {} s after {} s of warm-up on a fresh server with an empty directory; 16\n\
         connections with 32 requests in flight each, 100 bytes per node; both sync before they\n\
         acknowledge. The load generator is `bellwether bench` for both and shares the machine\n\
         with the server, so the figure to compare is operations per CPU second of the server.\n\
         `mixed` is nine gets to one set. A figure is the median of the rounds.\n\n\
         Machine: {} cores of {}, {:.0} GiB, Linux {}, {} file system; {}, 1,000 MB of heap.\n",
        Flavour::Apache,
        Flavour::Bellwether,
        plan.rounds,
        plan.seconds,
        WARM_UP_S,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.file_system,
        machine.java,
    );
    page.push_str("\n## Bellwether ÷ Apache\n\n");
    page.push_str(&head(&["workload"]));
    for workload in WORKLOADS {
        let ratio = |column: &Column| {
            let of = |flavour| median(samples, flavour, workload, column.get);
            format!("{:.2}", of(Flavour::Bellwether) / of(Flavour::Apache))
        };
        page.push_str(&row(&[workload], COLUMNS.iter().map(ratio)));
    }
    page.push_str("\n## Medians\n\n");
    page.push_str(&head(&["workload", "server"]));
    for workload in WORKLOADS {
        for flavour in Flavour::BOTH {
            let cells = COLUMNS
                .iter()
                .map(|column| cell(column, median(samples, flavour, workload, column.get)));
            page.push_str(&row(&[workload, &flavour.to_string()], cells));
        }
    }
    page.push_str("\n## Every round\n\n");
    page.push_str(&head(&["round", "workload", "server"]));
    for sample in samples {
        let cells = COLUMNS.iter().map(|column| cell(column, (column.get)(&sample.figures)));
        let names = [&sample.round.to_string(), sample.workload, &sample.flavour.to_string()];
        page.push_str(&row(&names, cells));
    }
    page
}

/// The part on the longest step.
pub(super) fn longest_step(steps: Steps) -> String {
    format!(
        "\n## The longest step\n\n\
         While 1,500,000 nodes were created and snapshots were made, the longest step of the core was\n\
         {:.1} ms (`zk_core_step_ms_max`, by the clock on the wall). A thread that only looks at the\n\
         clock, on the machine at rest, was kept from it for up to {:.1} ms at a time.\n",
        steps.step_ms, steps.stall_ms
    )
}

/// The middle of the rounds; of an even number, the mean of the two in the middle.
fn median(samples: &[Sample], flavour: Flavour, workload: &str, get: fn(&Figures) -> f64) -> f64 {
    let of = samples.iter().filter(|s| s.flavour == flavour && s.workload == workload);
    let mut values: Vec<f64> = of.map(|sample| get(&sample.figures)).collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().unwrap_or(f64::NAN);
    let lower = if values.len().is_multiple_of(2) { half.saturating_sub(1) } else { half };
    (values.get(lower).copied().unwrap_or(f64::NAN) + upper) / 2.0
}

fn cell(column: &Column, value: f64) -> String {
    thousands(&format!("{:.*}", column.decimals, value / column.scale))
}

/// `1234567.8` as `1,234,567.8`.
pub(super) fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

fn head(names: &[&str]) -> String {
    let titles = COLUMNS.iter().map(|column| column.title.to_owned());
    let left = names.iter().map(|_| "---").chain(COLUMNS.iter().map(|_| "---:"));
    format!("{}| {} |\n", row(names, titles), left.collect::<Vec<&str>>().join(" | "))
}

fn row(names: &[&str], cells: impl Iterator<Item = String>) -> String {
    let mut text = String::from("|");
    for name in names.iter().map(|name| (*name).to_owned()).chain(cells) {
        write!(text, " {name} |").expect("a String takes everything");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Part;

    fn sample(round: u32, flavour: Flavour, ops_per_cpu_s: f64) -> Sample {
        let figures = Figures {
            ops_per_s: 1.0,
            ops_per_cpu_s,
            p50_us: 500.0,
            p99_us: 1_000.0,
            p999_us: 2_000.0,
            rss_peak_bytes: 1_048_576.0,
        };
        Sample { round, flavour, workload: "get", figures }
    }

    #[test]
    fn the_page_shows_ratios_medians_and_every_round() {
        let rates = [(1, 100.0, 900.0), (2, 50.0, 800.0), (3, 300.0, 700.0)];
        let samples: Vec<Sample> = rates
            .into_iter()
            .flat_map(|(round, apache, ours)| {
                let of = |flavour, rate| sample(round, flavour, rate);
                [of(Flavour::Apache, apache), of(Flavour::Bellwether, ours)]
            })
            .collect();
        let machine = Machine {
            cores: 2,
            processor: "a processor".into(),
            memory_gib: 15.6,
            kernel: "6.1.0".into(),
            file_system: "ext4".into(),
            java: "openjdk version 17".into(),
        };
        let page = render(Plan { rounds: 3, seconds: 10, part: Part::All }, &machine, &samples);
        assert!(page.contains("| get | 8.00 | 1.00 | 1.00 |"), "{page}");
        assert!(
            page.contains("| get | Apache 3.9.5 | 100 | 1 | 0.50 | 1.00 | 2.00 | 1 |"),
            "{page}"
        );
        assert!(page.contains("| 2 | get | Bellwether | 800 |"), "{page}");
        assert!(page.contains("2 cores of a processor, 16 GiB, Linux 6.1.0, ext4"), "{page}");
    }

    #[test]
    fn an_even_number_of_rounds_has_a_mean_in_its_middle() {
        let samples: Vec<Sample> =
            [4.0, 1.0, 2.0, 9.0].into_iter().map(|rate| sample(1, Flavour::Apache, rate)).collect();
        let middle = median(&samples, Flavour::Apache, "get", |figures| figures.ops_per_cpu_s);
        assert!((middle - 3.0).abs() < 1e-9, "{middle}");
    }

    #[test]
    fn the_longest_mount_point_tells_the_file_system() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /var tmpfs rw 0 0\n/dev/b /var/lib xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/var/lib/x")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/var/libx")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/x")), "ext4");
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(thousands("1234567.8"), "1,234,567.8");
        assert_eq!(thousands("123"), "123");
    }
}
