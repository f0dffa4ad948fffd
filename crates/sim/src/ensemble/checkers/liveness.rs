//! When everything has healed the ensemble serves again, within a bound: there is a leader,
//! everybody follows it, and a client gets a write done.

use super::violation;
use crate::checkers::Checked;

/// Everything healed `passed_us` ago, and this is what each member does.
pub(in crate::ensemble) fn recovered(
    (passed_us, bound_us): (u64, u64),
    waits_for: &str,
    states: &[String],
) -> Checked {
    if passed_us <= bound_us {
        return Ok(());
    }
    let states = states.join(", ");
    let seconds = bound_us / 1_000_000;
    let seen = format!("{waits_for} does not happen within {seconds} s of healing: {states}");
    violation("liveness", seen)
}
