//! What a connection's requests were like: the figures of `cons`.
//!
//! They stand in the connection's own record, so that an answered request costs a few additions
//! and no look-up of its own.

use bellwether_tree::Now;
use bellwether_wire::{OpCode, Zxid};

/// The requests of one connection since it was accepted, or since the last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The last operation; `None` before the first, and where it was refused before it was looked
    /// at.
    pub last_op: Option<OpCode>,
    /// The client's number for its last request of its own; `None` before the first. Pings and the
    /// like, whose numbers are negative, are none.
    pub last_cxid: Option<i32>,
    /// What the last reply said the last transaction is; -1 before the first.
    pub last_zxid: Zxid,
    /// When the last reply was made, monotonic milliseconds; 0 before the first.
    pub last_response_ms: u64,
    /// How long the last request took, milliseconds.
    pub last_latency_ms: u64,
    /// All requests together.
    pub latency: crate::Latency,
}

/// A request that has its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) op: Option<OpCode>,
    pub(crate) cxid: i32,
    pub(crate) arrived_ms: u64,
    pub(crate) zxid: Zxid,
}

impl Default for Statistics {
    fn default() -> Statistics {
        Statistics {
            last_op: None,
            last_cxid: None,
            last_zxid: Zxid(-1),
            last_response_ms: 0,
            last_latency_ms: 0,
            latency: crate::Latency::default(),
        }
    }
}

impl Statistics {
    /// Counts a request that is answered at this moment.
    pub(crate) fn answered(&mut self, now: Now, request: Answered) {
        let latency_ms = now.mono_ms.saturating_sub(request.arrived_ms);
        if request.cxid >= 0 {
            self.last_cxid = Some(request.cxid);
        }
        self.last_op = request.op;
        self.last_zxid = request.zxid;
        self.last_response_ms = now.mono_ms;
        self.last_latency_ms = latency_ms;
        self.latency.record(latency_ms);
    }
}
