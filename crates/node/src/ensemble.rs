//! What a replica does as a member of an ensemble: `zab`'s news become sessions that move, requests
//! that are forwarded, and trees that are sent and received.
//!
//! What it keeps true: clients are served only between [`News::Serve`] and [`News::StopServing`],
//! and only once the tree has everything that was committed before; a role that ends takes with it
//! whatever its clients had asked.
//!
//! A single server is always [`Serving::Alone`] and comes here for nothing else.

use self::receiving::Receiving;
use self::sending::Walks;
use crate::connections::{Connection, Connections, Waiting};
use crate::effect::Effect;
use crate::event::ConnId;
use crate::flow::propose;
use crate::flow::session::{self, Origin};
use crate::node::Node;
use bellwether_tree::{Identity, Now, Pending};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::{Id, Packet};
use bellwether_wire::{OpCode, SessionId, Zxid};
use bellwether_zab::{LearnerLink, News, Serving};
use std::collections::{BTreeMap, VecDeque};
use tracing::info;

mod forwarded;
pub(crate) mod milestones;
pub(crate) mod receiving;
pub(crate) mod sending;

/// Whether clients are served.
#[derive(Debug)]
enum Service {
    /// There is no leader, or this server is not in step with it.
    No,
    /// As soon as the tree has what was committed before; what learners ask meanwhile waits.
    Soon { serving: Serving, early: Vec<News> },
    /// They are.
    Yes(Serving),
}

/// Who takes a client's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This leader itself.
    Here,
    Learner(LearnerLink),
}

/// The part of a replica that only members of ensembles need.
#[derive(Debug)]
pub(crate) struct Ensemble {
    service: Service,
    /// Leading: where the client of a session opened its last connection, as far as is known. It
    /// stays when that connection, or the learner, is gone: what another one sends late is refused
    /// until the client comes to it.
    pub(crate) owners: BTreeMap<SessionId, Owner>,
    /// Learning: sessions heard from since the leader last asked.
    pub(crate) touched: BTreeMap<SessionId, i32>,
    /// Learning: connections whose session the leader is making.
    pub(crate) creating: BTreeMap<SessionId, ConnId>,
    /// Learning: connections that want a session back, until the leader knows whether it lives.
    revalidating: BTreeMap<ConnId, Connection>,
    /// Which of them asked for each session, in order.
    asked: BTreeMap<SessionId, VecDeque<ConnId>>,
    /// Learning: clients whose `sync` was forwarded, in order.
    pub(crate) syncs: VecDeque<ConnId>,
    /// Leading: who asked for sessions that are not there, as far as this server knows. They are
    /// told once a quorum has followed it after they asked: a leader that was stopped for a while
    /// may have been replaced, and the sessions begun under another.
    doubted: VecDeque<(u64, Doubt)>,
    /// Leading: snapshots that learners receive.
    pub(crate) walks: Walks,
    /// Learning: the snapshot that comes from the leader.
    pub(crate) receiving: Option<Receiving>,
    /// Learning: the tree came as a snapshot that was written while the leader's changed. Until
    /// everything is applied that was committed meanwhile, its digest is that of no transaction.
    pub(crate) fuzzy: bool,
}

impl Ensemble {
    pub(crate) fn alone() -> Ensemble {
        Ensemble { service: Service::Yes(Serving::Alone), ..Ensemble::member() }
    }

    pub(crate) fn member() -> Ensemble {
        Ensemble {
            service: Service::No,
            owners: BTreeMap::new(),
            touched: BTreeMap::new(),
            creating: BTreeMap::new(),
            revalidating: BTreeMap::new(),
            asked: BTreeMap::new(),
            syncs: VecDeque::new(),
            doubted: VecDeque::new(),
            walks: Walks::default(),
            receiving: None,
            fuzzy: false,
        }
    }

