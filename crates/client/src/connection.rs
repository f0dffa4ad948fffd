//! The shell of a session: one task that owns the socket and the clock and performs effects.
//!
//! Callers hand requests in and wait for their own answer. The task reads what has arrived, lets
//! the session decide, and writes what it decided in as few writes as the socket allows. While too
//! much is unanswered or unwritten, further requests wait in [`mod@line`] and their callers with
//! them.
//!
//! What it keeps true: requests reach the session in the order in which they were handed in.

use crate::certainty::Certainty;
use crate::error::{Error, Fate, Sent};
use crate::limits::{
    COMMAND_BATCH, EVENT_QUEUE, PROBE_MS, READ_BUFFER_KEPT_BYTES, READ_BYTES, REPLY_BYTES_MAX,
    REQUESTS_MAX, WRITE_BUFFER_BYTES,
};
use crate::metrics::{Observation, Observer, RequestResult};
use crate::session::{
    Effect, Event, Failure, Keep, Registration, RequestId, Session, SessionEvent, Submission,
    Writes,
};
use crate::time::Millis;
use crate::transport::{Connecting, Transport};
use crate::watcher::{Listener, News};
use crate::watches::{WatchId, WatchKind};
use crate::{Access, Host, Peer, SessionEnd, SessionState};
use bellwether_wire::client::{ReplyBody, WatchEvent, frame};
use bellwether_wire::{ErrorCode, OpCode};
use line::Line;
use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Duration, Instant, Sleep};

mod line;
#[cfg(test)]
mod tests;

/// The answer to a request.
pub(crate) type Answer = Result<ReplyBody, Failure>;

type EventSender = broadcast::Sender<SessionEvent>;

/// What callers hand in, in order.
#[derive(Debug)]
pub(crate) enum Command {
    Submit { op: OpCode, frame: Vec<u8>, watch: Option<NewWatch>, reply: oneshot::Sender<Answer> },
    AddAuth { scheme: Box<str>, auth: Box<[u8]>, reply: oneshot::Sender<Answer> },
}

impl Command {
    /// Where its answer goes.
    fn reply(&self) -> &oneshot::Sender<Answer> {
        let (Command::Submit { reply, .. } | Command::AddAuth { reply, .. }) = self;
        reply
    }

    fn into_reply(self) -> oneshot::Sender<Answer> {
        let (Command::Submit { reply, .. } | Command::AddAuth { reply, .. }) = self;
        reply
    }
}

/// A watch that a request shall set.
#[derive(Debug)]
pub(crate) struct NewWatch {
    pub(crate) id: WatchId,
    pub(crate) path: Box<str>,
    pub(crate) kind: WatchKind,
    pub(crate) listener: Listener,
}

/// What is heard even when no request is taken. Its queue has no bound of its own: it holds at most
/// two messages per watch value and one per call of `close`.
#[derive(Debug)]
pub(crate) enum Control {
    Unwatch(WatchId, Option<oneshot::Sender<Answer>>),
    /// Somebody needs the session to be certain.
    Keep,
    /// One of those does not need it any more.
    NeedNotKeep,
    Close,
}

impl Failure {
    /// What the caller is told, who named the node `path`.
    pub(crate) fn into_error(self, op: OpCode, path: &str) -> Error {
        match self {
            Failure::Code(code) => match ErrorCode::from_code(code) {
                Some(code) => Error::Refused { op, path: path.into(), code },
                None => Error::UnknownCode(code),
            },
            Failure::ConnectionLost => Error::ConnectionLost,
            Failure::Ended(end, sent) => Error::SessionEnded(end, sent),
            Failure::TooManyAuths => Error::Argument("the session has too many identities"),
        }
    }
}

/// The ends of the channels that the task holds.
pub(crate) struct Channels {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) state: watch::Sender<SessionState>,
    pub(crate) peer: watch::Sender<Option<Peer>>,
    pub(crate) notifications: broadcast::Sender<WatchEvent>,
    pub(crate) events: EventSender,
    pub(crate) certainty: Arc<Certainty>,
    pub(crate) observer: Option<Observer>,
}

/// The socket, or what there is of it.
enum Wire<S> {
    None,
    Dialing(Connecting<S>),
    Open(Box<Open<S>>),
}

struct Open<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    received: Vec<u8>,
    /// Invariant: `written <= unsent.len()`, and both are 0 if they are equal.
    unsent: Vec<u8>,
    written: usize,
    /// Which way is looked at first; the other one has had its turn.
    first: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// What the socket did.
