//! Watch events: what the server tells a client unasked.

use crate::client::xid;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::zxid::Zxid;

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self { $($name::$variant => $code,)* }
            }

            /// The variant of a number.
            pub fn from_code(code: i32) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// What happened.
    EventType {
        /// Only the state of the connection changed.
        None = -1,
        /// The node was created.
        NodeCreated = 1,
        /// The node was deleted.
        NodeDeleted = 2,
        /// The node's data was set.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A data watch was removed on request.
        DataWatchRemoved = 5,
        /// A child watch was removed on request.
        ChildWatchRemoved = 6,
        /// A persistent watch was removed on request.
        PersistentWatchRemoved = 7,
    }
}

numbered! {
    /// The state of the client's connection.
    KeeperState {
        /// Not connected.
        Disconnected = 0,
        /// Connected to a server that reads and writes.
        SyncConnected = 3,
        /// Authentication failed.
        AuthFailed = 4,
        /// Connected to a server that only reads.
        ConnectedReadOnly = 5,
        /// Authenticated by SASL.
        SaslAuthenticated = 6,
        /// The session is gone.
        Expired = -112,
        /// The client was closed.
        Closed = 7,
    }
}

/// A watch event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The transaction that caused it; 3.8 and earlier send -1.
    pub zxid: Zxid,
    /// What happened.
    pub event: EventType,
    /// The state of the connection.
    pub state: KeeperState,
    /// Where it happened.
    pub path: Box<str>,
}

impl WatchEvent {
    /// Appends header and body.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(xid::NOTIFICATION);
        out.put_long(self.zxid.0);
        out.put_int(0);
        out.put_int(self.event.code());
        out.put_int(self.state.code());
        out.put_text(&self.path);
    }

    /// Reads the body that follows a header with [`xid::NOTIFICATION`] and `zxid`.
    pub fn decode_body(zxid: Zxid, r: &mut Reader<'_>) -> Decoded<WatchEvent> {
        let unknown = |what, offset, code: i32| DecodeError {
            what,
            offset,
            problem: Problem::Unknown(i64::from(code)),
        };
        let offset = r.offset();
        let code = r.int("event.type")?;
        let event = EventType::from_code(code).ok_or(unknown("event.type", offset, code))?;
        let offset = r.offset();
        let code = r.int("event.state")?;
        let state = KeeperState::from_code(code).ok_or(unknown("event.state", offset, code))?;
        Ok(WatchEvent { zxid, event, state, path: r.text("event.path")? })
    }
}
