//! The scripts of `deploy/compat` with this build: Apache's verbs, files, output and exit codes.
//!
//! What Apache's own scripts print and return was observed with 3.9.5; where ours differ, the test
//! says why.

mod home;
mod offline;
mod server;
