//! `bellwether log cut`: everything after one transaction is taken away, logs and snapshots alike.
//!
//! A snapshot that is newer than the cut, or was being written when what is cut happened, would
//! bring it back at the next start: it is named, and set aside only where that is asked for.

use super::ask::{Answer, ask};
use super::hold::Hold;
use super::json::Object;
use super::log_plan::Survey;
use super::log_recover::copy;
use super::log_verify::say_verdict;
use super::options::Options;
use super::out::Out;
use super::preview;
use super::target::{self, Target};
use super::{Done, Failure, Found, describe};
use bellwether_store::{
    OsDisk, Piece, Salvage, SnapshotReader, Until, forget_synced, set_aside, shorten_log,
    snapshot_reach,
};
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// What a cut changes.
#[derive(Default)]
struct Plan {
    /// The log that is shortened, from this offset on.
    shorten: Option<(PathBuf, u64)>,
    /// Logs of which nothing stays, the newest first.
    logs: Vec<PathBuf>,
    /// Snapshots that hold effects of what is cut, the newest first, with the newest effect.
    snapshots: Vec<(PathBuf, Zxid)>,
    /// Transactions that go, and the last that stays.
    count: u64,
    last: Zxid,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let Some(after) = options.after else {
        return Err(Failure::Usage(
            "cut needs --after ZXID, the last transaction that stays.".to_owned(),
        ));
    };
    match (Target::find(options.target())?, &options.output) {
        (Target::Directory(dir), None) => cut(&dir, after, options, out),
        (Target::File(file), Some(output)) => copy(&file, output, Until::Last(after), out),
        (Target::Directory(_), Some(_)) => {
            Err(Failure::Usage("--output is for one log: give the FILE.".to_owned()))
        }
        (Target::File(file), None) => Err(Failure::Usage(format!(
            "{} is one log of a directory, whose later logs and snapshots would bring back what \
             is cut: give the DIR, or --output FILE for a copy of this log.",
            file.display()
        ))),
    }
}

fn cut(dir: &Path, after: Zxid, options: &Options, out: &mut Out) -> Done {
    let _hold = Hold::to_change(dir)?;
    let survey = Survey::read(dir, options)?;
    let _hold_snapshots = match &options.snapshots {
        Some(_) => Some(Hold::to_change(&survey.snapshot_dir)?),
        None => None,
    };
    if let Some(why) = damaged_before(&survey, after) {
        return refuse(&why, out);
    }
    let plan = Plan::make(&survey, after)?;
    if plan.shorten.is_none() && plan.logs.is_empty() && plan.snapshots.is_empty() {
        let last = plan.last;
        out.text(|| format!("nothing comes after {after}: the last transaction is {last}"))?;
        return Ok(Found::Nothing);
    }
    say_plan(&plan, out)?;
    if let Some(why) = plan.without_base(&survey, after) {
        return refuse(&why, out);
    }
    if !plan.snapshots.is_empty() && !options.with_snapshots {
        return refuse(
            "these snapshots would bring back what is cut; with --with-snapshots they are set \
             aside, too",
            out,
        );
    }
    let question = format!("Take away everything after {after}? It is kept beside the logs.");
    if ask(options, out, &question)? == Answer::Leave {
        return Ok(Found::Something);
    }
    plan.perform(&survey, out)?;
    let survey = Survey::read(dir, options)?;
    let preview = preview::preview(dir, &survey.snapshot_dir, options.record_bytes_max);
    say_verdict(&survey, &preview, out)?;
    Ok(if preview.outcome.is_ok() { Found::Nothing } else { Found::Something })
}

fn refuse(why: &str, out: &mut Out) -> Done {
    out.say(|| format!("nothing was changed: {why}"), || Object::new("refused").text("what", why))?;
    Ok(Found::Something)
}

/// A cut does not mend what stands before it.
fn damaged_before(survey: &Survey, after: Zxid) -> Option<String> {
    let losses = survey.logs.iter().flat_map(|log| log.holes.iter().map(move |loss| (log, loss)));
    let (log, loss) =
        losses.into_iter().find(|(_, loss)| loss.before.is_some_and(|before| before <= after))?;
    Some(format!(
        "{} is {}, before {after}; first run bellwether log recover {}",
        log.path.display(),
        describe::hole(&loss.hole),
        survey.dir.display()
    ))
}

