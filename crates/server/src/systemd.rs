//! What systemd wants to hear: that the server serves, that it lives, that it stops.
//!
//! Without `NOTIFY_SOCKET` nobody wants to hear anything.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tracing::warn;

/// The way to systemd, if it started this process.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life: half of `WATCHDOG_USEC`.
    pub(crate) watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads the environment.
    pub(crate) fn from_env() -> Systemd {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|name| {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&name),
            };
            let opened = address.and_then(|address| Ok((UnixDatagram::unbound()?, address)));
            match opened {
                Ok(opened) => Some(opened),
                Err(error) => {
                    warn!(%error, "cannot use NOTIFY_SOCKET; systemd will think that the start hangs");
                    None
                }
            }
        });
        let usec = std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse::<u64>().ok());
        let watchdog =
            usec.filter(|_| socket.is_some()).map(|usec| Duration::from_micros(usec / 2));
        Systemd { socket, watchdog }
    }

    /// Sends one assignment, such as `READY=1`.
    pub(crate) fn notify(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            warn!(%error, state, "cannot notify systemd");
        }
    }
}
