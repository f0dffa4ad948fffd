//! Transaction ids: an epoch in the high 32 bits, a counter in the low 32.
//!
//! This is the only place that knows how the two share the 64 bits.

use std::fmt;

/// A transaction id. It orders all writes; 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// Of a server that may have lost its database. It is before everything that a client has seen.
    pub const MISSING: Zxid = Zxid(-1);

    /// The first zxid of an epoch, whose counter is 0.
    pub fn first_of(epoch: u32) -> Zxid {
        Zxid((i64::from(epoch)) << 32)
    }

    /// The epoch in which it was assigned.
    pub fn epoch(self) -> u32 {
        u32::try_from((self.0 >> 32) & 0xffff_ffff).expect("masked to 32 bits")
    }

    /// Its place within the epoch.
    pub fn counter(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).expect("masked to 32 bits")
    }

    /// The zxid after this one, or `None` where the counter is used up and a new epoch must begin.
    pub fn next(self) -> Option<Zxid> {
        if self.counter() == u32::MAX { None } else { Some(Zxid(self.0 + 1)) }
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_and_counter_share_the_bits() {
        let zxid = Zxid(0x5_0000_000b);
        assert_eq!((zxid.epoch(), zxid.counter()), (5, 11));
        assert_eq!(zxid.to_string(), "0x50000000b");
        assert_eq!(Zxid::first_of(5).next(), Some(Zxid(0x5_0000_0001)));
    }

    #[test]
    fn a_used_up_counter_has_no_next() {
        assert_eq!(Zxid(0x5_ffff_ffff).next(), None);
    }
}
