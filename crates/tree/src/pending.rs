//! What proposed transactions will change, for the requests that are prepared before they apply.

use bellwether_wire::Zxid;

/// Changes that are proposed and not yet applied.
#[derive(Default)]
pub struct Pending {}

impl Pending {
    /// Nothing is pending.
    pub fn new() -> Pending {
        Pending::default()
    }

    /// Forgets what `zxid` and those before it changed: the tree has it.
    pub fn applied(&mut self, zxid: Zxid) {
        let _ = zxid;
        unimplemented!()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// How many nodes have a pending state.
    pub fn len(&self) -> usize {
        unimplemented!()
    }
}
