//! Locks, leases and elections.

use bellwether_client::recipes as rust;

use super::held::Holding;
use super::values::Contender;
use super::{At, pair, stream};
use crate::bridge::both;
use crate::errors::{At as _, Trouble};
use crate::values::{Bytes, Maybe};
use crate::watch::{Closable, within};

type Got = Result<Holding<rust::Held>, Trouble>;

/// What an attempt has got.
fn tried(
    attempt: Result<Option<rust::Held>, bellwether_client::Error>,
    path: &str,
) -> Result<Maybe<Holding<rust::Held>>, Trouble> {
    Ok(Maybe(attempt.at(path)?.map(Holding::from)))
}

fn all(line: Vec<rust::Contender>) -> Vec<Contender> {
    line.into_iter().map(Contender::from).collect()
}

pair! {
    /// A lock that one holds at a time, first come first served. It excludes holders of kazoo's
    /// `Lock`.
    ///
    /// client: whose session holds it. path: the contenders are below it; it is made when it is
    /// missing. data: what the contender says of itself, shown by `contenders`. It is not
    /// reentrant: each `acquire` is a contender of its own.
    Lock, AsyncLock over At<rust::Lock>;

    /// A lock that many share for reading or one holds for writing. It excludes holders of kazoo's
    /// `ReadLock` and `WriteLock`.
    ///
    /// client: whose session holds it. path: the contenders are below it; it is made when it is
    /// missing. data: what the contender says of itself.
    RwLock, AsyncRwLock over At<rust::RwLock>;

    /// So many leases, first come first served.
    ///
    /// client: whose session holds them. path: the contenders are below it; it is made when it is
    /// missing. leases: how many there are; everybody has to name the same number. data: what the
    /// contender says of itself.
    Semaphore, AsyncSemaphore over At<rust::Semaphore>;

    /// One of the candidates leads, the others wait in the order of their coming, and anybody may
    /// look on. Candidates of kazoo's `Election` take part.
    ///
    /// client: whose session stands. path: the candidates are below it; it is made when it is
    /// missing.
    Election, AsyncElection over At<rust::Election>;

    /// Who leads, for somebody who only looks on: an iterator of Contender, or None if nobody does;
    /// at once for the first time and then whenever it is another one. Leaders of a short time may
    /// be left out. It ends when it or the client is closed.
    LeaderWatch, AsyncLeaderWatch over Closable<Leaders>;
}

both! {
    impl Lock, AsyncLock for At<rust::Lock>;

    new {
        #[signature (client, path, *, data=Bytes(Vec::new())) shown "(client, path, *, data=b\"\")"]
        fn new(client, path, data: Bytes) {
            Ok(rust::Lock::new(client, path).data(&data.0))
        }
    }

    both {
        /// Waits until the lock is this caller's and gives a Held. To give up the wait, by a
        /// timeout or a cancelled future, leaves the line. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (timeout=None)]
        enter fn acquire(lock, timeout: Option<f64>) {
            within(timeout, async { Got::Ok(lock.recipe.acquire().await.at(&lock.path)?.into()) })
                .await
        }

        /// Takes the lock if nobody has it or waits for it: a Held, or None.
        long fn try_acquire(lock) {
            tried(lock.recipe.try_acquire().await, &lock.path)
        }

        /// The holder, and behind it those that wait.
        brief fn contenders(lock) {
            Ok(all(lock.recipe.contenders().await.at(&lock.path)?))
        }

        /// Asks the holder to let go (`Held.revocation_requested`); False if nobody holds it.
        brief fn request_revocation(lock) {
            lock.recipe.request_revocation().await.at(&lock.path)
        }
    }
    each {}
    sync {}
    asyncio {}
}

