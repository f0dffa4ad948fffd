//! Replies leave in the order of their requests, per connection, and nothing follows a close.

use super::{Checked, Seen, violation};
use bellwether_node::ConnId;
use bellwether_wire::ErrorCode;
use bellwether_wire::client::{Reply, ReplyBody};
use std::collections::BTreeSet;

/// Who was closed.
#[derive(Debug, Default)]
pub(super) struct Order {
    closed: BTreeSet<ConnId>,
}

impl Order {
    /// The server says something to a connection.
    pub(super) fn says(&self, conn: ConnId) -> Checked {
        if self.closed.contains(&conn) {
            return violation("order", format!("{conn:?} was closed and is spoken to"));
        }
        Ok(())
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.closed.insert(conn);
    }
}

/// The answer to an auth packet, which does not wait its turn.
pub(super) fn proof(seen: &mut Seen, reply: &Reply) -> Checked {
    match (seen.proofs.pop_front(), &reply.result) {
        (Some(Some(identity)), Ok(ReplyBody::Empty)) => {
            seen.identities.push(identity);
            seen.proved = true;
            Ok(())
        }
        (Some(None), Err(ErrorCode::AuthFailed)) => Ok(()),
        (proof, result) => violation("order", format!("the proof {proof:?} was told {result:?}")),
    }
}

/// What is answered outside the order: sasl, and operations that clients may not send.
pub(super) fn outside(seen: &mut Seen, reply: &Reply) -> Option<Checked> {
    let expected = match &reply.result {
        Ok(ReplyBody::Token(None)) => "sasl",
        Err(ErrorCode::Unimplemented) => "an unknown operation",
        Ok(_) | Err(_) => return None,
    };
    let is_it = |asked: &super::Asked| asked.xid == reply.xid && asked.request.is_none();
    match seen.asked.iter().position(is_it) {
        Some(place) => {
            seen.asked.remove(place);
            Some(Ok(()))
        }
        None => Some(violation("order", format!("nobody asked for {expected}: {reply:?}"))),
    }
}