    /// In which role clients are served, if they are.
    pub(crate) fn serving(&self) -> Option<Serving> {
        match &self.service {
            Service::Yes(serving) => Some(*serving),
            Service::No | Service::Soon { .. } => None,
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.serving() == Some(Serving::Alone)
    }

    /// Whether sessions expire here, and containers are deleted.
    pub(crate) fn is_proposer(&self) -> bool {
        matches!(self.serving(), Some(Serving::Alone | Serving::Leader { .. }))
    }

    /// Whether the tree may be saved: not while another takes its place, and not while it is a
    /// mixture, since the digest at the end of the snapshot would be that of no transaction.
    pub(crate) fn may_save(&self) -> bool {
        self.receiving.is_none() && !self.fuzzy
    }

    pub(crate) fn is_learner(&self) -> bool {
        matches!(self.serving(), Some(Serving::Follower { .. } | Serving::Observer { .. }))
    }

    /// Who waits here for a transaction that came from the leader.
    pub(crate) fn origin_of(&mut self, connections: &Connections, record: &TxnRecord) -> Origin {
        let header = &record.header;
        if header.op == OpCode::CreateSession {
            return self
                .creating
                .remove(&header.session)
                .map_or(Origin::Internal, Origin::Connecting);
        }
        let owner = connections.owner_of(header.session);
        let Some((conn, connection)) = owner.and_then(|conn| Some((conn, connections.get(conn)?)))
        else {
            return Origin::Internal;
        };
        // What was under way when the session came here was asked of another server.
        let is_ours = header.zxid > connection.since;
        let waits = connection.queue.iter().find(|queued| match queued.waiting {
            Waiting::Commit | Waiting::Marker => true,
            Waiting::Read { .. }
            | Waiting::Answer(_)
            | Waiting::LastAnswer(_)
            | Waiting::SetWatches(_) => false,
        });
        let is_it = waits.is_some_and(|queued| {
            matches!(queued.waiting, Waiting::Commit)
                && queued.xid == header.cxid
                // A session that expires is closed with xid 0.
                && (header.op != OpCode::CloseSession || queued.op == OpCode::CloseSession)
        });
        if is_ours && is_it { Origin::Client(conn) } else { Origin::Internal }
    }

    /// A connection is gone that may have waited for its session.
    pub(crate) fn gone(&mut self, conn: ConnId) {
        self.revalidating.remove(&conn);
        let is_it =
            |doubt: &Doubt| matches!(doubt, Doubt::Client { conn: one, .. } if *one == conn);
        self.doubted.retain(|(_, doubt)| !is_it(doubt));
    }
}

/// Somebody who asked for a session that this leader does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doubt {
    /// A client of its own; whether it knows the read-only byte.
    Client { conn: ConnId, read_only: Option<bool> },
    /// A learner, for a client of its own.
    Learner { link: LearnerLink, session: SessionId },
}

/// Tells somebody that a session is not there, once it is sure that this server still leads.
pub(crate) fn doubt(node: &mut Node, now: Now, doubt: Doubt, out: &mut Vec<Effect>) {
    let confirmation = node.peer_does(now, out, |peer, said| peer.confirm(now.mono_ms, said));
    node.ensemble.doubted.push_back((confirmation, doubt));
    tell_doubted(node, now, out);
}

fn tell_doubted(node: &mut Node, now: Now, out: &mut Vec<Effect>) {
    let confirmed = node.proposals.confirmed;
    while let Some((_, doubt)) =
        node.ensemble.doubted.pop_front_if(|(confirmation, _)| *confirmation <= confirmed)
    {
        match doubt {
            Doubt::Client { conn, read_only } => session::tell_expired(conn, read_only, out),
            Doubt::Learner { link, session } => {
                let reply = Packet::RevalidateReply { session, valid: false };
                node.peer_does(now, out, |peer, said| peer.to_learner(link, reply, said));
            }
        }
    }
}

/// Identities as the leader is told them.
fn ids(identities: &[Identity]) -> Vec<Id> {
    let id = |identity: &Identity| Id { scheme: identity.scheme.clone(), id: identity.id.clone() };
    identities.iter().map(id).collect()
}

/// Passes a request of a client on to the leader.
pub(crate) fn forward(
    node: &mut Node,
    now: Now,
    (session, cxid, op): (SessionId, i32, OpCode),
    (payload, identities): (Vec<u8>, &[Identity]),
    out: &mut Vec<Effect>,
) {
    let request = Packet::Request {
        session,
        cxid,
        op: op.code(),
        payload: payload.into(),
        identities: ids(identities),
    };
    node.peer_does(now, out, |peer, said| peer.to_leader(request, said));
}

/// Takes what `zab` has to tell.
pub(crate) fn news(node: &mut Node, now: Now, news: News, out: &mut Vec<Effect>) {
    if let (Service::Soon { early, .. }, News::Forwarded { .. } | News::Revalidate { .. }) =
        (&mut node.ensemble.service, &news)
    {
        early.push(news);
        return;
    }
    match news {
        News::Serve(serving) => {
            node.ensemble.service = Service::Soon { serving, early: Vec::new() };
        }
        News::StopServing => stop(node, out),
        News::Forwarded { link, request } => forwarded::request(node, now, (link, request), out),
        News::Revalidate { link, session, timeout_ms } => {
            node.measures.ensemble.revalidations += 1;
            forwarded::revalidate(node, now, (link, session, timeout_ms), out);
        }
        News::Touched { link: _, sessions } => {
            for (session, timeout_ms) in sessions {
                if node.expiry.is_live(session) {
                    node.expiry.touch(session, now.mono_ms, timeout_ms);
                }
            }
        }
        News::LearnerLeft(link) => node.ensemble.walks.end(link),
        News::Confirmed(confirmation) => {
            node.proposals.confirmed = node.proposals.confirmed.max(confirmation);
            tell_doubted(node, now, out);
        }
        News::SendSnapshot(link) => sending::begin(node, link, out),
        News::Pinged { zxid } => {
            let touched = std::mem::take(&mut node.ensemble.touched).into_iter().collect();
            let pong = Packet::Ping { zxid, touched };
            node.peer_does(now, out, |peer, said| peer.to_leader(pong, said));
        }
        News::Revalidated { session, valid } => revalidated(node, (session, valid), out),
        News::Synced => {
            // A client that has left takes its place in the line with it only here.
            if let Some(conn) = node.ensemble.syncs.pop_front() {
                propose::mark_synced(node, conn);
            }
        }
        News::ReceiveSnapshot { link, zxid } => receiving::begin(node, (link, zxid), out),
        News::BeginEmpty => receiving::begin_empty(node, now, out),
        News::ReceivingEnded => receiving::end(node, out),
    }
}