enum Moved<S> {
    Opened(S),
    Received,
    Wrote,
    Lost(io::Error),
}

/// What the task wakes for.
enum Input<S> {
    Wire(Moved<S>),
    Control(Control),
    Command(Option<Command>),
    Probed(Host, Writes),
    Time,
}

/// Waits for what is ready; of several, the one that is `first` and then the ones behind it in the
/// order wire, control, probes, commands. No chance is involved: a run can be repeated.
async fn next_input<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    (channels, probes): (&mut Channels, &mut mpsc::UnboundedReceiver<(Host, Writes)>),
    listening: bool,
    first: usize,
) -> Input<S> {
    let mut moved = pin!(wire.moved());
    poll_fn(|cx| {
        for place in 0..4 {
            let ready = match (first + place) % 4 {
                0 => moved.as_mut().poll(cx).map(|moved| Some(Input::Wire(moved))),
                1 => channels.control.poll_recv(cx).map(|control| control.map(Input::Control)),
                2 => probes.poll_recv(cx).map(|probed| probed.map(|(h, w)| Input::Probed(h, w))),
                _ if listening => {
                    channels.commands.poll_recv(cx).map(|command| Some(Input::Command(command)))
                }
                _ => Poll::Pending,
            };
            if let Poll::Ready(Some(input)) = ready {
                return Poll::Ready(input);
            }
        }
        Poll::Pending
    })
    .await
}

/// Who waits for an answer.
struct Waiting {
    reply: oneshot::Sender<Answer>,
    /// What was asked when, if somebody counts.
    asked: Option<(OpCode, Instant)>,
}

/// The task's state.
pub(crate) struct Connection<T: Transport> {
    transport: T,
    session: Session,
    wire: Wire<T::Stream>,
    channels: Channels,
    callers: Callers,
    line: Line,
    replies: BTreeMap<RequestId, Waiting>,
    next_request: u64,
    listeners: BTreeMap<WatchId, Listener>,
    start: Instant,
    effects: Vec<Effect>,
    /// How many need the session to be certain.
    keepers: usize,
    /// Servers that were asked whether they write: at most one is under way.
    probe: mpsc::UnboundedSender<(Host, Writes)>,
    probes: mpsc::UnboundedReceiver<(Host, Writes)>,
    /// Which input is looked at first, in turn.
    turn: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Callers {
    /// There is a client value.
    Present,
    /// Every one is gone; what they asked for may still wait.
    Gone,
    /// And the session was told to end.
    Closing,
}

impl<T: Transport> Connection<T> {
    /// The session's clock starts at `start`.
    pub(crate) fn new(
        transport: T,
        session: Session,
        channels: Channels,
        start: Instant,
    ) -> Connection<T> {
        let (probe, probes) = mpsc::unbounded_channel();
        Connection {
            transport,
            session,
            wire: Wire::None,
            channels,
            callers: Callers::Present,
            line: Line::new(),
            replies: BTreeMap::new(),
            next_request: 0,
            listeners: BTreeMap::new(),
            start,
            effects: Vec::new(),
            keepers: 0,
            probe,
            probes,
            turn: 0,
        }
    }

    /// Runs until the session has ended.
    pub(crate) async fn run(mut self) {
        let timer = tokio::time::sleep_until(self.start);
        tokio::pin!(timer);
        while let Some(deadline) = self.session.next_deadline() {
            self.set_timer(timer.as_mut(), deadline);
            let listening = self.callers == Callers::Present;
            self.turn = self.turn.wrapping_add(1);
            let input = tokio::select! {
                // What the server said counts before the time it took to be heard.
                biased;
                input = next_input(&mut self.wire, (&mut self.channels, &mut self.probes), listening, self.turn) => {
                    input
                }
                () = timer.as_mut() => Input::Time,
            };
            match input {
                Input::Wire(moved) => self.on_moved(moved),
                Input::Control(control) => self.on_control(control),
                Input::Command(command) => self.on_command(command),
                Input::Probed(server, writes) => self.step(Event::Probed(server, writes)),
                Input::Time => self.step(Event::Tick),
            }
            self.perform();
            self.admit();
        }
        self.refuse_the_rest();
    }

    /// The timer is moved only if it would ring too late; ringing early costs one idle tick, while
    /// moving it with every packet would cost more.
    fn set_timer(&self, mut timer: Pin<&mut Sleep>, deadline: Millis) {
        let deadline = self.start + Duration::from_millis(deadline.0);
        if timer.is_elapsed() || deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
    }

