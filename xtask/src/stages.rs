//! The table of stages: what `cargo xtask test` runs, in this order.
//!
//! Keeps true: one row per stage, and everything that names a stage (selection, help) reads the
//! row. Leaves to the module of each stage how it checks.

use std::fmt::Write as _;

use crate::report::Report;
use crate::workspace::Workspace;
use crate::{
    airflow, apache, conformance, core, crash, differential, ensemble, fast, files, gozk, java,
    kazoo, kazoo_suite, layers, python, recipes, secure, tidy, zkcli,
};

/// What kind of waiting a stage asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Fast,
    Core,
    Deep,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Core => "core",
            Self::Deep => "deep",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    group: Group,
    /// What it may take on two cores, in seconds, with empty and with filled caches.
    budget: (u32, u32),
    about: &'static str,
    pub(crate) run: fn(&Workspace, &mut Report),
}

const fn stage(
    name: &'static str,
    group: Group,
    budget: (u32, u32),
    about: &'static str,
    run: fn(&Workspace, &mut Report),
) -> Stage {
    Stage { name, group, budget, about, run }
}

#[rustfmt::skip]
const STAGES: &[Stage] = &[
    stage("fmt",      Group::Fast, (10, 5),    "rustfmt finds nothing to change", fast::formatting),
    stage("tidy",     Group::Fast, (10, 5),    "the house rules of docs/STYLE.md", tidy::stage),
    stage("layers",   Group::Fast, (30, 5),    "who depends on whom, licences, duplicates", layers::stage),
    stage("words",    Group::Fast, (30, 10),   "spelling, shell scripts, YAML", fast::words),
    stage("clippy",   Group::Core, (90, 60),  "clippy on every target, warnings are errors", core::clippy),
    stage("tests",    Group::Core, (420, 120), "the unit and integration tests of every crate", core::tests),
    stage("doc",      Group::Core, (60, 30),  "rustdoc on every item, warnings are errors", core::documentation),
    stage("sim",      Group::Core, (240, 120), "10,000 seeds of one simulated server, 2,000 of ensembles, 100 of each property of clients", core::simulation),
    stage("apache",   Group::Deep, (170, 20),  "the original from Maven Central, and both servers start", apache::stage),
    stage("conformance", Group::Deep, (100, 70), "text scenarios print the same on both servers", conformance::stage),
    stage("kazoo",    Group::Deep, (20, 10),   "the Python client against both servers", kazoo::stage),
    stage("recipes",  Group::Deep, (130, 90), "every recipe on both servers, while they and leaders are killed, beside kazoo's", recipes::stage),
    stage("python",   Group::Deep, (180, 110), "the wheel, its types, and its tests against both servers", python::stage),
    stage("airflow",  Group::Deep, (810, 640), "the provider for Airflow beside a real one: its types, and DAGs against both servers", airflow::stage),
    stage("kazoo-suite", Group::Deep, (240, 200), "kazoo's own tests against both servers", kazoo_suite::stage),
    stage("gozk",     Group::Deep, (170, 140), "go-zookeeper's tests against both servers", gozk::stage),
    stage("java",     Group::Deep, (80, 60), "Apache's Java client and Curator against both servers", java::stage),
    stage("secure",   Group::Deep, (120, 100),   "our clients' TLS and SASL, Rust and Python, against Apache", secure::stage),
    stage("zkcli",    Group::Deep, (20, 10),   "Apache's shell prints the same against both servers, and ours prints it too", zkcli::stage),
    stage("files",    Group::Deep, (150, 120), "data directories are read both ways, and by both sides' tools", files::stage),
    stage("differential", Group::Deep, (120, 70), "50,000 random operations give the same on both servers", differential::stage),
    stage("ensemble", Group::Deep, (190, 150), "rounds of faults on ensembles of three and five, ours and mixed", ensemble::stage),
    stage("crash",    Group::Deep, (200, 120), "200 power losses under load, and broken builds are caught", crash::stage),
];

/// The stages with these names or of these groups, in the order of the table; all for no name.
pub(crate) fn select(names: &[&str]) -> Result<Vec<&'static Stage>, String> {
    let means = |stage: &Stage, name: &str| stage.name == name || stage.group.name() == name;
    if let Some(unknown) = names.iter().find(|name| !STAGES.iter().any(|s| means(s, name))) {
        return Err(format!("no such stage: {unknown}\n\n{}", table()));
    }
    let wanted = |stage: &&Stage| names.is_empty() || names.iter().any(|name| means(stage, name));
    Ok(STAGES.iter().filter(wanted).collect())
}

/// The table as text, for `help`.
pub(crate) fn table() -> String {
    let mut text = String::from("Stages (seconds cold/warm on two cores):");
    for stage in STAGES {
        let (cold, warm) = stage.budget;
        let budget = format!("{cold}/{warm}");
        write!(
            text,
            "\n  {:<5} {:<12} {budget:>8}  {}",
            stage.group.name(),
            stage.name,
            stage.about
        )
        .expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Vec<&'static str> {
        select(wanted).expect("known names").iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn no_name_selects_every_stage() {
        assert_eq!(names(&[]).len(), STAGES.len());
    }

    #[test]
    fn a_group_selects_its_stages_and_the_order_is_the_tables() {
        assert_eq!(names(&["words", "fmt"]), ["fmt", "words"]);
        assert_eq!(names(&["core"]), ["clippy", "tests", "doc", "sim"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_table() {
        let why = select(&["fast", "fats"]).expect_err("a typing mistake");
        assert!(why.starts_with("no such stage: fats") && why.contains("clippy"), "{why}");
    }

    #[test]
    fn groups_stand_together_and_names_are_unique() {
        let mut all: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        all.extend([Group::Fast, Group::Core, Group::Deep].map(Group::name));
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
        assert!(STAGES.is_sorted_by_key(|stage| stage.group as u8));
    }

    #[test]
    fn the_cold_budgets_leave_half_of_the_time_that_ci_has() {
        let cold: u32 = STAGES.iter().map(|stage| stage.budget.0).sum();
        assert!(cold <= 60 * 60, "{cold} s");
    }
}
