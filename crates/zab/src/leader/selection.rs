//! How a learner's history becomes this leader's: what of it is cut, and where the rest comes from.
//!
//! It is a pure function of two histories, as `LearnerHandler.syncFollower` of Apache decides it.
//! What it keeps true: a learner is only ever sent records behind one that both have, and only told
//! to cut to a record that it surely has.
//!
//! It is more careful than Apache in one thing: it never cuts to a record of another epoch than the
//! learner's last, nor to the beginning of an epoch, which is no record. A log that was received as
//! a snapshot need not hold either, and Apache's learners then cut too little. Whoever would need
//! it receives a snapshot. And it knows more in two: the beginning of the epoch that this peer's
//! history comes from is where that epoch found it, and a record right before the oldest in memory
//! is one of this history.

use bellwether_wire::Zxid;

/// What the leader has.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// The committed records in memory, the oldest first.
    pub(super) memory: Vec<Zxid>,
    /// The last that is committed. A new leader counts everything that it has.
    pub(super) committed: Zxid,
    /// The last that is on disk, where the log can be read.
    pub(super) durable: Zxid,
    /// The epoch that it leads.
    pub(super) epoch: u32,
    /// The epoch that its history comes from.
    pub(super) former_epoch: u32,
    /// Whether the log may be read for learners.
    pub(super) log: Log,
}

/// Whether the log on disk serves learners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Serves,
    Unused,
}

/// How a learner is synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// What follows its last record is in memory.
    Diff,
    /// It cuts its log to this record. What follows is in memory.
    Trunc(Zxid),
    /// What follows its last record is in the log up to this zxid, then in memory.
    Log { up_to: Zxid },
    /// It receives everything.
    Snap,
}

impl Own {
    /// How a learner is synchronised whose history ends with `last`.
    pub(super) fn select(&self, last: Zxid) -> Selection {
        if last == self.committed {
            return Selection::Diff;
        }
        if last <= Zxid::ZERO {
            // It has nothing, has lost everything, or asks for everything.
            return Selection::Snap;
        }
        if last > self.committed {
            return self.beyond(last);
        }
        match self.memory.first() {
            Some(oldest) if last >= *oldest || last.next() == Some(*oldest) => {
                self.within_memory(last)
            }
            Some(oldest) => self.before_memory(Zxid(oldest.0 - 1)),
            None => self.before_memory(self.committed),
        }
    }

    /// What a broken leader selects: the end of the epoch before the learner's last record, though
    /// it may have acknowledged what is behind it.
    pub(super) fn select_across_epochs(&self, last: Zxid) -> Selection {
        let earlier = self.memory.iter().rev().find(|zxid| zxid.epoch() < last.epoch());
        earlier.map_or_else(|| self.select(last), |to| Selection::Trunc(*to))
    }

    /// It has more than is committed.
    fn beyond(&self, last: Zxid) -> Selection {
        if last.counter() != 0 {
            return cut(last, self.committed);
        }
        // No record has this zxid: it is where an epoch found its history. Where it is the epoch
        // that this history comes from, or this leader's own, that is all there is.
        if last.epoch() == self.former_epoch || last.epoch() == self.epoch {
            Selection::Diff
        } else {
            Selection::Snap
        }
    }

    /// Its last record is in memory, or would be if it were of this history.
    fn within_memory(&self, last: Zxid) -> Selection {
        let after = self.memory.partition_point(|zxid| *zxid <= last);
        let before = after.checked_sub(1).and_then(|at| self.memory.get(at)).copied();
        match (before, self.memory.get(after)) {
            // No record comes between the beginning of an epoch and its first one, nor between two
            // neighbours.
            _ if last.counter() == 0 => Selection::Diff,
            (None, _) => Selection::Diff,
            (Some(before), _) if before == last => Selection::Diff,
            (Some(before), Some(next)) if next.epoch() == last.epoch() => cut(last, before),
            (Some(_), _) => Selection::Snap,
        }
    }

