//! Waiting for states.
//!
//! What it keeps true: every wait is for something that can be seen, and has an end that is far
//! beyond what a busy machine needs.

use std::thread;
use std::time::{Duration, Instant};

/// How often a state that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What an ensemble may take to get anywhere.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// Looks until `state` gives a value, or says what did not come.
pub(crate) fn wait_for<T>(
    what: &str,
    mut state: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(value) = state()? {
            return Ok(value);
        }
        if Instant::now() > end {
            return Err(format!("waited {} s in vain for {what}", LIMIT.as_secs()));
        }
        thread::sleep(LOOK_EVERY);
    }
}
