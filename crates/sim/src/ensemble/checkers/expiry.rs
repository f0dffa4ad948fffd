//! Sessions expire only when they should: not before the leader has heard nothing of them for their
//! timeout, not before a new leader has given them a whole one, not while their clients ping a
//! member that is well; and when nobody wants them any more, they go.
//!
//! A sign of life counts from when it reached the leader's socket, whether or not the process was
//! awake to read it: a leader that resumes must look there first.

use super::violation;
use crate::checkers::Checked;
use bellwether_wire::SessionId;
use bellwether_wire::disk::{Txn, TxnRecord};
use std::collections::{BTreeMap, BTreeSet};

const PROMISE: &str = "expiry";

/// What a leader can have heard, by its own clock.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Heard {
    /// When it began to lead.
    since_ms: u64,
    at_ms: BTreeMap<SessionId, u64>,
}

impl Heard {
    /// A member begins to lead: what it heard before counts for nothing.
    pub(in crate::ensemble) fn leads(&mut self, now_ms: u64) {
        self.since_ms = now_ms;
        self.at_ms.clear();
    }

    /// A sign of life reached its socket.
    pub(in crate::ensemble) fn touched(&mut self, session: SessionId, now_ms: u64) {
        self.at_ms.insert(session, now_ms);
    }

    fn last_ms(&self, session: SessionId) -> u64 {
        self.at_ms.get(&session).copied().unwrap_or(0).max(self.since_ms)
    }
}

/// The sessions of the ensemble.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Expiry {
    timeouts_ms: BTreeMap<SessionId, u64>,
    /// Sessions whose end was proposed by anybody.
    ending: BTreeSet<SessionId>,
}

impl Expiry {
    /// A leader puts a transaction in flight.
    pub(in crate::ensemble) fn proposed(
        &mut self,
        member: usize,
        record: &TxnRecord,
        (heard, now_ms): (&mut Heard, u64),
    ) -> Checked {
        let header = &record.header;
        let session = header.session;
        if let Txn::CreateSession { timeout_ms } = record.txn {
            heard.touched(session, now_ms);
            self.timeouts_ms.insert(session, u64::try_from(timeout_ms).unwrap_or(0));
            return Ok(());
        }
        if !matches!(record.txn, Txn::CloseSession { .. }) {
            return Ok(());
        }
        self.ending.insert(session);
        let timeout_ms = self.timeouts_ms.get(&session).copied().unwrap_or(0);
        let last_ms = heard.last_ms(session);
        if header.cxid == 0 && last_ms + timeout_ms > now_ms {
            let seen = format!(
                "{member} lets {session} expire at {now_ms}, and could hear of it at {last_ms}; it \
                 may be silent for {timeout_ms}"
            );
            return violation(PROMISE, seen);
        }
        Ok(())
    }

    /// A client was told that its session is not there any more.
    pub(in crate::ensemble) fn refused(&self, session: SessionId) -> Checked {
        if self.ending.contains(&session) {
            return Ok(());
        }
        violation(PROMISE, format!("{session} was refused, and nobody ended it"))
    }
}

/// A session expires although nothing has gone wrong for long, and its client pinged a member all
/// the while.
pub(in crate::ensemble) fn while_pinged(session: SessionId, member: usize) -> Checked {
    let seen = format!("{session} expires, and its client pings member {member} all the while");
    violation(PROMISE, seen)
}

/// Nobody has wanted these for more than twice the longest timeout since there is a leader.
pub(in crate::ensemble) fn abandoned(left: &BTreeMap<SessionId, i32>) -> Checked {
    if left.is_empty() {
        return Ok(());
    }
    violation(PROMISE, format!("abandoned by their clients, these still live: {left:?}"))
}
