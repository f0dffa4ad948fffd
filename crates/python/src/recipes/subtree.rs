//! A subtree in memory, and its snapshots as mappings.

use bellwether_client::recipes as rust;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList};
use std::sync::Arc;

use super::values::{Node, NodeChange};
use super::{Owned, lasting, over_and_done, pair, stream};
use crate::bridge::Side;
use crate::client::{AsyncClient, Session, SyncClient};
use crate::errors::{At as _, Trouble};
use crate::values::Give;
use crate::watch::Closable;

/// A subtree as it was at one moment: a mapping of paths to Node, in the order of paths.
///
/// A snapshot that `is_settled` is the subtree between two transactions.
#[pyclass(frozen, mapping, module = "bellwether.recipes")]
pub(crate) struct Snapshot(Arc<rust::Snapshot>);

impl Give for Arc<rust::Snapshot> {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Snapshot(self))?.into_any())
    }
}

impl Snapshot {
    fn paths(&self) -> Vec<&str> {
        self.0.iter().map(|(path, _)| path).collect()
    }
}

#[pymethods]
impl Snapshot {
    fn __getitem__(&self, path: &str) -> PyResult<Node> {
        self.get(path).ok_or_else(|| PyKeyError::new_err(path.to_owned()))
    }

    fn __contains__(&self, path: &Bound<'_, PyAny>) -> bool {
        path.extract::<String>().is_ok_and(|path| self.0.get(&path).is_some())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.paths())?.try_iter()
    }

    /// The node at this path, as the client names it; None if it is not there.
    #[pyo3(signature = (path, /))]
    fn get(&self, path: &str) -> Option<Node> {
        self.0.get(path).map(Node::from)
    }

    /// The paths.
    fn keys(&self) -> Vec<&str> {
        self.paths()
    }

    /// The nodes, in the order of paths.
    fn values(&self) -> Vec<Node> {
        self.0.iter().map(|(_, node)| node.into()).collect()
    }

    /// Pairs of path and node, in the order of paths.
    fn items(&self) -> Vec<(&str, Node)> {
        self.0.iter().map(|(path, node)| (path, node.into())).collect()
    }

    /// A node's children that are here, by their names.
    fn children<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyDict>> {
        let children = PyDict::new(py);
        for (name, node) in self.0.children(path) {
            children.set_item(name, Node::from(node))?;
        }
        Ok(children)
    }

    /// What leads from an earlier snapshot to this: what was removed first, children before
    /// parents; then what was added or changed, parents before children.
    fn changes_since(&self, before: &Bound<'_, Snapshot>) -> Vec<NodeChange> {
        self.0.changes_since(&before.get().0).into_iter().map(NodeChange::from).collect()
    }

    /// Whether the subtree was like this between two transactions. It is not only when changes came
    /// so fast that no quiet moment was found for a long time.
    #[getter]
    fn is_settled(&self) -> bool {
        self.0.is_settled()
    }

    fn __repr__(&self) -> String {
        format!("<Snapshot of {} nodes>", self.0.len())
    }
}

/// What changes, one after the other.
pub(crate) struct Changes(rust::SubtreeWatch);

impl Changes {
    async fn next(&mut self) -> Result<(Vec<NodeChange>, Arc<rust::Snapshot>), Trouble> {
        let (changes, snapshot) = self.0.next().await?;
        Ok((changes.into_iter().map(NodeChange::from).collect(), snapshot))
    }
}

pair! {
    /// A subtree in memory, kept up to date until it or the client is closed. Begin with `open`.
    Subtree, AsyncSubtree over Owned<rust::Subtree>;

    /// What changes in a subtree: an iterator of pairs, a list of NodeChange and the Snapshot that
    /// they lead to; the first one adds everything that is there. A slow reader misses what came
    /// and went, never where it led.
    SubtreeWatch, AsyncSubtreeWatch over Closable<Changes>;
}

async fn open(session: Arc<Session>, root: String) -> Result<Owned<rust::Subtree>, Trouble> {
    Ok(Owned::new(rust::Subtree::open(&session.client, &root).await.at(&root)?))
}

lasting! {
    impl Subtree, AsyncSubtree for Owned<rust::Subtree>, until close;

    both {
        /// Follows no more; iterations over its changes end.
        brief fn close(subtree) {
            drop(subtree.end().await);
            Ok(())
        }
    }

    each {
        /// The newest Snapshot, at once, from memory. It goes on being shown after the session's
        /// end.
        ///
        /// Raises ClosedError (the subtree was closed).
        fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            let snapshot = self.0.held.get()?.glance(rust::Subtree::snapshot);
            snapshot
                .ok_or_else(|| over_and_done().into_exception(py))?
                .give(py, &self.0.side)
        }

        /// Follows what changes.
        ///
        /// Raises ClosedError (the subtree was closed).
        fn watch(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            let watch = self.0.held.get()?.glance(rust::Subtree::watch);
            let watch = watch.ok_or_else(|| over_and_done().into_exception(py))?;
            Closable::new(Changes(watch)).give(py, &self.0.side)
        }
    }
    sync {
        /// Reads the subtree at `root` and begins to follow it. The root need not be there; nodes
        /// that this client may not read are left out.
        #[staticmethod]
        fn open(
            py: Python<'_>, client: &Bound<'_, SyncClient>, root: String,
        ) -> PyResult<Py<PyAny>> {
            client.get().0.wait(py, |session| open(session, root))
        }
    }
    asyncio {
        /// Reads the subtree at `root` and begins to follow it: `await` it, or enter it with
        /// `async with`. The root need not be there; nodes that this client may not read are left
        /// out.
        #[staticmethod]
        fn open(
            py: Python<'_>, client: &Bound<'_, AsyncClient>, root: String,
        ) -> PyResult<Py<PyAny>> {
            client.get().0.enter(py, |session| open(session, root))
        }
    }
}

stream! {
    impl SubtreeWatch, AsyncSubtreeWatch for Changes;
    /// Waits for a snapshot that differs from the one before and gives the list of NodeChange and
    /// the Snapshot. timeout: at most so many seconds.
    ///
    /// Raises TimeoutError, ClosedError, SessionExpiredError.
    next;
}
