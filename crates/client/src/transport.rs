//! What connections are made of: TCP, or whatever else carries bytes both ways.

use crate::hosts::Host;
use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
pub use tls::{Tls, TlsBuilder, TlsError, TlsInput, TlsOver, TlsProblem, TlsSource, TlsStream};

/// A connection that is being made. Dropping it gives the attempt up.
pub type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// A way to connect to a server.
pub trait Transport: Send + 'static {
    /// A connection. What is written to it leaves while it is read, without being flushed.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Starts to connect. The host's name is resolved here, at each attempt. There is no time limit
    /// of its own: the session gives up by dropping it.
    fn connect(&self, host: &Host) -> Connecting<Self::Stream>;
}

/// Plain TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Transport for Tcp {
    type Stream = TcpStream;

    fn connect(&self, host: &Host) -> Connecting<TcpStream> {
        let host = host.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((&*host.name, host.port)).await?;
            // Requests are small and somebody waits for each: they must not wait for each other.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}
