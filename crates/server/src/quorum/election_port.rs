//! The election port: one connection per pair of members, and the newest vote for each.
//!
//! One task owns all of it: it hears of votes to send, of connections that came and of those that
//! were made, and decides by Apache's rule. Of each pair the member with the larger id makes the
//! connection that is kept; the other one only tells where it can be reached. Whatever comes later
//! replaces what was there.
//!
//! What it keeps true: at most one connection per member; of the votes for a member only the newest
//! is kept, and is sent again on each new connection, because the last one may have been lost with
//! the old; a member that cannot be reached is tried again with every vote, at a growing pause.

use super::{QuorumMessage, SharedPlace, greeting, listener, names};
use crate::run::Message;
use crate::warn_limited;
use bellwether_wire::quorum::link::{self, AnonymousObservers, Side};
use bellwether_wire::quorum::{Initial, Notification, NotificationReader, ServerId};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How many connections may be about to say who they are. More wait to be accepted.
const GREETINGS_MAX: usize = 64;

/// How many members that have no server line here are listened to: observers without an id, and
/// members of a configuration that this server has not read yet.
const UNKNOWN_MAX: usize = 64;

/// What one read takes from a connection at most. Votes are short.
const READ_BYTES: usize = 4 << 10;

/// Before a member that could not be reached is tried again: doubled with each failure, up to the
/// second.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a member with a larger id has to come back after it was told where this one is.
const CALL_BACK: Duration = Duration::from_millis(500);

/// The way to the election port. Dropping it closes the port and all connections.
#[derive(Debug)]
pub(crate) struct ElectionPort {
    /// What waits is bounded by what the core has to say in one round: the task runs after it.
    events: mpsc::UnboundedSender<Event>,
    tasks: [AbortHandle; 2],
}

impl Drop for ElectionPort {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the task hears of.
#[derive(Debug)]
enum Event {
    /// A vote to send, in its frame.
    Vote { to: ServerId, frame: Arc<[u8]> },
    /// A connection came, and said whose it is.
    Greeted { stream: TcpStream, peer: SocketAddr, said: Greeting },
    /// A dial ended: with a connection that is kept, or with none where the other member was only
    /// told.
    Dialled { to: ServerId, result: io::Result<Option<TcpStream>> },
    /// A connection ended.
    Ended { from: ServerId, connection: u64 },
}

#[derive(Debug)]
struct Greeting {
    initial: Initial,
    behind: Vec<u8>,
    /// Given back once it was heard.
    _place: OwnedSemaphorePermit,
}

impl ElectionPort {
    /// Opens the port.
    pub(crate) fn start(place: SharedPlace, core: mpsc::Sender<Message>) -> ElectionPort {
        let (events, queue) = mpsc::unbounded_channel();
        let hub = Hub {
            header: greeting::own(&place).into(),
            place: place.clone(),
            core: core.clone(),
            events: events.clone(),
            peers: BTreeMap::new(),
            connections: 0,
            observers: AnonymousObservers::default(),
        };
        let accepting = tokio::spawn(accept(place, events.clone(), core));
        let running = tokio::spawn(hub.run(queue));
        ElectionPort { events, tasks: [accepting.abort_handle(), running.abort_handle()] }
    }

    /// Sends a vote, in place of any older one that waits for the same member.
    pub(crate) fn notify(&self, to: ServerId, notification: &Notification) {
        let mut frame = Vec::new();
        notification.encode_frame(&mut frame);
        // A task that has ended ended with the core.
        drop(self.events.send(Event::Vote { to, frame: frame.into() }));
    }
}

async fn accept(
    place: SharedPlace,
    events: mpsc::UnboundedSender<Event>,
    core: mpsc::Sender<Message>,
) {
    let own = place.member.own().addresses.first().expect("a server has an address").clone();
    let at = (&*own.host, own.election_port);
    let opened = listener::open_election_port(&place, at, place.member.bind_attempts).await;
    let listener = match opened {
        Ok(listener) => listener,
        Err(source) => {
            let failed = QuorumMessage::NoElectionPort { address: own.election(), source };
            drop(core.send(Message::Quorum(failed)).await);
            return;
        }
    };
    let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
    loop {
        let permit = greetings.clone().acquire_owned().await.expect("it is never closed");
        let (mut stream, peer) = listener::accept(&listener).await;
        let (place, events) = (place.clone(), events.clone());
        tokio::spawn(async move {
            if place.set_options(&stream).is_err() {
                return; // It was gone before it was used.
            }
            if let Some((initial, behind)) = greeting::read(&place, &mut stream, peer).await {
                let said = Greeting { initial, behind, _place: permit };
                drop(events.send(Event::Greeted { stream, peer, said }));
            }
        });
    }
}

/// The task that owns the connections.
struct Hub {
    place: SharedPlace,
    core: mpsc::Sender<Message>,
    events: mpsc::UnboundedSender<Event>,
    /// What this server says of itself on connections that it makes.
    header: Arc<[u8]>,
    peers: BTreeMap<ServerId, Peer>,
    /// How many connections there were.
    connections: u64,
    observers: AnonymousObservers,
}

/// Another member.
struct Peer {
    /// The newest vote for it, which stays until there is a newer one.
    vote: watch::Sender<Option<Arc<[u8]>>>,
    state: State,
    /// Dials that failed since it was last reached.
    failures: u32,
    /// It is not dialled before this.
    not_before: Instant,
}

enum State {
    Apart,
    Dialling(AbortHandle),
    Connected { connection: u64, task: AbortHandle },
}

impl Peer {
    fn new() -> Peer {
        let vote = watch::Sender::new(None);
        Peer { vote, state: State::Apart, failures: 0, not_before: Instant::now() }
    }

