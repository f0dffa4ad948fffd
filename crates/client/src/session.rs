//! A client's session without IO: events in, effects out, time an argument.
//!
//! It decides when to connect and to whom, what to send after a connection is there (the proof by
//! SASL, then the identities, then the watches, then what waited), when to ping, when to give a
//! connection or the session up, and which request a reply belongs to. The shell in
//! [`crate::connection`] performs the effects in order and knows none of this.
//!
//! What it keeps true:
//! - Every request that was submitted is completed exactly once.
//! - A request that was sent is never sent again: whether it happened is the caller's to find out.
//! - Requests leave in the order in which they were submitted.
//! - After the session has ended nothing is sent and everything is refused.

use crate::error::{AuthFailure, Sent, SessionEnd};
use crate::hosts::{Host, Turn};
use crate::limits::{AUTHS_MAX, CLOSE_MS, CONNECT_MS_MIN};
use crate::sasl::Mechanism;
use crate::time::Millis;
use crate::watches::{WatchId, WatchKind, WatchTable};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{ConnectRequest, ConnectResponse, ReplyBody, WatchEvent, frame};
use bellwether_wire::{ErrorCode, OpCode, Password, Reader, SessionId, Zxid};
use link::Link;
pub(crate) use link::{Keep, confirmation, encode};
use proof::{Proof, Proven};
use seek::Seek;
pub(crate) use seek::Writes;
use std::collections::VecDeque;
use std::sync::Arc;

mod link;
mod proof;
mod seek;
#[cfg(test)]
mod tests;

/// A request of a caller, by a number that the shell chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// Which servers a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Only those that write.
    #[default]
    ReadWrite,
    /// Also one that has lost its ensemble and only reads. Apache's make sessions there only with
    /// `localSessionsEnabled=true`; without it the attempt fails with `NOTREADONLY`.
    ReadOnlyAllowed,
}

/// What a session is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The session timeout to ask for.
    pub(crate) timeout: Millis,
    pub(crate) access: Access,
    /// How the client proves who it is on every connection, before anything else is sent.
    pub(crate) sasl: Option<Arc<dyn Mechanism>>,
}

/// A request, encoded but for its xid.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) id: RequestId,
    pub(crate) op: OpCode,
    /// The whole frame; bytes 4 to 8 are the xid's.
    pub(crate) frame: Vec<u8>,
    /// The watch that it sets if it succeeds.
    pub(crate) watch: Option<Registration>,
}

/// A watch that a request sets.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) id: WatchId,
    pub(crate) path: Box<str>,
    /// [`WatchKind::Data`] for an exists: it becomes [`WatchKind::Exist`] if the node is not there.
    pub(crate) kind: WatchKind,
}

/// Everything that can happen to a session.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Time has passed.
    Tick,
    /// The connection that [`Effect::Dial`] asked for is there.
    Opened,
    /// A whole frame arrived.
    Frame(&'a [u8]),
    /// The connection could not be made or is gone.
    Lost(Box<str>),
    /// What [`Effect::Probe`] found out.
    Probed(Host, Writes),
    /// A caller asks for something.
    Submit(Submission),
    /// A caller adds an identity.
    AddAuth { id: RequestId, scheme: Box<str>, auth: Box<[u8]> },
    /// A watch value is gone. With an id, somebody waits until the server has forgotten it.
    Unwatch(WatchId, Option<RequestId>),
    /// Whether somebody needs the session to be certain.
    Keep(Keep),
    /// The session shall end.
    Close,
}

/// Everything a session can ask of the world.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Connect to this server; what was connected before is hung up already.
    Dial(Host),
    /// Ask this server, over a connection of its own, whether it writes.
    Probe(Host),
    /// Send these bytes, after those before.
    Send(Vec<u8>),
    /// Close the connection or stop making it; nothing more of it is of interest.
    HangUp,
    /// The request is done.
    Complete(RequestId, Result<ReplyBody, Failure>),
    /// The server told of something, for whichever watches; said once, before each of them hears.
    Notification(WatchEvent),
    /// A watch fired.
    Notify(WatchId, WatchEvent),
    /// A persistent watch may have missed events.
    Gap(WatchId),
    /// Something about the session changed.
    Session(SessionEvent),
}

