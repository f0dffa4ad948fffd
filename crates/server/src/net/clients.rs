//! Step 1 of a request: a client's socket, from bytes to frames.
//!
//! The core calls in here when a socket is ready; it reads into one buffer that all sockets share.
//! A connection that waits keeps no buffer, one within a frame keeps that frame's bytes.

use crate::limits::{OVERSIZE_BYTES_MAX, UNSENT_BYTES_PAUSE};
use crate::net::listen::Descriptor;
use crate::net::outbox::Outbox;
use crate::net::oversize::Oversize;
use crate::net::partial::Partial;
use crate::net::readiness::Wants;
use crate::net::socket::Socket;
use crate::run::words::Telling;
use bellwether_tree::Now;
use bellwether_wire::client::frame::{self, Length};
use bellwether_wire::limits::MAX_CONNECT_BYTES;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::Interest;

/// A connection, as its socket sees it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: Arc<dyn Socket>,
    pub(crate) peer: SocketAddr,
    pub(crate) phase: Phase,
    pub(crate) partial: Partial,
    /// The frame that is passing by because it is too long.
    pub(crate) oversize: Option<Box<Oversize>>,
    pub(crate) outbox: Outbox,
    /// When it was accepted, monotonic milliseconds.
    pub(crate) accepted_ms: u64,
    /// The same by the wall clock, milliseconds since 1970.
    pub(crate) established_ms: i64,
    /// When its incomplete frame last grew, monotonic milliseconds.
    pub(crate) grew_ms: u64,
    /// Whether its socket is to be read when it is readable, as of its last turn.
    pub(crate) reads: bool,
    /// Whether the core will flush it at the end of this turn.
    pub(crate) dirty: bool,
    /// Frames that came and replies that went.
    pub(crate) received: u64,
    /// Requests among them that get their replies in order.
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    /// What is still to be said of the answer to a four-letter word.
    pub(crate) telling: Option<Box<Telling>>,
    wants: Wants,
    armed: Option<Interest>,
    /// Held for its drop.
    _descriptor: Descriptor,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was read: a four-letter word or a connect request may come.
    New,
    /// Its connect request is with the node; its next frames wait.
    Connecting,
    /// It has a session.
    Open,
    /// What is unsent is sent, then it is closed. Nothing is read.
    Closing { since_ms: u64 },
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A whole frame, without its length; `len` with it.
    Frame { body: &'a [u8], len: usize },
    /// A four-letter word.
    Word([u8; 4]),
    /// The start of a frame of `len` bytes, its length included; 4 if even that is not known.
    Partial { len: usize },
    /// The length of a frame of a session that is longer than the limit, but may be read past.
    TooLong { bytes: usize },
    /// A length that no frame may have.
    Impossible(i32),
}

impl Client {
    pub(crate) fn new(
        socket: Arc<dyn Socket>,
        peer: SocketAddr,
        now: Now,
        (wants, descriptor): (Wants, Descriptor),
    ) -> Client {
        Client {
            socket,
            peer,
            phase: Phase::New,
            partial: Partial::default(),
            oversize: None,
            outbox: Outbox::default(),
            accepted_ms: now.mono_ms,
            established_ms: now.wall_ms,
            grew_ms: now.mono_ms,
            reads: false,
            dirty: false,
            received: 0,
            asked: 0,
            sent: 0,
            telling: None,
            wants,
            armed: None,
            _descriptor: descriptor,
        }
    }

    /// Whether a further frame may be taken from it.
    pub(crate) fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Open => self.outbox.copied() < UNSENT_BYTES_PAUSE,
            Phase::Connecting | Phase::Closing { .. } => false,
        }
    }

    /// Its task is waiting no longer: it has just reported.
    pub(crate) fn reported(&mut self) {
        self.armed = None;
    }

    /// Lets its task wait for what is needed next.
    pub(crate) fn arm(&mut self) {
        let write = !self.outbox.is_empty();
        let interest = match (self.reads, write) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            // Only an error wakes it.
            (false, false) => Interest::ERROR,
        };
        // The task lives as long as this sender; if it has ended, the core has stopped.
        if self.armed != Some(interest) && self.wants.send(interest).is_ok() {
            self.armed = Some(interest);
        }
    }

    /// What stands at the start of `bytes`, given how far the connection has come.
    pub(crate) fn next<'a>(&self, bytes: &'a [u8], max_bytes: usize) -> Next<'a> {
        let Some(first) = bytes.first_chunk::<4>() else { return Next::Partial { len: 4 } };
        let max_bytes = if self.phase == Phase::New {
            if first.iter().all(u8::is_ascii_lowercase) {
                return Next::Word(*first);
            }
            max_bytes.min(MAX_CONNECT_BYTES)
        } else {
            max_bytes
        };
        match frame::length(bytes, max_bytes) {
            None => Next::Partial { len: 4 },
            Some(Length::Impossible(len)) => match usize::try_from(len) {
                Ok(bytes) if self.phase == Phase::Open && bytes <= OVERSIZE_BYTES_MAX => {
                    Next::TooLong { bytes }
                }
                Ok(_) | Err(_) => Next::Impossible(len),
            },
            Some(Length::Frame(len)) => match bytes.get(4..4 + len) {
                Some(body) => Next::Frame { body, len: 4 + len },
                None => Next::Partial { len: 4 + len },
            },
        }
    }
}
