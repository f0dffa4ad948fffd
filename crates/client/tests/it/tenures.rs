//! Times during which something was held, by what its holders noted, and what is wrong with them.

use bellwether_client::{Client, SessionState, Zxid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// From the first to the last moment at which somebody's check said yes. What somebody else had in
/// between, two had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure<K> {
    /// Of the node that says that it is held: no other has the same.
    pub(crate) fence: Zxid,
    pub(crate) kind: K,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
}

/// What was noted, as when, with which fence and what of, in the order of fences.
pub(crate) fn tenures<K: Copy>(noted: impl IntoIterator<Item = (u64, Zxid, K)>) -> Vec<Tenure<K>> {
    let mut found: BTreeMap<Zxid, Tenure<K>> = BTreeMap::new();
    for (at_ms, fence, kind) in noted {
        let new = Tenure { fence, kind, first_ms: at_ms, last_ms: at_ms };
        let tenure = found.entry(fence).or_insert(new);
        tenure.first_ms = tenure.first_ms.min(at_ms);
        tenure.last_ms = tenure.last_ms.max(at_ms);
    }
    found.into_values().collect()
}

/// None begins before the one with the next lower fence is over.
pub(crate) fn are_one_after_the_other<K: std::fmt::Debug>(tenures: &[Tenure<K>]) {
    for pair in tenures.windows(2) {
        assert!(pair[0].last_ms <= pair[1].first_ms, "two hold it: {pair:?}");
    }
}

/// Whether a session has not ended, as far as its process knows.
pub(crate) fn lives(client: &Client) -> bool {
    !matches!(client.state(), SessionState::Ended(_))
}

/// Said to programs when everything has healed: what they have they keep, and begin nothing new.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calm(Arc<AtomicBool>);

impl Calm {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
