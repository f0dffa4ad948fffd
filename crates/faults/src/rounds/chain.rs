//! Rounds that share a data directory, one crash after the other.
//!
//! A round: start the server, load it until the power fails or an injected error ends it, make the
//! directory that survives, start the server on it, check, and lose the power once more. A chain
//! ends with its first finding, for what its clients expect is then void.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::check::check;
use super::faults::{Demand, Fault};
use super::options::{ExitCodes, Options};
use super::server::{Layout, Server, Started, readable};
use super::workload::{Client, Trigger, WINDOW_MAX, run};
use super::{Finding, FindingKind};
use crate::rng::Rng;
use crate::survivors::{Report, lose_power};

/// The documented exit code of a server whose log failed.
const EXIT_CODE_LOG_FAILED: i32 = 1;
/// Besides it, those of a server that does not begin to serve: the data directory cannot be used,
/// the first snapshot cannot be written.
const EXIT_CODES_AT_START: [i32; 3] = [EXIT_CODE_LOG_FAILED, 3, 10];
/// How long a server may take to end after its log has failed.
const EXIT_TIME_MAX: Duration = Duration::from_secs(10);
/// How often the record of injected errors is looked at under load.
const WATCH_INTERVAL: Duration = Duration::from_millis(1);
/// Replies after which a round ends whose fault has not struck or was survived, as it may be.
const ACKS_MAX: u64 = 2_000;
/// The same for a fault that the server must not survive: far more than it takes for it to strike,
/// because a round in which it does not proves little.
const ACKS_WITHOUT_FAULT_MAX: u64 = 20_000;

/// What one round came to.
#[derive(Debug, Clone)]
pub struct RoundReport {
    pub round: u64,
    pub fault: Fault,
    pub acks_count: u64,
    /// Injected errors, one line each.
    pub fired: Vec<String>,
    pub survivors: Report,
    pub findings: Vec<Finding>,
}

/// A chain in the making.
pub struct Chain<'a> {
    options: &'a Options,
    layout: Layout,
    clients: Vec<Client>,
    /// How long the server took to become ready, last time: where in recovery to strike.
    ready_time: Duration,
}

/// How the load ended.
enum End {
    /// By the power. No error that must end the server was known of by then; one that was injected
    /// in the same moment left the server no time to end.
    Killed,
    /// By the power, because the server had not ended although an error had told it to: it
    /// acknowledged more than can have been under way, or took too long.
    WentOn,
    /// Before it served anybody.
    ExitedAtStart(ExitStatus),
    Exited(ExitStatus),
}

impl<'a> Chain<'a> {
    /// Begins with empty directories.
    pub fn begin(options: &'a Options, first_round: u64) -> io::Result<Self> {
        readable(&options.library)?;
        let mut rng = Rng::new(options.seed).fork(first_round);
        let home = options.work.join(format!("chain-{first_round}"));
        let layout = Layout { home, split: rng.chance(1, 2) };
        layout.make()?;
        let clients = (0..options.clients_count).map(Client::new).collect();
        Ok(Self { options, layout, clients, ready_time: Duration::from_millis(50) })
    }

    /// Where this chain keeps its files.
    pub fn home(&self) -> &std::path::Path {
        &self.layout.home
    }

    /// Runs one round. An error means that the round could not be run, not that it failed.
    pub fn run_round(&mut self, round: u64) -> io::Result<RoundReport> {
        let mut rng = Rng::new(self.options.seed).fork(round);
        let fault = Fault::choose(&self.options.faults, &mut rng);
        let plan = fault.plan(&mut rng);
        let mut report = RoundReport {
            round,
            fault,
            acks_count: 0,
            fired: Vec::new(),
            survivors: Report::default(),
            findings: Vec::new(),
        };
        let end = self.load(&plan, &mut rng, &mut report)?;
        report.fired = self.layout.fired();
        if let Some(end) = end {
            self.judge_end(&end, &mut report);
            self.crash(&end, &mut rng, &mut report)?;
            self.restart_and_check(&mut rng, &mut report)?;
        }
        Ok(report)
    }

