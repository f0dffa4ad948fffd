//! Barriers and double barriers.

use bellwether_client::recipes as rust;
use pyo3::prelude::*;

use super::held::{is_held, token, word};
use super::{At, Owned, lasting, let_go, pair};
use crate::bridge::both;
use crate::errors::At as _;
use crate::values::Bytes;
use crate::watch::within;

pair! {
    /// Something that holds others up until it is lowered. It is kazoo's `Barrier`.
    ///
    /// client: whose session is used. path: the node that is there while the barrier is up.
    Barrier, AsyncBarrier over At<rust::Barrier>;

    /// A number of participants begin together and end together. Those of kazoo's `DoubleBarrier`
    /// take part.
    ///
    /// client: whose session takes part. path: the participants are below it. identifier: what the
    /// participant says of itself.
    DoubleBarrier, AsyncDoubleBarrier over At<rust::DoubleBarrier>;

    /// The state of one that got in. The end of a `with` block leaves and waits for the others; one
    /// that is dropped leaves in the background and waits for nobody.
    Inside, AsyncInside over Owned<rust::Inside>;
}

both! {
    impl Barrier, AsyncBarrier for At<rust::Barrier>;

    new {
        fn new(client, path) {
            Ok(rust::Barrier::new(client, path))
        }
    }

    both {
        /// Raises it. One that is up stays up.
        brief fn raise_(barrier) {
            barrier.recipe.raise().await.at(&barrier.path)
        }

        /// Lowers it. One that is down stays down.
        brief fn lower(barrier) {
            barrier.recipe.lower().await.at(&barrier.path)
        }

        /// Whether it is up.
        brief fn is_raised(barrier) {
            barrier.recipe.is_raised().await.at(&barrier.path)
        }

        /// Waits until it is down. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn wait(barrier, timeout: Option<f64>) {
            within(timeout, async { barrier.recipe.wait().await.at(&barrier.path) }).await
        }
    }
    each {}
    sync {}
    asyncio {}
}

both! {
    impl DoubleBarrier, AsyncDoubleBarrier for At<rust::DoubleBarrier>;

    new {
        #[signature (client, path, *, identifier=Bytes(Vec::new())) shown "(client, path, *, identifier=b\"\")"]
        fn new(client, path, identifier: Bytes) {
            Ok(rust::DoubleBarrier::new(client, path).identifier(&identifier.0))
        }
    }

    both {
        /// Comes to the barrier, waits until so many participants are there, this one among them,
        /// and gives an Inside. All have to name the same number. To give up the wait goes away
        /// again. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (participants, timeout=None)]
        enter fn enter(barrier, participants: usize, timeout: Option<f64>) {
            within(timeout, async {
                let inside = barrier.recipe.enter(participants).await.at(&barrier.path)?;
                Ok(Owned::new(inside))
            }).await
        }

        /// The names of those that are there.
        brief fn participants(barrier) {
            barrier.recipe.participants().await.at(&barrier.path)
        }
    }
    each {}
    sync {}
    asyncio {}
}

lasting! {
    impl Inside, AsyncInside for Owned<rust::Inside>, until leave(None);

    both {
        /// Waits until this one's node is not there for certain any more and gives the reason, as
        /// in LostError. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn lost(inside, timeout: Option<f64>) {
            within(timeout, async { word(inside.during(rust::Inside::lost).await) }).await
        }

        /// Leaves, and waits until all that got in have left or died. timeout: at most so many
        /// seconds. This one has left in any case; to leave twice is no error.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn leave(inside, timeout: Option<f64>) {
            match inside.end().await {
                Some(inner) => within(timeout, async { let_go(inner.leave().await) }).await,
                None => Ok(()),
            }
        }
    }

    each {
        /// Whether this one's node is there for certain, so that the others wait for it: its number
        /// in the order of creation if so. It asks no server.
        ///
        /// Raises LostError.
        fn check(&self, py: Python<'_>) -> PyResult<i64> {
            token(py, self.0.held.get()?, rust::Inside::check)
        }

        /// Whether this one's node is there for certain. It asks no server.
        #[getter]
        fn is_held(&self) -> PyResult<bool> {
            Ok(is_held(self.0.held.get()?, rust::Inside::check))
        }
    }
    sync {}
    asyncio {}
}
