//! A client for ZooKeeper and Bellwether: one session, any number of tasks, watches as values.
//!
//! ```no_run
//! use bellwether_client::{Connector, Create, CreateMode};
//!
//! # async fn example() -> Result<(), bellwether_client::Error> {
//! let client = Connector::new().connect("one:2181,two:2181,three:2181/app").await?;
//! client.create(Create::new("/leader", CreateMode::Ephemeral).data(b"me")).await?;
//! let (data, stat, watcher) = client.get_data_and_watch("/leader").await?;
//! println!("{data:?} since {}", stat.czxid);
//! if let Ok(event) = watcher.changed().await {
//!     println!("{:?} at {}", event.event, event.path);
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! What it keeps true:
//! - A request that was sent is never sent again by itself. [`Error::fate`] says whether a failed
//!   write certainly did not happen or may have.
//! - A connection that is lost is made again, to the same session, with its identities and watches.
//!   What was not sent waits meanwhile.
//! - A watch fires as long as its value is held, and is removed when the value is dropped.
//! - Every queue is bounded: when the server is slow, the callers wait.
//!
//! Retrying, and the recipes (locks, elections, caches …), are left to the layers above.
#![warn(missing_docs)]

mod certainty;
mod chroot;
mod client;
mod connection;
mod connector;
mod error;
mod hosts;
mod limits;
mod metrics;
mod random;
pub mod recipes;
mod request;
mod retrying;
mod sasl;
mod session;
mod time;
mod transport;
mod watcher;
mod watches;

pub use bellwether_wire::client::{
    AddWatchMode, ClientInfo, EventType, KeeperState, OpResult, WatchEvent,
};
pub use bellwether_wire::{
    Acl, Data, ErrorCode, OpCode, PathError, Perms, SessionId, Stat, ZPath, Zxid,
};
pub use certainty::Certain;
pub use client::{Client, Created, Notifications, Peer, SessionEvents, SessionState};
pub use connector::Connector;
pub use error::{AuthFailure, Error, Fate, Sent, SessionEnd};
pub use hosts::{Host, Servers, ServersError};
pub use metrics::{Observation, RequestResult};
pub use request::{Create, CreateMode, Multi, MultiRead, ReadResult, Reconfiguration};
pub use retrying::Retrying;
pub use session::{Access, Resumed, SessionEvent};
pub use transport::{Connecting, Tcp, Transport};
#[cfg(feature = "tls")]
pub use transport::{
    Tls, TlsBuilder, TlsError, TlsInput, TlsOver, TlsProblem, TlsSource, TlsStream,
};
pub use watcher::{Change, OneshotWatcher, PersistentWatcher};
