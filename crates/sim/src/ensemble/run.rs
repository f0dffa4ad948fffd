//! A whole run: faults and work, healing, silence.

use super::broken::Break;
use super::plan::Plan;
use super::world::{Mode, World};
use crate::checkers::Violation;
use crate::disk::Chance;
use crate::world::Telling;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What became of a run of an ensemble.
#[derive(Debug)]
pub struct EnsembleRun {
    /// What was broken, if anything was.
    pub violation: Option<Violation>,
    /// What the run was.
    pub plan: String,
    /// What happened, if it was asked for.
    pub tale: Vec<String>,
    /// How many requests of clients were answered.
    pub operations: u64,
    /// How many transactions were committed.
    pub transactions: usize,
    /// How many times a process was started.
    pub starts: u64,
    /// How long it took by the true clock of the run, in milliseconds.
    pub length_ms: u64,
}

/// Runs a seed.
pub fn run_ensemble(seed: u64, broken: Option<Break>, telling: Telling) -> EnsembleRun {
    let mut chance = Chance::new(seed ^ 0x0065_6e73_656d_626c);
    let plan = Plan::draw(&mut chance);
    run_plan(plan, broken, (&mut chance, telling))
}

/// Runs so many operations as fast as it can: three members, nothing goes wrong.
pub fn run_for_speed(operations: u64) -> EnsembleRun {
    let plan = Plan::for_speed(operations);
    run_plan(plan, None, (&mut Chance::new(1), Telling::Verdict))
}

fn run_plan(
    plan: Plan,
    broken: Option<Break>,
    (chance, telling): (&mut Chance, Telling),
) -> EnsembleRun {
    let described = plan.describe();
    let mut world = World::new(plan, broken, chance, telling == Telling::Everything);
    // An assertion that fails is a finding like any other: the tale up to it is worth telling.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let violation = match lived {
        Ok(lived) => lived.err(),
        Err(panic) => Some(Violation { promise: "assertion", seen: said(&*panic) }),
    };
    if let Some(violation) = &violation {
        world.tell(|| format!("BROKEN: {violation}"));
    }
    EnsembleRun {
        violation,
        plan: described,
        operations: world.operations,
        transactions: world.checkers.truth.len(),
        starts: world.starts,
        length_ms: world.now_us() / 1000,
        tale: world.tale.into_lines(),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words").to_string()
}

/// How often it is looked whether what is waited for has happened.
const LOOK_US: u64 = 50_000;

impl World {
    fn live(&mut self) -> Result<(), Violation> {
        self.start_all();
        for client in 0..self.clients.len() {
            self.client_turn_after(client, 1000);
        }
        self.begin_faults();
        while self.operations < self.plan.operations && self.now_us() < self.plan.length_us {
            let until_us = self.now_us() + LOOK_US;
            self.go_on_until(until_us)?;
        }
        self.heal()?;
        self.recover()?;
        self.fall_silent()
    }

    /// Every member starts soon.
    pub(super) fn start_all(&mut self) {
        for member in 1..=self.members.len() {
            let us = self.chance.below(500_000);
            let restart = super::faults::Mend::Restart(member);
            self.queue.after(us, super::world::Action::Mend(restart));
        }
    }

    /// Everything has healed: the ensemble must serve everybody again, and be of one mind.
    fn recover(&mut self) -> Result<(), Violation> {
        let bound_us = self.plan.recovery_us();
        self.wait_for("every member serves", bound_us, World::all_serve)?;
        self.mode = Mode::Probe;
        for client in 0..self.clients.len() {
            if let Some(habits) = self.habits.get_mut(client) {
                habits.probes = 2;
            }
            self.probe(client);
            self.client_turn_after(client, 1000);
        }
        let answered = |world: &World| world.habits.iter().all(|habits| habits.probes == 0);
        self.wait_for("a write of every client", bound_us, answered)?;
        self.mode = Mode::Rest;
        self.wait_for("all members have applied the same", bound_us, World::is_quiet)?;
        self.compare()?;
        self.checkers.nothing_due()
    }

    /// The clients are gone: every session ends, within two timeouts.
    fn fall_silent(&mut self) -> Result<(), Violation> {
        self.tell(|| "--- the clients fall silent".to_string());
        self.mode = Mode::Silence;
        for client in 0..self.clients.len() {
            self.leave(client);
        }
        let longest = self.clients.iter().map(|client| client.timeout_ms).max().unwrap_or(0);
        let longest_us = u64::try_from(longest).unwrap_or(0) * 1000;
        // Rounded up to a tick, told at the next ping, committed.
        let until_us = self.now_us() + 2 * longest_us + 4 * self.plan.tick_ms * 1000;
        self.go_on_until(until_us)?;
        self.checkers.abandoned()?;
        let bound_us = self.plan.recovery_us();
        self.wait_for("all members have applied the same", bound_us, World::is_quiet)?;
        self.compare()
    }

    fn wait_for(
        &mut self,
        what: &str,
        bound_us: u64,
        happened: impl Fn(&World) -> bool,
    ) -> Result<(), Violation> {
        let since_us = self.now_us();
        while !happened(self) {
            let passed_us = self.now_us() - since_us;
            let states: Vec<String> =
                self.members.iter().map(super::member::Member::state).collect();
            self.checkers.waited((passed_us, bound_us), what, &states)?;
            let until_us = self.now_us() + LOOK_US;
            self.go_on_until(until_us)?;
        }
        Ok(())
    }

    pub(super) fn all_serve(&self) -> bool {
        self.members.iter().all(|member| {
            member.process.as_ref().is_some_and(|process| process.node.serving().is_some())
        })
    }

    /// Whether every member has the whole history in its tree, and nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        let last = self.checkers.truth.last();
        self.all_serve()
            && self.members.iter().filter_map(|member| member.process.as_ref()).all(|process| {
                let node = &process.node;
                node.tree().last_processed() >= last
                    && node.peer().history().in_flight() == 0
                    && !node.has_work()
            })
    }

    pub(super) fn compare(&mut self) -> Result<(), Violation> {
        let mut trees = Vec::new();
        for member in &self.members {
            let Some(process) = &member.process else { continue };
            if process.node.status().digest_mismatches > 0 {
                let seen = format!("a digest is not the leader's: {}", member.state());
                return Err(Violation { promise: "equal trees", seen });
            }
            trees.push((member.number - 1, process.node.tree()));
        }
        self.checkers.healed(&trees)
    }
}
