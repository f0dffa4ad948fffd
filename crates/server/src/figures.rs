//! What the shell counts, and how often it may warn of the same thing.

use crate::admin::{ResponseSizes, ShellFigures, ShellMeasures};
use crate::auth::AuthFigures;
use crate::disk::Synced;
use crate::limits::{FRAME_LENGTH_BYTES, NAMESPACES_MAX};
use crate::logging::repeats::RateLimit;
use crate::run::micros;
use crate::warn_limited;
use bellwether_tree::{Exceeded, Limit, Measure};
use bellwether_wire::client::xid;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The shell's figures.
pub(crate) struct Figures {
    /// The counters themselves, as the four-letter words show them.
    pub(crate) counts: ShellFigures,
    /// What is measured with percentiles.
    pub(crate) measures: ShellMeasures,
    /// When the server began to serve.
    started: Instant,
    snapshot_started: Option<Instant>,
    snapshot_saved: Option<Instant>,
    /// How many writes were refused for a hard quota, by the first name of its path. There are no
    /// more names than quotas were ever exceeded.
    quota_refusals: BTreeMap<Box<str>, u64>,
    /// Keeps warnings that clients or a slow disk could repeat from filling the log.
    pub(crate) repeats: RateLimit,
}

impl Figures {
    pub(crate) fn new(counts: ShellFigures) -> Figures {
        let started = Instant::now();
        Figures {
            counts,
            measures: ShellMeasures::default(),
            started,
            snapshot_started: None,
            // One that was loaded counts as one that was saved when the server began to serve.
            snapshot_saved: counts.startup.snapshot_load_ms.map(|_| started),
            quota_refusals: BTreeMap::new(),
            repeats: RateLimit::default(),
        }
    }

    /// Starts anew what `srst` starts anew: all that is counted or measured, but for failed
    /// authentications, as Apache does.
    pub(crate) fn reset(&mut self) {
        let auth = AuthFigures { failed: self.counts.auth.failed, ..AuthFigures::default() };
        self.counts = ShellFigures { auth, ..ShellFigures::default() };
        self.measures = ShellMeasures::default();
        self.quota_refusals.clear();
    }

    /// The counters at this moment.
    pub(crate) fn view(&self, connections: usize) -> ShellFigures {
        let saved = self.snapshot_saved;
        ShellFigures {
            uptime_ms: millis(self.started.elapsed()),
            connections: u64::try_from(connections).unwrap_or(u64::MAX),
            snapshot_age_ms: saved.map(|saved| millis(saved.elapsed())),
            open_files: open_files(),
            max_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            ..self.counts
        }
    }

    /// The node took a step.
    pub(crate) fn stepped(&mut self, elapsed: Duration) {
        let us = micros(elapsed);
        if us > self.counts.core_step_us_max {
            self.counts.core_step_us_max = us;
        }
    }

    /// The log has a batch on stable storage.
    pub(crate) fn synced(&mut self, synced: &Synced, warn_ms: u64) {
        let counts = &mut self.counts;
        counts.log_records += synced.records;
        counts.log_bytes += synced.bytes;
        counts.log_batch.record(synced.records);
        counts.fsync_us.record(micros(synced.elapsed));
        counts.log_queue.record(synced.times.queue);
        counts.log_process_us.record(micros(synced.times.process));
        self.measures.log_flush_us.record(micros(synced.times.flush));
        for (records, waited, synced) in &synced.times.records {
            self.measures.log_waited_us.record_all(micros(*waited), *records);
            self.measures.log_waited_and_flushed_us.record_all(micros(*synced), *records);
        }
        let elapsed_ms = millis(synced.elapsed);
        if elapsed_ms > warn_ms {
            warn_limited!(
                self.repeats,
                "slow sync",
                elapsed_ms,
                "syncing the log took longer than fsync.warningthresholdms: every write waits for \
                 it; give the log a disk of its own (dataLogDir)"
            );
        }
    }

    /// A write exceeds a quota.
    pub(crate) fn quota_exceeded(&mut self, exceeded: &Exceeded) {
        let Exceeded { on, measure, value, limit, refused } = exceeded;
        if *refused {
            let namespace = exceeded.namespace();
            if let Some(refusals) = self.quota_refusals.get_mut(namespace) {
                *refusals += 1;
            } else if self.quota_refusals.len() < NAMESPACES_MAX {
                self.quota_refusals.insert(namespace.into(), 1);
            }
        }
        let what = match measure {
            Measure::Count => "nodes",
            Measure::Bytes => "bytes",
        };
        let (limit, advice) = match limit {
            Limit::Soft(limit) => (limit, "the quota is a soft one, so the write is made"),
            Limit::Hard(limit) if *refused => (limit, "the quota is a hard one: refused"),
            Limit::Hard(limit) => {
                (limit, "the write is made; hard quotas need enforceQuota=true to refuse it")
            }
        };
        warn_limited!(
            self.repeats,
            "quota exceeded",
            path = %on, what, value, limit,
            "a write exceeds a quota: {advice}"
        );
    }

    /// How many writes were refused for a hard quota, by the first name of its path.
    pub(crate) fn quota_refusals(&self) -> &BTreeMap<Box<str>, u64> {
        &self.quota_refusals
    }

    /// A reply of this many bytes was made, its length included. As Apache counts: without the
    /// length, and pings and answers to auth packets are no responses.
    pub(crate) fn replied(&mut self, request_xid: i32, bytes: usize) {
        let bytes = self.sized(bytes);
        if request_xid != xid::PING && request_xid != xid::AUTH {
            self.counts.response_bytes += bytes;
        }
    }

    /// A watch event of this many bytes was made, its length included.
    pub(crate) fn notified(&mut self, bytes: usize) {
        self.counts.watch_bytes += self.sized(bytes);
    }

    fn sized(&mut self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes.saturating_sub(FRAME_LENGTH_BYTES)).unwrap_or(u64::MAX);
        self.counts.response_sizes = Some(ResponseSizes::with(self.counts.response_sizes, bytes));
        bytes
    }

    pub(crate) fn snapshot_started(&mut self) {
        self.snapshot_started = Some(Instant::now());
    }

    pub(crate) fn snapshot_ended(&mut self, saved: bool) {
        let started = self.snapshot_started.take();
        if saved {
            self.snapshot_saved = Some(Instant::now());
            let elapsed = started.map(|started| started.elapsed()).unwrap_or_default();
            self.counts.snapshot_us.record(micros(elapsed));
        } else {
            self.counts.snapshots_failed += 1;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Since Linux 6.2 the size of the directory is the number of descriptors; before, it is 0 and they
/// have to be counted.
fn open_files() -> Option<u64> {
    let told = std::fs::metadata("/proc/self/fd").ok()?.len();
    if told > 0 {
        return Some(told);
    }
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of them is the directory that is being read.
    u64::try_from(entries.count()).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::BatchTimes;
    use crate::logging::repeats::Turn;
    use bellwether_node::LogToken;

    #[test]
    fn a_sync_beyond_the_threshold_is_warned_of() {
        let warned = |elapsed_ms| {
            let mut figures = Figures::new(ShellFigures::default());
            let synced = Synced {
                token: LogToken(1),
                bytes: 1,
                records: 1,
                elapsed: Duration::from_millis(elapsed_ms),
                times: BatchTimes::default(),
            };
            // So many that the next warning of this kind would be dropped.
            (0..5).for_each(|_| figures.synced(&synced, 20));
            figures.repeats.turn("slow sync", Instant::now()) == Turn::Drop
        };
        assert_eq!((warned(20), warned(21)), (false, true));
    }
}
