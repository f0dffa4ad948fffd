//! With which code the server's process ends: Apache's, so that supervisors and scripts need no
//! change.

/// The reasons to end, with their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The server was asked to stop, and has.
    Finished = 0,
    /// An error that nothing else here names; a write or a sync of the log that failed.
    Unexpected = 1,
    /// The command line or the configuration is invalid.
    InvalidInvocation = 2,
    /// The data directory cannot be used.
    DataDirectory = 3,
    /// The HTTP admin server cannot be started.
    AdminServer = 4,
    /// A snapshot cannot be written.
    Snapshot = 10,
    /// A leader committed a transaction that is not the next one proposed.
    UnmatchedCommit = 12,
    /// A leader sent what this server cannot follow.
    QuorumPacket = 13,
    /// The port for elections cannot be opened.
    QuorumPort = 14,
}

impl ExitCode {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(reason: ExitCode) -> Self {
        Self::from(reason.code())
    }
}
