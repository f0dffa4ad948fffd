//! One row of the table of settings, and how a name finds its row.
//!
//! What it keeps true: a name has at most one row, found by exact name first and by the longest
//! pattern (`server.N`, `ssl.*`) otherwise. Everything that is said about a setting anywhere comes
//! from its row.
//!
//! What it leaves to others: the rows themselves (`table`), reading values (`kinds`).

use super::kinds::{Kind, Read, Value};
use super::table;
use crate::auth;

/// One setting, or one family of settings that share a prefix.
#[derive(Debug)]
pub struct Setting {
    /// The name in zoo.cfg; it ends in `.N` or `.*` where one row stands for a family.
    pub key: &'static str,
    pub place: Place,
    pub kind: Kind,
    /// As one would write it; empty where there is none.
    pub default: &'static str,
    /// `ms`, `KiB`, ...; empty where the value has no unit.
    pub unit: &'static str,
    /// The version of Apache ZooKeeper that brought the setting.
    pub since: &'static str,
    pub status: Status,
    pub doc: &'static str,
    pub section: Section,
}

/// Where Apache reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of zoo.cfg; no Java property has this effect.
    File,
    /// `key` in zoo.cfg or `-Dzookeeper.key`.
    Both,
    /// As `Both`, and `-Dother` has the same effect where neither of the two is given.
    BothAnd(&'static str),
    /// As `File`, and `-Dother` has the same effect.
    FileAnd(&'static str),
    /// `-Dkey` only: a line in zoo.cfg would set `zookeeper.key`, which nothing reads.
    Java,
}

/// What this server does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Honoured,
    /// The value is checked and has no effect, for this reason.
    WithoutEffect(&'static str),
    /// The server does not start with it, for this reason, unless the value asks for nothing.
    Refused(&'static str, Harmless),
}

/// The values of a refused setting that ask for nothing that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harmless {
    Never,
    /// `false` and what Apache takes for it.
    False,
    /// These texts.
    Words(&'static [&'static str]),
    /// Classes of Apache's that stand for a scheme this server has.
    Provider,
}

/// The headings of the reference, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Server,
    Storage,
    Limits,
    Access,
    Tls,
    Ensemble,
    Operation,
    Tuning,
    Java,
}

impl Section {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server and sessions",
            Self::Storage => "Data directory, log and snapshots",
            Self::Limits => "Limits and throttling",
            Self::Access => "Authentication and access",
            Self::Tls => "TLS",
            Self::Ensemble => "Ensemble",
            Self::Operation => "Admin server, metrics, audit",
            Self::Tuning => "Threads, caches and statistics of Apache's server",
            Self::Java => "Java",
        }
    }
}

impl Setting {
    /// The prefix that the names of a family share, with its dot.
    #[must_use]
    pub fn prefix(&self) -> Option<&'static str> {
        let end = self.key.strip_suffix(".N").or_else(|| self.key.strip_suffix(".*"))?;
        self.key.get(..=end.len())
    }

    /// What to write on the command line, where that has an effect.
    #[must_use]
    pub fn property(&self) -> Option<String> {
        match self.place {
            Place::File => None,
            Place::Both | Place::BothAnd(_) => Some(format!("zookeeper.{}", self.key)),
            Place::FileAnd(name) => Some(name.to_owned()),
            Place::Java => Some(self.key.to_owned()),
        }
    }

    /// Whether the value of `name`, a name of this row, must not be shown.
    #[must_use]
    pub fn hides(&self, name: &str) -> bool {
        self.kind == Kind::Secret || sounds_secret(name)
    }

    /// The reason to refuse `raw`, if it is one to refuse.
    #[must_use]
    pub fn refuses(&self, raw: &str) -> Option<&'static str> {
        let Status::Refused(why, harmless) = self.status else { return None };
        let asks_for_nothing = match harmless {
            Harmless::Never => false,
            Harmless::Provider => auth::of_class(raw).is_some(),
            Harmless::Words(words) => words.iter().any(|word| word.eq_ignore_ascii_case(raw)),
            Harmless::False => matches!(
                self.kind.read(raw),
                Read::Is(Value::Flag(false)) | Read::IsBut(Value::Flag(false), _)
            ),
        };
        if asks_for_nothing { None } else { Some(why) }
    }
}

/// Names under which passwords are kept, known row or not.
#[must_use]
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let shows_a_path = name.ends_with("path");
    !shows_a_path
        && ["password", "passwd", "secret", "superdigest"].iter().any(|part| name.contains(part))
}

/// The row for a line of zoo.cfg, whether the line has an effect there or not.
#[must_use]
pub fn by_key(key: &str) -> Option<&'static Setting> {
    // A line `k` sets the property `zookeeper.k`, so a row's other property may be a line as well.
    let exact = table::rows().find(|row| {
        let other = match row.place {
            Place::FileAnd(other) => other.strip_prefix("zookeeper."),
            Place::File | Place::Both | Place::BothAnd(_) | Place::Java => None,
        };
        row.prefix().is_none() && (row.key == key || other == Some(key))
    });
    exact.or_else(|| {
        table::rows()
            .filter(|row| row.prefix().is_some_and(|p| key.len() > p.len() && key.starts_with(p)))
            .max_by_key(|row| row.key.len())
    })
}

