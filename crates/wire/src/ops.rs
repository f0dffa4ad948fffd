//! The operations of the protocol, a row each: number, names, kind, since when, what we do.
//!
//! From a row come the [`OpCode`], its name in logs and metrics, whether it may change the tree,
//! and its line in `docs/COMPAT.md`. Bodies are decoded in [`crate::client::request`], whose
//! `match` the compiler keeps complete.

use std::fmt;

/// What an operation does to the replicated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads, or changes only what belongs to the connection.
    Read,
    /// Becomes a transaction.
    Write,
    /// Is made by servers; a client that sends it is refused.
    Internal,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $code:literal $variant:ident $name:literal $short:literal $kind:ident
        since $since:literal $support:literal;)*) => {
        /// The number of an operation (`ZooDefs.OpCode`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpCode { $($(#[$doc])* $variant,)* }

        impl OpCode {
            /// Every operation, in the order of the table.
            pub const ALL: &'static [OpCode] = &[$(OpCode::$variant,)*];

            /// The number on the wire and in the log.
            pub fn code(self) -> i32 {
                match self { $(OpCode::$variant => $code,)* }
            }

            /// The name that Apache's documentation uses.
            pub fn name(self) -> &'static str {
                match self { $(OpCode::$variant => $name,)* }
            }

            /// The name that Apache's four-letter words use; several operations may share one.
            pub fn short_name(self) -> &'static str {
                match self { $(OpCode::$variant => $short,)* }
            }

            /// What it does to the replicated state.
            pub fn kind(self) -> Kind {
                match self { $(OpCode::$variant => Kind::$kind,)* }
            }

            /// The first release of ZooKeeper that had it.
            pub fn since(self) -> &'static str {
                match self { $(OpCode::$variant => $since,)* }
            }

            /// What this server does with it, for `docs/COMPAT.md`.
            pub fn support(self) -> &'static str {
                match self { $(OpCode::$variant => $support,)* }
            }

            /// The row of a number.
            pub fn from_code(code: i32) -> Option<OpCode> {
                match code { $($code => Some(OpCode::$variant),)* _ => None }
            }
        }
    };
}

operations! {
    /// A watch event, from the server.
    0 Notification "notification" "NA" Internal since "3.0" "sent by the server; from a client refused";
    /// Creates a node.
    1 Create "create" "CREA" Write since "3.0" "yes";
    /// Deletes a node.
    2 Delete "delete" "DELE" Write since "3.0" "yes";
    /// Asks for a node's stat.
    3 Exists "exists" "EXIS" Read since "3.0" "yes";
    /// Asks for a node's data.
    4 GetData "getData" "GETD" Read since "3.0" "yes";
    /// Sets a node's data.
    5 SetData "setData" "SETD" Write since "3.0" "yes";
    /// Asks for a node's ACL.
    6 GetAcl "getACL" "GETA" Read since "3.0" "yes";
    /// Sets a node's ACL.
    7 SetAcl "setACL" "SETA" Write since "3.0" "yes";
    /// Asks for the names of a node's children.
    8 GetChildren "getChildren" "GETC" Read since "3.0" "yes";
    /// Waits until this server has caught up with the leader.
    9 Sync "sync" "SYNC" Read since "3.0" "yes";
    /// Keeps the session alive.
    11 Ping "ping" "PING" Read since "3.0" "yes";
    /// Asks for children and stat.
    12 GetChildren2 "getChildren2" "GETC" Read since "3.3" "yes";
    /// Checks a version; only within a multi.
    13 Check "check" "CHEC" Write since "3.4" "yes, within a multi; outside UNIMPLEMENTED as since 3.9.3";
    /// Several writes, all or none.
    14 Multi "multi" "MULT" Write since "3.4" "yes";
    /// Creates a node and returns its stat.
    15 Create2 "create2" "CREA" Write since "3.5" "yes";
    /// Changes the ensemble.
    16 Reconfig "reconfig" "RECO" Write since "3.5" "answered as Apache's standalone server: -123, or -6 with reconfigEnabled";
    /// Asks whether a watch is set.
    17 CheckWatches "checkWatches" "CHKW" Read since "3.6" "yes";
    /// Removes a watch.
    18 RemoveWatches "removeWatches" "REMW" Read since "3.5" "yes";
    /// Creates a container.
    19 CreateContainer "createContainer" "CREA" Write since "3.5" "yes";
    /// Deletes a container or TTL node; a server's own decision.
    20 DeleteContainer "deleteContainer" "DELE" Internal since "3.5" "from a client refused: Apache would delete without any check";
    /// Creates a node with a time to live.
    21 CreateTtl "createTTL" "CREA" Write since "3.5" "yes";
    /// Several reads.
    22 MultiRead "multiRead" "MLTR" Read since "3.6" "yes";
    /// Adds an identity to the connection.
    100 Auth "auth" "NA" Read since "3.0" "yes: digest, ip, and super by digest";
    /// Sets watches again after a reconnect.
    101 SetWatches "setWatches" "SETW" Read since "3.0" "yes";
    /// A round of SASL.
    102 Sasl "sasl" "NA" Read since "3.4" "answered as Apache without a provider: a null token";
    /// Asks for the session's own ephemeral nodes.
    103 GetEphemerals "getEphemerals" "GETE" Read since "3.6" "yes";
    /// Asks for the number of nodes below one.
    104 GetAllChildrenNumber "getAllChildrenNumber" "GETACN" Read since "3.6" "yes";
    /// As setWatches, with persistent ones.
    105 SetWatches2 "setWatches2" "STW2" Read since "3.6" "yes";
    /// Adds a persistent watch.
    106 AddWatch "addWatch" "ADDW" Read since "3.6" "yes";
    /// Asks for the connection's identities.
    107 WhoAmI "whoAmI" "HOMI" Read since "3.7" "yes";
    /// Begins a session; made from a connect request.
    -10 CreateSession "createSession" "SESS" Internal since "3.0" "from a client refused: Apache would execute it";
    /// Ends the session.
    -11 CloseSession "closeSession" "CLOS" Write since "3.0" "yes";
    /// A write that was refused; a transaction type only.
    -1 Error "error" "NA" Internal since "3.0" "a transaction type only";
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_rows_agree() {
        for op in OpCode::ALL {
            assert_eq!(OpCode::from_code(op.code()), Some(*op));
        }
        assert_eq!(OpCode::from_code(10), None);
    }
}
