//! The server as a process: what it does to its memory, its signals and its clients.
//!
//! These tests start the real binary on a free port of loopback and talk to it over sockets.

mod audit;
mod figures;
mod initialize;
mod limits;
mod loglevel;
mod member;
mod offline;
mod process;
mod prompt;
mod purge;
mod quota;
mod shell;
mod signals;
mod stored;
mod supervised;
mod throttled;
mod too_long;
mod tools;
