//! Whether a record follows another one.

use bellwether_wire::Zxid;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At or before the last one.
    Contained,
    /// Right behind it.
    Next,
    /// Further behind: something is missing.
    Gap,
}

/// Where the record of `zxid` stands in a history that ends with `last`. Behind an epoch comes the
/// first record of any later one: epochs may pass without a transaction.
pub(super) fn place(last: Zxid, zxid: Zxid) -> Place {
    if zxid <= last {
        Place::Contained
    } else if last.next() == Some(zxid) || zxid.epoch() > last.epoch() && zxid.counter() == 1 {
        Place::Next
    } else {
        Place::Gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(last: i64, zxid: i64, expected: Place) {
        assert_eq!(place(Zxid(last), Zxid(zxid)), expected, "{last:#x} then {zxid:#x}");
    }

    #[test]
    fn a_record_follows_its_predecessor_or_opens_an_epoch() {
        check(0, 1, Place::Next);
        check(0, 2, Place::Gap);
        check(0, 0x1_0000_0001, Place::Next);
        check(0x5_0000_0007, 0x5_0000_0008, Place::Next);
        check(0x5_0000_0007, 0x5_0000_0009, Place::Gap);
        check(0x5_0000_0007, 0x5_0000_0007, Place::Contained);
        check(0x5_0000_0007, 0x4_0000_0009, Place::Contained);
        check(0x5_0000_0007, 0x6_0000_0001, Place::Next);
        check(0x5_0000_0007, 0x9_0000_0001, Place::Next);
        check(0x5_0000_0007, 0x6_0000_0002, Place::Gap);
        check(0x5_0000_0007, 0x6_0000_0000, Place::Gap);
        check(0x5_0000_0000, 0x5_0000_0001, Place::Next);
        check(0x5_ffff_ffff, 0x6_0000_0000, Place::Gap);
        check(0x5_ffff_ffff, 0x6_0000_0001, Place::Next);
    }
}
