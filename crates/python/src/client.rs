//! The classes `Client` and `AsyncClient`: the operations, a method each.

use bellwether_client as core;
use core::{AddWatchMode, Connector, Create, CreateMode, Reconfiguration, SessionState};
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bridge::{self, Side, Wrapped, closable};
use crate::errors::{At as _, Trouble};
use crate::metrics::{Counters, Metrics};
use crate::multi::{Multi, MultiRead, Reads, commit, read_all};
use crate::paths;
use crate::port::PortSlot;
use crate::retrying::Again;
use crate::security::{Sasl, TlsSettings, over_tls};
use crate::sockets::TrackedTcp;
use crate::values::{Acl, Bytes, Created, Credential, Give, Maybe, end, monotonic, seconds};
use crate::watch::{Events, Once, Persistent};
use crate::worker::{Held, Worker, locked};

/// A client, and what was agreed when it connected.
pub(crate) struct Session {
    pub(crate) client: core::Client,
    id: i64,
    timeout: Duration,
    counters: Arc<Counters>,
}

/// A session with a ZooKeeper ensemble, for programs with threads: every method waits.
///
/// Any number of threads may use it at once. The client connects again by itself; `session_events`
/// tells of that. In a `with` block it is closed at the end; one that is dropped is closed in the
/// background.
#[pyclass(frozen, name = "Client", module = "bellwether")]
pub(crate) struct SyncClient(pub(crate) Wrapped<Session>);

/// A session with a ZooKeeper ensemble, for asyncio: every method begins its operation at once and
/// gives a future of the running loop.
///
/// Operations happen in the order of the calls, also if they are awaited later. In an `async with`
/// block it is closed at the end; one that is dropped is closed in the background.
#[pyclass(frozen, name = "AsyncClient", module = "bellwether")]
pub(crate) struct AsyncClient(pub(crate) Wrapped<Session>);

impl Give for Session {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        let wrapped = Wrapped { held: Held::new(side.worker(), self), side: side.clone() };
        match side {
            Side::Sync(_) => Ok(Py::new(py, SyncClient(wrapped))?.into_any()),
            Side::Asyncio(_) => Ok(Py::new(py, AsyncClient(wrapped))?.into_any()),
        }
    }
}

/// The arguments of connect.
struct Options {
    hosts: String,
    session_timeout: f64,
    connect_timeout: f64,
    read_only: bool,
    auth: Vec<(String, Credential)>,
    max_request_bytes: usize,
    tls: Option<TlsSettings>,
    sasl: Option<Sasl>,
}

async fn connect(options: Options) -> Result<Session, Trouble> {
    let mut connector = Connector::new()
        .session_timeout(seconds("session_timeout", options.session_timeout)?)
        .connect_timeout(seconds("connect_timeout", options.connect_timeout)?)
        .request_bytes_max(options.max_request_bytes);
    if options.read_only {
        connector = connector.access(core::Access::ReadOnlyAllowed);
    }
    if let Some(sasl) = options.sasl {
        connector = sasl.proving(connector);
    }
    let counters = Arc::new(Counters::default());
    let counting = counters.clone();
    connector = connector.observe(move |observation| counting.count(observation));
    let client = match options.tls {
        None => connector.connect_over(TrackedTcp, &options.hosts).await?,
        Some(tls) => connector.connect_over(over_tls(tls).await?, &options.hosts).await?,
    };
    for (scheme, credential) in options.auth {
        client.add_auth(&scheme, &credential.0).await?;
    }
    let peer = client.peer();
    let id = peer.as_ref().map_or(0, |peer| peer.session.0);
    let timeout_ms = peer.as_ref().map_or(0, |peer| peer.timeout_ms);
    let timeout = Duration::from_millis(timeout_ms.into());
    Ok(Session { client, id, timeout, counters })
}

/// A node that is to be created.
pub(crate) struct NewNode {
    pub(crate) path: String,
    pub(crate) data: Bytes,
    pub(crate) mode: CreateMode,
    pub(crate) acl: Option<Vec<Acl>>,
}

