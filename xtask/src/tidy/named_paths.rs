//! Rule 5: a document that names a file is a promise that the file is there.
//!
//! Keeps true: every path in backticks in README.md, docs/ and the heads of `flow.rs` files exists;
//! braces are expanded and stars matched. Leaves out docs/decisions, which are dated and are not
//! rewritten when a file moves.

use super::Sources;

/// Paths in the documents.
pub(super) fn documents(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in &sources.files {
        let prose = file.name.starts_with("docs/") || !file.name.contains('/');
        let dated = file.name.starts_with("docs/decisions/");
        if !file.name.ends_with(".md") || !prose || dated {
            continue;
        }
        for (line, number) in file.text.lines().zip(1..) {
            for path in quoted(line).filter(|path| is_ours(sources, path)) {
                if !alternatives(path).iter().all(|path| is_there(sources, path, "")) {
                    found.push(format!("{}:{number}: there is no {path}", file.name));
                }
            }
        }
    }
    found
}

/// Files that a `flow.rs` lists in its head.
pub(super) fn flow(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources.rust().filter(|file| file.name.ends_with("/flow.rs")) {
        let folder = file.name.trim_end_matches(".rs");
        let head = file.text.lines().zip(1..).take_while(|(line, _)| line.starts_with("//!"));
        for (line, number) in head {
            for path in quoted(line).filter(|path| path.ends_with(".rs")) {
                if !alternatives(path).iter().all(|path| is_there(sources, path, folder)) {
                    found.push(format!("{}:{number}: there is no {path}", file.name));
                }
            }
        }
    }
    found
}

/// What stands in backticks and has no space in it.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|text| !text.is_empty() && !text.contains(' '))
}

/// A path below a directory of the checkout or of `crates/`; other slashes are not paths of ours.
fn is_ours(sources: &Sources, path: &str) -> bool {
    let Some((first, rest)) = path.split_once('/') else { return false };
    let placeholder = path.contains(['<', '>', '$', '…', '(', '=']);
    let in_crates = rest.starts_with("src/") || rest.starts_with("tests/");
    let top = ["changes", "conformance", "crates", "deploy", "docs", "xtask", ".ci", ".cargo"];
    let known = top.contains(&first) || (in_crates && sources.exists(&format!("crates/{first}")));
    known && !placeholder
}

/// Every path that braces stand for: `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inside
        .split(',')
        .flat_map(|part| alternatives(&format!("{before}{}{after}", part.trim())))
        .collect()
}

fn is_there(sources: &Sources, path: &str, folder: &str) -> bool {
    // A line number or an item behind a colon belongs to the reader, not to the path.
    let path = path.split(':').next().unwrap_or(path);
    let places = [path.to_owned(), format!("crates/{path}"), format!("{folder}/{path}")];
    places.iter().any(|place| sources.exists(place) || matched(sources, place))
}

/// One star in a path stands for any text within one directory, two for any.
fn matched(sources: &Sources, pattern: &str) -> bool {
    let (Some((start, _)), Some((_, end))) = (pattern.split_once('*'), pattern.rsplit_once('*'))
    else {
        return false;
    };
    sources.names.iter().any(|name| {
        let middle = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        middle.is_some_and(|middle| pattern.contains("**") || !middle.contains('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 3] = [
        ("crates/wire/src/ops.rs", "//! O.\n"),
        ("crates/wire/src/zxid.rs", "//! Z.\n"),
        ("crates/node/src/flow/log.rs", "//! L.\n"),
    ];

    fn complaints(rule: fn(&Sources) -> Vec<String>, name: &str, text: &str) -> Vec<String> {
        let mut files = FILES.to_vec();
        files.push((name, text));
        rule(&Sources::of(&files))
    }

    #[test]
    fn a_path_that_is_gone_is_named_with_its_line() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(complaints(documents, "docs/A.md", text), expected, "{text}");
        };
        check("see `crates/wire/src/ops.rs` and `wire/src/ops.rs`", &[]);
        check("\n`crates/wire/src/gone.rs`", &["docs/A.md:2: there is no crates/wire/src/gone.rs"]);
        check("`wire/src/gone.rs`", &["docs/A.md:1: there is no wire/src/gone.rs"]);
        check("`crates/wire/src/{ops,zxid}.rs` `crates/*/src/ops.rs` `crates/wire/`", &[]);
        check("`wire/src/{ops,gone}.rs`", &["docs/A.md:1: there is no wire/src/{ops,gone}.rs"]);
        check("`crates/<x>/src` `/zookeeper/config` `a/b` `docs/A.md:3`", &[]);
    }

    #[test]
    fn dated_decisions_are_left_alone() {
        let text = "`crates/wire/src/gone.rs`";
        assert!(complaints(documents, "docs/decisions/2026-01-01-a.md", text).is_empty());
    }

    #[test]
    fn the_head_of_a_flow_names_files_that_exist() {
        let text = "//! 1. `log.rs`, `wire/src/ops.rs`\n//! 2. `gone.rs`\nmod log; // `never.rs`\n";
        let found = complaints(flow, "crates/node/src/flow.rs", text);
        assert_eq!(found, ["crates/node/src/flow.rs:2: there is no gone.rs"]);
    }
}
