//! What goes wrong in a run, drawn from its seed: some runs are calm, some have a bad disk, some
//! lose their power again and again.

use crate::disk::{Chance, Faults};

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultPlan {
    /// How many lives a server may have; after the last crash it is left in peace.
    pub(crate) lives_max: u64,
    /// In so many turns the process is killed or the power is cut once; 0 for never.
    pub(crate) crash_one_in: u64,
    /// Likewise, a client's connection is cut.
    pub(crate) cut_one_in: u64,
    /// Likewise, the process is stopped for a while.
    pub(crate) stall_one_in: u64,
    /// Likewise, the wall clock steps.
    pub(crate) step_clock_one_in: u64,
    disk_errors: bool,
    power_losses: bool,
    disk_full: bool,
}

impl FaultPlan {
    pub(crate) fn draw(chance: &mut Chance) -> FaultPlan {
        let mut rarely = |one_in: u64, often: u64| if chance.one_in(one_in) { 0 } else { often };
        FaultPlan {
            crash_one_in: rarely(4, 150),
            cut_one_in: rarely(3, 60),
            stall_one_in: rarely(2, 200),
            step_clock_one_in: rarely(2, 100),
            lives_max: 2 + chance.below(4),
            disk_errors: chance.one_in(3),
            power_losses: chance.one_in(2),
            disk_full: chance.one_in(8),
        }
    }

    /// What the disk does while a server runs.
    pub(crate) fn running(&self, chance: &mut Chance, used_bytes: u64) -> Faults {
        Faults {
            error_one_in: if self.disk_errors { 8 + chance.below(150) } else { 0 },
            off_after: self.power_losses.then(|| chance.below(250)),
            capacity_bytes: self.disk_full.then(|| used_bytes + 2000 + chance.below(30_000)),
        }
    }

    /// What the disk does while a server starts.
    pub(crate) fn starting(&self, chance: &mut Chance) -> Faults {
        let disturbed = chance.one_in(4);
        Faults {
            error_one_in: if self.disk_errors && disturbed { 20 } else { 0 },
            off_after: (self.power_losses && disturbed).then(|| chance.below(60)),
            capacity_bytes: None,
        }
    }
}

/// Whether something that happens once in `one_in` turns happens in this one.
pub(crate) fn strikes(chance: &mut Chance, one_in: u64) -> bool {
    one_in > 0 && chance.one_in(one_in)
}