    fn now(&self) -> Millis {
        let elapsed = self.start.elapsed().as_millis();
        Millis(u64::try_from(elapsed).expect("a process does not run for 500 million years"))
    }

    fn step(&mut self, event: Event<'_>) {
        let now = self.now();
        self.session.step(now, event, &mut self.effects);
    }

    fn has_room(&self) -> bool {
        self.replies.len() < REQUESTS_MAX && self.wire.unsent_bytes() < WRITE_BUFFER_BYTES
    }

    fn on_moved(&mut self, moved: Moved<T::Stream>) {
        match moved {
            Moved::Opened(stream) => {
                self.wire = Wire::Open(Box::new(Open::new(stream)));
                self.step(Event::Opened);
            }
            Moved::Received => self.on_received(),
            Moved::Wrote => {}
            Moved::Lost(error) => {
                self.wire = Wire::None;
                self.step(Event::Lost(error.to_string().into()));
            }
        }
    }

    /// Hands every whole frame to the session.
    fn on_received(&mut self) {
        let now = self.now();
        let Wire::Open(open) = &mut self.wire else { return };
        let mut rest: &[u8] = &open.received;
        loop {
            match frame::length(rest, REPLY_BYTES_MAX) {
                Some(frame::Length::Frame(len)) => {
                    let Some(body) = rest.get(4..4 + len) else { break };
                    self.session.step(now, Event::Frame(body), &mut self.effects);
                    rest = rest.get(4 + len..).unwrap_or_default();
                }
                Some(frame::Length::Impossible(len)) => {
                    let reason = format!("the server sent a frame of {len} bytes").into();
                    self.session.step(now, Event::Lost(reason), &mut self.effects);
                    rest = &[];
                    break;
                }
                None => break,
            }
        }
        let left = rest.len();
        let taken = open.received.len() - left;
        open.drop_all_but(left);
        if taken > 0 {
            self.observe(&Observation::Received(taken));
        }
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Unwatch(watch, reply) => {
                self.listeners.remove(&watch);
                let op = OpCode::RemoveWatches;
                let waiting = reply.map(|reply| self.expect_reply(op, reply));
                self.step(Event::Unwatch(watch, waiting));
            }
            Control::Keep => self.keep(self.keepers + 1),
            Control::NeedNotKeep => self.keep(self.keepers.saturating_sub(1)),
            Control::Close => self.step(Event::Close),
        }
    }

    fn keep(&mut self, keepers: usize) {
        self.keepers = keepers;
        self.step(Event::Keep(if keepers > 0 { Keep::Certain } else { Keep::Alive }));
    }

    /// Lines this command up and those behind it.
    fn on_command(&mut self, command: Option<Command>) {
        let Some(command) = command else {
            self.callers = Callers::Gone;
            return;
        };
        self.line.push(command);
        while let Ok(command) = self.channels.commands.try_recv() {
            self.line.push(command);
        }
    }

    /// Hands over those who wait, as far as there is room; behind the last of all comes the end.
    fn admit(&mut self) {
        while self.has_room() && !self.line.is_empty() {
            let room = REQUESTS_MAX.saturating_sub(self.replies.len());
            for _ in 0..room.min(COMMAND_BATCH) {
                let Some(command) = self.line.pop() else { break };
                self.submit(command);
            }
            self.perform();
        }
        if self.callers == Callers::Gone && self.line.is_empty() {
            self.callers = Callers::Closing;
            self.step(Event::Close);
            self.perform();
        }
    }

