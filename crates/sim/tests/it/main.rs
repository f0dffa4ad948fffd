//! Everything that the simulator's library is asked to prove.

mod bounded;
mod canaries;
mod scenarios;
mod seeds;
