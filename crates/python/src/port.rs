//! Where results arrive for an asyncio event loop: a queue, and a descriptor that the loop reads.
//!
//! The worker puts results into the queue and rings once for all that are ready together; the loop
//! then takes them out and completes its futures. That is what `loop.call_soon_threadsafe` does
//! too, except that the worker does not have to wait for the interpreter's lock to call it, which
//! costs most while the loop is busy.
//!
//! What it keeps true:
//! - Futures and everything else of Python stay with the loop's thread; the worker knows a future
//!   by a number.
//! - Nothing of Python is called while a lock of ours is held.
//! - A loop that is closed meanwhile is not touched: the results stay in the queue and go with it.

use pyo3::exceptions::{PyOSError, asyncio::InvalidStateError};
use pyo3::intern;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::oneshot;

use crate::bridge::Side;
use crate::errors::Trouble;
use crate::worker::{Held, Worker, locked};

/// Makes the result an object of Python, on the loop's thread.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>, &Side) -> PyResult<Py<PyAny>> + Send>;

/// The half that the worker holds.
pub(crate) struct Arrivals {
    bell: OwnedFd,
    done: Mutex<Vec<(u64, Outcome)>>,
}

impl Arrivals {
    fn put(self: &Arc<Arrivals>, key: u64, outcome: Outcome) {
        let first = {
            let mut done = locked(&self.done);
            done.push((key, outcome));
            done.len() == 1
        };
        if first {
            let arrivals = self.clone();
            // Behind every task that is ready: what they add is told by the same ring.
            tokio::spawn(async move { arrivals.ring() });
        }
    }

    fn ring(&self) {
        // It fails only when the counter is at its limit, and then it rings already.
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).ok();
    }
}

/// The place of one result; if it is dropped without one, the caller learns of a bug.
pub(crate) struct Reply {
    arrivals: Arc<Arrivals>,
    key: u64,
    outcome: Option<Outcome>,
}

impl Reply {
    /// Sets the result.
    pub(crate) fn send(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let bug: Outcome = Box::new(|py, _| Err(Trouble::Bug.into_exception(py)));
        self.arrivals.put(self.key, self.outcome.take().unwrap_or(bug));
    }
}

/// The futures that wait, by number.
#[derive(Default)]
struct Waiting {
    futures: HashMap<u64, Py<PyAny>>,
    next: u64,
    /// Nobody will wait here again.
    retired: bool,
}

/// The half that the event loop holds, as the reader of the descriptor.
#[pyclass(frozen, module = "bellwether._native")]
pub(crate) struct Port {
    event_loop: Py<PyAny>,
    arrivals: Held<Arrivals>,
    waiting: Mutex<Waiting>,
    /// Weak, because it holds this port.
    slot: Weak<PortSlot>,
}

impl Port {
    fn open(
        py: Python<'_>,
        worker: &'static Worker,
        event_loop: &Bound<'_, PyAny>,
        slot: Weak<PortSlot>,
    ) -> PyResult<Py<Port>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| PyOSError::new_err(error.raw_os_error()))?;
        let fd = bell.as_raw_fd();
        let arrivals = Held::new(worker, Arrivals { bell, done: Mutex::new(Vec::new()) });
        let waiting = Mutex::new(Waiting::default());
        let port = Port { event_loop: event_loop.clone().unbind(), arrivals, waiting, slot };
        let port = Py::new(py, port)?;
        let reader = port.getattr(py, intern!(py, "_arrived"))?;
        event_loop.call_method1(intern!(py, "add_reader"), (fd, reader))?;
        Ok(port)
    }

    /// A future of the loop, and where its result goes.
    pub(crate) fn expect(&self, py: Python<'_>) -> PyResult<(Reply, Py<PyAny>)> {
        let arrivals = Arc::clone(self.arrivals.get()?);
        let future = self.event_loop.call_method0(py, intern!(py, "create_future"))?;
        let mut waiting = locked(&self.waiting);
        let key = waiting.next;
        waiting.next += 1;
        waiting.futures.insert(key, future.clone_ref(py));
        Ok((Reply { arrivals, key, outcome: None }, future))
    }

    /// Leaves the loop as soon as nobody waits any more.
    fn retire(&self) {
        locked(&self.waiting).retired = true;
        if let Some(arrivals) = self.arrivals.here() {
            arrivals.ring();
        }
    }

    fn complete(py: Python<'_>, side: &Side, future: &Py<PyAny>, outcome: Outcome) -> PyResult<()> {
        let told = match outcome(py, side) {
            Ok(value) => future.call_method1(py, intern!(py, "set_result"), (value,)),
            Err(error) => {
                future.call_method1(py, intern!(py, "set_exception"), (error.into_value(py),))
            }
        };
        match told {
            // The caller has cancelled it.
            Err(error) if error.is_instance_of::<InvalidStateError>(py) => Ok(()),
            told => told.map(drop),
        }
    }
}

