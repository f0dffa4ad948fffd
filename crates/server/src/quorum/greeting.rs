//! The header with which a connection of the election port begins.

use super::SharedPlace;
use crate::warn_limited;
use bellwether_wire::limits::MAX_INITIAL_ADDRESS_BYTES;
use bellwether_wire::quorum::{Initial, InitialProtocol};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

/// How long a header may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The header's numbers.
const FIXED_BYTES: usize = 20;

/// What this server says of itself. It is sent in one piece.
pub(super) fn own(place: &SharedPlace) -> Vec<u8> {
    let own = place.member.own().addresses.first().expect("a server has an address");
    let initial = Initial {
        protocol: InitialProtocol::V1,
        sid: place.member.my_id,
        addresses: vec![own.election().into()],
    };
    let mut header = Vec::new();
    initial.encode(&mut header);
    header
}

/// Reads the header of a connection that was accepted, and what came behind it. Who sends
/// something else is no member: `None`.
pub(super) async fn read(
    place: &SharedPlace,
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Option<(Initial, Vec<u8>)> {
    let mut bytes = vec![0; FIXED_BYTES + MAX_INITIAL_ADDRESS_BYTES];
    let mut len = 0;
    let read = async {
        loop {
            match Initial::decode(bytes.get(..len).unwrap_or_default()) {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(error) => {
                    warn_limited!(place.repeats, "election header", %peer, %error,
                        "a connection to the election port was closed: what came is not from a \
                         member. If nobody scans ports there, look at the election address of \
                         that machine's server line");
                    return None;
                }
            }
            match stream.read(bytes.get_mut(len..).unwrap_or_default()).await {
                Ok(0) | Err(_) => {
                    debug!(%peer, bytes = len, "who connected to the election port has left");
                    return None;
                }
                Ok(read) => len += read,
            }
        }
    };
    match timeout(PATIENCE, read).await {
        Ok(found) => {
            let (initial, taken) = found?;
            let behind = bytes.get(taken..len).unwrap_or_default().to_vec();
            Some((initial, behind))
        }
        Err(_elapsed) => {
            warn_limited!(place.repeats, "election silence", %peer,
                "a connection to the election port was closed: it did not say in time which \
                 member it is from");
            None
        }
    }
}
