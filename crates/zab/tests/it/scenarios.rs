//! The text scenarios: what peers do is what the traces of `scenarios/` say.
//!
//! A file is one rule, named as a claim. Blocks are separated by blank lines and share one
//! ensemble: commands above, what was seen below `----`. With `UPDATE_EXPECT=1` the traces are
//! written anew. The language stands in `scenarios/README.md`.

use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const SEPARATOR: &str = "----";

#[test]
fn every_scenario_does_what_its_trace_says() {
    let rewrite = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = std::env::var("SCENARIO").ok();
    let mut failures = Vec::new();
    for path in all() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            println!("{name}: left out, SCENARIO is set");
            continue;
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        match catch_unwind(AssertUnwindSafe(|| run(&expected))) {
            Err(_panic) => failures.push(format!("{name}: a peer gave up, see above")),
            Ok(Err(problem)) => failures.push(format!("{name}:{problem}")),
            Ok(Ok(seen)) if seen == expected => {}
            Ok(Ok(seen)) if rewrite => std::fs::write(&path, seen).unwrap(),
            Ok(Ok(seen)) => failures.push(format!("{name}:{}", difference(&expected, &seen))),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn all() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).collect();
    files.sort();
    files
}

/// The text with every trace replaced by the one that was seen.
fn run(text: &str) -> Result<String, String> {
    let mut world = World::default();
    let mut out = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line == SEPARATOR {
            while lines.next_if(|(_, expected)| !expected.is_empty()).is_some() {}
            for line in world.take_trace() {
                out.push_str(&line);
                out.push('\n');
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            world.command(line).map_err(|problem| format!("{}: {line:?}: {problem}", index + 1))?;
        }
    }
    Ok(out)
}

fn difference(expected: &str, seen: &str) -> String {
    let same = expected.lines().zip(seen.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(nothing)").to_string();
    format!("{}:\n  expected: {}\n  seen:     {}", same + 1, line(expected), line(seen))
}

#[test]
fn a_trace_is_replaced_and_everything_else_stays() {
    let text = "# A claim.\ncluster 1\nstart 1\n----\nwrong\nlines\n\nstate\n----\n";
    let seen = run(text).unwrap();
    assert!(seen.starts_with("# A claim.\ncluster 1\nstart 1\n----\n1 LOOKING\n\nstate\n----\n1 "));
    assert_eq!(run(&seen).unwrap(), seen);
}

#[test]
fn a_command_that_means_nothing_is_named_with_its_line() {
    let error = run("cluster 1\n----\n\nflush the disk\n----\n").unwrap_err();
    assert!(error.starts_with("4: \"flush the disk\""), "{error}");
}
