//! One definition of a method, two classes of Python: one that waits and one for asyncio.
//!
//! To wrap one more asynchronous method of Rust is one item of [`both!`]: its documentation, its
//! signature (and how that is shown, if a default is no literal of Python), and its body as an
//! async block over the wrapped value. Arguments are owned values; the result is any [`Give`], the
//! failure a [`Trouble`]. `brief` methods are a request or a few: a cancelled future just does not
//! hear of their end. `long` ones are dropped when their future is cancelled, as whoever waits for
//! a lock wants it.
//!
//! What it keeps true:
//! - While a method waits, the interpreter is free for other threads, and a signal is handled
//!   within [`SIGNALS_EVERY`].
//! - A forked child, also one that a signal handler made while a method waited, gets an exception.

use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::errors::{self, Trouble};
use crate::port::{OnCancel, PortSlot};
use crate::values::Give;
use crate::worker::{Held, Worker, leak};

/// How long Ctrl-C may go unnoticed.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// For which kind of program an object is made.
#[derive(Clone)]
pub(crate) enum Side {
    /// Methods wait.
    Sync(&'static Worker),
    /// Methods give futures, which this port completes.
    Asyncio(Arc<PortSlot>),
}

impl Side {
    /// Whose results they are.
    pub(crate) fn worker(&self) -> &'static Worker {
        match self {
            Side::Sync(worker) => worker,
            Side::Asyncio(slot) => slot.worker,
        }
    }
}

/// What an object of Python wraps, and for which kind of program.
pub(crate) struct Wrapped<T> {
    pub(crate) held: Held<T>,
    pub(crate) side: Side,
}