/// Why a request has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server answered with this error's number.
    Code(i32),
    /// The connection was lost after it was sent.
    ConnectionLost,
    /// The session has ended.
    Ended(SessionEnd, Sent),
    /// The session has as many identities as it may have.
    TooManyAuths,
}

/// What happened to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A server has the session.
    Connected {
        /// Which server.
        server: Host,
        /// The session.
        session: SessionId,
        /// The timeout that was agreed, in milliseconds.
        timeout_ms: u32,
        /// Whether it is the one from before. Watches have been set again in any case.
        resumed: Resumed,
        /// What this server accepts.
        access: Access,
    },
    /// The connection is lost; the session may live on.
    Disconnected {
        /// Why.
        reason: Box<str>,
    },
    /// An attempt to connect failed; there will be another.
    AttemptFailed {
        /// Which server was tried.
        server: Host,
        /// Why.
        reason: Box<str>,
    },
    /// The session is over. There is nothing after this.
    Ended(SessionEnd),
}

/// Whether a connection began the session or took it up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The session is new.
    No,
    /// It had been connected before.
    Yes,
}

/// What the server knows the session by.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: SessionId,
    password: Password,
    /// What was agreed.
    timeout: Millis,
    /// Whether a server that writes has had it. What a server without its ensemble gave out is
    /// known to nobody else.
    known: Known,
    /// When a server was last heard of. After 4/3 of the timeout without any, the session counts
    /// as expired, as in Apache's client: whoever holds a lock by it must learn of that even when
    /// there is nobody to tell.
    last_heard: Millis,
    /// When the connect request that was answered last had been sent.
    greeted: Millis,
    /// When the newest write had been sent that was answered, or the session was asked for: no
    /// leader counts the silence of this client from a much earlier moment.
    confirmed: Millis,
}

/// Who knows a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The ensemble.
    ToAll,
    /// The one server that only reads and gave it out.
    ToOne,
}

#[derive(Debug)]
struct Auth {
    scheme: Box<str>,
    auth: Box<[u8]>,
    /// Who waits for the server's first answer to it.
    waiting: Option<RequestId>,
}

#[derive(Debug)]
enum State {
    /// Between two attempts.
    Pausing { until: Millis },
    /// The connection is being made.
    Dialing { server: Host, deadline: Millis },
    /// The connect request is sent.
    Greeting { server: Host, sent_at: Millis, deadline: Millis },
    /// A server has the session, and the client is proving who it is.
    Proving(Box<Proof>),
    /// A server has the session and takes requests.
    Linked(Box<Link>),
    /// It is over.
    Ended(SessionEnd),
}

/// See the module's own words.
#[derive(Debug)]
pub(crate) struct Session {
    config: Config,
    turn: Turn,
    /// `None` until a server has given it.
    identity: Option<Identity>,
    /// The session that callers were last told of: with a proof to be made, the connection that
    /// began it may be gone before they were.
    announced: Option<SessionId>,
    /// Exchanges of SASL that were begun.
    proofs: u64,
    /// The newest transaction that a reply has shown. Not advanced by watch events: one transaction
    /// may fire several, and those that a lost connection kept back must fire again.
    last_zxid: Zxid,
    auths: Vec<Auth>,
    watches: WatchTable,
    /// Not sent yet. Empty while [`State::Linked`].
    waiting: VecDeque<Submission>,
    state: State,
    keep: Keep,
    /// While a server that only reads has the session, and there are others.
    seek: Option<(Host, Seek)>,
}

impl Session {
    /// A session that asks for its first connection at the first tick.
    pub(crate) fn new(config: Config, hosts: Vec<Host>, seed: u64, now: Millis) -> Session {
        Session {
            config,
            turn: Turn::new(hosts, seed),
            identity: None,
            announced: None,
            proofs: 0,
            last_zxid: Zxid::ZERO,
            auths: Vec::new(),
            watches: WatchTable::default(),
            waiting: VecDeque::new(),
            state: State::Pausing { until: now },
            keep: Keep::Alive,
            seek: None,
        }
    }

