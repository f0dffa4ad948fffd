//! Leases: so many at a time, first come first served.

use super::held::Held;
use super::line::{Contender, Line, Mark, Rule};
use super::lock::{acquire, try_acquire, within};
use crate::{Client, Data, Error};
use std::time::Duration;

const LEASE: Mark = Mark("__lease__");

/// A number of leases at a path.
///
/// Guarantee: of all [`Held`] values of one path, at most as many as there are leases pass
/// [`Held::check`] at a moment, provided that everybody names the same number. They are granted in
/// the order of asking.
///
/// Those that wait watch the same list, so that each release wakes all of them: it is meant for
/// tens of waiting processes, not for thousands.
#[derive(Clone, Debug)]
pub struct Semaphore {
    line: Line,
    leases: usize,
    data: Data,
}

impl Semaphore {
    /// So many leases at `path`, at least one. The node is made when it is missing.
    pub fn new(client: &Client, path: &str, leases: usize) -> Result<Semaphore, Error> {
        match leases {
            0 => Err(Error::Argument("a semaphore has at least one lease")),
            _ => Ok(Semaphore { line: Line::new(client, path), leases, data: Data::default() }),
        }
    }

    /// What the contender says of itself: [`Semaphore::contenders`] shows it.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Semaphore {
        self.data = data.into();
        self
    }

    fn rule(&self) -> Rule {
        Rule { mark: LEASE, blockers: &[LEASE], places: self.leases }
    }

    /// Waits for a lease. Dropping the future leaves the line.
    pub async fn acquire(&self) -> Result<Held, Error> {
        acquire(&self.line, &self.rule(), &self.data).await
    }

    /// Likewise, for so long; `None` if there was none to be had.
    pub async fn acquire_within(&self, limit: Duration) -> Result<Option<Held>, Error> {
        within(limit, self.acquire()).await
    }

    /// Takes a lease if one is free.
    pub async fn try_acquire(&self) -> Result<Option<Held>, Error> {
        try_acquire(&self.line, &self.rule(), &self.data).await
    }

    /// The holders, and behind them those that wait.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.line.contenders(&[LEASE]).await
    }
}
