//! What learners ask of this leader for their clients.
//!
//! A session belongs to one server at a time: the one whose connection its client opened last.
//! What another one still forwards for it is refused.

use super::{Doubt, Owner};
use crate::effect::Effect;
use crate::flow::session::{self, Admitted, Origin};
use crate::node::Node;
use bellwether_tree::{Identity, Now, Write};
use bellwether_wire::client::Request;
use bellwether_wire::jute::Reader;
use bellwether_wire::ops::Kind;
use bellwether_wire::quorum::Packet;
use bellwether_wire::{ErrorCode, OpCode, SessionId};
use bellwether_zab::{Forwarded, LearnerLink};
use std::sync::Arc;
use tracing::warn;

/// A request of a learner's client.
pub(crate) fn request(
    node: &mut Node,
    now: Now,
    (link, request): (LearnerLink, Forwarded),
    out: &mut Vec<Effect>,
) {
    let Forwarded { session, cxid, op, payload, identities } = request;
    let Some(op) = OpCode::from_code(op) else {
        warn!(op, "a learner forwards an operation that does not exist; passing over it");
        return;
    };
    if op == OpCode::Sync {
        node.peer_does(now, out, |peer, said| peer.sync(link, said));
        return;
    }
    let reader = &mut Reader::new(&payload);
    let write = match (op, op.kind()) {
        (OpCode::CreateSession, _) => {
            let Ok(timeout_ms) = reader.int("createSession.timeOut") else {
                warn!(%session, "a learner forwards a session without a timeout; passing over it");
                return;
            };
            node.expiry.touch(session, now.mono_ms, timeout_ms);
            node.ensemble.owners.insert(session, Owner::Learner(link));
            Write::CreateSession { timeout_ms }
        }
        // Apache closes it for whoever asks, and with it what its client does elsewhere since.
        (OpCode::CloseSession, _) if owns(node, link, session) => {
            session::decide(node, session, Some(Request::CloseSession))
        }
        (OpCode::CloseSession, _) => Write::Refused(ErrorCode::SessionMoved),
        (_, Kind::Write) if !owns(node, link, session) => Write::Refused(ErrorCode::SessionMoved),
        (_, Kind::Write) => {
            // A client counts on its session from its last write. What its learner would tell of
            // it with the next ping dies with the learner.
            node.touch_live(now, session);
            let body = Request::decode(op, reader).ok();
            session::decide(node, session, body)
        }
        (_, Kind::Read | Kind::Internal) => {
            warn!(%op, "a learner forwards an operation that is none for a leader; passing over it");
            return;
        }
    };
    let identity = |id: &bellwether_wire::quorum::Id| Identity {
        scheme: id.scheme.clone(),
        id: id.id.clone(),
    };
    let identities: Arc<[Identity]> = identities.iter().map(identity).collect();
    let origin = Origin::Internal;
    session::submit(node, now, Admitted { origin, session, cxid, identities, write }, out);
}

/// Whether requests for a session are taken from this learner. A session that nobody serves is
/// served by the first who asks for it.
fn owns(node: &mut Node, link: LearnerLink, session: SessionId) -> bool {
    if !node.expiry.is_live(session) {
        return true; // It is refused for that.
    }
    if node.connections.owner_of(session).is_some() {
        return false;
    }
    let asking = Owner::Learner(link);
    *node.ensemble.owners.entry(session).or_insert(asking) == asking
}

/// A client of a learner wants its session back there.
pub(crate) fn revalidate(
    node: &mut Node,
    now: Now,
    (link, session, timeout_ms): (LearnerLink, SessionId, i32),
    out: &mut Vec<Effect>,
) {
    if !node.expiry.is_live(session) {
        super::doubt(node, now, Doubt::Learner { link, session }, out);
        return;
    }
    node.expiry.touch(session, now.mono_ms, timeout_ms);
    node.ensemble.owners.insert(session, Owner::Learner(link));
    if let Some(conn) = node.connections.owner_of(session) {
        out.push(Effect::Close(conn));
        session::drop_connection(node, conn);
    }
    let reply = Packet::RevalidateReply { session, valid: true };
    node.peer_does(now, out, |peer, said| peer.to_learner(link, reply, said));
}