    /// Starts the server and loads it until it is gone. `None`: it did not come up, though nothing
    /// had failed.
    fn load(
        &mut self,
        plan: &str,
        rng: &mut Rng,
        report: &mut RoundReport,
    ) -> io::Result<Option<End>> {
        let server = Server::start(self.options, &self.layout, plan)?;
        let begun = Instant::now();
        match server.wait_ready()? {
            Started::Ready => self.ready_time = begun.elapsed(),
            Started::Exited(status) if !self.layout.fired().is_empty() => {
                return Ok(Some(End::ExitedAtStart(status)));
            }
            Started::Exited(status) => {
                report.findings.push(self.refused(&status.to_string()));
                return Ok(None);
            }
            Started::Silent => {
                report.findings.push(self.refused("no answer"));
                return Ok(None);
            }
        }
        let demand = report.fault.row().demand;
        let acks_target = match demand {
            // Most rounds are short, so that early log files and snapshots are hit often.
            Demand::GoOn if rng.chance(1, 3) => rng.between(1, 60),
            Demand::GoOn => rng.between(1, 800),
            Demand::Either => ACKS_MAX,
            Demand::Stop => u64::MAX, // Set once the error was seen.
        };
        let pause = if rng.chance(1, 2) { Duration::ZERO } else { micros(rng.below(4_000)) };
        let trigger = Trigger::new(acks_target, pause);
        report.findings.extend(self.run_clients(&server, &trigger, (demand, rng)));
        report.acks_count = trigger.acks_count();
        if trigger.has_struck() {
            server.kill()?;
            let went_on = trigger.was_hastened();
            return Ok(Some(if went_on { End::WentOn } else { End::Killed }));
        }
        // All clients are done: the server is ending, or each has closed its session.
        let fired = !self.layout.fired().is_empty();
        let patience = match demand {
            Demand::GoOn => Duration::from_millis(200),
            Demand::Stop | Demand::Either if fired => EXIT_TIME_MAX,
            Demand::Stop | Demand::Either => Duration::ZERO,
        };
        if let Some(status) = server.wait_exit(patience)? {
            return Ok(Some(End::Exited(status)));
        }
        server.kill()?;
        let went_on = demand == Demand::Stop && fired;
        Ok(Some(if went_on { End::WentOn } else { End::Killed }))
    }

    fn run_clients(
        &mut self,
        server: &Server,
        trigger: &Trigger,
        (demand, rng): (Demand, &mut Rng),
    ) -> Vec<Finding> {
        let layout = &self.layout;
        // A server that serves on after its log failed is stopped soon after the last reply that
        // can have been under way, before a snapshot makes up for what the log has lost.
        let more_acks = WINDOW_MAX * self.options.clients_count + rng.between(1, 60);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if demand == Demand::Stop {
                scope.spawn(|| watch(layout, (server, trigger), more_acks, &done));
            }
            let threads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| {
                    let rng = Rng::new(rng.next_u64());
                    scope.spawn(move || run(client, server, trigger, rng))
                })
                .collect();
            let findings = threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("a client's thread does not panic"))
                .collect();
            done.store(true, Ordering::SeqCst);
            findings
        })
    }

    /// Whether the server ended, or did not end, as the fault demands.
    fn judge_end(&self, end: &End, report: &mut RoundReport) {
        let demand = report.fault.row().demand;
        let fired = report.fired.first();
        match (end, demand, fired) {
            (End::WentOn, _, fired) => {
                let detail = format!("served on after {}", fired.map_or("?", String::as_str));
                report.findings.push(Finding::new(FindingKind::WentOn, detail));
            }
            (
                End::Exited(status) | End::ExitedAtStart(status),
                Demand::Stop | Demand::Either,
                Some(first),
            ) => {
                let codes: &[i32] = match end {
                    End::ExitedAtStart(_) => &EXIT_CODES_AT_START,
                    End::Exited(_) | End::WentOn | End::Killed => &[EXIT_CODE_LOG_FAILED],
                };
                let documented = status.code().is_some_and(|code| codes.contains(&code));
                if !documented && self.options.exit_code == ExitCodes::Documented {
                    let detail = format!("{status} after {first}");
                    report.findings.push(self.ended(&detail));
                }
            }
            (End::Exited(status) | End::ExitedAtStart(status), _, fired) => {
                let detail = format!("{status} under {} {fired:?}", report.fault.row().name);
                report.findings.push(self.ended(&detail));
            }
            (End::Killed, _, _) => {}
        }
    }

    /// Makes the directory that the restarted server sees.
    fn crash(&mut self, end: &End, rng: &mut Rng, report: &mut RoundReport) -> io::Result<()> {
        let only_process = match end {
            End::WentOn | End::Killed => report.fault == Fault::ProcessCrash,
            End::Exited(_) | End::ExitedAtStart(_) => rng.chance(1, 2),
        };
        if only_process {
            return Ok(()); // The page cache is intact and the shadow goes on.
        }
        report.survivors = self.lose_power(rng)?;
        if report.fault == Fault::CrashInRecovery {
            for _ in 0..rng.between(1, 3) {
                let server = Server::start(self.options, &self.layout, "")?;
                let whole = u64::try_from(self.ready_time.as_micros()).unwrap_or(u64::MAX);
                server.wait_exit(micros(rng.below(whole.max(1))))?;
                server.kill()?;
                self.lose_power(rng)?;
            }
        }
        Ok(())
    }

    fn lose_power(&self, rng: &mut Rng) -> io::Result<Report> {
        lose_power(
            &self.layout.watched(),
            &self.layout.shadow(),
            &self.layout.before(),
            self.options.tear,
            rng,
        )
    }

    fn restart_and_check(&mut self, rng: &mut Rng, report: &mut RoundReport) -> io::Result<()> {
        let server = Server::start(self.options, &self.layout, "")?;
        match server.wait_ready()? {
            Started::Ready => match check(&mut self.clients, server.address) {
                Ok(findings) => report.findings.extend(findings),
                Err(error) => {
                    let detail = format!("while it was checked: {error}");
                    report.findings.push(self.ended(&detail));
                }
            },
            Started::Exited(status) => report.findings.push(self.refused(&status.to_string())),
            Started::Silent => report.findings.push(self.refused("no answer")),
        }
        server.kill()?;
        // A round that failed leaves its directories as they are, for whoever looks into it.
        if report.findings.is_empty() {
            self.lose_power(rng)?;
        }
        Ok(())
    }

    fn refused(&self, how: &str) -> Finding {
        let detail = format!("{how}; it printed:\n    {}", self.layout.log_tail());
        Finding::new(FindingKind::Refused, detail)
    }

    fn ended(&self, how: &str) -> Finding {
        let detail = format!("{how}; it printed:\n    {}", self.layout.log_tail());
        Finding::new(FindingKind::Ended, detail)
    }
}

