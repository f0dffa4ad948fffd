//! Hosts and ports become connections. A name is looked up anew each time, on a thread that may
//! block: addresses of containers change.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The addresses of a host, those of IPv4 first, as Java prefers them.
pub(super) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let failed = |error: io::Error| {
        let text = format!("the name {host} cannot be looked up: {error}");
        io::Error::new(error.kind(), text)
    };
    // An IPv6 address may name its zone, which the look-up understands.
    let found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    let (mut addresses, others): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv4);
    addresses.extend(others);
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")));
    }
    Ok(addresses)
}

/// Connects to the first of these that answers. Each has `patience` in all.
pub(super) async fn connect(
    places: &[(Box<str>, u16)],
    patience: Duration,
) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "there is no address to connect to");
    for (host, port) in places {
        match timeout(patience, connect_one(host, *port)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_elapsed) => {
                let text = format!("{host}:{port} did not answer in {} ms", patience.as_millis());
                failure = io::Error::new(io::ErrorKind::TimedOut, text);
            }
        }
    }
    Err(failure)
}

async fn connect_one(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = None;
    for address in look_up(host, port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) if is_to_itself(&stream) => {
                failure = Some(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    format!("{address}: nobody listens there"),
                ));
            }
            Ok(stream) => return Ok(stream),
            Err(error) => {
                failure = Some(io::Error::new(error.kind(), format!("{address}: {error}")));
            }
        }
    }
    Err(failure.expect("a host has an address"))
}

/// Whether the system took the port that is dialled as the port to dial from, which makes a
/// connection without anybody at its other end. It happens on one machine, with ports among those
/// that are given out.
fn is_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_place_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let places = [
            ("no.such.host.invalid".into(), port),
            ("127.0.0.1".into(), 1),
            ("127.0.0.1".into(), port),
        ];
        let stream = connect(&places, Duration::from_secs(60)).await.expect("the last answers");
        assert_eq!(stream.peer_addr().expect("connected").port(), port);
        let failure = connect(&places[..2], Duration::from_secs(60)).await.expect_err("nobody");
        assert!(failure.to_string().contains("127.0.0.1:1"), "{failure}");
        let failure = connect(&places[..1], Duration::from_secs(60)).await.expect_err("no name");
        assert!(failure.to_string().contains("no.such.host.invalid cannot be"), "{failure}");
    }
}
