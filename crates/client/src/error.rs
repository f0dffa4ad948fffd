//! What can go wrong for a caller, and what that says about a write.

use crate::hosts::ServersError;
use bellwether_wire::client::OpResult;
use bellwether_wire::{ErrorCode, OpCode, PathError};
use std::fmt;

/// What became of a write that did not succeed. For a read it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The write certainly did not happen and will not: it may be tried again as it is.
    DidNotHappen,
    /// The write may have happened, or may still: look before trying again.
    MayHaveHappened,
}

/// Whether a request had left for the server when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It never left.
    No,
    /// It was sent, and no answer came.
    Yes,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// It was closed by this client.
    Closed,
    /// The server let it expire, or no server answered for so long that it must have expired.
    Expired,
    /// The client could not prove who it is, or the server could not.
    AuthFailed(AuthFailure),
}

/// What went wrong with the authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// The server refused an identity that was given with `add_auth`.
    Identity,
    /// The server refused the SASL exchange with the number of this error: a wrong user or
    /// password.
    SaslRefused(i32),
    /// The server takes no part in SASL.
    SaslNotOffered,
    /// The server's SASL challenge cannot be answered.
    SaslChallenge(&'static str),
    /// The server did not prove that it knows the password: it is not who it says it is.
    ServerNotProven,
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthFailure::Identity => write!(f, "the server refused the authentication"),
            AuthFailure::SaslRefused(code) => {
                write!(f, "the server refused the SASL user or password (")?;
                match ErrorCode::from_code(*code) {
                    Some(code) => write!(f, "{code})"),
                    None => write!(f, "error {code})"),
                }
            }
            AuthFailure::SaslNotOffered => f.write_str(
                "the server takes no part in SASL: it needs an authProvider with \
                 SASLAuthenticationProvider and a JAAS section Server",
            ),
            AuthFailure::SaslChallenge(problem) => {
                write!(f, "the server's SASL challenge cannot be answered: {problem}")
            }
            AuthFailure::ServerNotProven => {
                f.write_str("the server did not prove that it knows the SASL password")
            }
        }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionEnd::Closed => f.write_str("the client was closed"),
            SessionEnd::Expired => f.write_str("the session has expired"),
            SessionEnd::AuthFailed(failure) => failure.fmt(f),
        }
    }
}

/// Why an operation failed. [`Error::fate`] says what that means for a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The server refused it.
    Refused {
        /// What was asked.
        op: OpCode,
        /// Of which node; as the caller named it.
        path: Box<str>,
        /// Why not.
        code: ErrorCode,
    },
    /// The server refused a multi; none of its operations happened.
    Multi {
        /// The place of the operation that was refused.
        index: usize,
        /// Why it was.
        code: ErrorCode,
        /// A result per operation; those before and after the refused one carry an error too.
        results: Vec<OpResult>,
    },
    /// The server answered with a number that is no error code.
    UnknownCode(i32),
    /// The connection was lost before the answer came. The session goes on. Only a request that was
    /// sent fails with this: one that was not waits for the next connection.
    ConnectionLost,
    /// The session has ended, and with it all it owned.
    SessionEnded(SessionEnd, Sent),
    /// No server could be reached in time.
    NoServer {
        /// The connect string.
        servers: Box<str>,
        /// How the last attempt failed.
        last: Box<str>,
    },
    /// The request is larger than the server accepts.
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit (`jute.maxbuffer`).
        limit_bytes: usize,
    },
    /// The path cannot name a node.
    Path {
        /// The path.
        path: Box<str>,
        /// What is wrong with it.
        problem: PathError,
    },
    /// An argument is not possible.
    Argument(&'static str),
    /// The connect string cannot be used.
    Servers(ServersError),
}

impl Error {
    /// The server's code, if it was the server that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } | Error::Multi { code, .. } => Some(*code),
            Error::UnknownCode(_)
            | Error::ConnectionLost
            | Error::SessionEnded(..)
            | Error::NoServer { .. }
            | Error::TooLarge { .. }
            | Error::Path { .. }
            | Error::Argument(_)
            | Error::Servers(_) => None,
        }
    }

    /// What became of the write that failed with this.
    pub fn fate(&self) -> Fate {
        match self {
            Error::Refused { code, .. } => fate_of(*code),
            Error::ConnectionLost | Error::SessionEnded(_, Sent::Yes) | Error::UnknownCode(_) => {
                Fate::MayHaveHappened
            }
            Error::Multi { .. }
            | Error::SessionEnded(_, Sent::No)
            | Error::NoServer { .. }
            | Error::TooLarge { .. }
            | Error::Path { .. }
            | Error::Argument(_)
            | Error::Servers(_) => Fate::DidNotHappen,
        }
    }
}

