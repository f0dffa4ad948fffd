//! Fuzz targets: functions that take any bytes and hold what must hold for any bytes.
//!
//! What it keeps true: whatever comes from a socket or a file is decoded by a target here; a target
//! is a function of its input alone, so that one line of text repeats a failure; the corpus is
//! small, readable, and replayed by `cargo test`.
//!
//! What it leaves to others: arbitrary *values* (property tests beside each codec), faults of disks
//! and networks (`sim`, `faults`).
//!
//! Reading order: [`TARGETS`], a target's file, `mutate` (how inputs are made), `run` (the loop).

mod client;
mod config;
mod disk;
mod memory_disk;
mod mutate;
mod node;
mod quorum;
mod run;
mod socket;
mod wire;

pub use run::{Failure, Finished, run};

/// What a target says of an input. Inputs that are accepted are the better seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was decoded.
    Accepted,
    /// It was refused, as it may be.
    Refused,
}

impl Verdict {
    fn accepted_if(accepted: bool) -> Verdict {
        if accepted { Verdict::Accepted } else { Verdict::Refused }
    }
}

/// A function that panics if an input breaks a promise.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What it takes and what it holds.
    pub doc: &'static str,
    /// The function.
    pub check: fn(&[u8]) -> Verdict,
    corpus: &'static str,
}

impl Target {
    /// The committed inputs.
    #[must_use]
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        let lines = self.corpus.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(from_hex).collect()
    }
}

macro_rules! targets {
    ($($name:literal $check:path, $doc:literal;)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target {
            name: $name,
            doc: $doc,
            check: $check,
            corpus: include_str!(concat!("../corpus/", $name, ".hex")),
        },)*];
    };
}

targets! {
    "connect" wire::connect, "a connect request, and the same bytes as a response";
    "request" wire::request, "a frame of a client after the first, header and body";
    "reply" wire::reply, "the operation's number, then a reply to it, or an event";
    "txn" wire::txn, "the payload of a record of the log";
    "node" wire::snapshot_node, "a node of a snapshot, from its path to its stat";
    "frames" client::frames, "a client's byte stream, cut into frames";
    "socket" socket::socket, "cuts, then the stream of one connection, for a server without sockets";
    "packets" quorum::packets, "a direction, then the stream of a quorum connection";
    "stream" quorum::snapshot_stream, "the snapshot behind a SNAP packet";
    "election" quorum::election, "the stream of an election connection, header and messages";
    "ensemble" quorum::ensemble, "the text of an ensemble";
    "replica" node::replica, "frames of three connections, for a node that performs them";
    "properties" config::properties, "a zoo.cfg";
    "log" disk::log, "a kind, then a log";
    "snapshot" disk::snapshot, "a kind, then a snapshot";
    "directory" disk::directory, "flags, then the files of a data directory, recovered twice or cut";
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// An input as a line of a corpus.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line of a corpus as an input.
///
/// # Panics
/// If it is not hexadecimal: a corpus is part of the program.
#[must_use]
pub fn from_hex(line: &str) -> Vec<u8> {
    let pair = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<_> = line.as_bytes().chunks(2).map(pair).collect();
    bytes.expect("a line of a corpus is hexadecimal")
}
