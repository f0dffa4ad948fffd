//! A zoo.cfg, as far as its syntax.
//!
//! What it holds: every pair and every mistake has a line that the file has.

use crate::Verdict;
use bellwether_server::config::properties;

pub(crate) fn properties(bytes: &[u8]) -> Verdict {
    let parsed = properties::parse(bytes);
    // Each of `\r`, `\n` and `\r\n` ends a line.
    let ends = bytes.iter().filter(|byte| [b'\r', b'\n'].contains(byte)).count();
    let lines = u32::try_from(ends + 1).unwrap_or(u32::MAX);
    let pairs = parsed.entries.iter().map(|entry| entry.line);
    for line in pairs.chain(parsed.errors.iter().map(|error| error.line)) {
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
    }
    for error in &parsed.errors {
        assert!(!error.to_string().is_empty(), "a mistake is explained");
    }
    Verdict::accepted_if(parsed.errors.is_empty() && !parsed.entries.is_empty())
}
