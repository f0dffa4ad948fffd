//! The configuration: what a zoo.cfg and `-D` properties ask for, as one typed value.
//!
//! What it keeps true: a `Config` exists only if every setting was read, none was refused and no
//! rule between settings is broken; whoever holds one checks nothing again. All errors are found in
//! one pass. Everything known about a setting stands in its row of `table`.
//!
//! What it leaves to others: files and sockets (`load` reads the zoo.cfg and `myid`, looks up the
//! client address's name, and nothing else), and acting on what is configured.
//!
//! Reading order: `table` (the rows), `properties` (the syntax), `sources` (who wins), `values`
//! (kinds), `build` (rules between settings), `render` (help and reference).

use crate::auth::AuthSettings;
use bellwether_node::ThrottleSettings;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

mod auth;
mod build;
mod embedded;
pub mod exit;
pub mod kinds;
mod member;
pub mod properties;
pub mod render;
pub mod report;
pub mod setting;
mod sources;
pub mod table;
mod throttle;
mod values;
mod words;

pub use crate::net::large::LargeRequestSettings;
pub use crate::net::tokens::{DropSettings, TokenSettings};
pub use member::Member;
pub use report::{ConfigError, Severity, Source, Warning};
pub use values::Effective;
pub use words::FourLetterWords;

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `None`: the embedded default.
    pub zoo_cfg: Option<PathBuf>,
    /// `-Dname=value`, in order.
    pub properties: Vec<(String, String)>,
}

impl Args {
    /// Adds what stands behind `-D` on the command line: `name=value`, or `name` alone for an empty
    /// value, as Java takes it.
    pub fn add_property(&mut self, text: &str) -> Result<(), ConfigError> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        if name.trim().is_empty() {
            let found = format!("-D{text}");
            return Err(ConfigError::Argument { found, expected: "-Dname=value" });
        }
        self.properties.push((name.trim().to_owned(), value.to_owned()));
        Ok(())
    }
}

/// A configuration that the server can start with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `None`: the embedded default.
    pub zoo_cfg: Option<PathBuf>,

    /// The snapshots lie in its subdirectory `version-2`.
    pub data_dir: PathBuf,
    /// The log lies in its subdirectory `version-2`.
    pub data_log_dir: PathBuf,
    /// Whether missing data directories are created.
    pub datadir_autocreate: bool,
    /// Whether an empty database is begun without a file `initialize`.
    pub db_autocreate: bool,

    pub client_address: ClientAddress,
    /// How many connections may wait to be accepted.
    pub backlog: u32,
    pub client_tcp_keep_alive: bool,

    pub tick_time_ms: u32,
    pub min_session_timeout_ms: u32,
    /// Never below the minimum.
    pub max_session_timeout_ms: u32,
    /// How long a connection may be open without asking for a session.
    pub sessionless_timeout_ms: u32,
    /// The highest byte of new session ids: of a member its id. Apache's standalone server takes 1,
    /// whatever `myid` says.
    pub session_server_id: u8,
    /// What makes this server a member of an ensemble; `None`: it runs alone.
    pub member: Option<Member>,

    /// Per client address.
    pub max_client_cnxns: Option<NonZeroU32>,
    /// From all addresses together.
    pub max_cnxns: Option<NonZeroU32>,
    pub global_outstanding_limit: u32,
    /// Who is held back or turned away beside that.
    pub throttles: Throttles,
    pub jute_max_buffer: u32,
    /// How much larger than `jute_max_buffer` a record of the log or a snapshot may be.
    pub jute_extra_size: u32,

    /// At least 2.
    pub snap_count: u32,
    pub snap_size_limit_bytes: Option<NonZeroU64>,
    pub txn_log_size_limit_bytes: Option<NonZeroU64>,
    pub pre_alloc_bytes: u64,
    /// Whether an answer waits for stable storage.
    pub force_sync: bool,
    pub fsync_warning_threshold_ms: u64,
    pub snapshot_compression: Compression,
    /// Whether a log without any snapshot is loaded.
    pub snapshot_trust_empty: bool,
    pub digest_enabled: bool,
    /// Whether closing a session writes the list of what it deletes.
    pub close_session_txn: bool,
    pub serialize_last_processed_zxid: bool,
    /// `None`: never.
    pub autopurge_interval_hours: Option<NonZeroU32>,
    /// At least 3.
    pub autopurge_snap_retain_count: u32,

    /// Whether nodes with a time to live can be created.
    pub extended_types: bool,
    /// Whether version 3.5.3's time-to-live nodes are understood.
    pub emulate_353_ttl: bool,
    pub container_check_interval_ms: u32,
    pub container_max_per_minute: NonZeroU32,
    /// `None`: a container that never had a child stays.
    pub container_max_never_used_ms: Option<NonZeroU64>,

    /// The audit log's file, if there is to be one.
    pub audit: Option<PathBuf>,
    /// Whether a write beyond a hard quota is refused.
    pub enforce_quota: bool,

    /// Whether access is not checked at all.
    pub skip_acl: bool,
    /// How clients prove who they are, and who must.
    pub auth: AuthSettings,
    pub four_letter_words: FourLetterWords,
    /// What `reconfig` is answered with: UNIMPLEMENTED if true, else RECONFIGDISABLED.
    pub reconfig_enabled: bool,

    /// Every honoured setting and whatever else was given, in the table's order.
    pub effective: Vec<Effective>,
    as_written: AsWritten,
}

