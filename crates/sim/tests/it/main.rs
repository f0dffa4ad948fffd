//! The store's suite, run on real files and on the simulated disk alike.

mod site;
mod store_damage;
mod store_files;
mod store_snapshots;
