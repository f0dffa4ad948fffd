//! Queues and claims: work that one at a time does.

use bellwether_client as core;
use bellwether_client::recipes as rust;
use pyo3::prelude::*;

use super::held::{Holding, is_held, token, word};
use super::values::Claimant;
use super::{At, lasting, let_go, over_and_done, pair};
use crate::bridge::both;
use crate::errors::{At as _, Trouble};
use crate::values::{Bytes, Maybe, seconds};
use crate::watch::within;

/// An item, and what is told of it without a wait.
pub(crate) struct Taken {
    holding: Holding<rust::Item>,
    data: Vec<u8>,
    priority: u16,
    attempt: u32,
    name: String,
}

impl From<rust::Item> for Taken {
    fn from(item: rust::Item) -> Taken {
        let (data, priority, attempt) = (item.data.to_vec(), item.priority, item.attempt);
        let (name, fence) = (item.name().to_owned(), item.fence());
        Taken { holding: Holding::new(item, fence), data, priority, attempt, name }
    }
}

impl From<rust::Tenure> for Holding<rust::Tenure> {
    fn from(tenure: rust::Tenure) -> Self {
        let fence = tenure.fence();
        Holding::new(tenure, fence)
    }
}

pair! {
    /// Entries of which each is done at least once, by one at a time, lowest priority number first.
    /// It shares kazoo's `LockingQueue`.
    ///
    /// client: whose session works. path: the entries are below it. lease: the longest time, in
    /// seconds, that this one works on an item, after which it is given back by itself; without
    /// one, until the session ends.
    Queue, AsyncQueue over At<rust::Queue>;

    /// An entry that is being worked on. The end of a `with` block gives it back, unless it is
    /// `done`; one that is dropped is given back in the background.
    Item, AsyncItem over Taken;

    /// Something that is claimed for a time, whatever happens to the session.
    ///
    /// client: whose session is used. path: the node that says whose it is. owner: a name of one
    /// line that nobody else has; whoever comes back with the same one gets its claim back at once.
    /// Without one, it is one of its own.
    Claim, AsyncClaim over At<rust::Claim>;

    /// A claim that is this owner's, for a time. The end of a `with` block gives it up; one that is
    /// dropped runs until its time is so that its owner can come back to it.
    Tenure, AsyncTenure over Holding<rust::Tenure>;
}

fn queue(client: &core::Client, path: &str, lease: Option<f64>) -> Result<rust::Queue, Trouble> {
    let queue = rust::Queue::new(client, path);
    Ok(match lease {
        Some(lease) => queue.lease(seconds("lease", lease)?),
        None => queue,
    })
}

fn claim(client: &core::Client, path: &str, owner: Option<&str>) -> Result<rust::Claim, Trouble> {
    let claim = rust::Claim::new(client, path);
    Ok(match owner {
        Some(owner) => claim.owner(owner),
        None => claim,
    })
}

both! {
    impl Queue, AsyncQueue for At<rust::Queue>;

    new {
        #[signature (client, path, *, lease=None)]
        fn new(client, path, lease: Option<f64>) {
            queue(client, path, lease)
        }
    }

    both {
        /// Puts an entry into the queue, once. priority: 0 to 999; the lowest is taken first.
        ///
        /// Raises BadArgumentsError, RequestTooLargeError.
        #[signature (data, priority=100)]
        brief fn put(queue, data: Bytes, priority: u16) {
            queue.recipe.put(&data.0, priority).await.at(&queue.path)
        }

        /// Puts several entries of one priority into the queue, in this order: all of them, once,
        /// or none. Together they have to fit into one request.
        ///
        /// Raises BadArgumentsError, RequestTooLargeError.
        #[signature (entries, priority=100)]
        brief fn put_all(queue, entries: Vec<Bytes>, priority: u16) {
            let entries = entries.iter().map(|entry| entry.0.as_slice());
            queue.recipe.put_all(entries, priority).await.at(&queue.path)
        }

        /// Waits until there is something to do, and takes it: an Item. To give up the wait takes
        /// nothing. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (timeout=None)]
        enter fn take(queue, timeout: Option<f64>) {
            within(timeout, async {
                Ok(Taken::from(queue.recipe.take().await.at(&queue.path)?))
            }).await
        }

        /// Takes the next entry that nobody works on: an Item, or None if there is none.
        long fn try_take(queue) {
            Ok(Maybe(queue.recipe.try_take().await.at(&queue.path)?.map(Taken::from)))
        }

        /// How many entries there are, with those that somebody works on.
        brief fn len(queue) {
            queue.recipe.len().await.at(&queue.path)
        }

        /// Whether there is no entry, also none that somebody works on.
        brief fn is_empty(queue) {
            queue.recipe.is_empty().await.at(&queue.path)
        }
    }
    each {}
    sync {}
    asyncio {}
}

