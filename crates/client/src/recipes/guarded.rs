//! Whether a node of this session is there for certain.
//!
//! What it keeps true: [`Guarded::check`] says yes only if no server can have removed the node with
//! the session by this moment of the monotonic clock. A deletion by somebody else is noticed as
//! soon as its event arrives.

use super::held::{Fence, Lost};
use crate::{Certain, Client, Data, Error, ErrorCode, SessionState};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What stands before a node's data when its holder is asked to let go.
pub(super) const REVOKE: &[u8] = b"__REVOKE__";

/// What the guardian has seen of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    There,
    RevocationRequested,
    Gone(Lost),
}

/// A node that a task watches until this is dropped.
#[derive(Debug)]
pub(super) struct Guarded {
    client: Client,
    fence: Fence,
    seen: watch::Receiver<Seen>,
    guardian: JoinHandle<()>,
    _certain: Certain,
}

impl Guarded {
    /// The node at `path`, which was created at the zxid of `fence`.
    pub(super) fn new(client: &Client, path: String, fence: Fence) -> Guarded {
        let (tell, seen) = watch::channel(Seen::There);
        let guardian = tokio::spawn(guard(client.clone(), (path, fence), tell));
        let _certain = client.keep_certain();
        Guarded { client: client.clone(), fence, seen, guardian, _certain }
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether the node is there for certain at this moment.
    pub(super) fn check(&self) -> Result<Fence, Lost> {
        match &*self.seen.borrow() {
            Seen::Gone(lost) => Err(*lost),
            Seen::There | Seen::RevocationRequested => match self.client.state() {
                SessionState::Ended(end) => Err(Lost::SessionEnded(end)),
                SessionState::Connecting
                | SessionState::Connected
                | SessionState::ConnectedReadOnly => match self.client.is_certain() {
                    true => Ok(self.fence),
                    false => Err(Lost::Doubt),
                },
            },
        }
    }

    /// Waits until it is not.
    pub(super) async fn lost(&self) -> Lost {
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

    /// Waits until somebody has asked for it.
    pub(super) async fn revocation_requested(&self) {
        let mut seen = self.seen.clone();
        let asked = |seen: &Seen| *seen == Seen::RevocationRequested;
        if seen.wait_for(asked).await.is_err() {
            std::future::pending().await
        }
    }

    /// Looks no more, since the node is about to be removed.
    pub(super) fn stop(&self) {
        self.guardian.abort();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}

fn requests_revocation(data: Option<&Data>) -> bool {
    data.is_some_and(|data| data.starts_with(REVOKE))
}

/// Looks at the node until it is gone, or another stands in its place.
async fn guard(client: Client, (path, fence): (String, Fence), tell: watch::Sender<Seen>) {
    loop {
        let heard = match client.get_data_and_watch(&path).await {
            Ok((_, stat, _)) if stat.czxid != fence.0 => {
                tell.send_replace(Seen::Gone(Lost::Deleted));
                return;
            }
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
