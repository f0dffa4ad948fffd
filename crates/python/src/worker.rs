//! The one thread that does all network work, and what a fork means to it.
//!
//! What it keeps true:
//! - The first connection starts the thread, never an import. It never touches Python:
//!   it needs no lock of the interpreter and cannot wait for one.
//! - A worker belongs to a process. A forked child does not inherit the thread, only its memory in
//!   whatever state it was; so the child never touches it (no lock of it, no drop) and starts a
//!   worker of its own when it needs one.
//! - Around a fork the locks of this module are held, so that the child finds whole what they
//!   guard.
//!   Until the fork other threads of Python may run: none of them waits for such a lock without
//!   having released the interpreter's.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;

use crate::errors;
use crate::sockets::{self, OpenSockets};

/// Something for the worker to do; its result goes its own way.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The worker's runtime, as other threads see it. It lives until its process ends.
pub(crate) struct Worker {
    pid: u32,
    pub(crate) handle: Handle,
    /// Unbounded: what waits here is bounded by the callers, who hold a future for each.
    jobs: mpsc::UnboundedSender<Job>,
}

/// The worker of this process; of its parent, until a forked child needs one.
static WORKER: Mutex<Option<&'static Worker>> = Mutex::new(None);

/// The locks that are held around a fork.
type Locks = (MutexGuard<'static, Option<&'static Worker>>, MutexGuard<'static, OpenSockets>);

thread_local! {
    /// The thread that forks is the one that goes on in both processes.
    static AROUND_FORK: RefCell<Option<Locks>> = const { RefCell::new(None) };
}

/// Takes a lock; what a panic left behind it is whole, as no holder leaves it half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// The worker of this process. The interpreter's lock is released meanwhile: a thread that
    /// forks has the lock of this module, and may wait for the interpreter's.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Worker> {
        py.detach(|| {
            let mut worker = locked(&WORKER);
            match *worker {
                Some(running) if running.is_here() => Ok(running),
                Some(_) | None => Ok(*worker.insert(Worker::start()?)),
            }
        })
    }

    fn start() -> PyResult<&'static Worker> {
        let failed = |error: io::Error| {
            // Made without the interpreter; it becomes an object when it is raised.
            PyRuntimeError::new_err(format!("the worker thread cannot start: {error}"))
        };
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(failed)?;
        let (jobs, mut taken) = mpsc::unbounded_channel();
        let worker = Worker { pid: std::process::id(), handle: runtime.handle().clone(), jobs };
        let run = move || {
            runtime.block_on(async {
                while let Some(job) = taken.recv().await {
                    tokio::spawn(job);
                }
            });
        };
        std::thread::Builder::new().name("bellwether".into()).spawn(run).map_err(failed)?;
        Ok(Box::leak(Box::new(worker)))
    }

    /// Whether this is the process that started it.
    pub(crate) fn is_here(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Hands over a job. Jobs begin in the order in which they are handed over.
    pub(crate) fn submit(&self, job: Job) {
        // The receiver lives as long as the process.
        self.jobs.send(job).ok();
    }
}

/// A value that belongs to the process that made it.
///
/// A forked child must not use it, nor drop it: to drop a channel takes locks that another thread
/// of the parent may have held at the moment of the fork, and that nobody releases in the child.
pub(crate) struct Held<T> {
    pub(crate) worker: &'static Worker,
    /// `None` only while it is being dropped.
    value: Option<Arc<T>>,
}

impl<T> Held<T> {
    pub(crate) fn new(worker: &'static Worker, value: T) -> Held<T> {
        Held { worker, value: Some(Arc::new(value)) }
    }

    /// The value, unless this is a forked child.
    pub(crate) fn get(&self) -> PyResult<&Arc<T>> {
        self.here().ok_or_else(errors::forked)
    }

    /// Likewise, where there is nobody to tell.
    pub(crate) fn here(&self) -> Option<&Arc<T>> {
        self.value.as_ref().filter(|_| self.worker.is_here())
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if !self.worker.is_here() {
            leak(value);
        }
    }
}

/// Lets a value of another process be.
#[expect(clippy::mem_forget, reason = "a forked child may not drop what its parent made")]
pub(crate) fn leak<T>(value: T) {
    std::mem::forget(value);
}

/// For `os.register_at_fork`: takes the locks.
#[pyfunction]
pub(crate) fn before_fork() {
    // Nobody who holds one waits for the interpreter, and nobody waits for one while holding the
    // interpreter: until the fork other threads of Python may run.
    AROUND_FORK.replace(Some((locked(&WORKER), sockets::all())));
}

/// For `os.register_at_fork`: releases the locks.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    AROUND_FORK.take();
}

/// For `os.register_at_fork`: forgets the parent's worker, releases the locks, and gives the
/// parent's sockets, which the child has to close: while it holds one open, a server does not
/// notice that the parent is gone.
#[pyfunction]
pub(crate) fn after_fork_in_child() -> Vec<RawFd> {
    let Some((mut worker, mut sockets)) = AROUND_FORK.take() else { return Vec::new() };
    *worker = None;
    std::mem::take(&mut *sockets).into_iter().collect()
}
