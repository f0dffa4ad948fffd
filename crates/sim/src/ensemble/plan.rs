//! What a seed stands for: an ensemble, a workload and what goes wrong in it.

use super::broken::Break;
use super::clock::Clock;
use super::faultload::{self, Faultload};
use super::member::{Made, Member, id_of};
use super::words::Span;
use super::workload::{self, Workload};
use crate::disk::{Chance, SimDisk};
use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_node::{ReaperSettings, Settings};
use bellwether_store::{Role, StoreOptions};
use bellwether_tree::TreeOptions;
use bellwether_wire::quorum::{EnsembleConfig, LearnerType};
use std::fmt::Write as _;
use std::sync::Arc;

/// A run before it begins.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) workload_name: &'static str,
    pub(super) faultload_name: &'static str,
    pub(super) workload: Workload,
    pub(super) faultload: Faultload,
    pub(super) voters: usize,
    pub(super) observers: usize,
    pub(super) tick_ms: u64,
    pub(super) init_limit: u64,
    pub(super) sync_limit: u64,
    pub(super) clients: usize,
    pub(super) operations: u64,
    /// How long faults and work go on at most.
    pub(super) length_us: u64,
    /// Whether each step does as little as it can.
    pub(super) small_steps: bool,
    commit_log_count: usize,
    notify_ms_max: u64,
    snap_count: u64,
    digest: bool,
}

impl Plan {
    /// What this seed stands for.
    pub(super) fn draw(chance: &mut Chance) -> Plan {
        let (workload_name, _) = pick(chance, workload::FILES);
        let (faultload_name, _) = pick(chance, faultload::FILES);
        let sizes = [1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7];
        let members = *pick(chance, &sizes);
        let observers = if members > 3 || (members > 2 && chance.one_in(3)) {
            chance.index(members / 2)
        } else {
            0
        };
        let workload = Workload::named(workload_name).expect("it is in the list");
        let faultload = Faultload::named(faultload_name).expect("it is in the list");
        let workload = workload.expect("a test reads all of them");
        Plan {
            workload_name,
            faultload_name,
            faultload: faultload.expect("a test reads all of them"),
            voters: members - observers,
            observers,
            tick_ms: *pick(chance, &[500, 1000, 2000]),
            init_limit: 4 + chance.below(7),
            sync_limit: 2 + chance.below(4),
            clients: usize::try_from(workload.clients.draw(chance)).unwrap_or(1),
            operations: workload.operations.draw(chance),
            length_us: 120_000_000,
            small_steps: chance.one_in(6),
            commit_log_count: *pick(chance, &[0, 3, 20, 100, 500]),
            notify_ms_max: *pick(chance, &[800, 3200, 12_000, 60_000]),
            snap_count: *pick(chance, &[20, 100, 400, 100_000]),
            digest: !chance.one_in(5),
            workload,
        }
    }

    /// For a throughput that can be compared: three members, nothing goes wrong.
    pub(super) fn for_speed(operations: u64) -> Plan {
        let mut plan = Plan::draw(&mut Chance::new(0));
        let workload = Workload::named("pipeline").expect("it is in the list");
        plan.workload = workload.expect("a test reads all of them");
        let faultload = Faultload::named("calm").expect("it is in the list");
        plan.faultload = faultload.expect("a test reads all of them");
        (plan.workload_name, plan.faultload_name) = ("pipeline", "calm");
        (plan.voters, plan.observers, plan.clients) = (3, 0, 8);
        (plan.operations, plan.small_steps, plan.digest) = (operations, false, true);
        (plan.snap_count, plan.commit_log_count) = (100_000, 500);
        plan.length_us = u64::MAX / 4;
        plan
    }

    /// For a scenario: everybody is on time, and nothing goes wrong but what it says.
    pub(super) fn for_scenario(voters: usize, observers: usize) -> Plan {
        let mut plan = Plan::for_speed(0);
        (plan.voters, plan.observers, plan.clients) = (voters, observers, 9);
        (plan.tick_ms, plan.init_limit, plan.sync_limit) = (1000, 5, 3);
        (plan.commit_log_count, plan.notify_ms_max) = (500, 1000);
        plan.workload.timeout_us = Span { min: 6_000_000, max: 6_000_000 };
        plan.faultload.delay_us = Span { min: 1000, max: 1000 };
        plan.faultload.sync_us = Span { min: 1000, max: 1000 };
        plan.faultload.drift_ppm = 0;
        plan
    }

    /// For clients that are not of this crate: members as a seed makes them, and what is to go
    /// wrong.
    pub(super) fn for_outside(
        (voters, observers): (usize, usize),
        tick_ms: u64,
        faultload: Faultload,
        chance: &mut Chance,
    ) -> Plan {
        let drawn = Plan::draw(chance);
        Plan {
            workload_name: "none of ours",
            faultload_name: "told",
            faultload,
            voters,
            observers,
            tick_ms,
            clients: 0,
            operations: 0,
            notify_ms_max: drawn.notify_ms_max.min(3200),
            ..drawn
        }
    }

    /// Keeps only so many records in memory for learners.
    pub(super) fn keep_in_memory(&mut self, records: usize) {
        self.commit_log_count = records;
    }

