//! Everything that the simulator's library is asked to prove.

mod scenarios;