    fn expect_reply(&mut self, op: OpCode, reply: oneshot::Sender<Answer>) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let asked = self.channels.observer.as_ref().map(|_| (op, Instant::now()));
        self.replies.insert(id, Waiting { reply, asked });
        id
    }

    fn observe(&self, observation: &Observation<'_>) {
        if let Some(observer) = &self.channels.observer {
            observer.observe(observation);
        }
    }

    fn complete(&mut self, id: RequestId, answer: Answer) {
        let waiting = self.replies.remove(&id).expect("a request is completed once");
        if let Some((op, asked)) = waiting.asked {
            let (took, result) = (asked.elapsed(), result_of(&answer));
            self.observe(&Observation::Request { op, took, result });
        }
        // A caller that no longer waits has dropped the other end.
        waiting.reply.send(answer).ok();
    }

    fn submit(&mut self, command: Command) {
        match command {
            Command::AddAuth { scheme, auth, reply } => {
                let id = self.expect_reply(OpCode::Auth, reply);
                self.step(Event::AddAuth { id, scheme, auth });
            }
            Command::Submit { op, frame, watch, reply } => {
                let id = self.expect_reply(op, reply);
                // A value that is gone has said so already: nobody would take its watch off.
                let watch = watch.filter(|watch| !watch.listener.is_gone()).map(|watch| {
                    let NewWatch { id, path, kind, listener } = watch;
                    self.listeners.insert(id, listener);
                    Registration { id, path, kind }
                });
                self.step(Event::Submit(Submission { id, op, frame, watch }));
            }
        }
    }

    fn perform(&mut self) {
        self.channels.certainty.follow(&self.session);
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Dial(host) => self.wire = Wire::Dialing(self.transport.connect(&host)),
                Effect::Probe(host) => self.probe(host),
                Effect::Send(bytes) => {
                    self.observe(&Observation::Sent(bytes.len()));
                    self.wire.send(&bytes);
                }
                Effect::HangUp => self.wire = Wire::None,
                Effect::Complete(id, answer) => {
                    self.complete(id, answer);
                }
                Effect::Notification(event) => {
                    self.observe(&Observation::WatchEvent);
                    // Without a subscriber it is of no interest.
                    self.channels.notifications.send(event).ok();
                }
                Effect::Notify(watch, event) => self.tell(watch, News::Fired(event)),
                Effect::Gap(watch) => self.tell(watch, News::Gap),
                Effect::Session(event) => self.announce(event),
            }
        }
    }

    /// Asks a server whether it writes, beside the connection.
    fn probe(&self, host: Host) {
        let (connecting, answer) = (self.transport.connect(&host), self.probe.clone());
        tokio::spawn(async move {
            let asked = tokio::time::timeout(Duration::from_millis(PROBE_MS), isro(connecting));
            let writes = match asked.await {
                Ok(Ok(word)) if word == *b"rw" => Writes::Yes,
                Ok(Ok(_) | Err(_)) | Err(_) => Writes::No,
            };
            // Nobody listens when the session has ended meanwhile.
            answer.send((host, writes)).ok();
        });
    }

    fn tell(&mut self, watch: WatchId, news: News) {
        match self.listeners.remove(&watch) {
            Some(Listener::Once(listener)) => {
                // A value that is being dropped does not listen any more; its message is under way.
                listener.send(news).ok();
            }
            Some(Listener::Lasting(listener)) => {
                listener.send(news).ok();
                self.listeners.insert(watch, Listener::Lasting(listener));
            }
            None => {} // Its value is gone.
        }
    }

    fn announce(&mut self, event: SessionEvent) {
        self.observe(&Observation::Session(&event));
        let state = match &event {
            SessionEvent::Connected { server, session, timeout_ms, access, resumed: _ } => {
                tracing::info!(%server, %session, timeout_ms, "connected");
                let (server, session, timeout_ms) = (server.clone(), *session, *timeout_ms);
                self.channels.peer.send_replace(Some(Peer { server, session, timeout_ms }));
                match access {
                    Access::ReadWrite => SessionState::Connected,
                    Access::ReadOnlyAllowed => SessionState::ConnectedReadOnly,
                }
            }
            SessionEvent::Disconnected { reason } => {
                tracing::warn!(%reason, "connection lost, trying the next server");
                self.channels.peer.send_replace(None);
                SessionState::Connecting
            }
            SessionEvent::AttemptFailed { server, reason } => {
                tracing::debug!(%server, %reason, "no connection, trying the next server");
                SessionState::Connecting
            }
            SessionEvent::Ended(end) => {
                tracing::info!(%end, "session ended");
                self.channels.peer.send_replace(None);
                SessionState::Ended(*end)
            }
        };
        // The event first: whoever waits for the state then finds the event there. Without a
        // subscriber it is of no interest.
        self.channels.events.send(event).ok();
        self.channels.state.send_replace(state);
        // Whoever hears of the end by a watch finds the state there, too.
        if let SessionState::Ended(end) = state {
            self.end_listeners(end);
        }
    }

    fn end_listeners(&mut self, end: SessionEnd) {
        for listener in std::mem::take(&mut self.listeners).into_values() {
            match listener {
                Listener::Once(listener) => {
                    listener.send(News::Ended(end)).ok();
                }
                Listener::Lasting(listener) => {
                    listener.send(News::Ended(end)).ok();
                }
            }
        }
    }

    /// Answers what was handed in and not taken before the session ended.
    fn refuse_the_rest(&mut self) {
        let end = self.session.ended().expect("the loop ends with the session");
        self.channels.commands.close();
        let commands = &mut self.channels.commands;
        while let Some(command) = self.line.pop().or_else(|| commands.try_recv().ok()) {
            command.into_reply().send(Err(Failure::Ended(end, Sent::No))).ok();
        }
    }
}