/// Waits for the injected error that must end the server, and then has the power fail soon. Gives
/// the error up after many replies. Whoever gives up must have looked for the error just before: a
/// server that is killed as its log fails has not served on.
fn watch(
    layout: &Layout,
    (server, trigger): (&Server, &Trigger),
    more_acks: u64,
    done: &AtomicBool,
) {
    while !done.load(Ordering::SeqCst) {
        let acks_count = trigger.acks_count();
        if !layout.fired().is_empty() {
            return trigger.hasten(more_acks);
        }
        if acks_count >= ACKS_WITHOUT_FAULT_MAX {
            return trigger.strike(server);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// The sums over the rounds with one fault.
#[derive(Debug, Clone, Default)]
pub struct FaultTotals {
    pub rounds_count: u64,
    pub failed_count: u64,
    /// Rounds in which an error was injected.
    pub struck_count: u64,
    pub acks_count: u64,
}

/// The sums over a group of rounds.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub passed_count: u64,
    pub failed_count: u64,
    pub acks_count: u64,
    pub fired_count: u64,
    pub survivors: Report,
    /// Rounds with a finding of this kind.
    pub by_kind: BTreeMap<FindingKind, u64>,
    pub by_fault: BTreeMap<Fault, FaultTotals>,
}

impl Totals {
    pub fn add(&mut self, report: &RoundReport) {
        if report.findings.is_empty() {
            self.passed_count += 1;
        } else {
            self.failed_count += 1;
        }
        let mut kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            *self.by_kind.entry(kind).or_default() += 1;
        }
        let of_fault = self.by_fault.entry(report.fault).or_default();
        of_fault.rounds_count += 1;
        of_fault.failed_count += u64::from(!report.findings.is_empty());
        of_fault.struck_count += u64::from(!report.fired.is_empty());
        of_fault.acks_count += report.acks_count;
        self.acks_count += report.acks_count;
        self.fired_count += report.fired.len() as u64;
        self.survivors.files_count += report.survivors.files_count;
        self.survivors.files_torn_count += report.survivors.files_torn_count;
        self.survivors.sectors_lost_count += report.survivors.sectors_lost_count;
        self.survivors.sectors_kept_count += report.survivors.sectors_kept_count;
        self.survivors.names_lost_count += report.survivors.names_lost_count;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::path::PathBuf;

    use super::*;

    /// What a round with a full disk, in which these errors were injected, is blamed for.
    fn blamed(end: &End, fired: &[&str]) -> Vec<FindingKind> {
        let arguments = ["--server", "b"].map(str::to_owned).into_iter();
        let options = Options::parse(arguments, None, 1).expect("well formed");
        let layout = Layout { home: PathBuf::from("nowhere"), split: false };
        let ready_time = Duration::ZERO;
        let chain = Chain { options: &options, layout, clients: Vec::new(), ready_time };
        let mut report = RoundReport {
            round: 0,
            fault: Fault::LogFull,
            acks_count: 0,
            fired: fired.iter().map(|&line| line.to_owned()).collect(),
            survivors: Report::default(),
            findings: Vec::new(),
        };
        chain.judge_end(end, &mut report);
        report.findings.iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_server_killed_while_its_log_failed_is_not_one_that_served_on() {
        let full = ["write ENOSPC /log.1"];
        assert_eq!(blamed(&End::Killed, &full), []);
        assert_eq!(blamed(&End::Killed, &[]), []);
        assert_eq!(blamed(&End::WentOn, &full), [FindingKind::WentOn]);
        let exited = |code: i32| End::Exited(ExitStatus::from_raw(code << 8));
        assert_eq!(blamed(&exited(1), &full), []);
        assert_eq!(blamed(&exited(0), &full), [FindingKind::Ended]);
        assert_eq!(blamed(&exited(1), &[]), [FindingKind::Ended]);
    }
}
