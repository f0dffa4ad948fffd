//! Figures of an ensemble of three members of one kind: what it does per second and per CPU second,
//! and how long it is away when something happens.
//!
//! What it keeps true: a measure begins with a fresh ensemble and empty directories, on addresses
//! of the loopback interface; every figure is a line `figure NAME VALUE`, with the unit last in the
//! name. Load comes from `bellwether bench`, so that figures compare with those of one server.
//!
//! What it leaves to others: rounds, medians and the page; `cargo xtask bench` does that.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_wire::client::Request;

use crate::client::{Connection, Terms, create, set};
use crate::ensemble::{Ensemble, Ground};
use crate::load::{Load, ROOT};
use crate::member::{BadDisk, Kind, Part};
use crate::say;
use crate::settings::Settings;
use crate::wait::wait_for;

mod sessions;

/// Short ticks, and limits that let a member take over a large tree.
const LINES: &str = "tickTime=500\ninitLimit=120\nsyncLimit=10\n";
const MEMBERS: usize = 3;

/// Seconds of load before measuring, while a Java virtual machine compiles, and of measuring.
const WARM_UP_S: &str = "8";
const MEASURED_S: &str = "10";
/// How often a leader is killed.
const KILLS: usize = 20;
/// Between two attempts of the client that looks for a new leader.
const REDIAL_AFTER: Duration = Duration::from_millis(10);
/// A client that waits for a server that was killed must look elsewhere.
const IMPATIENT: Terms = Terms { timeout_ms: 10_000, patience: Duration::from_secs(1) };
/// How far a member is behind, in writes, and how many nodes there are for a snapshot.
const BEHIND: u64 = 100_000;
const NODES: u64 = 1_000_000;
/// Who writes meanwhile, and how much before it begins.
const WRITERS: usize = 3;
const WRITES: u64 = 200;
/// How often the leader is asked for a node.
const READ_EVERY: Duration = Duration::from_millis(5);
/// A tree of 1.1 GB.
const LARGE_NODES: u64 = 1_150;
const LARGE_BYTES: usize = 950_000;
/// What a slow disk takes for each sync.
const SLOW: &str = "sync delay_ms=200";

struct Measure {
    name: &'static str,
    run: fn(&mut Bench<'_>) -> Result<(), String>,
}

#[rustfmt::skip]
const MEASURES: &[Measure] = &[
    Measure { name: "set", run: sets },
    Measure { name: "get", run: gets },
    Measure { name: "latency", run: latency },
    Measure { name: "failover", run: failover },
    Measure { name: "behind", run: behind },
    Measure { name: "snapshot", run: snapshot },
    Measure { name: "large-snapshot", run: large_snapshot },
    Measure { name: "sessions", run: sessions },
    Measure { name: "slow-follower", run: slow_follower },
];

struct Bench<'a> {
    settings: &'a Settings,
    ensemble: Ensemble,
}

/// Measures what is asked for.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    for measure in MEASURES.iter().filter(|measure| settings.wants(measure.name)) {
        let home = settings.work.join(format!("bench-{}", measure.name));
        let members = [(settings.subject, Part::Participant); MEMBERS];
        let ensemble = Ensemble::new(settings, (&members, LINES, false), Ground::Loopback, &home)?;
        let mut bench = Bench { settings, ensemble };
        let measured = bench.ensemble.start_all().and_then(|()| (measure.run)(&mut bench));
        measured.map_err(|why| bench.ensemble.explain(&format!("{}: {why}", measure.name)))?;
        drop(bench);
        fs::remove_dir_all(&home)
            .map_err(|error| format!("cannot remove {}: {error}", home.display()))?;
    }
    Ok(())
}

fn figure(name: &str, value: f64) {
    say(&format!("figure {name} {value:.3}"));
}

fn sets(bench: &mut Bench<'_>) -> Result<(), String> {
    let json = bench.load(&bench.everywhere(), &["--workload", "set"], &bench.timed("16", "32"))?;
    figure("sets_per_cpu_s", number(&json, "ops_per_cpu_s")?);
    figure("sets_per_s", number(&json, "ops_per_s")?);
    figure("resident_bytes", number(&json, "rss_peak_bytes")?);
    Ok(())
}

fn gets(bench: &mut Bench<'_>) -> Result<(), String> {
    let json = bench.load(&bench.everywhere(), &["--workload", "get"], &bench.timed("16", "32"))?;
    figure("gets_per_cpu_s", number(&json, "ops_per_cpu_s")?);
    figure("gets_per_s", number(&json, "ops_per_s")?);
    Ok(())
}