impl<T: Send + Sync + 'static> Wrapped<T> {
    /// Does it now; gives the result.
    pub(crate) fn wait<F, R>(
        &self,
        py: Python<'_>,
        make: impl FnOnce(Arc<T>) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Result<R, Trouble>> + Send + 'static,
        R: Give,
    {
        wait(py, self.held.worker, make(self.held.get()?.clone()))
    }

    /// Begins it; gives a future of asyncio.
    pub(crate) fn brief<F, R>(
        &self,
        py: Python<'_>,
        make: impl FnOnce(Arc<T>) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Result<R, Trouble>> + Send + 'static,
        R: Give,
    {
        let worker = self.held.worker;
        let work = make(self.held.get()?.clone());
        begin(py, worker, &self.slot(), work)
    }

    /// Likewise, and drops it when the future is cancelled.
    pub(crate) fn long<F, R>(
        &self,
        py: Python<'_>,
        make: impl FnOnce(Arc<T>) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Result<R, Trouble>> + Send + 'static,
        R: Give,
    {
        let worker = self.held.worker;
        let work = make(self.held.get()?.clone());
        begin_cancellable(py, worker, &self.slot(), work)
    }

    fn slot(&self) -> Arc<PortSlot> {
        match &self.side {
            Side::Asyncio(slot) => slot.clone(),
            Side::Sync(worker) => PortSlot::new(worker),
        }
    }
}

/// Begins an operation on the worker; gives a future of asyncio.
pub(crate) fn begin<F, R>(
    py: Python<'_>,
    worker: &'static Worker,
    slot: &Arc<PortSlot>,
    work: F,
) -> PyResult<Py<PyAny>>
where
    F: Future<Output = Result<R, Trouble>> + Send + 'static,
    R: Give,
{
    let (reply, future) = slot.port(py)?.get().expect(py)?;
    worker.submit(Box::pin(async move {
        let result = work.await;
        reply.send(Box::new(move |py, side| give(py, side, result)));
    }));
    Ok(future)
}

/// Likewise, and drops it when the future is cancelled.
pub(crate) fn begin_cancellable<F, R>(
    py: Python<'_>,
    worker: &'static Worker,
    slot: &Arc<PortSlot>,
    work: F,
) -> PyResult<Py<PyAny>>
where
    F: Future<Output = Result<R, Trouble>> + Send + 'static,
    R: Give,
{
    let (reply, future) = slot.port(py)?.get().expect(py)?;
    let cancelled = OnCancel::watch(py, &future)?;
    worker.submit(Box::pin(async move {
        tokio::select! {
            result = work => reply.send(Box::new(move |py, side| give(py, side, result))),
            // Nobody hears of it, but the number of the future has to be given back.
            Ok(()) = cancelled => drop(reply),
        }
    }));
    Ok(future)
}

fn give<R: Give>(py: Python<'_>, side: &Side, result: Result<R, Trouble>) -> PyResult<Py<PyAny>> {
    match (result, side) {
        (Ok(value), side) => value.give(py, side),
        (Err(Trouble::Exhausted), Side::Asyncio(_)) => Err(PyStopAsyncIteration::new_err(())),
        (Err(trouble), Side::Sync(_) | Side::Asyncio(_)) => Err(trouble.into_exception(py)),
    }
}

/// Waits for an operation in this thread.
pub(crate) fn wait<F, R>(py: Python<'_>, worker: &'static Worker, work: F) -> PyResult<Py<PyAny>>
where
    F: Future<Output = Result<R, Trouble>> + Send + 'static,
    R: Give,
{
    let mut work: Pin<Box<F>> = Box::pin(work);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    loop {
        let result = py.detach(|| {
            // Timers and new tasks are the worker's.
            let _runtime = worker.handle.enter();
            let until = Instant::now() + SIGNALS_EVERY;
            loop {
                match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(result) => break Some(result),
                    Poll::Pending if bell.heard_before(until) => {}
                    Poll::Pending => break None,
                }
            }
        });
        if let Some(result) = result {
            return give(py, &Side::Sync(worker), result);
        }
        let signals = py.check_signals();
        if !worker.is_here() {
            leak(work);
            signals?;
            return Err(errors::forked());
        }
        signals?;
    }
}

/// Wakes the thread that made it.
struct Bell {
    thread: Thread,
    rung: AtomicBool,
}

impl Default for Bell {
    fn default() -> Bell {
        Bell { thread: std::thread::current(), rung: AtomicBool::new(false) }
    }
}

impl Bell {
    /// Waits for a ring; false if the time has come first.
    fn heard_before(&self, until: Instant) -> bool {
        loop {
            if self.rung.swap(false, Ordering::Acquire) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::park_timeout(left);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        if !self.rung.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// Two classes of Python over one type of Rust. Each is a tuple struct over a [`Wrapped`].
///
/// `new { … }`, where there is one, is the constructor of both, which takes a client and a path
/// first; its body makes the recipe of Rust. `both { … }` methods are asynchronous in Rust and
/// exist in both classes; `each { … }` are plain items of `#[pymethods]` that exist in both;
/// `sync { … }` and `asyncio { … }` in one.
macro_rules! both {
    (
        impl $sync:ident, $asyncio:ident for $inner:ty;
        $(new {
            $(#[signature $new_signature:tt $(shown $new_shown:literal)?])?
            fn new(
                $client:ident, $path:ident $(, $new_argument:ident: $new_type:ty)* $(,)?
            ) $make:block
        })?
        both {
            $(
                $(#[doc = $doc:literal])*
                $(#[signature $signature:tt $(shown $shown:literal)?])?
                $how:ident fn $name:ident(
                    $wrapped:ident $(, $argument:ident: $type:ty)* $(,)?
                ) $body:block
            )*
        }
        each { $($each:tt)* }
        sync { $($sync_items:tt)* }
        asyncio { $($asyncio_items:tt)* }
    ) => {
        #[pyo3::pymethods]
        impl $sync {
            $(
                #[new]
                $(#[pyo3(signature = $new_signature $(, text_signature = $new_shown)?)])?
                fn new(
                    $client: &pyo3::Bound<'_, $crate::client::SyncClient>,
                    $path: String
                    $(, $new_argument: $new_type)*
                ) -> pyo3::PyResult<$sync> {
                    $crate::recipes::over(&$client.get().0, $path, |$client, $path| $make)
                        .map($sync)
                }
            )?

            $(
                $(#[doc = $doc])*
                $(#[pyo3(signature = $signature $(, text_signature = $shown)?)])?
                fn $name(
                    &self, py: pyo3::Python<'_> $(, $argument: $type)*
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.0.wait(py, |$wrapped: std::sync::Arc<$inner>| async move $body)
                }
            )*
            $($each)*
            $($sync_items)*
        }

        #[pyo3::pymethods]
        impl $asyncio {
            $(
                #[new]
                $(#[pyo3(signature = $new_signature $(, text_signature = $new_shown)?)])?
                fn new(
                    $client: &pyo3::Bound<'_, $crate::client::AsyncClient>,
                    $path: String
                    $(, $new_argument: $new_type)*
                ) -> pyo3::PyResult<$asyncio> {
                    $crate::recipes::over(&$client.get().0, $path, |$client, $path| $make)
                        .map($asyncio)
                }
            )?

            $(
                $(#[doc = $doc])*
                $(#[pyo3(signature = $signature $(, text_signature = $shown)?)])?
                fn $name(
                    &self, py: pyo3::Python<'_> $(, $argument: $type)*
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.0.$how(py, |$wrapped: std::sync::Arc<$inner>| async move $body)
                }
            )*
            $($each)*
            $($asyncio_items)*
        }
    };
}
pub(crate) use both;

/// [`both!`] for classes that have a method `close`: as context managers, they call it.
macro_rules! closable {
    (
        impl $sync:ident, $asyncio:ident for $inner:ty;
        both { $($both:tt)* }
        each { $($each:tt)* }
        sync { $($sync_items:tt)* }
        asyncio { $($asyncio_items:tt)* }
    ) => {
        $crate::bridge::both! {
            impl $sync, $asyncio for $inner;
            both { $($both)* }
            each { $($each)* }
            sync {
                fn __enter__(slf: pyo3::Py<Self>) -> pyo3::Py<Self> {
                    slf
                }

                #[pyo3(signature = (*_exception))]
                fn __exit__(
                    &self, py: pyo3::Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>,
                ) -> pyo3::PyResult<()> {
                    self.close(py).map(drop)
                }

                $($sync_items)*
            }
            asyncio {
                fn __aenter__(
                    slf: pyo3::Py<Self>, py: pyo3::Python<'_>,
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    $crate::port::already(py, slf.into_any())
                }

                #[pyo3(signature = (*_exception))]
                fn __aexit__(
                    &self, py: pyo3::Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>,
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.close(py)
                }

                $($asyncio_items)*
            }
        }
    };
}
pub(crate) use closable;
