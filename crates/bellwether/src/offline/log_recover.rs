//! `bellwether log recover`: logs are written again without what is damaged, so that a server
//! starts. What is lost is said before, by its zxids; what was there is kept.

use super::ask::{Answer, ask};
use super::hold::Hold;
use super::json::Object;
use super::log_plan::{Log, Survey};
use super::log_verify::{say_damage, say_verdict};
use super::options::Options;
use super::out::Out;
use super::preview::{self, Preview};
use super::target::Target;
use super::{Done, Failure, Found, describe};
use bellwether_store::{
    Corruption, Follows, OsDisk, Planned, StoreError, Until, copy_sound, forget_synced,
    replace_log, set_aside,
};
use bellwether_wire::Zxid;
use std::path::Path;

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    match (Target::find(options.target())?, &options.output) {
        (Target::Directory(dir), None) => recover(&dir, options, out),
        (Target::File(file), Some(output)) => copy(&file, output, Until::End, out),
        (Target::Directory(_), Some(_)) => {
            Err(Failure::Usage("--output is for one log: give the FILE.".to_owned()))
        }
        (Target::File(file), None) => Err(Failure::Usage(format!(
            "{} is one log of a directory, whose other logs and snapshots decide what it means: \
             give the DIR, or --output FILE for a copy of this log.",
            file.display()
        ))),
    }
}

/// Writes a copy of one log without what is damaged, or up to a transaction.
pub(super) fn copy(file: &Path, output: &Path, until: Until, out: &mut Out) -> Done {
    let log = Log::read(file, &mut Follows::default())?;
    let copied = copy_sound(&OsDisk, (file, output), Follows::default(), until)?;
    for loss in &log.holes {
        out.say(
            || describe::hole(&loss.hole),
            || describe::hole_object(&file.display().to_string(), &loss.hole),
        )?;
    }
    let (output, records, holes) = (output.display(), copied.records, copied.holes);
    out.say(
        || format!("wrote {output}: {records} transactions, without {holes} damaged places"),
        || {
            let object = Object::new("copy").text("file", output.to_string());
            object.number("transactions", records).number("damaged", holes)
        },
    )?;
    Ok(Found::Nothing)
}

fn recover(dir: &Path, options: &Options, out: &mut Out) -> Done {
    let _hold = Hold::to_change(dir)?;
    let survey = Survey::read(dir, options)?;
    let _hold_snapshots = match &options.snapshots {
        Some(_) => Some(Hold::to_read(&survey.snapshot_dir)?),
        None => None,
    };
    let preview = preview::preview(dir, &survey.snapshot_dir, options.record_bytes_max);
    let found = say_damage(&survey, &preview.planned, out)?;
    let end_is_missing = say_missing_end(&survey, &preview, out)?;
    if found == Found::Nothing && !end_is_missing {
        out.text(|| "nothing is to be recovered".to_owned())?;
        return say_verdict(&survey, &preview, out);
    }
    if survey.snapshot_dir.join("acceptedEpoch").exists() {
        // A member whose gaps are filled in has another history than the others.
        out.text(|| {
            "this is the directory of a member of an ensemble: if the other members are a quorum, \
             move the content of version-2 away (not myid) and start the member instead; they \
             bring everything back, and what is filled in here would differ from theirs"
                .to_owned()
        })?;
    }
    let question = "Write the damaged logs again without what is damaged? What was there is kept.";
    if ask(options, out, question)? == Answer::Leave {
        return Ok(Found::Something);
    }
    perform(&survey, &preview.planned, out)?;
    let survey = Survey::read(dir, options)?;
    let preview = preview::preview(dir, &survey.snapshot_dir, options.record_bytes_max);
    say_verdict(&survey, &preview, out)?;
    Ok(if preview.outcome.is_ok() { Found::Nothing } else { Found::Something })
}

/// Whether the logs end before what was synced, and nothing shows where the rest was.
fn say_missing_end(survey: &Survey, preview: &Preview, out: &mut Out) -> Result<bool, Failure> {
    let Err(StoreError::Corrupt { path, offset, corruption }) = &preview.outcome else {
        return Ok(false);
    };
    let (Corruption::MissingEnd { .. } | Corruption::SyncedBySideFile { .. }) = corruption else {
        return Ok(false);
    };
    let Some(side) = survey.side else { return Ok(false) };
    let last = survey
        .last()
        .unwrap_or(Zxid::ZERO)
        .max(survey.snapshot.as_ref().map_or(Zxid::ZERO, |s| s.0));
    if side.last > last {
        let path = path.display();
        let lost = describe::between(last, Zxid(side.last.0.saturating_add(1)));
        out.say(
            || format!("{path}, offset {offset}: {corruption}\n  lost: {lost}"),
            || {
                let object = Object::new("damage").text("file", path.to_string());
                object.number("offset", offset).text("what", corruption).text("lost", &lost)
            },
        )?;
    }
    Ok(true)
}

/// Writes again what is damaged, the oldest log first; a start's own repairs are left to it.
fn perform(survey: &Survey, planned: &[Planned], out: &mut Out) -> Result<(), Failure> {
    if forget_synced(&OsDisk, &survey.dir)? {
        out.text(|| {
            "removed bellwether.synced, which speaks of the logs as they were; the next start \
             writes it again"
                .to_owned()
        })?;
    }
    let mut follows = survey.start();
    for (n, log) in survey.logs.iter().enumerate() {
        let removed_by_a_start = planned.iter().any(|planned| match planned {
            Planned::Remove { log: path } => *path == log.path,
            Planned::Cut { .. } => false,
        });
        if removed_by_a_start {
            continue;
        }
        let next = survey.next_after(n);
        let joined = log.is_joined_to(follows.last);
        if joined && !log.is_damaged_within() && !log.is_cut_before(next) {
            follows.last = log.last.or(follows.last);
        } else {
            mend(log, next, &mut follows, out)?;
        }
    }
    Ok(())
}

fn mend(
    log: &Log,
    next: Option<Zxid>,
    follows: &mut Follows,
    out: &mut Out,
) -> Result<(), Failure> {
    let path = log.path.display();
    if log.records == 0 && log.holes.is_empty() {
        return Ok(()); // Nothing but a header: a log that was only begun.
    }
    if log.records == 0 {
        let kept = set_aside(&OsDisk, &log.path)?;
        let kept = kept.display();
        return out.say(
            || format!("set aside {path}, which has no sound record: {kept}"),
            || {
                Object::new("set-aside")
                    .text("file", path.to_string())
                    .text("kept", kept.to_string())
            },
        );
    }
    let until = next.map_or(Until::End, Until::Next);
    let (copied, kept) = replace_log(&OsDisk, &log.path, *follows, until)?;
    *follows = copied.follows;
    let (records, filled, kept) = (copied.records, copied.filled, kept.display());
    out.say(
        || {
            format!(
                "wrote {path} again: {records} transactions, and {filled} failed ones in place of \
                 what is lost; as it was: {kept}"
            )
        },
        || {
            let object = Object::new("mended").text("file", path.to_string());
            let object = object.number("transactions", records).number("filled", filled);
            object.text("kept", kept.to_string())
        },
    )
}
