//! Listening sockets, and who is let in: by address, in all, and by what descriptors are left.

use crate::limits::RESERVED_FDS;
use crate::run::Message;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, warn};

/// How long accepting pauses when the system has no descriptor left. Nothing tells when there is
/// one again.
const NO_DESCRIPTOR_PAUSE: Duration = Duration::from_millis(100);

/// A descriptor that a connection may use; given back when it is dropped.
pub(crate) type Descriptor = OwnedSemaphorePermit;

/// Listens as Java does: `None` means all addresses, by one socket for IPv6 that takes IPv4 too, or
/// for IPv4 alone where there is no IPv6.
pub(crate) fn bind(
    address: Option<SocketAddr>,
    port: u16,
    backlog: u32,
) -> io::Result<TcpListener> {
    match address {
        Some(address) => listen(address, backlog),
        None => listen((Ipv6Addr::UNSPECIFIED, port).into(), backlog).or_else(|error| {
            let taken = [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied];
            if taken.contains(&error.kind()) {
                return Err(error);
            }
            listen((Ipv4Addr::UNSPECIFIED, port).into(), backlog)
        }),
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Raises the limit of open files as far as it goes, and returns how many connections that allows.
pub(crate) fn descriptors() -> Arc<Semaphore> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let former = limit.current;
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "cannot raise the limit of open files; raise it with ulimit -n or LimitNOFILE");
        limit.current = former;
    }
    let connections = limit.current.unwrap_or(u64::MAX).saturating_sub(RESERVED_FDS).max(1);
    let most = u64::try_from(Semaphore::MAX_PERMITS).unwrap_or(u64::MAX);
    Arc::new(Semaphore::new(usize::try_from(connections.min(most)).unwrap_or(usize::MAX)))
}

/// Accepts until the core has stopped.
pub(crate) async fn accept(
    listener: TcpListener,
    free: Arc<Semaphore>,
    core: mpsc::Sender<Message>,
) {
    loop {
        let descriptor = match free.clone().try_acquire_owned() {
            Ok(descriptor) => descriptor,
            Err(_none_left) => {
                warn!(
                    "no more connections are accepted until one is closed: the limit of open files \
                     is reached; raise it with ulimit -n or LimitNOFILE"
                );
                let Ok(descriptor) = free.clone().acquire_owned().await else { return };
                descriptor
            }
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let accepted = Message::Accepted { stream, peer, descriptor };
                if core.send(accepted).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let full = matches!(
                    rustix::io::Errno::from_io_error(&error),
                    Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
                );
                if full {
                    warn!(%error, "accepting pauses: the system has no descriptor left");
                    tokio::time::sleep(NO_DESCRIPTOR_PAUSE).await;
                } else {
                    debug!(%error, "a connection was gone before it was accepted");
                }
            }
        }
    }
}

/// How many connections there are, per address and in all.
#[derive(Debug)]
pub(crate) struct Admission {
    per_address_max: Option<NonZeroU32>,
    all_max: Option<NonZeroU32>,
    per_address: BTreeMap<IpAddr, u32>,
    all: u32,
}

impl Admission {
    /// `maxClientCnxns` and `maxCnxns`; `None` for no limit.
    pub(crate) fn new(
        per_address_max: Option<NonZeroU32>,
        all_max: Option<NonZeroU32>,
    ) -> Admission {
        Admission { per_address_max, all_max, per_address: BTreeMap::new(), all: 0 }
    }

    /// Lets a connection in, or says which setting forbids it.
    pub(crate) fn admit(&mut self, address: IpAddr) -> Result<(), &'static str> {
        if self.all_max.is_some_and(|max| self.all >= max.get()) {
            return Err("maxCnxns");
        }
        let count = self.per_address.entry(address.to_canonical()).or_insert(0);
        if self.per_address_max.is_some_and(|max| *count >= max.get()) {
            return Err("maxClientCnxns");
        }
        *count += 1;
        self.all += 1;
        Ok(())
    }

    /// A connection that was let in is closed.
    pub(crate) fn leave(&mut self, address: IpAddr) {
        self.all -= 1;
        if let Some(count) = self.per_address.get_mut(&address.to_canonical()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address.to_canonical());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_count_as_what_they_are() {
        let mut admission = Admission::new(NonZeroU32::new(1), None);
        let plain: IpAddr = "127.0.0.1".parse().expect("an address");
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
        assert_eq!(admission.admit(plain), Ok(()));
        assert_eq!(admission.admit(mapped), Err("maxClientCnxns"));
        admission.leave(mapped);
        assert_eq!(admission.admit(mapped), Ok(()));
    }

    #[test]
    fn the_limit_of_all_counts_every_address() {
        let mut admission = Admission::new(None, NonZeroU32::new(2));
        let address = |last| IpAddr::from([127, 0, 0, last]);
        assert_eq!(admission.admit(address(1)), Ok(()));
        assert_eq!(admission.admit(address(2)), Ok(()));
        assert_eq!(admission.admit(address(3)), Err("maxCnxns"));
    }
}
