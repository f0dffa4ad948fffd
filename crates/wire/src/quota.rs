//! Quotas as they are stored: two nodes below `/zookeeper/quota`, and the text in them.
//!
//! A quota on `/app` is `/zookeeper/quota/app/zookeeper_limits`; beside it
//! `/zookeeper/quota/app/zookeeper_stats` says how much is there. Both hold `key=number` pairs.
//!
//! What it keeps true: a text that Apache's servers read gives the same numbers here, and what is
//! written here is written as they write it. What a quota means is `tree`'s.

use std::collections::BTreeMap;
use std::fmt;

/// Where quotas are kept.
pub const QUOTA_NODE: &str = "/zookeeper/quota";
/// The name of the node that holds the limits.
pub const LIMITS_NAME: &str = "zookeeper_limits";
/// The name of the node that holds what is there.
pub const STATS_NAME: &str = "zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";

/// The path of the limits of a quota on `path`.
pub fn limits_path(path: &str) -> String {
    format!("{QUOTA_NODE}{path}/{LIMITS_NAME}")
}

/// The path of the statistics of a quota on `path`.
pub fn stats_path(path: &str) -> String {
    format!("{QUOTA_NODE}{path}/{STATS_NAME}")
}

/// Which of a quota's two nodes a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaNode {
    /// It holds the limits.
    Limits,
    /// It holds what is there.
    Stats,
}

impl QuotaNode {
    /// What the node at `path` is, and the path that its quota is on. Nothing right below
    /// [`QUOTA_NODE`] is one: the root has no quota.
    pub fn of(path: &str) -> Option<(QuotaNode, &str)> {
        let (on, name) = path.strip_prefix(QUOTA_NODE)?.rsplit_once('/')?;
        let node = match name {
            LIMITS_NAME => QuotaNode::Limits,
            STATS_NAME => QuotaNode::Stats,
            _ => return None,
        };
        (on.len() > 1 && on.starts_with('/')).then_some((node, on))
    }
}

/// The numbers of a limits node or of a statistics node. A number that is not there is -1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsTrack {
    count: Option<i64>,
    bytes: Option<i64>,
    /// The hard limits, and keys that mean nothing.
    others: BTreeMap<Box<str>, i64>,
}

/// A text that is none of [`StatsTrack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadStats {
    /// The pair that cannot be read.
    pub pair: Box<str>,
}

impl fmt::Display for BadStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no `key=number`: pairs are separated by commas or semicolons", self.pair)
    }
}

impl std::error::Error for BadStats {}

impl StatsTrack {
    /// Reads a node's data. Every key is kept, also those that mean nothing; of two pairs with the
    /// same key the later counts; `key==number` and what follows a number (`bytes=5=`) are read as
    /// Java's `split` reads them, because the current form has such a pair.
    pub fn parse(data: &[u8]) -> Result<StatsTrack, BadStats> {
        let text = String::from_utf8_lossy(data);
        let mut track = StatsTrack::default();
        // Separators at the end stand before nothing; those at the start behind an empty pair.
        let pairs = text.trim_end_matches([',', ';']);
        for (at, pair) in pairs.split([',', ';']).enumerate() {
            if pair.is_empty() && (at > 0 || pairs.is_empty()) {
                continue;
            }
            let (key, number) = read_pair(pair).ok_or_else(|| BadStats { pair: pair.into() })?;
            track.set(key, number);
        }
        Ok(track)
    }

    /// How many nodes; the soft limit of them.
    pub fn count(&self) -> i64 {
        self.count.unwrap_or(-1)
    }

    /// How many bytes of data; the soft limit of them.
    pub fn bytes(&self) -> i64 {
        self.bytes.unwrap_or(-1)
    }

    /// The hard limit of nodes.
    pub fn count_hard_limit(&self) -> i64 {
        self.other(COUNT_HARD)
    }

    /// The hard limit of bytes.
    pub fn byte_hard_limit(&self) -> i64 {
        self.other(BYTES_HARD)
    }

    /// Sets [`StatsTrack::count`].
    pub fn set_count(&mut self, count: i64) {
        self.count = Some(count);
    }

    /// Sets [`StatsTrack::bytes`].
    pub fn set_bytes(&mut self, bytes: i64) {
        self.bytes = Some(bytes);
    }

    /// Sets [`StatsTrack::count_hard_limit`].
    pub fn set_count_hard_limit(&mut self, count: i64) {
        self.set(COUNT_HARD, count);
    }

