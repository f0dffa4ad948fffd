//! Opening the ports for other members.
//!
//! What it keeps true: a port is opened on the address of the server's own line, or on all; its
//! name is looked up at every attempt, because a container may start before its name is known.

use super::{QuorumMessage, SharedPlace, names};
use crate::net::listen;
use crate::run::Message;
use crate::warn_limited;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Between two attempts to open the election port, as in Apache.
const ELECTION_RETRY: Duration = Duration::from_secs(1);

/// Between two attempts to open the quorum port: the ensemble waits for it.
const QUORUM_RETRY: Duration = Duration::from_millis(100);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// How long accepting pauses when the system has no descriptor left.
const NO_DESCRIPTOR_PAUSE: Duration = Duration::from_millis(100);

/// Opens a port once.
async fn open(place: &SharedPlace, host: &str, port: u16) -> io::Result<TcpListener> {
    if place.member.listens_on_all_ips {
        return listen::bind(None, port, BACKLOG);
    }
    let mut failure = None;
    for address in names::look_up(host, port).await? {
        let any = address.ip().is_unspecified();
        match listen::bind(Some(address).filter(|_| !any), port, BACKLOG) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                failure = Some(io::Error::new(error.kind(), format!("{address}: {error}")));
            }
        }
    }
    Err(failure.expect("a host has an address"))
}

/// Opens the election port, as often as is set; the last failure is what is returned.
pub(super) async fn open_election_port(
    place: &SharedPlace,
    (host, port): (&str, u16),
    attempts: Option<NonZeroU32>,
) -> io::Result<TcpListener> {
    let mut tried = 0_u32;
    loop {
        let error = match open(place, host, port).await {
            Ok(listener) => {
                info!(%host, port, "the election port is open");
                return Ok(listener);
            }
            Err(error) => error,
        };
        tried = tried.saturating_add(1);
        if attempts.is_some_and(|attempts| tried >= attempts.get()) {
            return Err(error);
        }
        warn_limited!(place.repeats, "election port", %host, port, %error,
            "the election port cannot be opened yet; it is tried again. The host of this server's \
             own line must be an address of this machine (or set quorumListenOnAllIPs=true), and \
             the port free");
        tokio::time::sleep(ELECTION_RETRY).await;
    }
}

/// The quorum port of a leader: dropping it closes it.
#[derive(Debug)]
pub(crate) struct QuorumPort(JoinHandle<()>);

impl Drop for QuorumPort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the quorum port, however long that takes: who leads without it finds no follower, and
/// gives up.
pub(crate) fn listen(place: SharedPlace, core: mpsc::Sender<Message>) -> QuorumPort {
    let task = async move {
        let own = place.member.own().addresses.first().expect("a server has an address").clone();
        let listener = loop {
            match open(&place, &own.host, own.quorum_port).await {
                Ok(listener) => break listener,
                Err(error) => {
                    warn_limited!(place.repeats, "quorum port", port = own.quorum_port, %error,
                        "the quorum port cannot be opened yet, so that no follower can connect to \
                         this leader; it is tried again. Stop what listens there");
                    tokio::time::sleep(QUORUM_RETRY).await;
                }
            }
        };
        loop {
            let (stream, peer) = accept(&listener).await;
            if place.set_options(&stream).is_err() {
                continue; // It was gone before it was used.
            }
            let accepted = QuorumMessage::LearnerAccepted { stream, peer };
            if core.send(Message::Quorum(accepted)).await.is_err() {
                return;
            }
        }
    };
    QuorumPort(tokio::spawn(task))
}

/// The next connection.
pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                warn!(%error, "a connection of another member could not be accepted; if this \
                               repeats, raise the limit of open files");
                tokio::time::sleep(NO_DESCRIPTOR_PAUSE).await;
            }
        }
    }
}