#[pymethods]
impl Port {
    /// Called by the loop when the bell has rung.
    #[pyo3(name = "_arrived")]
    fn arrived(&self, py: Python<'_>) -> PyResult<()> {
        let arrivals = self.arrivals.get()?;
        // An empty read is a ring that was heard before.
        rustix::io::read(&arrivals.bell, &mut [0; 8]).ok();
        let done = std::mem::take(&mut *locked(&arrivals.done));
        let slot = self.slot.upgrade().unwrap_or_else(|| PortSlot::new(self.arrivals.worker));
        let side = Side::Asyncio(slot);
        for (key, outcome) in done {
            let future = locked(&self.waiting).futures.remove(&key);
            if let Some(future) = future {
                Port::complete(py, &side, &future, outcome)?;
            }
        }
        let over = {
            let waiting = locked(&self.waiting);
            waiting.retired && waiting.futures.is_empty()
        };
        if over {
            let fd = arrivals.bell.as_raw_fd();
            self.event_loop.call_method1(py, intern!(py, "remove_reader"), (fd,))?;
        }
        Ok(())
    }
}

/// The port of a client's objects, for the loop that they were last used in.
pub(crate) struct PortSlot {
    pub(crate) worker: &'static Worker,
    port: Mutex<Option<Py<Port>>>,
}

impl PortSlot {
    pub(crate) fn new(worker: &'static Worker) -> Arc<PortSlot> {
        Arc::new(PortSlot { worker, port: Mutex::new(None) })
    }

    /// The port of the running loop.
    pub(crate) fn port(self: &Arc<PortSlot>, py: Python<'_>) -> PyResult<Py<Port>> {
        let event_loop = running_loop(py)?;
        let port = locked(&self.port).as_ref().map(|port| port.clone_ref(py));
        if let Some(port) = &port
            && port.get().event_loop.is(&event_loop)
        {
            return Ok(port.clone_ref(py));
        }
        let fresh = Port::open(py, self.worker, &event_loop, Arc::downgrade(self))?;
        let old = locked(&self.port).replace(fresh.clone_ref(py));
        if let Some(old) = old {
            old.get().retire();
        }
        Ok(fresh)
    }
}

impl Drop for PortSlot {
    fn drop(&mut self) {
        let port = locked(&self.port).take();
        if let Some(port) = port {
            port.get().retire();
        }
    }
}

/// The loop that runs in this thread; without one, what asyncio says about that.
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // Not a lock that a thread may be inside of, importing, when another one forks.
    static GET: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
    let known = locked(&GET).as_ref().map(|get| get.clone_ref(py));
    if let Some(get) = known {
        return get.bind(py).call0();
    }
    let get = py.import("asyncio")?.getattr("get_running_loop")?;
    locked(&GET).replace(get.clone().unbind());
    get.call0()
}

/// A future of the running loop that is done.
pub(crate) fn already(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
    let future = running_loop(py)?.call_method0(intern!(py, "create_future"))?;
    future.call_method1(intern!(py, "set_result"), (value,))?;
    Ok(future.unbind())
}

/// Tells an operation that its future was cancelled.
#[pyclass(frozen, module = "bellwether._native")]
pub(crate) struct OnCancel(Mutex<Option<oneshot::Sender<()>>>);

impl OnCancel {
    /// Watches a future.
    pub(crate) fn watch(py: Python<'_>, future: &Py<PyAny>) -> PyResult<oneshot::Receiver<()>> {
        let (sender, cancelled) = oneshot::channel();
        let callback = OnCancel(Mutex::new(Some(sender)));
        future.call_method1(py, intern!(py, "add_done_callback"), (callback,))?;
        Ok(cancelled)
    }
}

#[pymethods]
impl OnCancel {
    fn __call__(&self, py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let cancelled = future.call_method0(intern!(py, "cancelled"))?.is_truthy()?;
        let sender = locked(&self.0).take();
        if let (true, Some(sender)) = (cancelled, sender) {
            // The operation may have ended in the same moment.
            sender.send(()).ok();
        }
        Ok(())
    }
}