    /// Sets [`StatsTrack::byte_hard_limit`].
    pub fn set_byte_hard_limit(&mut self, bytes: i64) {
        self.set(BYTES_HARD, bytes);
    }

    fn other(&self, key: &str) -> i64 {
        self.others.get(key).copied().unwrap_or(-1)
    }

    fn set(&mut self, key: &str, number: i64) {
        match key {
            COUNT => self.count = Some(number),
            BYTES => self.bytes = Some(number),
            _ => {
                self.others.insert(key.into(), number);
            }
        }
    }
}

/// The text of a node: `count=4,bytes=5`, and with more than these two
/// `count=4,bytes=5=;byteHardLimit=10;countHardLimit=10`. Readers of before 3.4.4 take the first
/// two and stumble over nothing behind the second `=`.
impl fmt::Display for StatsTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.count(), self.bytes())?;
        let mut mark = "=";
        for (key, number) in &self.others {
            write!(f, "{mark};{key}={number}")?;
            mark = "";
        }
        Ok(())
    }
}

/// `key=number` as Java's `split("=")` takes it apart: empty pieces at the end do not exist, an
/// empty one before that stands for -1, and what follows the number is not looked at.
fn read_pair(pair: &str) -> Option<(&str, i64)> {
    let mut pieces = pair.trim_end_matches('=').split('=');
    let key = pieces.next()?;
    match pieces.next()? {
        "" => Some((key, -1)),
        number => Some((key, number.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text again after reading it, or `bad`.
    fn check(text: &str, expected: &str) {
        let read = StatsTrack::parse(text.as_bytes());
        assert_eq!(read.map_or("bad".to_owned(), |track| track.to_string()), expected, "{text}");
    }

    #[test]
    fn texts_are_read_as_java_reads_them() {
        check("", "count=-1,bytes=-1");
        check("count=4", "count=4,bytes=-1");
        check("count=4,bytes=5", "count=4,bytes=5");
        check("bytes=5,count=4", "count=4,bytes=5");
        check(
            "count=4,bytes=5=;countHardLimit=6;byteHardLimit=7",
            "count=4,bytes=5=;byteHardLimit=7;countHardLimit=6",
        );
        check("count=+4;;,;bytes=-5,", "count=4,bytes=-5");
        check("count=1,count=2", "count=2,bytes=-1");
        check("count==2", "count=-1,bytes=-1");
        check("zoo=1", "count=-1,bytes=-1=;zoo=1");
        check(" bytes=3", "count=-1,bytes=-1=; bytes=3");
        check("=5", "count=-1,bytes=-1=;=5");
        check("count=4=5=6", "count=4,bytes=-1");
        check(",", "count=-1,bytes=-1");
        check("count=9223372036854775807", "count=9223372036854775807,bytes=-1");
        for bad in [
            "x",
            "count",
            "count=",
            "count=x",
            ",count=1",
            "count= 1",
            "=",
            "count=1,=",
            "count=9223372036854775808",
        ] {
            check(bad, "bad");
        }
    }

    #[test]
    fn hard_limits_stand_behind_the_extra_sign() {
        let mut track = StatsTrack::default();
        track.set_count_hard_limit(3);
        assert_eq!(track.to_string(), "count=-1,bytes=-1=;countHardLimit=3");
        track.set_byte_hard_limit(9);
        track.set_count(1);
        track.set_bytes(2);
        assert_eq!(track.to_string(), "count=1,bytes=2=;byteHardLimit=9;countHardLimit=3");
        assert_eq!((track.count_hard_limit(), track.byte_hard_limit()), (3, 9));
    }

    #[test]
    fn only_named_nodes_below_a_path_belong_to_a_quota() {
        let limits = limits_path("/a/b");
        assert_eq!(limits, "/zookeeper/quota/a/b/zookeeper_limits");
        assert_eq!(QuotaNode::of(&limits), Some((QuotaNode::Limits, "/a/b")));
        assert_eq!(QuotaNode::of(&stats_path("/a")), Some((QuotaNode::Stats, "/a")));
        for other in [
            "/zookeeper/quota/zookeeper_limits",
            "/zookeeper/quotas/zookeeper_limits",
            "/zookeeper/quota/a",
            "/zookeeper/quota",
            "/a/zookeeper_limits",
            "/zookeeper",
        ] {
            assert_eq!(QuotaNode::of(other), None, "{other}");
        }
    }
}
