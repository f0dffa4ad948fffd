//! Operations on more than one node, made of several requests: each leaves what it did when a later
//! one fails, and may be repeated.

use bellwether_client::{Client, Create, Created, Error, ErrorCode};

/// How often a subtree that grows while it is deleted is gone through again.
const DELETE_ROUNDS: usize = 10;

/// Creates a node and whatever is missing above it.
pub(crate) async fn create_all(
    client: &Client,
    path: &str,
    create: Create,
) -> Result<Created, Error> {
    match client.create(create.clone()).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            if let Some(above) = parent(path) {
                client.ensure_path(above).await?;
            }
            client.create(create).await
        }
        done => done,
    }
}

/// Deletes a node and everything below it; what others delete meanwhile is just as well.
pub(crate) async fn delete_all(client: &Client, path: &str) -> Result<(), Error> {
    let mut last = None;
    for _ in 0..DELETE_ROUNDS {
        let nodes = match descendants(client, path).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) && last.is_some() => {
                return Ok(()); // Somebody else has done the rest.
            }
            nodes => nodes?,
        };
        last = None;
        for node in nodes.iter().rev() {
            match client.delete(node, None).await {
                Ok(()) => {}
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) if error.code() == Some(ErrorCode::NotEmpty) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        if last.is_none() {
            return Ok(());
        }
    }
    last.map_or(Ok(()), Err)
}

/// A node and everything below it, each after its parent.
async fn descendants(client: &Client, path: &str) -> Result<Vec<String>, Error> {
    let mut nodes = vec![path.to_owned()];
    let mut next = 0;
    while let Some(node) = nodes.get(next).cloned() {
        next += 1;
        match client.get_children(&node).await {
            Ok(names) => {
                let above = node.trim_end_matches('/');
                nodes.extend(names.iter().map(|name| format!("{above}/{name}")));
            }
            // Gone, or not to be looked into: deleting takes a permission on the parent alone.
            Err(error)
                if node != path
                    && matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::NoAuth)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(nodes)
}

/// The path of the node above; `None` for the root and what lies directly below it.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())
}