impl NewNode {
    pub(crate) fn to_core(&self) -> Create {
        let create = Create::new(&self.path, self.mode).data(&self.data.0);
        match &self.acl {
            Some(acl) => create.acl(acl.iter().map(Acl::to_core).collect()),
            None => create,
        }
    }
}

/// Which kind of node the keywords of create mean.
pub(crate) fn mode_of(
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Option<f64>,
) -> Result<CreateMode, Trouble> {
    let ttl = ttl.map(|ttl| seconds("ttl", ttl)).transpose()?;
    match (ephemeral, sequential, container, ttl) {
        (false, false, false, None) => Ok(CreateMode::Persistent),
        (true, false, false, None) => Ok(CreateMode::Ephemeral),
        (false, true, false, None) => Ok(CreateMode::PersistentSequential),
        (true, true, false, None) => Ok(CreateMode::EphemeralSequential),
        (false, false, true, None) => Ok(CreateMode::Container),
        (false, false, false, Some(ttl)) => Ok(CreateMode::PersistentWithTtl(ttl)),
        (false, true, false, Some(ttl)) => Ok(CreateMode::PersistentSequentialWithTtl(ttl)),
        (true | false, true | false, true | false, Some(_) | None) => Err(Trouble::Argument(
            "an ephemeral node has no ttl, and a container is neither ephemeral nor sequential \
             and has no ttl"
                .to_owned(),
        )),
    }
}

async fn create(session: &Session, node: NewNode, makepath: bool) -> Result<Created, Trouble> {
    let (client, path) = (&session.client, &node.path);
    let create = node.to_core();
    let created = match makepath {
        true => paths::create_all(client, path, create).await,
        false => client.create(create).await,
    };
    Ok(created.at(path)?.into())
}

