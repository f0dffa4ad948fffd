//! Primary integrity: a leader has everything that was committed before it, and what a former
//! leader left is not committed behind its back.

use super::violation;
use crate::checkers::Checked;
use crate::ensemble::truth::Truth;
use bellwether_wire::Zxid;

/// A member begins to serve as the leader of `epoch`, and its log ends at `last`. One that was
/// slow, and whose followers have the next leader by now, need not have what that one committed.
pub(in crate::ensemble) fn leads(
    member: usize,
    (epoch, last): (u32, Zxid),
    truth: &Truth,
) -> Checked {
    let committed = truth.last_before(Zxid::first_of(epoch));
    if last < committed {
        let seen = format!("{member} leads and ends at {last}, but {committed} was committed");
        return violation("primary integrity", seen);
    }
    Ok(())
}

/// A transaction is committed while `epoch` is the newest that has a leader, whose log ended at
/// `began_at` then.
pub(in crate::ensemble) fn commits(zxid: Zxid, (epoch, began_at): (u32, Zxid)) -> Checked {
    // What a leader found in its log is committed with its first word, and may be in a snapshot
    // that it received; what comes later is its own.
    if zxid.epoch() < epoch && zxid > began_at {
        let seen = format!("{zxid} is committed although epoch {epoch} has a leader");
        return violation("primary integrity", seen);
    }
    Ok(())
}
