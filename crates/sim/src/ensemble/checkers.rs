//! What must hold in every run of an ensemble, whatever went wrong in it. One file per promise,
//! named for it.
//!
//! Members are watched where they put something on their disks, say something to each other or show
//! their trees; clients where they read what they are told. Both are held against one history
//! ([`super::truth`]).

mod acknowledged_writes;
mod ephemerals;
mod equal_trees;
mod expiry;
mod linearizable_writes;
mod liveness;
mod monotonic_reads;
mod one_leader_per_epoch;
mod primary_integrity;
mod replies;
mod session_fifo;
mod sync_then_read;
mod total_order;
mod watches;

use super::client::Asked;
use super::truth::Truth;
use crate::checkers::{Checked, Violation, violation};
use acknowledged_writes::Disk;
use bellwether_tree::Tree;
use bellwether_wire::client::{Reply, Request, WatchEvent};
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::ops::Kind;
use bellwether_wire::quorum::Packet;
use bellwether_wire::{ErrorCode, OpCode, SessionId, Zxid};
use expiry::{Expiry, Heard};
use one_leader_per_epoch::Leaders;
use session_fifo::Fifo;
use std::sync::Arc;
use total_order::Trail;
use watches::Watches;

/// In which role a member serves clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Nobody,
    AsLeader { epoch: u32 },
    AsLearner,
}

/// A member as the checkers see it.
#[derive(Debug)]
struct Member {
    votes: bool,
    trail: Trail,
    disk: Disk,
    heard: Heard,
    /// Which of its processes runs.
    life: u64,
    serves: Serves,
}

/// All checkers of an ensemble.
pub(super) struct Checkers {
    pub(super) truth: Truth,
    /// Where the log of the newest leader ended when it began.
    began_at: Zxid,
    members: Vec<Member>,
    leaders: Leaders,
    fifo: Fifo,
    expiry: Expiry,
    /// Per client, the watches of its connection.
    watches: Vec<Watches>,
    clients: Vec<Served>,
    /// Since when nothing has been wrong; `None` while something is.
    calm_since_us: Option<u64>,
    /// The newest write that any client was told of.
    told: Zxid,
    /// Whose numbers tell the order in which a session asked.
    numbers: Numbers,
}

/// How clients number their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// On through the whole session, as ours do.
    OfTheSession,
    /// Anew on each connection, as a client may: they say nothing about two connections.
    OfTheConnection,
}

/// Who serves a client.
#[derive(Clone, Copy, Debug)]
struct Served {
    session: SessionId,
    member: usize,
    /// Since when, without a break; `None` while nobody does.
    since_us: Option<u64>,
}

impl Checkers {
    pub(super) fn new(votes: &[bool], clients: usize) -> Checkers {
        let member = |votes: &bool| Member {
            votes: *votes,
            trail: Trail::default(),
            disk: Disk::default(),
            heard: Heard::default(),
            life: 0,
            serves: Serves::Nobody,
        };
        Checkers {
            truth: Truth::new(),
            began_at: Zxid::ZERO,
            members: votes.iter().map(member).collect(),
            leaders: Leaders::default(),
            fifo: Fifo::default(),
            expiry: Expiry::default(),
            watches: (0..clients).map(|_| Watches::default()).collect(),
            clients: vec![Served { session: SessionId::NONE, member: 0, since_us: None }; clients],
            calm_since_us: Some(0),
            told: Zxid::ZERO,
            numbers: Numbers::OfTheSession,
        }
    }

    /// The clients are not of this crate, and number their requests as they like.
    pub(super) fn numbered_by_connection(&mut self) {
        self.numbers = Numbers::OfTheConnection;
    }

    fn member(&mut self, member: usize) -> &mut Member {
        self.members.get_mut(member).expect("members are as many as were made")
    }

    /// The newest write that any client was told of.
    pub(super) fn told(&self) -> Zxid {
        self.told
    }
}