closable! {
    impl SyncClient, AsyncClient for Session;

    both {
        /// Creates a node and gives its path and stat.
        ///
        /// ephemeral: it ends with the session. sequential: ten digits that count up are appended
        /// to its name. container: the server deletes it some time after its last child was.
        /// ttl: the server deletes it when it has had no child and no change for so many seconds
        /// (servers need `extendedTypesEnabled`). acl: who may do what; everybody everything if
        /// None. makepath: creates what is missing above it, too.
        ///
        /// Raises NodeExistsError, NoNodeError (its parent is missing),
        /// NoChildrenForEphemeralsError, NoAuthError, InvalidACLError, QuotaExceededError.
        #[signature (
            path, data=Bytes(Vec::new()), *, ephemeral=false, sequential=false, container=false, ttl=None, acl=None, makepath=false
        ) shown "($self, path, data=b\"\", *, ephemeral=False, sequential=False, container=False, ttl=None, acl=None, makepath=False)"]
        brief fn create(
            session,
            path: String,
            data: Bytes,
            ephemeral: bool,
            sequential: bool,
            container: bool,
            ttl: Option<f64>,
            acl: Option<Vec<Acl>>,
            makepath: bool,
        ) {
            let mode = mode_of(ephemeral, sequential, container, ttl)?;
            create(&session, NewNode { path, data, mode, acl }, makepath).await
        }

        /// A node's data and stat.
        ///
        /// Raises NoNodeError, NoAuthError.
        brief fn get(session, path: String) {
            session.client.get_data(&path).await.at(&path)
        }

        /// Sets a node's data, if it has this version; without one, whatever version it has. Gives
        /// its new stat.
        ///
        /// Raises NoNodeError, BadVersionError, NoAuthError, QuotaExceededError.
        #[signature (path, data, version=None)]
        brief fn set(session, path: String, data: Bytes, version: Option<i32>) {
            session.client.set_data(&path, &data.0, version).await.at(&path)
        }

        /// Deletes a node, if it has this version; without one, whatever version it has.
        /// recursive: and everything below it, which is not one step and may be interrupted.
        ///
        /// Raises NoNodeError, BadVersionError, NotEmptyError, NoAuthError.
        #[signature (path, version=None, recursive=false)]
        brief fn delete(session, path: String, version: Option<i32>, recursive: bool) {
            match (recursive, version) {
                (false, version) => session.client.delete(&path, version).await.at(&path),
                (true, None) => paths::delete_all(&session.client, &path).await.at(&path),
                (true, Some(_)) => {
                    Err(Trouble::Argument("recursive and version exclude each other".to_owned()))
                }
            }
        }

        /// A node's stat; None if there is no such node.
        ///
        /// Raises NoAuthError.
        brief fn exists(session, path: String) {
            session.client.exists(&path).await.at(&path).map(Maybe)
        }

        /// The names of a node's children, in no order.
        ///
        /// Raises NoNodeError, NoAuthError.
        brief fn children(session, path: String) {
            session.client.get_children(&path).await.at(&path)
        }

        /// The names of a node's children, in no order, and its stat.
        ///
        /// Raises NoNodeError, NoAuthError.
        brief fn children_and_stat(session, path: String) {
            session.client.get_children_and_stat(&path).await.at(&path)
        }

        /// Creates a node and all above it as far as they are missing: empty, open to everybody.
        ///
        /// Raises NoAuthError, NoChildrenForEphemeralsError.
        brief fn ensure_path(session, path: String) {
            session.client.ensure_path(&path).await.at(&path)
        }

        /// A node's access control list and stat. Without the permission to administrate, the
        /// secrets of digest entries are shown as `x`.
        ///
        /// Raises NoNodeError, NoAuthError.
        brief fn get_acl(session, path: String) {
            session.client.get_acl(&path).await.at(&path)
        }

        /// Sets a node's access control list, if its `aversion` is this version; without one,
        /// whatever it is. Gives its new stat.
        ///
        /// Raises NoNodeError, BadVersionError, InvalidACLError, NoAuthError.
        #[signature (path, acl, version=None)]
        brief fn set_acl(session, path: String, acl: Vec<Acl>, version: Option<i32>) {
            let acl = acl.iter().map(Acl::to_core).collect();
            session.client.set_acl(&path, acl, version).await.at(&path)
        }

        /// Waits until the server has caught up with the leader: what was written anywhere before
        /// this call is then seen by the reads that follow.
        #[signature (path="/".to_owned()) shown "($self, path=\"/\")"]
        brief fn sync(session, path: String) {
            session.client.sync(&path).await.at(&path)
        }

        /// Does the operations of a transaction, all or none. Gives a list with a result for each:
        /// a Created, a Stat, or None.
        ///
        /// Raises TransactionError, RequestTooLargeError.
        brief fn commit(session, multi: Snapshot) {
            commit(&session.client, multi.0).await
        }

        /// Does several reads in one request. Gives a list with a result for each: a pair of bytes
        /// and Stat, a list of names, or what is wrong with this one, an exception that is not
        /// raised: NoNodeError or NoAuthError, with its path.
        ///
        /// Raises UnimplementedError (a server older than 3.6), RequestTooLargeError.
        brief fn multi_read(session, reads: ReadSnapshot) {
            read_all(&session.client, reads.0).await
        }

        /// A node's data and stat, and a watch that fires once, when it is changed or deleted.
        ///
        /// Raises NoNodeError, NoAuthError; then there is no watch.
        brief fn get_and_watch(session, path: String) {
            let (data, stat, watch) = session.client.get_data_and_watch(&path).await.at(&path)?;
            Ok((data, stat, Once::new(watch)))
        }

        /// A node's stat, or None if there is no such node, and a watch that fires once, when it is
        /// created, changed or deleted.
        ///
        /// Raises NoAuthError.
        brief fn exists_and_watch(session, path: String) {
            let (stat, watch) = session.client.exists_and_watch(&path).await.at(&path)?;
            Ok((Maybe(stat), Once::new(watch)))
        }

        /// The names of a node's children, its stat, and a watch that fires once, when a child is
        /// created or deleted or the node itself is deleted.
        ///
        /// Raises NoNodeError, NoAuthError; then there is no watch.
        brief fn children_and_watch(session, path: String) {
            let watched = session.client.get_children_and_watch(&path).await;
            let (names, stat, watch) = watched.at(&path)?;
            Ok((names, stat, Once::new(watch)))
        }

        /// Sets a watch that fires until it is closed: for a node and the names of its children,
        /// or, if recursive, for the node and everything below it. The node need not exist.
        #[signature (path, recursive=false)]
        brief fn watch(session, path: String, recursive: bool) {
            let mode = match recursive {
                true => AddWatchMode::PersistentRecursive,
                false => AddWatchMode::Persistent,
            };
            Ok(Persistent::new(session.client.add_watch(&path, mode).await.at(&path)?))
        }

        /// Adds an identity to the session, for all servers that it will be at. The credential of
        /// "digest" is user:password.
        ///
        /// Raises AuthFailedError; then the session is over.
        brief fn add_auth(session, scheme: String, credential: Credential) {
            Ok(session.client.add_auth(&scheme, &credential.0).await?)
        }

        /// The identities of this session, as the server sees them: pairs of scheme and user.
        brief fn whoami(session) {
            Ok(session.client.whoami().await?)
        }

        /// The paths of this session's ephemeral nodes that start with the prefix.
        #[signature (prefix="/".to_owned()) shown "($self, prefix=\"/\")"]
        brief fn ephemerals(session, prefix: String) {
            session.client.get_ephemerals(&prefix).await.at(&prefix)
        }

        /// How many nodes there are below a node.
        ///
        /// Raises NoNodeError.
        brief fn all_children_number(session, path: String) {
            session.client.get_all_children_number(&path).await.at(&path)
        }

        /// The ensemble's configuration and its stat, whatever path the client is below.
        brief fn config(session) {
            Ok(session.client.get_config().await?)
        }

        /// Likewise, with a watch that fires once, when the configuration changes.
        brief fn config_and_watch(session) {
            let (data, stat, watch) = session.client.get_config_and_watch().await?;
            Ok((data, stat, Once::new(watch)))
        }

        /// Changes the ensemble's members, if the configuration has this version. Gives the new
        /// configuration and its stat. members: all of them; or joining and leaving: some.
        ///
        /// Raises ReconfigDisabledError, NewConfigNoQuorumError, ReconfigInProgressError,
        /// BadVersionError, NoAuthError, UnimplementedError (a server of its own).
        #[signature (*, members=None, joining=None, leaving=None, version=None)]
        brief fn reconfigure(
            session,
            members: Option<String>,
            joining: Option<String>,
            leaving: Option<String>,
            version: Option<i64>,
        ) {
            let change = match (members, joining, leaving) {
                (Some(members), None, None) => Reconfiguration::Members(members.into()),
                (None, joining, leaving) => Reconfiguration::Incremental {
                    joining: joining.map(Into::into),
                    leaving: leaving.map(Into::into),
                },
                (Some(_), Some(_) | None, Some(_) | None) => {
                    let why = "members excludes joining and leaving";
                    return Err(Trouble::Argument(why.to_owned()));
                }
            };
            Ok(session.client.reconfigure(change, version).await?)
        }

        /// Asks a quorum whether the session lives, so that it is certain.
        ///
        /// Raises SessionExpiredError.
        brief fn confirm(session) {
            Ok(session.client.confirm().await?)
        }

        /// Ends the session, and with it its ephemeral nodes. Without a connection it ends here at
        /// once, and at the servers by its timeout. To close twice is no error.
        brief fn close(session) {
            session.client.clone().close().await;
            Ok(())
        }
    }

    each {
        /// How the session is: "connecting", "connected", "connected-read-only", "closed",
        /// "expired" or "auth-failed".
        #[getter]
        fn state(&self) -> PyResult<&'static str> {
            Ok(match self.0.held.get()?.client.state() {
                SessionState::Connecting => "connecting",
                SessionState::Connected => "connected",
                SessionState::ConnectedReadOnly => "connected-read-only",
                SessionState::Ended(ended) => end(ended),
            })
        }

        /// The session's number.
        #[getter]
        fn session_id(&self) -> PyResult<i64> {
            Ok(self.0.held.get()?.id)
        }

        /// The session timeout that was agreed, in seconds.
        #[getter]
        fn session_timeout(&self) -> PyResult<f64> {
            let session = self.0.held.get()?;
            let agreed = session.client.peer().map(|peer| u64::from(peer.timeout_ms));
            Ok(agreed.map_or(session.timeout, Duration::from_millis).as_secs_f64())
        }

        /// The server that has the session, as host:port; None while none has it.
        #[getter]
        fn server(&self) -> PyResult<Option<String>> {
            Ok(self.0.held.get()?.client.peer().map(|peer| peer.server.to_string()))
        }

        /// The moment of `time.monotonic()` until which the session lives for certain, whatever
        /// happens to the connection: two thirds of the session timeout after the last write that
        /// was answered had been sent. None after the session's end. Reads do not move it ahead;
        /// while something is held, or `keep_certain` asks for it, the client does.
        #[getter]
        fn certain_until(&self) -> PyResult<Option<f64>> {
            let until = self.0.held.get()?.client.certain_until();
            Ok(until.map(|until| monotonic(until.into_std())))
        }

        /// Whether the session lives for certain at this moment. If not, a server may have let it
        /// expire, and what it owned may be someone else's.
        #[getter]
        fn is_certain(&self) -> PyResult<bool> {
            Ok(self.0.held.get()?.client.is_certain())
        }

        /// Keeps the session certain, as far as servers can be reached, until the Certain that it
        /// gives is closed, as the end of a `with` block does, or collected. It costs a small write
        /// per sixth of the session timeout.
        fn keep_certain(&self) -> PyResult<Certain> {
            let session = self.0.held.get()?;
            let kept = Mutex::new(Some(session.client.keep_certain()));
            Ok(Certain(Held::new(self.0.held.worker, kept)))
        }

        /// Operations that go on after a lost connection: they find out what became of a write.
        #[getter]
        fn retrying(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            let again = Again(self.0.held.get()?.client.clone());
            again.give(py, &self.0.side)
        }

        /// What happens to the session from here on, as an iterator that ends with it.
        fn session_events(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            Events::new(self.0.held.get()?.client.session_events()).give(py, &self.0.side)
        }

        /// What this client did so far, as numbers: requests with their results and times, bytes,
        /// events, connections. They are kept where the work is done, and read here: a callback per
        /// request would make the thread that answers pings wait for the interpreter.
        fn metrics(&self) -> PyResult<Metrics> {
            Ok(self.0.held.get()?.counters.snapshot())
        }

        fn __repr__(&self) -> PyResult<String> {
            let class = match self.0.side {
                Side::Sync(_) => "Client",
                Side::Asyncio(_) => "AsyncClient",
            };
            Ok(format!("<{class} 0x{:x} {}>", self.session_id()?, self.state()?))
        }
    }

    sync {
        /// Begins a session.
        ///
        /// hosts: host:port, several with commas between them, then the path that all paths of
        /// this client are below, if any. session_timeout: seconds without a word after which
        /// servers end the session; they keep it within limits of theirs. connect_timeout: seconds
        /// to look for a first server. read_only: also a server that has lost its ensemble will
        /// do. auth: identities, as pairs of scheme and credential. max_request_bytes: the
        /// servers' `jute.maxbuffer`. tls: connect by TLS, to their `secureClientPort`. sasl: who
        /// this client is, proven on every connection.
        ///
        /// Raises NoServerError (its text says how the last attempt failed, TLS included),
        /// AuthFailedError, BadArgumentsError.
        #[staticmethod]
        #[pyo3(signature = (
            hosts, *, session_timeout=30.0, connect_timeout=30.0, read_only=false,
            auth=Vec::new(), max_request_bytes=1_048_575, tls=None, sasl=None
        ), text_signature =
            "(hosts, *, session_timeout=30.0, connect_timeout=30.0, read_only=False, auth=(), max_request_bytes=1048575, tls=None, sasl=None)")]
        fn connect(
            py: Python<'_>,
            hosts: String,
            session_timeout: f64,
            connect_timeout: f64,
            read_only: bool,
            auth: Vec<(String, Credential)>,
            max_request_bytes: usize,
            tls: Option<TlsSettings>,
            sasl: Option<Sasl>,
        ) -> PyResult<Py<PyAny>> {
            let options = Options {
                hosts, session_timeout, connect_timeout, read_only, auth, max_request_bytes,
                tls, sasl,
            };
            bridge::wait(py, Worker::get(py)?, connect(options))
        }
    }

    asyncio {
        /// Begins a session: `await` it, or enter it with `async with`.
        ///
        /// hosts: host:port, several with commas between them, then the path that all paths of
        /// this client are below, if any. session_timeout: seconds without a word after which
        /// servers end the session; they keep it within limits of theirs. connect_timeout: seconds
        /// to look for a first server. read_only: also a server that has lost its ensemble will
        /// do. auth: identities, as pairs of scheme and credential. max_request_bytes: the
        /// servers' `jute.maxbuffer`. tls: connect by TLS, to their `secureClientPort`. sasl: who
        /// this client is, proven on every connection.
        ///
        /// Raises NoServerError (its text says how the last attempt failed, TLS included),
        /// AuthFailedError, BadArgumentsError.
        #[staticmethod]
        #[pyo3(signature = (
            hosts, *, session_timeout=30.0, connect_timeout=30.0, read_only=false,
            auth=Vec::new(), max_request_bytes=1_048_575, tls=None, sasl=None
        ), text_signature =
            "(hosts, *, session_timeout=30.0, connect_timeout=30.0, read_only=False, auth=(), max_request_bytes=1048575, tls=None, sasl=None)")]
        fn connect(
            py: Python<'_>,
            hosts: String,
            session_timeout: f64,
            connect_timeout: f64,
            read_only: bool,
            auth: Vec<(String, Credential)>,
            max_request_bytes: usize,
            tls: Option<TlsSettings>,
            sasl: Option<Sasl>,
        ) -> PyResult<Connecting> {
            let options = Options {
                hosts, session_timeout, connect_timeout, read_only, auth, max_request_bytes,
                tls, sasl,
            };
            let worker = Worker::get(py)?;
            let slot = PortSlot::new(worker);
            Ok(Connecting(bridge::begin_cancellable(py, worker, &slot, connect(options))?))
        }
    }
}

