//! Something that is held as long as its node is there: a lock, a lease, an office.
//!
//! What it keeps true: [`Held::check`] says yes only if no server can have given it to another by
//! this moment of the monotonic clock.

use super::line::{Line, Place};
use crate::{Certain, Client, Data, Error, ErrorCode, SessionEnd, Zxid};
use std::fmt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
    /// The session has ended.
    SessionEnded(SessionEnd),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Doubt => f.write_str("no server has answered for too long: it may be lost"),
            Lost::Deleted => f.write_str("its node was deleted by another"),
            Lost::SessionEnded(end) => write!(f, "{end}"),
        }
    }
}

impl std::error::Error for Lost {}

/// What stands before a holder's data when it is asked to let go.
const REVOKE: &[u8] = b"__REVOKE__";

/// What the guardian has seen of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    There,
    RevocationRequested,
    Gone(Lost),
}

/// Something that is held. Dropping it lets go of it in the background; [`Held::release`] waits
/// until others can have it.
#[derive(Debug)]
#[must_use = "dropping it releases it"]
pub struct Held {
    /// `None` only while it is being released.
    place: Option<Place>,
    fence: Fence,
    client: Client,
    seen: watch::Receiver<Seen>,
    guardian: JoinHandle<()>,
    _certain: Certain,
}

impl Held {
    /// Whoever waited for long has not asked a quorum for long: it is asked before anything is said
    /// of what is held.
    pub(super) async fn begin(place: Place) -> Result<Held, Error> {
        let client = place.line().client.clone();
        let held = Held::new(place);
        if !client.is_certain() {
            client.confirm().await?;
        }
        Ok(held)
    }

    fn new(place: Place) -> Held {
        let client = place.line().client.clone();
        let _certain = client.keep_certain();
        let (tell, seen) = watch::channel(Seen::There);
        let guardian = tokio::spawn(guard(client.clone(), place.path(), tell));
        Held { fence: place.fence, place: Some(place), client, seen, guardian, _certain }
    }

    /// The fencing token.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// The path of the node that says that it is held.
    pub fn path(&self) -> String {
        self.place.as_ref().map(Place::path).unwrap_or_default()
    }

    /// Whether it is held for certain at this moment; the fencing token if so. It asks no server:
    /// call it before every step that needs it.
    pub fn check(&self) -> Result<Fence, Lost> {
        match &*self.seen.borrow() {
            Seen::Gone(lost) => Err(*lost),
            Seen::There | Seen::RevocationRequested => match self.client.state() {
                crate::SessionState::Ended(end) => Err(Lost::SessionEnded(end)),
                crate::SessionState::Connecting
                | crate::SessionState::Connected
                | crate::SessionState::ConnectedReadOnly => match self.client.is_certain() {
                    true => Ok(self.fence),
                    false => Err(Lost::Doubt),
                },
            },
        }
    }

    /// Waits until it is not held for certain any more. It may be dropped and called again.
    pub async fn lost(&self) -> Lost {
        let mut seen = self.seen.clone();
        loop {
            if let Err(lost) = self.check() {
                return lost;
            }
            tokio::select! {
                biased;
                _changed = seen.changed() => {}
                () = self.client.doubt() => {}
            }
        }
    }

    /// Waits until somebody asks for it (`request_revocation`). Whoever holds it need not heed
    /// that.
    pub async fn revocation_requested(&self) {
        let mut seen = self.seen.clone();
        let asked = |seen: &Seen| *seen == Seen::RevocationRequested;
        if seen.wait_for(asked).await.is_err() {
            std::future::pending().await
        }
    }

    /// Lets go of it, and waits until others can have it.
    pub async fn release(mut self) -> Result<(), Error> {
        self.guardian.abort();
        match self.place.take() {
            Some(place) => place.leave().await,
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guardian.abort();
    }
}

/// Asks whoever is first to let go; false if there is nobody.
pub(super) async fn ask_first(line: &Line, marks: &[super::line::Mark]) -> Result<bool, Error> {
    let words = |data: &[u8]| (!data.starts_with(REVOKE)).then(|| [REVOKE, data].concat());
    line.tell_first(marks, words).await
}

fn requests_revocation(data: Option<&Data>) -> bool {
    data.is_some_and(|data| data.starts_with(REVOKE))
}

/// Looks at the node until it is gone.
async fn guard(client: Client, path: String, tell: watch::Sender<Seen>) {
    loop {
        let heard = match client.get_data_and_watch(&path).await {
            Ok((data, _, watcher)) => {
                if requests_revocation(data.as_ref()) {
                    tell.send_replace(Seen::RevocationRequested);
                }
                watcher.changed().await.map(drop)
            }
            Err(Error::ConnectionLost) => Ok(()),
            Err(Error::SessionEnded(end, _)) => Err(end),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                tell.send_replace(Seen::Gone(Lost::Deleted));
                return;
            }
            Err(error) => {
                tracing::warn!(%path, %error, "cannot watch what is held; its loss is noticed late");
                return std::future::pending().await;
            }
        };
        if let Err(end) = heard {
            tell.send_replace(Seen::Gone(Lost::SessionEnded(end)));
            return;
        }
    }
}
