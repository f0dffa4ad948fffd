//! Rules on the text of single files.
//!
//! Keeps true: a rule's own words do not trip over themselves, because they are put together from
//! pieces. Leaves rustfmt everything it can change by itself.

use super::allowed::{LONG_FILES, LONG_FUNCTIONS};
use super::{Source, Sources};

/// The longest line of code.
const LINE_MAX: usize = 100;
/// The longest row of a table, in code or in a comment: a row is read as one line.
const ROW_MAX: usize = 160;
/// The longest file that needs no reason.
const FILE_LINES_MAX: usize = 1_000;

/// Rule 1: a file says what it is, what it keeps true, and what it leaves to whom.
pub(super) fn headers(sources: &Sources) -> Vec<String> {
    sources
        .rust()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| format!("{}:1: does not open with //!", file.name))
        .collect()
}

/// Rule 2: short lines of code, no trailing space, one final newline.
pub(super) fn lines(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources.files.iter().filter(|file| !is_data(file)) {
        for (number, line) in numbered(file) {
            let max = if is_row(file, line) { ROW_MAX } else { LINE_MAX };
            if is_code(file) && line.chars().count() > max {
                found.push(format!("{}:{number}: longer than {max}", file.name));
            }
            // In Rust rustfmt leaves trailing space only inside of literals, where it is data.
            let rust = file.name.ends_with(".rs");
            if !rust && line.ends_with([' ', '\t', '\r']) {
                found.push(format!("{}:{number}: trailing space", file.name));
            }
        }
        let one_newline = file.text.ends_with('\n') && !file.text.ends_with("\n\n");
        if !file.text.is_empty() && !one_newline {
            found.push(format!("{}: does not end with one newline", file.name));
        }
    }
    found
}

/// Rule 3: what is unfinished is not committed.
pub(super) fn unfinished(sources: &Sources) -> Vec<String> {
    let words = [
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("TO", "DO"),
        concat!("db", "g!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[", "ignore"),
    ];
    let mut found = Vec::new();
    for file in sources.files.iter().filter(|file| is_code(file)) {
        for (number, line) in numbered(file) {
            if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                found.push(format!("{}:{number}: {word}", file.name));
            }
        }
    }
    found
}

/// Nothing that is committed knows the machine it was written on.
pub(super) fn machine_paths(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in &sources.files {
        for (number, line) in numbered(file) {
            if let Some(path) = machine_path(line) {
                found.push(format!("{}:{number}: {path}…", file.name));
            }
        }
    }
    found
}

/// Rule 4, files: a long one is a table, or two concepts in one room.
pub(super) fn long_files(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources.rust() {
        let count = file.text.lines().count();
        let listed = LONG_FILES.iter().any(|(name, _)| *name == file.name);
        if count > FILE_LINES_MAX && !listed {
            found.push(format!("{}: {count} lines", file.name));
        }
        if count <= FILE_LINES_MAX && listed {
            found.push(format!("{}: {count} lines, and listed as longer", file.name));
        }
    }
    found
}

/// Rule 4, functions: clippy holds the limit; a place that suppresses it is listed.
pub(super) fn long_functions(sources: &Sources) -> Vec<String> {
    let lint = concat!("clippy::too_many", "_lines");
    let mut found = Vec::new();
    for file in sources.rust() {
        let count = file.text.matches(lint).count();
        let listed = LONG_FUNCTIONS.iter().find(|(name, _)| *name == file.name);
        let expected = listed.map_or(0, |(_, count)| *count);
        if count != expected {
            found.push(format!("{}: {count} long functions, {expected} listed", file.name));
        }
    }
    found
}

fn numbered(file: &Source) -> impl Iterator<Item = (usize, &str)> {
    file.text.split('\n').zip(1..).map(|(line, number)| (number, line))
}

fn is_code(file: &Source) -> bool {
    let name = file.name.as_str();
    [".rs", ".py", ".sh"].iter().any(|end| name.ends_with(end)) || file.text.starts_with("#!/")
}

/// A line that may be longer: a row of a table in a comment, and what rustfmt leaves as it is,
/// which are literals, alone or over several lines.
fn is_row(file: &Source, line: &str) -> bool {
    let text = line.trim_start();
    let comment = text.starts_with("//");
    let row = text.starts_with("//! |") || text.starts_with("/// |");
    row || (file.name.ends_with(".rs") && !comment)
}