/// A transaction as it was when it was given.
struct Snapshot(crate::multi::Operations);

impl<'py> FromPyObject<'_, 'py> for Snapshot {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Snapshot> {
        Ok(Snapshot(object.cast::<Multi>()?.get().operations()))
    }
}

/// Reads as they were when they were given.
struct ReadSnapshot(Reads);

impl<'py> FromPyObject<'_, 'py> for ReadSnapshot {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<ReadSnapshot> {
        Ok(ReadSnapshot(object.cast::<MultiRead>()?.get().reads()))
    }
}

/// What keeps a session certain. To close or drop it ends that.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct Certain(Held<Mutex<Option<core::Certain>>>);

#[pymethods]
impl Certain {
    /// Keeps it no more.
    fn close(&self) -> PyResult<()> {
        drop(locked(self.0.get()?).take());
        Ok(())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close()
    }
}

/// A session that begins; awaited, or entered with `async with`, it is an `AsyncClient`.
#[pyclass(frozen, module = "bellwether._native")]
pub(crate) struct Connecting(Py<PyAny>);

#[pymethods]
impl Connecting {
    fn __await__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.0.call_method0(py, intern!(py, "__await__"))
    }

    fn __aenter__(&self, py: Python<'_>) -> Py<PyAny> {
        self.0.clone_ref(py)
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let client = self.0.call_method0(py, intern!(py, "result"))?;
        client.call_method0(py, intern!(py, "close"))
    }
}
