//! Watches and session events: values that wait for something.
//!
//! What it keeps true: one that is closed or dropped removes its watch and wakes whoever waits for
//! it; a wait that is given up (a timeout, a cancelled future) loses no event.

use bellwether_client as core;
use core::{Change, OneshotWatcher, PersistentWatcher, SessionEnd};
use pyo3::prelude::*;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::{Mutex, watch};

use crate::bridge::{Side, Wrapped, closable};
use crate::errors::Trouble;
use crate::values::{Gap, Give, SessionEvent, WatchEvent, seconds};
use crate::worker::Held;

/// Waits at most so many seconds.
pub(crate) async fn within<T>(
    timeout: Option<f64>,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let Some(limit) = timeout else { return work.await };
    let waited = tokio::time::timeout(seconds("timeout", limit)?, work).await;
    waited.unwrap_or(Err(Trouble::Timeout(limit)))
}

/// An iteration ends where the client or the watch was closed; an expired session is an error.
pub(crate) fn next_or_end<T>(next: Result<T, Trouble>) -> Result<T, Trouble> {
    match next {
        Err(Trouble::Client(core::Error::SessionEnded(SessionEnd::Closed, _), _)) => {
            Err(Trouble::Exhausted)
        }
        next => next,
    }
}

/// Something that waits, and can be closed while it does.
pub(crate) struct Closable<T> {
    /// Locked while somebody waits. `None` once it was closed.
    inner: Mutex<Option<T>>,
    closing: watch::Sender<bool>,
}

impl<T> Closable<T> {
    pub(crate) fn new(inner: T) -> Closable<T> {
        Closable { inner: Mutex::new(Some(inner)), closing: watch::Sender::new(false) }
    }

    /// Waits for what `next` waits for, or until it is closed.
    pub(crate) async fn next<R>(
        &self,
        next: impl AsyncFnOnce(&mut T) -> Result<R, Trouble>,
    ) -> Result<R, Trouble> {
        let mut closing = self.closing.subscribe();
        let waited = async {
            match self.inner.lock().await.as_mut() {
                Some(inner) => next(inner).await,
                None => Err(SessionEnd::Closed.into()),
            }
        };
        tokio::select! {
            biased;
            // The sender lives as long as this value.
            Ok(_) = closing.wait_for(|closing| *closing) => Err(SessionEnd::Closed.into()),
            result = waited => result,
        }
    }

    /// Wakes whoever waits, and takes the value out.
    pub(crate) async fn close(&self) -> Option<T> {
        self.closing.send_replace(true);
        self.inner.lock().await.take()
    }
}

/// A watch that fires once.
pub(crate) struct Once {
    fired: Option<Result<core::WatchEvent, SessionEnd>>,
    /// It stays where it is when a wait for it is given up.
    changed: Pin<Box<dyn Future<Output = Result<core::WatchEvent, SessionEnd>> + Send>>,
}

impl Once {
    pub(crate) fn new(watcher: OneshotWatcher) -> Once {
        Once { fired: None, changed: Box::pin(watcher.changed()) }
    }

    async fn wait(&mut self) -> Result<WatchEvent, Trouble> {
        let fired = match self.fired.take() {
            Some(fired) => fired,
            None => self.changed.as_mut().await,
        };
        self.fired = Some(fired.clone());
        Ok(fired?.into())
    }
}

/// A watch that fires until it is closed.
pub(crate) struct Persistent(PersistentWatcher);

impl Persistent {
    pub(crate) fn new(watcher: PersistentWatcher) -> Persistent {
        Persistent(watcher)
    }

    async fn next(&mut self) -> Result<News, Trouble> {
        Ok(match self.0.changed().await? {
            Change::Event(event) => News::Event(event.into()),
            Change::Gap => News::Gap,
        })
    }
}

/// What a persistent watch yields.
enum News {
    Event(WatchEvent),
    Gap,
}

impl Give for News {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        match self {
            News::Event(event) => event.give(py, side),
            News::Gap => Gap {}.give(py, side),
        }
    }
}

/// What happens to a session.
pub(crate) struct Events(core::SessionEvents);

impl Events {
    pub(crate) fn new(events: core::SessionEvents) -> Events {
        Events(events)
    }

    async fn next(&mut self) -> Result<SessionEvent, Trouble> {
        self.0.next().await.map(SessionEvent::from).ok_or_else(|| SessionEnd::Closed.into())
    }
}

