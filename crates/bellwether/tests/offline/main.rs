//! `bellwether log`, `snapshot` and `purge` on directories that are damaged on purpose.
//!
//! A process of its own: the commands look for processes that have a log open for writing, and
//! whatever this one starts has, for a moment, a copy of all it has open (see `place.rs`).

mod any_damage;
mod logs;
mod members;
mod place;
mod snapshots;
