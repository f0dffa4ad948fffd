//! Runs a property over seeds, and says how to repeat the one that failed.
//!
//! `SEED=N` runs one seed alone, `SEEDS=N` that many of them; with `TRACE=1` a stage whose run
//! fails prints everything that happened on it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many seeds a property is tried with unless `SEEDS` says otherwise.
const SEEDS: u64 = 6;

/// Tries a property; `test` is the name of the test.
pub(crate) fn check(test: &str, property: impl Fn(u64)) {
    let (first, count) = match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => (seed, 1),
        (None, count) => (0, count.unwrap_or(SEEDS)),
    };
    for seed in first..first + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| property(seed))) {
            let command = "cargo test --profile sim -p bellwether-client --test it";
            let said = said(&*panic);
            panic!("{said}\nseed {seed} failed; repeat it with:\n  SEED={seed} {command} {test}");
        }
    }
}

/// A property that is broken on purpose must fail with one of so many seeds, and for the reason
/// that is named.
#[track_caller]
pub(crate) fn is_found_out(count: u64, reason: &str, property: impl Fn(u64)) {
    for seed in 0..count {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| property(seed))) else { continue };
        let said = said(&*panic);
        assert!(said.contains(reason), "seed {seed} fails for another reason: {said}");
        return;
    }
    panic!("{count} seeds have not found it");
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_string()
}

/// Whether a run is to be told.
pub(crate) fn is_traced() -> bool {
    std::env::var_os("TRACE").is_some()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
