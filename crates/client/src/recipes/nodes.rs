//! What most recipes do with nodes: look at one that may be missing, make one whose parent may be.
//!
//! What it keeps true: a node that is missing is no error here, and every method goes on after a
//! lost connection.

pub(super) use crate::retrying::child;
use crate::{Client, Created, Data, Error, ErrorCode, Stat};

/// A node's data and stat; `None` if there is no such node.
pub(super) async fn read(client: &Client, path: &str) -> Result<Option<(Data, Stat)>, Error> {
    match client.retrying().get_data(path).await {
        Ok((data, stat)) => Ok(Some((data.unwrap_or_default(), stat))),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of a node's children; none if there is no such node.
pub(super) async fn names(client: &Client, path: &str) -> Result<Vec<Box<str>>, Error> {
    match client.retrying().get_children(path).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
        known => known,
    }
}

/// Creates a node as `create` does, and before it the directory above if that is missing.
pub(super) async fn create_below<F: Future<Output = Result<Created, Error>>>(
    client: &Client,
    directory: &str,
    create: impl Fn() -> F,
) -> Result<Created, Error> {
    loop {
        match create().await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                client.retrying().ensure_path(directory).await?;
            }
            known => return known,
        }
    }
}

/// Makes what is missing above a path.
pub(super) async fn ensure_above(client: &Client, path: &str) -> Result<(), Error> {
    match path.rsplit_once('/') {
        Some((above, _)) if !above.is_empty() => client.retrying().ensure_path(above).await,
        Some(_) | None => Ok(()),
    }
}

/// Deletes a node, if it is there.
pub(super) async fn delete(client: &Client, path: &str) -> Result<(), Error> {
    match client.retrying().delete(path, None).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
        known => known,
    }
}
