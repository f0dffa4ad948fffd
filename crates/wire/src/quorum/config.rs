//! The ensemble as text and as a value: its servers, and how much each of their votes weighs.
//!
//! The text is what `/zookeeper/config` holds, and what NEWLEADER and notifications carry. What it
//! keeps true: a value is printed as Apache prints it, line by line and in Apache's order, and what
//! is printed is read as the same value.
//!
//! What it leaves to others: what a quorum is and whether a number of servers makes sense (`zab`);
//! escapes and continued lines of the files (`server`, which hands over keys and values).

mod server;

pub use server::{ClientAddress, LearnerType, PeerAddress, ServerSpec, SpecProblem};
pub(super) use server::{is_wildcard, split_address};

use super::ServerId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// The servers of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// The zxid of the transaction that made it; 0 where no file has one.
    pub version: i64,
    /// Every server.
    pub servers: BTreeMap<ServerId, ServerSpec>,
    /// What makes a quorum of them.
    pub quorums: Quorums,
}

/// What makes a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quorums {
    /// More than half of the participants.
    Majority,
    /// More than half of the weight in more than half of the groups.
    Hierarchical {
        /// The group of a server. Invariant: every participant is in a group, and every server here
        /// has a weight.
        groups: BTreeMap<ServerId, i64>,
        /// The weight of a server's vote. Who has none cannot lead.
        weights: BTreeMap<ServerId, i64>,
    },
}

