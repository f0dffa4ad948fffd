//! The tree as a whole: its rules as claims, its behaviour against a naive model, snapshots and
//! replay, watches, and what the large cases cost.

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test that comes across what it does not expect is to panic"
)]

mod lengths;
mod load;
mod memory;
mod model;
mod properties;
mod quota;
mod rules;
mod script;
mod sequence;
mod watches;
mod work;