/// Opens the door, once the tree has what was committed before.
pub(crate) fn open(node: &mut Node, now: Now, out: &mut Vec<Effect>) {
    let Service::Soon { serving, early } = &mut node.ensemble.service else { return };
    let (serving, early) = (*serving, std::mem::take(early));
    let (Serving::Leader { epoch } | Serving::Follower { epoch } | Serving::Observer { epoch }) =
        serving
    else {
        unreachable!("a single server serves from its start")
    };
    let first = Zxid::first_of(epoch);
    node.tree.begin_epoch(first);
    milestones::serves(node, now, serving);
    if let Serving::Leader { .. } = serving {
        node.last_zxid = first;
        // Nobody here knows when they were last heard from: each gets a whole timeout.
        for (session, timeout_ms) in node.tree.sessions() {
            node.expiry.touch(session, now.mono_ms, timeout_ms);
        }
    } else {
        // What came from the leader may have had its own.
        node.show_config(now);
    }
    node.pass_session_ids();
    info!(?serving, zxid = %node.tree.last_processed(), "serving clients");
    node.ensemble.service = Service::Yes(serving);
    if std::mem::take(&mut node.ensemble.fuzzy) {
        node.tree.forget_digest_log();
    }
    for held in early {
        news(node, now, held, out);
    }
}

/// Whether [`open`] has something to do.
pub(crate) fn is_opening(node: &Node) -> bool {
    matches!(node.ensemble.service, Service::Soon { .. })
}

/// Closes the door. What clients of this server had asked for may happen or not: they are told
/// nothing, and find another server.
fn stop(node: &mut Node, out: &mut Vec<Effect>) {
    let conns: Vec<ConnId> = node.connections.ids().collect();
    for conn in conns {
        out.push(Effect::Close(conn));
        session::drop_connection(node, conn);
    }
    for conn in std::mem::take(&mut node.ensemble.revalidating).into_keys() {
        out.push(Effect::Close(conn));
    }
    for (_, doubt) in std::mem::take(&mut node.ensemble.doubted) {
        match doubt {
            Doubt::Client { conn, .. } => out.push(Effect::Close(conn)),
            Doubt::Learner { .. } => {} // Its link is closed.
        }
    }
    node.pending = Pending::new();
    node.proposals.clear();
    node.forget_requests();
    let (receiving, fuzzy) = (node.ensemble.receiving.take(), node.ensemble.fuzzy);
    node.ensemble = Ensemble { receiving, fuzzy, ..Ensemble::member() };
}

/// A client wants its session back: only the leader knows whether it lives.
pub(crate) fn ask_leader(
    node: &mut Node,
    now: Now,
    (conn, connection): (ConnId, Connection),
    out: &mut Vec<Effect>,
) {
    let (session, timeout_ms) = (connection.session, connection.timeout_ms);
    node.ensemble.asked.entry(session).or_default().push_back(conn);
    node.ensemble.revalidating.insert(conn, connection);
    let question = Packet::Revalidate { session, timeout_ms };
    node.peer_does(now, out, |peer, said| peer.to_leader(question, said));
}

/// The leader's answer.
fn revalidated(node: &mut Node, (session, valid): (SessionId, bool), out: &mut Vec<Effect>) {
    let ensemble = &mut node.ensemble;
    let Some(waiting) = ensemble.asked.get_mut(&session) else { return };
    let conn = waiting.pop_front();
    if waiting.is_empty() {
        ensemble.asked.remove(&session);
    }
    let Some((conn, mut connection)) =
        conn.and_then(|conn| Some((conn, ensemble.revalidating.remove(&conn)?)))
    else {
        return; // The client has left meanwhile.
    };
    if valid {
        connection.since = node.peer.history().received();
        session::take_over(node, (conn, connection), out);
    } else {
        session::tell_expired(conn, connection.read_only_known.then_some(false), out);
    }
}
