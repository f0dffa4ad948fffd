//! The recipes of `bellwether_client::recipes` as classes of Python: `bellwether.recipes`.
//!
//! One more recipe is a file here: [`pair!`] declares its two classes, [`both!`](crate::bridge)
//! wraps its methods, [`add_recipes`] names them. Of the kinds of methods, `enter` ones are `long`
//! ones that give something that is let go of: `async with` takes them without `await`.
//!
//! What it keeps true: what is held, joined or followed is an [`Owned`] or a
//! [`Closable`](crate::watch::Closable): it ends when it is let go of, when its object is collected
//! in whatever thread, and never in a forked child.

mod assignment;
mod ballot;
mod barriers;
mod group;
mod held;
mod locks;
mod numbers;
mod registry;
mod setting;
mod subtree;
mod values;
mod work;

use bellwether_client as core;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::wrap_pyfunction;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{RwLock as Shared, watch};

use crate::bridge::Wrapped;
use crate::client::Session;
use crate::errors::Trouble;
use crate::values::Give;
use crate::worker;

/// Adds these classes to a module.
macro_rules! classes {
    ($target:ident: $($file:ident { $($class:ident),* $(,)? })*) => {
        $($($target.add_class::<$file::$class>()?;)*)*
    };
}

/// Puts the recipes into the module `bellwether.recipes`, when that is imported: to make the
/// classes takes a millisecond, which whoever needs none is spared.
#[pyfunction]
#[pyo3(signature = (module, /))]
pub(crate) fn add_recipes(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Acquiring>()?;
    classes! {
        module:
        held { Held, AsyncHeld, Leadership, AsyncLeadership }
        locks {
            Lock, AsyncLock, RwLock, AsyncRwLock, Semaphore, AsyncSemaphore,
            Election, AsyncElection, LeaderWatch, AsyncLeaderWatch,
        }
        group { Group, AsyncGroup, Membership, AsyncMembership, GroupWatch, AsyncGroupWatch }
        subtree { Subtree, AsyncSubtree, SubtreeWatch, AsyncSubtreeWatch, Snapshot }
        setting { Setting, AsyncSetting, SettingWatch, AsyncSettingWatch, Reading }
        ballot { Ballot, AsyncBallot }
        barriers { Barrier, AsyncBarrier, DoubleBarrier, AsyncDoubleBarrier, Inside, AsyncInside }
        numbers { Counter, AsyncCounter, Once, AsyncOnce }
        work { Queue, AsyncQueue, Item, AsyncItem, Claim, AsyncClaim, Tenure, AsyncTenure }
        registry {
            Registry, AsyncRegistry, Registration, AsyncRegistration, Discovery, AsyncDiscovery,
            DiscoveryWatch, AsyncDiscoveryWatch, Choice,
        }
        values {
            Cast, Claimant, Claimed, Contender, Instance, Member, MemberChange, Node, NodeChange,
            Outcome, Proposal, Tally, Worker,
        }
    }
    module.add("Candidate", module.py().get_type::<values::Contender>())?;
    module.add_function(wrap_pyfunction!(assignment::assign, module)?)?;
    module.add_function(wrap_pyfunction!(assignment::moves, module)?)?;
    module.add_function(wrap_pyfunction!(assignment::rendezvous, module)?)
}

/// A recipe at a path, which its errors name.
pub(crate) struct At<T> {
    pub(crate) recipe: T,
    pub(crate) path: String,
}

/// A recipe for the kind of program that the client is for.
pub(crate) fn over<T: Send + Sync + 'static>(
    client: &Wrapped<Session>,
    path: String,
    make: impl FnOnce(&core::Client, &str) -> Result<T, Trouble>,
) -> PyResult<Wrapped<At<T>>> {
    let made = make(&client.held.get()?.client, &path);
    let recipe = Python::attach(|py| made.map_err(|why| why.into_exception(py)))?;
    let held = worker::Held::new(client.held.worker, At { recipe, path });
    Ok(Wrapped { held, side: client.side.clone() })
}

