//! Which servers there are and which one is next: the connect string and the order of attempts.
//!
//! `host:port,host:port/chroot` as every ZooKeeper client takes it; the port is 2181 if left out,
//! an IPv6 address with a port stands in brackets. The list is shuffled once, so that the clients
//! of an ensemble spread over it, and is then gone through in turn. Names are not resolved here but
//! at each attempt, so that a server that moved is found.

use crate::limits::{PAUSE_MS_FIRST, PAUSE_MS_MAX};
use crate::random::Random;
use crate::time::Millis;
use bellwether_wire::{PathError, ZPath};
use std::fmt;

const DEFAULT_PORT: u16 = 2181;

/// A server's name and port, not resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// A name or an address, IPv6 without brackets.
    pub name: Box<str>,
    /// The client port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// A connect string, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// At least one.
    pub(crate) hosts: Vec<Host>,
    /// What every path of the client is below; `None` for the root.
    pub(crate) chroot: Option<ZPath>,
}

/// Why a connect string cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServersError {
    /// A host between the commas is empty, or there is none.
    EmptyHost,
    /// What follows the colon is no port.
    Port(Box<str>),
    /// A bracket is not closed, or something other than a port follows it.
    Bracket(Box<str>),
    /// What follows the first slash is no path.
    Chroot(PathError),
}

impl fmt::Display for ServersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServersError::EmptyHost => write!(f, "a host is empty")?,
            ServersError::Port(port) => write!(f, "{port:?} is not a port")?,
            ServersError::Bracket(host) => write!(f, "the brackets of {host:?} do not fit")?,
            ServersError::Chroot(error) => write!(f, "the chroot is not a path: {error}")?,
        }
        write!(f, "; expected host:port[,host:port...][/chroot]")
    }
}

impl std::error::Error for ServersError {}

impl Servers {
    /// Takes a connect string apart.
    pub fn parse(text: &str) -> Result<Servers, ServersError> {
        let (hosts, chroot) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, "/"),
        };
        let chroot = match chroot {
            "/" => None,
            path => Some(ZPath::parse(path).map_err(ServersError::Chroot)?),
        };
        let hosts = hosts.split(',').map(|host| parse_host(host.trim()));
        Ok(Servers { hosts: hosts.collect::<Result<_, _>>()?, chroot })
    }

    /// What every path of a client is below; `None` for the root.
    pub fn chroot(&self) -> Option<&ZPath> {
        self.chroot.as_ref()
    }

    /// The hosts, in the order of the connect string.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if place == 0 { "" } else { "," })?;
        }
        self.chroot.as_ref().map_or(Ok(()), |chroot| write!(f, "{chroot}"))
    }
}

fn parse_host(text: &str) -> Result<Host, ServersError> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let wrong = || ServersError::Bracket(text.into());
        let (name, after) = rest.split_once(']').ok_or_else(wrong)?;
        match after.strip_prefix(':') {
            Some(port) => (name, port),
            None if after.is_empty() => (name, ""),
            None => return Err(wrong()),
        }
    } else {
        text.rsplit_once(':').unwrap_or((text, ""))
    };
    if name.is_empty() {
        return Err(ServersError::EmptyHost);
    }
    let port = match port {
        "" => DEFAULT_PORT,
        port => match port.parse() {
            Ok(number) if number != 0 => number,
            Ok(_) | Err(_) => return Err(ServersError::Port(port.into())),
        },
    };
    Ok(Host { name: name.into(), port })
}

/// The shuffled hosts and whose turn it is.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Invariant: not empty.
    hosts: Vec<Host>,
    next: usize,
    /// Attempts since the last connection that led to a session.
    attempts: usize,
    random: Random,
}

impl Turn {
    pub(crate) fn new(mut hosts: Vec<Host>, seed: u64) -> Turn {
        assert!(!hosts.is_empty(), "a connect string has at least one host");
        let mut random = Random::new(seed);
        random.shuffle(&mut hosts);
        Turn { hosts, next: 0, attempts: 0, random }
    }

