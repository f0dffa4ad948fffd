//! The Python package `bellwether`: the client of `bellwether-client` as an extension module.
//!
//! From the bottom up: [`worker`] is the thread that does the work and what a fork means to it,
//! [`sockets`] the connections that a forked child closes, [`port`] the way of results to an event
//! loop, [`bridge`] what makes one method of Rust a method of two classes of Python, [`values`] and
//! [`errors`] what they give and raise, [`security`] how connections are secured, [`metrics`] what
//! is counted, [`client`], [`watch`] and [`multi`] the classes.
//!
//! What it keeps true: to import it starts no thread, opens nothing and imports nothing.

#![expect(clippy::too_many_arguments, reason = "the keywords of Python, and fields of values")]

mod bridge;
mod client;
mod errors;
mod metrics;
mod multi;
mod paths;
mod port;
mod recipes;
mod retrying;
mod security;
mod sockets;
mod values;
mod watch;
mod worker;

use pyo3::prelude::*;

/// The extension module below the package `bellwether`, which says what of it is for users.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::client::{AsyncClient, Certain, Connecting, SyncClient};
    #[pymodule_export]
    use super::errors::make_errors_by;
    #[pymodule_export]
    use super::metrics::{Metrics, OperationMetrics};
    #[pymodule_export]
    use super::multi::{Multi, MultiRead};
    #[pymodule_export]
    use super::recipes::add_recipes;
    #[pymodule_export]
    use super::retrying::{AsyncRetrying, Retrying};
    #[pymodule_export]
    use super::security::{Sasl, Tls};
    #[pymodule_export]
    use super::values::{Acl, Created, Gap, SessionEvent, Stat, WatchEvent};
    #[pymodule_export]
    use super::watch::{
        AsyncOnceWatch, AsyncSessionEvents, AsyncWatch, OnceWatch, SessionEvents, Watch,
    };
    #[pymodule_export]
    use super::worker::{after_fork_in_child, after_fork_in_parent, before_fork};

    /// The codes of the protocol and their names.
    #[pyo3::pyfunction]
    fn error_codes() -> Vec<(i32, &'static str)> {
        bellwether_client::ErrorCode::ALL.iter().map(|code| (code.code(), code.name())).collect()
    }
}
