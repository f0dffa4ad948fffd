//! What goes wrong with client processes, and how often.

use bellwether_sim::disk::Chance;

/// Something that goes wrong with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It stands still and goes on, as by SIGSTOP and SIGCONT.
    Stop,
    /// It is killed, and its connections end; another one is started in its place.
    Kill,
    /// Its machine is gone without a word; another one is started in its place.
    Vanish,
    /// Nothing comes through between it and the members.
    CutOff,
    /// Its connections break, in the middle of whatever they carry.
    Break,
}

/// From so many milliseconds to so many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) u64, pub(crate) u64);

impl Span {
    pub(crate) fn draw(self, chance: &mut Chance) -> u64 {
        self.0 + chance.below(self.1 - self.0 + 1)
    }
}

/// How often something strikes any process, and how long it lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) every: Span,
    pub(crate) fault: Fault,
    pub(crate) lasts: Span,
}

/// A row of such a table.
pub(crate) const fn rate(every: Span, fault: Fault, lasts: Span) -> Rate {
    Rate { every, fault, lasts }
}

/// Everything that can happen to processes, several times a minute.
pub(crate) const ROUGH: &[Rate] = &[
    rate(Span(4_000, 16_000), Fault::Stop, Span(200, 9_000)),
    rate(Span(8_000, 30_000), Fault::Kill, Span(100, 4_000)),
    rate(Span(15_000, 60_000), Fault::Vanish, Span(100, 6_000)),
    rate(Span(5_000, 20_000), Fault::CutOff, Span(300, 8_000)),
    rate(Span(2_000, 9_000), Fault::Break, Span(0, 0)),
];

/// Members, their disks and their network are in trouble now and then.
pub(crate) const ROUGH_MEMBERS: &str = "\
    drift-ppm 2000
    delay 100us..3ms
    sync 100us..8ms
    every 10s..40s crash for 100ms..4s
    every 10s..40s crash-leader for 100ms..4s
    every 10s..40s partition for 300ms..5s
    every 15s..60s isolate-leader for 500ms..5s
    every 15s..60s pause-leader for 200ms..8s
    every 15s..60s power-loss-of-all for 50ms..1s
    every 3s..12s cut
    every 10s..40s slow-link for 500ms..4s
    every 15s..60s stall-disk for 300ms..3s";

/// Nothing goes wrong with the members.
pub(crate) const CALM_MEMBERS: &str = "delay 100us..2ms";
