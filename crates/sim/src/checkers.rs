//! What must hold in every run, whatever went wrong in it. One file per promise.
//!
//! The checkers see what a client could see, in the order in which the server said it, and which
//! transactions it appended. A single server shows in every reply which transaction it had applied
//! last: so each reply is compared with a naive tree ([`crate::model`]) in exactly that state.

mod durability;
mod order;
mod recovery;
mod replies;
mod sessions;
mod watches;

use crate::model::Model;
use bellwether_node::{ConnId, Node};
use bellwether_tree::{Identity, Tree};
use bellwether_wire::client::{ConnectResponse, Reply, Request, WatchEvent, xid};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{OpCode, SessionId, Zxid};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise, by the name of its checker.
    pub promise: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.seen)
    }
}

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violation(promise: &'static str, seen: impl Into<String>) -> Checked {
    Err(Violation { promise, seen: seen.into() })
}

/// A request that was put before the server and waits for its reply.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) xid: i32,
    /// `None`: a body that cannot be decoded.
    pub(crate) request: Option<Request>,
    pub(crate) write: bool,
    pub(crate) identities: Vec<Identity>,
}

/// A connection as its client sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) session: SessionId,
    pub(crate) asked: VecDeque<Asked>,
    /// Identities that its requests carry from here on.
    pub(crate) asking_as: Vec<Identity>,
    /// Identities that it was told it has.
    pub(crate) identities: Vec<Identity>,
    /// Auth packets that wait for their answer, with what they would prove.
    pub(crate) proofs: VecDeque<Option<Identity>>,
    /// It proved an identity in this step: what was applied in the same step may have been judged
    /// before or after.
    pub(crate) proved: bool,
    /// The server was told that it is gone: what it still says to it does not matter.
    pub(crate) gone: bool,
}

/// All checkers.
pub(crate) struct Checkers {
    /// The state after the last transaction that the server has shown to have applied.
    model: Model,
    /// Every transaction that is, or may be, in the log; the first one is 1.
    history: Vec<Arc<TxnRecord>>,
    /// Which transaction a client's write became.
    submitted: BTreeMap<(SessionId, i32), Zxid>,
    connections: BTreeMap<ConnId, Seen>,
    durability: durability::Durability,
    order: order::Order,
    sessions: sessions::Sessions,
    watches: watches::Watches,
}

impl Checkers {
    pub(crate) fn new() -> Checkers {
        Checkers {
            model: Model::new(),
            history: Vec::new(),
            submitted: BTreeMap::new(),
            connections: BTreeMap::new(),
            durability: durability::Durability::default(),
            order: order::Order::default(),
            sessions: sessions::Sessions::default(),
            watches: watches::Watches::default(),
        }
    }

    /// A connect request was put before the server.
    pub(crate) fn connects(&mut self, conn: ConnId, identity: Identity) {
        let seen = Seen {
            session: SessionId::NONE,
            asked: VecDeque::new(),
            asking_as: vec![identity.clone()],
            identities: vec![identity],
            proofs: VecDeque::new(),
            proved: false,
            gone: false,
        };
        self.connections.insert(conn, seen);
    }

    /// A request was put before the server. Auth packets are told by [`Self::proves`].
    pub(crate) fn asks(&mut self, conn: ConnId, asked: (i32, Option<Request>, bool), now_ms: u64) {
        let (xid, request, write) = asked;
        if let Some(seen) = self.connections.get_mut(&conn) {
            let identities = seen.asking_as.clone();
            seen.asked.push_back(Asked { xid, request, write, identities });
            self.sessions.heard_of(seen.session, now_ms);
        }
    }

    /// An auth packet was checked.
    pub(crate) fn proves(&mut self, conn: ConnId, identity: Option<Identity>) {
        if let Some(seen) = self.connections.get_mut(&conn) {
            if let Some(identity) = &identity {
                seen.asking_as.push(identity.clone());
            }
            seen.proofs.push_back(identity);
        }
    }

    /// The server was told that a connection is gone.
    pub(crate) fn gone(&mut self, conn: ConnId) {
        if let Some(seen) = self.connections.get_mut(&conn) {
            seen.gone = true;
        }
    }

    /// The server appended a transaction.
    pub(crate) fn appended(&mut self, record: &Arc<TxnRecord>, now_ms: u64) -> Checked {
        let header = &record.header;
        let next = Zxid(self.history.last().map_or(0, |last| last.header.zxid.0) + 1);
        if header.zxid != next {
            return violation(
                "order",
                format!("{} was given out where {next} was due", header.zxid),
            );
        }
        self.history.push(record.clone());
        if header.op == OpCode::CreateSession {
            // A clock that was set back may bring the id of a session back that is long gone.
            self.submitted.retain(|(session, _), _| *session != header.session);
        }
        if header.cxid != 0 {
            self.submitted.insert((header.session, header.cxid), header.zxid);
        }
        self.sessions.appended(record, now_ms)
    }

