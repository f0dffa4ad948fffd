//! A request becomes a transaction, or a refusal that is a transaction too.

use crate::acl::Identity;
use crate::pending::Pending;
use crate::tree::Tree;
use bellwether_wire::client::Request;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{ErrorCode, SessionId, Zxid};

/// What the leader adds to a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Its place in the order.
    pub zxid: Zxid,
    /// The leader's wall clock, milliseconds since 1970.
    pub time_ms: i64,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The session.
    pub session: SessionId,
    /// The client's xid.
    pub cxid: i32,
    /// The identities of its connection.
    pub identities: &'a [Identity],
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Write {
    /// A client's request, of [`bellwether_wire::ops::Kind::Write`].
    Request(Request),
    /// A body that could not be decoded.
    Malformed,
    /// A session begins.
    CreateSession { timeout_ms: i32 },
    /// The caller's session ends.
    CloseSession,
    /// A container or TTL node is to go.
    DeleteContainer { path: Box<str> },
    /// Whoever calls has refused it already.
    Refused(ErrorCode),
}

impl Tree {
    /// Turns a write into a transaction; a refused write into one of type error.
    pub fn prepare(
        &self,
        pending: &mut Pending,
        stamp: Stamp,
        caller: Caller<'_>,
        write: Write,
    ) -> TxnRecord {
        let _ = (pending, stamp, caller, write);
        unimplemented!()
    }
}
