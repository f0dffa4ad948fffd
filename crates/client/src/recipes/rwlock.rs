//! A lock that many share for reading or one holds for writing, in the layout of kazoo's
//! `ReadLock` and `WriteLock`.

use super::held::{Held, ask_first};
use super::line::{Contender, Line, Mark, Rule};
use super::lock::{LOCK, acquire, try_acquire, within};
use crate::{Client, Data, Error};
use std::time::Duration;

const READ: Mark = Mark("__rlock__");
const READER: Rule = Rule { mark: READ, blockers: &[LOCK], places: 1 };
const WRITER: Rule = Rule { mark: LOCK, blockers: &[LOCK, READ], places: 1 };

/// A lock for readers and writers at a path.
///
/// Guarantee: while a writer passes [`Held::check`], nobody else does; readers pass together. It is
/// granted in the order of asking, so that neither kind starves: a reader behind a waiting writer
/// waits too.
#[derive(Clone, Debug)]
pub struct RwLock {
    line: Line,
    data: Data,
}

impl RwLock {
    /// The lock at `path`, whose contenders are below it. The node is made when it is missing.
    pub fn new(client: &Client, path: &str) -> RwLock {
        RwLock { line: Line::new(client, path), data: Data::default() }
    }

    /// What the contender says of itself.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> RwLock {
        self.data = data.into();
        self
    }

    /// Waits until it may be read. Dropping the future leaves the line.
    pub async fn read(&self) -> Result<Held, Error> {
        acquire(&self.line, &READER, &self.data).await
    }

    /// Waits until it may be written. Dropping the future leaves the line.
    pub async fn write(&self) -> Result<Held, Error> {
        acquire(&self.line, &WRITER, &self.data).await
    }

    /// [`RwLock::read`] for so long; `None` if it was not to be had.
    pub async fn read_within(&self, limit: Duration) -> Result<Option<Held>, Error> {
        within(limit, self.read()).await
    }

    /// [`RwLock::write`] for so long; `None` if it was not to be had.
    pub async fn write_within(&self, limit: Duration) -> Result<Option<Held>, Error> {
        within(limit, self.write()).await
    }

    /// Takes it for reading if no writer has it or waits for it.
    pub async fn try_read(&self) -> Result<Option<Held>, Error> {
        try_acquire(&self.line, &READER, &self.data).await
    }

    /// Takes it for writing if nobody has it or waits for it.
    pub async fn try_write(&self) -> Result<Option<Held>, Error> {
        try_acquire(&self.line, &WRITER, &self.data).await
    }

    /// Everybody in the line, first come first.
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.line.contenders(WRITER.blockers).await
    }

    /// Asks the first in the line to let go; false if there is nobody.
    pub async fn request_revocation(&self) -> Result<bool, Error> {
        ask_first(&self.line, WRITER.blockers).await
    }
}
