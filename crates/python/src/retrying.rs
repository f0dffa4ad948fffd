//! The operations that go on after a lost connection: `Client.retrying`.

use bellwether_client as core;
use core::Create;
use pyo3::prelude::*;

use crate::bridge::{Wrapped, both};
use crate::client::{NewNode, mode_of};
use crate::errors::At as _;
use crate::recipes::given_by_side;
use crate::values::{Acl, Bytes, Created, Maybe};

/// The client that goes on.
pub(crate) struct Again(pub(crate) core::Client);

/// Operations that go on after a lost connection, for whoever wants a result instead of a doubt:
/// when one returns, its write has happened, and once. Each waits for a connection as long as the
/// session may live; it raises what a server answers, and SessionExpiredError.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct Retrying(Wrapped<Again>);

/// Operations that go on after a lost connection, for whoever wants a result instead of a doubt:
/// when one returns, its write has happened, and once. Each waits for a connection as long as the
/// session may live; it raises what a server answers, and SessionExpiredError.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct AsyncRetrying(Wrapped<Again>);

given_by_side! { Again => Retrying, AsyncRetrying; }

both! {
    impl Retrying, AsyncRetrying for Again;

    both {
        /// As `Client.create`, without makepath.
        ///
        /// A sequential node gets a name of its own by which it is found again: `_c_`, 32
        /// hexadecimal digits and `-` stand before the name that was asked for. After a lost
        /// connection, a node with the same path, data and session counts as the one created.
        #[signature (
            path, data=Bytes(Vec::new()), *, ephemeral=false, sequential=false, container=false, ttl=None, acl=None
        ) shown "($self, path, data=b\"\", *, ephemeral=False, sequential=False, container=False, ttl=None, acl=None)"]
        brief fn create(
            again,
            path: String,
            data: Bytes,
            ephemeral: bool,
            sequential: bool,
            container: bool,
            ttl: Option<f64>,
            acl: Option<Vec<Acl>>,
        ) {
            let mode = mode_of(ephemeral, sequential, container, ttl)?;
            let create: Create = NewNode { path: path.clone(), data, mode, acl }.to_core();
            Ok(Created::from(again.0.retrying().create(create).await.at(&path)?))
        }

        /// As `Client.get`.
        brief fn get(again, path: String) {
            again.0.retrying().get_data(&path).await.at(&path)
        }

        /// As `Client.set`; the version has to be said. If the connection was lost and the node has
        /// been set once more since, nobody can tell: that is BadVersionError.
        brief fn set(again, path: String, data: Bytes, version: i32) {
            again.0.retrying().set_data(&path, &data.0, version).await.at(&path)
        }

        /// As `Client.delete`, of one node. One that is gone after a lost connection counts as
        /// deleted by this.
        #[signature (path, version=None)]
        brief fn delete(again, path: String, version: Option<i32>) {
            again.0.retrying().delete(&path, version).await.at(&path)
        }

        /// As `Client.exists`.
        brief fn exists(again, path: String) {
            again.0.retrying().exists(&path).await.at(&path).map(Maybe)
        }

        /// As `Client.children`.
        brief fn children(again, path: String) {
            again.0.retrying().get_children(&path).await.at(&path)
        }

        /// As `Client.ensure_path`.
        brief fn ensure_path(again, path: String) {
            again.0.retrying().ensure_path(&path).await.at(&path)
        }

        /// As `Client.sync`.
        #[signature (path="/".to_owned()) shown "($self, path=\"/\")"]
        brief fn sync(again, path: String) {
            again.0.retrying().sync(&path).await.at(&path)
        }
    }
    each {}
    sync {}
    asyncio {}
}