    pub(crate) fn count(&self) -> usize {
        self.hosts.len()
    }

    /// The host to try, after which it is the next one's turn.
    pub(crate) fn take(&mut self) -> Host {
        let host = self.hosts.get(self.next).expect("next is below the length").clone();
        self.next = (self.next + 1) % self.hosts.len();
        self.attempts = self.attempts.saturating_add(1);
        host
    }

    /// Another host than this one, each in turn; `None` if there is none.
    pub(crate) fn another(&mut self, than: &Host) -> Option<Host> {
        for _ in 0..self.hosts.len() {
            let host = self.hosts.get(self.next)?.clone();
            self.next = (self.next + 1) % self.hosts.len();
            if host != *than {
                return Some(host);
            }
        }
        None
    }

    /// A session was established: pauses begin anew.
    pub(crate) fn succeeded(&mut self) {
        self.attempts = 0;
    }

    /// How long to wait before the next attempt.
    ///
    /// Within the first round only long enough that the clients of a server that died do not all
    /// arrive at the next one in the same instant; from then on at most twice as long as in the
    /// round before. The jitter covers half of the span.
    pub(crate) fn pause(&mut self) -> Millis {
        let rounds = self.attempts / self.hosts.len();
        let doublings = u32::try_from(rounds).unwrap_or(u32::MAX).min(16);
        let span = (PAUSE_MS_FIRST << doublings).min(PAUSE_MS_MAX);
        if rounds == 0 {
            return Millis(self.random.below(PAUSE_MS_FIRST));
        }
        Millis(span / 2 + self.random.below(span / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match Servers::parse(text) {
            Ok(servers) => servers.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got.split(';').next(), Some(expected));
    }

    #[test]
    fn a_connect_string_is_taken_apart() {
        check("a", "a:2181");
        check("a:1, b:2 ,c", "a:1,b:2,c:2181");
        check("a:1/x/y", "a:1/x/y");
        check("a:1/", "a:1");
        check("a:", "a:2181");
        check("[::1]:7,[fe80::1]", "[::1]:7,[fe80::1]:2181");
    }

    #[test]
    fn a_wrong_connect_string_says_what_is_wrong() {
        check("", "a host is empty");
        check("a,,b", "a host is empty");
        check("a:b", "\"b\" is not a port");
        check("a:0", "\"0\" is not a port");
        check("a:70000", "\"70000\" is not a port");
        check("[::1", "the brackets of \"[::1\" do not fit");
        check("[::1]7", "the brackets of \"[::1]7\" do not fit");
        check("a/x/", "the chroot is not a path: the path must not end with /");
    }

    #[test]
    fn a_seed_fixes_the_order_and_every_host_has_its_turn() {
        let hosts = Servers::parse("a,b,c,d").unwrap().hosts;
        let order = |seed| {
            let mut turn = Turn::new(hosts.clone(), seed);
            (0..4).map(|_| turn.take()).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert!((0..20).any(|seed| order(seed) != order(1)), "some seed gives another order");
        for seed in 0..20 {
            let mut sorted = order(seed);
            sorted.sort();
            assert_eq!(sorted, hosts);
        }
    }

    #[test]
    fn pauses_grow_with_the_rounds_up_to_a_limit_and_begin_anew() {
        let mut turn = Turn::new(Servers::parse("a,b").unwrap().hosts, 7);
        assert!(turn.pause().0 < PAUSE_MS_FIRST);
        for _ in 0..2 {
            turn.take();
        }
        let second = turn.pause().0;
        assert!((PAUSE_MS_FIRST..2 * PAUSE_MS_FIRST).contains(&second), "{second}");
        for _ in 0..100 {
            turn.take();
        }
        let late = turn.pause().0;
        assert!((PAUSE_MS_MAX / 2..PAUSE_MS_MAX).contains(&late), "{late}");
        turn.succeeded();
        assert!(turn.pause().0 < PAUSE_MS_FIRST);
    }
}
