//! How a session begins: the options, and the wait for the first connection.

use crate::certainty::Certainty;
use crate::chroot::Chroot;
use crate::client::{Client, SessionEvents, SessionState, Shared};
use crate::connection::{Channels, Connection, event_channel};
use crate::error::{Error, SessionEnd};
use crate::hosts::Servers;
use crate::limits::EVENT_QUEUE;
use crate::metrics::{Observation, Observer};
use crate::sasl::Mechanism;
#[cfg(feature = "sasl")]
use crate::sasl::digest_md5::Credentials;
use crate::session::{Access, Config, Session, SessionEvent};
use crate::time::Millis;
use crate::transport::{Tcp, Transport};
use bellwether_wire::limits::MAX_BUFFER_BYTES;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

/// A number that is another one each time, also in processes that were forked from one: the keys
/// of a thread's `RandomState` are those of its parent, and count on from there.
fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// Makes clients.
#[derive(Clone, Debug)]
pub struct Connector {
    session_timeout: Duration,
    connect_timeout: Duration,
    access: Access,
    seed: Option<u64>,
    request_bytes_max: usize,
    sasl: Option<Arc<dyn Mechanism>>,
    observer: Option<Observer>,
}

impl Default for Connector {
    fn default() -> Connector {
        Connector {
            session_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            access: Access::ReadWrite,
            seed: None,
            request_bytes_max: MAX_BUFFER_BYTES,
            sasl: None,
            observer: None,
        }
    }
}

impl Connector {
    /// With the defaults: 30 seconds for the session and for the first connection, servers that
    /// write, requests up to `jute.maxbuffer`'s default of 1,048,575 bytes.
    pub fn new() -> Connector {
        Connector::default()
    }

    /// The session timeout to ask for. Servers keep it within limits of theirs.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Connector {
        self.session_timeout = timeout;
        self
    }

    /// How long to look for a first server.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Connector {
        self.connect_timeout = timeout;
        self
    }

    /// Which servers to accept.
    #[must_use]
    pub fn access(mut self, access: Access) -> Connector {
        self.access = access;
        self
    }

    /// Fixes the order of the hosts and the jitter of the pauses, for runs that can be repeated.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Connector {
        self.seed = Some(seed);
        self
    }

    /// The server's `jute.maxbuffer`, if it is not the default. A larger request would make the
    /// server drop the connection without a word, so it is refused here.
    #[must_use]
    pub fn request_bytes_max(mut self, bytes: usize) -> Connector {
        self.request_bytes_max = bytes;
        self
    }

    /// Proves who the client is by SASL DIGEST-MD5, first thing on every connection. Without the
    /// proof there is no session: it ends with [`SessionEnd::AuthFailed`], also when the server
    /// takes no part in SASL or does not know the password itself.
    #[cfg(feature = "sasl")]
    #[must_use]
    pub fn sasl_digest_md5(mut self, user: &str, password: &str) -> Connector {
        let key = (u128::from(random()) << 64) | u128::from(random());
        self.sasl = Some(Arc::new(Credentials::new(user, password, key.to_be_bytes())));
        self
    }

    /// Calls this for everything that a client does, to count it. It is called in the connection's
    /// task and must not wait. Without it nothing is measured.
    #[must_use]
    pub fn observe(mut self, hook: impl Fn(&Observation<'_>) + Send + Sync + 'static) -> Connector {
        self.observer = Some(Observer::new(hook));
        self
    }

    /// Begins a session over TCP with one of `host:port,host:port…/chroot`.
    pub async fn connect(&self, servers: &str) -> Result<Client, Error> {
        self.connect_over(Tcp, servers).await
    }

    /// Begins a session over another transport. It must be called within a tokio runtime, which
    /// then runs the connection's task.
    pub async fn connect_over<T: Transport>(
        &self,
        transport: T,
        servers: &str,
    ) -> Result<Client, Error> {
        let servers = Servers::parse(servers).map_err(Error::Servers)?;
        let (client, mut events) = self.start(transport, &servers);
        let mut last = Box::from("none was finished");
        let first = async {
            while let Some(event) = events.next().await {
                match event {
                    SessionEvent::Connected { .. } => {
                        // The event comes first; in another thread it may be seen before the state.
                        let mut state = client.shared.state.clone();
                        let told = |state: &SessionState| *state != SessionState::Connecting;
                        // An error says that the task is gone: the next request tells why.
                        state.wait_for(told).await.ok();
                        return Ok(());
                    }
                    SessionEvent::AttemptFailed { server, reason } => {
                        last = format!("{server}: {reason}").into();
                    }
                    SessionEvent::Disconnected { .. } => {} // It comes after Connected only.
                    SessionEvent::Ended(end) => return Err(end),
                }
            }
            Err(SessionEnd::Closed)
        };
        match tokio::time::timeout(self.connect_timeout, first).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(end)) => Err(Error::SessionEnded(end, crate::Sent::No)),
            Err(_) => Err(Error::NoServer { servers: servers.to_string().into(), last }),
        }
    }

    fn start<T: Transport>(&self, transport: T, servers: &Servers) -> (Client, SessionEvents) {
        let timeout_ms = u64::try_from(self.session_timeout.as_millis()).unwrap_or(u64::MAX);
        let (timeout, sasl) = (Millis(timeout_ms), self.sasl.clone());
        let config = Config { timeout, access: self.access, sasl };
        let seed = self.seed.unwrap_or_else(random);
        let session = Session::new(config, servers.hosts.clone(), seed, Millis(0));
        let (command_sender, commands) = mpsc::unbounded_channel();
        let (control_sender, control) = mpsc::unbounded_channel();
        let (state_sender, state) = watch::channel(SessionState::Connecting);
        let (peer_sender, peer) = watch::channel(None);
        let (notification_sender, _) = broadcast::channel(EVENT_QUEUE);
        let (event_sender, events) = event_channel();
        let start = Instant::now();
        let certainty = Arc::new(Certainty::new(start));
        let shared = Shared {
            commands: command_sender,
            control: control_sender,
            state,
            peer,
            events: event_sender.downgrade(),
            notifications: notification_sender.downgrade(),
            certainty: certainty.clone(),
            next_watch: AtomicU64::new(0),
            next_name: AtomicU64::new(0),
            chroot: Chroot(servers.chroot.clone()),
            request_bytes_max: self.request_bytes_max,
        };
        let channels = Channels {
            commands,
            control,
            state: state_sender,
            peer: peer_sender,
            notifications: notification_sender,
            events: event_sender,
            certainty,
            observer: self.observer.clone(),
        };
        let connection = Connection::new(transport, session, channels, start);
        tokio::spawn(connection.run());
        let events = SessionEvents { events: Some(events) };
        (Client { shared: Arc::new(shared) }, events)
    }
}
