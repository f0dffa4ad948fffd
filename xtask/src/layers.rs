//! Who may depend on whom: the edges of docs/ARCHITECTURE.md, and what may come from outside.
//!
//! Keeps true: an edge between our crates is in the table below; the whole tree below a pure crate
//! is its checked-in `deps.txt`; no second async runtime, no unknown licence and no unexplained
//! duplicate enters. Leaves to `tidy` how the manifests are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::json::Json;
use crate::process::{read, run, write};
use crate::report::{Passed, Report};
use crate::workspace::Workspace;

mod licence;

/// Asking cargo for metadata may have to fetch the sources of every dependency first.
const LIMIT: Duration = Duration::from_mins(10);

/// A crate of ours: what it may use, and what its tests may use on top.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
}

const fn layer(
    name: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
) -> Layer {
    Layer { name, uses, tests_use }
}

#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    layer("bellwether-wire",   &[], &[]),
    layer("bellwether-tree",   &["bellwether-wire"], &[]),
    layer("bellwether-zab",    &["bellwether-wire"], &[]),
    layer("bellwether-node",   &["bellwether-tree", "bellwether-wire", "bellwether-zab"], &[]),
    layer("bellwether-store",  &["bellwether-wire"], &[]),
    // The shell starts the tree that recovery fills, hence its edge to `tree`.
    layer("bellwether-server", &["bellwether-node", "bellwether-store", "bellwether-tree", "bellwether-wire", "bellwether-zab"], &[]),
    // Its own tests want it with all features.
    layer("bellwether-client", &["bellwether-wire"], &["bellwether-client", "bellwether-sim"]),
    layer("bellwether-python", &["bellwether-client"], &[]),
    // Its own tests want it with what can be broken.
    layer("bellwether-sim",    &["bellwether-node", "bellwether-store", "bellwether-tree", "bellwether-wire", "bellwether-zab"], &["bellwether-sim"]),
    layer("bellwether-faults", &["bellwether-client", "bellwether-wire"], &[]),
    layer("bellwether-fuzz",   &["bellwether-node", "bellwether-server", "bellwether-store", "bellwether-tree", "bellwether-wire", "bellwether-zab"], &[]),
    layer("bellwether-differential", &["bellwether-wire"], &[]),
    layer("bellwether-ensembles", &["bellwether-wire"], &[]),
    layer("bellwether",        &["bellwether-client", "bellwether-server", "bellwether-store", "bellwether-wire"], &[]),
    layer("bellwether-conformance", &["bellwether-wire"], &[]),
    layer("xtask",             &[], &[]),
];

/// The only crates that may name tokio: the shell, the client, and the programs around them.
const TOKIO_USERS: [&str; 5] = [
    "bellwether",
    "bellwether-client",
    "bellwether-faults",
    "bellwether-python",
    "bellwether-server",
];

/// Crates whose whole dependency tree is checked in.
const PURE: [&str; 4] = ["wire", "tree", "zab", "node"];

/// A second runtime beside tokio would bring its own threads and timers.
const OTHER_RUNTIMES: [&str; 4] = ["async-io", "async-std", "blocking", "smol"];

/// Packages that stand in the tree in two versions, and why that is accepted.
const DUPLICATES: &[(&str, &str)] =
    &[("windows-sys", "below ring on Windows only, which nothing of ours is built for")];

/// Packages whose licence is none of ours to pass on, and why nothing of them is ever built.
const NEVER_BUILT: &[(&str, &str)] = &[
    ("clipboard-win", "below rustyline on Windows only, which nothing of ours is built for"),
    ("error-code", "below clipboard-win"),
];

/// The stage `layers`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let metadata = match Metadata::read(workspace) {
        Ok(metadata) => metadata,
        Err(why) => {
            report.check("cargo metadata", || Err(why.into()));
            return;
        }
    };
    report.check("edges between our crates", || none(metadata.wrong_edges()));
    report.check("tokio only in the shells", || none(metadata.stray_tokio()));
    report.check("one async runtime", || none(metadata.other_runtimes()));
    report.check("licences", || none(metadata.wrong_licences()));
    report.check("duplicate versions", || none(metadata.wrong_duplicates(DUPLICATES)));
    for name in PURE {
        report.check(&format!("crates/{name}/deps.txt"), || {
            let kept = read(&workspace.root().join(deps_file(name)))?;
            let tree = dependency_tree(workspace, name)?;
            none(differences(&kept, &tree).into_iter().collect())
        });
    }
}

/// Records the dependency trees of the pure crates; gives one line per file that changed.
pub(crate) fn rewrite(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for name in PURE {
        let path = workspace.root().join(deps_file(name));
        let tree = dependency_tree(workspace, name)?;
        if fs::read_to_string(&path).is_ok_and(|kept| kept == tree) {
            continue;
        }
        write(&path, tree)?;
        lines.push(format!("wrote {}", deps_file(name)));
    }
    Ok(lines)
}

