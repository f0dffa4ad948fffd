//! Crash rounds: load a server, kill it, lose the power, and hold it to what it acknowledged.
//!
//! In reading order: [`options`] (the command line), [`faults`] (what can go wrong in a round),
//! [`wire`] (a blocking client of its own, so that the subject's client library is no part of the
//! proof), [`model`] (what a client's subtree must be after each of its writes), [`workload`] (the
//! clients under load), [`server`] (the process), [`check`] (what the restarted server shows),
//! [`chain`] (rounds that share a data directory). [`toy`] is a server to prove the driver itself.

pub mod chain;
mod check;
pub mod faults;
mod model;
pub mod options;
mod server;
pub mod toy;
mod wire;
mod workload;

use std::fmt;

/// Something that the server did which it must never do.
#[derive(Debug, Clone)]
pub struct Finding {
    pub kind: FindingKind,
    pub detail: String,
}

/// The promises that a round checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// What a client was told is gone, or is there only in part.
    Lost,
    /// The restarted server did not come up.
    Refused,
    /// A zxid was given out twice.
    ZxidReused,
    /// A reply or a stat under load was not what the sequence of writes implies.
    WrongReply,
    /// The server served on after a failure of its log.
    WentOn,
    /// The server ended although nothing told it to, or with an undocumented code.
    Ended,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Refused => "refused to start",
            Self::ZxidReused => "zxid reused",
            Self::WrongReply => "wrong reply",
            Self::WentOn => "went on after a failure",
            Self::Ended => "ended",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

impl Finding {
    fn new(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}
