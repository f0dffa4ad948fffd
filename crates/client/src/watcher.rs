//! Watches as values: whoever holds one is told; dropping it removes the watch.

use crate::chroot::Chroot;
use crate::connection::Control;
use crate::error::{Error, SessionEnd};
use crate::watches::WatchId;
use bellwether_wire::client::WatchEvent;
use tokio::sync::{broadcast, mpsc, oneshot};

/// What the connection task tells a watch.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Fired(WatchEvent),
    Gap,
    Ended(SessionEnd),
}

/// The half that the connection task holds.
#[derive(Debug)]
pub(crate) enum Listener {
    Once(oneshot::Sender<News>),
    Lasting(broadcast::Sender<News>),
}

impl Listener {
    /// Whether the watch value is gone.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Listener::Once(sender) => sender.is_closed(),
            Listener::Lasting(sender) => sender.receiver_count() == 0,
        }
    }
}

/// What both kinds of values share: telling the connection task that they are gone.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) id: WatchId,
    pub(crate) control: mpsc::UnboundedSender<Control>,
    pub(crate) chroot: Chroot,
}

impl Handle {
    fn abandon(&self) {
        // If the connection task has ended, so have its watches.
        self.control.send(Control::Unwatch(self.id, None)).ok();
    }

    async fn remove(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.control.send(Control::Unwatch(self.id, Some(reply))).is_err() {
            return Ok(()); // The session has ended, and the watch with it.
        }
        match answer.await {
            Ok(Ok(_)) | Err(_) => Ok(()),
            Ok(Err(failure)) => Err(failure.into_error(crate::OpCode::RemoveWatches, "")),
        }
    }

    fn inside(&self, event: WatchEvent) -> WatchEvent {
        WatchEvent { path: self.chroot.strip(&event.path).into(), ..event }
    }
}

/// A watch that fires once.
///
/// It survives reconnects: a change that happened between two connections fires it afterwards.
/// Dropping it removes the watch, also on the server.
#[derive(Debug)]
#[must_use = "dropping a watcher removes the watch"]
pub struct OneshotWatcher {
    /// `None` only once it fired or is being dropped.
    news: Option<oneshot::Receiver<News>>,
    handle: Handle,
}

impl OneshotWatcher {
    pub(crate) fn new(news: oneshot::Receiver<News>, handle: Handle) -> OneshotWatcher {
        OneshotWatcher { news: Some(news), handle }
    }

    /// Waits until it fires, or until the session ends.
    pub async fn changed(mut self) -> Result<WatchEvent, SessionEnd> {
        let Some(news) = self.news.as_mut() else { return Err(SessionEnd::Closed) };
        let heard = news.await;
        self.news = None;
        match heard {
            Ok(News::Fired(event)) => Ok(self.handle.inside(event)),
            Ok(News::Ended(end)) => Err(end),
            Ok(News::Gap) | Err(_) => Err(SessionEnd::Closed),
        }
    }

    /// Removes the watch and waits until the server has done so.
    pub async fn remove(mut self) -> Result<(), Error> {
        let done = self.handle.remove().await;
        self.news = None;
        done
    }
}

impl Drop for OneshotWatcher {
    fn drop(&mut self) {
        // The receiver goes first: a request that is not yet taken from the queue then shows that
        // nobody listens any more.
        if self.news.take().is_some() {
            self.handle.abandon();
        }
    }
}

/// What a persistent watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something happened to a node.
    Event(WatchEvent),
    /// Events may be missing here: the connection was lost and is there again, or more of them
    /// were unread than are kept. Whoever mirrors nodes reads them again.
    Gap,
}

/// A watch that fires until it is removed.
///
/// It survives reconnects, but servers do not tell afterwards what happened in between: then it
/// yields [`Change::Gap`]. Dropping it removes the watch, also on the server.
#[derive(Debug)]
#[must_use = "dropping a watcher removes the watch"]
pub struct PersistentWatcher {
    /// `None` only while it is being dropped.
    news: Option<broadcast::Receiver<News>>,
    handle: Handle,
}

impl PersistentWatcher {
    pub(crate) fn new(news: broadcast::Receiver<News>, handle: Handle) -> PersistentWatcher {
        PersistentWatcher { news: Some(news), handle }
    }

    /// Waits for the next event, a gap, or the end of the session.
    pub async fn changed(&mut self) -> Result<Change, SessionEnd> {
        let Some(news) = self.news.as_mut() else { return Err(SessionEnd::Closed) };
        match news.recv().await {
            Ok(News::Fired(event)) => Ok(Change::Event(self.handle.inside(event))),
            Ok(News::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => Ok(Change::Gap),
            Ok(News::Ended(end)) => Err(end),
            Err(broadcast::error::RecvError::Closed) => Err(SessionEnd::Closed),
        }
    }

    /// What has arrived and was not taken, without waiting; `None` if there is nothing.
    ///
    /// A server tells of a change before it answers any request that shows it. So when this has
    /// nothing after an answer, the answer's state is what the changes so far have led to.
    pub fn try_changed(&mut self) -> Option<Result<Change, SessionEnd>> {
        let news = self.news.as_mut()?;
        Some(match news.try_recv() {
            Ok(News::Fired(event)) => Ok(Change::Event(self.handle.inside(event))),
            Ok(News::Gap) | Err(broadcast::error::TryRecvError::Lagged(_)) => Ok(Change::Gap),
            Ok(News::Ended(end)) => Err(end),
            Err(broadcast::error::TryRecvError::Closed) => Err(SessionEnd::Closed),
            Err(broadcast::error::TryRecvError::Empty) => return None,
        })
    }

    /// Removes the watch and waits until the server has done so.
    pub async fn remove(mut self) -> Result<(), Error> {
        let done = self.handle.remove().await;
        self.news = None;
        done
    }
}

impl Drop for PersistentWatcher {
    fn drop(&mut self) {
        if self.news.take().is_some() {
            self.handle.abandon();
        }
    }
}