fn deps_file(name: &str) -> String {
    format!("crates/{name}/deps.txt")
}

/// Passes when there is nothing to complain about.
fn none(complaints: Vec<String>) -> Result<Passed, crate::report::Failure> {
    if complaints.is_empty() {
        return Ok(Passed::one());
    }
    Err(format!("{} found\n{}", complaints.len(), complaints.join("\n")).into())
}

/// The packages below a pure crate, one `name version` per line, sorted.
fn dependency_tree(workspace: &Workspace, name: &str) -> Result<String, String> {
    let package = format!("bellwether-{name}");
    let mut cargo = workspace.cargo(&["tree", "-p", &package, "-e", "normal"]);
    cargo.args(["--prefix", "none", "--target", "all", "--format", "{p}"]);
    let listed = run(&mut cargo, LIMIT)?.success()?;
    Ok(tree_lines(&listed.stdout))
}

/// Cargo's lines without the paths of our own crates and the marks of repeated ones.
fn tree_lines(listed: &str) -> String {
    let names: BTreeSet<String> = listed
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line).trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    names.iter().map(|name| format!("{name}\n")).collect()
}

/// What stands in only one of the two lists.
fn differences(kept: &str, tree: &str) -> Option<String> {
    if kept == tree {
        return None;
    }
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
        (kept.lines().collect(), tree.lines().collect());
    let mut text = String::from("the tree differs; `cargo xtask layers --rewrite` records it");
    for line in old.difference(&new) {
        write!(text, "\n-{line}").expect("a String takes everything");
    }
    for line in new.difference(&old) {
        write!(text, "\n+{line}").expect("a String takes everything");
    }
    Some(text)
}

/// One package of the whole tree.
#[derive(Debug, Default)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    ours: bool,
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
}

/// What cargo knows of the workspace.
#[derive(Debug)]
struct Metadata {
    packages: Vec<Package>,
}

impl Metadata {
    fn read(workspace: &Workspace) -> Result<Self, String> {
        let mut cargo = workspace.cargo(&["metadata", "--format-version", "1", "--locked"]);
        Self::parse(&run(&mut cargo, LIMIT)?.success()?.stdout)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let json = Json::parse(text)?;
        let packages = json.get("packages").ok_or("cargo metadata names no packages")?;
        Ok(Self { packages: packages.items().iter().map(package).collect() })
    }

    fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    fn wrong_edges(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.ours().map(|package| package.name.as_str()).collect();
        let mut wrong = Vec::new();
        for package in self.ours() {
            let Some(layer) = LAYERS.iter().find(|layer| layer.name == package.name) else {
                wrong.push(format!("{} has no row in the table of layers", package.name));
                continue;
            };
            let used = package.uses.iter().map(|name| (name, layer.uses, ""));
            let tests = package.tests_use.iter().map(|name| (name, layer.tests_use, " in tests"));
            for (name, allowed, place) in used.chain(tests) {
                let allowed =
                    allowed.contains(&name.as_str()) || layer.uses.contains(&name.as_str());
                if names.contains(name.as_str()) && !allowed {
                    wrong.push(format!("{} may not use {name}{place}", package.name));
                }
            }
        }
        wrong
    }

    fn stray_tokio(&self) -> Vec<String> {
        self.ours()
            .filter(|package| package.uses.contains("tokio"))
            .filter(|package| !TOKIO_USERS.contains(&package.name.as_str()))
            .map(|package| format!("{} names tokio", package.name))
            .collect()
    }

    fn other_runtimes(&self) -> Vec<String> {
        self.packages
            .iter()
            .filter(|package| OTHER_RUNTIMES.contains(&package.name.as_str()))
            .map(|package| format!("{} {}", package.name, package.version))
            .collect()
    }

    fn wrong_licences(&self) -> Vec<String> {
        self.packages
            .iter()
            .filter(|package| !package.licence.as_deref().is_some_and(licence::allowed))
            .filter(|package| !NEVER_BUILT.iter().any(|(name, _)| *name == package.name))
            .map(|package| {
                let stated = package.licence.as_deref().unwrap_or("no licence");
                format!("{} {}: {stated}", package.name, package.version)
            })
            .collect()
    }

