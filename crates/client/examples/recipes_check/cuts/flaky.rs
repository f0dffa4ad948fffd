//! TCP that breaks at a chosen request: before it is sent, or after its answer has come back, which
//! then nobody sees.

use bellwether_client::{Connecting, Host, Tcp, Transport};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The request does not reach the server.
    Before,
    /// The request is done; its answer does not reach the client.
    After,
}

/// At which request the next cut is, counted from its arming.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan(Arc<Mutex<Armed>>);

#[derive(Debug, Default)]
struct Armed {
    next: Option<(Cut, usize)>,
    seen: usize,
}

impl Plan {
    pub(super) fn arm(&self, cut: Cut, request: usize) {
        *self.lock() = Armed { next: Some((cut, request)), seen: 0 };
    }

    /// Whether the cut has been made.
    pub(super) fn disarm(&self) -> bool {
        self.lock().next.take().is_none()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Armed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; what is to be done at it.
    fn count(&self) -> Option<Cut> {
        let mut armed = self.lock();
        armed.seen += 1;
        let seen = armed.seen;
        armed.next.take_if(|(_, request)| *request == seen).map(|(cut, _)| cut)
    }
}

/// Connections that break according to plan.
pub(super) struct Flaky {
    plan: Plan,
}

impl Flaky {
    pub(super) fn new(plan: &Plan) -> Flaky {
        Flaky { plan: plan.clone() }
    }
}

impl Transport for Flaky {
    type Stream = Stream;

    fn connect(&self, host: &Host) -> Connecting<Stream> {
        let (connecting, plan) = (Tcp.connect(host), self.plan.clone());
        Box::pin(async move {
            let inner = connecting.await?;
            Ok(Stream { inner, plan, greeted: false, left: 0, state: State::Whole, heard: vec![] })
        })
    }
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// It breaks when the answer to this request has come.
    BreaksAfter(i32),
    Broken,
}

/// A connection.
pub(super) struct Stream {
    inner: TcpStream,
    plan: Plan,
    /// The first frame is no request.
    greeted: bool,
    /// Bytes of the frame under way that are not written yet.
    left: usize,
    state: State,
    /// What was read since it is known that it breaks.
    heard: Vec<u8>,
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    Some(4 + usize::try_from(number(bytes, 0)?).ok()?)
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::other("cut")))
}

impl Stream {
    /// How much of this may be written. A buffer begins inside of a frame, or holds it whole.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        let mut admitted = self.left.min(bytes.len());
        while let Some(frame) = bytes.get(admitted..).filter(|rest| rest.len() >= 8) {
            let (Some(len), Some(xid)) = (frame_bytes(frame), number(frame, 4)) else { break };
            let is_request = std::mem::replace(&mut self.greeted, true) && xid > 0;
            match is_request.then(|| self.plan.count()).flatten() {
                None => {}
                Some(Cut::Before) => {
                    self.state = State::Broken;
                    break;
                }
                Some(Cut::After) => self.state = State::BreaksAfter(xid),
            }
            admitted += len;
        }
        admitted
    }

    /// Whether the answer is among what was heard.
    fn is_answered(&self, xid: i32) -> bool {
        let mut rest: &[u8] = &self.heard;
        while let Some(len) = frame_bytes(rest) {
            if number(rest, 4) == Some(xid) {
                return true;
            }
            rest = rest.get(len..).unwrap_or_default();
        }
        false
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.state == State::Broken {
            return broken();
        }
        // What could not be written is offered again, and must not be counted again.
        ready!(self.inner.poll_write_ready(context))?;
        let admitted = self.admit(bytes);
        let Some(bytes) = bytes.get(..admitted).filter(|bytes| !bytes.is_empty()) else {
            return broken();
        };
        let written = match Pin::new(&mut self.inner).poll_write(context, bytes) {
            Poll::Ready(written) => written?,
            Poll::Pending => return broken(),
        };
        self.left = admitted - written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.state {
                State::Whole => return Pin::new(&mut self.inner).poll_read(context, out),
                State::Broken => return broken(),
                State::BreaksAfter(xid) => {
                    let mut space = [0; 4096];
                    let mut read = ReadBuf::new(&mut space);
                    ready!(Pin::new(&mut self.inner).poll_read(context, &mut read))?;
                    self.heard.extend_from_slice(read.filled());
                    if read.filled().is_empty() || self.is_answered(xid) {
                        self.state = State::Broken;
                    }
                }
            }
        }
    }
}