/// What a `-Dname` on the command line stands for.
#[derive(Debug, Clone, Copy)]
pub enum Property {
    /// It sets this row.
    Sets(&'static Setting),
    /// It sets this row unless the row's own name is given too.
    SetsAsOtherName(&'static Setting),
    /// The row exists, but Apache reads it in zoo.cfg only.
    FileOnly(&'static Setting),
    Unknown,
}

/// The row for `-Dname`.
#[must_use]
pub fn by_property(name: &str) -> Property {
    for row in table::rows() {
        match row.place {
            Place::BothAnd(other) if other == name => return Property::SetsAsOtherName(row),
            Place::FileAnd(other) if other == name => return Property::Sets(row),
            Place::Both | Place::BothAnd(_) | Place::File | Place::FileAnd(_) | Place::Java => {}
        }
    }
    if let Some(row) = name.strip_prefix("zookeeper.").and_then(by_key) {
        match row.place {
            Place::Both | Place::BothAnd(_) => return Property::Sets(row),
            Place::File | Place::FileAnd(_) => return Property::FileOnly(row),
            Place::Java => {}
        }
    }
    match by_key(name) {
        Some(row) if row.place == Place::Java => Property::Sets(row),
        Some(_) | None => Property::Unknown,
    }
}

/// Names that Apache's administrator's guide gives to settings that its server reads under another
/// name: as lines of zoo.cfg they have no effect there.
const NAMES_OF_THE_GUIDE: &[(&str, &str)] = &[
    ("advancedFlowControlEnabled", "netty.advancedFlowControl.enabled"),
    ("connectionDecreaseRatio", "connection_throttle_decrease_ratio"),
    ("connectionDropDecrease", "connection_throttle_drop_decrease"),
    ("connectionDropIncrease", "connection_throttle_drop_increase"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
    ("outstandingHandshake.limit", "netty.server.outstandingHandshake.limit"),
    ("requestStaleConnectionCheck", "request_stale_connection_check"),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
];

/// The known name that `name` was probably meant to be: at most two of five letters differ.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    if let Some((_, key)) = NAMES_OF_THE_GUIDE.iter().find(|(guide, _)| *guide == name) {
        return Some(key);
    }
    let folded = name.to_ascii_lowercase();
    let (distance, key) = table::rows()
        .filter(|row| row.prefix().is_none())
        .map(|row| (edit_distance(&folded, &row.key.to_ascii_lowercase()), row.key))
        .min()?;
    let allowed = (name.chars().count() * 2 / 5).max(1);
    if distance <= allowed { Some(key) } else { None }
}

/// Levenshtein's distance: how many letters to insert, delete or replace. Two neighbours in the
/// wrong order count as one change.
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous_letter = None;
    for (i, letter) in one.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &candidate) in other.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let mut best = (at(&last, j) + usize::from(letter != candidate))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped =
                j > 0 && previous_letter == Some(candidate) && other.get(j - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
        previous_letter = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_name_is_found_or_none() {
        for (name, expected) in [
            ("ticktime", Some("tickTime")),
            ("tikcTime", Some("tickTime")),
            ("clientport", Some("clientPort")),
            ("maxClientCnxn", Some("maxClientCnxns")),
            ("maxClientConnections", Some("maxClientCnxns")),
            ("snapcount", Some("snapCount")),
            ("autopurge.snapRetention", Some("autopurge.snapRetainCount")),
            ("dataDirs", Some("dataDir")),
            ("requestThrottleLimit", Some("request_throttle_max_requests")),
            ("completely.different.thing", None),
            ("", None),
        ] {
            assert_eq!(nearest(name), expected, "{name}");
        }
    }

    #[test]
    fn every_name_of_the_guide_leads_to_a_row() {
        for (guide, key) in NAMES_OF_THE_GUIDE {
            assert!(by_key(guide).is_none() && by_key(key).is_some(), "{guide} {key}");
        }
    }

    #[test]
    fn a_family_is_found_by_its_longest_prefix() {
        let key = |name| by_key(name).map(|row| row.key);
        assert_eq!(key("server.1"), Some("server.N"));
        assert_eq!(key("server."), None);
        assert_eq!(key("ssl.quorum.keyStore.location"), Some("ssl.quorum.*"));
        assert_eq!(key("ssl.keyStore.location"), Some("ssl.*"));
        assert_eq!(key("metricsProvider.className"), Some("metricsProvider.className"));
        assert_eq!(key("metricsProvider.httpPort"), Some("metricsProvider.*"));
    }

    #[test]
    fn a_property_finds_the_row_that_apache_would_set() {
        let sets = |name| match by_property(name) {
            Property::Sets(row) => Some(row.key),
            Property::SetsAsOtherName(_) | Property::FileOnly(_) | Property::Unknown => None,
        };
        assert_eq!(sets("zookeeper.snapCount"), Some("snapCount"));
        assert_eq!(sets("snapCount"), None);
        assert_eq!(sets("jute.maxbuffer"), Some("jute.maxbuffer"));
        assert_eq!(sets("zookeeper.jute.maxbuffer"), None);
        assert_eq!(sets("zookeeper.observer.syncEnabled"), Some("syncEnabled"));
        assert_eq!(sets("java.util.logging.config.file"), Some("java.*"));
        assert!(matches!(by_property("fsync.warningthresholdms"), Property::SetsAsOtherName(_)));
        assert!(matches!(by_property("zookeeper.dataDir"), Property::FileOnly(_)));
        assert!(matches!(by_property("dataDir"), Property::Unknown));
    }

    #[test]
    fn passwords_are_hidden_and_their_files_are_not() {
        assert!(sounds_secret("ssl.keyStore.password"));
        assert!(sounds_secret("DigestAuthenticationProvider.superDigest"));
        assert!(!sounds_secret("ssl.keyStore.passwordPath"));
    }
}