/// How clients are held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttles {
    /// `None`: requests are not held back.
    pub requests: Option<ThrottleSettings>,
    /// `None`: every connection is let in.
    pub connections: Option<TokenSettings>,
    /// `None`: large requests are not told apart.
    pub large_requests: Option<LargeRequestSettings>,
}

/// Numbers that `conf` shows as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AsWritten {
    max_client_cnxns: i64,
    backlog: i64,
}

/// Where clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// All addresses of the machine: one socket for IPv6 that takes IPv4 too, or IPv4 alone where
    /// there is no IPv6. Port 0: the system chooses.
    Any {
        port: u16,
    },
    One(SocketAddr),
}

impl ClientAddress {
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Any { port } => port,
            Self::One(address) => address.port(),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any { port } => write!(f, "all addresses, port {port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

/// How snapshots are compressed when they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
}

/// Everything that checking found.
#[derive(Debug)]
pub struct Checked {
    /// `None` where there is an error.
    pub config: Option<Config>,
    /// In the order of the file.
    pub errors: Vec<ConfigError>,
    /// There may be some beside errors: a misspelt key often explains what is missing.
    pub warnings: Vec<Warning>,
}

/// Reads and checks everything.
#[must_use]
pub fn check(args: &Args) -> Checked {
    let mut findings = report::Findings::default();
    let given = sources::gather(args, &mut findings);
    // Without the file every other finding would be about what stands in it.
    let unreadable = |error: &ConfigError| matches!(error, ConfigError::Unreadable { .. });
    if findings.errors.iter().any(unreadable) {
        return findings.conclude(None);
    }
    let values = values::Values::read(given, &mut findings);
    let config = build::build(args, &values, &mut findings);
    findings.conclude(config)
}

/// Either a configuration with remarks, or every error there is.
pub fn load(args: &Args) -> Result<(Config, Vec<Warning>), Vec<ConfigError>> {
    let Checked { config, errors, warnings } = check(args);
    config.map(|config| (config, warnings)).ok_or(errors)
}

impl Config {
    /// The configuration of a server that is started without a zoo.cfg: clients connect to
    /// 127.0.0.1:2181, and data lies under the user's data directory.
    pub fn embedded_default() -> Result<Self, Vec<ConfigError>> {
        load(&Args::default()).map(|(config, _)| config)
    }
}

#[cfg(test)]
mod tests;