    /// The same state, time and event give the same state and effects, always.
    pub(crate) fn step(&mut self, now: Millis, event: Event<'_>, out: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.on_tick(now, out),
            Event::Opened => self.on_opened(now, out),
            Event::Frame(bytes) => self.on_frame(now, bytes, out),
            Event::Lost(reason) => self.on_lost(now, reason, out),
            Event::Probed(server, writes) => self.on_probed(now, server, writes, out),
            Event::Submit(submission) => self.on_submit(now, submission, out),
            Event::AddAuth { id, scheme, auth } => {
                self.on_add_auth(now, Auth { scheme, auth, waiting: Some(id) }, out);
            }
            Event::Unwatch(watch, waiting) => self.on_unwatch(now, watch, waiting, out),
            Event::Keep(keep) => {
                self.keep = keep;
                if let State::Linked(link) = &mut self.state {
                    link.set_keep(keep);
                }
            }
            Event::Close => self.on_close(now, out),
        }
    }

    /// When to send the next [`Event::Tick`] if nothing else happens; `None` when it is over.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let own = match &self.state {
            State::Pausing { until } => *until,
            State::Dialing { deadline, .. } | State::Greeting { deadline, .. } => *deadline,
            State::Proving(proof) => proof.deadline,
            State::Linked(link) => {
                let seek = self.seek.as_ref().and_then(|(_, seek)| seek.next_deadline());
                seek.map_or(link.next_deadline(), |seek| seek.min(link.next_deadline()))
            }
            State::Ended(_) => return None,
        };
        Some(self.expiry().map_or(own, |expiry| own.min(expiry)))
    }

    /// Until when the session lives for certain: two thirds of the timeout after what a quorum
    /// agreed on last had been sent. The third that is left covers clocks that run at other speeds,
    /// and the time until the leader hears from a follower whose clients it has.
    pub(crate) fn certain_until(&self) -> Option<Millis> {
        let ending = match &self.state {
            State::Ended(_) => true,
            State::Linked(link) => link.is_closing(),
            State::Pausing { .. }
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Proving(_) => false,
        };
        let identity = self.identity.as_ref().filter(|_| !ending)?;
        let identity = Some(identity).filter(|identity| identity.known == Known::ToAll)?;
        Some(identity.confirmed.plus(Millis(identity.timeout.0.saturating_mul(2) / 3)))
    }

    /// The number that the last server gave it.
    pub(crate) fn id(&self) -> Option<SessionId> {
        self.identity.as_ref().map(|identity| identity.id)
    }

    /// How the session ended, if it has.
    pub(crate) fn ended(&self) -> Option<SessionEnd> {
        match &self.state {
            State::Ended(end) => Some(*end),
            State::Pausing { .. }
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Proving(_)
            | State::Linked(_) => None,
        }
    }

    /// When the session counts as expired if no server is heard of until then.
    fn expiry(&self) -> Option<Millis> {
        let identity = self.identity.as_ref()?;
        Some(identity.last_heard.plus(Millis(identity.timeout.0.saturating_mul(4) / 3)))
    }

    /// The time that an attempt gets: all hosts together fit into one session timeout.
    fn attempt_deadline(&self, now: Millis) -> Millis {
        let timeout = self.identity.map_or(self.config.timeout, |identity| identity.timeout);
        let hosts = u64::try_from(self.turn.count()).expect("a length fits 64 bits");
        now.plus(Millis((timeout.0 / hosts).max(CONNECT_MS_MIN)))
    }

    fn on_tick(&mut self, now: Millis, out: &mut Vec<Effect>) {
        if self.ended().is_none() && self.expiry().is_some_and(|expiry| expiry <= now) {
            return self.end(SessionEnd::Expired, out);
        }
        match &mut self.state {
            State::Pausing { until } if *until <= now => self.dial(now, out),
            State::Dialing { deadline, .. } if *deadline <= now => {
                self.on_lost(now, "the connection could not be made in time".into(), out);
            }
            State::Greeting { deadline, .. } if *deadline <= now => {
                self.on_lost(now, "the server did not answer the connect request".into(), out);
            }
            State::Proving(proof) if proof.deadline <= now => {
                self.on_lost(now, "the server did not finish the SASL exchange".into(), out);
            }
            State::Linked(link) => match link.on_tick(now, out) {
                Ok(()) => self.seek(now, out),
                Err(reason) => self.on_lost(now, reason, out),
            },
            State::Pausing { .. }
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Proving(_)
            | State::Ended(_) => {} // Nothing is due.
        }
    }

    /// Goes on looking for a server that writes, if that is to be done.
    fn seek(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let State::Linked(link) = &self.state else { return };
        let Some((current, seek)) = self.seek.as_mut().filter(|_| !link.is_closing()) else {
            return;
        };
        if seek.asks(now) {
            out.extend(self.turn.another(current).map(Effect::Probe));
        }
        if let Some(server) = seek.target(now, link.is_idle()).cloned() {
            self.on_lost(now, format!("moving to {server}, which writes").into(), out);
            self.dial_to(now, server, out);
        }
    }

    fn on_probed(&mut self, now: Millis, server: Host, writes: Writes, out: &mut Vec<Effect>) {
        if let Some((_, seek)) = &mut self.seek {
            seek.on_answer(now, server, writes);
            self.seek(now, out);
        }
    }

    fn dial(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let server = self.turn.take();
        self.dial_to(now, server, out);
    }

    fn dial_to(&mut self, now: Millis, server: Host, out: &mut Vec<Effect>) {
        out.push(Effect::Dial(server.clone()));
        self.state = State::Dialing { server, deadline: self.attempt_deadline(now) };
    }

    fn on_opened(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let State::Dialing { server, .. } = &self.state else { return };
        let server = server.clone();
        let known = self.identity.filter(|identity| identity.known == Known::ToAll);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(self.config.timeout.0).unwrap_or(i32::MAX),
            session: known.map_or(SessionId::NONE, |identity| identity.id),
            password: known.map_or([0; 16], |identity| identity.password.0).into(),
            read_only: Some(self.config.access == Access::ReadOnlyAllowed),
        };
        let mut bytes = Vec::new();
        frame::write(&mut bytes, |out| request.encode(out));
        out.push(Effect::Send(bytes));
        let deadline = self.attempt_deadline(now);
        self.state = State::Greeting { server, sent_at: now, deadline };
    }

    fn on_frame(&mut self, now: Millis, bytes: &[u8], out: &mut Vec<Effect>) {
        let done = match &mut self.state {
            State::Greeting { .. } => match ConnectResponse::decode(bytes) {
                Ok(response) => return self.on_greeted(now, response, out),
                Err(error) => Err(no_session(bytes).unwrap_or_else(|| error.to_string().into())),
            },
            State::Proving(proof) => {
                hear(&mut self.identity, now);
                match proof.on_frame(bytes, out) {
                    Ok(proven) => return self.on_proven(now, proven, out),
                    Err(reason) => Err(reason),
                }
            }
            State::Linked(link) => {
                hear(&mut self.identity, now);
                let heard = link.on_frame(now, bytes, out);
                if let Some(identity) = &mut self.identity {
                    identity.confirmed = link.confirmed();
                }
                heard
            }
            // What arrives on a connection that was given up is of no interest.
            State::Pausing { .. } | State::Dialing { .. } | State::Ended(_) => return,
        };
        match done {
            Ok(heard) => {
                self.on_heard(now, heard, out);
                self.seek(now, out);
            }
            Err(reason) => self.on_lost(now, reason, out),
        }
    }

    fn on_greeted(&mut self, now: Millis, response: ConnectResponse, out: &mut Vec<Effect>) {
        let Ok(timeout_ms @ 1..) = u32::try_from(response.timeout_ms) else {
            return self.end(SessionEnd::Expired, out);
        };
        let State::Greeting { server, sent_at, .. } = &self.state else { return };
        let (server, greeted) = (server.clone(), *sent_at);
        let timeout = Millis(u64::from(timeout_ms));
        let access = match response.read_only {
            Some(true) => Access::ReadOnlyAllowed,
            Some(false) | None => Access::ReadWrite,
        };
        let (id, password) = (response.session, response.password);
        let known = match (access, self.identity.map(|before| before.known)) {
            (Access::ReadWrite, _) | (_, Some(Known::ToAll)) => Known::ToAll,
            (Access::ReadOnlyAllowed, Some(Known::ToOne) | None) => Known::ToOne,
        };
        // A new session is a write; a server that takes one over has asked its leader, at most.
        let before = self.identity.filter(|before| before.id == id);
        let confirmed = before.map_or(greeted, |before| before.confirmed);
        let last_heard = now;
        self.identity =
            Some(Identity { id, password, timeout, known, last_heard, greeted, confirmed });
        let Some(mechanism) = &self.config.sasl else {
            return self.link(now, (server, access), out);
        };
        self.proofs += 1;
        let exchange = mechanism.begin(self.proofs);
        let deadline = self.attempt_deadline(now);
        let proof = Proof::begin((server, access), exchange, deadline, out);
        self.state = State::Proving(Box::new(proof));
    }

    fn on_proven(&mut self, now: Millis, proven: Proven, out: &mut Vec<Effect>) {
        match proven {
            Proven::NotYet => {} // The next token is on its way.
            Proven::Yes => {
                let State::Proving(proof) = &self.state else { return };
                let place = (proof.server.clone(), proof.access);
                self.link(now, place, out);
            }
            Proven::No(failure) => self.end(SessionEnd::AuthFailed(failure), out),
        }
    }

    /// The connection takes requests: first what it has to know, then what waited.
    fn link(&mut self, now: Millis, (server, access): (Host, Access), out: &mut Vec<Effect>) {
        let Identity { id, timeout, greeted, confirmed, .. } =
            self.identity.expect("the server has just given it");
        let resumed = if self.announced == Some(id) { Resumed::Yes } else { Resumed::No };
        self.announced = Some(id);
        self.turn.succeeded();
        self.seek = match access {
            Access::ReadOnlyAllowed if self.turn.count() > 1 => {
                Some((server.clone(), Seek::new(now)))
            }
            Access::ReadOnlyAllowed | Access::ReadWrite => None,
        };
        let timeout_ms = u32::try_from(timeout.0).expect("it came as one");
        let event = SessionEvent::Connected { server, session: id, timeout_ms, resumed, access };
        out.push(Effect::Session(event));
        let mut link = Box::new(Link::new(now, (greeted, confirmed), timeout, self.keep));
        for (place, auth) in self.auths.iter().enumerate() {
            link.send_auth(place, (&auth.scheme, &auth.auth), out);
        }
        link.send_set_watches(&self.watches.set_again(self.last_zxid), out);
        out.extend(self.watches.persistent_ids().into_iter().map(Effect::Gap));
        for submission in self.waiting.drain(..) {
            link.send(now, submission, out);
        }
        self.state = State::Linked(link);
    }

    fn on_heard(&mut self, now: Millis, heard: link::Heard, out: &mut Vec<Effect>) {
        match heard {
            link::Heard::Nothing => {}
            link::Heard::Watch(event) => {
                let told = self.watches.fire(&event);
                out.push(Effect::Notification(event.clone()));
                out.extend(told.into_iter().map(|id| Effect::Notify(id, event.clone())));
            }
            link::Heard::AuthAccepted(place) => {
                let waiting = self.auths.get_mut(place).and_then(|auth| auth.waiting.take());
                out.extend(waiting.map(|id| Effect::Complete(id, Ok(ReplyBody::Empty))));
            }
            link::Heard::AuthRefused => {
                self.end(SessionEnd::AuthFailed(AuthFailure::Identity), out);
            }
            link::Heard::Closed => self.end(SessionEnd::Closed, out),
            link::Heard::Reply { zxid, watch } => {
                self.last_zxid = self.last_zxid.max(zxid);
                let Some(link::Armed { registration, wanted }) = watch else { return };
                self.watches.add(registration.id, registration.kind, &registration.path);
                if wanted == link::Wanted::No {
                    self.on_unwatch(now, registration.id, None, out);
                }
            }
        }
    }

    fn on_submit(&mut self, now: Millis, submission: Submission, out: &mut Vec<Effect>) {
        match &mut self.state {
            State::Ended(end) => {
                let failure = Failure::Ended(*end, Sent::No);
                out.push(Effect::Complete(submission.id, Err(failure)));
            }
            State::Linked(link) if link.is_closing() => {
                let failure = Failure::Ended(SessionEnd::Closed, Sent::No);
                out.push(Effect::Complete(submission.id, Err(failure)));
            }
            State::Linked(link) => link.send(now, submission, out),
            State::Pausing { .. }
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Proving(_) => self.waiting.push_back(submission),
        }
    }

    fn on_add_auth(&mut self, now: Millis, auth: Auth, out: &mut Vec<Effect>) {
        if let State::Ended(end) = &self.state {
            let failure = Failure::Ended(*end, Sent::No);
            out.extend(auth.waiting.map(|id| Effect::Complete(id, Err(failure))));
            return;
        }
        if self.auths.len() >= AUTHS_MAX {
            let failure = Err(Failure::TooManyAuths);
            out.extend(auth.waiting.map(|id| Effect::Complete(id, failure)));
            return;
        }
        if let State::Linked(link) = &mut self.state {
            link.touch(now);
            link.send_auth(self.auths.len(), (&auth.scheme, &auth.auth), out);
        }
        self.auths.push(auth);
    }

    fn on_unwatch(
        &mut self,
        now: Millis,
        watch: WatchId,
        waiting: Option<RequestId>,
        out: &mut Vec<Effect>,
    ) {
        let removed = self.watches.remove(watch);
        if let State::Linked(link) = &mut self.state {
            match removed {
                Some((kind, path)) => {
                    let watcher = kind.watcher_type();
                    // A request under way that sets the same watch would lose it to the removal.
                    if !self.watches.needs(watcher, &path) && !link.is_setting(watcher, &path) {
                        return link.send_remove_watches(now, (watcher, &path), waiting, out);
                    }
                }
                None => link.disown(watch),
            }
        } else {
            // It is not set again on the next connection. One that still waits to be sent sets a
            // watch that nobody hears, unless it is taken off the request.
            for submission in &mut self.waiting {
                submission.watch.take_if(|registration| registration.id == watch);
            }
        }
        out.extend(waiting.map(|id| Effect::Complete(id, Ok(ReplyBody::Empty))));
    }

    fn on_close(&mut self, now: Millis, out: &mut Vec<Effect>) {
        match &mut self.state {
            State::Linked(link) => link.send_close(now, now.plus(Millis(CLOSE_MS)), out),
            State::Pausing { .. }
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Proving(_) => self.end(SessionEnd::Closed, out),
            State::Ended(_) => {} // It cannot end twice.
        }
    }

    fn on_lost(&mut self, now: Millis, reason: Box<str>, out: &mut Vec<Effect>) {
        let event = match &mut self.state {
            State::Dialing { server, .. } | State::Greeting { server, .. } => {
                SessionEvent::AttemptFailed { server: server.clone(), reason }
            }
            State::Proving(proof) => {
                SessionEvent::AttemptFailed { server: proof.server.clone(), reason }
            }
            State::Linked(link) if link.is_closing() => {
                return self.end(SessionEnd::Closed, out);
            }
            State::Linked(link) => {
                link.fail_all(Failure::ConnectionLost, out);
                SessionEvent::Disconnected { reason }
            }
            State::Pausing { .. } | State::Ended(_) => return, // It was given up already.
        };
        out.push(Effect::HangUp);
        out.push(Effect::Session(event));
        self.seek = None;
        self.state = State::Pausing { until: now.plus(self.turn.pause()) };
    }

    fn end(&mut self, end: SessionEnd, out: &mut Vec<Effect>) {
        if let State::Linked(link) = &mut self.state {
            link.fail_all(Failure::Ended(end, Sent::Yes), out);
        }
        let failure = Failure::Ended(end, Sent::No);
        for submission in self.waiting.drain(..) {
            out.push(Effect::Complete(submission.id, Err(failure)));
        }
        let sent = if let State::Linked(_) = &self.state { Sent::Yes } else { Sent::No };
        let failure = Failure::Ended(end, sent);
        for auth in &mut self.auths {
            out.extend(auth.waiting.take().map(|id| Effect::Complete(id, Err(failure))));
        }
        self.watches = WatchTable::default();
        self.state = State::Ended(end);
        out.push(Effect::HangUp);
        out.push(Effect::Session(SessionEvent::Ended(end)));
    }
}

/// Why a server makes no session, if it says so as in any other reply. Apache's do that when they
/// read only.
fn no_session(bytes: &[u8]) -> Option<Box<str>> {
    let mut reader = Reader::new(bytes);
    let header = ReplyHeader::decode(&mut reader).ok().filter(|header| header.err != 0)?;
    reader.finish("reply").ok()?;
    let why = ErrorCode::from_code(header.err)?.name();
    Some(format!("it makes no session: {why}").into())
}

/// A server was heard of: the session has not expired yet.
fn hear(identity: &mut Option<Identity>, now: Millis) {
    if let Some(identity) = identity {
        identity.last_heard = now;
    }
}
