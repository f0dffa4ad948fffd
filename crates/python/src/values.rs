//! What operations give and take: values of Python that cannot be changed.
//!
//! [`Give`] makes a result of Rust an object of Python. It is done on a thread of Python, after the
//! operation has ended; which classes watches become depends on the [`Side`].

use bellwether_client as core;
use pyo3::conversion::IntoPyObject;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::{Duration, Instant};

use crate::bridge::Side;
use crate::errors::Trouble;

/// A result of Rust that becomes an object of Python.
pub(crate) trait Give: Send + 'static {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>>;
}

/// Results that PyO3 converts.
macro_rules! given_as_they_are {
    ($($type:ty),*) => {$(
        impl $crate::values::Give for $type {
            fn give(self, py: Python<'_>, _side: &$crate::bridge::Side) -> PyResult<Py<PyAny>> {
                Ok(self.into_pyobject(py).map_err(Into::<PyErr>::into)?.into_any().unbind())
            }
        }
    )*};
}
pub(crate) use given_as_they_are;

given_as_they_are!(String, i32, i64, usize, Stat, Created, WatchEvent, Gap, SessionEvent);

impl Give for bool {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok(self.into_pyobject(py)?.to_owned().into_any().unbind())
    }
}

impl Give for () {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

impl Give for Box<str> {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok((&*self).into_pyobject(py)?.into_any().unbind())
    }
}

impl Give for core::Data {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok(PyBytes::new(py, &self).into_any().unbind())
    }
}

/// A node's data. Null, which only some old programs write, is shown as empty.
impl Give for Option<core::Data> {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok(PyBytes::new(py, self.as_deref().unwrap_or_default()).into_any().unbind())
    }
}

impl Give for core::Stat {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        Stat::from(self).give(py, side)
    }
}

impl Give for core::Acl {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        let core::Acl { perms, scheme, id } = self;
        let acl = Acl { perms: perms.0, scheme: scheme.into(), id: id.into() };
        Ok(acl.into_pyobject(py)?.into_any().unbind())
    }
}

impl Give for core::ClientInfo {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        Ok((&*self.scheme, &*self.user).into_pyobject(py)?.into_any().unbind())
    }
}

/// A result that may not be there. (Data, which has a null of its own, is no such.)
pub(crate) struct Maybe<T>(pub(crate) Option<T>);

impl<T: Give> Give for Maybe<T> {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        self.0.map_or_else(|| Ok(py.None()), |value| value.give(py, side))
    }
}

impl<T: Give> Give for Vec<T> {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        let items = self.into_iter().map(|item| item.give(py, side));
        let items = items.collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, items)?.into_any().unbind())
    }
}

impl<A: Give, B: Give> Give for (A, B) {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        let items = [self.0.give(py, side)?, self.1.give(py, side)?];
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }
}

impl<A: Give, B: Give, C: Give> Give for (A, B, C) {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        let items = [self.0.give(py, side)?, self.1.give(py, side)?, self.2.give(py, side)?];
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }
}

/// Data as an argument: bytes, or what has the buffer protocol; text is refused.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Bytes> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Bytes(bytes.as_bytes().to_vec()));
        }
        let bytes = pyo3::buffer::PyBuffer::<u8>::get(&object);
        let refused = |_| {
            let kind = object.get_type().name().map(|name| name.to_string());
            PyTypeError::new_err(format!("expected bytes, not {}", kind.unwrap_or_default()))
        };
        Ok(Bytes(bytes.map_err(refused)?.to_vec(object.py())?))
    }
}

/// A credential: bytes, or text, which is taken as UTF-8.
pub(crate) struct Credential(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Credential {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Credential> {
        match object.extract::<String>() {
            Ok(text) => Ok(Credential(text.into_bytes())),
            Err(_) => Ok(Credential(object.extract::<Bytes>()?.0)),
        }
    }
}

/// Seconds as an argument.
pub(crate) fn seconds(name: &str, seconds: f64) -> Result<Duration, Trouble> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| Trouble::Argument(format!("{name}={seconds}: {error}")))
}

/// A moment as `time.monotonic()` counts, whose clock is that of `Instant`.
pub(crate) fn monotonic(moment: Instant) -> f64 {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = Duration::try_from(clock).unwrap_or_default().as_secs_f64();
    let now = Instant::now();
    let (ahead, behind) =
        (moment.saturating_duration_since(now), now.saturating_duration_since(moment));
    seconds + ahead.as_secs_f64() - behind.as_secs_f64()
}

pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Classes of values: read-only fields that are also the constructor's arguments, compared by
/// their values, shown with their names, and pickled.
macro_rules! values {
    (in $module:literal; $(
        $(#[doc = $doc:literal])*
        $(#[signature $signature:tt])?
        $name:ident { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)* }
    )*) => {$(
        $(#[doc = $doc])*
        #[pyclass(frozen, eq, get_all, module = $module, from_py_object)]
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name { $($(#[doc = $field_doc])* pub(crate) $field: $type,)* }

        impl $name {
            const FIELDS: &[&str] = &[$(stringify!($field)),*];
        }

        #[pymethods]
        impl $name {
            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyTuple>> {
                pyo3::types::PyTuple::new(py, $name::FIELDS)
            }

            #[new]
            $(#[pyo3(signature = $signature)])?
            fn new($($field: $type),*) -> $name { $name { $($field),* } }

            fn __hash__(&self) -> u64 { $crate::values::hash_of(&format!("{self:?}")) }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                let fields = $name::FIELDS.iter().map(|name| slf.getattr(*name));
                let fields = fields.collect::<PyResult<Vec<Bound<'py, PyAny>>>>()?;
                let fields = pyo3::types::PyTuple::new(slf.py(), fields)?;
                Ok((slf.get_type(), fields).into_pyobject(slf.py())?.into_any())
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                let shown = |name: &&str| Ok(format!("{name}={}", slf.getattr(*name)?.repr()?));
                let fields = $name::FIELDS.iter().map(shown).collect::<PyResult<Vec<String>>>()?;
                Ok(format!("{}({})", stringify!($name), fields.join(", ")))
            }
        }
    )*};
}
pub(crate) use values;

values! {
    in "bellwether";

    /// What a node is, apart from its data.
    Stat {
        /// The transaction that created the node. It orders everything that was ever created.
        czxid: i64,
        /// The transaction that last set its data.
        mzxid: i64,
        /// When it was created: milliseconds since 1970, by the clock of the leader.
        ctime: i64,
        /// When its data was last set, likewise.
        mtime: i64,
        /// How often its data was set.
        version: i32,
        /// How often its children changed.
        cversion: i32,
        /// How often its access control list was set.
        aversion: i32,
        /// The session that it ends with; 0 if none.
        ephemeral_owner: i64,
        /// The length of its data in bytes.
        data_length: i32,
        /// How many children it has.
        num_children: i32,
        /// The transaction that last created or deleted a child.
        pzxid: i64,
    }

    /// What a create made.
    Created {
        /// Its path, with the number that was appended to a sequential one.
        path: String,
        /// Its stat.
        stat: Stat,
    }

    /// An entry of an access control list.
    Acl {
        /// What is granted: a sum of the numbers in `Perms`.
        perms: i32,
        /// How the identity is established: "world", "auth", "digest", "ip", "x509", "sasl".
        scheme: String,
        /// Who it is granted to, in the scheme's own form.
        id: String,
    }

    /// What happened to a node.
    WatchEvent {
        /// "created", "deleted", "changed" (its data) or "children" (their names).
        kind: String,
        /// Which node.
        path: String,
        /// The transaction that did it; -1 if the server does not say (before 3.9).
        zxid: i64,
    }

    /// Events may be missing here: the connection was lost and is there again, or more were unread
    /// than are kept. Whoever mirrors nodes reads them again.
    Gap {}

    /// What happened to the session.
    SessionEvent {
        /// "connected", "disconnected", "attempt-failed", "closed", "expired" or "auth-failed".
        /// After the last three there is no other.
        kind: String,
        /// Which server, as host:port; None if it is about none.
        server: Option<String>,
        /// Why a connection was lost or could not be made; else None.
        reason: Option<String>,
        /// For "connected": whether the session is the one from before.
        resumed: bool,
        /// For "connected": whether the server only reads.
        read_only: bool,
    }
}

impl From<core::Stat> for Stat {
    fn from(stat: core::Stat) -> Stat {
        let core::Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner,
            data_length,
            num_children,
            pzxid,
        } = stat;
        let (czxid, mzxid, pzxid) = (czxid.0, mzxid.0, pzxid.0);
        Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner,
            data_length,
            num_children,
            pzxid,
        }
    }
}

impl From<core::Created> for Created {
    fn from(created: core::Created) -> Created {
        Created { path: created.path.into(), stat: created.stat.into() }
    }
}

impl Acl {
    pub(crate) fn to_core(&self) -> core::Acl {
        let Acl { perms, scheme, id } = self;
        core::Acl {
            perms: core::Perms(*perms),
            scheme: scheme.as_str().into(),
            id: id.as_str().into(),
        }
    }
}

impl From<core::WatchEvent> for WatchEvent {
    fn from(event: core::WatchEvent) -> WatchEvent {
        use core::EventType as Type;
        let kind = match event.event {
            Type::NodeCreated => "created",
            Type::NodeDeleted => "deleted",
            Type::NodeDataChanged => "changed",
            Type::NodeChildrenChanged => "children",
            // No watch is told of these.
            Type::None
            | Type::DataWatchRemoved
            | Type::ChildWatchRemoved
            | Type::PersistentWatchRemoved => "none",
        };
        WatchEvent { kind: kind.to_owned(), path: event.path.into(), zxid: event.zxid.0 }
    }
}

/// A session's end, by the word for it.
pub(crate) fn end(end: core::SessionEnd) -> &'static str {
    match end {
        core::SessionEnd::Closed => "closed",
        core::SessionEnd::Expired => "expired",
        core::SessionEnd::AuthFailed(_) => "auth-failed",
    }
}

impl From<core::SessionEvent> for SessionEvent {
    fn from(event: core::SessionEvent) -> SessionEvent {
        let plain = |kind: &str| SessionEvent {
            kind: kind.to_owned(),
            server: None,
            reason: None,
            resumed: false,
            read_only: false,
        };
        match event {
            core::SessionEvent::Connected { server, access, resumed, .. } => SessionEvent {
                server: Some(server.to_string()),
                resumed: resumed == core::Resumed::Yes,
                read_only: access == core::Access::ReadOnlyAllowed,
                ..plain("connected")
            },
            core::SessionEvent::Disconnected { reason } => {
                SessionEvent { reason: Some(reason.into()), ..plain("disconnected") }
            }
            core::SessionEvent::AttemptFailed { server, reason } => SessionEvent {
                server: Some(server.to_string()),
                reason: Some(reason.into()),
                ..plain("attempt-failed")
            },
            core::SessionEvent::Ended(ended) => plain(end(ended)),
        }
    }
}
