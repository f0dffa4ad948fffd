//! Why a benchmark could not be finished.

use bellwether_client::ErrorCode;
use std::fmt;
use std::io;

#[derive(Debug)]
pub(super) enum BenchError {
    /// No session could be begun.
    Connect { server: String, source: io::Error },
    /// A connection was lost under load.
    Lost { session: String, source: io::Error },
    /// The server answered with something that is no reply to what was sent.
    Protocol(String),
    /// Nothing arrived for so long.
    Silent { seconds: u64 },
    /// Preparation or clean-up was refused.
    Refused { what: &'static str, count: u64, code: i32 },
    /// The server's process cannot be looked at.
    Process { pid: u32, source: io::Error },
    /// Waiting for the sockets failed.
    Poll(io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BenchError::Connect { server, source } => {
                write!(f, "no session with {server}: {source}. Is a server running there?")
            }
            BenchError::Lost { session, source } => {
                write!(f, "the connection of session {session} was lost: {source}")
            }
            BenchError::Protocol(what) => f.write_str(what),
            BenchError::Silent { seconds } => {
                write!(f, "no reply arrived for {seconds} s; the server's log may say why")
            }
            BenchError::Refused { what, count, code } => {
                write!(f, "{what}: {count} times, first ")?;
                match ErrorCode::from_code(*code) {
                    Some(code) => write!(f, "{code}"),
                    None => write!(f, "error {code}"),
                }
            }
            BenchError::Process { pid, source } => {
                write!(f, "process {pid} cannot be looked at: {source}")
            }
            BenchError::Poll(source) => write!(f, "waiting for the sockets failed: {source}"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BenchError::Connect { source, .. }
            | BenchError::Lost { source, .. }
            | BenchError::Process { source, .. }
            | BenchError::Poll(source) => Some(source),
            BenchError::Protocol(_) | BenchError::Silent { .. } | BenchError::Refused { .. } => {
                None
            }
        }
    }
}
