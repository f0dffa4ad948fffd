//! Writes that happen once, and of which it is known.
//!
//! What it keeps true: whoever gets `Ok` knows that the write happened once, whoever gets an error
//! may believe [`Error::fate`]. What was under way when a connection was lost is refused by the
//! leader after the session has moved, or was proposed before: so after a `sync` on the next
//! connection, what a read does not show did not happen and will not.

use super::nodes::{child, read};
use crate::{Client, Create, CreateMode, Data, Error, ErrorCode, Multi, Sent, Stat, Zxid};
use tokio::runtime::Handle;

/// What [`read`] gives, after a write whose outcome is unknown. If it cannot be read, the write
/// stays unknown.
pub(super) async fn find(client: &Client, path: &str) -> Result<Option<(Data, Stat)>, Error> {
    let found = async {
        client.retrying().sync(path).await?;
        read(client, path).await
    };
    found.await.map_err(unknown)
}

/// The error of somebody who could not find out what became of a write.
pub(super) fn unknown(error: Error) -> Error {
    match error {
        Error::SessionEnded(end, _) => Error::SessionEnded(end, Sent::Yes),
        Error::Refused { .. }
        | Error::Multi { .. }
        | Error::UnknownCode(_)
        | Error::ConnectionLost
        | Error::NoServer { .. }
        | Error::TooLarge { .. }
        | Error::Path { .. }
        | Error::Argument(_)
        | Error::Servers(_) => Error::ConnectionLost,
    }
}

/// Deletes the node at `path` that was created at `czxid`, and after a lost connection no other one
/// that has taken its place. One that is gone is as good as deleted.
pub(super) async fn delete_this(client: &Client, path: &str, czxid: Zxid) -> Result<(), Error> {
    loop {
        match client.delete(path, None).await {
            Err(Error::ConnectionLost) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
            known => return known,
        }
        match find(client, path).await? {
            Some((_, stat)) if stat.czxid == czxid => {}
            Some(_) | None => return Ok(()),
        }
    }
}

/// Does several writes once. In the same multi, a node of this session is made in `directory`,
/// which tells after a lost connection that they happened; it is removed in the background.
pub(super) async fn multi_once(
    client: &Client,
    directory: &str,
    writes: &Multi,
) -> Result<(), Error> {
    let path = child(directory, &client.unique_name());
    let receipt = Create::new(&path, CreateMode::Ephemeral);
    // It is there before the first attempt: whoever drops this future leaves nothing behind.
    let removal = Removal::new(client, &path, Whose::Unique);
    loop {
        match client.multi(writes.clone().create(receipt.clone())).await {
            Ok(_) => return Ok(()),
            Err(Error::ConnectionLost) => {}
            Err(error @ Error::Multi { .. }) => {
                removal.forget();
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        if find(client, &path).await?.is_some() {
            return Ok(());
        }
    }
}

/// How a node of this session is told from another's.
#[derive(Clone, Debug)]
pub(super) enum Whose {
    /// Nobody else gives it that name.
    Unique,
    /// Nobody else gives it these data.
    Says(Data),
    /// It was created at this zxid, as no other was.
    Created(Zxid),
}

/// Removes a node of this session when it is dropped, whether it was created or not.
#[derive(Debug)]
pub(super) struct Removal {
    client: Client,
    /// Empty when there is nothing to remove.
    path: Box<str>,
    whose: Whose,
    runtime: Handle,
}

impl Removal {
    pub(super) fn new(client: &Client, path: &str, whose: Whose) -> Removal {
        Removal { client: client.clone(), path: path.into(), whose, runtime: Handle::current() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The node has been created, at this zxid.
    pub(super) fn created(&mut self, czxid: Zxid) {
        self.whose = Whose::Created(czxid);
    }

    /// There is nothing to remove.
    pub(super) fn forget(mut self) {
        self.path = Box::default();
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if self.path.is_empty() {
            return;
        }
        let (client, path) = (self.client.clone(), std::mem::take(&mut self.path));
        let whose = self.whose.clone();
        // A create under way is ordered before what follows by the session. If the session ends, so
        // does the node: a failure is no loss.
        self.runtime.spawn(async move {
            match whose {
                Whose::Unique => client.retrying().delete(&path, None).await.ok(),
                Whose::Says(words) => remove_if_it_says(&client, &path, &words).await.ok(),
                Whose::Created(czxid) => remove_created(&client, &path, czxid).await.ok(),
            }
        });
    }
}

/// Removes the node at `path` if it is this session's and holds these data.
pub(super) async fn remove_if_it_says(
    client: &Client,
    path: &str,
    words: &Data,
) -> Result<(), Error> {
    match find(client, path).await? {
        Some((data, stat)) if data == *words && is_mine(client, &stat) => {
            delete_this(client, path, stat.czxid).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Removes the node at `path` if it is the one that was created at `czxid`.
async fn remove_created(client: &Client, path: &str, czxid: Zxid) -> Result<(), Error> {
    match client.retrying().exists(path).await? {
        Some(stat) if stat.czxid == czxid => delete_this(client, path, czxid).await,
        Some(_) | None => Ok(()),
    }
}

/// Sets the data of a node that only its owner sets, and takes over its stat. A set that was given
/// up in the middle, and has happened, is no obstacle.
pub(super) async fn set_own(
    client: &Client,
    path: &str,
    data: &[u8],
    stat: &mut Stat,
) -> Result<(), Error> {
    loop {
        match client.retrying().set_data(path, data, stat.version).await {
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                let found = client.retrying().exists(path).await?;
                let newer =
                    |found: &Stat| found.czxid == stat.czxid && found.version != stat.version;
                *stat = found.filter(newer).ok_or(error)?;
            }
            known => {
                *stat = known?;
                return Ok(());
            }
        }
    }
}

/// Whether an ephemeral node is this session's.
pub(super) fn is_mine(client: &Client, stat: &Stat) -> bool {
    stat.ephemeral_owner == client.session_id().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, SessionEnd};

    #[test]
    fn who_cannot_find_out_does_not_claim_that_nothing_happened() {
        for error in [
            Error::SessionEnded(SessionEnd::Expired, Sent::No),
            Error::ConnectionLost,
            Error::Refused {
                op: crate::OpCode::GetData,
                path: "/a".into(),
                code: ErrorCode::NoAuth,
            },
        ] {
            assert_eq!(unknown(error).fate(), Fate::MayHaveHappened);
        }
    }
}
