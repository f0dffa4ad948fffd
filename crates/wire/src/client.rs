//! The client protocol: frames, the connect exchange, requests, replies, watch events.

pub mod connect;
pub mod event;
pub mod frame;
pub mod reply;
pub mod request;

pub use connect::{ConnectRequest, ConnectResponse};
pub use event::{EventType, KeeperState, WatchEvent};
pub use reply::{ClientInfo, NameList, OpResult, Reply, ReplyBody};
pub use request::{AddWatchMode, Request, RequestHeader, WatcherType};

/// Transaction ids of requests (`xid`) that have a meaning of their own.
pub mod xid {
    /// A watch event.
    pub const NOTIFICATION: i32 = -1;
    /// A ping.
    pub const PING: i32 = -2;
    /// An auth packet.
    pub const AUTH: i32 = -4;
    /// Watches set again after a reconnect.
    pub const SET_WATCHES: i32 = -8;
}
