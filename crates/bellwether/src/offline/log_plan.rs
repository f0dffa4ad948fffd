//! All logs of a directory in order: what each holds, where it is damaged, and what is lost.

use super::Failure;
use super::describe;
use super::options::Options;
use super::target::{self, Target};
use bellwether_store::{
    Contents, Follows, Hole, OsDisk, Piece, Salvage, Synced, newest_sound_snapshot,
};
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// One log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file_bytes: u64,
    pub(super) records: u64,
    pub(super) first: Option<Zxid>,
    pub(super) last: Option<Zxid>,
    /// Whether a record carries a mark of ours.
    pub(super) marked: bool,
    pub(super) holes: Vec<Loss>,
    /// Places where a record's mark says that records before it are missing.
    pub(super) gaps: Vec<Gap>,
}

/// A damaged place and what it cost.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) hole: Hole,
    /// The next sound record, in this log or a later one.
    pub(super) before: Option<Zxid>,
}

/// Records that are missing although nothing is damaged.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) offset: u64,
    pub(super) after: Zxid,
    pub(super) before: Zxid,
}

/// The logs of a directory and what is known besides.
pub(super) struct Survey {
    pub(super) dir: PathBuf,
    pub(super) snapshot_dir: PathBuf,
    pub(super) contents: Contents,
    pub(super) logs: Vec<Log>,
    pub(super) snapshot: Option<(Zxid, PathBuf)>,
    pub(super) side: Option<Synced>,
}

impl Survey {
    /// Reads every log of a directory.
    pub(super) fn read(dir: &Path, options: &Options) -> Result<Survey, Failure> {
        let contents = target::contents(dir)?;
        let snapshot_dir = match &options.snapshots {
            Some(given) => Target::directory(given)?,
            None => dir.to_path_buf(),
        };
        let snapshots = target::contents(&snapshot_dir)?;
        let mut survey = Survey {
            dir: dir.to_path_buf(),
            snapshot: newest_sound_snapshot(&OsDisk, &snapshots),
            side: Synced::read(&OsDisk, dir),
            contents: Contents { snapshots: snapshots.snapshots, ..contents },
            snapshot_dir,
            logs: Vec::new(),
        };
        let mut follows = survey.start();
        for (_, path) in survey.contents.logs.clone() {
            let log = Log::read(&path, &mut follows)?;
            survey.logs.push(log);
        }
        survey.find_ends();
        Ok(survey)
    }

    /// What the first record of the oldest log may follow.
    pub(super) fn start(&self) -> Follows {
        Follows { last: None, snapshot: self.snapshot.as_ref().map(|(zxid, _)| *zxid) }
    }

    /// The last sound record of all.
    pub(super) fn last(&self) -> Option<Zxid> {
        self.logs.iter().filter_map(|log| log.last).max()
    }

    /// The transaction that must follow a log: the first of a later one, or the one after those
    /// of which it is known that they were acknowledged. What the snapshot has may be missing.
    pub(super) fn next_after(&self, n: usize) -> Option<Zxid> {
        let later = self.logs.get(n + 1..).unwrap_or_default();
        let first = later.iter().find_map(|log| log.first);
        let synced = self.side.map(|side| Zxid(side.last.0.saturating_add(1)));
        let snapshot = self.snapshot.as_ref().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        first.or(synced).filter(|next| next.0 > snapshot.0 + 1)
    }

    /// What is lost at a damaged place, in words.
    pub(super) fn lost(&self, loss: &Loss) -> String {
        let after = loss.hole.after;
        let known = self.side.map(|side| side.last).filter(|synced| *synced > after);
        let lost = match (loss.before, known, &loss.hole.guess) {
            (Some(before), _, _) => describe::between(after, before),
            (None, Some(synced), _) => format!(
                "{} (bellwether.synced says that {synced} was acknowledged)",
                describe::between(after, Zxid(synced.0.saturating_add(1)))
            ),
            (None, None, Some(guess)) => {
                format!("what followed {after}; by its looks {} at least", guess.header.zxid)
            }
            (None, None, None) => format!("what followed {after}, if anything did"),
        };
        match &self.snapshot {
            Some((zxid, path))
                if loss
                    .before
                    .is_some_and(|before| (after.0 + 1..=zxid.0).contains(&(before.0 - 1))) =>
            {
                format!("{lost}, whose effects {} holds", target::name(path))
            }
            Some(_) | None => lost,
        }
    }

    /// Gives each damaged place the next sound record, wherever it stands.
    fn find_ends(&mut self) {
        let mut next: Option<Zxid> = None;
        for log in self.logs.iter_mut().rev() {
            for loss in log.holes.iter_mut().rev() {
                loss.before = loss.before.or(next);
            }
            next = log.first.or(next);
        }
    }
}

impl Log {
    /// Reads a log to its end; what may follow it is left in `follows`.
    pub(super) fn read(path: &Path, follows: &mut Follows) -> Result<Log, Failure> {
        let mut salvage = Salvage::open(&OsDisk, path, follows.last.unwrap_or(Zxid::ZERO))?;
        let mut log = Log {
            path: path.to_path_buf(),
            file_bytes: salvage.file_bytes(),
            records: 0,
            first: None,
            last: None,
            marked: false,
            holes: Vec::new(),
            gaps: Vec::new(),
        };
        while let Some(piece) = salvage.step()? {
            let found = match piece {
                Piece::Record(found) => found,
                Piece::Hole(hole) => {
                    log.holes.push(Loss { hole, before: None });
                    continue;
                }
            };
            let zxid = found.record.header.zxid;
            let after_hole = log.holes.last().is_some_and(|loss| loss.before.is_none());
            if !after_hole && !follows.takes(&found) {
                let after = follows.newest().expect("what does not follow has something before");
                log.gaps.push(Gap { offset: found.offset, after, before: zxid });
            }
            for loss in log.holes.iter_mut().filter(|loss| loss.before.is_none()) {
                loss.before = Some(zxid);
            }
            log.records += 1;
            log.first = log.first.or(Some(zxid));
            log.last = Some(zxid);
            log.marked |= found.mark.is_some();
            follows.last = Some(zxid);
        }
        Ok(log)
    }

    /// Whether a part of it is damaged or missing, other than right before its first record.
    pub(super) fn is_damaged_within(&self) -> bool {
        !self.holes.is_empty() || self.gaps.iter().any(|gap| Some(gap.before) != self.first)
    }

    /// Whether its first record follows this one, as far as anything says otherwise.
    pub(super) fn is_joined_to(&self, last: Option<Zxid>) -> bool {
        let mut gaps = self.gaps.iter().filter(|gap| Some(gap.before) == self.first);
        gaps.all(|gap| last.is_some_and(|last| last.0 + 1 == gap.before.0))
    }

    /// Whether transactions are missing between its last record and what comes next.
    pub(super) fn is_cut_before(&self, next: Option<Zxid>) -> bool {
        match (self.last, next) {
            (Some(last), Some(next)) => last.epoch() == next.epoch() && last.0 + 1 < next.0,
            (Some(_) | None, _) => false,
        }
    }
}
