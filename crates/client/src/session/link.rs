//! One connection that has the session: what is on its way, when to ping, which reply is whose.
//!
//! What it keeps true: `in_flight` holds exactly the requests that were sent and not answered, in
//! the order of sending, which is the order in which a server answers. Pings, identities and the
//! setting of watches have xids of their own and are counted apart.

use super::{Effect, Failure, Registration, RequestId, Submission};
use crate::limits::PING_INTERVAL_MS_MAX;
use crate::time::Millis;
use crate::watches::{WatchId, WatchKind};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{ReplyBody, Request, WatchEvent, WatcherType, frame, xid};
use bellwether_wire::jute::Decoded;
use bellwether_wire::ops::Kind;
use bellwether_wire::{ErrorCode, OpCode, Reader, Zxid};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Link {
    /// A sixth of the session timeout: two answers may be lost before the session is in doubt.
    ping_interval: Millis,
    /// Two thirds of the session timeout: silence for so long means that the server is gone, and
    /// leaves a third to find another one.
    read_timeout: Millis,
    last_sent: Millis,
    next_xid: i32,
    in_flight: VecDeque<InFlight>,
    /// When the pings that are not answered were sent.
    pings: VecDeque<Millis>,
    /// When the newest thing that was answered had been sent: the server had the session then, or
    /// later.
    contact: Millis,
    /// When the newest write had been sent that was answered: a quorum has agreed on it, so no
    /// other leader had been elected by then. What a server answers by itself, also to `sync`, may
    /// come from a follower that its leader does not hear, or from a leader that nobody follows.
    confirmed: Millis,
    /// When the newest write was sent.
    asked_quorum: Millis,
    keep: Keep,
    /// Places in the session's list of identities, in the order of sending.
    auths: VecDeque<usize>,
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Closing {
    xid: i32,
    deadline: Millis,
}

#[derive(Debug)]
struct InFlight {
    xid: i32,
    op: OpCode,
    sent_at: Millis,
    /// Who waits; `None` if nobody does.
    id: Option<RequestId>,
    watch: Option<Armed>,
}

/// A watch that a reply has set, or a request will.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) registration: Registration,
    pub(super) wanted: Wanted,
}

/// Whether the watch value that asked is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    No,
}

/// Whether somebody needs the session to be certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A quorum is asked at every interval of pings.
    Certain,
    /// The server is, which costs the others nothing.
    #[default]
    Alive,
}

/// What a frame means for the session.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    Watch(WatchEvent),
    AuthAccepted(usize),
    AuthRefused,
    Closed,
    Reply { zxid: Zxid, watch: Option<Armed> },
}

impl Link {
    /// A connection whose connect request was sent at `greeted`, of a session that a quorum agreed
    /// on when it was asked at `confirmed`.
    pub(super) fn new(
        now: Millis,
        (greeted, confirmed): (Millis, Millis),
        timeout: Millis,
        keep: Keep,
    ) -> Link {
        Link {
            ping_interval: Millis((timeout.0 / 6).clamp(1, PING_INTERVAL_MS_MAX)),
            read_timeout: Millis((timeout.0.saturating_mul(2) / 3).max(1)),
            last_sent: now,
            next_xid: 1,
            in_flight: VecDeque::new(),
            pings: VecDeque::new(),
            contact: greeted,
            confirmed,
            asked_quorum: confirmed,
            keep,
            auths: VecDeque::new(),
            closing: None,
        }
    }

