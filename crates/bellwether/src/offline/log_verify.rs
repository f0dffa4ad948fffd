//! `bellwether log verify`: what is damaged or missing, and what a start would make of it.

use super::describe;
use super::hold::Hold;
use super::json::Object;
use super::log_plan::{Log, Survey};
use super::options::Options;
use super::out::Out;
use super::preview::{self, Preview, Started};
use super::target::{self, Target};
use super::{Done, Failure, Found};
use bellwether_store::{Follows, Planned};
use std::path::Path;

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let mut found = Found::Nothing;
    for given in &options.targets {
        found = found.or(match Target::find(given)? {
            Target::File(path) => verify_file(&path, out)?,
            Target::Directory(dir) => verify_directory(&dir, options, out)?,
        });
    }
    Ok(found)
}

/// A log by itself: nothing but the bytes can be judged.
fn verify_file(path: &Path, out: &mut Out) -> Done {
    let log = Log::read(path, &mut Follows::default())?;
    say_log(&log, out)?;
    for loss in &log.holes {
        let lost = match loss.before {
            Some(before) => describe::between(loss.hole.after, before),
            None => format!("what followed {}, if anything did", loss.hole.after),
        };
        say_loss(&log, &describe::hole(&loss.hole), &lost, out)?;
    }
    if log.holes.is_empty() {
        return Ok(Found::Nothing);
    }
    out.text(|| {
        let path = path.display();
        format!(
            "next: with the directory that it stands in, bellwether log verify DIR says whether a \
             server starts, and bellwether log recover DIR repairs it; a copy without what is \
             damaged: bellwether log recover {path} --output FILE"
        )
    })?;
    Ok(Found::Something)
}

fn verify_directory(dir: &Path, options: &Options, out: &mut Out) -> Done {
    let _hold = Hold::to_read(dir)?;
    let survey = Survey::read(dir, options)?;
    let _hold_snapshots = match &options.snapshots {
        Some(_) => Some(Hold::to_read(&survey.snapshot_dir)?),
        None => None,
    };
    let preview = preview::preview(dir, &survey.snapshot_dir, options.record_bytes_max);
    let damaged = say_damage(&survey, &preview.planned, out)?;
    for path in &survey.contents.unfinished {
        say_note(&format!("{} was never finished; a start removes it", path.display()), out)?;
    }
    let verdict = say_verdict(&survey, &preview, out)?;
    let kept = survey.contents.kept.len();
    if kept > 0 {
        say_note(
            &format!("{kept} files with what was cut off or set aside before stand there"),
            out,
        )?;
    }
    Ok(damaged.or(verdict))
}

/// What is damaged or missing, log by log. What a start would cut is no loss.
pub(super) fn say_damage(
    survey: &Survey,
    planned: &[Planned],
    out: &mut Out,
) -> Result<Found, Failure> {
    let mut found = Found::Nothing;
    for log in &survey.logs {
        say_log(log, out)?;
        for loss in &log.holes {
            let repaired_by_a_start = planned.iter().any(|planned| match planned {
                Planned::Cut { log: path, offset, .. } => {
                    *path == log.path && *offset == loss.hole.offset
                }
                Planned::Remove { log: path } => *path == log.path,
            });
            let lost = if repaired_by_a_start {
                "nothing: it was never acknowledged".to_owned()
            } else {
                found = Found::Something;
                survey.lost(loss)
            };
            say_loss(log, &describe::hole(&loss.hole), &lost, out)?;
        }
        for gap in &log.gaps {
            found = Found::Something;
            let what = format!(
                "the record at offset {} follows another one than transaction {}",
                gap.offset, gap.after
            );
            say_loss(log, &what, &describe::between(gap.after, gap.before), out)?;
        }
    }
    Ok(found)
}

fn say_log(log: &Log, out: &mut Out) -> Result<(), Failure> {
    let range = match (log.first, log.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (_, _) => "none".to_owned(),
    };
    let writer = if log.marked { "batches marked" } else { "no marks" };
    out.say(
        || {
            let (path, bytes, records) = (log.path.display(), log.file_bytes, log.records);
            format!("{path}: {bytes} bytes, {records} transactions, {range}, {writer}")
        },
        || {
            let object = Object::new("log").text("file", log.path.display());
            let object = object.number("bytes", log.file_bytes).number("transactions", log.records);
            let object = object.text("range", &range).flag("marked", log.marked);
            object.number("damaged", log.holes.len() + log.gaps.len())
        },
    )
}

fn say_loss(log: &Log, what: &str, lost: &str, out: &mut Out) -> Result<(), Failure> {
    let path = log.path.display();
    out.say(
        || format!("{path}: {what}\n  lost: {lost}"),
        || {
            Object::new("damage")
                .text("file", path.to_string())
                .text("what", what)
                .text("lost", lost)
        },
    )
}

fn say_note(text: &str, out: &mut Out) -> Result<(), Failure> {
    out.say(|| format!("note: {text}"), || Object::new("note").text("what", text))
}

/// What a start would do.
pub(super) fn say_verdict(
    survey: &Survey,
    preview: &Preview,
    out: &mut Out,
) -> Result<Found, Failure> {
    for notice in &preview.notices {
        out.say(
            || format!("a server would warn: {notice}"),
            || Object::new("warning").text("what", notice),
        )?;
    }
    for planned in &preview.planned {
        let text = describe_planned(planned);
        out.say(|| format!("a start {text}"), || Object::new("planned").text("what", &text))?;
    }
    let warned = if preview.notices.is_empty() { Found::Nothing } else { Found::Something };
    match &preview.outcome {
        Ok(started) => {
            let text = describe_start(started, survey);
            out.say(
                || format!("a server starts with it: {text}"),
                || {
                    let object = Object::new("verdict").flag("starts", true).text("what", &text);
                    object.text("last", started.last).number("replayed", started.transactions)
                },
            )?;
            Ok(warned)
        }
        Err(error) => {
            out.say(
                || format!("a server does not start with it: {error}"),
                || Object::new("verdict").flag("starts", false).text("what", error),
            )?;
            Ok(Found::Something)
        }
    }
}

fn describe_start(started: &Started, survey: &Survey) -> String {
    let (count, last) = (started.transactions, started.last);
    match &started.snapshot {
        Some(snapshot) => {
            let name = target::name(snapshot);
            format!("{name} and {count} transactions after it, the last is {last}")
        }
        None if survey.logs.is_empty() => "it is empty".to_owned(),
        None => format!("{count} transactions without a snapshot, the last is {last}"),
    }
}

fn describe_planned(planned: &Planned) -> String {
    match planned {
        Planned::Cut { log, offset, end, damage, last } => format!(
            "cuts {} bytes off {} at offset {offset} ({damage}), after transaction {last}: they \
             were never acknowledged, and are kept beside it",
            end - offset,
            log.display()
        ),
        Planned::Remove { log } => format!("removes {}, which holds no record", log.display()),
    }
}
