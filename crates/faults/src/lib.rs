//! Tests that prove fsync: what a server said is durable must survive a power loss.
//!
//! The crate is two things. As a `cdylib` it is preloaded into an unmodified server (`LD_PRELOAD`)
//! and keeps, beside the watched data directory, a *shadow* of what would survive a power loss:
//! bytes enter it when their file is synced, names when their directory is. It also delays and
//! fails calls by a plan. As a library it is the driver of crash rounds: start a server, load it,
//! kill it, give the restarted server what survived, and compare with what was acknowledged.
//!
//! In reading order: [`plan`] (which calls fail), [`shadow`] with [`listing`] and [`ranges`] (what
//! is durable), `preload` (the calls a server makes; the only place with `unsafe`), [`survivors`]
//! (the directory after the crash), [`rounds`] (the driver).
//!
//! The environment of the preloaded process:
//!
//! - `FAULTS_DIR`: the directory to watch. Without it the library does nothing at all;
//! - `FAULTS_SHADOW`: where the shadow is kept, outside the watched directory;
//! - `FAULTS_PLAN`: the fault plan, or `@FILE`;
//! - `FAULTS_NAMES`: `strict` (the default: a name is durable once its directory was synced) or
//!   `with-file` (syncing a file also makes its name durable, as ext4 does).
//!
//! What it does not see: system calls made without the C library (io_uring, `rustix`'s own), so a
//! program under test must write and sync through the C library; and calls inside the C library,
//! such as those of `fopen`'s streams.

pub mod listing;
pub mod plan;
mod preload;
pub mod ranges;
pub mod rng;
pub mod rounds;
pub mod shadow;
pub mod survivors;

use std::path::{Path, PathBuf};

/// The preload library of this build, searched near `program`: beside it, as `cargo build` leaves
/// it, and in `deps`, as `cargo test` does; the one built last.
pub fn preload_library(program: &Path) -> Option<PathBuf> {
    let directories = program.ancestors().skip(1).take(2);
    directories
        .flat_map(|directory| [directory.to_owned(), directory.join("deps")])
        .map(|directory| directory.join("libbellwether_faults.so"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
}