/// A code that names a reason is the answer of a server that decided against the write. The few
/// that say only that something went wrong prove nothing.
fn fate_of(code: ErrorCode) -> Fate {
    use ErrorCode as Code;
    match code {
        Code::Ok
        | Code::SystemError
        | Code::RuntimeInconsistency
        | Code::DataInconsistency
        | Code::ConnectionLoss
        | Code::OperationTimeout
        | Code::ApiError
        | Code::RequestTimeout => Fate::MayHaveHappened,
        Code::MarshallingError
        | Code::Unimplemented
        | Code::BadArguments
        | Code::UnknownSession
        | Code::NewConfigNoQuorum
        | Code::ReconfigInProgress
        | Code::NoNode
        | Code::NoAuth
        | Code::BadVersion
        | Code::NoChildrenForEphemerals
        | Code::NodeExists
        | Code::NotEmpty
        | Code::SessionExpired
        | Code::InvalidCallback
        | Code::InvalidAcl
        | Code::AuthFailed
        | Code::SessionMoved
        | Code::NotReadOnly
        | Code::EphemeralOnLocalSession
        | Code::NoWatcher
        | Code::ReconfigDisabled
        | Code::SessionClosedRequireSaslAuth
        | Code::QuotaExceeded
        | Code::ThrottledOp => Fate::DidNotHappen,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused { op, path, code } if path.is_empty() => write!(f, "{op}: {code}"),
            Error::Refused { op, path, code } => write!(f, "{op} {path}: {code}"),
            Error::Multi { index, code, .. } => {
                write!(f, "multi: operation {index} was refused: {code}; none happened")
            }
            Error::UnknownCode(code) => write!(f, "the server answered with unknown error {code}"),
            Error::ConnectionLost => write!(f, "the connection was lost{}", in_doubt(Sent::Yes)),
            Error::SessionEnded(end, sent) => write!(f, "{end}{}", in_doubt(*sent)),
            Error::NoServer { servers, last } => {
                write!(f, "no server of {servers} could be reached; the last attempt: {last}")
            }
            Error::TooLarge { bytes, limit_bytes } => write!(
                f,
                "the request has {bytes} bytes, the server accepts {limit_bytes} (jute.maxbuffer)"
            ),
            Error::Path { path, problem } => write!(f, "path {path:?}: {problem}"),
            Error::Argument(what) => f.write_str(what),
            Error::Servers(error) => write!(f, "connect string: {error}"),
        }
    }
}

fn in_doubt(sent: Sent) -> &'static str {
    match sent {
        Sent::No => "; the request was not sent",
        Sent::Yes => " before the answer came: a write may have happened",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Path { problem, .. } => Some(problem),
            Error::Servers(error) => Some(error),
            Error::Refused { .. }
            | Error::Multi { .. }
            | Error::UnknownCode(_)
            | Error::ConnectionLost
            | Error::SessionEnded(..)
            | Error::NoServer { .. }
            | Error::TooLarge { .. }
            | Error::Argument(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode) -> Error {
        Error::Refused { op: OpCode::Create, path: "/a".into(), code }
    }

    #[test]
    fn only_an_answer_with_a_reason_or_a_request_that_never_left_is_certain() {
        assert_eq!(refused(ErrorCode::NodeExists).fate(), Fate::DidNotHappen);
        assert_eq!(refused(ErrorCode::SystemError).fate(), Fate::MayHaveHappened);
        assert_eq!(Error::ConnectionLost.fate(), Fate::MayHaveHappened);
        let expired = |sent| Error::SessionEnded(SessionEnd::Expired, sent).fate();
        assert_eq!(expired(Sent::Yes), Fate::MayHaveHappened);
        assert_eq!(expired(Sent::No), Fate::DidNotHappen);
    }
}
