//! Counters and once-only marks.

use bellwether_client as core;
use bellwether_client::recipes as rust;

use super::values::Claimed;
use super::{At, pair};
use crate::bridge::both;
use crate::errors::{At as _, Trouble};
use crate::values::{Bytes, Maybe, seconds};

pair! {
    /// A number that many change, as kazoo's `Counter` stores it.
    ///
    /// client: whose session is used. path: the node that holds it; one that is missing is made,
    /// and counts as 0. exact: changes leave no doubt as long as the session lives, at the price of
    /// a second write each.
    Counter, AsyncCounter over At<rust::Counter>;

    /// Marks that say what was done, so that it is done once.
    ///
    /// client: whose session is used. path: the marks are below it. owner: a name of one line that
    /// nobody else has; whoever comes back with the same one is told again that it is the first.
    /// Without one, it is one of its own.
    Once, AsyncOnce over At<rust::Once>;
}

fn counter(client: &core::Client, path: &str, exact: bool) -> Result<rust::Counter, Trouble> {
    let counter = rust::Counter::new(client, path);
    Ok(if exact { counter.exact() } else { counter })
}

fn once(client: &core::Client, path: &str, owner: Option<&str>) -> Result<rust::Once, Trouble> {
    let once = rust::Once::new(client, path);
    Ok(match owner {
        Some(owner) => once.owner(owner),
        None => once,
    })
}

both! {
    impl Counter, AsyncCounter for At<rust::Counter>;

    new {
        #[signature (client, path, *, exact=false)]
        fn new(client, path, exact: bool) {
            counter(client, path, exact)
        }
    }

    both {
        /// The number.
        brief fn get(counter) {
            counter.recipe.get().await.at(&counter.path)
        }

        /// Adds to the number, and gives the new one.
        ///
        /// Raises ConnectionLossError (it may have been added; not with exact).
        brief fn add(counter, delta: i64) {
            counter.recipe.add(delta).await.at(&counter.path)
        }

        /// Sets the number to new if it is expected, and gives whether it was.
        ///
        /// Raises ConnectionLossError (it may have been set; not with exact).
        brief fn compare_and_set(counter, expected: i64, new: i64) {
            counter.recipe.compare_and_set(expected, new).await.at(&counter.path)
        }
    }
    each {}
    sync {}
    asyncio {}
}

both! {
    impl Once, AsyncOnce for At<rust::Once>;

    new {
        #[signature (client, path, *, owner=None)]
        fn new(client, path, owner: Option<String>) {
            once(client, path, owner.as_deref())
        }
    }

    both {
        /// Sets about a key, a name without a slash, and gives a Claimed. To ask again is told the
        /// same.
        ///
        /// Raises BadArgumentsError.
        brief fn claim(once, key: String) {
            Ok(Claimed::from(once.recipe.claim(&key).await.at(&once.path)?))
        }

        /// Records what came out, and gives whether that is what stands. It is not if the key is
        /// not this owner's, or has another result already.
        brief fn done(once, key: String, result: Bytes) {
            once.recipe.done(&key, &result.0).await.at(&once.path)
        }

        /// What came out; None as long as it is not done.
        brief fn result(once, key: String) {
            Ok(Maybe(once.recipe.result(&key).await.at(&once.path)?))
        }

        /// Removes the marks that nobody has written for so many seconds, done or not, and gives
        /// how many. Their keys can be claimed anew. None if another is sweeping.
        brief fn sweep(once, older_than: f64) {
            let older_than = seconds("older_than", older_than)?;
            Ok(Maybe(once.recipe.sweep(older_than).await.at(&once.path)?))
        }
    }
    each {}
    sync {}
    asyncio {}
}
