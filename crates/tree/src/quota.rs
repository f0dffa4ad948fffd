//! Quotas: how many nodes, and how many bytes of data, may be at and below a path.
//!
//! A quota is two nodes below `/zookeeper/quota` ([`bellwether_wire::quota`]). A client makes both;
//! from then on the server keeps the numbers of the second, outside any transaction: a write
//! counts for the closest quota at or above its path and for no other. The numbers are made anew
//! when the statistics node is created and when a snapshot is loaded. They count nothing in the
//! digest, change no version and fire no watch.
//!
//! Nothing here walks: what a subtree has is known at its top ([`crate::nodes::Below`]), so a quota
//! on a million nodes is set in no more time than one on an empty node.
//!
//! A write is judged by what is applied when it is prepared. What is in flight, and what stands
//! before it in the same multi, does not count, as in Apache: a hard limit can be passed by so
//! much.

use crate::nodes::NodeId;
use crate::pending::Pending;
use crate::tree::Tree;
use bellwether_wire::{ErrorCode, QuotaNode, StatsTrack};
use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};

/// How many exceeded limits one write reports. A multi may exceed one with each of its parts, and
/// the first few say it all.
const EXCEEDED_PER_WRITE_MAX: usize = 4;

/// All quotas, by the paths that they are on.
///
/// Invariant: the limits nodes and the statistics nodes of the tree are in it with what they say,
/// and no entry is empty. Only where there are limits anything is counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Quotas {
    by_path: BTreeMap<Box<str>, Quota>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Quota {
    limits: Option<Half>,
    stats: Option<Half>,
}

/// One of a quota's two nodes.
#[derive(Debug, PartialEq, Eq)]
struct Half {
    id: NodeId,
    /// What it says; `None` if that cannot be read.
    track: Option<StatsTrack>,
}

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Nodes, the top included.
    Count,
    /// Bytes of data.
    Bytes,
}

/// What exceeding a limit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A warning.
    Soft(i64),
    /// The write is refused, where quotas are enforced.
    Hard(i64),
}

/// A write that exceeds a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The path that the quota is on.
    pub on: Box<str>,
    /// What there would be too many of.
    pub measure: Measure,
    /// How many there would be.
    pub value: i64,
    /// How many there may be.
    pub limit: Limit,
    /// Whether the write is refused for it.
    pub refused: bool,
}

impl Exceeded {
    /// The first name of the path, by which Apache's metrics count.
    pub fn namespace(&self) -> &str {
        namespace(&self.on)
    }
}

/// What the quotas below one first name of a path add up to; `None` where there is no node with
/// such a number. A number that a node does not have counts -1, as in Apache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaFigures {
    /// The limits of nodes: the hard ones, and the soft ones where there is no hard one.
    pub count_limit: Option<i64>,
    /// The limits of bytes, likewise.
    pub bytes_limit: Option<i64>,
    /// Nodes that are there.
    pub count_usage: Option<i64>,
    /// Bytes that are there.
    pub bytes_usage: Option<i64>,
}

fn namespace(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

impl Quota {
    fn half_mut(&mut self, node: QuotaNode) -> &mut Option<Half> {
        match node {
            QuotaNode::Limits => &mut self.limits,
            QuotaNode::Stats => &mut self.stats,
        }
    }
}

impl Half {
    fn new(id: NodeId, data: Option<&[u8]>) -> Half {
        Half { id, track: data.and_then(|data| StatsTrack::parse(data).ok()) }
    }
}

impl Quotas {
    /// A node was added, or its data set.
    #[inline]
    pub(crate) fn written(&mut self, id: NodeId, path: &str, data: Option<&[u8]>) {
        if let Some((node, on)) = QuotaNode::of(path) {
            self.note(node, on, Half::new(id, data));
        }
    }

    /// A node is about to be removed.
    #[inline]
    pub(crate) fn removed(&mut self, path: &str) {
        if let Some((node, on)) = QuotaNode::of(path) {
            self.forget(node, on);
        }
    }

    fn note(&mut self, node: QuotaNode, on: &str, half: Half) {
        *self.by_path.entry(on.into()).or_default().half_mut(node) = Some(half);
    }

    fn forget(&mut self, node: QuotaNode, on: &str) {
        let quota = self.by_path.get_mut(on).expect("it was added");
        *quota.half_mut(node) = None;
        if *quota == Quota::default() {
            self.by_path.remove(on);
        }
    }

    /// The closest path at or above this one that has limits.
    ///
    /// The greatest path that is not greater than `path` either is above it or says how far up to
    /// go: whatever is above `path` is a prefix of both.
    fn closest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut path = path;
        loop {
            let up_to = (Unbounded, Included(path));
            let (on, quota) = self.by_path.range::<str, _>(up_to).next_back()?;
            let common = on.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
            let next = path.as_bytes().get(common);
            let is_above = common == on.len() && (next.is_none() || next == Some(&b'/'));
            if is_above && quota.limits.is_some() {
                return Some(path.split_at(common).0);
            }
            let end = if is_above { common } else { common + 1 };
            let slash = path.bytes().take(end).rposition(|byte| byte == b'/')?;
            (path, _) = path.split_at(slash);
        }
    }
}

