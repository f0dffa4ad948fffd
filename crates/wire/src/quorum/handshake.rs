//! The header with which a server opens a connection to another's election port: who it is, and
//! where it can be reached.
//!
//! It leaves the authentication that may follow to the shell, and which side keeps the connection
//! to `link`.

use super::ServerId;
use super::config::{is_wildcard, split_address};
use super::scan::{int_at, long_at};
use crate::jute::Put;
use crate::limits::MAX_INITIAL_ADDRESS_BYTES;
use std::fmt;

/// The form of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InitialProtocol {
    /// Before 3.5: nothing but the id.
    Old,
    /// Since 3.5: with an address.
    V1,
    /// Since 3.6, where `multiAddress.enabled` is set: with several addresses.
    V2,
}

const V1: i64 = -65536;
const V2: i64 = -65535;

/// The header of an election connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    /// Its form.
    pub protocol: InitialProtocol,
    /// Who opens the connection.
    pub sid: ServerId,
    /// Its own election addresses, each `host:port` with an IPv6 address in brackets. With
    /// [`InitialProtocol::Old`] there are none.
    pub addresses: Vec<Box<str>>,
}

/// Why a header cannot be read. Nothing can follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialError {
    /// A form that nobody knows.
    Protocol(i64),
    /// The addresses are too long, or there are none.
    Length { sid: ServerId, length: i32 },
    /// One of them is no `host:port`.
    Address { sid: ServerId, address: Box<str> },
}

impl fmt::Display for InitialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitialError::Protocol(version) => write!(
                f,
                "election protocol {version} is unknown: expected {V1} or {V2}, or the id of a \
                 server before 3.5"
            ),
            InitialError::Length { sid, length } => write!(
                f,
                "server {sid} announces its address with {length} bytes: 1 to \
                 {MAX_INITIAL_ADDRESS_BYTES} are possible"
            ),
            InitialError::Address { sid, address } => {
                write!(f, "server {sid} has no address {address:?}: expected host:port")
            }
        }
    }
}

impl std::error::Error for InitialError {}

impl Initial {
    /// Appends the header. It has to be sent in one piece: Apache's server reads the addresses with
    /// a single call and gives up if it gets less.
    pub fn encode(&self, out: &mut impl Put) {
        match self.protocol {
            InitialProtocol::Old => return out.put_long(self.sid.0),
            InitialProtocol::V1 => out.put_long(V1),
            InitialProtocol::V2 => out.put_long(V2),
        }
        out.put_long(self.sid.0);
        out.put_text(&self.addresses.join("|"));
    }

    /// Reads the header at the start of `bytes` and says how long it is; `None` while it is not all
    /// there.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Initial, usize)>, InitialError> {
        const ADDRESSES_AT: usize = 20;
        let Some(first) = long_at(bytes, 0) else { return Ok(None) };
        let protocol = match first {
            V1 => InitialProtocol::V1,
            V2 => InitialProtocol::V2,
            sid if sid >= 0 => {
                let (protocol, sid) = (InitialProtocol::Old, ServerId(sid));
                return Ok(Some((Initial { protocol, sid, addresses: Vec::new() }, 8)));
            }
            other => return Err(InitialError::Protocol(other)),
        };
        let Some(sid) = long_at(bytes, 8).map(ServerId) else { return Ok(None) };
        let Some(length) = int_at(bytes, 16) else { return Ok(None) };
        let possible = usize::try_from(length).ok();
        let possible = possible.filter(|len| (1..=MAX_INITIAL_ADDRESS_BYTES).contains(len));
        let end = ADDRESSES_AT + possible.ok_or(InitialError::Length { sid, length })?;
        let Some(text) = bytes.get(ADDRESSES_AT..end) else { return Ok(None) };
        let addresses = addresses(&String::from_utf8_lossy(text));
        if let Some(wrong) = addresses.iter().find(|address| host_and_port(address).is_none()) {
            return Err(InitialError::Address { sid, address: wrong.clone() });
        }
        Ok(Some((Initial { protocol, sid, addresses }, end)))
    }

    /// Where the sender can be reached: its addresses but for wildcards, which a server has that
    /// listens everywhere. If there are none, the configured addresses are to be tried.
    pub fn reachable(&self) -> impl Iterator<Item = (&str, u16)> {
        let addresses = self.addresses.iter().filter_map(|address| host_and_port(address));
        addresses.filter(|(host, _)| !is_wildcard(host))
    }
}

/// Java's split, which drops empty parts at the end.
fn addresses(text: &str) -> Vec<Box<str>> {
    let text = text.trim_end_matches('|');
    let parts = text.split('|').filter(|_| !text.is_empty());
    parts.map(Box::from).collect()
}

fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, rest) = split_address(address)?;
    Some((host, rest?.parse().ok()?))
}
