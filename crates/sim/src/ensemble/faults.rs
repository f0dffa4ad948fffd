//! What goes wrong, and how it is mended: lines of the faultload strike members, streams, disks and
//! clocks.

use super::faultload::{Fault, Row};
use super::network::Host;
use super::world::{Action, World};
use crate::checkers::Violation;
use crate::disk::{End, SimDisk};
use bellwether_zab::Serving;

/// What is wrong at the moment.
#[derive(Debug)]
pub(super) struct Faults {
    /// How many faults last.
    active: usize,
    /// Since when nothing has been wrong.
    calm_since_us: u64,
    /// By how much longer each disk takes.
    stalls_us: Vec<u64>,
    /// Whose disk may fail.
    bad_disks: Vec<bool>,
    /// Nothing strikes any more.
    over: bool,
}

/// What ends a fault.
#[derive(Clone, Debug)]
pub(super) enum Mend {
    Restart(usize),
    Resume(usize),
    Unblock(Vec<(Host, Host)>),
    Unslow(usize),
    DiskWell(usize),
    StallEnds(usize),
}

impl Faults {
    pub(super) fn new(members: usize) -> Faults {
        Faults {
            active: 0,
            calm_since_us: 0,
            stalls_us: vec![0; members],
            bad_disks: vec![false; members],
            over: false,
        }
    }

    pub(super) fn stall_us(&self, member: usize) -> u64 {
        self.stalls_us.get(member - 1).copied().unwrap_or(0)
    }

    /// Whether a failure of this disk has a reason.
    pub(super) fn excuse_disk(&self, member: usize) -> bool {
        self.bad_disks.get(member - 1).copied().unwrap_or(false)
    }

    /// A machine begins anew: its disk does what it should until something strikes it again.
    pub(super) fn disk_restarted(&mut self, member: usize) {
        self.set_bad(member, false);
    }

    fn set_bad(&mut self, member: usize, bad: bool) {
        if let Some(is_bad) = self.bad_disks.get_mut(member - 1) {
            *is_bad = bad;
        }
    }

    fn set_stall(&mut self, member: usize, us: u64) {
        if let Some(stall_us) = self.stalls_us.get_mut(member - 1) {
            *stall_us = us;
        }
    }

    /// Since when nothing has been wrong; `None` while something is.
    pub(super) fn calm_since_us(&self) -> Option<u64> {
        (self.active == 0).then_some(self.calm_since_us)
    }

    fn begins(&mut self) {
        self.active += 1;
    }

    fn ends(&mut self, now_us: u64) {
        self.active = self.active.saturating_sub(1);
        self.calm_since_us = now_us;
    }
}

impl World {
    /// The faultload begins.
    pub(super) fn begin_faults(&mut self) {
        for row in 0..self.plan.faultload.rows.len() {
            self.strike_later(row);
        }
    }

    fn row(&self, row: usize) -> Option<Row> {
        self.plan.faultload.rows.get(row).copied()
    }

    fn strike_later(&mut self, row: usize) {
        if let Some(Row { every_us, .. }) = self.row(row) {
            let us = every_us.draw(&mut self.chance);
            self.queue.after(us, Action::Strike { row });
        }
    }

    pub(super) fn strike(&mut self, row: usize) -> Result<(), Violation> {
        let Some(Row { fault, for_us, .. }) = self.row(row) else { return Ok(()) };
        if self.faults.over {
            return Ok(());
        }
        self.strike_later(row);
        let us = for_us.draw(&mut self.chance);
        let member = 1 + self.chance.index(self.members.len());
        self.tell(|| format!("--- {} (member {member}) for {} ms", fault.name(), us / 1000));
        self.hit(fault, member, us);
        self.note_calm();
        Ok(())
    }

    fn note_calm(&mut self) {
        self.checkers.calm_since(self.faults.calm_since_us());
    }