    /// One line about it.
    pub(super) fn describe(&self) -> String {
        let Plan { voters, observers, clients, operations, tick_ms, .. } = self;
        format!(
            "{voters} voters, {observers} observers, {clients} clients, {operations} operations, \
             tick {tick_ms} ms, workload {}, faults {}",
            self.workload_name, self.faultload_name
        )
    }

    /// Who votes, member by member.
    pub(super) fn votes(&self) -> Vec<bool> {
        (0..self.voters + self.observers).map(|place| place < self.voters).collect()
    }

    /// How long a follower, or an observer, may need to find a leader and be in step with it.
    pub(super) fn recovery_us(&self) -> u64 {
        let ticks = 4 * (self.init_limit + self.sync_limit) * self.tick_ms;
        (ticks + 2 * self.notify_ms_max + 30_000) * 1000
    }

    /// The machines.
    pub(super) fn members(&self, broken: Option<Break>, chance: &mut Chance) -> Vec<Member> {
        let config = Arc::new(self.config());
        let hash_seed = [chance.any(), chance.any()];
        let member = |(place, votes): (usize, bool)| {
            let number = place + 1;
            let drift = i64::try_from(chance.below(2 * self.faultload.drift_ppm + 1)).unwrap_or(0)
                - i64::try_from(self.faultload.drift_ppm).unwrap_or(0);
            let wall_off_ms = self.faultload.wall_off_ms;
            let wall_off_ms = i64::try_from(chance.below(2 * wall_off_ms.max(1))).unwrap_or(0)
                - i64::try_from(wall_off_ms).unwrap_or(0);
            let mono_start_ms = 1000 + chance.below(100_000);
            let role = if votes { LearnerType::Participant } else { LearnerType::Observer };
            let mut place = bellwether_zab::Settings::new(id_of(number), role, config.clone());
            place.tick_ms = self.tick_ms;
            place.init_limit = self.init_limit;
            place.sync_limit = self.sync_limit;
            place.commit_log_count = self.commit_log_count;
            place.election.notify_ms_max = self.notify_ms_max;
            place.log_serves_learners = !chance.one_in(4);
            let mut made = Made {
                options: self.store_options(chance),
                settings: self.settings(number, hash_seed, chance),
                place,
                visits_per_step: if self.small_steps { 2 } else { VISITS_PER_STEP },
                broken,
            };
            made.break_inside();
            Member {
                number,
                disk: SimDisk::new(chance.any()),
                clock: Clock::new(mono_start_ms, i32::try_from(drift).unwrap_or(0), wall_off_ms),
                made,
                process: None,
                paused: false,
                lives: 0,
            }
        };
        self.votes().into_iter().enumerate().map(member).collect()
    }

    fn config(&self) -> EnsembleConfig {
        let mut text = String::new();
        for (place, votes) in self.votes().into_iter().enumerate() {
            let number = place + 1;
            let role = if votes { "participant" } else { "observer" };
            writeln!(text, "server.{number}=10.0.0.{number}:2888:3888:{role}")
                .expect("a string takes everything");
        }
        EnsembleConfig::parse(&text).expect("it is written as it should be")
    }

    fn settings(&self, number: usize, hash_seed: [u64; 2], chance: &mut Chance) -> Settings {
        let tick = i32::try_from(self.tick_ms).expect("ticks are short");
        Settings {
            tick_ms: self.tick_ms,
            session_timeout_ms_min: 2 * tick,
            session_timeout_ms_max: 20 * tick,
            server_id: u8::try_from(number).expect("members are few"),
            reconfig_enabled: false,
            audit: false,
            enforced_schemes: Vec::new(),
            throttle: None,
            snap_count: self.snap_count,
            snap_bytes: 0,
            snapshot_last_zxid: false,
            reaper: ReaperSettings {
                interval_ms: 60_000,
                per_minute_max: 10_000,
                never_used_ms: 0,
            },
            seed: chance.any(),
            tree: TreeOptions {
                owner_format: crate::model::OWNER_FORMAT,
                digest: self.digest,
                ..TreeOptions::new(hash_seed)
            },
        }
    }

    fn store_options(&self, chance: &mut Chance) -> StoreOptions {
        let mut options = StoreOptions::new("/data");
        if chance.one_in(4) {
            options.data_log_dir = "/log".into();
        }
        options.pre_alloc_bytes = if chance.one_in(2) { 0 } else { 16_384 };
        options.log_bytes_limit = chance.one_in(4).then_some(20_000);
        options.role = Role::Member;
        options.recent_max = self.commit_log_count;
        options
    }
}

impl Made {
    /// Breaks what is to be broken inside of what is tested.
    #[cfg(any(test, feature = "canaries"))]
    fn break_inside(&mut self) {
        match self.broken {
            Some(Break::Zab(how)) => self.place.broken = Some(how),
            Some(Break::Store(how)) => self.options.broken = Some(how),
            Some(Break::Shell(_)) | None => {}
        }
    }

    #[cfg(not(any(test, feature = "canaries")))]
    fn break_inside(&mut self) {}
}

fn pick<'a, T>(chance: &mut Chance, from: &'a [T]) -> &'a T {
    from.get(chance.index(from.len())).expect("the index is below the length")
}
