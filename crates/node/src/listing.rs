//! What there may be a million of, one visit at a time: for the four-letter words. A visit costs
//! about as much as finding one thing; whoever asks counts visits and goes on later.
//!
//! What it keeps true: between two visits anything may change; what is there from the beginning to
//! the end is told, and nothing is told of what it does not concern. A session that shows signs of
//! life meanwhile may be told twice, with both of its deadlines.

use crate::event::ConnId;
use crate::node::Node;
use bellwether_tree::{EphemeralVisit, EphemeralWalk, WatchVisit, WatchWalk, WatcherId};
use bellwether_wire::SessionId;

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Sessions, by deadline. Only whoever leads, or is alone, knows it.
    Sessions,
    /// All sessions, by id.
    GlobalSessions,
    /// Sessions that own nodes, and these.
    Ephemerals,
    /// Watched paths, and the sessions that watch them.
    WatchesByPath,
    /// Sessions whose connection set data watches, and the paths that it still watches.
    WatchesBySession,
}

/// One thing of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed<'a> {
    /// Sessions that expire together, told next.
    Deadline {
        /// When, monotonic milliseconds.
        deadline_ms: u64,
        /// How many.
        sessions: usize,
    },
    /// A session below its deadline, or below a path that it watches.
    Session(SessionId),
    /// A session of the whole ensemble.
    GlobalSession {
        /// Its id.
        session: SessionId,
        /// Its timeout.
        timeout_ms: i32,
    },
    /// A session that owns nodes, told next.
    Owner(SessionId),
    /// A node of the owner.
    Owned(String),
    /// A path that is watched; by whom is told next.
    WatchedPath(&'a str),
    /// A session that watches paths, told next.
    WatchingSession(SessionId),
    /// A path that the session watches.
    PathOfSession(&'a str),
}

/// What a visit saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit<'a> {
    /// Nothing that is told.
    Nothing,
    /// This.
    Saw(Listed<'a>),
    /// Everything was seen.
    End,
}

/// How far a list was told.
#[derive(Clone, Copy, Debug)]
pub struct Listing(Progress);

#[derive(Clone, Copy, Debug)]
enum Progress {
    /// The deadline and the session that were told last.
    Sessions(Option<(u64, Option<SessionId>)>),
    /// The session that was told last.
    GlobalSessions(Option<SessionId>),
    Ephemerals(EphemeralWalk),
    WatchesByPath(WatchWalk),
    /// The connection that was told last, and where its paths go on.
    WatchesBySession(Option<(ConnId, WatchWalk)>),
}

impl Listing {
    /// The beginning of a list.
    pub fn start(list: List) -> Listing {
        Listing(match list {
            List::Sessions => Progress::Sessions(None),
            List::GlobalSessions => Progress::GlobalSessions(None),
            List::Ephemerals => Progress::Ephemerals(EphemeralWalk::start()),
            List::WatchesByPath => Progress::WatchesByPath(WatchWalk::by_path()),
            List::WatchesBySession => Progress::WatchesBySession(None),
        })
    }

    /// The next visit.
    pub fn next<'a>(&mut self, node: &'a Node) -> Visit<'a> {
        match &mut self.0 {
            Progress::Sessions(told) => sessions(node, told),
            Progress::GlobalSessions(told) => match node.tree.session_after(*told) {
                Some((session, timeout_ms)) => {
                    *told = Some(session);
                    Visit::Saw(Listed::GlobalSession { session, timeout_ms })
                }
                None => Visit::End,
            },
            Progress::Ephemerals(walk) => match walk.next(&node.tree) {
                EphemeralVisit::Owner(session) => Visit::Saw(Listed::Owner(session)),
                EphemeralVisit::Path(path) => Visit::Saw(Listed::Owned(path)),
                EphemeralVisit::End => Visit::End,
            },
            Progress::WatchesByPath(walk) => match walk.next(&node.watches) {
                WatchVisit::Nothing => Visit::Nothing,
                WatchVisit::Path(path) => Visit::Saw(Listed::WatchedPath(path)),
                WatchVisit::Watcher(watcher) => match session(node, watcher) {
                    Some(session) => Visit::Saw(Listed::Session(session)),
                    None => Visit::Nothing,
                },
                WatchVisit::End => Visit::End,
            },
            Progress::WatchesBySession(told) => watches_by_session(node, told),
        }
    }
}

/// The session of a watcher; `None` once its connection is closed.
fn session(node: &Node, watcher: WatcherId) -> Option<SessionId> {
    node.connections.get(ConnId(watcher.0)).map(|connection| connection.session)
}

fn watches_by_session<'a>(node: &'a Node, told: &mut Option<(ConnId, WatchWalk)>) -> Visit<'a> {
    if let Some((_, walk)) = told {
        match walk.next(&node.watches) {
            WatchVisit::Nothing | WatchVisit::Watcher(_) => return Visit::Nothing,
            WatchVisit::Path(path) => return Visit::Saw(Listed::PathOfSession(path)),
            WatchVisit::End => {}
        }
    }
    let Some((conn, connection)) = node.connections.after(told.map(|(conn, _)| conn)) else {
        return Visit::End;
    };
    *told = Some((conn, WatchWalk::of_watcher(WatcherId(conn.0))));
    match connection.has_watched_data {
        true => Visit::Saw(Listed::WatchingSession(connection.session)),
        // There is nothing for its walk to find.
        false => Visit::Nothing,
    }
}

fn sessions<'a>(node: &Node, told: &mut Option<(u64, Option<SessionId>)>) -> Visit<'a> {
    if let Some((deadline_ms, last)) = *told
        && let Some(session) = node.expiry.next_in_bucket(deadline_ms, last)
    {
        *told = Some((deadline_ms, Some(session)));
        return Visit::Saw(Listed::Session(session));
    }
    match node.expiry.next_bucket(told.map(|(deadline_ms, _)| deadline_ms)) {
        Some((deadline_ms, sessions)) => {
            *told = Some((deadline_ms, None));
            Visit::Saw(Listed::Deadline { deadline_ms, sessions })
        }
        None => Visit::End,
    }
}
