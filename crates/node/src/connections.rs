//! The connections of clients: who each one is, and what it waits for, in order.

use crate::by_conn::ByConn;
use crate::event::ConnId;
use crate::statistics::{Answered, Statistics};
use bellwether_tree::{Identity, Now};
use bellwether_wire::client::request::SetWatches;
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::{ErrorCode, OpCode, SessionId, Zxid};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// A connection with a session, or one whose session is being made.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its session.
    pub(crate) session: SessionId,
    /// The timeout that was agreed when it connected, milliseconds.
    pub(crate) timeout_ms: i32,
    /// What was proposed up to here was not asked by this connection.
    pub(crate) since: Zxid,
    /// Whether its client knows the read-only byte of the connect response.
    pub(crate) read_only_known: bool,
    /// Who it is. Shared with the requests that wait, so that an auth packet in between gives them
    /// nothing.
    pub(crate) identities: Arc<[Identity]>,
    /// What was asked and not answered, in order.
    ///
    /// Invariant: the front is a [`Waiting::Commit`], [`Waiting::Marker`] or
    /// [`Waiting::SetWatches`]; anything else at the front is answered at once.
    pub(crate) queue: VecDeque<Queued>,
    /// When its connect request came, monotonic milliseconds.
    pub(crate) arrived_ms: u64,
    /// What its requests were like.
    pub(crate) statistics: Statistics,
    /// Whether Apache counts it among those that watch: from its first data watch on, fired or
    /// not, until it removes the last one itself.
    pub(crate) has_watched_data: bool,
}

/// A request that waits for its turn.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The client's number for it.
    pub(crate) xid: i32,
    /// What it asks for.
    pub(crate) op: OpCode,
    /// When it came, monotonic milliseconds.
    pub(crate) arrived_ms: u64,
    /// What it waits for.
    pub(crate) waiting: Waiting,
}

/// What a request waits for.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The commit of the connection's next proposal.
    Commit,
    /// Everything that was in flight when it came; the `sync` itself is right behind it.
    Marker,
    /// The requests before it.
    Read { request: Request, identities: Arc<[Identity]> },
    /// The requests before it; then it gets this answer.
    Answer(Result<ReplyBody, ErrorCode>),
    /// As an answer, to the request that ended the session: the connection is closed after it.
    LastAnswer(Result<ReplyBody, ErrorCode>),
    /// The rest of its own work, which is done in slices.
    SetWatches(Box<SetWatches>),
}

impl Waiting {
    /// Whether it needs nothing but its turn.
    fn is_ready(&self) -> bool {
        match self {
            Waiting::Commit | Waiting::Marker | Waiting::SetWatches(_) => false,
            Waiting::Read { .. } | Waiting::Answer(_) | Waiting::LastAnswer(_) => true,
        }
    }
}

/// All connections.
///
/// Invariant: `by_session` holds exactly the connections that own their session.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_id: ByConn<Connection>,
    by_session: BTreeMap<SessionId, ConnId>,
    queued: usize,
    /// How many have watched data.
    watching: usize,
}

impl Connections {
    pub(crate) fn insert(&mut self, id: ConnId, connection: Connection) {
        self.by_session.insert(connection.session, id);
        self.by_id.insert(id, connection);
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn owner_of(&self, session: SessionId) -> Option<ConnId> {
        self.by_session.get(&session).copied()
    }

    /// Forgets a connection; the session stays.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Connection> {
        let connection = self.by_id.remove(id)?;
        self.queued -= connection.queue.len();
        self.watching -= usize::from(connection.has_watched_data);
        if self.owner_of(connection.session) == Some(id) {
            self.by_session.remove(&connection.session);
        }
        Some(connection)
    }

    pub(crate) fn enqueue(&mut self, id: ConnId, queued: Queued) {
        let connection = self.by_id.get_mut(id).expect("only live connections are served");
        connection.queue.push_back(queued);
        self.queued += 1;
    }

    pub(crate) fn dequeue(&mut self, id: ConnId) -> Option<Queued> {
        let queued = self.by_id.get_mut(id)?.queue.pop_front()?;
        self.queued -= 1;
        Some(queued)
    }

    /// Whether the front of its queue needs nothing but its turn.
    pub(crate) fn is_ready(&self, id: ConnId) -> bool {
        let front = self.by_id.get(id).and_then(|connection| connection.queue.front());
        front.is_some_and(|queued| queued.waiting.is_ready())
    }

    /// Takes the front of a queue if it needs nothing but its turn.
    pub(crate) fn dequeue_ready(&mut self, id: ConnId) -> Option<Queued> {
        let connection = self.by_id.get_mut(id)?;
        connection.queue.front().filter(|queued| queued.waiting.is_ready())?;
        self.queued -= 1;
        connection.queue.pop_front()
    }

    /// Counts a request that gets its answer at this moment.
    pub(crate) fn answered(&mut self, id: ConnId, now: Now, request: Answered) {
        if let Some(connection) = self.by_id.get_mut(id) {
            connection.statistics.answered(now, request);
        }
    }

    /// Takes the oldest marker out of the queue of a connection, if that is still there.
    pub(crate) fn dequeue_marker(&mut self, id: ConnId) {
        let Some(connection) = self.by_id.get_mut(id) else { return };
        let is_proposed =
            |queued: &Queued| matches!(queued.waiting, Waiting::Marker | Waiting::Commit);
        let place = connection.queue.iter().position(is_proposed);
        let marker = place.and_then(|place| connection.queue.remove(place));
        let waiting = marker.map(|queued| queued.waiting);
        assert!(
            matches!(waiting, Some(Waiting::Marker)),
            "markers commit in the order of requests"
        );
        self.queued -= 1;
    }

    /// Puts back what [`Self::dequeue`] took.
    pub(crate) fn requeue(&mut self, id: ConnId, queued: Queued) {
        let connection = self.by_id.get_mut(id).expect("it was dequeued from a live connection");
        connection.queue.push_front(queued);
        self.queued += 1;
    }

    /// How many requests wait, over all connections.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// The connection set a data watch, or has removed its last one.
    pub(crate) fn set_has_watched_data(&mut self, id: ConnId, has: bool) {
        if let Some(connection) = self.by_id.get_mut(id) {
            self.watching -= usize::from(connection.has_watched_data);
            self.watching += usize::from(has);
            connection.has_watched_data = has;
        }
    }

    /// How many have watched data.
    pub(crate) fn watching(&self) -> usize {
        self.watching
    }

    /// The first connection after `id`.
    pub(crate) fn after(&self, id: Option<ConnId>) -> Option<(ConnId, &Connection)> {
        self.by_id.after(id.map_or(Bound::Unbounded, Bound::Excluded)).next()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.by_id.iter().map(|(id, _)| id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
