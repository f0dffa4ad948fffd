//! Sessions end when they were closed or gave no sign of life for their timeout, and not before;
//! their ids are never given out twice. (That ephemeral nodes live exactly as long as their session
//! is the model's business: it refuses a transaction that says otherwise.)

use super::{Checked, violation};
use crate::model::Model;
use bellwether_wire::client::ConnectResponse;
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{SessionId, Zxid};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// The last sign of life that was put before the server, or its start, and the timeout.
    alive: BTreeMap<SessionId, (u64, u64)>,
    /// The transaction that made it.
    made: BTreeMap<SessionId, Zxid>,
    /// Sessions whose end was appended.
    closing: BTreeSet<SessionId>,
}

impl Sessions {
    /// A request of the session was put before the server.
    pub(super) fn heard_of(&mut self, session: SessionId, now_ms: u64) {
        if let Some((heard_ms, _)) = self.alive.get_mut(&session) {
            *heard_ms = now_ms;
        }
    }

    pub(super) fn connected(&mut self, response: &ConnectResponse, now_ms: u64) -> Checked {
        let session = response.session;
        if session == SessionId::NONE {
            return Ok(());
        }
        // A new session may have expired before the disk had it; one that was greeted cannot.
        let greeted = self.alive.contains_key(&session);
        if greeted && self.closing.contains(&session) {
            return violation("sessions", format!("{session} was ending and came back"));
        }
        if !self.made.contains_key(&session) {
            return violation("sessions", format!("{session} came back and was never made"));
        }
        let timeout_ms = u64::try_from(response.timeout_ms).unwrap_or(0);
        self.alive.insert(session, (now_ms, timeout_ms));
        Ok(())
    }

    pub(super) fn appended(&mut self, record: &TxnRecord, now_ms: u64) -> Checked {
        let header = &record.header;
        match &record.txn {
            Txn::CreateSession { .. } => match self.made.insert(header.session, header.zxid) {
                None => Ok(()),
                Some(_) if !self.closing.contains(&header.session) => {
                    violation("sessions", format!("the id {} was given out twice", header.session))
                }
                Some(_) => {
                    // The end of the former one is in the log; an id of the past is no harm.
                    self.closing.remove(&header.session);
                    Ok(())
                }
            },
            Txn::CloseSession { .. } => {
                self.closing.insert(header.session);
                let expired = header.cxid == 0;
                match self.alive.get(&header.session) {
                    Some((heard_ms, timeout_ms)) if expired && heard_ms + timeout_ms > now_ms => {
                        violation(
                            "sessions",
                            format!(
                                "{} was heard of at {heard_ms}, may be silent for {timeout_ms}, and \
                                 expired at {now_ms}",
                                header.session
                            ),
                        )
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Txn::Create { .. }
            | Txn::CreateContainer(_)
            | Txn::CreateTtl { .. }
            | Txn::Delete { .. }
            | Txn::SetData { .. }
            | Txn::SetAcl { .. }
            | Txn::Check { .. }
            | Txn::Multi(_)
            | Txn::Error { .. } => Ok(()),
        }
    }

    /// After a start, the sessions are those of the log, and each has its whole timeout.
    pub(super) fn recovered(&mut self, model: &Model, now_ms: u64) {
        let timeout = |timeout_ms: &i32| u64::try_from(*timeout_ms).unwrap_or(0);
        self.alive = model.sessions.iter().map(|(id, ms)| (*id, (now_ms, timeout(ms)))).collect();
        self.closing.clear();
        self.made
            .retain(|session, zxid| *zxid <= model.zxid && model.sessions.contains_key(session));
    }

    pub(super) fn is_closing(&self, session: SessionId) -> bool {
        self.closing.contains(&session)
    }

    pub(super) fn made(&self, session: SessionId) -> Option<Zxid> {
        self.made.get(&session).copied()
    }
}
