//! A barrier that somebody raises and lowers, and that others wait at, in the layout of kazoo's
//! `Barrier`: it is up while its node is there.

use super::exact::delete_this;
use super::line::ended;
use super::lock::within;
use super::nodes::read;
use crate::{Client, Error, Zxid};
use std::time::Duration;

/// A barrier at a path.
///
/// Guarantee: [`Barrier::wait`] returns only if the barrier was down at some moment since it was
/// called, and returns as soon as that is seen.
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    path: Box<str>,
}

impl Barrier {
    /// The barrier whose node is the one at `path`.
    pub fn new(client: &Client, path: &str) -> Barrier {
        Barrier { client: client.clone(), path: path.into() }
    }

    /// Raises it. One that is up stays up.
    ///
    /// It has been up at some moment since the call. If the connection is lost and somebody lowers
    /// it meanwhile, it may be raised a second time.
    pub async fn raise(&self) -> Result<(), Error> {
        match self.raised_at().await? {
            Some(_) => Ok(()),
            None => self.client.retrying().ensure_path(&self.path).await,
        }
    }

    /// Lowers it. One that is down stays down.
    ///
    /// One call lowers it at most once, also if the connection is lost and somebody raises it again
    /// meanwhile.
    pub async fn lower(&self) -> Result<(), Error> {
        match self.raised_at().await? {
            Some(czxid) => delete_this(&self.client, &self.path, czxid).await,
            None => Ok(()),
        }
    }

    /// Whether it is up.
    pub async fn is_raised(&self) -> Result<bool, Error> {
        Ok(self.raised_at().await?.is_some())
    }

    /// Waits until it is down.
    pub async fn wait(&self) -> Result<(), Error> {
        let Some(raised_at) = self.raised_at().await? else { return Ok(()) };
        loop {
            match self.client.exists_and_watch(&self.path).await {
                // Another node: it was lowered, and raised again.
                Ok((Some(stat), _)) if stat.czxid != raised_at => return Ok(()),
                // A change of its data wakes too, and is nothing to go on for.
                Ok((Some(_), watcher)) => drop(watcher.changed().await.map_err(ended)?),
                Ok((None, _)) => return Ok(()),
                Err(Error::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Likewise, for so long; `None` if it was up all the time.
    pub async fn wait_within(&self, limit: Duration) -> Result<Option<()>, Error> {
        within(limit, self.wait()).await
    }

    /// When it was raised, as of the leader: a server that lags behind has not seen it yet.
    async fn raised_at(&self) -> Result<Option<Zxid>, Error> {
        self.client.retrying().sync(&self.path).await?;
        Ok(read(&self.client, &self.path).await?.map(|(_, stat)| stat.czxid))
    }
}