/// A line of a configuration that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key: `server.1`.
    pub key: Box<str>,
    /// The value.
    pub value: Box<str>,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigProblem {
    /// There is no such key in the configuration of an ensemble.
    UnknownKey,
    /// Behind the dot of the key there is no number.
    KeyNumber,
    /// The server's addresses.
    Spec(SpecProblem),
    /// Not a number in hexadecimal digits.
    Version,
    /// Not a number.
    Weight,
    /// Not the ids of servers with `:` between them.
    Group,
    /// A server is in a group already.
    InTwoGroups(ServerId),
    /// There are groups, and the server is in none.
    InNoGroup,
    /// A group names a server that has neither a participant's line nor a weight.
    NoWeight(ServerId),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: ", self.key, self.value)?;
        match &self.problem {
            ConfigProblem::UnknownKey => {
                write!(f, "expected server.N, group.N, weight.N or version")
            }
            ConfigProblem::KeyNumber => write!(f, "expected a number behind the dot of the key"),
            ConfigProblem::Spec(problem) => problem.fmt(f),
            ConfigProblem::Version => write!(f, "expected a number in hexadecimal digits"),
            ConfigProblem::Weight => write!(f, "expected a number"),
            ConfigProblem::Group => write!(f, "expected ids of servers with ':' between them"),
            ConfigProblem::InTwoGroups(sid) => {
                write!(f, "server {sid} is in another group already; name it in one")
            }
            ConfigProblem::InNoGroup => {
                write!(f, "the server is in no group, and there are groups; name it in one")
            }
            ConfigProblem::NoWeight(sid) => {
                write!(f, "server {sid} is no participant and has no weight; add weight.{sid}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl EnsembleConfig {
    /// Whether a key of a file belongs to the ensemble. (`version` does, but only in a file that
    /// has nothing else.)
    pub fn is_key(key: &str) -> bool {
        key.starts_with("server.") || key.starts_with("group") || key.starts_with("weight")
    }

    /// Reads the text that travels.
    pub fn parse(text: &str) -> Result<EnsembleConfig, ConfigError> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        EnsembleConfig::from_entries(lines.map(|line| {
            let end = line.find(['=', ':', ' ', '\t']).unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let rest = rest.trim_start();
            (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
        }))
    }

    /// Reads keys and values of a file, of which the last of a key counts.
    pub fn from_entries<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<EnsembleConfig, ConfigError> {
        let entries: BTreeMap<&str, &str> = entries.into_iter().collect();
        let mut lines = Lines::default();
        for (key, value) in entries {
            let wrong = |problem| ConfigError { key: key.into(), value: value.into(), problem };
            lines.take(key, value.trim()).map_err(wrong)?;
        }
        lines.finish()
    }

    /// The servers with a vote.
    pub fn participants(&self) -> impl Iterator<Item = (ServerId, &ServerSpec)> {
        self.of_role(LearnerType::Participant)
    }

    /// The servers without a vote.
    pub fn observers(&self) -> impl Iterator<Item = (ServerId, &ServerSpec)> {
        self.of_role(LearnerType::Observer)
    }

    fn of_role(&self, role: LearnerType) -> impl Iterator<Item = (ServerId, &ServerSpec)> {
        let all = self.servers.iter().map(|(sid, spec)| (*sid, spec));
        all.filter(move |(_, spec)| spec.role == role)
    }
}

/// What was read so far.
#[derive(Default)]
struct Lines {
    version: i64,
    servers: BTreeMap<ServerId, ServerSpec>,
    hierarchical: bool,
    groups: BTreeMap<ServerId, i64>,
    weights: BTreeMap<ServerId, i64>,
}

impl Lines {
    fn take(&mut self, key: &str, value: &str) -> Result<(), ConfigProblem> {
        let number = || -> Result<i64, ConfigProblem> {
            let number = key.split_once('.').and_then(|(_, number)| number.parse().ok());
            number.ok_or(ConfigProblem::KeyNumber)
        };
        if key == "version" {
            let version = i64::from_str_radix(value, 16).ok();
            self.version = version.ok_or(ConfigProblem::Version)?;
        } else if key.starts_with("server.") {
            let spec = value.parse().map_err(ConfigProblem::Spec)?;
            self.servers.insert(ServerId(number()?), spec);
        } else if key.starts_with("weight") {
            self.hierarchical = true;
            let weight = value.parse().ok();
            self.weights.insert(ServerId(number()?), weight.ok_or(ConfigProblem::Weight)?);
        } else if key.starts_with("group") {
            self.hierarchical = true;
            self.take_group(number()?, value)?;
        } else {
            return Err(ConfigProblem::UnknownKey);
        }
        Ok(())
    }

    fn take_group(&mut self, group: i64, value: &str) -> Result<(), ConfigProblem> {
        for sid in value.trim_end_matches(':').split(':') {
            let sid = sid.parse().ok().map(ServerId).ok_or(ConfigProblem::Group)?;
            match self.groups.entry(sid) {
                Entry::Vacant(place) => _ = place.insert(group),
                Entry::Occupied(_) => return Err(ConfigProblem::InTwoGroups(sid)),
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<EnsembleConfig, ConfigError> {
        let Lines { version, servers, hierarchical, groups, mut weights } = self;
        if !hierarchical {
            return Ok(EnsembleConfig { version, servers, quorums: Quorums::Majority });
        }
        for (sid, spec) in &servers {
            if spec.role == LearnerType::Participant {
                if !groups.contains_key(sid) {
                    let (key, value) = (format!("server.{sid}"), spec.to_string());
                    let problem = ConfigProblem::InNoGroup;
                    return Err(ConfigError { key: key.into(), value: value.into(), problem });
                }
                weights.entry(*sid).or_insert(1);
            }
        }
        if let Some((sid, group)) = groups.iter().find(|(sid, _)| !weights.contains_key(sid)) {
            let key = format!("group.{group}").into();
            let value = members(&groups, *group).into();
            return Err(ConfigError { key, value, problem: ConfigProblem::NoWeight(*sid) });
        }
        let quorums = Quorums::Hierarchical { groups, weights };
        Ok(EnsembleConfig { version, servers, quorums })
    }
}

/// The servers of a group, as its line names them.
fn members(groups: &BTreeMap<ServerId, i64>, group: i64) -> String {
    let all = in_javas_order(groups.keys().map(|sid| sid.0)).into_iter();
    let of_it = all.filter(|sid| groups.get(&ServerId(*sid)) == Some(&group));
    of_it.map(|sid| sid.to_string()).collect::<Vec<_>>().join(":")
}

/// Apache's text, which has no newline at its end.
impl fmt::Display for EnsembleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sid in in_javas_order(self.servers.keys().map(|sid| sid.0)) {
            if let Some(spec) = self.servers.get(&ServerId(sid)) {
                writeln!(f, "server.{sid}={spec}")?;
            }
        }
        if let Quorums::Hierarchical { groups, weights } = &self.quorums {
            let mut ids: Vec<i64> = groups.values().copied().collect();
            ids.sort_unstable();
            ids.dedup();
            for group in in_javas_order(ids.into_iter()) {
                writeln!(f, "group.{group}={}", members(groups, group))?;
            }
            for sid in in_javas_order(weights.keys().map(|sid| sid.0)) {
                if let Some(weight) = weights.get(&ServerId(sid)) {
                    writeln!(f, "weight.{sid}={weight}")?;
                }
            }
        }
        write!(f, "version={:x}", self.version)
    }
}

/// Ids in the order in which Java's `HashMap` walks them: by the low bits of a hash, as many as its
/// table needs. Ids that share a place are in the order of their values here; in Java they are in
/// the order in which the map got them.
fn in_javas_order(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.collect();
    let mut table: usize = 16;
    while ids.len() > table / 4 * 3 {
        table *= 2;
    }
    let place = |id: i64| {
        let bits = id.to_be_bytes().map(u32::from);
        let [a, b, c, d, e, g, h, i] = bits;
        let fold = |a: u32, b: u32, c: u32, d: u32| a << 24 | b << 16 | c << 8 | d;
        let hash = fold(a, b, c, d) ^ fold(e, g, h, i);
        (hash ^ hash >> 16) as usize & (table - 1)
    };
    ids.sort_by_key(|id| (place(*id), *id));
    ids
}