fn latency(bench: &mut Bench<'_>) -> Result<(), String> {
    let json = bench.load(&bench.everywhere(), &["--workload", "set"], &bench.timed("3", "1"))?;
    figure("set_p50_us", number(&json, "p50_us")?);
    figure("set_p99_us", number(&json, "p99_us")?);
    Ok(())
}

/// The leader is killed again and again; a client with one write at a time looks for the others.
fn failover(bench: &mut Bench<'_>) -> Result<(), String> {
    let ensemble = &mut bench.ensemble;
    let first = ensemble.leader()?;
    ensemble.write(first, 1, 10)?;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let leader = ensemble.leader()?;
        let addresses: Vec<_> = ensemble
            .others(&[leader])
            .into_iter()
            .map(|sid| ensemble.member(sid).address())
            .collect();
        let begun = Instant::now();
        ensemble.kill(&[leader])?;
        let acknowledged = addresses.iter().cycle().find_map(|address| {
            let written = Connection::begin(*address, IMPATIENT)
                .and_then(|mut connection| connection.call(&set("/bulk", b"back", -1)));
            match written {
                Ok(Ok(_)) => Some(begun.elapsed()),
                Ok(Err(_)) | Err(_) if begun.elapsed() > crate::wait::LIMIT => Some(Duration::MAX),
                Ok(Err(_)) | Err(_) => {
                    thread::sleep(REDIAL_AFTER);
                    None
                }
            }
        });
        times.push(acknowledged.ok_or("nobody to ask")?.as_secs_f64() * 1000.0);
        ensemble.whole()?;
    }
    times.sort_by(f64::total_cmp);
    figure("failover_median_ms", times.get(KILLS / 2).copied().unwrap_or(f64::NAN));
    figure("failover_worst_ms", times.last().copied().unwrap_or(f64::NAN));
    Ok(())
}

fn behind(bench: &mut Bench<'_>) -> Result<(), String> {
    let follower = bench.follower()?;
    let leader = bench.ensemble.leader()?;
    bench.ensemble.member_mut(follower).stop()?;
    bench.ensemble.write(leader, BEHIND, 100)?;
    let back = bench.back(follower)?;
    figure("behind_back_ms", back.as_secs_f64() * 1000.0);
    Ok(())
}

fn snapshot(bench: &mut Bench<'_>) -> Result<(), String> {
    let follower = bench.follower()?;
    let nodes = NODES.to_string();
    let plan = ["--connections", "16", "--inflight", "32", "--count", &nodes, "--keep"];
    bench.load(&bench.everywhere(), &["--workload", "create"], &plan)?;
    bench.ensemble.member_mut(follower).stop()?;
    bench.ensemble.member(follower).wipe()?;
    let back = bench.back(follower)?;
    figure("snapshot_back_ms", back.as_secs_f64() * 1000.0);
    Ok(())
}

/// A member without anything joins an ensemble that holds a gigabyte and writes; what a reader of
/// the leader notices. Apache's heap of 1,000 MB does not hold it.
fn large_snapshot(bench: &mut Bench<'_>) -> Result<(), String> {
    if bench.settings.subject == Kind::Apache {
        return Ok(());
    }
    let (leader, follower) = (bench.ensemble.leader()?, bench.follower()?);
    bench.ensemble.write_nodes(leader, LARGE_NODES, LARGE_BYTES)?;
    bench.ensemble.connection(leader)?.expect(&create(ROOT, b""))?;
    bench.ensemble.member_mut(follower).stop()?;
    bench.ensemble.member(follower).wipe()?;
    let address = bench.ensemble.member(leader).address();
    let before = bench.ensemble.member(leader).peak_bytes()?;
    let writers = Load::start(&[address], WRITERS, 1);
    writers.more(WRITES)?;
    let joined = AtomicBool::new(false);
    let (back, worst) = thread::scope(|scope| {
        let reader = scope.spawn(|| worst_read(address, &joined));
        let back = bench.back(follower);
        joined.store(true, Ordering::Relaxed);
        (back, reader.join().expect("a reader does not panic"))
    });
    let record = writers.end();
    let (back, worst) = (back?, worst?);
    if record.lost > 0 {
        return Err(format!("{} connections of the leader were lost", record.lost));
    }
    let grown = bench.ensemble.member(leader).peak_bytes()?.saturating_sub(before);
    figure("large_snapshot_back_ms", back.as_secs_f64() * 1000.0);
    figure("large_snapshot_worst_read_ms", worst.as_secs_f64() * 1000.0);
    let mib = u32::try_from(grown >> 20).map_err(|error| error.to_string())?;
    figure("large_snapshot_leader_grown_mib", f64::from(mib));
    Ok(())
}

