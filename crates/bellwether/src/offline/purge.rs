//! `bellwether purge`: what `zkCleanup.sh` and `autopurge` do, once.
//!
//! It needs no stopped server: what it removes no start can need, and no running server has open.

use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::target::{self, Target};
use super::{Done, Failure, Found, describe};
use bellwether_store::{OsDisk, StoreOptions, purge};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// As few as Apache's tool takes: with fewer, one broken snapshot could be one too many.
const RETAIN_MIN: usize = 3;

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let retain = options.retain.ok_or_else(|| {
        Failure::Usage("-n N is missing: how many snapshots stay, at least 3.".to_owned())
    })?;
    if retain < RETAIN_MIN {
        return Err(Failure::Usage(format!(
            "-n {retain}: count should be greater than or equal to {RETAIN_MIN}."
        )));
    }
    let log_dir = target::parent(&Target::directory(options.target())?);
    let snapshot_dir = match options.targets.get(1) {
        Some(given) => target::parent(&Target::directory(given)?),
        None => log_dir.clone(),
    };
    let mut store = StoreOptions::new(snapshot_dir);
    store.data_log_dir = log_dir;
    let before = times(&store)?;
    let purged = purge(&OsDisk, &store, retain)?;
    for path in purged.logs.iter().chain(&purged.cuts).chain(&purged.snapshots) {
        let time = before.iter().find(|(known, _)| known == path).map_or(0, |(_, time)| *time);
        let (time, path) = (describe::time(time), path.display());
        out.say(
            || format!("Removing file: {time}\t{path}"),
            || Object::new("removed").text("file", path.to_string()).text("modified", &time),
        )?;
    }
    for failure in &purged.failures {
        crate::say::error(failure);
    }
    Ok(if purged.failures.is_empty() { Found::Nothing } else { Found::Something })
}

/// When the files were last changed, in milliseconds since 1970: afterwards nobody can tell.
fn times(store: &StoreOptions) -> Result<Vec<(PathBuf, i64)>, Failure> {
    let mut times = Vec::new();
    for dir in [store.log_dir(), store.snapshot_dir()] {
        let entries = std::fs::read_dir(&dir)
            .map_err(|e| Failure::Directory(format!("cannot list {}: {e}", dir.display())))?;
        for entry in entries.flatten() {
            let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let since = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
            let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0);
            times.push((entry.path(), ms));
        }
    }
    Ok(times)
}
