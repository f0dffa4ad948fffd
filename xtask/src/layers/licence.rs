//! Which licences a dependency may have: a small reader of SPDX expressions.
//!
//! Keeps true: `AND` needs both sides, `OR` needs one, and what is not understood is not allowed.
//! Leaves to `layers` which packages are asked about.

/// Licences under which code may be linked into the binary; a `*` ends a family.
const ALLOWED: [&str; 9] =
    ["MIT", "Apache-2.0", "BSD-*", "ISC", "Zlib", "Unicode-3.0", "0BSD", "Unlicense", "CC0-1.0"];

/// True when the expression can be satisfied by allowed licences alone.
pub(super) fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let value = either(&mut rest);
    value && rest.is_empty()
}

/// `a OR b`, which binds less than `AND`.
fn either(words: &mut &[&str]) -> bool {
    let mut value = both(words);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        let right = both(words);
        value = value || right;
    }
    value
}

/// `a AND b`.
fn both(words: &mut &[&str]) -> bool {
    let mut value = one(words);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        let right = one(words);
        value = value && right;
    }
    value
}

/// One licence, with its exception, or an expression in parentheses.
fn one(words: &mut &[&str]) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let value = either(words);
            let Some((&")", rest)) = words.split_first() else { return false };
            *words = rest;
            value
        }
        // An exception only adds permissions.
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            *words = rest;
            known(name)
        }
        [] => false,
    }
}

fn known(name: &str) -> bool {
    ALLOWED.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => name == *allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_by_allowed_licences_alone() {
        let check = |expression: &str, expected: bool| {
            assert_eq!(allowed(expression), expected, "{expression}");
        };
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-2.0 OR MIT", true);
        check("GPL-2.0 AND MIT", false);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MIT OR GPL-3.0) AND GPL-3.0", false);
        check("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true);
        check("GPL-3.0 WITH Classpath-exception-2.0", false);
        check("BSD-3-Clause", true);
        check("MIT AND GPL-3.0 OR ISC", true);
        check("", false);
        check("(MIT", false);
        check("MIT MIT", false);
    }
}