    /// Packages in several versions that are not explained, and explanations of what is gone.
    fn wrong_duplicates(&self, explained: &[(&str, &str)]) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in &self.packages {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        versions.retain(|_, versions| versions.len() > 1);
        let known = |name: &str| explained.iter().any(|(known, _)| *known == name);
        let mut wrong: Vec<String> = versions
            .iter()
            .filter(|(name, _)| !known(name))
            .map(|(name, versions)| format!("{name} stands in versions {}", versions.join(", ")))
            .collect();
        let gone = explained.iter().filter(|(name, _)| !versions.contains_key(name));
        wrong.extend(gone.map(|(name, _)| format!("{name} is no duplicate any more")));
        wrong
    }
}

fn package(json: &Json) -> Package {
    let text = |name: &str| json.get(name).and_then(Json::text).map(str::to_owned);
    let mut package = Package {
        name: text("name").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        licence: text("license"),
        ours: text("source").is_none(),
        ..Package::default()
    };
    for dependency in json.get("dependencies").map(Json::items).unwrap_or_default() {
        let Some(name) = dependency.get("name").and_then(Json::text) else { continue };
        let kind = dependency.get("kind").and_then(Json::text);
        let set = if kind == Some("dev") { &mut package.tests_use } else { &mut package.uses };
        set.insert(name.to_owned());
    }
    package
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, version, licence, what it uses, what its tests use.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str]);

    fn metadata(rows: &[Row<'_>]) -> Metadata {
        let packages = rows
            .iter()
            .map(|(name, version, licence, uses, tests_use)| Package {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                licence: Some((*licence).to_owned()),
                ours: LAYERS.iter().any(|layer| layer.name == *name) || name.starts_with("bellw"),
                uses: uses.iter().map(|name| (*name).to_owned()).collect(),
                tests_use: tests_use.iter().map(|name| (*name).to_owned()).collect(),
            })
            .collect();
        Metadata { packages }
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_named() {
        let found = metadata(&[
            ("bellwether-wire", "1", "MIT", &[], &[]),
            ("bellwether-tree", "1", "MIT", &["bellwether-wire"], &["bellwether-zab"]),
            ("bellwether-zab", "1", "MIT", &["bellwether-tree", "bellwether-wire"], &[]),
            ("bellwether-new", "1", "MIT", &[], &[]),
        ]);
        assert_eq!(
            found.wrong_edges(),
            [
                "bellwether-tree may not use bellwether-zab in tests",
                "bellwether-zab may not use bellwether-tree",
                "bellwether-new has no row in the table of layers",
            ]
        );
    }

    #[test]
    fn only_the_shells_name_tokio_and_there_is_one_runtime() {
        let found = metadata(&[
            ("bellwether-node", "1", "MIT", &["tokio"], &[]),
            ("bellwether-server", "1", "MIT", &["tokio"], &[]),
            ("smol", "2.0.0", "MIT", &[], &[]),
        ]);
        assert_eq!(found.stray_tokio(), ["bellwether-node names tokio"]);
        assert_eq!(found.other_runtimes(), ["smol 2.0.0"]);
    }

    #[test]
    fn licences_and_duplicates_are_named() {
        let found = metadata(&[
            ("a", "1.0.0", "MIT OR Apache-2.0", &[], &[]),
            ("a", "2.0.0", "MIT", &[], &[]),
            ("b", "1.0.0", "GPL-3.0", &[], &[]),
        ]);
        assert_eq!(found.wrong_licences(), ["b 1.0.0: GPL-3.0"]);
        let explained = [("a", "why"), ("b", "why")];
        assert_eq!(found.wrong_duplicates(&explained), ["b is no duplicate any more"]);
        assert_eq!(found.wrong_duplicates(&[]), ["a stands in versions 1.0.0, 2.0.0"]);
    }

    #[test]
    fn reads_what_cargo_prints() {
        let text = r#"{"packages": [{"name": "bellwether-wire", "version": "0.1.0",
            "license": "Apache-2.0", "source": null, "dependencies": [
                {"name": "arbtest", "kind": "dev"}, {"name": "bytes", "kind": null}]}]}"#;
        let found = Metadata::parse(text).expect("it is well formed");
        let wire = found.ours().next().expect("it has no source, so it is ours");
        assert!(wire.uses.contains("bytes") && wire.tests_use.contains("arbtest"));
    }

    #[test]
    fn a_tree_is_sorted_names_without_paths() {
        let listed = "bellwether-tree v0.1.0 (/x/y)\nsnap v1.1.2\nbytes v1.0.0 (*)\nsnap v1.1.2\n";
        assert_eq!(tree_lines(listed), "bellwether-tree v0.1.0\nbytes v1.0.0\nsnap v1.1.2\n");
    }

    #[test]
    fn a_different_tree_is_shown_as_a_difference() {
        assert_eq!(differences("a v1\n", "a v1\n"), None);
        let text = differences("a v1\nb v1\n", "a v2\nb v1\n").expect("they differ");
        assert!(text.ends_with("\n-a v1\n+a v2"), "{text}");
    }
}
