//! Reaching a leader's quorum port, once: how often it is tried is the learner's business.

use super::{QuorumMessage, SharedPlace, names};
use crate::run::Message;
use bellwether_wire::quorum::ServerId;
use bellwether_zab::LeaderLink;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

/// A dial that is under way; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Dial(tokio::task::JoinHandle<()>);

impl Drop for Dial {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to connect.
pub(crate) fn start(
    place: SharedPlace,
    (link, leader): (LeaderLink, ServerId),
    core: mpsc::Sender<Message>,
) -> Dial {
    Dial(tokio::spawn(async move {
        let ticks = |count: u32| Duration::from_millis(place.tick_ms * u64::from(count));
        let all = ticks(place.member.connect_limit);
        let message = match timeout(all, reach(&place, leader)).await {
            Ok(Ok(stream)) => QuorumMessage::LeaderReached { link, stream },
            Ok(Err(error)) => {
                debug!(server = %leader, %error, "the leader is not reached yet");
                QuorumMessage::LeaderUnreachable { link }
            }
            Err(_elapsed) => {
                warn!(
                    server = %leader, patience_ms = all.as_millis(),
                    "the leader was not reached in the time of initLimit or \
                     connectToLearnerMasterLimit"
                );
                QuorumMessage::LeaderUnreachable { link }
            }
        };
        drop(core.send(Message::Quorum(message)).await);
    }))
}

async fn reach(place: &SharedPlace, leader: ServerId) -> io::Result<TcpStream> {
    let spec = place.member.ensemble.servers.get(&leader);
    let addresses = spec.into_iter().flat_map(|spec| &spec.addresses);
    let places: Vec<(Box<str>, u16)> =
        addresses.map(|address| (address.host.clone(), address.quorum_port)).collect();
    let one = Duration::from_millis(place.tick_ms * u64::from(place.member.sync_limit));
    let stream = names::connect(&places, one).await?;
    place.set_options(&stream)?;
    Ok(stream)
}
