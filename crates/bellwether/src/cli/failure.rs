//! What a command fails with: zkCli's words, what to do about it, and the exit code.
//!
//! The text is what zkCli prints, so that whoever reads its errors reads these. What to do is said
//! in a line of its own and only to a person.

use bellwether_client::{Error, ErrorCode, OpCode, PathError};

/// A command that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// The text to print.
    pub(super) text: String,
    /// What to do about it, for a person at a terminal.
    pub(super) hint: Option<&'static str>,
    /// What a program tells failures apart by.
    pub(super) kind: &'static str,
    /// The process ends with it.
    pub(super) exit_code: u8,
}

impl Failed {
    /// The line is wrong.
    pub(super) fn usage(text: impl Into<String>) -> Failed {
        Failed { text: text.into(), hint: None, kind: "USAGE", exit_code: 1 }
    }

    /// There is no such command.
    pub(super) fn unknown_command(text: String) -> Failed {
        Failed { text, hint: None, kind: "COMMAND_NOT_FOUND", exit_code: 127 }
    }

    /// It could not be done, for a reason of this side.
    pub(super) fn local(text: impl Into<String>) -> Failed {
        Failed { text: text.into(), hint: None, kind: "FAILED", exit_code: 1 }
    }

    /// There is no session.
    pub(super) fn not_connected() -> Failed {
        Failed {
            text: "Not connected".to_owned(),
            hint: Some("connect host:port begins a session"),
            kind: "NOT_CONNECTED",
            exit_code: 1,
        }
    }

    /// The server refused an operation on `path`, or would have.
    pub(super) fn code(path: &str, code: ErrorCode) -> Failed {
        let (text, hint) = refusal(path, code);
        Failed { text, hint, kind: code.name(), exit_code: 1 }
    }

    /// With what to do.
    pub(super) fn hint(mut self, hint: &'static str) -> Failed {
        self.hint = Some(hint);
        self
    }
}

/// An operation failed; the error names the path if it has one.
impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        match &error {
            Error::Refused { op, path, code } => {
                let failed = Failed::code(path, *code);
                match hint(*op, *code) {
                    Some(hint) => failed.hint(hint),
                    None => failed,
                }
            }
            Error::Path { path, problem } => Failed::usage(wrong_path(path, *problem)),
            Error::NoServer { .. } => Failed {
                kind: "NO_SERVER",
                ..Failed::local(error.to_string())
                    .hint("is a server running there? -server host:port names another one")
            },
            Error::SessionEnded(..) => Failed {
                kind: "SESSION_ENDED",
                ..Failed::local(error.to_string()).hint("connect begins a new session")
            },
            Error::ConnectionLost => {
                Failed { kind: "CONNECTIONLOSS", ..Failed::local(error.to_string()) }
            }
            Error::TooLarge { .. } => Failed::local(error.to_string())
                .hint("a -client-configuration file with jute.maxbuffer=BYTES raises the limit"),
            Error::Multi { .. } | Error::UnknownCode(_) => Failed::local(error.to_string()),
            Error::Argument(_) | Error::Servers(_) => Failed::usage(error.to_string()),
        }
    }
}

/// A path that cannot name a node, in the words of Apache's `PathUtils`.
pub(super) fn wrong_path(path: &str, problem: PathError) -> String {
    let caused = |reason: String| format!("Invalid path string \"{path}\" caused by {reason}");
    match problem {
        PathError::Empty => "Path length must be > 0".to_owned(),
        PathError::NotAbsolute => "Path must start with / character".to_owned(),
        PathError::TrailingSlash => "Path must not end with / character".to_owned(),
        PathError::EmptyComponent { at } => caused(format!("empty node name specified @{at}")),
        PathError::Relative { at } => caused(format!("relative paths not allowed @{at}")),
        PathError::Character { at } => caused(format!("invalid character @{at}")),
    }
}

/// The text of a code, and what to do about it.
fn refusal(path: &str, code: ErrorCode) -> (String, Option<&'static str>) {
    let (what, hint) = match code {
        ErrorCode::NoNode => ("Node does not exist: ", None),
        ErrorCode::NoChildrenForEphemerals => ("Ephemerals cannot have children: ", None),
        ErrorCode::NodeExists => ("Node already exists: ", None),
        ErrorCode::NotEmpty => {
            ("Node not empty: ", Some("delete its children first, or use deleteall"))
        }
        ErrorCode::NotReadOnly => (
            "Not a read-only call: ",
            Some("this server has lost its ensemble: connect to another one"),
        ),
        ErrorCode::InvalidAcl => {
            ("Acl is not valid : ", Some("it is empty, or an id does not fit its scheme"))
        }
        ErrorCode::NoAuth => (
            "Insufficient permission : ",
            Some("its ACL, or its parent's, does not allow it: getAcl shows it, addauth adds you"),
        ),
        ErrorCode::BadArguments => ("Arguments are not valid : ", None),
        ErrorCode::BadVersion => (
            "version No is not valid : ",
            Some("it was changed meanwhile: stat shows the dataVersion"),
        ),
        ErrorCode::QuotaExceeded => ("Quota has exceeded : ", Some("listquota shows which")),
        ErrorCode::ReconfigInProgress => {
            let text = "Another reconfiguration is in progress -- concurrent reconfigs not \
                        supported (yet)";
            return (text.to_owned(), None);
        }
        ErrorCode::NewConfigNoQuorum => {
            let text = "No quorum of new config is connected and up-to-date with the leader of \
                        last commmitted config - try invoking reconfiguration after new servers \
                        are connected and synced";
            return (text.to_owned(), None);
        }
        ErrorCode::Ok
        | ErrorCode::SystemError
        | ErrorCode::RuntimeInconsistency
        | ErrorCode::DataInconsistency
        | ErrorCode::ConnectionLoss
        | ErrorCode::MarshallingError
        | ErrorCode::Unimplemented
        | ErrorCode::OperationTimeout
        | ErrorCode::UnknownSession
        | ErrorCode::ApiError
        | ErrorCode::SessionExpired
        | ErrorCode::InvalidCallback
        | ErrorCode::AuthFailed
        | ErrorCode::SessionMoved
        | ErrorCode::EphemeralOnLocalSession
        | ErrorCode::NoWatcher
        | ErrorCode::RequestTimeout
        | ErrorCode::ReconfigDisabled
        | ErrorCode::SessionClosedRequireSaslAuth
        | ErrorCode::ThrottledOp => return (keeper_error(path, code), None),
    };
    (format!("{what}{path}"), hint)
}