fn result_of(answer: &Answer) -> RequestResult {
    match answer {
        Ok(_) => RequestResult::Done,
        Err(Failure::Code(code)) => RequestResult::Refused(*code),
        Err(Failure::ConnectionLost | Failure::Ended(_, Sent::Yes)) => {
            RequestResult::Unanswered(Fate::MayHaveHappened)
        }
        Err(Failure::Ended(_, Sent::No) | Failure::TooManyAuths) => {
            RequestResult::Unanswered(Fate::DidNotHappen)
        }
    }
}

/// What a server answers to the word `isro`: `rw`, `ro`, or a sentence that begins otherwise.
async fn isro<S: AsyncRead + AsyncWrite + Unpin>(connecting: Connecting<S>) -> io::Result<[u8; 2]> {
    let mut stream = connecting.await?;
    stream.write_all(b"isro").await?;
    let mut word = [0; 2];
    stream.read_exact(&mut word).await?;
    Ok(word)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn unsent_bytes(&self) -> usize {
        match self {
            Wire::Open(open) => open.unsent.len() - open.written,
            Wire::None | Wire::Dialing(_) => 0,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match self {
            Wire::Open(open) => open.unsent.extend_from_slice(bytes),
            // The connection broke between the decision and this; the session hears of it next.
            Wire::None | Wire::Dialing(_) => {}
        }
    }

    /// Waits until something happens to the socket. Nothing is lost if it is dropped meanwhile.
    async fn moved(&mut self) -> Moved<S> {
        match self {
            Wire::None => std::future::pending().await,
            Wire::Dialing(connecting) => match connecting.as_mut().await {
                Ok(stream) => Moved::Opened(stream),
                Err(error) => Moved::Lost(error),
            },
            Wire::Open(open) => open.moved().await,
        }
    }
}

impl Way {
    fn other(self) -> Way {
        match self {
            Way::In => Way::Out,
            Way::Out => Way::In,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Open<S> {
    fn new(stream: S) -> Open<S> {
        let (reader, writer) = tokio::io::split(stream);
        let (received, unsent) = (Vec::new(), Vec::new());
        Open { reader, writer, received, unsent, written: 0, first: Way::In }
    }

    async fn moved(&mut self) -> Moved<S> {
        match self.read_or_written().await {
            (Way::In, Ok(0)) => Moved::Lost(io::Error::other("the server closed the connection")),
            (Way::In, Ok(_)) => Moved::Received,
            (Way::Out, Ok(0)) => Moved::Lost(io::ErrorKind::WriteZero.into()),
            (Way::Out, Ok(bytes)) => {
                self.written += bytes;
                if self.written == self.unsent.len() {
                    self.unsent.clear();
                    self.written = 0;
                }
                Moved::Wrote
            }
            (Way::In | Way::Out, Err(error)) => Moved::Lost(error),
        }
    }

    /// Reads or writes, whichever can be done; in turn if both can.
    async fn read_or_written(&mut self) -> (Way, io::Result<usize>) {
        self.received.reserve(READ_BYTES);
        let unsent = self.unsent.get(self.written..).unwrap_or_default();
        let first = self.first;
        let both = {
            let read = self.reader.read_buf(&mut self.received);
            let written = async {
                match unsent.is_empty() {
                    true => std::future::pending().await,
                    false => self.writer.write(unsent).await,
                }
            };
            let (mut read, mut written) = (pin!(read), pin!(written));
            poll_fn(move |cx| {
                let mut ready = |way| match way {
                    Way::In => read.as_mut().poll(cx).map(|done| (way, done)),
                    Way::Out => written.as_mut().poll(cx).map(|done| (way, done)),
                };
                match ready(first) {
                    Poll::Ready(done) => Poll::Ready(done),
                    Poll::Pending => ready(first.other()),
                }
            })
            .await
        };
        self.first = both.0.other();
        both
    }

    /// Keeps the last `left` bytes received.
    fn drop_all_but(&mut self, left: usize) {
        let done = self.received.len() - left;
        self.received.drain(..done);
        if left == 0 && self.received.capacity() > READ_BUFFER_KEPT_BYTES {
            self.received = Vec::new();
        }
    }
}

/// The channel of session events.
pub(crate) fn event_channel() -> (EventSender, broadcast::Receiver<SessionEvent>) {
    broadcast::channel(EVENT_QUEUE)
}
