//! What can go wrong in a round: one row per fault, with its plan and what the server must do.

use crate::rng::Rng;

/// A fault that a round can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The power fails under load.
    Kill,
    /// Syncs take long, so that much is unsynced when the power fails.
    SlowSync,
    /// Writes do part of their work, as the system may always do.
    ShortWrites,
    /// A sync of the log fails once, and what it should have kept is gone.
    LogSyncError,
    /// The disk is full for the log.
    LogFull,
    /// The next log file cannot be created.
    LogOpenError,
    /// A sync of a directory fails once.
    DirSyncError,
    /// The disk is full for snapshots.
    SnapshotFull,
    /// Only the process dies; the power fails later, after the server has recovered and served.
    ProcessCrash,
    /// The power fails again while the server recovers.
    CrashInRecovery,
}

/// What the server must do once the fault has struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    GoOn,
    Stop,
    /// Either is right: the plan cannot tell whether the log or a snapshot was hit.
    Either,
}

pub struct FaultRow {
    pub fault: Fault,
    pub name: &'static str,
    pub demand: Demand,
    /// How often a round has this fault, in parts of the sum of all rows.
    pub weight: u64,
}

const fn row(fault: Fault, name: &'static str, demand: Demand, weight: u64) -> FaultRow {
    FaultRow { fault, name, demand, weight }
}

pub const FAULTS: [FaultRow; 10] = [
    row(Fault::Kill, "kill", Demand::GoOn, 8),
    row(Fault::SlowSync, "slow-sync", Demand::GoOn, 4),
    row(Fault::ShortWrites, "short-writes", Demand::GoOn, 1),
    row(Fault::LogSyncError, "log-sync-error", Demand::Stop, 2),
    row(Fault::LogFull, "log-full", Demand::Stop, 1),
    row(Fault::LogOpenError, "log-open-error", Demand::Stop, 1),
    row(Fault::DirSyncError, "dir-sync-error", Demand::Either, 1),
    row(Fault::SnapshotFull, "snapshot-full", Demand::GoOn, 1),
    row(Fault::ProcessCrash, "process-crash", Demand::GoOn, 2),
    row(Fault::CrashInRecovery, "crash-in-recovery", Demand::GoOn, 2),
];

impl Fault {
    pub fn row(self) -> &'static FaultRow {
        FAULTS.iter().find(|row| row.fault == self).expect("every fault has its row")
    }

    pub fn named(name: &str) -> Option<Self> {
        FAULTS.iter().find(|row| row.name == name).map(|row| row.fault)
    }

    /// A fault out of `among`, by their weights.
    pub fn choose(among: &[Self], rng: &mut Rng) -> Self {
        let mut left = rng.below(among.iter().map(|fault| fault.row().weight).sum());
        for fault in among {
            let weight = fault.row().weight;
            if left < weight {
                return *fault;
            }
            left -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// The plan of the preload library for this fault.
    pub fn plan(self, rng: &mut Rng) -> String {
        match self {
            // The power fails by a kill from outside, not by a plan. Syncs take as long as those of
            // some disk, for the library's own take next to nothing.
            Self::Kill | Self::ProcessCrash | Self::CrashInRecovery => match rng.below(4) {
                0 => String::new(),
                speed => format!("sync delay_ms={}", 1 << (speed - 1)),
            },
            Self::SlowSync => {
                let (delay_ms, every) = (rng.between(5, 60), rng.between(2, 10));
                format!("sync delay_ms={delay_ms} every={every}")
            }
            Self::ShortWrites => format!("write short every={}", rng.between(2, 9)),
            Self::LogSyncError => {
                format!("sync errno=EIO path=/log. once after={}", rng.between(1, 60))
            }
            Self::LogFull => format!("write errno=ENOSPC path=/log. after={}", rng.between(1, 90)),
            Self::LogOpenError => {
                format!("open errno=ENOSPC path=/log. after={}", rng.between(0, 8))
            }
            Self::DirSyncError => format!("dirsync errno=EIO once after={}", rng.between(0, 4)),
            // The first snapshot of a directory is part of starting and may end the server.
            Self::SnapshotFull => {
                format!("write errno=ENOSPC path=snapshot after={}", rng.between(1, 2))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn every_plan_is_one_that_the_library_reads() {
        for row in &FAULTS {
            let plan = row.fault.plan(&mut Rng::new(1));
            Plan::parse(&plan).unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert_eq!(Fault::named(row.name), Some(row.fault));
        }
    }

    #[test]
    fn every_fault_is_chosen_sooner_or_later() {
        let all: Vec<Fault> = FAULTS.iter().map(|row| row.fault).collect();
        let mut rng = Rng::new(3);
        let mut chosen: Vec<Fault> = (0..500).map(|_| Fault::choose(&all, &mut rng)).collect();
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen, all);
    }
}
