//! What is held: a lock, a lease, an office.
//!
//! What it keeps true: `check` and `is_held` ask nobody and wait for nobody; after `release` they
//! say no.

use bellwether_client::recipes as rust;
use pyo3::prelude::*;

use super::{Owned, lasting, let_go, pair};
use crate::errors::Trouble;
use crate::values::end;
use crate::watch::within;

/// Something that is held, and its fencing token.
pub(crate) struct Holding<T> {
    pub(super) owned: Owned<T>,
    pub(super) fence: i64,
}

impl<T> Holding<T> {
    pub(super) fn new(inner: T, fence: rust::Fence) -> Holding<T> {
        Holding { owned: Owned::new(inner), fence: fence.0.0 }
    }
}

impl From<rust::Held> for Holding<rust::Held> {
    fn from(held: rust::Held) -> Self {
        let fence = held.fence();
        Holding::new(held, fence)
    }
}

impl From<rust::Leadership> for Holding<rust::Leadership> {
    fn from(office: rust::Leadership) -> Self {
        let fence = office.fence();
        Holding::new(office, fence)
    }
}

/// The word for a loss.
fn reason(lost: rust::Lost) -> &'static str {
    match lost {
        rust::Lost::Doubt => "doubt",
        rust::Lost::Deleted => "deleted",
        rust::Lost::TimeOver => "time-over",
        rust::Lost::SessionEnded(ended) => end(ended),
    }
}

const RELEASED: &str = "released";

/// How something is asked whether it is held for certain.
type Check<T> = fn(&T) -> Result<rust::Fence, rust::Lost>;

/// Whether it is.
pub(super) fn is_held<T>(owned: &Owned<T>, check: Check<T>) -> bool {
    matches!(owned.glance(check), Some(Ok(_)))
}

/// What Python makes of a check: the token, or an exception.
pub(super) fn token<T>(py: Python<'_>, owned: &Owned<T>, check: Check<T>) -> PyResult<i64> {
    let lost = match owned.glance(check) {
        Some(Ok(fence)) => return Ok(fence.0.0),
        Some(Err(lost)) => Trouble::Lost(reason(lost), lost.to_string()),
        None if !owned.is_over() => {
            Trouble::Lost("doubt", "it is being renewed at this moment".to_owned())
        }
        None => Trouble::Lost(RELEASED, "it was released".to_owned()),
    };
    Err(lost.into_exception(py))
}

/// What Python makes of a loss.
pub(super) fn word(lost: Option<rust::Lost>) -> Result<String, Trouble> {
    Ok(lost.map_or(RELEASED, reason).to_owned())
}

pair! {
    /// A lock or a lease that is held. The end of a `with` block releases it; one that is dropped
    /// is released in the background.
    Held, AsyncHeld over Holding<rust::Held>;

    /// The office of the leader. The end of a `with` block resigns; one that is dropped resigns in
    /// the background.
    Leadership, AsyncLeadership over Holding<rust::Leadership>;
}

lasting! {
    impl Held, AsyncHeld for Holding<rust::Held>, until release;

    both {
        /// Waits until it is not held for certain any more and gives the reason, as in LostError.
        /// timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn lost(held, timeout: Option<f64>) {
            within(timeout, async { word(held.owned.during(rust::Held::lost).await) }).await
        }

        /// Waits until somebody asks for it (`request_revocation`); its holder need not heed that.
        /// timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, ClosedError (it was released).
        #[signature (timeout=None)]
        long fn revocation_requested(held, timeout: Option<f64>) {
            let asked = held.owned.during(rust::Held::revocation_requested);
            within(timeout, async { asked.await.ok_or_else(super::over_and_done) }).await
        }

        /// Lets go of it, and waits until others can have it; without a connection, until there is
        /// one or the session is over. To release twice is no error.
        brief fn release(held) {
            match held.owned.end().await {
                Some(inner) => let_go(inner.release().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// The fencing token: whoever holds the same thing later has a higher one.
        #[getter]
        fn fence(&self) -> PyResult<i64> {
            Ok(self.0.held.get()?.fence)
        }

        /// The path of the node that says that it is held; empty when it was released.
        #[getter]
        fn path(&self) -> PyResult<String> {
            Ok(self.0.held.get()?.owned.glance(rust::Held::path).unwrap_or_default())
        }

        /// The fencing token, if it is held for certain at this moment. It asks no server: call it
        /// before every step that needs it.
        ///
        /// Raises LostError.
        fn check(&self, py: Python<'_>) -> PyResult<i64> {
            token(py, &self.0.held.get()?.owned, rust::Held::check)
        }

        /// Whether it is held for certain at this moment. It asks no server.
        #[getter]
        fn is_held(&self) -> PyResult<bool> {
            Ok(is_held(&self.0.held.get()?.owned, rust::Held::check))
        }
    }
    sync {}
    asyncio {}
}

lasting! {
    impl Leadership, AsyncLeadership for Holding<rust::Leadership>, until resign;

    both {
        /// Waits until this one does not lead for certain any more and gives the reason, as in
        /// LostError. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn lost(office, timeout: Option<f64>) {
            within(timeout, async { word(office.owned.during(rust::Leadership::lost).await) }).await
        }

        /// Steps down, and waits until another can lead; without a connection, until there is one
        /// or the session is over. To resign twice is no error.
        brief fn resign(office) {
            match office.owned.end().await {
                Some(inner) => let_go(inner.resign().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// The fencing token: whoever leads later has a higher one.
        #[getter]
        fn fence(&self) -> PyResult<i64> {
            Ok(self.0.held.get()?.fence)
        }

        /// The fencing token, if this one leads for certain at this moment. It asks no server: call
        /// it before every step that only a leader may do.
        ///
        /// Raises LostError.
        fn check(&self, py: Python<'_>) -> PyResult<i64> {
            token(py, &self.0.held.get()?.owned, rust::Leadership::check)
        }

        /// Whether this one leads for certain at this moment. It asks no server.
        #[getter]
        fn is_held(&self) -> PyResult<bool> {
            Ok(is_held(&self.0.held.get()?.owned, rust::Leadership::check))
        }
    }
    sync {}
    asyncio {}
}
