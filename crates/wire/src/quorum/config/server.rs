//! One server of an ensemble: the value of `server.N`.
//!
//! What it keeps true: a host is kept as Java prints it, so that both write the same line; an
//! address without a host or a port does not exist.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// Whether a server has a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LearnerType {
    /// It has.
    Participant,
    /// It only listens.
    Observer,
}

impl fmt::Display for LearnerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LearnerType::Participant => "participant",
            LearnerType::Observer => "observer",
        })
    }
}

/// Where the other servers reach one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// A name or an address; an IPv6 address has no brackets here.
    pub host: Box<str>,
    /// The port that a leader listens on.
    pub quorum_port: u16,
    /// The port for elections.
    pub election_port: u16,
}

/// Where clients reach a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress {
    /// A name or an address; the wildcard where the line has only a port.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// A server of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Where it is. Invariant: at least one, in the order of their hosts. More than one are for
    /// ensembles with `multiAddress.enabled`, which is for the settings to hold.
    pub addresses: Vec<PeerAddress>,
    /// Whether it has a vote.
    pub role: LearnerType,
    /// Where it serves clients, if its line says so.
    pub client: Option<ClientAddress>,
}

/// What can be wrong with a server's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecProblem {
    /// Not the form of a line.
    Form,
    /// A third part, which is of 3.10.
    SecureClientPort,
    /// An IPv6 address without its second bracket, or with something else than a port behind.
    Brackets(Box<str>),
    /// No name of a host.
    Host(Box<str>),
    /// Not a port.
    Port(Box<str>),
    /// The two ports of an address are the same.
    SamePort(u16),
    /// Not a role.
    Role(Box<str>),
    /// The addresses name different roles.
    TwoRoles,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecProblem::Form => write!(
                f,
                "expected host:quorumPort:electionPort[:participant|:observer][;[host:]clientPort], \
                 with an IPv6 address in brackets"
            ),
            SpecProblem::SecureClientPort => {
                write!(f, "a secure client port in this line is for ZooKeeper 3.10; remove it")
            }
            SpecProblem::Brackets(part) => {
                write!(f, "{part:?} is no IPv6 address in brackets with ports behind it")
            }
            SpecProblem::Host(host) => {
                write!(f, "{host:?} is no host: expected a name or an address, without spaces")
            }
            SpecProblem::Port(port) => write!(f, "{port:?} is no port: expected 0 to 65535"),
            SpecProblem::SamePort(port) => {
                write!(f, "{port} is the port of the quorum and of elections; give each its own")
            }
            SpecProblem::Role(role) => {
                write!(f, "{role:?} is no role: expected participant or observer")
            }
            SpecProblem::TwoRoles => {
                write!(f, "its addresses have different roles; a server has one")
            }
        }
    }
}

impl std::error::Error for SpecProblem {}

impl FromStr for ServerSpec {
    type Err = SpecProblem;

    fn from_str(line: &str) -> Result<ServerSpec, SpecProblem> {
        let line = line.trim().trim_end_matches(';');
        let (servers, client) = match line.split_once(';') {
            None => (line, None),
            Some((_, client)) if client.contains(';') => return Err(SpecProblem::SecureClientPort),
            Some((servers, client)) => (servers, Some(client.parse()?)),
        };
        let mut addresses = Vec::new();
        let mut role = None;
        for server in servers.trim_end_matches('|').split('|') {
            let (address, its_role) = parse_server(server)?;
            if its_role.is_some_and(|its| role.is_some_and(|role| role != its)) {
                return Err(SpecProblem::TwoRoles);
            }
            role = role.or(its_role);
            addresses.push(address);
        }
        addresses.sort();
        addresses.dedup();
        Ok(ServerSpec { addresses, role: role.unwrap_or(LearnerType::Participant), client })
    }
}

