//! Who has which partition: pure functions.

use bellwether_client::recipes as rust;
use pyo3::prelude::*;

use super::values::Worker;
use crate::values::Bytes;

fn owners(owners: Vec<Option<String>>) -> Vec<Option<Box<str>>> {
    owners.into_iter().map(|owner| owner.map(Box::from)).collect()
}

/// Gives each of so many partitions to a worker, by exact quotas, moving as few as can be: a list
/// with the id of each partition's owner, or None if no worker has a weight.
///
/// before: the last assignment; what is missing in it, or owned by nobody here, counts as free.
/// Equal arguments give equal results in every process.
#[pyfunction]
#[pyo3(signature = (partitions, workers, before=Vec::new()))]
pub(crate) fn assign(
    py: Python<'_>,
    partitions: usize,
    workers: Vec<Worker>,
    before: Vec<Option<String>>,
) -> Vec<Option<String>> {
    let workers: Vec<rust::Worker> = workers.iter().map(Worker::to_core).collect();
    let assigned = py.detach(|| rust::assign(partitions, &workers, &owners(before)));
    assigned.into_iter().map(|owner| owner.map(String::from)).collect()
}

/// The worker for a key, by weighted rendezvous hashing: when a worker comes or goes, only the keys
/// move that it gets or had. None if no worker has a weight.
#[pyfunction]
pub(crate) fn rendezvous(key: Bytes, workers: Vec<Worker>) -> Option<Worker> {
    let core: Vec<rust::Worker> = workers.iter().map(Worker::to_core).collect();
    let id = &rust::rendezvous(&key.0, &core)?.id;
    workers.into_iter().find(|worker| *worker.id == **id)
}

/// How many partitions have another owner than before; those that had none are not counted.
#[pyfunction]
pub(crate) fn moves(before: Vec<Option<String>>, after: Vec<Option<String>>) -> usize {
    rust::moves(&owners(before), &owners(after))
}