impl Tree {
    /// A transaction created a node.
    pub(crate) fn quota_created(&mut self, id: NodeId, path: &str, len: usize) {
        if let Some((QuotaNode::Stats, on)) = QuotaNode::of(path) {
            self.recount_quota(on, id);
        }
        self.update_quota(path, signed(len as u64), 1);
    }

    /// A transaction changed how much is at and below `path`.
    #[inline]
    pub(crate) fn update_quota(&mut self, path: &str, bytes: i64, count: i64) {
        if !self.quotas.by_path.is_empty() {
            self.update_closest(path, bytes, count);
        }
    }

    fn update_closest(&mut self, path: &str, bytes: i64, count: i64) {
        let Some(on) = self.quotas.closest(path) else { return };
        let quota = self.quotas.by_path.get_mut(on);
        let Some(stats) = quota.and_then(|quota| quota.stats.as_mut()) else { return };
        // What a client wrote into the node may be no statistics. Apache's server ends then; this
        // one leaves them alone until they are made anew.
        let Some(track) = &mut stats.track else { return };
        track.set_count(track.count().wrapping_add(count));
        track.set_bytes(track.bytes().wrapping_add(bytes));
        let (id, text) = (stats.id, track.to_string());
        self.set_quota_data(id, text);
    }

    /// Makes the statistics of all quotas anew, after a snapshot was loaded.
    pub(crate) fn recount_quotas(&mut self) {
        let quotas = self.quotas.by_path.iter().filter(|(_, quota)| quota.limits.is_some());
        let stats = |quota: &Quota| quota.stats.as_ref().map(|stats| stats.id);
        let counted: Vec<(Box<str>, NodeId)> =
            quotas.filter_map(|(on, quota)| Some((on.clone(), stats(quota)?))).collect();
        for (on, stats) in counted {
            self.recount_quota(&on, stats);
        }
    }

    fn recount_quota(&mut self, on: &str, stats: NodeId) {
        let mut track = StatsTrack::default();
        let node = self.nodes.find(on).map(|id| self.nodes.get(id));
        track.set_count(node.map_or(0, |node| i64::from(node.descendants()) + 1));
        track.set_bytes(node.map_or(0, |node| signed(node.subtree_bytes())));
        self.set_quota_data(stats, track.to_string());
        self.quotas.note(QuotaNode::Stats, on, Half { id: stats, track: Some(track) });
    }

    fn set_quota_data(&mut self, stats: NodeId, text: String) {
        self.data_size += text.len() as u64;
        let len_before = self.nodes.set_data(stats, Some(text.into_bytes().into()));
        self.data_size -= len_before as u64;
    }

