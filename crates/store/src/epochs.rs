//! The epochs of a member of an ensemble: `acceptedEpoch` and `currentEpoch` in the `version-2` of
//! `dataDir`, as Apache writes them.
//!
//! `acceptedEpoch` is the last epoch that the member promised to follow, `currentEpoch` the last
//! one whose leader's history it has taken over whole. Both are written before the message that
//! announces them: when [`save_accepted`] or [`save_current`] has returned `Ok`, the number is on
//! stable storage; after a failure either number may be there, so that the member must stop.
//!
//! A start compares them with the last transaction ([`judge`]). A server that stands alone passes
//! over them, as Apache's does.

use crate::disk::{Access, Disk};
use crate::durable::sync_dir;
use crate::error::{EpochProblem, StoreError};
use crate::limits::EPOCH_BYTES_MAX;
use crate::names;
#[cfg(feature = "canaries")]
use crate::options::Break;
use crate::options::StoreOptions;
use crate::repair::failed;
use bellwether_wire::Zxid;
use std::io;
use std::path::Path;

/// What a member has promised, and what it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// The last epoch that it promised to follow.
    pub accepted: u32,
    /// The last epoch whose history it has. Invariant: `current <= accepted`.
    pub current: u32,
}

/// What stands in the files. `None` where there is no such file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochFiles {
    pub(crate) accepted: Option<u32>,
    pub(crate) current: Option<u32>,
    /// A `currentEpoch` that was written but did not get its name.
    pub(crate) current_unnamed: Option<u32>,
}

/// What the files and the last transaction come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The member has the history of its current epoch.
    Settled(Epochs),
    /// Transactions of an epoch are there that the member has promised to follow and whose history
    /// it has not taken over: a synchronisation began and did not end.
    Unfinished { accepted: u32, current: u32 },
}

/// Writes `acceptedEpoch`.
pub fn save_accepted(
    disk: &dyn Disk,
    options: &StoreOptions,
    epoch: u32,
) -> Result<(), StoreError> {
    save(disk, options, names::ACCEPTED_EPOCH, epoch)
}

/// Writes `currentEpoch`.
pub fn save_current(disk: &dyn Disk, options: &StoreOptions, epoch: u32) -> Result<(), StoreError> {
    save(disk, options, names::CURRENT_EPOCH, epoch)
}

fn save(disk: &dyn Disk, options: &StoreOptions, name: &str, epoch: u32) -> Result<(), StoreError> {
    let dir = options.snapshot_dir();
    let (path, temporary) = (dir.join(name), dir.join(names::unnamed_epoch(name)));
    write_whole(disk, options, &temporary, epoch.to_string().as_bytes())
        .map_err(|e| failed(disk, "write", &temporary, e))?;
    disk.rename(&temporary, &path).map_err(|e| failed(disk, "replace", &path, e))?;
    sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync the name of", &path, e))
}

#[cfg_attr(not(feature = "canaries"), expect(unused_variables, reason = "only canaries ask"))]
fn write_whole(
    disk: &dyn Disk,
    options: &StoreOptions,
    path: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    let mut file = disk.create(path)?;
    file.write_at(0, bytes)?;
    #[cfg(feature = "canaries")]
    if options.is_broken(Break::RenameBeforeSync) {
        return Ok(());
    }
    // A number is as durable with `forceSync=no` as without: that setting is about the log.
    file.sync_data()
}

impl EpochFiles {
    /// Reads what there is.
    pub(crate) fn read(disk: &dyn Disk, options: &StoreOptions) -> Result<EpochFiles, StoreError> {
        let dir = options.snapshot_dir();
        let unnamed = dir.join(names::unnamed_epoch(names::CURRENT_EPOCH));
        Ok(EpochFiles {
            accepted: read(disk, &dir.join(names::ACCEPTED_EPOCH))?,
            current: read(disk, &dir.join(names::CURRENT_EPOCH))?,
            // A write that was cut short has left it: what is not a number says nothing.
            current_unnamed: read(disk, &unnamed).ok().flatten(),
        })
    }