lasting! {
    impl Item, AsyncItem for Taken, until give_back;

    both {
        /// Waits until it is not this one's for certain any more and gives the reason, as in
        /// LostError. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn lost(item, timeout: Option<f64>) {
            let lost = item.holding.owned.during(rust::Item::lost);
            within(timeout, async { word(lost.await) }).await
        }

        /// It is done: the entry is removed.
        ///
        /// Raises NoNodeError (it was not this one's any more, and may be done again by another),
        /// ClosedError (it was done or given back before).
        brief fn done(item) {
            let inner = item.holding.owned.end().await.ok_or_else(over_and_done)?;
            inner.done().await.at(&item.name)
        }

        /// Gives it back, and waits until another can have it. One that is done or given back is
        /// left alone.
        brief fn give_back(item) {
            match item.holding.owned.end().await {
                Some(inner) => let_go(inner.give_back().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// What was put.
        #[getter]
        fn data(&self) -> PyResult<Vec<u8>> {
            Ok(self.0.held.get()?.data.clone())
        }

        /// The priority that it was put with.
        #[getter]
        fn priority(&self) -> PyResult<u16> {
            Ok(self.0.held.get()?.priority)
        }

        /// How often it was taken, this time included. What kazoo's clients took is not counted.
        #[getter]
        fn attempt(&self) -> PyResult<u32> {
            Ok(self.0.held.get()?.attempt)
        }

        /// The name of the entry.
        #[getter]
        fn name(&self) -> PyResult<String> {
            Ok(self.0.held.get()?.name.clone())
        }

        /// The fencing token: whoever takes the same entry later has a higher one.
        #[getter]
        fn fence(&self) -> PyResult<i64> {
            Ok(self.0.held.get()?.holding.fence)
        }

        /// The fencing token, if it is this one's for certain at this moment. It asks no server:
        /// call it before every step that nobody else may do.
        ///
        /// Raises LostError.
        fn check(&self, py: Python<'_>) -> PyResult<i64> {
            token(py, &self.0.held.get()?.holding.owned, rust::Item::check)
        }

        /// Whether it is this one's for certain at this moment. It asks no server.
        #[getter]
        fn is_held(&self) -> PyResult<bool> {
            Ok(is_held(&self.0.held.get()?.holding.owned, rust::Item::check))
        }
    }
    sync {}
    asyncio {}
}

both! {
    impl Claim, AsyncClaim for At<rust::Claim>;

    new {
        #[signature (client, path, *, owner=None)]
        fn new(client, path, owner: Option<String>) {
            claim(client, path, owner.as_deref())
        }
    }

    both {
        /// Waits until it can be had, takes it for so many seconds, and gives a Tenure. timeout:
        /// waits at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (length, timeout=None)]
        enter fn take(claim, length: f64, timeout: Option<f64>) {
            let length = seconds("length", length)?;
            within(timeout, async {
                Ok(Holding::from(claim.recipe.take(length).await.at(&claim.path)?))
            }).await
        }

        /// Takes it for so many seconds if it is free, if its time is over or if it is this
        /// owner's: a Tenure, or None.
        brief fn try_take(claim, length: f64) {
            let length = seconds("length", length)?;
            let tenure = claim.recipe.try_take(length).await.at(&claim.path)?;
            Ok(Maybe(tenure.map(Holding::from)))
        }

        /// Whose it is, or was when its time was over: a Claimant; None if nobody has taken it
        /// since it was released.
        brief fn claimant(claim) {
            Ok(Maybe(claim.recipe.claimant().await.at(&claim.path)?.map(Claimant::from)))
        }
    }
    each {}
    sync {}
    asyncio {}
}

lasting! {
    impl Tenure, AsyncTenure for Holding<rust::Tenure>, until release;

    both {
        /// Waits until it is not this one's for certain any more and gives the reason, as in
        /// LostError. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError.
        #[signature (timeout=None)]
        long fn lost(tenure, timeout: Option<f64>) {
            within(timeout, async { word(tenure.owned.during(rust::Tenure::lost).await) }).await
        }

        /// From here on it is for so many seconds; False if it is not this one's any more. It may
        /// be renewed after its time is if nobody has taken it. Meanwhile `check` is in
        /// doubt.
        ///
        /// Raises ClosedError (it was released).
        brief fn renew(tenure, length: f64) {
            let length = seconds("length", length)?;
            let renewed = tenure.owned.change(async |inner| inner.renew(length).await).await;
            Ok(renewed.ok_or_else(over_and_done)??)
        }

        /// Gives it up. If it is another's, that is left alone; to release twice is no error.
        brief fn release(tenure) {
            match tenure.owned.end().await {
                Some(inner) => let_go(inner.release().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// The fencing token: whoever takes it later has a higher one. Renewing does not change it.
        #[getter]
        fn fence(&self) -> PyResult<i64> {
            Ok(self.0.held.get()?.fence)
        }

        /// Until when it is this one's: milliseconds since 1970, by the leader's clock. None when
        /// it was released, or is being renewed.
        #[getter]
        fn deadline_ms(&self) -> PyResult<Option<i64>> {
            Ok(self.0.held.get()?.owned.glance(rust::Tenure::deadline_ms))
        }

        /// The fencing token, if it is this one's for certain at this moment. It asks no server,
        /// and does not depend on the session.
        ///
        /// Raises LostError ("time-over", or "doubt" while it is being renewed).
        fn check(&self, py: Python<'_>) -> PyResult<i64> {
            token(py, &self.0.held.get()?.owned, rust::Tenure::check)
        }

        /// Whether it is this one's for certain at this moment. It asks no server.
        #[getter]
        fn is_held(&self) -> PyResult<bool> {
            Ok(is_held(&self.0.held.get()?.owned, rust::Tenure::check))
        }
    }
    sync {}
    asyncio {}
}
