//! Everything that the simulator is asked to prove: the rules of a node as scenarios, and the store's
//! suite on real files and on the simulated disk alike.

mod scenarios;
mod site;
mod store_damage;
mod store_files;
mod store_snapshots;
