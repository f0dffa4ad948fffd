//! What a session asks for happens in the order in which it asks, whichever members it asks.

use super::violation;
use crate::checkers::Checked;
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{OpCode, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// The last request of each session that was committed.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Fifo {
    last: BTreeMap<SessionId, i32>,
    ended: BTreeSet<SessionId>,
}

impl Fifo {
    /// A transaction was committed.
    pub(in crate::ensemble) fn committed(&mut self, record: &TxnRecord) -> Checked {
        let header = &record.header;
        // Nobody sees a refusal that comes late, and the end of a session is asked for with 0.
        let changes_nothing = if let Txn::Multi(parts) = &record.txn {
            parts.iter().any(|(op, _)| *op == OpCode::Error)
        } else {
            matches!(record.txn, Txn::Error { .. })
        };
        if header.op == OpCode::CreateSession {
            // A member whose clock was set back may give out the id of a session that ended long
            // ago, when nothing that it has read at its start tells of it.
            self.last.remove(&header.session);
            self.ended.remove(&header.session);
            return Ok(());
        }
        if header.cxid == 0 || changes_nothing {
            return Ok(());
        }
        // A second end of a session that moved away from whoever asked for it changes nothing
        // either.
        let ends = matches!(record.txn, Txn::CloseSession { .. });
        if ends && !self.ended.insert(header.session) {
            return Ok(());
        }
        match self.last.insert(header.session, header.cxid) {
            Some(last) if last >= header.cxid => violation(
                "session order",
                format!("request {} of {} comes behind {last}", header.cxid, header.session),
            ),
            Some(_) | None => Ok(()),
        }
    }
}