    fn hit(&mut self, fault: Fault, member: usize, us: u64) {
        let leader = self.leader();
        match fault {
            Fault::Partition => self.partition(us),
            Fault::OneWay => {
                let other = 1 + self.chance.index(self.members.len());
                self.block(&[(member, other)], us);
            }
            Fault::IsolateLeader => self.isolate(leader.unwrap_or(member), us),
            Fault::Crash => self.crash_for(member, us, End::Killed),
            Fault::CrashLeader => self.crash_for(leader.unwrap_or(member), us, End::Killed),
            Fault::PowerLoss => self.crash_for(member, us, End::PowerLost),
            Fault::PowerLossOfAll => {
                for member in 1..=self.members.len() {
                    let us = us + self.chance.below(1_000_000);
                    self.crash_for(member, us, End::PowerLost);
                }
            }
            Fault::PowerLossMidWrite => {
                let after = self.chance.below(60);
                self.spoil_disk(member, us, |disk| {
                    disk.set_faults(crate::disk::Faults {
                        off_after: Some(after),
                        ..crate::disk::Faults::default()
                    });
                });
            }
            Fault::DiskErrors => {
                let one_in = 4 + self.chance.below(60);
                self.spoil_disk(member, us, |disk| {
                    disk.set_faults(crate::disk::Faults {
                        error_one_in: one_in,
                        ..crate::disk::Faults::default()
                    });
                });
            }
            Fault::FullDisk => {
                let more = self.chance.below(20_000);
                self.spoil_disk(member, us, |disk| {
                    disk.set_faults(crate::disk::Faults {
                        capacity_bytes: Some(disk.used_bytes() + more),
                        ..crate::disk::Faults::default()
                    });
                });
            }
            Fault::Pause => self.pause_for(member, us),
            Fault::PauseLeader => self.pause_for(leader.unwrap_or(member), us),
            Fault::Cut => {
                let now_us = self.now_us();
                if let Some(stream) = self.net.any_stream() {
                    self.net.cut(now_us, stream);
                }
                self.faults.begins();
                self.faults.ends(now_us);
            }
            Fault::SlowLink => self.slow(member, us),
            Fault::StallDisk => {
                self.faults.begins();
                self.faults.set_stall(member, us);
                self.queue.after(us, Action::Mend(Mend::StallEnds(member)));
            }
            Fault::WallJump => {
                let ms = i64::try_from(self.chance.below(7_200_000)).unwrap_or(0) - 3_600_000;
                if let Some(machine) = self.members.get_mut(member - 1) {
                    machine.clock.jump(ms);
                }
            }
        }
    }