impl Plan {
    fn make(survey: &Survey, after: Zxid) -> Result<Plan, Failure> {
        let mut plan = Plan::default();
        let mut last = Zxid::ZERO;
        for log in &survey.logs {
            let mut salvage = Salvage::open(&OsDisk, &log.path, last)?;
            let (mut stays, mut from, mut goes) = (0_u64, None, 0_u64);
            while let Some(piece) = salvage.step()? {
                match piece {
                    Piece::Record(found) if found.record.header.zxid <= after => {
                        stays += 1;
                        last = found.record.header.zxid;
                    }
                    Piece::Record(found) => {
                        goes += 1;
                        from = from.or(Some(found.offset));
                    }
                    Piece::Hole(hole) => from = from.or(Some(hole.offset)),
                }
            }
            plan.count += goes;
            match from {
                Some(from) if stays > 0 => plan.shorten = Some((log.path.clone(), from)),
                None if stays > 0 || target::first_of(&log.path) <= after => {}
                Some(_) | None => plan.logs.push(log.path.clone()),
            }
        }
        plan.logs.reverse();
        plan.last = last;
        for (zxid, path) in survey.contents.snapshots.iter().rev() {
            // One that cannot be read is passed over by every start; its name decides.
            let reach = snapshot_reach(&OsDisk, path).unwrap_or(*zxid).max(*zxid);
            if reach > after {
                plan.snapshots.push((path.clone(), reach));
            }
        }
        Ok(plan)
    }

    /// Why no server could start with what stays.
    fn without_base(&self, survey: &Survey, after: Zxid) -> Option<String> {
        let goes = |path: &Path| self.snapshots.iter().any(|(gone, _)| gone == path);
        let sound = |path: &Path| SnapshotReader::verify(&OsDisk, path).is_ok();
        let mut stay = survey.contents.snapshots.iter().rev().filter(|(_, path)| !goes(path));
        let Some((base, name)) = stay.find(|(_, path)| sound(path)) else {
            return Some(format!(
                "no sound snapshot up to {after} would be left, so that no server could start; \
                 take an earlier state from a backup"
            ));
        };
        let kept = survey.logs.iter().filter(|log| !self.logs.contains(&log.path));
        let mut firsts = kept.map(|log| target::first_of(&log.path));
        let reaches = |first: Zxid| first.0 <= base.0 + 1 || first.epoch() > base.epoch();
        let covered = *base >= self.last || firsts.any(reaches);
        (!covered).then(|| {
            let name = target::name(name);
            format!("the logs do not reach back to {name}, the newest snapshot that would stay")
        })
    }

    /// Snapshots first and the newest logs first, so that what stays is in order at any moment.
    fn perform(&self, survey: &Survey, out: &mut Out) -> Result<(), Failure> {
        forget_synced(&OsDisk, &survey.dir)?;
        for path in self.snapshots.iter().map(|(path, _)| path).chain(&self.logs) {
            let kept = set_aside(&OsDisk, path)?;
            say_kept("set aside", path, &kept, out)?;
        }
        if let Some((path, offset)) = &self.shorten {
            let kept = shorten_log(&OsDisk, path, *offset)?;
            say_kept("shortened", path, &kept, out)?;
        }
        Ok(())
    }
}

fn say_kept(done: &str, path: &Path, kept: &Path, out: &mut Out) -> Result<(), Failure> {
    let (path, kept) = (path.display().to_string(), kept.display().to_string());
    out.say(
        || format!("{done} {path}; what was there: {kept}"),
        || Object::new(done).text("file", &path).text("kept", &kept),
    )
}

fn say_plan(plan: &Plan, out: &mut Out) -> Result<(), Failure> {
    let (count, last) = (plan.count, plan.last);
    out.say(
        || format!("{count} transactions go; the last that stays is {last}"),
        || Object::new("plan").number("transactions", count).text("last", last),
    )?;
    if let Some((path, offset)) = &plan.shorten {
        let path = path.display().to_string();
        out.say(
            || format!("{path} is to end at offset {offset}"),
            || Object::new("shorten").text("file", &path).number("offset", offset),
        )?;
    }
    for path in &plan.logs {
        let path = path.display().to_string();
        out.say(
            || format!("{path} goes as a whole"),
            || Object::new("remove").text("file", &path),
        )?;
    }
    for (path, reach) in &plan.snapshots {
        let path = path.display().to_string();
        out.say(
            || format!("{path} holds effects of transactions up to {reach}"),
            || Object::new("snapshot").text("file", &path).text("reach", reach),
        )?;
    }
    Ok(())
}
