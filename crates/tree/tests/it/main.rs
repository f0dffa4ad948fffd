//! The tree as a whole: its rules as claims, its behaviour against a naive model, snapshots and
//! replay, watches, and what the large cases cost.

mod load;
mod memory;
mod model;
mod properties;
mod rules;
mod script;
mod sequence;
mod watches;
mod work;
