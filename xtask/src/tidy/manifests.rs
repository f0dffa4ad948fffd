//! Rules on Cargo.toml and clippy.toml.
//!
//! Keeps true: a version stands in one place, and the pure crates are linted by the thresholds of
//! the root plus what is forbidden to them. Leaves to cargo whether a manifest is valid: only the
//! forms that this project uses are read.

use std::collections::BTreeMap;

use super::{Source, Sources};

/// Rule 7: a crate takes its dependencies from the workspace table, sorted.
pub(super) fn members(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in manifests(sources) {
        for (section, rows) in sections(file) {
            if !section.ends_with("dependencies") || section == "workspace.dependencies" {
                continue;
            }
            for (number, name, value) in &rows {
                let inherits = name.ends_with(".workspace") || value.contains("workspace = true");
                if !inherits {
                    let line = format!("{}:{number}: {name} is not from the table", file.name);
                    found.push(line);
                }
            }
            found.extend(unsorted(file, &section, &rows));
        }
    }
    found
}

/// Rule 7: the table itself is sorted, and versions from outside are exact.
pub(super) fn table(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    let Some(root) = sources.get("Cargo.toml") else {
        return vec!["there is no Cargo.toml".to_owned()];
    };
    for (section, rows) in sections(root) {
        if section != "workspace.dependencies" {
            continue;
        }
        for (number, name, value) in &rows {
            if !value.contains("\"=") && !value.contains("path = ") {
                found.push(format!("{}:{number}: {name} is not pinned by =", root.name));
            }
        }
        found.extend(unsorted(root, &section, &rows));
    }
    found
}

/// Rule 11: clippy takes the nearest file and does not merge, so the copies must agree.
pub(super) fn clippy_files(sources: &Sources) -> Vec<String> {
    let Some(root) = sources.get("clippy.toml") else {
        return vec!["there is no clippy.toml".to_owned()];
    };
    let wanted = settings(root);
    let mut found = Vec::new();
    for file in sources.files.iter().filter(|file| file.name.ends_with("/clippy.toml")) {
        let own = settings(file);
        for (name, value) in &wanted {
            match own.get(name) {
                Some(own) if own == value => {}
                Some(own) => {
                    found.push(format!("{}: {name} is {own}, and {value} in the root", file.name));
                }
                None => found.push(format!("{}: {name} is missing", file.name)),
            }
        }
    }
    found
}

fn manifests(sources: &Sources) -> impl Iterator<Item = &Source> {
    sources
        .files
        .iter()
        .filter(|file| file.name == "Cargo.toml" || file.name.ends_with("/Cargo.toml"))
}

/// A line `name = value` with its number.
type Row = (usize, String, String);

/// The sections of a manifest and their rows.
fn sections(file: &Source) -> Vec<(String, Vec<Row>)> {
    let mut found: Vec<(String, Vec<Row>)> = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            found.push((name.to_owned(), Vec::new()));
        } else if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
        {
            let row = (number, name.trim().to_owned(), value.trim().to_owned());
            if let Some((_, rows)) = found.last_mut() {
                rows.push(row);
            }
        }
    }
    found
}

/// The first row that stands before its place.
fn unsorted(file: &Source, section: &str, rows: &[Row]) -> Option<String> {
    let package = |name: &str| name.trim_end_matches(".workspace").to_owned();
    let pairs = rows.iter().zip(rows.iter().skip(1));
    let mut wrong =
        pairs.filter(|((_, before, _), (_, after, _))| package(before) > package(after));
    let (_, (number, name, _)) = wrong.next()?;
    Some(format!("{}:{number}: {name} is out of order in [{section}]", file.name))
}

/// The thresholds of a clippy.toml: everything but the lists of what is forbidden.
fn settings(file: &Source) -> BTreeMap<&str, &str> {
    let pairs = file.text.lines().filter_map(|line| line.split_once(" = "));
    let plain = pairs.filter(|(name, _)| !name.starts_with([' ', '#']));
    plain.filter(|(name, _)| !name.starts_with("disallowed-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_crate_and_a_wrong_order_are_named() {
        let text = "[package]\nname = \"a\"\n\n[dependencies]\nb.workspace = true\n\
            a = { workspace = true, features = [\"x\"] }\nc = \"1\"\n";
        assert_eq!(
            members(&Sources::of(&[("crates/a/Cargo.toml", text)])),
            [
                "crates/a/Cargo.toml:7: c is not from the table",
                "crates/a/Cargo.toml:6: a is out of order in [dependencies]",
            ]
        );
    }

    #[test]
    fn names_that_start_alike_are_sorted_by_name_alone() {
        let text =
            "[dependencies]\ntracing.workspace = true\ntracing-subscriber = { workspace = true }\n";
        assert!(members(&Sources::of(&[("crates/a/Cargo.toml", text)])).is_empty());
    }

    #[test]
    fn a_loose_version_in_the_table_is_named() {
        let text = "[workspace.dependencies]\na = \"=1.0.0\"\nb = { version = \"1\" }\n\
            c = { path = \"crates/c\" }\n";
        let found = table(&Sources::of(&[("Cargo.toml", text)]));
        assert_eq!(found, ["Cargo.toml:3: b is not pinned by ="]);
    }

    #[test]
    fn thresholds_that_differ_are_named_and_additions_are_not() {
        let found = clippy_files(&Sources::of(&[
            ("clippy.toml", "lines = 70\nnesting = 5\n"),
            ("crates/a/clippy.toml", "lines = 80\ndisallowed-types = [\n  { path = \"x\" },\n]\n"),
        ]));
        assert_eq!(
            found,
            [
                "crates/a/clippy.toml: lines is 80, and 70 in the root",
                "crates/a/clippy.toml: nesting is missing",
            ]
        );
    }
}