/// Bytes that tests read as they are.
fn is_data(file: &Source) -> bool {
    let name = file.name.as_str();
    ["testdata/", "corpus/", "fixtures/"].iter().any(|part| name.contains(part))
        || name == "LICENSE"
}

/// `word` in `line`, not as a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(before) && (!part(after) || word.ends_with('('))
    })
}

/// The start of an absolute path below a directory that only one machine has.
fn machine_path(line: &str) -> Option<&'static str> {
    let roots = [
        concat!("/", "root/"),
        concat!("/", "work/"),
        concat!("/", "home/"),
        concat!("/tmp/", "lab/"),
    ];
    roots.into_iter().find(|root| {
        line.match_indices(root).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line.get(at + root.len()..).and_then(|text| text.chars().next());
            let inside = before.is_some_and(|c| c.is_alphanumeric() || "._-*}>)~/".contains(c));
            let named = after.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c));
            !inside && named
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Sources) -> Vec<String>, file: (&str, &str), expected: &[&str]) {
        assert_eq!(rule(&Sources::of(&[file])), expected);
    }

    #[test]
    fn a_file_opens_by_saying_what_it_is() {
        check(headers, ("a.rs", "//! A.\n"), &[]);
        check(headers, ("a.rs", "use b;\n"), &["a.rs:1: does not open with //!"]);
        check(headers, ("a.md", "text\n"), &[]);
    }

    #[test]
    fn lines_are_short_and_end_where_they_should() {
        check(lines, ("a.rs", "fn a() {}\n"), &[]);
        let both = ["a.py:1: trailing space", "a.py: does not end with one newline"];
        check(lines, ("a.py", "a \nb"), &both);
        check(lines, ("a.md", "a\n\n"), &["a.md: does not end with one newline"]);
        let long = format!("// {}\n", "é".repeat(LINE_MAX - 2));
        check(lines, ("a.rs", &long), &["a.rs:1: longer than 100"]);
        check(lines, ("a.rs", &format!("// {}\n", "é".repeat(LINE_MAX - 3))), &[]);
        check(lines, ("a.py", &long), &["a.py:1: longer than 100"]);
        check(lines, ("a.md", &long), &[]);
        check(lines, ("a.rs", &format!("    row(\"{}\"),\n", "é".repeat(LINE_MAX))), &[]);
        check(lines, ("a.rs", &format!("//! | {} |\n", "é".repeat(LINE_MAX))), &[]);
        let row = format!("row(\"{}\"),\n", "é".repeat(ROW_MAX));
        check(lines, ("a.rs", &row), &["a.rs:1: longer than 160"]);
        check(lines, ("crates/a/testdata/b.hex", "a "), &[]);
        check(lines, ("empty.txt", ""), &[]);
    }

    #[test]
    fn what_is_unfinished_is_named() {
        let fix = concat!("FIX", "ME");
        check(unfinished, ("a.rs", &format!("// {fix}: later\n")), &[&format!("a.rs:1: {fix}")]);
        check(unfinished, ("a.rs", &format!("let {fix}D = 1;\n")), &[]);
        let debug = concat!("db", "g!(");
        check(unfinished, ("a.rs", &format!("\n{debug}a);\n")), &[&format!("a.rs:2: {debug}")]);
        check(unfinished, ("a.md", &format!("{fix}\n")), &[]);
    }

    #[test]
    fn paths_of_one_machine_are_named() {
        let home = concat!("/", "home/");
        let root = concat!("/", "root/");
        check(
            machine_paths,
            ("a.md", &format!("see {home}me/x\n")),
            &[&format!("a.md:1: {home}…")],
        );
        check(machine_paths, ("a.md", &format!("`{root}x`\n")), &[&format!("a.md:1: {root}…")]);
        check(machine_paths, ("a.md", &format!("crates{root}x and {home}\n")), &[]);
    }

    #[test]
    fn long_files_and_functions_are_named() {
        let long = "//\n".repeat(FILE_LINES_MAX + 1);
        check(long_files, ("a.rs", &long), &["a.rs: 1001 lines"]);
        check(long_files, ("a.rs", &"//\n".repeat(FILE_LINES_MAX)), &[]);
        let lint = concat!("#[expect(clippy::too_many", "_lines, reason = \"\")]\n");
        check(long_functions, ("a.rs", lint), &["a.rs: 1 long functions, 0 listed"]);
    }
}
