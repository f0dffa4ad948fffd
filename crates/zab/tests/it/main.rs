//! What the agreement of an ensemble is asked to prove: its rules as text scenarios, and properties
//! of elections in any order of deliveries.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod command;
mod confirmations;
mod describe;
mod disk;
mod elections;
mod hand;
mod learner_by_hand;
mod learners;
mod member;
mod network;
mod quorums;
mod scenarios;
mod storms;
mod truth;
mod words;
mod world;