    /// Judges a write that adds `bytes` and `count` at `path`. What is exceeded is noted in
    /// `pending`. A quota that cannot be read is no limit, and an error where it would be enforced.
    pub(crate) fn check_quota(
        &self,
        pending: &mut Pending,
        path: &str,
        (bytes, count): (i64, i64),
    ) -> Result<(), ErrorCode> {
        if self.quotas.by_path.is_empty() {
            return Ok(());
        }
        let Some(on) = self.quotas.closest(path) else { return Ok(()) };
        let Some(Quota { limits: Some(limits), stats }) = self.quotas.by_path.get(on) else {
            return Ok(());
        };
        let unreadable =
            || if self.options.enforce_quota { Err(ErrorCode::MarshallingError) } else { Ok(()) };
        let Some(limits) = &limits.track else { return unreadable() };
        let limit = |hard: i64, soft: i64| match (hard, soft) {
            (0.., _) => Some(Limit::Hard(hard)),
            (_, 0..) => Some(Limit::Soft(soft)),
            (_, _) => None,
        };
        let count_limit = limit(limits.count_hard_limit(), limits.count()).filter(|_| count != 0);
        let bytes_limit = limit(limits.byte_hard_limit(), limits.bytes()).filter(|_| bytes != 0);
        if count_limit.is_none() && bytes_limit.is_none() {
            return Ok(());
        }
        let Some(stats) = stats else { return Ok(()) };
        let Some(stats) = &stats.track else { return unreadable() };
        let count = (Measure::Count, count_limit, stats.count().wrapping_add(count));
        let bytes = (Measure::Bytes, bytes_limit, stats.bytes().wrapping_add(bytes));
        for (measure, limit, value) in [count, bytes] {
            let Some(limit) = limit else { continue };
            let (maximum, refused) = match limit {
                Limit::Soft(maximum) => (maximum, false),
                Limit::Hard(maximum) => (maximum, self.options.enforce_quota),
            };
            if value <= maximum {
                continue;
            }
            pending.note_exceeded(Exceeded { on: on.into(), measure, value, limit, refused });
            if refused {
                return Err(ErrorCode::QuotaExceeded);
            }
        }
        Ok(())
    }

    /// What the quotas add up to, by the first names of their paths. It visits every quota.
    pub fn quota_figures(&self) -> BTreeMap<&str, QuotaFigures> {
        let mut figures: BTreeMap<&str, QuotaFigures> = BTreeMap::new();
        for (on, quota) in &self.quotas.by_path {
            let of_namespace = figures.entry(namespace(on)).or_default();
            let add = |sum: &mut Option<i64>, number: i64| {
                *sum = Some(sum.unwrap_or(0).wrapping_add(number));
            };
            let either = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
            if let Some(Half { track: Some(limits), .. }) = &quota.limits {
                let count = either(limits.count_hard_limit(), limits.count());
                let bytes = either(limits.byte_hard_limit(), limits.bytes());
                add(&mut of_namespace.count_limit, count);
                add(&mut of_namespace.bytes_limit, bytes);
            }
            if let Some(Half { track: Some(stats), .. }) = &quota.stats {
                add(&mut of_namespace.count_usage, stats.count());
                add(&mut of_namespace.bytes_usage, stats.bytes());
            }
        }
        figures
    }
}

impl Pending {
    fn note_exceeded(&mut self, exceeded: Exceeded) {
        // The refused one is the last, and the only one that is counted.
        if self.exceeded.len() < EXCEEDED_PER_WRITE_MAX || exceeded.refused {
            self.exceeded.push(exceeded);
        }
    }

    /// The quotas that the writes prepared since the last call exceed: a few of each.
    pub fn take_exceeded(&mut self) -> Vec<Exceeded> {
        std::mem::take(&mut self.exceeded)
    }
}

/// Memory ends long before 2^63 bytes.
pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_quota_is_found() {
        arbtest::arbtest(|u| {
            let path = |u: &mut arbtest::arbitrary::Unstructured<'_>| {
                let mut path = String::new();
                for _ in 0..u.int_in_range(1..=4)? {
                    path.push('/');
                    path.push_str(u.choose(&["a", "b", "a-", "a.b", "ab", "\u{e9}"])?);
                }
                Ok(path)
            };
            let mut quotas = Quotas::default();
            for id in 0..u.int_in_range(0..=12)? {
                let node = *u.choose(&[QuotaNode::Limits, QuotaNode::Stats])?;
                quotas.note(node, &path(u)?, Half::new(id, None));
            }
            let path = path(u)?;
            let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
            let above = |on: &str| path.strip_prefix(on).is_some_and(below);
            let limits = quotas.by_path.iter().filter(|(_, quota)| quota.limits.is_some());
            let expected =
                limits.map(|(on, _)| &**on).filter(|on| above(on)).max_by_key(|on| on.len());
            assert_eq!(quotas.closest(&path), expected, "{path}");
            Ok(())
        });
    }

    #[test]
    fn the_root_has_no_quota() {
        let mut quotas = Quotas::default();
        quotas.note(QuotaNode::Limits, "/a", Half::new(1, None));
        for path in ["", "/", "/b", "/A"] {
            assert_eq!(quotas.closest(path), None, "{path}");
        }
    }
}
