//! `bellwether bench`: a load generator for Bellwether, Apache ZooKeeper and whatever else speaks
//! their protocol.
//!
//! A closed loop: every connection keeps so many requests in flight and sends the next one when a
//! reply arrives. So the figures are the throughput at this concurrency, and the latencies include
//! the waiting behind the connection's own earlier requests.
//!
//! It must not be the bottleneck: one thread, no allocation per request, frames encoded beforehand,
//! one write per connection and turn, replies skimmed in place. `client_cpu_s` shows what it took.

use crate::say;
use connection::Connection;
use drive::{Plan, Window, drive};
use error::BenchError;
use load::{Frames, Load};
use options::{Options, Wish};
use std::ffi::OsString;
use std::process::ExitCode;

mod connection;
mod drive;
mod error;
mod load;
mod options;
mod process;
mod report;

/// Requests in flight per connection while nodes are prepared and deleted.
const PREPARE_INFLIGHT: usize = 64;

/// Runs the benchmark with the arguments after `bench`.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Wish::Run(options)) => options,
        Ok(Wish::Help) => {
            say::line(options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            say::error(format_args!("bench: {what}.\n\n{}", options::USAGE));
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(window) => {
            say::line(match options.json {
                true => report::json(&options, &window),
                false => report::table(&options, &window),
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            say::error(format_args!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prepares nodes, measures, and removes what it made.
fn measure(options: &Options) -> Result<Window, BenchError> {
    // A process that cannot be looked at is found out before anything is created.
    process::look(&options.pids)?;
    let mut connections = connect(options)?;
    let root = match connections.first() {
        Some(first) => format!("/bellwether-bench-{:016x}", first.session().0),
        None => unreachable!("there is at least one connection"),
    };
    let mut load = Load::new(options, &root, connections.len());
    let paths = load.paths();
    prepare(&mut connections, &paths, load.data())?;
    let plan = match options.count {
        Some(count) => Plan::Count(count),
        None => Plan::Time { warmup: options.warmup, measured: options.seconds },
    };
    let window = drive(&mut connections, (options.inflight, &options.pids), &mut load, plan)?;
    if !options.keep {
        clean_up(&mut connections, load.created_paths(), &paths)?;
    }
    for connection in connections {
        connection.close();
    }
    Ok(window)
}

fn connect(options: &Options) -> Result<Vec<Connection>, BenchError> {
    let hosts = options.servers.hosts().iter().cycle().take(options.connections);
    hosts.map(Connection::open).collect()
}

/// Creates `paths` in their order, a node before its children. One connection makes the first one
/// and all share the others.
fn prepare(
    connections: &mut [Connection],
    paths: &[String],
    data: &[u8],
) -> Result<(), BenchError> {
    let (top, below) = paths.split_at(1);
    let (first, _) = connections.split_at_mut(1);
    let top = &mut Frames::creating(top.iter().cloned(), data);
    let below = &mut Frames::creating(below.iter().cloned(), data);
    let what = "a node could not be created";
    drive(first, (1, &[]), top, Plan::All)?.expect_no_error(what)?;
    drive(connections, (PREPARE_INFLIGHT, &[]), below, Plan::All)?.expect_no_error(what)
}

/// Deletes what the load and the preparation have created.
fn clean_up(
    connections: &mut [Connection],
    created: impl Iterator<Item = String>,
    paths: &[String],
) -> Result<(), BenchError> {
    let (top, below) = paths.split_at(1);
    let created = &mut Frames::deleting(created);
    let below = &mut Frames::deleting(below.iter().cloned());
    let top = &mut Frames::deleting(top.iter().cloned());
    let (what, inflight) = ("a node could not be deleted", (PREPARE_INFLIGHT, &[] as &[u32]));
    drive(connections, inflight, created, Plan::All)?.expect_no_error(what)?;
    drive(connections, inflight, below, Plan::All)?.expect_no_error(what)?;
    drive(connections, inflight, top, Plan::All)?.expect_no_error(what)
}