/// `host:port:port[:role]`.
fn parse_server(server: &str) -> Result<(PeerAddress, Option<LearnerType>), SpecProblem> {
    let brackets = || SpecProblem::Brackets(server.into());
    let (host, rest) = split_address(server).ok_or_else(brackets)?;
    let rest = rest.unwrap_or_default().trim_end_matches(':');
    let parts: Vec<&str> = rest.split(':').collect();
    let (quorum_port, election_port, role) = match parts.as_slice() {
        [quorum, election] => (quorum, election, None),
        [quorum, election, role] => (quorum, election, Some(parse_role(role)?)),
        _ => return Err(SpecProblem::Form),
    };
    let (quorum_port, election_port) = (parse_port(quorum_port)?, parse_port(election_port)?);
    if quorum_port == election_port {
        return Err(SpecProblem::SamePort(quorum_port));
    }
    Ok((PeerAddress { host: parse_host(host)?, quorum_port, election_port }, role))
}

fn parse_role(role: &str) -> Result<LearnerType, SpecProblem> {
    match role.trim().to_lowercase().as_str() {
        "participant" => Ok(LearnerType::Participant),
        "observer" => Ok(LearnerType::Observer),
        _ => Err(SpecProblem::Role(role.into())),
    }
}

fn parse_port(port: &str) -> Result<u16, SpecProblem> {
    port.parse().ok().ok_or_else(|| SpecProblem::Port(port.into()))
}

impl FromStr for ClientAddress {
    type Err = SpecProblem;

    fn from_str(text: &str) -> Result<ClientAddress, SpecProblem> {
        let brackets = || SpecProblem::Brackets(text.into());
        let (host, port) = match split_address(text).ok_or_else(brackets)? {
            (host, Some(port)) => (parse_host(host)?, port),
            // An address in brackets needs a port behind it.
            (_, None) if text.starts_with('[') => return Err(brackets()),
            (port, None) => ("0.0.0.0".into(), port),
        };
        Ok(ClientAddress { host, port: parse_port(port)? })
    }
}

/// A host and what is behind its colon, if there is one. `None` where brackets do not match.
pub(crate) fn split_address(text: &str) -> Option<(&str, Option<&str>)> {
    match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            if rest.is_empty() {
                Some((host, None))
            } else {
                Some((host, Some(rest.strip_prefix(':')?)))
            }
        }
        None => Some(match text.split_once(':') {
            Some((host, rest)) => (host, Some(rest)),
            None => (text, None),
        }),
    }
}

/// The wildcard, of either family: an address to listen on, and none to be reached at.
pub(crate) fn is_wildcard(host: &str) -> bool {
    host.parse() == Ok(Ipv4Addr::UNSPECIFIED) || host.parse() == Ok(Ipv6Addr::UNSPECIFIED)
}

/// What would not be read again as it is printed is no host, and would not be found either.
fn parse_host(host: &str) -> Result<Box<str>, SpecProblem> {
    let foreign = |c: char| c.is_whitespace() || c.is_control() || "[]\\".contains(c);
    if host.contains(foreign) {
        Err(SpecProblem::Host(host.into()))
    } else {
        Ok(as_java_prints(host))
    }
}

/// Java prints a name as it stands, an IPv6 address with all its zeros, and one that stands for an
/// IPv4 address as that. It takes no host for this host.
fn as_java_prints(host: &str) -> Box<str> {
    let (address, zone) = host.split_at(host.find('%').unwrap_or(host.len()));
    match address.parse::<Ipv6Addr>() {
        _ if host.is_empty() => "localhost".into(),
        Ok(address) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.to_string().into(),
            None => {
                let groups = address.segments().map(|group| format!("{group:x}"));
                (groups.join(":") + zone).into()
            }
        },
        Err(_) => host.into(),
    }
}

struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

impl PeerAddress {
    /// `host:port` of elections, as the header of an election connection names it.
    pub fn election(&self) -> String {
        format!("{}:{}", Host(&self.host), self.election_port)
    }

    /// `host:port` of the quorum.
    pub fn quorum(&self) -> String {
        format!("{}:{}", Host(&self.host), self.quorum_port)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.quorum(), self.election_port)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Host(&self.host), self.port)
    }
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses.iter().enumerate() {
            let between = if at == 0 { "" } else { "|" };
            write!(f, "{between}{address}")?;
        }
        write!(f, ":{}", self.role)?;
        match &self.client {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}
