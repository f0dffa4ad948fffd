//! The error codes of the protocol, a row each. No others may be sent: Java clients throw on them.

use std::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $code:literal $variant:ident $name:literal $sent:literal;)*) => {
        /// An error code of the protocol (`KeeperException.Code`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// The name that Apache's documentation uses.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// When this server sends it, for `docs/COMPAT.md`.
            pub fn sent(self) -> &'static str {
                match self { $(ErrorCode::$variant => $sent,)* }
            }

            /// The row of a number.
            pub fn from_code(code: i32) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$variant),)* _ => None }
            }
        }
    };
}

errors! {
    /// No error.
    0 Ok "OK" "yes";
    /// The server failed in a way that it has no other code for.
    -1 SystemError "SYSTEMERROR" "never: a failure of ours is a bug, which ends the process";
    /// An operation of a multi was not tried, because another one failed.
    -2 RuntimeInconsistency "RUNTIMEINCONSISTENCY" "yes, within a multi";
    /// Data does not fit together.
    -3 DataInconsistency "DATAINCONSISTENCY" "never";
    /// The connection was lost; only clients say this.
    -4 ConnectionLoss "CONNECTIONLOSS" "never: clients say this";
    /// The body of a request could not be decoded.
    -5 MarshallingError "MARSHALLINGERROR" "yes";
    /// The server does not know or does not offer the operation.
    -6 Unimplemented "UNIMPLEMENTED" "yes";
    /// The operation took too long; only clients say this.
    -7 OperationTimeout "OPERATIONTIMEOUT" "never: clients say this";
    /// A path, flag or other argument is not possible.
    -8 BadArguments "BADARGUMENTS" "yes";
    /// The session is not known.
    -12 UnknownSession "UNKNOWNSESSION" "never, as in Apache";
    /// A new configuration has no quorum of connected, synced members.
    -13 NewConfigNoQuorum "NEWCONFIGNOQUORUM" "not before ensembles";
    /// Another reconfiguration is under way.
    -14 ReconfigInProgress "RECONFIGINPROGRESS" "not before ensembles";
    /// The boundary of what an operation reports.
    -100 ApiError "APIERROR" "never, as in Apache";
    /// The node does not exist.
    -101 NoNode "NONODE" "yes";
    /// The ACL does not allow it.
    -102 NoAuth "NOAUTH" "yes";
    /// The version is another one.
    -103 BadVersion "BADVERSION" "yes";
    /// An ephemeral node cannot have children.
    -108 NoChildrenForEphemerals "NOCHILDRENFOREPHEMERALS" "yes";
    /// The node exists already.
    -110 NodeExists "NODEEXISTS" "yes";
    /// The node has children.
    -111 NotEmpty "NOTEMPTY" "yes";
    /// The session has expired.
    -112 SessionExpired "SESSIONEXPIRED" "yes";
    /// A callback cannot be called; only clients say this.
    -113 InvalidCallback "INVALIDCALLBACK" "never: clients say this";
    /// The ACL of a create or setACL is not possible.
    -114 InvalidAcl "INVALIDACL" "yes";
    /// Authentication failed; the connection is closed next.
    -115 AuthFailed "AUTHFAILED" "yes";
    /// The session lives at another server; never sent, the connection is closed instead.
    -118 SessionMoved "SESSIONMOVED" "never: the connection is closed, as in Apache";
    /// A write was sent to a server that only reads.
    -119 NotReadOnly "NOTREADONLY" "not before read-only mode";
    /// A local session cannot have ephemeral nodes.
    -120 EphemeralOnLocalSession "EPHEMERALONLOCALSESSION" "not before local sessions";
    /// There is no such watch.
    -121 NoWatcher "NOWATCHER" "yes";
    /// The request took too long; only clients say this.
    -122 RequestTimeout "REQUESTTIMEOUT" "never: clients say this";
    /// Reconfiguration is switched off.
    -123 ReconfigDisabled "RECONFIGDISABLED" "yes";
    /// The session must authenticate first; the connection is closed next.
    -124 SessionClosedRequireSaslAuth "SESSIONCLOSEDREQUIRESASLAUTH" "yes, with `enforce.auth.enabled`";
    /// A hard quota would be exceeded.
    -125 QuotaExceeded "QUOTAEXCEEDED" "yes";
    /// The server throttled the operation.
    -127 ThrottledOp "THROTTLEDOP" "yes, with `throttled_op_wait_time`";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_rows_agree() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
        }
        assert_eq!(ErrorCode::from_code(-9), None);
        assert_eq!(ErrorCode::ALL.len(), 32);
    }
}