/// Asks for a node again and again.
fn worst_read(address: SocketAddr, over: &AtomicBool) -> Result<Duration, String> {
    let told = |error: std::io::Error| format!("reading at the leader: {error}");
    let mut connection = Connection::begin(address, Terms::CALM).map_err(told)?;
    let mut worst = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let root = Request::Exists { path: "/".into(), watch: false };
        connection.call(&root).map_err(told)?.map_err(|code| format!("error {code}"))?;
        worst = worst.max(begun.elapsed());
        thread::sleep(READ_EVERY);
    }
    Ok(worst)
}

fn sessions(bench: &mut Bench<'_>) -> Result<(), String> {
    let leader = bench.ensemble.leader()?;
    let sessions = sessions::Crowd::gather(&bench.ensemble.addresses())?;
    let begun = Instant::now();
    bench.ensemble.kill(&[leader])?;
    let rest = bench.ensemble.others(&[leader]);
    let expired = sessions.come_back(|| bench.ensemble.leader_among(&rest).map(drop))?;
    figure("sessions_back_ms", begun.elapsed().as_secs_f64() * 1000.0);
    figure("sessions_expired", f64::from(expired));
    Ok(())
}

/// What the writers at the leader notice of a follower's disk; only ours is asked.
fn slow_follower(bench: &mut Bench<'_>) -> Result<(), String> {
    let Some(library) = bench.settings.faults.clone() else {
        return Ok(());
    };
    if bench.settings.subject == Kind::Apache {
        return Ok(());
    }
    let follower = bench.follower()?;
    for (name, plan) in [("set_p99_us_at_leader", None), ("set_p99_us_slow_follower", Some(SLOW))] {
        let member = bench.ensemble.member_mut(follower);
        member.stop()?;
        member.bad_disk =
            plan.map(|plan| BadDisk { library: library.clone(), plan: plan.to_owned() });
        bench.ensemble.whole()?;
        let leader = bench.ensemble.leader()?;
        let server = bench.ensemble.member(leader).address().to_string();
        let json = bench.load(&server, &["--workload", "set"], &bench.timed("3", "1"))?;
        figure(name, number(&json, "p99_us")?);
    }
    Ok(())
}

impl Bench<'_> {
    fn everywhere(&self) -> String {
        let all: Vec<String> = self.ensemble.addresses().iter().map(ToString::to_string).collect();
        all.join(",")
    }

    fn timed<'a>(&self, connections: &'a str, inflight: &'a str) -> [&'a str; 8] {
        let (warm, measured) = (["--warmup", WARM_UP_S], ["--seconds", MEASURED_S]);
        let [a, b] = warm;
        let [c, d] = measured;
        ["--connections", connections, "--inflight", inflight, a, b, c, d]
    }

    /// Runs the load generator; gives the line that it printed.
    fn load(&self, servers: &str, what: &[&str], plan: &[&str]) -> Result<String, String> {
        let pids: Vec<String> = self
            .ensemble
            .members
            .iter()
            .filter_map(|member| Some(member.pid()?.to_string()))
            .collect();
        let mut command = Command::new(&self.settings.load);
        command.args(["bench", "--json", "--size", "100", "--server", servers]);
        command.args(["--pid", &pids.join(",")]).args(what).args(plan);
        let done = command.stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("cannot start the load generator: {error}"))?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        match number(&text, "errors")? {
            errors if errors > 0.0 => Err(format!("{errors} requests failed\n{text}")),
            _none => Ok(text),
        }
    }

    fn follower(&self) -> Result<u8, String> {
        self.ensemble.followers()?.first().copied().ok_or_else(|| "no follower".to_owned())
    }

    /// Starts a member, and waits until it serves.
    fn back(&mut self, sid: u8) -> Result<Duration, String> {
        let begun = Instant::now();
        self.ensemble.start(&[sid])?;
        let member = self.ensemble.member(sid);
        wait_for("the member to serve", || Ok(member.status()))?;
        Ok(begun.elapsed())
    }
}

/// A number in the load generator's one flat JSON object.
fn number(json: &str, name: &str) -> Result<f64, String> {
    let missing = || format!("the load generator says nothing of {name}\n{json}");
    let (_, rest) = json.split_once(&format!("\"{name}\":")).ok_or_else(missing)?;
    let value = rest.split([',', '}']).next().unwrap_or_default();
    value.trim().parse().map_err(|error| format!("{}: {error}", missing()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_and_missed() {
        let json = "{\"ops\":12,\"p99_us\":3.5}";
        assert_eq!(number(json, "p99_us"), Ok(3.5));
        assert_eq!(number(json, "ops"), Ok(12.0));
        assert!(number(json, "p50_us").is_err());
    }
}
