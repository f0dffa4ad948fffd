//! Everything that the simulator is asked to prove: the rules of a node as scenarios, and the
//! store's suite on real files and on the simulated disk alike.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail by panicking and name only the variants that matter"
)]

mod bounded;
mod canaries;
mod ensembles;
mod outside;
mod scenarios;
mod seeds;
mod site;
mod store_arbitrary;
mod store_damage;
mod store_epochs;
mod store_files;
mod store_mend;
mod store_range;
mod store_received;
mod store_snapshots;
mod store_truncate;
