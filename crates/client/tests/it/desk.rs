//! A process's sockets: a transport whose connections are buffers, which the stage exchanges with
//! the simulated network between two steps of the process.
//!
//! Everything that the process wants of the network stands in one list, in the order in which it
//! was wanted, so that a run is the same every time.

use bellwether_client::{Connecting, Host, Transport};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket of the process, by a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket(u64);

/// What the process wants of the network.
#[derive(Debug)]
pub(crate) enum Wish {
    Call { socket: Socket, member: usize },
    Send { socket: Socket, bytes: Vec<u8> },
    Close(Socket),
}

/// A socket as the process has it. It is gone when the process has closed it.
#[derive(Debug, Default)]
struct Here {
    /// `None` while it is being connected.
    connected: Option<bool>,
    received: Vec<u8>,
    ended: bool,
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    sockets: BTreeMap<Socket, Here>,
    next: u64,
    wishes: Vec<Wish>,
}

/// All sockets of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk(Arc<Mutex<State>>);

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What the process wants, since this was asked last.
    pub(crate) fn take_wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut self.state().wishes)
    }

    /// A call was answered, or refused.
    pub(crate) fn answered(&self, socket: Socket, connected: bool) {
        self.change(socket, |here| here.connected = Some(connected));
    }

    /// Bytes have come.
    pub(crate) fn received(&self, socket: Socket, bytes: &[u8]) {
        self.change(socket, |here| here.received.extend_from_slice(bytes));
    }

    /// Nothing more will come.
    pub(crate) fn ended(&self, socket: Socket) {
        self.change(socket, |here| here.ended = true);
    }

    /// Whether the process has not closed it.
    pub(crate) fn has(&self, socket: Socket) -> bool {
        self.state().sockets.contains_key(&socket)
    }

    fn change(&self, socket: Socket, change: impl FnOnce(&mut Here)) {
        let waker = self.state().sockets.get_mut(&socket).and_then(|here| {
            change(here);
            here.reader.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Transport for Desk {
    type Stream = Stream;

    /// Members are called `m1`, `m2` ….
    fn connect(&self, host: &Host) -> Connecting<Stream> {
        let member = host.name.strip_prefix('m').and_then(|number| number.parse().ok());
        let member = member.expect("members are called m1, m2 and so on");
        let mut state = self.state();
        state.next += 1;
        let socket = Socket(state.next);
        state.sockets.insert(socket, Here::default());
        state.wishes.push(Wish::Call { socket, member });
        drop(state);
        let mut stream = Some(Stream { socket, desk: self.clone() });
        Box::pin(std::future::poll_fn(move |cx| {
            let it = stream.as_ref().expect("it is not asked again once it is ready");
            let mut state = it.desk.state();
            let here = state.sockets.get_mut(&socket).expect("it is not closed");
            let connected = here.connected;
            if connected.is_none() {
                here.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            let stream = stream.take().expect("it was looked at above");
            match connected {
                Some(true) => Poll::Ready(Ok(stream)),
                Some(false) | None => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            }
        }))
    }
}

/// A connection with a member. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    desk: Desk,
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.desk.state();
        let here = state.sockets.get_mut(&self.socket).expect("it is not closed");
        if here.received.is_empty() && !here.ended {
            here.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = here.received.len().min(buf.remaining());
        buf.put_slice(&here.received[..taken]);
        here.received.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.desk.state();
        let ended = state.sockets.get(&self.socket).is_none_or(|here| here.ended);
        if ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.wishes.push(Wish::Send { socket: self.socket, bytes: buf.to_vec() });
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        state.sockets.remove(&self.socket);
        state.wishes.push(Wish::Close(self.socket));
    }
}