both! {
    impl RwLock, AsyncRwLock for At<rust::RwLock>;

    new {
        #[signature (client, path, *, data=Bytes(Vec::new())) shown "(client, path, *, data=b\"\")"]
        fn new(client, path, data: Bytes) {
            Ok(rust::RwLock::new(client, path).data(&data.0))
        }
    }

    both {
        /// Waits until it may be read and gives a Held; a reader behind a waiting writer waits too.
        /// To give up the wait leaves the line. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (timeout=None)]
        enter fn read(lock, timeout: Option<f64>) {
            within(timeout, async { Got::Ok(lock.recipe.read().await.at(&lock.path)?.into()) })
                .await
        }

        /// Waits until it may be written and gives a Held. To give up the wait leaves the line.
        /// timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (timeout=None)]
        enter fn write(lock, timeout: Option<f64>) {
            within(timeout, async { Got::Ok(lock.recipe.write().await.at(&lock.path)?.into()) })
                .await
        }

        /// Takes it for reading if no writer has it or waits for it: a Held, or None.
        long fn try_read(lock) {
            tried(lock.recipe.try_read().await, &lock.path)
        }

        /// Takes it for writing if nobody has it or waits for it: a Held, or None.
        long fn try_write(lock) {
            tried(lock.recipe.try_write().await, &lock.path)
        }

        /// Everybody in the line, first come first.
        brief fn contenders(lock) {
            Ok(all(lock.recipe.contenders().await.at(&lock.path)?))
        }

        /// Asks the first in the line to let go; False if there is nobody.
        brief fn request_revocation(lock) {
            lock.recipe.request_revocation().await.at(&lock.path)
        }
    }
    each {}
    sync {}
    asyncio {}
}

both! {
    impl Semaphore, AsyncSemaphore for At<rust::Semaphore>;

    new {
        #[signature (client, path, leases, *, data=Bytes(Vec::new())) shown "(client, path, leases, *, data=b\"\")"]
        fn new(client, path, leases: usize, data: Bytes) {
            Ok(rust::Semaphore::new(client, path, leases)?.data(&data.0))
        }
    }

    both {
        /// Waits for a lease and gives a Held. To give up the wait leaves the line. timeout: at
        /// most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (timeout=None)]
        enter fn acquire(leases, timeout: Option<f64>) {
            let one = async { Got::Ok(leases.recipe.acquire().await.at(&leases.path)?.into()) };
            within(timeout, one).await
        }

        /// Takes a lease if one is free: a Held, or None.
        long fn try_acquire(leases) {
            tried(leases.recipe.try_acquire().await, &leases.path)
        }

        /// The holders, and behind them those that wait.
        brief fn contenders(leases) {
            Ok(all(leases.recipe.contenders().await.at(&leases.path)?))
        }
    }
    each {}
    sync {}
    asyncio {}
}

both! {
    impl Election, AsyncElection for At<rust::Election>;

    new {
        fn new(client, path) {
            Ok(rust::Election::new(client, path))
        }
    }

    both {
        /// Stands for election with this data, waits until elected, and gives a Leadership. To give
        /// up the wait withdraws. timeout: at most so many seconds.
        ///
        /// Raises TimeoutError, SessionExpiredError.
        #[signature (data=Bytes(Vec::new()), timeout=None) shown "($self, data=b\"\", timeout=None)"]
        enter fn campaign(election, data: Bytes, timeout: Option<f64>) {
            within(timeout, async {
                let office = election.recipe.campaign(&data.0).await.at(&election.path)?;
                Ok(Holding::from(office))
            }).await
        }

        /// The candidates; the first of them leads.
        brief fn candidates(election) {
            Ok(all(election.recipe.candidates().await.at(&election.path)?))
        }

        /// The leader; None if there is no candidate.
        brief fn leader(election) {
            let leader = election.recipe.leader().await.at(&election.path)?;
            Ok(Maybe(leader.map(Contender::from)))
        }

        /// Watches who leads, without standing.
        enter fn observe(election) {
            let watch = election.recipe.observe().await.at(&election.path)?;
            Ok(Closable::new(Leaders(watch)))
        }
    }
    each {}
    sync {}
    asyncio {}
}

/// Who leads, one after the other.
pub(crate) struct Leaders(rust::LeaderWatch);

impl Leaders {
    async fn next(&mut self) -> Result<Maybe<Contender>, Trouble> {
        Ok(Maybe(self.0.next().await?.map(Contender::from)))
    }
}

stream! {
    impl LeaderWatch, AsyncLeaderWatch for Leaders;
    /// Waits for the next leader: a Contender, or None if nobody leads. timeout: at most so many
    /// seconds.
    ///
    /// Raises TimeoutError, ClosedError, SessionExpiredError.
    next;
}