    /// Its last record is older than those in memory.
    fn before_memory(&self, up_to: Zxid) -> Selection {
        match self.log {
            Log::Serves if up_to <= self.durable => Selection::Log { up_to },
            Log::Serves | Log::Unused => Selection::Snap,
        }
    }
}

/// To a record of the same epoch: whoever has one of an epoch has those before it, in its log or
/// in the snapshot under it.
fn cut(last: Zxid, to: Zxid) -> Selection {
    let is_sound = to.epoch() == last.epoch() && to.counter() != 0;
    if is_sound { Selection::Trunc(to) } else { Selection::Snap }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zxid(text: &str) -> Zxid {
        let (epoch, counter) = text.split_once('.').expect("epoch.counter");
        let epoch: i64 = epoch.parse().expect("a number");
        let counter: i64 = counter.parse().expect("a number");
        Zxid(epoch << 32 | counter)
    }

    fn show(selection: Selection) -> String {
        let text = |zxid: Zxid| format!("{}.{}", zxid.epoch(), zxid.counter());
        match selection {
            Selection::Diff => "DIFF".into(),
            Selection::Trunc(to) => format!("TRUNC {}", text(to)),
            Selection::Log { up_to } => format!("LOG {}", text(up_to)),
            Selection::Snap => "SNAP".into(),
        }
    }

    /// A leader of epoch 9 whose history comes from `former`, with these records in memory.
    fn own(memory: &str, committed: &str, former: u32) -> Own {
        Own {
            memory: memory.split_whitespace().map(zxid).collect(),
            committed: zxid(committed),
            durable: zxid(committed),
            epoch: 9,
            former_epoch: former,
            log: Log::Serves,
        }
    }

    #[track_caller]
    fn check(own: &Own, expected: &[(&str, &str)]) {
        for (last, selection) in expected {
            let selected = show(own.select(zxid(last)));
            assert_eq!(selected, *selection, "a learner at {last} of {own:?}");
        }
    }

    #[test]
    fn memory_decides_for_whoever_is_near() {
        check(
            &own("5.3 5.4 5.5", "5.5", 5),
            &[
                ("5.5", "DIFF"),
                ("5.4", "DIFF"),
                ("5.3", "DIFF"),
                ("5.2", "DIFF"), // The record before the oldest is one of this history.
                ("5.1", "LOG 5.2"),
                ("4.7", "LOG 5.2"),
                ("5.0", "LOG 5.2"),
                ("4.0", "LOG 5.2"),
                ("0.0", "SNAP"),
            ],
        );
        let lost = own("5.3", "5.3", 5).select(Zxid::MISSING);
        assert_eq!(lost, Selection::Snap);
    }

    #[test]
    fn who_has_more_is_cut_within_an_epoch_only() {
        let leader = own("4.9 5.1 5.2", "5.2", 5);
        check(&leader, &[("5.3", "TRUNC 5.2"), ("5.900", "TRUNC 5.2"), ("6.1", "SNAP")]);
        // Nobody else has records of epoch 6, and the beginning of an epoch is not in a log.
        check(&own("", "5.0", 5), &[("5.1", "SNAP"), ("5.0", "DIFF")]);
        check(&own("4.9", "4.9", 5), &[("5.1", "SNAP"), ("4.10", "TRUNC 4.9")]);
    }

    #[test]
    fn a_record_that_was_given_up_at_the_end_of_an_epoch_is_never_cut_there() {
        let leader = own("4.8 4.9 6.1 6.2", "6.2", 6);
        check(&leader, &[("4.10", "SNAP"), ("5.1", "SNAP"), ("4.9", "DIFF"), ("6.1", "DIFF")]);
    }

    #[test]
    fn a_gap_inside_an_epoch_is_cut_before_it() {
        check(&own("5.1 5.2 5.6", "5.6", 5), &[("5.4", "TRUNC 5.2"), ("5.3", "TRUNC 5.2")]);
    }

    #[test]
    fn the_beginning_of_an_epoch_is_where_it_found_its_history() {
        let leader = own("4.8 4.9 6.1", "6.1", 6);
        check(&leader, &[("5.0", "DIFF"), ("6.0", "DIFF"), ("7.0", "SNAP"), ("9.0", "DIFF")]);
        check(&own("4.8 4.9", "4.9", 6), &[("6.0", "DIFF"), ("5.0", "SNAP"), ("9.0", "DIFF")]);
        // The first record in memory is the first of the epoch.
        check(&own("6.1 6.2", "6.2", 6), &[("6.0", "DIFF"), ("5.0", "LOG 6.0")]);
    }

    #[test]
    fn without_records_in_memory_the_end_is_all_there_is() {
        check(
            &own("", "5.5", 5),
            &[("5.5", "DIFF"), ("5.6", "TRUNC 5.5"), ("5.4", "LOG 5.5"), ("0.0", "SNAP")],
        );
        check(&own("", "0.0", 0), &[("0.0", "DIFF"), ("0.5", "SNAP")]);
    }

    #[test]
    fn the_log_serves_only_where_it_may_and_is_synced() {
        let mut leader = own("5.3 5.4", "5.4", 5);
        leader.durable = zxid("5.1");
        check(&leader, &[("4.1", "SNAP"), ("5.2", "DIFF")]);
        leader.durable = zxid("5.2");
        check(&leader, &[("4.1", "LOG 5.2")]);
        leader.log = Log::Unused;
        check(&leader, &[("4.1", "SNAP"), ("5.2", "DIFF"), ("5.9", "TRUNC 5.4")]);
    }

    /// Whatever the histories are, what is kept of the learner's is a prefix of the leader's, and
    /// what it is sent makes it whole.
    #[test]
    fn every_selection_makes_the_histories_equal() {
        arbtest::arbtest(|u| {
            // A history of epochs, each with its records from 1 on.
            let mut records = Vec::new();
            let mut epoch = 0;
            for _ in 0..u.int_in_range(1..=3)? {
                epoch += u.int_in_range(1..=2)?;
                let count: i64 = u.int_in_range(1..=4)?;
                records.extend((1..=count).map(|counter| Zxid((epoch << 32) + counter)));
            }
            let in_memory: usize = u.int_in_range(0..=records.len())?;
            let own = Own {
                memory: records[records.len() - in_memory..].to_vec(),
                committed: records[records.len() - 1],
                durable: records[records.len() - 1],
                epoch: 9,
                former_epoch: u32::try_from(epoch).expect("small"),
                log: Log::Serves,
            };
            // A learner that has some of it and perhaps more of the same epoch.
            let shared: usize = u.int_in_range(1..=records.len())?;
            let mut learner = records[..shared].to_vec();
            let extra: i64 = u.int_in_range(0..=2)?;
            let last = learner[shared - 1];
            let is_epochs_end = records.get(shared).is_none_or(|next| next.epoch() != last.epoch());
            if is_epochs_end {
                learner.extend((1..=extra).map(|more| Zxid(last.0 + more)));
            }
            let end = learner[learner.len() - 1];
            match own.select(end) {
                Selection::Diff => {
                    learner.extend(own.memory.iter().filter(|zxid| **zxid > end));
                }
                Selection::Trunc(to) => {
                    assert!(learner.contains(&to), "{to} is in its log");
                    learner.retain(|zxid| *zxid <= to);
                    learner.extend(own.memory.iter().filter(|zxid| **zxid > to));
                }
                Selection::Log { up_to } => {
                    // The log says itself that it does not know the learner's last record.
                    if !records.contains(&end) {
                        return Ok(());
                    }
                    learner.extend(records.iter().filter(|z| **z > end && **z <= up_to));
                    learner.extend(own.memory.iter());
                }
                Selection::Snap => learner = records.clone(),
            }
            assert_eq!(learner, records, "{own:?}");
            Ok(())
        });
    }
}