/// What members do.
impl Checkers {
    /// A process has read its disk: a snapshot, and the log behind it.
    pub(super) fn started(
        &mut self,
        member: usize,
        (base, records): (Zxid, Vec<Arc<TxnRecord>>),
        epochs: (u32, u32),
    ) -> Checked {
        let it = self.member(member);
        it.life += 1;
        it.serves = Serves::Nobody;
        it.trail = Trail::started(base, records);
        (it.disk.accepted_epoch, it.disk.current_epoch) = epochs;
        it.disk.started(member, it.trail.last())
    }

    /// A record is handed to the log; `now_ms` is the member's own clock.
    pub(super) fn appended(
        &mut self,
        member: usize,
        record: &Arc<TxnRecord>,
        (now_ms, now_us): (u64, u64),
    ) -> Checked {
        let it = self.members.get_mut(member).expect("members are as many as were made");
        it.trail.appended(record.clone());
        match it.serves {
            Serves::AsLeader { .. } => {
                self.expiry.proposed(member, record, (&mut it.heard, now_ms))?;
                self.expires_while_pinged(record, now_us)
            }
            Serves::Nobody | Serves::AsLearner => Ok(()),
        }
    }

    /// Nothing has been wrong for long, the client has been served all the while and was never
    /// silent for longer than a third of its timeout: then its session does not expire.
    fn expires_while_pinged(&self, record: &TxnRecord, now_us: u64) -> Checked {
        let header = &record.header;
        if header.op != OpCode::CloseSession || header.cxid != 0 {
            return Ok(());
        }
        let Some(calm_us) = self.calm_since_us else { return Ok(()) };
        let timeout_ms = self.truth.sessions().get(&header.session).copied().unwrap_or(0);
        let long_us = 2000 * u64::try_from(timeout_ms).unwrap_or(0);
        let is_it = |served: &&Served| served.session == header.session;
        let Some(served) = self.clients.iter().find(is_it) else { return Ok(()) };
        match served.since_us {
            Some(since_us) if since_us.max(calm_us) + long_us < now_us => {
                expiry::while_pinged(header.session, served.member)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Since when nothing has been wrong; `None` while something is.
    pub(super) fn calm_since(&mut self, us: Option<u64>) {
        self.calm_since_us = us;
    }

    /// The process of a member has ended.
    pub(super) fn ended(&mut self, member: usize) {
        self.member(member).serves = Serves::Nobody;
    }

    /// A packet of a learner reached the socket of its leader.
    pub(super) fn heard_packet(&mut self, member: usize, packet: &Packet, now_ms: u64) {
        let heard = &mut self.member(member).heard;
        if let Packet::Ping { touched, .. } = packet {
            for (session, _) in touched {
                heard.touched(*session, now_ms);
            }
        }
        if let Packet::Revalidate { session, .. } = packet {
            heard.touched(*session, now_ms);
        }
    }

    /// The log is synced up to here.
    pub(super) fn synced(&mut self, member: usize, zxid: Zxid) {
        self.member(member).disk.synced = zxid;
    }

    /// An epoch is on the disk.
    pub(super) fn saved_accepted(&mut self, member: usize, epoch: u32) {
        self.member(member).disk.accepted_epoch = epoch;
    }

    pub(super) fn saved_current(&mut self, member: usize, epoch: u32) {
        self.member(member).disk.current_epoch = epoch;
    }

    /// The log is about to be cut behind this, or it cannot be.
    pub(super) fn cutting(&mut self, member: usize, last: Option<Zxid>) {
        self.member(member).disk.cut = last;
    }

    /// The log was cut.
    pub(super) fn truncated(&mut self, member: usize, last: Zxid) {
        let it = self.member(member);
        it.trail.truncated(last);
        it.disk.truncated(last);
    }

    /// A leader's snapshot took the place of everything.
    pub(super) fn adopted(&mut self, member: usize, zxid: Zxid) {
        let it = self.member(member);
        it.trail = Trail::started(zxid, Vec::new());
        it.disk.truncated(zxid);
        it.disk.synced = zxid;
    }

    /// A member says to its leader that its disk has everything up to `zxid`.
    pub(super) fn acknowledges(&mut self, member: usize, zxid: Zxid) -> Checked {
        self.member(member).disk.acknowledges(member, zxid)
    }

    /// A leader that a member follows has proposed an epoch.
    pub(super) fn was_proposed(&mut self, member: usize, epoch: u32) {
        self.member(member).disk.proposed_epoch = epoch;
    }

    /// A member promises the epoch that its leader has proposed.
    pub(super) fn promises(&mut self, member: usize) -> Checked {
        self.member(member).disk.promises(member)
    }

    /// A sign of life of a session reached the socket of a member, by its own clock.
    pub(super) fn touched(&mut self, member: usize, session: SessionId, now_ms: u64) {
        self.member(member).heard.touched(session, now_ms);
    }

    /// A member begins to serve clients, or ends.
    pub(super) fn serves(
        &mut self,
        member: usize,
        (serves, now_ms): (Serves, u64),
        tree: &Tree,
    ) -> Checked {
        let it = self.member(member);
        it.serves = serves;
        match serves {
            Serves::Nobody => return Ok(()),
            Serves::AsLeader { .. } => it.heard.leads(now_ms),
            Serves::AsLearner => {}
        }
        let (last, life, base) = (it.trail.last(), it.life, it.trail.base());
        if let Serves::AsLeader { .. } = serves {
            self.commits_with_snapshot(base)?;
        }
        self.shows(member, tree.last_processed())?;
        if let Serves::AsLeader { epoch } = serves {
            primary_integrity::leads(member, (epoch, last), &self.truth)?;
            self.leaders.leads(epoch, (member, life))?;
            if epoch >= self.leaders.newest() {
                self.began_at = last;
            }
        }
        equal_trees::same(member, tree, &self.truth)
    }

    /// What a member that serves has applied.
    pub(super) fn stepped(&mut self, member: usize, zxid: Zxid) -> Checked {
        match self.member(member).serves {
            Serves::Nobody => Ok(()),
            Serves::AsLeader { .. } | Serves::AsLearner => self.shows(member, zxid),
        }
    }

    /// A leader counts all that it has as committed; a snapshot that it took over from the leader
    /// before may show what nobody had shown, and the records are another's.
    fn commits_with_snapshot(&mut self, base: Zxid) -> Checked {
        let last = self.truth.last();
        if base <= last {
            return Ok(());
        }
        let records = self.members.iter().find_map(|member| member.trail.between(last, base));
        records.into_iter().flatten().try_for_each(|record| self.committed(record))
    }

    fn shows(&mut self, member: usize, zxid: Zxid) -> Checked {
        let Some(it) = self.members.get_mut(member) else { return Ok(()) };
        let news = it.trail.shown(member, zxid, &self.truth)?;
        news.into_iter().try_for_each(|record| self.committed(record))
    }

    /// A transaction is shown for the first time.
    fn committed(&mut self, record: Arc<TxnRecord>) -> Checked {
        let zxid = record.header.zxid;
        let voters = self.members.iter().filter(|member| member.votes);
        let holds = |member: &&Member| member.disk.synced >= zxid && member.trail.has(zxid);
        let holders = voters.clone().filter(holds).count();
        acknowledged_writes::shown(zxid, (holders, voters.count()))?;
        primary_integrity::commits(zxid, (self.leaders.newest(), self.began_at))?;
        match self.numbers {
            Numbers::OfTheSession => self.fifo.committed(&record)?,
            Numbers::OfTheConnection => {}
        }
        match self.truth.commit(record) {
            Ok(()) => Ok(()),
            Err(seen) => violation("total order", seen),
        }
    }

    /// Everything has healed.
    pub(super) fn healed(&self, trees: &[(usize, &Tree)]) -> Checked {
        for (member, tree) in trees {
            if let Some(it) = self.members.get(*member) {
                it.trail.complete(*member, &self.truth)?;
            }
            equal_trees::same(*member, tree, &self.truth)?;
            ephemerals::same(*member, tree, &self.truth)?;
        }
        let digests: Vec<_> = trees.iter().map(|(member, tree)| (*member, tree.digest())).collect();
        equal_trees::digests(&digests)?;
        equal_trees::digest_logs(trees)?;
        acknowledged_writes::told(self.told, self.truth.last())
    }

    /// Nobody has wanted a session for long.
    pub(super) fn abandoned(&self) -> Checked {
        expiry::abandoned(self.truth.sessions())
    }

    /// Something that must happen after everything has healed has not happened.
    pub(super) fn waited(
        &self,
        times_us: (u64, u64),
        waits_for: &str,
        states: &[String],
    ) -> Checked {
        liveness::recovered(times_us, waits_for, states)
    }
}

/// What clients are told.
impl Checkers {
    /// A client has a connection with a session, by a member.
    pub(super) fn connected(
        &mut self,
        (client, session, member): (usize, SessionId, usize),
        seen: Zxid,
        now_us: u64,
    ) {
        if let Some(served) = self.clients.get_mut(client) {
            *served = Served { session, member, since_us: Some(now_us) };
        }
        if let Some(watches) = self.watches.get_mut(client) {
            *watches = Watches::new(seen, &self.truth);
        }
    }

    /// A client has no connection any more, or says nothing.
    pub(super) fn parted(&mut self, client: usize) {
        if let Some(served) = self.clients.get_mut(client) {
            served.since_us = None;
        }
    }

    /// A client has another session: what it watched is forgotten.
    pub(super) fn forget_watches(&mut self, client: usize) {
        if let Some(watches) = self.watches.get_mut(client) {
            *watches = Watches::default();
        }
    }

    /// What a client watched on the connection that it had last.
    pub(super) fn watched(&self, client: usize) -> Vec<Box<str>> {
        self.watches.get(client).map(Watches::paths).unwrap_or_default()
    }

    /// Its session was refused.
    pub(super) fn refused(&self, session: SessionId) -> Checked {
        self.expiry.refused(session)
    }

    pub(super) fn event(&mut self, client: usize, event: &WatchEvent) -> Checked {
        match self.watches.get_mut(client) {
            Some(watches) => watches.event(event, &self.truth),
            None => Ok(()),
        }
    }

    /// A client that had seen `seen` before was answered.
    pub(super) fn replied(
        &mut self,
        (client, session, seen): (usize, SessionId, Zxid),
        asked: &Asked,
        reply: &Reply,
    ) -> Checked {
        let ended =
            matches!(reply.result, Err(ErrorCode::SessionExpired | ErrorCode::ConnectionLoss));
        if ended {
            return self.expiry.refused(session);
        }
        monotonic_reads::answered(seen, reply)?;
        let begun = Zxid::first_of(self.leaders.newest());
        acknowledged_writes::told(reply.zxid, self.truth.last().max(begun))?;
        if let Some(watches) = self.watches.get_mut(client) {
            watches.reply(asked, reply, &self.truth)?;
        }
        let op = asked.request.op();
        if op.kind() == Kind::Write {
            return self.written(session, asked, reply);
        }
        if matches!(asked.request, Request::Sync { .. }) {
            sync_then_read::answered(asked, reply)?;
        }
        replies::read(asked, reply, &self.truth)
    }

    fn written(&mut self, session: SessionId, asked: &Asked, reply: &Reply) -> Checked {
        let Some(record) = self.truth.submitted(session, asked.xid) else {
            let seen =
                format!("{asked:?} of {session} was answered and never committed: {reply:?}");
            return violation("acknowledged writes", seen);
        };
        linearizable_writes::answered(asked, record.header.zxid)?;
        replies::written(asked, reply, (record, &self.truth))?;
        if !matches!(record.txn, Txn::Error { .. }) || asked.request.op() == OpCode::Multi {
            self.told = self.told.max(record.header.zxid);
        }
        Ok(())
    }

    /// Every event that a client was due by what it was shown has come.
    pub(super) fn nothing_due(&self) -> Result<(), Violation> {
        self.watches.iter().try_for_each(watches::none_due)
    }
}
