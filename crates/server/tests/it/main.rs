//! What is true of the server as a whole.

mod compat;
mod proofs;