    /// Who leads, as far as it knows.
    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |member: &&super::member::Member| {
            let serving = member.process.as_ref().and_then(|process| process.node.serving());
            matches!(serving, Some(Serving::Leader { .. }))
        };
        // Of two the one that came last is the one that still has followers.
        self.members.iter().filter(leads).max_by_key(|it| epoch_of(it)).map(|it| it.number)
    }

    fn partition(&mut self, us: u64) {
        let count = self.members.len();
        let sides: Vec<bool> = (0..count).map(|_| self.chance.one_in(2)).collect();
        let mut pairs = Vec::new();
        for from in 1..=count {
            for to in 1..=count {
                if sides.get(from - 1) != sides.get(to - 1) {
                    pairs.push((from, to));
                }
            }
        }
        self.block(&pairs, us);
    }

    fn isolate(&mut self, member: usize, us: u64) {
        let how = self.chance.below(3);
        let mut pairs = Vec::new();
        for other in (1..=self.members.len()).filter(|other| *other != member) {
            if how != 0 {
                pairs.push((member, other));
            }
            if how != 1 {
                pairs.push((other, member));
            }
        }
        self.block(&pairs, us);
    }

    fn block(&mut self, pairs: &[(usize, usize)], us: u64) {
        self.faults.begins();
        let hosts = |(from, to): &(usize, usize)| (Host::Member(*from), Host::Member(*to));
        let pairs: Vec<(Host, Host)> =
            pairs.iter().filter(|(from, to)| from != to).map(hosts).collect();
        for (from, to) in &pairs {
            self.net.block(*from, *to);
        }
        self.queue.after(us, Action::Mend(Mend::Unblock(pairs)));
    }

    fn crash_for(&mut self, member: usize, us: u64, end: End) {
        if self.process(member).is_none() {
            return;
        }
        self.faults.begins();
        self.crash(member, end);
        self.queue.after(us, Action::Mend(Mend::Restart(member)));
    }

    fn pause_for(&mut self, member: usize, us: u64) {
        let Some(machine) = self.members.get_mut(member - 1) else { return };
        if machine.process.is_none() || machine.paused {
            return;
        }
        machine.paused = true;
        self.faults.begins();
        self.queue.after(us, Action::Mend(Mend::Resume(member)));
    }

    fn spoil_disk(&mut self, member: usize, us: u64, spoil: impl FnOnce(&SimDisk)) {
        self.faults.begins();
        self.faults.set_bad(member, true);
        if let Some(machine) = self.members.get(member - 1) {
            spoil(&machine.disk);
        }
        self.queue.after(us, Action::Mend(Mend::DiskWell(member)));
    }

    fn slow(&mut self, member: usize, us: u64) {
        self.faults.begins();
        let more_us = 10_000 + self.chance.below(600_000);
        self.set_slow(member, more_us);
        self.queue.after(us, Action::Mend(Mend::Unslow(member)));
    }

    fn set_slow(&mut self, member: usize, us: u64) {
        for other in 1..=self.members.len() {
            self.net.slow(Host::Member(member), Host::Member(other), us);
            self.net.slow(Host::Member(other), Host::Member(member), us);
        }
    }

    pub(super) fn mend(&mut self, mend: Mend) -> Result<(), Violation> {
        let now_us = self.now_us();
        self.faults.ends(now_us);
        let result = self.mended(mend);
        self.note_calm();
        result
    }

    fn mended(&mut self, mend: Mend) -> Result<(), Violation> {
        let now_us = self.now_us();
        match mend {
            Mend::Restart(member) => return self.start(member),
            Mend::Resume(member) => return self.resume(member),
            Mend::Unblock(pairs) => {
                self.tell(|| "--- healed".to_string());
                for (from, to) in pairs {
                    self.net.unblock(now_us, from, to);
                }
            }
            Mend::Unslow(member) => self.set_slow(member, 0),
            Mend::DiskWell(member) => self.disk_well(member),
            Mend::StallEnds(member) => self.faults.set_stall(member, 0),
        }
        Ok(())
    }

    /// A disk does what it should again; a machine that went off meanwhile comes back.
    fn disk_well(&mut self, member: usize) {
        let Some(machine) = self.members.get(member - 1) else { return };
        if machine.disk.is_off() {
            if machine.process.is_some() {
                self.crash(member, End::PowerLost);
                self.queue.after(200_000, Action::Mend(Mend::Restart(member)));
            }
            return;
        }
        machine.disk.set_faults(crate::disk::Faults::default());
        // What failed meanwhile may be noticed later.
    }

    /// A process goes on. What it finds first is anybody's guess: its timers, or its sockets.
    pub(super) fn resume(&mut self, member: usize) -> Result<(), Violation> {
        let Some(machine) = self.members.get_mut(member - 1) else { return Ok(()) };
        if !machine.paused {
            return Ok(());
        }
        machine.paused = false;
        self.tell(|| format!("--- {member} goes on"));
        if self.chance.one_in(2) {
            let timers = bellwether_node::Event::Tick;
            self.with(member, None, |process, around| process.first(timers, around))?;
        }
        let held = self.held.get_mut(member - 1).map(std::mem::take).unwrap_or_default();
        for action in held {
            self.queue.after(0, action);
        }
        self.with(member, None, super::member::Process::woken)
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        let now_us = self.now_us();
        self.tell(|| "--- everything heals".to_string());
        self.faults.over = true;
        let load = &mut self.plan.faultload;
        (load.late_report_one_in, load.lost_record_one_in) = (None, None);
        self.net.heal(now_us);
        for member in 1..=self.members.len() {
            self.faults.set_stall(member, 0);
            if self.faults.excuse_disk(member) {
                let off = self.members.get(member - 1).is_some_and(|it| it.disk.is_off());
                self.crash(member, if off { End::PowerLost } else { End::Killed });
            }
            self.resume(member)?;
            self.start(member)?;
            self.with(member, None, super::member::Process::healed)?;
        }
        self.faults.active = 0;
        self.faults.calm_since_us = now_us;
        self.note_calm();
        Ok(())
    }
}

fn epoch_of(member: &super::member::Member) -> u32 {
    member.process.as_ref().map_or(0, |process| process.node.peer().epochs().1)
}