    /// Lets a test reach the end of the numbers.
    #[cfg(test)]
    pub(super) fn set_next_xid(&mut self, xid: i32) {
        self.next_xid = xid;
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    fn ping_at(&self) -> Millis {
        self.last_sent.plus(self.ping_interval)
    }

    /// When the newest write had been sent that was answered.
    pub(super) fn confirmed(&self) -> Millis {
        self.confirmed
    }

    pub(super) fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// When a quorum is to be asked, if anybody needs that.
    fn confirm_at(&self) -> Option<Millis> {
        match self.keep {
            Keep::Certain => Some(self.asked_quorum.plus(self.ping_interval)),
            Keep::Alive => None,
        }
    }

    /// When this connection is given up. It counts from a question, not from an answer that may
    /// have waited in a socket while the process was stopped. And an answer that comes later
    /// proves nothing of the time ahead: a follower answers by itself, while its leader, which
    /// hears of the client a little later, may be letting the session expire. A new connection
    /// asks the leader.
    fn silent_at(&self) -> Millis {
        self.contact.plus(self.read_timeout)
    }

    fn silence(&self) -> Box<str> {
        format!("the server was silent for {} ms", self.read_timeout.0).into()
    }

    pub(super) fn next_deadline(&self) -> Millis {
        let deadline = self.ping_at().min(self.silent_at());
        let deadline = self.confirm_at().map_or(deadline, |confirm| deadline.min(confirm));
        self.closing.as_ref().map_or(deadline, |closing| deadline.min(closing.deadline))
    }

    pub(super) fn on_tick(&mut self, now: Millis, out: &mut Vec<Effect>) -> Result<(), Box<str>> {
        if self.closing.as_ref().is_some_and(|closing| closing.deadline <= now) {
            return Err("the server did not answer the end of the session".into());
        }
        if self.silent_at() <= now {
            return Err(self.silence());
        }
        if self.confirm_at().is_some_and(|confirm| confirm <= now) {
            let xid = self.take_xid();
            let (op, request) = (OpCode::Multi, confirmation());
            self.sent(now, InFlight { xid, op, sent_at: now, id: None, watch: None });
            send_request(xid, &request, out);
        } else if self.ping_at() <= now {
            self.touch(now);
            self.pings.push_back(now);
            send_request(xid::PING, &Request::Ping, out);
        }
        Ok(())
    }

    /// A request is sent.
    fn sent(&mut self, now: Millis, request: InFlight) {
        if request.op.kind() == Kind::Write {
            self.asked_quorum = now;
        }
        self.in_flight.push_back(request);
        self.touch(now);
    }

    /// Something is sent, so that no ping is needed for a while.
    pub(super) fn touch(&mut self, now: Millis) {
        self.last_sent = now;
    }

    fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        // Below 1 are the numbers with a meaning of their own.
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }

    pub(super) fn send(&mut self, now: Millis, submission: Submission, out: &mut Vec<Effect>) {
        let Submission { id, op, mut frame, watch } = submission;
        let xid = self.take_xid();
        let place = frame.get_mut(4..8).expect("a submission is a whole frame");
        place.copy_from_slice(&xid.to_be_bytes());
        let watch = watch.map(|registration| Armed { registration, wanted: Wanted::Yes });
        self.sent(now, InFlight { xid, op, sent_at: now, id: Some(id), watch });
        out.push(Effect::Send(frame));
    }

    pub(super) fn send_auth(
        &mut self,
        place: usize,
        (scheme, auth): (&str, &[u8]),
        out: &mut Vec<Effect>,
    ) {
        self.auths.push_back(place);
        send_request(
            xid::AUTH,
            &Request::Auth { scheme: scheme.into(), auth: Some(auth.into()) },
            out,
        );
    }

    pub(super) fn send_set_watches(&mut self, requests: &[Request], out: &mut Vec<Effect>) {
        for request in requests {
            send_request(xid::SET_WATCHES, request, out);
        }
    }

    pub(super) fn send_remove_watches(
        &mut self,
        now: Millis,
        (watcher, path): (WatcherType, &str),
        waiting: Option<RequestId>,
        out: &mut Vec<Effect>,
    ) {
        let xid = self.take_xid();
        let op = OpCode::RemoveWatches;
        self.sent(now, InFlight { xid, op, sent_at: now, id: waiting, watch: None });
        send_request(
            xid,
            &Request::RemoveWatches { path: path.into(), watcher: watcher.code() },
            out,
        );
    }

    pub(super) fn send_close(&mut self, now: Millis, deadline: Millis, out: &mut Vec<Effect>) {
        if self.is_closing() {
            return;
        }
        let xid = self.take_xid();
        let op = OpCode::CloseSession;
        self.sent(now, InFlight { xid, op, sent_at: now, id: None, watch: None });
        self.closing = Some(Closing { xid, deadline });
        send_request(xid, &Request::CloseSession, out);
    }

    /// Whether a request on its way sets the watch that the server would be told to forget.
    pub(super) fn is_setting(&self, watcher: WatcherType, path: &str) -> bool {
        self.in_flight.iter().filter_map(|sent| sent.watch.as_ref()).any(|armed| {
            let registration = &armed.registration;
            registration.kind.watcher_type() == watcher && *registration.path == *path
        })
    }

    /// The watch value is gone before its request was answered.
    pub(super) fn disown(&mut self, watch: WatchId) {
        for armed in self.in_flight.iter_mut().filter_map(|sent| sent.watch.as_mut()) {
            if armed.registration.id == watch {
                armed.wanted = Wanted::No;
            }
        }
    }

