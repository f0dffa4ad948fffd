//! What a start of an ensemble's member does beyond that of a server which stands alone.
//!
//! What it must keep true:
//! - transactions that were taken over in a synchronisation which did not end (its NEWLEADER was
//!   never acknowledged, so that `currentEpoch` is older than they are) are not shown to anybody:
//!   they are cut back, if what was there before is whole, and otherwise the start is refused;
//! - nothing is missing between the snapshot and the last transaction: a member that has forgotten
//!   what it acknowledged could let an ensemble forget it.
//!
//! Left to others: what files and numbers mean (`epochs.rs`), what can be cut (`truncate.rs`).

use crate::disk::Disk;
use crate::epochs::{self, EpochFiles, Epochs, Standing};
use crate::error::{EpochProblem, StoreError};
use crate::layout;
use crate::limits::{RECENT_BYTES_MAX, SNAPSHOTS_TRIED_MAX};
use crate::log_reader::LogRecord;
use crate::names;
use crate::notice::{Notice, Notify};
use crate::options::StoreOptions;
use crate::snapshot_reader::SnapshotReader;
use crate::truncate::{self, succeeds_beside};
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use std::collections::VecDeque;

/// The epochs during a recovery.
pub(crate) struct Membership {
    files: EpochFiles,
    /// What they came to, once the last transaction is known.
    settled: Option<Epochs>,
}

impl Membership {
    /// Reads the epochs, and cuts back what an unfinished synchronisation has left.
    pub(crate) fn open(
        disk: &dyn Disk,
        options: &StoreOptions,
        notify: &mut Notify,
    ) -> Result<Membership, StoreError> {
        let files = EpochFiles::read(disk, options)?;
        if let Some(written) = files.current
            && let Some(last) = newest(disk, options, written)?
        {
            match epochs::judge(&files, last).map_err(|problem| refusal(options, problem))? {
                Standing::Settled(_) => {}
                Standing::Unfinished { accepted, current } => {
                    undo(disk, options, notify, (accepted, current, last))?;
                }
            }
        }
        Ok(Membership { files, settled: None })
    }

    /// Compares the epochs with the last transaction.
    pub(crate) fn settle(&mut self, options: &StoreOptions, last: Zxid) -> Result<(), StoreError> {
        match epochs::judge(&self.files, last).map_err(|problem| refusal(options, problem))? {
            Standing::Settled(epochs) => {
                self.settled = Some(epochs);
                Ok(())
            }
            // It was undone before anything was read, unless the files were changed since.
            Standing::Unfinished { accepted, current } => {
                Err(refusal(options, EpochProblem::Unfinished { current, accepted, last }))
            }
        }
    }

    /// What the epochs came to.
    pub(crate) fn settled(&self) -> Option<Epochs> {
        self.settled
    }

    /// Whether the history of this epoch was taken over whole. `last` is the last transaction.
    pub(crate) fn has_history_of(&self, epoch: u32, last: Zxid) -> bool {
        epoch <= self.files.current.unwrap_or(last.epoch())
    }

    /// Writes what was decided.
    pub(crate) fn write(&self, disk: &dyn Disk, options: &StoreOptions) -> Result<(), StoreError> {
        let epochs = self.settled.expect("the state was read to its end");
        self.files.settle(disk, options, epochs)
    }
}

fn refusal(options: &StoreOptions, problem: EpochProblem) -> StoreError {
    StoreError::Epoch { path: options.snapshot_dir().join(names::CURRENT_EPOCH), problem }
}

/// The last transaction there is, if its epoch is beyond `current`.
fn newest(
    disk: &dyn Disk,
    options: &StoreOptions,
    current: u32,
) -> Result<Option<Zxid>, StoreError> {
    let beyond = |zxid: &Zxid| zxid.epoch() > current;
    let logged = truncate::last_logged(disk, options)?.filter(beyond);
    let dir = options.snapshot_dir();
    let snapshots = layout::snapshots(disk, &dir)?;
    // Sound ones alone count; to find out takes a while, and hardly ever is there one to look at.
    let saved = snapshots
        .iter()
        .rev()
        .take(SNAPSHOTS_TRIED_MAX)
        .take_while(|(zxid, _)| beyond(zxid))
        .find(|(_, name)| SnapshotReader::verify(disk, &dir.join(name)).is_ok())
        .map(|(zxid, _)| *zxid);
    Ok(logged.max(saved))
}

/// Brings back the state before a synchronisation that did not end.
fn undo(
    disk: &dyn Disk,
    options: &StoreOptions,
    notify: &mut Notify,
    (accepted, current, last): (u32, u32, Zxid),
) -> Result<(), StoreError> {
    let limit = Zxid(Zxid::first_of(current).0 | i64::from(u32::MAX));
    let Some(plan) = truncate::plan(disk, options, limit)? else {
        return Err(refusal(options, EpochProblem::Unfinished { current, accepted, last }));
    };
    let kept = plan.cutback.perform(disk, options)?;
    notify(&Notice::SynchronisationUndone { current, accepted, last, to: plan.to, kept });
    Ok(())
}

/// Whether nothing is missing before a record that the snapshot lacks: it follows the record before
/// it or the snapshot, and no broken snapshot says that there was something in between.
pub(crate) fn is_whole(
    record: &LogRecord,
    (last, snapshot): (Option<Zxid>, Option<Zxid>),
    skipped: &[Zxid],
) -> bool {
    let mut known = [last, snapshot].into_iter().flatten().peekable();
    known.peek().is_none() || known.any(|known| succeeds_beside(known, record, skipped))
}

/// The last records of a recovery, without a gap between them.
pub(crate) struct Recent {
    records: VecDeque<(TxnRecord, u64)>,
    bytes: u64,
    records_max: usize,
    /// The snapshots that are there.
    snapshots: Vec<Zxid>,
}

impl Recent {
    /// Keeps so many records of logs beside which these snapshots stand.
    pub(crate) fn new(records_max: usize, snapshots: Vec<Zxid>) -> Recent {
        Recent { records: VecDeque::new(), bytes: 0, records_max, snapshots }
    }

    /// Takes a record, and forgets what is too old or does not lead to it.
    pub(crate) fn push(&mut self, record: &LogRecord) {
        if self.records_max == 0 {
            return;
        }
        if self.last().is_some_and(|last| !succeeds_beside(last, record, &self.snapshots)) {
            self.records.clear();
            self.bytes = 0;
        }
        let bytes = record.end - record.offset;
        self.bytes += bytes;
        self.records.push_back((record.record.clone(), bytes));
        while self.records.len() > self.records_max || self.bytes > RECENT_BYTES_MAX {
            let Some((_, bytes)) = self.records.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    fn last(&self) -> Option<Zxid> {
        self.records.back().map(|(record, _)| record.header.zxid)
    }

    /// Hands them out, the oldest first.
    pub(crate) fn take(&mut self, last: Zxid) -> Vec<TxnRecord> {
        // Where the snapshot is ahead of the logs they are no end of the history.
        let current = self.last() == Some(last);
        self.bytes = 0;
        let all = std::mem::take(&mut self.records);
        all.into_iter().filter(|_| current).map(|(record, _)| record).collect()
    }
}
