//! The house rules that a machine can check; docs/STYLE.md has the rest.
//!
//! Keeps true: each rule is a function from text to complaints with a test of its own, and a
//! complaint names file and line. Leaves to clippy what clippy knows, and to `layers` what concerns
//! the graph of packages.

use crate::process::read;
use crate::report::{Passed, Report};
use crate::workspace::Workspace;

mod allowed;
mod changes;
mod manifests;
mod named_paths;
mod text;

/// One file of the project and its text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All text files of the project.
#[derive(Debug)]
pub(crate) struct Sources {
    files: Vec<Source>,
    /// Names of everything, files that are not text included.
    names: Vec<String>,
}

impl Sources {
    fn load(workspace: &Workspace) -> Result<Self, String> {
        let names = workspace.files()?;
        let mut files = Vec::new();
        for name in &names {
            let path = workspace.root().join(name);
            let bytes = std::fs::read(&path).map_err(|e| format!("cannot read {name}: {e}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(Source { name: name.clone(), text });
            }
        }
        Ok(Self { files, names })
    }

    fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.name.ends_with(".rs"))
    }

    fn get(&self, name: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.name == name)
    }

    /// True for a file, or for a directory that holds one.
    fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.names.iter().any(|name| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let names = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let source = |(name, text): &(&str, &str)| Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        Self { files: files.iter().map(source).collect(), names }
    }
}

/// A rule takes everything and gives its complaints.
type Rule = fn(&Sources) -> Vec<String>;

/// One row per rule.
const RULES: &[(&str, Rule)] = &[
    ("every .rs file opens with //!", text::headers),
    ("lines end where they should", text::lines),
    ("nothing is left unfinished", text::unfinished),
    ("no path of one machine", text::machine_paths),
    ("files stay under 1,000 lines", text::long_files),
    ("functions over 70 lines do not grow", text::long_functions),
    ("paths in documents exist", named_paths::documents),
    ("paths in flow.rs exist", named_paths::flow),
    ("dependencies come from the workspace table", manifests::members),
    ("the workspace table is sorted and pinned", manifests::table),
    ("the clippy.toml files agree", manifests::clippy_files),
    ("fragments of changes/ are well formed", changes::fragments),
];

/// The stage `tidy`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let sources = match Sources::load(workspace) {
        Ok(sources) => sources,
        Err(why) => {
            report.check("tidy", || Err(why.into()));
            return;
        }
    };
    for (name, rule) in RULES {
        report.check(name, || {
            let complaints = rule(&sources);
            if complaints.is_empty() {
                return Ok(Passed::one());
            }
            Err(format!("{} found\n{}", complaints.len(), complaints.join("\n")).into())
        });
    }
    report.check("requirements are pinned", || {
        let text = read(&workspace.root().join("xtask/tools/requirements.txt"))?;
        match text.lines().find(|line| !line.contains("==")) {
            Some(line) => Err(format!("not name==version: {line}").into()),
            None => Ok(Passed::one()),
        }
    });
}
