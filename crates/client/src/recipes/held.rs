//! Something that is held as long as its node is there: a lock, a lease, an office.
//!
//! What it keeps true: [`Held::check`] says yes only if no server can have given it to another by
//! this moment of the monotonic clock. The node is looked after by [`Guarded`].

use super::guarded::{Guarded, REVOKE};
use super::line::{Line, Place};
use crate::{Error, SessionEnd, Zxid};
use std::fmt;

/// A fencing token: whoever holds the same thing later has a higher one. It is the zxid at which
/// the holder's node was created.
///
/// A store that remembers the highest token that it has seen, and refuses lower ones, is safe from
/// a holder that was stopped, lost what it held, and goes on without knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub Zxid);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.0)
    }
}

/// Why something is not held for certain any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No server has answered for so long that one may have given it to another. If one answers
    /// before the session has expired, it is held as before.
    Doubt,
    /// Somebody has deleted its node.
    Deleted,
    /// It was taken for a time, and that is over.
    TimeOver,
    /// The session has ended.
    SessionEnded(SessionEnd),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Doubt => f.write_str("no server has answered for too long: it may be lost"),
            Lost::Deleted => f.write_str("its node was deleted by another"),
            Lost::TimeOver => f.write_str("the time that it was taken for is over"),
            Lost::SessionEnded(end) => write!(f, "{end}"),
        }
    }
}

impl std::error::Error for Lost {}

/// Something that is held. Dropping it lets go of it in the background; [`Held::release`] waits
/// until others can have it.
#[derive(Debug)]
#[must_use = "dropping it releases it"]
pub struct Held {
    /// `None` only while it is being released.
    place: Option<Place>,
    guarded: Guarded,
}

impl Held {
    /// Whoever waited for long has not asked a quorum for long: it is asked before anything is said
    /// of what is held.
    pub(super) async fn begin(place: Place) -> Result<Held, Error> {
        let client = place.line().client.clone();
        let guarded = Guarded::new(&client, place.path(), place.fence);
        let held = Held { place: Some(place), guarded };
        if !client.is_certain() {
            client.confirm().await?;
        }
        Ok(held)
    }

    /// The fencing token.
    pub fn fence(&self) -> Fence {
        self.guarded.fence()
    }

    /// The path of the node that says that it is held.
    pub fn path(&self) -> String {
        self.place.as_ref().map(Place::path).unwrap_or_default()
    }

    /// Whether it is held for certain at this moment; the fencing token if so. It asks no server:
    /// call it before every step that needs it.
    pub fn check(&self) -> Result<Fence, Lost> {
        self.guarded.check()
    }

    /// Waits until it is not held for certain any more. It may be dropped and called again.
    pub async fn lost(&self) -> Lost {
        self.guarded.lost().await
    }

    /// Waits until somebody asks for it (`request_revocation`). Whoever holds it need not heed
    /// that.
    pub async fn revocation_requested(&self) {
        self.guarded.revocation_requested().await
    }

    /// Lets go of it, and waits until others can have it.
    pub async fn release(mut self) -> Result<(), Error> {
        self.guarded.stop();
        match self.place.take() {
            Some(place) => place.leave().await,
            None => Ok(()),
        }
    }
}

/// Asks whoever is first to let go; false if there is nobody.
pub(super) async fn ask_first(line: &Line, marks: &[super::line::Mark]) -> Result<bool, Error> {
    let words = |data: &[u8]| (!data.starts_with(REVOKE)).then(|| [REVOKE, data].concat());
    line.tell_first(marks, words).await
}
