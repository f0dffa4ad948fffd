//! An election: one of the candidates leads, the others wait in the order of their coming, and
//! anybody may look on. The layout is that of kazoo's `Election`.

use super::held::{Fence, Held, Lost};
use super::line::{Contender, Line, changed};
use super::lock::{LOCK, Lock, within};
use crate::{Client, Error, PersistentWatcher};
use std::time::Duration;

/// A candidate: its node, what it says of itself, and since when it stands.
pub type Candidate = Contender;

/// An election at a path.
///
/// Guarantee: of all [`Leadership`] values of one path, at most one passes [`Leadership::check`] at
/// a moment, and later ones have higher fencing tokens.
#[derive(Clone, Debug)]
pub struct Election {
    lock: Lock,
    line: Line,
}

impl Election {
    /// The election at `path`. The node is made when it is missing.
    pub fn new(client: &Client, path: &str) -> Election {
        Election { lock: Lock::new(client, path), line: Line::new(client, path) }
    }

    /// Stands for election with this data, and waits until elected. Dropping the future withdraws.
    pub async fn campaign(&self, data: &[u8]) -> Result<Leadership, Error> {
        let held = self.lock.clone().data(data).acquire().await?;
        Ok(Leadership { held })
    }

    /// Likewise, for so long; `None` if not elected in time.
    pub async fn campaign_within(
        &self,
        data: &[u8],
        limit: Duration,
    ) -> Result<Option<Leadership>, Error> {
        within(limit, self.campaign(data)).await
    }

    /// The candidates; the first of them leads.
    pub async fn candidates(&self) -> Result<Vec<Candidate>, Error> {
        self.line.contenders(&[LOCK]).await
    }

    /// The leader; `None` if there is no candidate.
    pub async fn leader(&self) -> Result<Option<Candidate>, Error> {
        Ok(self.candidates().await?.into_iter().next())
    }

    /// Watches who leads, without standing.
    pub async fn observe(&self) -> Result<LeaderWatch, Error> {
        let watcher = self.line.watch().await?;
        Ok(LeaderWatch { election: self.clone(), watcher, last: None })
    }
}

/// The office of the leader. Dropping it resigns in the background.
#[derive(Debug)]
#[must_use = "dropping it resigns"]
pub struct Leadership {
    held: Held,
}

impl Leadership {
    /// The fencing token.
    pub fn fence(&self) -> Fence {
        self.held.fence()
    }

    /// Whether this one leads for certain at this moment; the fencing token if so. It asks no
    /// server: call it before every step that only a leader may do.
    pub fn check(&self) -> Result<Fence, Lost> {
        self.held.check()
    }

    /// Waits until this one does not lead for certain any more.
    pub async fn lost(&self) -> Lost {
        self.held.lost().await
    }

    /// Steps down, and waits until another can lead.
    pub async fn resign(self) -> Result<(), Error> {
        self.held.release().await
    }
}

/// Who leads, for somebody who only looks on.
#[derive(Debug)]
pub struct LeaderWatch {
    election: Election,
    watcher: PersistentWatcher,
    /// What was told last; `None` before the first time.
    last: Option<Option<Fence>>,
}

impl LeaderWatch {
    /// The leader, at once for the first time and then whenever it is another one, or none. Leaders
    /// of a short time may be left out.
    pub async fn next(&mut self) -> Result<Option<Candidate>, Error> {
        loop {
            let leader = self.election.leader().await?;
            let fence = leader.as_ref().map(|leader| leader.fence);
            if self.last != Some(fence) {
                self.last = Some(fence);
                return Ok(leader);
            }
            changed(&mut self.watcher).await?;
        }
    }
}