    /// Completes whatever is on its way with `failure`.
    pub(super) fn fail_all(&mut self, failure: Failure, out: &mut Vec<Effect>) {
        for sent in self.in_flight.drain(..) {
            let Some(id) = sent.id else { continue };
            // The watches of a connection go with it, and this one is not set again.
            let forgotten = sent.op == OpCode::RemoveWatches;
            let result = if forgotten { Ok(ReplyBody::Empty) } else { Err(failure) };
            out.push(Effect::Complete(id, result));
        }
    }

    /// Takes a frame in; an error says why this connection cannot be used any further.
    pub(super) fn on_frame(
        &mut self,
        now: Millis,
        bytes: &[u8],
        out: &mut Vec<Effect>,
    ) -> Result<Heard, Box<str>> {
        if self.silent_at() <= now {
            return Err(self.silence());
        }
        let r = &mut Reader::new(bytes);
        let header = ReplyHeader::decode(r).map_err(|error| error.to_string())?;
        match header.xid {
            xid::NOTIFICATION => {
                let event = WatchEvent::decode_body(header.zxid, r);
                Ok(Heard::Watch(event.map_err(|error| error.to_string())?))
            }
            xid::PING => {
                let sent_at = self.pings.pop_front().ok_or("an answer to no ping")?;
                self.contact = self.contact.max(sent_at);
                Ok(Heard::Nothing)
            }
            xid::AUTH if header.err == 0 => {
                let place = self.auths.pop_front().ok_or("an answer to no authentication")?;
                Ok(Heard::AuthAccepted(place))
            }
            xid::AUTH => Ok(Heard::AuthRefused),
            xid::SET_WATCHES if header.err == 0 => Ok(Heard::Nothing),
            xid::SET_WATCHES => {
                Err(format!("the server did not set the watches again: error {}", header.err)
                    .into())
            }
            _ => self.on_reply(header, r, out),
        }
    }

    fn on_reply(
        &mut self,
        header: ReplyHeader,
        r: &mut Reader<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<Heard, Box<str>> {
        let expected = self.in_flight.front().map(|sent| sent.xid);
        if expected != Some(header.xid) {
            return Err(format!("reply {} where {expected:?} is due", header.xid).into());
        }
        // A body that cannot be read leaves the request in flight, to be completed as lost.
        let op = self.in_flight.front().map_or(OpCode::Ping, |sent| sent.op);
        let result = decode_body(op, header.err, r).map_err(|error| error.to_string())?;
        let sent = self.in_flight.pop_front().expect("its xid was compared above");
        self.contact = self.contact.max(sent.sent_at);
        if sent.op.kind() == Kind::Write && result.is_ok() {
            self.confirmed = self.confirmed.max(sent.sent_at);
        }
        if self.closing.as_ref().is_some_and(|closing| closing.xid == header.xid) {
            return Ok(Heard::Closed);
        }
        let watch = sent.watch.and_then(|armed| armed_by(armed, sent.op, &result));
        out.extend(sent.id.map(|id| Effect::Complete(id, result)));
        Ok(Heard::Reply { zxid: header.zxid, watch })
    }
}

/// A write that changes nothing: a check of a node that every server has and everybody may read.
pub(crate) fn confirmation() -> Request {
    Request::Multi(vec![Request::Check { path: "/zookeeper/config".into(), version: -1 }])
}

fn decode_body(op: OpCode, err: i32, r: &mut Reader<'_>) -> Decoded<Result<ReplyBody, Failure>> {
    let no_watcher = op == OpCode::RemoveWatches && err == ErrorCode::NoWatcher.code();
    Ok(match err {
        0 => Ok(ReplyBody::decode(op, r)?),
        // It fired while it was being removed: gone is gone.
        _ if no_watcher => Ok(ReplyBody::Empty),
        code => Err(Failure::Code(code)),
    })
}

/// The watch that the server holds after this reply, if any.
fn armed_by(mut armed: Armed, op: OpCode, result: &Result<ReplyBody, Failure>) -> Option<Armed> {
    match result {
        Ok(_) => Some(armed),
        Err(Failure::Code(code)) if op == OpCode::Exists && *code == ErrorCode::NoNode.code() => {
            armed.registration.kind = WatchKind::Exist;
            Some(armed)
        }
        Err(
            Failure::Code(_) | Failure::ConnectionLost | Failure::Ended(..) | Failure::TooManyAuths,
        ) => None,
    }
}

fn send_request(xid: i32, request: &Request, out: &mut Vec<Effect>) {
    out.push(Effect::Send(encode(xid, request)));
}

/// A request's frame.
pub(crate) fn encode(xid: i32, request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, |out| {
        RequestHeader { xid, op: request.op().code() }.encode(out);
        request.encode(out);
    });
    bytes
}
