//! The only front door for developers and CI: `cargo xtask COMMAND`.
//!
//! Keeps true: what CI runs and what a person runs is the same table of stages, every check that
//! cannot run fails with its reason, and nothing is left behind outside the cache directory.
//! Leaves to `stages` which checks there are, and to one module per stage what each of them does.

mod airflow;
mod apache;
mod bench;
mod conformance;
mod core;
mod crash;
mod differential;
mod ensemble;
mod fast;
mod files;
mod gozk;
mod java;
mod json;
mod kazoo;
mod kazoo_suite;
mod layers;
mod maven;
mod members;
mod process;
mod python;
mod recipes;
mod report;
mod secure;
mod server;
mod stages;
mod tidy;
mod workspace;
mod zkcli;

use std::process::ExitCode;

use report::{Report, say};
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [STAGE …]     run every stage, or the stages and groups that are named
  tidy               run the house rules alone
  layers [--rewrite] compare the crates' dependencies with the architecture;
                     --rewrite records what the pure crates depend on today
  conformance [NAME …]
                     play the scenarios whose names contain a NAME on both servers, ours from a
                     debug build; UPDATE_EXPECT=1 records what Apache prints
  crash              run the crash rounds alone
  ensemble [--soak MINUTES] [--subject apache] [NAME …]
                     run the rounds of ensembles whose names contain a NAME, once or for so long;
                     with Apache's members alone to see whether the rounds are right
  sim [ensemble] SEED [OPTION …]
                     repeat one simulation; the options are those of bellwether-sim
  differential SEED [OPERATIONS] | FILE
                     repeat a comparison with Apache, or one stream that it wrote
  bench [--rounds N] [--seconds S] [--part ensemble|python]
                     measure Apache ZooKeeper and Bellwether, write docs/BENCHMARKS.md; with
                     --part only what it says of ensembles, or of the Python package and kazoo
  help               print this text and the table of stages";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            say(&format!("xtask: {message}"));
            ExitCode::from(2)
        }
    }
}

/// Runs one command; `Ok(false)` means that it ran and that something failed.
fn dispatch(words: &[&str]) -> Result<bool, String> {
    match words {
        [] | ["help" | "--help" | "-h"] => {
            say(USAGE);
            say(&format!("\n{}", stages::table()));
            Ok(true)
        }
        ["test", names @ ..] => {
            let selected = stages::select(names)?;
            let workspace = Workspace::discover()?;
            let mut report = Report::default();
            for stage in selected {
                (stage.run)(&workspace, &mut report);
            }
            Ok(report.finish())
        }
        ["tidy"] => single(tidy::stage),
        ["layers"] => single(layers::stage),
        ["layers", "--rewrite"] => {
            for line in layers::rewrite(&Workspace::discover()?)? {
                say(&line);
            }
            Ok(true)
        }
        ["bench", options @ ..] => {
            let plan = bench::Plan::parse(options)?;
            bench::command(&Workspace::discover()?, plan).map(|()| true)
        }
        ["conformance", names @ ..] => conformance::command(&Workspace::discover()?, names),
        ["crash"] => single(crash::stage),
        ["ensemble", words @ ..] => ensemble::command(&Workspace::discover()?, words),
        ["differential", arguments @ ..] => {
            differential::repeat(&Workspace::discover()?, arguments)
        }
        ["sim", "ensemble", seed, options @ ..] => {
            core::repeat_simulation(&Workspace::discover()?, (Some("ensemble"), seed), options)
        }
        ["sim", seed, options @ ..] => {
            core::repeat_simulation(&Workspace::discover()?, (None, seed), options)
        }
        other => Err(format!("no such command: {}\n\n{USAGE}", other.join(" "))),
    }
}

/// Runs one stage by itself, with the same report as `test`.
fn single(stage: fn(&Workspace, &mut Report)) -> Result<bool, String> {
    let workspace = Workspace::discover()?;
    let mut report = Report::default();
    stage(&workspace, &mut report);
    Ok(report.finish())
}
