//! Rule 10: what a user notices is told in a fragment of `changes/`.
//!
//! Keeps true: a fragment is one of the known kinds, written for the user, and short; one that
//! breaks something says what to do. Leaves to reviewers whether a change needed a fragment: no
//! machine knows what a user notices.

use super::{Source, Sources};

/// How a fragment may begin.
const KINDS: [&str; 5] = ["added: ", "changed: ", "fixed: ", "removed: ", "breaking: "];
/// A fragment that needs more is documentation.
const LINES_MAX: usize = 15;
/// What a fragment of the last kind must hold.
const ADVICE: &str = "What to do: ";

/// Every fragment has the form that `changes/README.md` describes.
pub(super) fn fragments(sources: &Sources) -> Vec<String> {
    let fragments = sources.files.iter().filter(|file| file.name.starts_with("changes/"));
    fragments.filter(|file| file.name != "changes/README.md").filter_map(fault).collect()
}

fn fault(file: &Source) -> Option<String> {
    let slug = file.name.trim_start_matches("changes/").strip_suffix(".md");
    let is_slug = |slug: &str| {
        !slug.is_empty()
            && slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let fault = if !slug.is_some_and(is_slug) {
        "its name is not lower-case-words.md".to_owned()
    } else if !KINDS.iter().any(|kind| file.text.starts_with(kind)) {
        format!("does not begin with one of {}", KINDS.map(str::trim).join(" "))
    } else if file.text.lines().count() > LINES_MAX {
        format!("longer than {LINES_MAX} lines")
    } else if file.text.starts_with("breaking: ") && !file.text.contains(ADVICE) {
        format!("breaks something and has no line {ADVICE}…")
    } else {
        return None;
    };
    Some(format!("{}: {fault}", file.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_has_a_kind_and_a_breaking_one_gives_advice() {
        let check = |name: &str, text: &str, expected: &[&str]| {
            assert_eq!(fragments(&Sources::of(&[(name, text)])), expected);
        };
        check("changes/a-b.md", "added: a thing.\n", &[]);
        check("changes/README.md", "# Changes\n", &[]);
        check("changes/A.md", "added: a\n", &["changes/A.md: its name is not lower-case-words.md"]);
        check(
            "changes/a.txt",
            "added: a\n",
            &["changes/a.txt: its name is not lower-case-words.md"],
        );
        let kinds = "added: changed: fixed: removed: breaking:";
        let fault = format!("changes/a.md: does not begin with one of {kinds}");
        check("changes/a.md", "A thing.\n", &[&fault]);
        check(
            "changes/a.md",
            &format!("added: a\n{}", "b\n".repeat(15)),
            &["changes/a.md: longer than 15 lines"],
        );
        let advice = "changes/a.md: breaks something and has no line What to do: …";
        check("changes/a.md", "breaking: a\n", &[advice]);
        check("changes/a.md", "breaking: a\nWhat to do: b\n", &[]);
    }
}