/// Something that lasts until it is let go of, and that some wait for meanwhile.
pub(crate) struct Owned<T> {
    /// `None` once it was let go of.
    inner: Shared<Option<T>>,
    over: watch::Sender<bool>,
    /// How many change it, or want to. Whoever waits for something about it makes room for them.
    changing: watch::Sender<usize>,
}

/// Somebody who changes what is owned.
struct Changing<'a>(&'a watch::Sender<usize>);

impl<'a> Changing<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Changing<'a> {
        count.send_modify(|count| *count += 1);
        Changing(count)
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl<T> Owned<T> {
    pub(crate) fn new(inner: T) -> Owned<T> {
        let inner = Shared::new(Some(inner));
        Owned { inner, over: watch::Sender::new(false), changing: watch::Sender::new(0) }
    }

    /// Whether it was let go of.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Looks at it without waiting; `None` if it was let go of, or is being changed.
    pub(crate) fn glance<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        let inner = self.inner.try_read().ok()?;
        inner.as_ref().map(look)
    }

    /// Waits for something about it, anew after each change of it; `None` as soon as it is let go
    /// of.
    pub(crate) async fn during<R>(&self, wait: impl AsyncFn(&T) -> R) -> Option<R> {
        let mut over = self.over.subscribe();
        let mut changing = self.changing.subscribe();
        let mut changed = self.changing.subscribe();
        // Both senders live as long as this value.
        let waited = async {
            loop {
                changed.wait_for(|count| *count == 0).await.ok()?;
                let inner = self.inner.read().await;
                let inner = inner.as_ref()?;
                tokio::select! {
                    biased;
                    result = wait(inner) => return Some(result),
                    Ok(_) = changing.wait_for(|count| *count > 0) => {}
                }
            }
        };
        tokio::select! {
            biased;
            Ok(_) = over.wait_for(|over| *over) => None,
            result = waited => result,
        }
    }

    /// Changes it; `None` if it was let go of.
    pub(crate) async fn change<R>(&self, change: impl AsyncFnOnce(&mut T) -> R) -> Option<R> {
        let _changing = Changing::begin(&self.changing);
        match self.inner.write().await.as_mut() {
            Some(inner) => Some(change(inner).await),
            None => None,
        }
    }

    /// Takes it out, and wakes whoever waits. `None` if it was let go of before.
    pub(crate) async fn end(&self) -> Option<T> {
        self.over.send_replace(true);
        self.inner.write().await.take()
    }
}

