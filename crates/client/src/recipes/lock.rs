//! A lock that one holds at a time, first come first served, in the layout of kazoo's `Lock`.

use super::held::{Held, ask_first};
use super::line::{Contender, Line, Mark, Rule};
use crate::{Client, Data, Error};
use std::time::Duration;

pub(super) const LOCK: Mark = Mark("__lock__");
const RULE: Rule = Rule { mark: LOCK, blockers: &[LOCK], places: 1 };

/// A lock at a path, which any number of processes and tasks may want.
///
/// Guarantee: of all [`Held`] values of one path, at most one passes [`Held::check`] at a moment,
/// and later ones have higher fencing tokens. It is granted in the order of asking.
#[derive(Clone, Debug)]
pub struct Lock {
    line: Line,
    data: Data,
}

impl Lock {
    /// The lock at `path`, whose contenders are below it. The node is made when it is missing.
    pub fn new(client: &Client, path: &str) -> Lock {
        Lock { line: Line::new(client, path), data: Data::default() }
    }

    /// What the contender says of itself: [`Lock::contenders`] shows it.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Lock {
        self.data = data.into();
        self
    }

    /// Waits until the lock is this caller's. Dropping the future leaves the line.
    pub async fn acquire(&self) -> Result<Held, Error> {
        acquire(&self.line, &RULE, &self.data).await
    }

    /// Likewise, for so long; `None` if it was not to be had.
    pub async fn acquire_within(&self, limit: Duration) -> Result<Option<Held>, Error> {
        within(limit, self.acquire()).await
    }

    /// Takes the lock if nobody has it or waits for it.
    pub async fn try_acquire(&self) -> Result<Option<Held>, Error> {
        try_acquire(&self.line, &RULE, &self.data).await
    }

    /// The holder, and behind it those that wait.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.line.contenders(RULE.blockers).await
    }

    /// Asks the holder to let go (`Held::revocation_requested`); false if nobody holds it.
    pub async fn request_revocation(&self) -> Result<bool, Error> {
        ask_first(&self.line, RULE.blockers).await
    }
}

pub(super) async fn acquire(line: &Line, rule: &Rule, data: &[u8]) -> Result<Held, Error> {
    let place = line.enter(rule.mark, data).await?;
    place.wait(rule).await?;
    Held::begin(place).await
}

pub(super) async fn try_acquire(
    line: &Line,
    rule: &Rule,
    data: &[u8],
) -> Result<Option<Held>, Error> {
    if line.is_taken(rule).await? {
        return Ok(None);
    }
    let place = line.enter(rule.mark, data).await?;
    if place.is_first(rule).await? {
        return Held::begin(place).await.map(Some);
    }
    place.leave().await.map(|()| None)
}

pub(super) async fn within<T>(
    limit: Duration,
    wanted: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, Error> {
    match tokio::time::timeout(limit, wanted).await {
        Ok(done) => done.map(Some),
        Err(_) => Ok(None),
    }
}
