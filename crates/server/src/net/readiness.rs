//! A small task per connection that waits until its socket can be read or written, and says so. It
//! reads and writes nothing itself: the core does, when its turn comes.

use crate::run::Message;
use bellwether_node::ConnId;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// How the core tells a task what to wait for. Dropping it ends the task.
pub(crate) type Wants = mpsc::UnboundedSender<Interest>;

/// Waits on behalf of the core. After each message it waits until the core says what it wants next.
pub(crate) fn spawn(conn: ConnId, stream: Arc<TcpStream>, core: mpsc::Sender<Message>) -> Wants {
    // The core says at most one thing per turn, so that the queue stays as short as its turns.
    let (wants, mut wanted) = mpsc::unbounded_channel::<Interest>();
    tokio::spawn(async move {
        let mut next = wanted.recv().await;
        while let Some(interest) = next {
            tokio::select! {
                biased;
                changed = wanted.recv() => next = changed,
                ready = stream.ready(interest) => {
                    // Where the core neither reads nor writes at the moment, it is waited for an
                    // error alone, which stays; everywhere else an error shows when it does.
                    let is_broken = ready.is_ok_and(|ready| ready.is_error());
                    let message =
                        if is_broken { Message::Broken(conn) } else { Message::Ready(conn) };
                    if core.send(message).await.is_err() {
                        return; // The core has stopped.
                    }
                    next = wanted.recv().await;
                }
            }
        }
    });
    wants
}