/// A code as Apache's Java client says it.
pub(super) fn keeper_error(path: &str, code: ErrorCode) -> String {
    let what = match code {
        ErrorCode::Ok => "ok",
        ErrorCode::SystemError => "SystemError",
        ErrorCode::RuntimeInconsistency => "RuntimeInconsistency",
        ErrorCode::DataInconsistency => "DataInconsistency",
        ErrorCode::ConnectionLoss => "ConnectionLoss",
        ErrorCode::MarshallingError => "MarshallingError",
        ErrorCode::NewConfigNoQuorum => "NewConfigNoQuorum",
        ErrorCode::ReconfigInProgress => "ReconfigInProgress",
        ErrorCode::Unimplemented => "Unimplemented",
        ErrorCode::OperationTimeout => "OperationTimeout",
        ErrorCode::BadArguments => "BadArguments",
        ErrorCode::ApiError => "APIError",
        ErrorCode::NoNode => "NoNode",
        ErrorCode::NoAuth => "NoAuth",
        ErrorCode::BadVersion => "BadVersion",
        ErrorCode::NoChildrenForEphemerals => "NoChildrenForEphemerals",
        ErrorCode::NodeExists => "NodeExists",
        ErrorCode::InvalidAcl => "InvalidACL",
        ErrorCode::AuthFailed => "AuthFailed",
        ErrorCode::NotEmpty => "Directory not empty",
        ErrorCode::SessionExpired => "Session expired",
        ErrorCode::InvalidCallback => "Invalid callback",
        ErrorCode::SessionMoved => "Session moved",
        ErrorCode::NotReadOnly => "Not a read-only call",
        ErrorCode::EphemeralOnLocalSession => "Ephemeral node on local session",
        ErrorCode::NoWatcher => "No such watcher",
        ErrorCode::ReconfigDisabled => "Reconfig is disabled",
        ErrorCode::SessionClosedRequireSaslAuth => {
            "Session closed because client failed to authenticate"
        }
        ErrorCode::QuotaExceeded => "Quota has exceeded",
        ErrorCode::ThrottledOp => "Op throttled due to high load",
        ErrorCode::UnknownSession => "Unknown error UNKNOWNSESSION",
        ErrorCode::RequestTimeout => "Unknown error REQUESTTIMEOUT",
    };
    if path.is_empty() {
        format!("KeeperErrorCode = {what}")
    } else {
        format!("KeeperErrorCode = {what} for {path}")
    }
}

/// What to do where it depends on the operation.
fn hint(op: OpCode, code: ErrorCode) -> Option<&'static str> {
    match (op, code) {
        (OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl, ErrorCode::NoNode) => {
            Some("a node above it is missing: create that first")
        }
        (OpCode::CreateTtl, ErrorCode::Unimplemented) => {
            Some("TTLs need zookeeper.extendedTypesEnabled=true at the server")
        }
        (OpCode::Reconfig, ErrorCode::ReconfigDisabled) => {
            Some("reconfigEnabled=true in zoo.cfg enables it")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: Error, text: &str, kind: &str) {
        let failed = Failed::from(error);
        assert_eq!((failed.text.as_str(), failed.kind), (text, kind));
    }

    fn refused(op: OpCode, code: ErrorCode) -> Error {
        Error::Refused { op, path: "/a/b".into(), code }
    }

    #[test]
    fn refusals_have_zkclis_words() {
        check(refused(OpCode::GetData, ErrorCode::NoNode), "Node does not exist: /a/b", "NONODE");
        check(
            refused(OpCode::GetData, ErrorCode::NoWatcher),
            "KeeperErrorCode = No such watcher for /a/b",
            "NOWATCHER",
        );
        let failed = Failed::from(refused(OpCode::Create2, ErrorCode::NoNode));
        assert_eq!(failed.hint, Some("a node above it is missing: create that first"));
    }

    #[test]
    fn wrong_paths_have_apaches_words() {
        let wrong = |path: &str| {
            let problem = bellwether_client::ZPath::check(path).unwrap_err();
            wrong_path(path, problem)
        };
        assert_eq!(wrong(""), "Path length must be > 0");
        assert_eq!(wrong("a"), "Path must start with / character");
        assert_eq!(wrong("/a/"), "Path must not end with / character");
        let caused = |path, by| format!("Invalid path string \"{path}\" caused by {by}");
        assert_eq!(wrong("/a//b"), caused("/a//b", "empty node name specified @3"));
        assert_eq!(wrong("/a/../b"), caused("/a/../b", "relative paths not allowed @4"));
        assert_eq!(wrong("/a\u{1}"), caused("/a\u{1}", "invalid character @2"));
    }
}
