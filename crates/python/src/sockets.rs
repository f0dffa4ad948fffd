//! TCP connections whose descriptors are known, so that a forked child can close its copies.
//!
//! What it keeps true: a descriptor is in the set exactly while it is open, as far as whoever holds
//! the set's lock can see: it is opened and closed under that lock.

use bellwether_client::{Connecting, Host, Transport};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

use crate::worker::locked;

/// The descriptors of this process's connections.
pub(crate) type OpenSockets = BTreeSet<RawFd>;

static OPEN: Mutex<OpenSockets> = Mutex::new(BTreeSet::new());

/// The set, locked.
pub(crate) fn all() -> MutexGuard<'static, OpenSockets> {
    locked(&OPEN)
}

/// Plain TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrackedTcp;

impl Transport for TrackedTcp {
    type Stream = Tracked;

    fn connect(&self, host: &Host) -> Connecting<Tracked> {
        let host = host.clone();
        Box::pin(async move {
            let mut last = io::Error::other("the name has no address");
            for address in lookup_host((&*host.name, host.port)).await? {
                match connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }
}

/// Connects step by step, so that the descriptor is known from its first moment on.
async fn connect(address: SocketAddr) -> io::Result<Tracked> {
    let stream = {
        let mut open = all();
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        // Requests are small and somebody waits for each: they must not wait for each other.
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from_std(socket.into())?;
        open.insert(stream.as_raw_fd());
        Tracked(Some(stream))
    };
    let Some(connecting) = &stream.0 else { return Err(io::ErrorKind::NotConnected.into()) };
    connecting.writable().await?;
    match connecting.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// A connection whose descriptor is in the set.
#[derive(Debug)]
pub(crate) struct Tracked(
    /// `None` only while it is being dropped.
    Option<TcpStream>,
);

impl Drop for Tracked {
    fn drop(&mut self) {
        let mut open = all();
        if let Some(stream) = self.0.take() {
            open.remove(&stream.as_raw_fd());
        }
    }
}

impl Tracked {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(self.get_mut().0.as_mut().expect("it is used before it is dropped"))
    }
}

impl AsyncRead for Tracked {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