    /// The server answered a connect request.
    pub(crate) fn connected(
        &mut self,
        conn: ConnId,
        response: &ConnectResponse,
        now_ms: u64,
    ) -> Checked {
        self.order.says(conn)?;
        self.sessions.connected(response, now_ms)?;
        if let Some(seen) = self.connections.get_mut(&conn) {
            seen.session = response.session;
        }
        // A session that was made just before is in the log; its transaction's place is its only
        // trace until the first reply.
        match self.sessions.made(response.session) {
            Some(zxid) if zxid > self.model.zxid => self.show(zxid),
            Some(_) | None => Ok(()), // It is an old session that comes back.
        }
    }

    /// The server sent a watch event.
    pub(crate) fn event(&mut self, conn: ConnId, event: &WatchEvent) -> Checked {
        self.order.says(conn)?;
        if event.zxid == Zxid(-1) {
            self.watches.told_again(conn, event);
            return Ok(());
        }
        self.show(event.zxid)?;
        self.watches.event(conn, event)
    }

    /// The server replied.
    pub(crate) fn reply(&mut self, conn: ConnId, reply: &Reply) -> Checked {
        self.order.says(conn)?;
        let Some(seen) = self.connections.get_mut(&conn) else {
            return violation("order", format!("{conn:?} never connected"));
        };
        if reply.xid == xid::AUTH {
            return order::proof(seen, reply);
        }
        if let Some(checked) = order::outside(seen, reply) {
            return checked;
        }
        let Some(asked) = seen.asked.pop_front() else {
            return violation("order", format!("{conn:?} asked nothing and got {reply:?}"));
        };
        if asked.xid != reply.xid {
            let expected = asked.xid;
            return violation("order", format!("{conn:?} waited for {expected} and got {reply:?}"));
        }
        let session = seen.session;
        self.show(reply.zxid)?;
        self.watches.before_reply(&self.connections)?;
        let zxid = self.submitted.get(&(session, asked.xid)).copied();
        let record = zxid.and_then(|zxid| self.record(zxid));
        replies::check(&self.model, (&asked, session), reply, record)?;
        let closing = self.sessions.is_closing(session);
        replies::check_expired(reply, closing)?;
        if let Some(request) = &asked.request {
            self.watches.answered(conn, (request, reply), &self.model)?;
        }
        Ok(())
    }

    /// The server closed a connection.
    pub(crate) fn closed(&mut self, conn: ConnId) {
        self.order.closed(conn);
        self.watches.closed(conn);
        self.connections.remove(&conn);
    }

    /// A step of the node is over, and it has applied everything up to `zxid`, whether or not that
    /// showed.
    pub(crate) fn stepped(&mut self, zxid: Zxid) -> Checked {
        self.advance(zxid)?;
        self.connections.values_mut().for_each(|seen| seen.proved = false);
        Ok(())
    }

    /// The process ended, in whatever way.
    pub(crate) fn crashed(&mut self) {
        self.connections.clear();
        self.watches.crashed();
    }

    /// A server has started: with this tree, after these transactions were read from the log.
    pub(crate) fn recovered(&mut self, tree: &Tree, read: &[TxnRecord], now_ms: u64) -> Checked {
        let last = tree.last_processed();
        recovery::complete(last, read)?;
        self.durability.recovered((last, self.model.zxid), (read, &self.history))?;
        self.history.truncate(usize::try_from(last.0).unwrap_or(0));
        self.submitted.retain(|_, zxid| *zxid <= last);
        self.advance(last)?;
        self.watches.crashed();
        self.sessions.recovered(&self.model, now_ms);
        recovery::same(tree, &self.model)
    }

    /// The server has nothing left to do.
    pub(crate) fn settled(&mut self, node: &Node) -> Checked {
        self.advance(node.tree().last_processed())?;
        self.watches.before_reply(&self.connections)?;
        recovery::same(node.tree(), &self.model)
    }

    /// How many transactions there were.
    pub(crate) fn transactions(&self) -> usize {
        self.history.len()
    }

    fn record(&self, zxid: Zxid) -> Option<&TxnRecord> {
        let index = usize::try_from(zxid.0 - 1).ok()?;
        self.history.get(index).map(Arc::as_ref)
    }

    /// The server let somebody see that it has applied everything up to `zxid`.
    fn show(&mut self, zxid: Zxid) -> Checked {
        self.durability.told(zxid);
        if zxid < self.model.zxid {
            let shown = self.model.zxid;
            return violation("order", format!("{zxid} was shown after {shown}"));
        }
        self.advance(zxid)
    }

    fn advance(&mut self, zxid: Zxid) -> Checked {
        while self.model.zxid < zxid {
            self.watches.before_reply(&self.connections)?;
            let next = Zxid(self.model.zxid.0 + 1);
            let index = usize::try_from(self.model.zxid.0).unwrap_or(0);
            let Some(record) = self.history.get(index).cloned() else {
                return violation("order", format!("{next} was shown and never appended"));
            };
            match self.model.apply(&record) {
                Ok(changes) => self.watches.applied(next, &changes, &self.connections),
                Err(seen) => return violation("model", seen),
            }
        }
        Ok(())
    }
}
