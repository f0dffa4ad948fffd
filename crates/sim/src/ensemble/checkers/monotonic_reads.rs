//! A session never sees less than it has seen, whichever member it reads from.

use super::violation;
use crate::checkers::Checked;
use bellwether_wire::Zxid;
use bellwether_wire::client::Reply;

/// A reply came to a client that had seen `seen`.
pub(in crate::ensemble) fn answered(seen: Zxid, reply: &Reply) -> Checked {
    if reply.zxid < seen {
        return violation("monotonic reads", format!("{reply:?} comes behind {seen}"));
    }
    Ok(())
}