    /// Ends what there is.
    fn leave(&mut self) {
        match std::mem::replace(&mut self.state, State::Apart) {
            State::Apart => {}
            State::Dialling(task) | State::Connected { task, .. } => task.abort(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Hub {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Event>) {
        while let Some(event) = queue.recv().await {
            match event {
                Event::Vote { to, frame } => self.vote(to, frame),
                Event::Greeted { stream, peer, said } => self.greeted(stream, peer, said),
                Event::Dialled { to, result } => self.dialled(to, result),
                Event::Ended { from, connection } => self.ended(from, connection),
            }
        }
    }

    fn vote(&mut self, to: ServerId, frame: Arc<[u8]>) {
        let peer = self.peers.entry(to).or_insert_with(Peer::new);
        peer.vote.send_replace(Some(frame));
        match peer.state {
            State::Apart => self.dial(to, self.configured(to)),
            State::Dialling(_) | State::Connected { .. } => {} // It is sent there.
        }
    }

    /// The rule of the pair: see the head of this file.
    fn greeted(&mut self, stream: TcpStream, address: SocketAddr, said: Greeting) {
        let Greeting { initial, behind, .. } = said;
        let from = self.observers.name(initial.sid);
        let is_known = self.place.member.ensemble.servers.contains_key(&from);
        if !is_known && !self.peers.contains_key(&from) {
            self.forget_unknown();
            if self.unknown() >= UNKNOWN_MAX {
                warn_limited!(self.place.repeats, "unknown members", %address, server = %from,
                    "a connection to the election port was closed: too many servers that have no \
                     server line here are connected");
                return;
            }
            info!(%address, server = %from, "a server without a server line here connects");
        }
        match link::on_initial(self.place.member.my_id, from, Side::Acceptor) {
            link::Link::CloseOwnId => {
                warn_limited!(self.place.repeats, "own id", %address, server = %from,
                "a connection to the election port was closed: it is from a server with the same \
                 id as this one; give each its own number in the file myid")
            }
            link::Link::CloseAndDialBack { .. } => {
                // What it had before is dead, as far as it knows.
                let peer = self.peers.entry(from).or_insert_with(Peer::new);
                peer.leave();
                (peer.failures, peer.not_before) = (0, Instant::now());
                drop(stream);
                let said = initial.reachable().map(|(host, port)| (host.into(), port));
                let mut places: Vec<(Box<str>, u16)> = said.collect();
                for place in self.configured(from) {
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
                self.dial(from, places);
            }
            link::Link::Keep => self.keep(from, stream, behind),
            link::Link::Close => unreachable!("only who dialled leaves it to the other side"),
        }
    }

    fn unknown(&self) -> usize {
        let known = &self.place.member.ensemble.servers;
        self.peers.keys().filter(|server| !known.contains_key(server)).count()
    }

    /// Who has no line here and no connection is not kept in mind.
    fn forget_unknown(&mut self) {
        let known = &self.place.member.ensemble.servers;
        self.peers.retain(|server, peer| {
            known.contains_key(server) || !matches!(peer.state, State::Apart)
        });
    }

    fn configured(&self, server: ServerId) -> Vec<(Box<str>, u16)> {
        let spec = self.place.member.ensemble.servers.get(&server);
        let addresses = spec.into_iter().flat_map(|spec| &spec.addresses);
        addresses.map(|address| (address.host.clone(), address.election_port)).collect()
    }

    fn dial(&mut self, to: ServerId, places: Vec<(Box<str>, u16)>) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if places.is_empty() {
            debug!(server = %to, "nobody knows where this server is");
            return;
        }
        let (place, header) = (self.place.clone(), self.header.clone());
        let (events, not_before) = (self.events.clone(), peer.not_before);
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(not_before).await;
            let result = dial(&place, to, &places, &header).await;
            drop(events.send(Event::Dialled { to, result }));
        });
        peer.state = State::Dialling(task.abort_handle());
    }

    fn dialled(&mut self, to: ServerId, result: io::Result<Option<TcpStream>>) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        match peer.state {
            State::Dialling(_) => peer.state = State::Apart,
            // A connection came meanwhile, or the dial was given up when it had just ended.
            State::Apart | State::Connected { .. } => return,
        }
        match result {
            Ok(Some(stream)) => self.keep(to, stream, Vec::new()),
            Ok(None) => peer.not_before = Instant::now() + CALL_BACK,
            Err(error) => {
                let pause = RETRY.0.saturating_mul(1 << peer.failures.min(8)).min(RETRY.1);
                peer.not_before = Instant::now() + pause;
                if peer.failures == 0 {
                    warn!(server = %to, %error,
                          "another member cannot be reached for the election; it is tried again \
                           while an election needs it");
                }
                peer.failures = peer.failures.saturating_add(1);
            }
        }
    }