    /// Writes what a start decided where it differs, and removes what did not get its name.
    pub(crate) fn settle(
        &self,
        disk: &dyn Disk,
        options: &StoreOptions,
        epochs: Epochs,
    ) -> Result<(), StoreError> {
        if self.accepted != Some(epochs.accepted) {
            save_accepted(disk, options, epochs.accepted)?;
        }
        if self.current != Some(epochs.current) {
            return save_current(disk, options, epochs.current);
        }
        // Left there it would stand for a later synchronisation that ended in the same way.
        let dir = options.snapshot_dir();
        let unnamed = dir.join(names::unnamed_epoch(names::CURRENT_EPOCH));
        match disk.remove(&unnamed) {
            Ok(()) => sync_dir(options, disk, &dir).map_err(|e| failed(disk, "sync", &dir, e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed(disk, "remove", &unnamed, e)),
        }
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<u32>, StoreError> {
    let mut bytes = [0; EPOCH_BYTES_MAX + 1];
    let got = match disk.open(path, Access::Read).and_then(|file| file.read_at(0, &mut bytes)) {
        Ok(got) => got,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io("read", path, e)),
    };
    parse(bytes.get(..got).unwrap_or_default())
        .map(Some)
        .map_err(|problem| StoreError::Epoch { path: path.to_path_buf(), problem })
}

/// The number in a file. Blanks around it and an end of line are tolerated.
fn parse(bytes: &[u8]) -> Result<u32, EpochProblem> {
    if bytes.len() > EPOCH_BYTES_MAX {
        return Err(EpochProblem::TooLong { bytes_max: EPOCH_BYTES_MAX });
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.is_empty() {
        return Err(EpochProblem::Empty);
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EpochProblem::NotANumber { text: text.to_owned() });
    }
    if digits != text {
        return Err(EpochProblem::Negative { text: text.to_owned() });
    }
    // An epoch is the upper half of a zxid, which is not negative.
    let epoch = digits.parse::<u32>().ok().filter(|epoch| i32::try_from(*epoch).is_ok());
    epoch.ok_or_else(|| EpochProblem::TooLarge { text: text.to_owned() })
}

/// Decides what the files mean for a member whose last transaction is `last`.
pub(crate) fn judge(files: &EpochFiles, last: Zxid) -> Result<Standing, EpochProblem> {
    let epoch = last.epoch();
    let written = files.current.unwrap_or(epoch);
    let current = match files.current_unnamed {
        // The history was whole, and only the new name of the number was missing.
        Some(unnamed) if epoch > written && unnamed == epoch => unnamed,
        Some(_) | None => written,
    };
    if epoch > current {
        return match files.accepted {
            Some(accepted) if accepted >= epoch => Ok(Standing::Unfinished { accepted, current }),
            Some(_) | None => {
                Err(EpochProblem::BehindLast { current, accepted: files.accepted, last })
            }
        };
    }
    let accepted = files.accepted.unwrap_or(epoch);
    if accepted < current {
        return Err(EpochProblem::AcceptedBehindCurrent { accepted, current });
    }
    Ok(Standing::Settled(Epochs { accepted, current }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_apache_writes_it_and_a_little_more_kindly() {
        let longest = [b" ".repeat(EPOCH_BYTES_MAX - 1), b"7".to_vec()].concat();
        for (bytes, expected) in
            [(&b"0"[..], 0), (b"12", 12), (b"12\n", 12), (b" 12 \r\n", 12), (b"007", 7)]
        {
            assert_eq!(parse(bytes), Ok(expected), "{bytes:?}");
        }
        assert_eq!(parse(b"2147483647"), Ok(i32::MAX.unsigned_abs()));
        assert_eq!(parse(&longest), Ok(7));
    }

    #[test]
    fn what_is_no_epoch_is_refused_by_name() {
        let too_long = b" ".repeat(EPOCH_BYTES_MAX + 1);
        let check = |bytes: &[u8], expected: &str| {
            let said = parse(bytes).expect_err("it is no epoch").to_string();
            assert!(said.contains(expected), "{bytes:?}: {said}");
        };
        check(b"", "empty");
        check(b" \n", "empty");
        check(b"-1", "negative");
        check(b"-", "not a number");
        check(b"5x", "not a number: \"5x\"");
        check(b"5\n6", "not a number");
        check(b"\xff\xfe", "not a number");
        check(b"2147483648", "too large");
        check(b"99999999999999999999999", "too large");
        check(&too_long, "longer than");
    }

    #[test]
    fn files_and_last_transaction_are_judged_row_by_row() {
        let zxid = |epoch| Zxid(Zxid::first_of(epoch).0 + 3);
        let check = |(accepted, current, current_unnamed), epoch, expected: &str| {
            let files = EpochFiles { accepted, current, current_unnamed };
            let said = match judge(&files, zxid(epoch)) {
                Ok(Standing::Settled(e)) => format!("settled {} {}", e.accepted, e.current),
                Ok(Standing::Unfinished { accepted, current }) => {
                    format!("unfinished {accepted} {current}")
                }
                Err(EpochProblem::BehindLast { .. }) => "behind".to_owned(),
                Err(EpochProblem::AcceptedBehindCurrent { .. }) => "accepted behind".to_owned(),
                Err(other) => other.to_string(),
            };
            assert_eq!(said, expected, "{files:?} {epoch}");
        };
        // A directory that no member has used: Apache's choice.
        check((None, None, None), 5, "settled 5 5");
        check((None, None, Some(9)), 5, "settled 5 5");
        check((Some(7), None, None), 5, "settled 7 5");
        check((Some(4), None, None), 5, "accepted behind");
        check((None, Some(5), None), 5, "settled 5 5");
        check((None, Some(6), None), 5, "accepted behind");
        // A member as it should be.
        check((Some(5), Some(5), None), 5, "settled 5 5");
        check((Some(7), Some(6), None), 5, "settled 7 6");
        check((Some(7), Some(6), Some(7)), 5, "settled 7 6");
        check((Some(6), Some(7), None), 5, "accepted behind");
        // Transactions of an epoch beyond the current one.
        check((Some(5), Some(4), Some(5)), 5, "settled 5 5");
        check((None, Some(4), Some(5)), 5, "settled 5 5");
        check((Some(4), Some(3), Some(5)), 5, "accepted behind");
        check((Some(5), Some(4), None), 5, "unfinished 5 4");
        check((Some(9), Some(4), Some(9)), 5, "unfinished 9 4");
        check((Some(4), Some(4), None), 5, "behind");
        check((Some(4), Some(4), Some(7)), 5, "behind");
        check((None, Some(4), None), 5, "behind");
    }
}
