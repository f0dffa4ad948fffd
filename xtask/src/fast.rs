//! The checks that take seconds: formatting, spelling, shell scripts, YAML.
//!
//! Keeps true: the tools that are not in the toolchain come from PyPI at pinned versions, and a
//! tool that cannot be had is a failure. Leaves to `tidy` the rules that are our own.

use std::time::Duration;

use crate::process::{read, run};
use crate::report::{Failure, Passed, Report};
use crate::workspace::Workspace;

/// What spelling and shell checks need, one `name==version` per line.
const REQUIREMENTS: &str = "xtask/tools/requirements.txt";
/// Words that codespell takes for mistakes and that are none here.
const KNOWN_WORDS: &str = "xtask/tools/known-words.txt";
/// How long one of these tools may take.
const LIMIT: Duration = Duration::from_mins(2);

/// The stage `fmt`.
pub(crate) fn formatting(workspace: &Workspace, report: &mut Report) {
    report.check("rustfmt", || {
        let mut cargo = workspace.cargo(&["fmt", "--all", "--check"]);
        run(&mut cargo, LIMIT)?.success()?;
        Ok(Passed::one())
    });
}

/// The stage `words`.
pub(crate) fn words(workspace: &Workspace, report: &mut Report) {
    let files = match workspace.files() {
        Ok(files) => files,
        Err(why) => {
            report.check("words", || Err(why.into()));
            return;
        }
    };
    let texts: Vec<&str> = files.iter().map(String::as_str).filter(|name| is_prose(name)).collect();
    report.check("codespell", || {
        tool(workspace, "codespell", &["--ignore-words", KNOWN_WORDS], &texts)
    });
    let scripts: Vec<&str> =
        files.iter().map(String::as_str).filter(|name| is_script(workspace, name)).collect();
    report.check("shellcheck", || tool(workspace, "shellcheck", &[], &scripts));
    let yaml: Vec<&str> = files.iter().map(String::as_str).filter(|name| is_yaml(name)).collect();
    if !yaml.is_empty() {
        report.check("yamllint", || tool(workspace, "yamllint", &["--strict"], &yaml));
    }
}

/// Runs one tool of the virtual environment on files; no file is a failure, as nothing was checked.
fn tool(
    workspace: &Workspace,
    name: &str,
    options: &[&str],
    files: &[&str],
) -> Result<Passed, Failure> {
    if files.is_empty() {
        return Err("there is no file to check".into());
    }
    let bin = workspace.python(REQUIREMENTS)?;
    let mut command = workspace.command(bin.join(name));
    command.args(options).args(files);
    run(&mut command, LIMIT)?.success()?;
    Ok(Passed::noting(format!("{} files", files.len())))
}

/// Everything a person wrote; lock files and test data are not prose.
fn is_prose(name: &str) -> bool {
    let data = ["testdata/", "corpus/", "fixtures/"].iter().any(|part| name.contains(part));
    let generated = name.ends_with(".lock") || name == "LICENSE";
    !data && !generated
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// A shell script says so in its first line.
fn is_script(workspace: &Workspace, name: &str) -> bool {
    let text = read(&workspace.root().join(name)).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    first.starts_with("#!") && (first.ends_with("bash") || first.ends_with("sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_what_a_person_wrote() {
        assert!(is_prose("docs/HACKING.md") && is_prose("crates/wire/src/lib.rs"));
        assert!(!is_prose("Cargo.lock") && !is_prose("crates/wire/testdata/a.hex"));
    }
}