/// A watch of one change. `wait` for it; to close or drop it removes the watch.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct OnceWatch(Wrapped<Closable<Once>>);

/// A watch of one change, for asyncio. `wait` for it; to close or drop it removes the watch.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct AsyncOnceWatch(Wrapped<Closable<Once>>);

/// A watch of every change: an iterator of WatchEvent and Gap, which ends when it or the client is
/// closed. To close or drop it removes the watch.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct Watch(Wrapped<Closable<Persistent>>);

/// A watch of every change: an asynchronous iterator of WatchEvent and Gap, which ends when it or
/// the client is closed. To close or drop it removes the watch.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct AsyncWatch(Wrapped<Closable<Persistent>>);

/// What happens to a session: an iterator of SessionEvent that ends with the session.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct SessionEvents(Wrapped<Closable<Events>>);

/// What happens to a session: an asynchronous iterator of SessionEvent that ends with the session.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct AsyncSessionEvents(Wrapped<Closable<Events>>);

/// How a value of Rust becomes an object of the one or the other class.
macro_rules! given_by_side {
    ($($inner:ty => $sync:ident, $asyncio:ident;)*) => {$(
        impl Give for $inner {
            fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
                let held = Held::new(side.worker(), Closable::new(self));
                let wrapped = Wrapped { held, side: side.clone() };
                match side {
                    Side::Sync(_) => Ok(Py::new(py, $sync(wrapped))?.into_any()),
                    Side::Asyncio(_) => Ok(Py::new(py, $asyncio(wrapped))?.into_any()),
                }
            }
        }
    )*};
}
given_by_side! {
    Once => OnceWatch, AsyncOnceWatch;
    Persistent => Watch, AsyncWatch;
    Events => SessionEvents, AsyncSessionEvents;
}

closable! {
    impl OnceWatch, AsyncOnceWatch for Closable<Once>;

    both {
        /// Waits until it fires and gives the WatchEvent, again and again the same. timeout: at
        /// most so many seconds.
        ///
        /// Raises TimeoutError, ClosedError, SessionExpiredError.
        #[signature (timeout=None)]
        long fn wait(watch, timeout: Option<f64>) {
            within(timeout, watch.next(Once::wait)).await
        }

        /// Removes the watch, and wakes whoever waits for it with a ClosedError.
        brief fn close(watch) {
            drop(watch.close().await);
            Ok(())
        }
    }
    each {}
    sync {}
    asyncio {}
}

closable! {
    impl Watch, AsyncWatch for Closable<Persistent>;

    both {
        /// Waits for the next WatchEvent or Gap. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, ClosedError, SessionExpiredError.
        #[signature (timeout=None)]
        long fn next(watch, timeout: Option<f64>) {
            within(timeout, watch.next(Persistent::next)).await
        }

        /// Removes the watch and waits until the server has done so; whoever waits for an event
        /// gets a ClosedError, and an iteration ends.
        brief fn close(watch) {
            match watch.close().await {
                Some(Persistent(watcher)) => Ok(watcher.remove().await?),
                None => Ok(()),
            }
        }
    }
    each {}
    sync {
        fn __iter__(slf: Py<Self>) -> Py<Self> {
            slf
        }

        fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            self.0.wait(py, |watch| async move { next_or_end(watch.next(Persistent::next).await) })
        }
    }
    asyncio {
        fn __aiter__(slf: Py<Self>) -> Py<Self> {
            slf
        }

        fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            self.0.long(py, |watch| async move { next_or_end(watch.next(Persistent::next).await) })
        }
    }
}

closable! {
    impl SessionEvents, AsyncSessionEvents for Closable<Events>;

    both {
        /// Waits for the next SessionEvent. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, ClosedError (there is no other).
        #[signature (timeout=None)]
        long fn next(events, timeout: Option<f64>) {
            within(timeout, events.next(Events::next)).await
        }

        /// Listens no more; whoever waits for an event gets a ClosedError, and an iteration ends.
        brief fn close(events) {
            drop(events.close().await);
            Ok(())
        }
    }
    each {}
    sync {
        fn __iter__(slf: Py<Self>) -> Py<Self> {
            slf
        }

        fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            self.0.wait(py, |events| async move { next_or_end(events.next(Events::next).await) })
        }
    }
    asyncio {
        fn __aiter__(slf: Py<Self>) -> Py<Self> {
            slf
        }

        fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            self.0.long(py, |events| async move { next_or_end(events.next(Events::next).await) })
        }
    }
}