/// To let go of what a session held that has ended is done already.
pub(crate) fn let_go(done: Result<(), core::Error>) -> Result<(), Trouble> {
    match done {
        Ok(()) | Err(core::Error::SessionEnded(..)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// For what was let go of and is asked for something nevertheless.
pub(crate) fn over_and_done() -> Trouble {
    core::SessionEnd::Closed.into()
}

/// Something that begins to be held, joined or followed: `await` it, or enter it with `async with`.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct Acquiring(Py<PyAny>);

#[pymethods]
impl Acquiring {
    fn __await__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.0.call_method0(py, intern!(py, "__await__"))
    }

    fn __aenter__(&self, py: Python<'_>) -> Py<PyAny> {
        self.0.clone_ref(py)
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let entered = self.0.call_method0(py, intern!(py, "result"))?;
        entered.call_method1(py, intern!(py, "__aexit__"), exception.clone())
    }
}

impl<T: Send + Sync + 'static> Wrapped<T> {
    /// [`Wrapped::long`], for what can be entered.
    pub(crate) fn enter<F, R>(
        &self,
        py: Python<'_>,
        make: impl FnOnce(Arc<T>) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Result<R, Trouble>> + Send + 'static,
        R: Give,
    {
        Ok(Py::new(py, Acquiring(self.long(py, make)?))?.into_any())
    }
}

/// Declares the two classes over a type of Rust, and makes its values objects of the one or the
/// other.
macro_rules! pair {
    ($($(#[doc = $doc:literal])* $sync:ident, $asyncio:ident over $inner:ty;)*) => {$(
        $(#[doc = $doc])*
        #[pyo3::pyclass(frozen, module = "bellwether.recipes")]
        pub(crate) struct $sync(pub(crate) $crate::bridge::Wrapped<$inner>);

        $(#[doc = $doc])*
        #[pyo3::pyclass(frozen, module = "bellwether.recipes")]
        pub(crate) struct $asyncio(pub(crate) $crate::bridge::Wrapped<$inner>);

        $crate::recipes::given_by_side! { $inner => $sync, $asyncio; }
    )*};
}
pub(crate) use pair;

/// How a value of Rust becomes an object of the one or the other class.
macro_rules! given_by_side {
    ($($inner:ty => $sync:ident, $asyncio:ident;)*) => {$(
        impl $crate::values::Give for $inner {
            fn give(
                self, py: pyo3::Python<'_>, side: &$crate::bridge::Side,
            ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                let held = $crate::worker::Held::new(side.worker(), self);
                let wrapped = $crate::bridge::Wrapped { held, side: side.clone() };
                match side {
                    $crate::bridge::Side::Sync(_) => {
                        Ok(pyo3::Py::new(py, $sync(wrapped))?.into_any())
                    }
                    $crate::bridge::Side::Asyncio(_) => {
                        Ok(pyo3::Py::new(py, $asyncio(wrapped))?.into_any())
                    }
                }
            }
        }
    )*};
}
pub(crate) use given_by_side;

/// [`both!`](crate::bridge) for what a `with` block lets go of at its end, by the method `$end`.
macro_rules! lasting {
    (
        impl $sync:ident, $asyncio:ident for $inner:ty, until $end:ident $(($limit:expr))?;
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
                    &self,
                    py: pyo3::Python<'_>,
                    _exception: &pyo3::Bound<'_, pyo3::types::PyTuple>,
                ) -> pyo3::PyResult<()> {
                    self.$end(py $(, $limit)?).map(drop)
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
                    &self,
                    py: pyo3::Python<'_>,
                    _exception: &pyo3::Bound<'_, pyo3::types::PyTuple>,
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.$end(py $(, $limit)?)
                }

                $($asyncio_items)*
            }
        }
    };
}
pub(crate) use lasting;

/// An iterator over what `$inner::next` gives: `next` with a time limit, iteration, `close`.
macro_rules! stream {
    (
        impl $sync:ident, $asyncio:ident for $inner:ty;
        $(#[doc = $doc:literal])*
        next;
    ) => {
        $crate::recipes::lasting! {
            impl $sync, $asyncio for $crate::watch::Closable<$inner>, until close;
            both {
                $(#[doc = $doc])*
                #[signature (timeout=None)]
                long fn next(watch, timeout: Option<f64>) {
                    $crate::watch::within(timeout, watch.next(<$inner>::next)).await
                }

                /// Follows no more; whoever waits gets a ClosedError, and an iteration ends.
                brief fn close(watch) {
                    drop(watch.close().await);
                    Ok(())
                }
            }
            each {}
            sync {
                fn __iter__(slf: pyo3::Py<Self>) -> pyo3::Py<Self> {
                    slf
                }

                fn __next__(
                    &self, py: pyo3::Python<'_>,
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.0.wait(py, |watch| async move {
                        $crate::watch::next_or_end(watch.next(<$inner>::next).await)
                    })
                }
            }
            asyncio {
                fn __aiter__(slf: pyo3::Py<Self>) -> pyo3::Py<Self> {
                    slf
                }

                fn __anext__(
                    &self, py: pyo3::Python<'_>,
                ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                    self.0.long(py, |watch| async move {
                        $crate::watch::next_or_end(watch.next(<$inner>::next).await)
                    })
                }
            }
        }
    };
}
pub(crate) use stream;
