//! Operations that outlive a lost connection: they find out what became of a write and go on.
//!
//! What it keeps true: when a method returns `Ok`, its write has happened, and the tree shows it
//! once, however often the connection was lost meanwhile. Each waits for the next connection as
//! long as the session may
//! live; the session's end, and every answer of a server, is the caller's.
//!
//! How it finds out: what was under way when a connection was lost is refused by the leader after
//! the session has moved, or was proposed before. So a `sync` on the next connection, and then a
//! read, tell what happened and what will not.

use crate::{AddWatchMode, Client, Create, Created, Data, Error, ErrorCode, PersistentWatcher};
use crate::{Sent, Stat};

/// The operations of a [`Client`] that go on after a lost connection. See [`Client::retrying`].
#[derive(Clone, Copy, Debug)]
pub struct Retrying<'a> {
    client: &'a Client,
}

impl Client {
    /// This client's operations for whoever wants a result instead of a doubt.
    pub fn retrying(&self) -> Retrying<'_> {
        Retrying { client: self }
    }
}

/// What became of a write that was under way when the connection was lost.
enum Found<T> {
    Happened(T),
    DidNot,
}

/// The directory and the name of a path.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => ("/", path),
    }
}

/// A child's path.
pub(crate) fn child(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

/// What a failure says when an earlier attempt is in doubt: that one may have happened.
fn after_doubt(error: Error) -> Error {
    if let Error::SessionEnded(end, _) = error {
        return Error::SessionEnded(end, Sent::Yes);
    }
    error
}

/// Goes on after a lost connection, with whatever `$again` says.
macro_rules! until_known {
    ($attempt:expr) => {
        loop {
            match $attempt.await {
                Err(Error::ConnectionLost) => {}
                known => break known,
            }
        }
    };
}

impl Retrying<'_> {
    /// [`Client::get_data`].
    pub async fn get_data(&self, path: &str) -> Result<(Option<Data>, Stat), Error> {
        until_known!(self.client.get_data(path))
    }

    /// [`Client::exists`].
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, Error> {
        until_known!(self.client.exists(path))
    }

    /// [`Client::get_children`].
    pub async fn get_children(&self, path: &str) -> Result<Vec<Box<str>>, Error> {
        until_known!(self.client.get_children(path))
    }

    /// [`Client::add_watch`].
    pub async fn add_watch(
        &self,
        path: &str,
        mode: AddWatchMode,
    ) -> Result<PersistentWatcher, Error> {
        until_known!(self.client.add_watch(path, mode))
    }

    /// [`Client::sync`].
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        until_known!(self.client.sync(path))
    }

    /// Creates a node.
    ///
    /// A sequential one gets a name of its own by which it is found again: `_c_`, a
    /// [`Client::unique_name`] and `-` stand before the name that was asked for, as Curator's
    /// protection does it. Another is found by its path: after a lost connection, a node with the
    /// same data that is ephemeral of this session, or not ephemeral when that was asked for,
    /// counts as the one that was created.
    pub async fn create(&self, create: Create) -> Result<Created, Error> {
        if !create.mode.is_sequential() {
            return self.create_once(create).await;
        }
        let (directory, name) = split(&create.path);
        let unique = self.client.unique_name();
        let path = child(directory, &format!("_c_{unique}-{name}"));
        self.create_unique(Create { path: path.into(), ..create }).await
    }

    /// Creates a sequential node whose name is nobody else's, such as one that holds a
    /// [`Client::unique_name`].
    pub async fn create_unique(&self, create: Create) -> Result<Created, Error> {
        let mut doubted = false;
        loop {
            match self.client.create(create.clone()).await {
                Err(Error::ConnectionLost) => doubted = true,
                Err(error) if doubted => return Err(after_doubt(error)),
                known => return known,
            }
            match self.find_unique(&create.path).await.map_err(after_doubt)? {
                Found::Happened(created) => return Ok(created),
                Found::DidNot => {}
            }
        }
    }

    async fn find_unique(&self, prefix: &str) -> Result<Found<Created>, Error> {
        let (directory, name) = split(prefix);
        self.sync(directory).await?;
        let children = match self.get_children(directory).await {
            Ok(children) => children,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Found::DidNot),
            Err(error) => return Err(error),
        };
        let Some(found) = children.iter().find(|child| child.starts_with(name)) else {
            return Ok(Found::DidNot);
        };
        let path: Box<str> = child(directory, found).into();
        // If somebody has deleted it, it is created once more: there is no stat to give.
        Ok(match self.exists(&path).await? {
            Some(stat) => Found::Happened(Created { path, stat }),
            None => Found::DidNot,
        })
    }

    async fn create_once(&self, create: Create) -> Result<Created, Error> {
        let mut doubted = false;
        loop {
            match self.client.create(create.clone()).await {
                Err(Error::ConnectionLost) => doubted = true,
                Err(error) if doubted && error.code() == Some(ErrorCode::NodeExists) => {
                    return match self.as_asked(&create).await.map_err(after_doubt)? {
                        Found::Happened(created) => Ok(created),
                        Found::DidNot => Err(error),
                    };
                }
                Err(error) if doubted => return Err(after_doubt(error)),
                known => return known,
            }
        }
    }

    async fn as_asked(&self, create: &Create) -> Result<Found<Created>, Error> {
        let (data, stat) = match self.get_data(&create.path).await {
            Ok(read) => read,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Found::DidNot),
            Err(error) => return Err(error),
        };
        let owner = if create.mode.is_ephemeral() { self.client.session_id().0 } else { 0 };
        Ok(match data == create.data && stat.ephemeral_owner == owner {
            true => Found::Happened(Created { path: create.path.clone(), stat }),
            false => Found::DidNot,
        })
    }

    /// [`Client::ensure_path`].
    pub async fn ensure_path(&self, path: &str) -> Result<(), Error> {
        until_known!(self.client.ensure_path(path))
    }

    /// Sets a node's data if it has this version, so that it has the next one.
    ///
    /// After a lost connection, the next version with this data counts as the one that was set. If
    /// the node has been set once more meanwhile, nobody can tell: that is `BADVERSION`.
    pub async fn set_data(&self, path: &str, data: &[u8], version: i32) -> Result<Stat, Error> {
        let mut doubted = false;
        loop {
            match self.client.set_data(path, data, Some(version)).await {
                Err(Error::ConnectionLost) => doubted = true,
                Err(error) if doubted && error.code() == Some(ErrorCode::BadVersion) => {
                    let (found, stat) = self.get_data(path).await.map_err(after_doubt)?;
                    let set = stat.version == version.wrapping_add(1);
                    let ours = set && found.as_deref().unwrap_or_default() == data;
                    return if ours { Ok(stat) } else { Err(error) };
                }
                Err(error) if doubted => return Err(after_doubt(error)),
                known => return known,
            }
        }
    }

    /// Deletes a node, if it has this version. One that is gone after a lost connection counts as
    /// deleted by this.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), Error> {
        let mut doubted = false;
        loop {
            match self.client.delete(path, version).await {
                Err(Error::ConnectionLost) => doubted = true,
                Err(error) if doubted && error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                Err(error) if doubted => return Err(after_doubt(error)),
                known => return known,
            }
        }
    }
}