    /// A connection that both sides keep.
    fn keep(&mut self, with: ServerId, stream: TcpStream, behind: Vec<u8>) {
        self.connections += 1;
        let connection = self.connections;
        let peer = self.peers.entry(with).or_insert_with(Peer::new);
        peer.leave();
        if std::mem::take(&mut peer.failures) > 0 {
            info!(server = %with, "another member is reached again");
        }
        let (place, core, events) = (self.place.clone(), self.core.clone(), self.events.clone());
        let votes = peer.vote.subscribe();
        let task = tokio::spawn(async move {
            let (input, output) = stream.into_split();
            tokio::select! {
                () = receive(&place, with, (input, behind), &core) => {}
                () = send(votes, output) => {}
            }
            drop(events.send(Event::Ended { from: with, connection }));
        });
        peer.state = State::Connected { connection, task: task.abort_handle() };
    }

    fn ended(&mut self, from: ServerId, ended: u64) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match peer.state {
            State::Connected { connection, .. } if connection == ended => {
                debug!(server = %from, "the election connection ended");
                peer.state = State::Apart;
            }
            // Another one has taken its place.
            State::Apart | State::Dialling(_) | State::Connected { .. } => {}
        }
    }
}

/// Connects and says who this is. With a larger id the other side connects then, and this
/// connection has served.
async fn dial(
    place: &SharedPlace,
    to: ServerId,
    places: &[(Box<str>, u16)],
    header: &[u8],
) -> io::Result<Option<TcpStream>> {
    let mut stream = names::connect(places, place.election_patience()).await?;
    place.set_options(&stream)?;
    stream.write_all(header).await?;
    match link::on_initial(place.member.my_id, to, Side::Initiator) {
        link::Link::Keep => Ok(Some(stream)),
        link::Link::Close | link::Link::CloseOwnId => {
            stream.shutdown().await?;
            Ok(None)
        }
        link::Link::CloseAndDialBack { .. } => unreachable!("this is a dial"),
    }
}

/// Takes votes until the connection ends.
async fn receive(
    place: &SharedPlace,
    from: ServerId,
    (mut input, behind): (OwnedReadHalf, Vec<u8>),
    core: &mpsc::Sender<Message>,
) {
    let mut reader = NotificationReader::new();
    reader.push(&behind);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.next_message() {
            Ok(Some(Ok(notification))) => {
                let vote = QuorumMessage::Notification { from, notification };
                if core.send(Message::Quorum(vote)).await.is_err() {
                    return;
                }
                continue;
            }
            Ok(Some(Err(wrong))) => {
                warn_limited!(place.repeats, "wrong vote", server = %from, %wrong,
                    "a member sent a vote that cannot be read; it is passed over. If this repeats, \
                     look at what runs there");
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                warn_limited!(place.repeats, "election frame", server = %from, %error,
                    "an election connection was closed: its other end does not speak this protocol");
                return;
            }
        }
        match input.read(&mut buffer).await {
            Ok(0) => return,
            Ok(bytes) => reader.push(buffer.get(..bytes).unwrap_or_default()),
            Err(error) => {
                debug!(server = %from, %error, "an election connection broke");
                return;
            }
        }
    }
}

/// Sends the newest vote, and each newer one.
async fn send(mut votes: watch::Receiver<Option<Arc<[u8]>>>, mut output: OwnedWriteHalf) {
    loop {
        let vote = votes.borrow_and_update().clone();
        if let Some(frame) = vote
            && output.write_all(&frame).await.is_err()
        {
            return;
        }
        if votes.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
