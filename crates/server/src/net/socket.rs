//! What the core asks of a client's socket: bytes that are there, and to take some.

use std::fmt;
use std::io::{self, IoSlice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A socket that is never waited for: where nothing can be done, it says so.
pub(crate) trait Socket: fmt::Debug + Send + Sync {
    /// Reads what has come; 0 where the other side has closed.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Takes as much as it can of these, one after the other.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Socket for TcpStream {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = TcpStream::try_read(self, buffer)?;
        if bytes < buffer.len() {
            // That was all: what comes now is a new event, and nobody needs to ask for nothing.
            let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            drop(self.try_io(Interest::READABLE, nothing));
        }
        Ok(bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        TcpStream::try_write_vectored(self, slices)
    }
}
