//! A damaged directory is repaired by `bellwether log recover`, and both servers start with it.
//!
//! Keeps true: what the repair says to be lost is what was damaged, and both servers make the same
//! tree of the rest. Leaves how a log is damaged in every other way to the tests of the commands.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::toolkits::{self, Place};
use super::{Exchange, LIMIT, same};
use crate::process::{run, write};
use crate::server::{Flavour, bellwether};

/// All transactions stand in the first log, so that all of them are replayed.
const ONE_LOG: &[(&str, &str)] = &[("snapCount", "1000000")];

/// Damages what `writer` wrote, repairs it, and compares what both servers read.
pub(super) fn play(exchange: &Exchange<'_>, writer: Flavour) -> Result<String, String> {
    let home = exchange.workspace.scratch("repaired")?;
    let path = |name: &str| home.path().join(name);
    let server = exchange.start(writer, &path("written"), ONE_LOG)?;
    exchange.populate(&server, "/first")?;
    server.stop()?;
    let directory = path("written/data");
    let log = directory.join("version-2/log.1");
    let places = toolkits::places(exchange.workspace, &log)?;
    // A node with others below it, and one of very many.
    let damaged: Vec<&Place> =
        [4, places.len() / 2].iter().filter_map(|n| places.get(*n)).collect();
    let mut bytes = fs::read(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    for place in &damaged {
        let middle = usize::midpoint(place.offset, place.end);
        *bytes.get_mut(middle).ok_or("the log is shorter than its records")? ^= 0x20;
    }
    write(&log, bytes)?;
    let said = recover(exchange, &directory)?;
    for place in &damaged {
        let lost = format!("lost: transaction {}\n", place.zxid);
        if !said.contains(&lost) {
            return Err(format!("{lost:?} is not in\n{said}"));
        }
    }
    let mut trees = Vec::new();
    for (name, flavour) in [("apache", Flavour::Apache), ("bellwether", Flavour::Bellwether)] {
        let server = exchange.copy(&path("written"), &path(name), flavour)?;
        trees.push(exchange.dump(&server)?);
        server.stop()?;
    }
    let [apache, ours] = trees.as_slice() else { return Err("two trees are compared".to_owned()) };
    same(apache, ours, Flavour::Apache, Flavour::Bellwether)?;
    Ok(format!("{} nodes without {} transactions", ours.lines().count(), damaged.len()))
}

fn recover(exchange: &Exchange<'_>, directory: &Path) -> Result<String, String> {
    let mut command = Command::new(bellwether(exchange.workspace)?);
    command.args(["log", "recover", "--yes"]).arg(directory);
    Ok(run(&mut command, LIMIT)?.success()?.stdout)
}
