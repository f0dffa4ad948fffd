//! The question before something is changed.

use super::Failure;
use super::options::Options;
use super::out::Out;
use std::io::{BufRead as _, Write as _};

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    GoOn,
    Leave,
}

/// Asks on stderr, so that the results can go elsewhere; `--yes` answers, and so does `--dry-run`.
pub(super) fn ask(options: &Options, out: &mut Out, question: &str) -> Result<Answer, Failure> {
    out.finish()?;
    if options.dry_run {
        crate::say::error("nothing was changed: --dry-run");
        return Ok(Answer::Leave);
    }
    if options.yes {
        return Ok(Answer::GoOn);
    }
    write!(std::io::stderr(), "{question} (yes/no) ").ok();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).ok();
    if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(Answer::GoOn);
    }
    crate::say::error("nothing was changed; --yes answers the question beforehand");
    Ok(Answer::Leave)
}
