//! One watched value of configuration.
//!
//! What it keeps true: a value is stored as the Rust recipe stores it; JSON is written and read by
//! Python's own module, on a thread of Python.

use bellwether_client as core;
use bellwether_client::recipes as rust;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString};
use rust::Value as _;

use super::{At, stream};
use crate::bridge::{Side, Wrapped, both};
use crate::errors::{At as _, Trouble};
use crate::recipes::given_by_side;
use crate::values::{Bytes, Give, Maybe};
use crate::watch::Closable;

/// What a setting holds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Bytes,
    Int,
    Float,
    Bool,
    Json,
}

impl<'py> FromPyObject<'_, 'py> for Kind {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Kind> {
        let py = object.py();
        let rows = [
            (py.get_type::<PyString>(), Kind::Text),
            (py.get_type::<PyBytes>(), Kind::Bytes),
            (py.get_type::<PyInt>(), Kind::Int),
            (py.get_type::<PyFloat>(), Kind::Float),
            (py.get_type::<PyBool>(), Kind::Bool),
        ];
        if let Some((_, kind)) = rows.into_iter().find(|(class, _)| class.is(&*object)) {
            return Ok(kind);
        }
        match object.extract::<String>() {
            Ok(word) if word == "json" => Ok(Kind::Json),
            Ok(_) | Err(_) => {
                Err(PyTypeError::new_err("type: expected str, bytes, int, float, bool or \"json\""))
            }
        }
    }
}

impl Kind {
    fn encode(self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        Ok(match self {
            Kind::Text => value.extract::<String>()?.encode(),
            Kind::Bytes => value.extract::<Bytes>()?.0,
            Kind::Int => value.extract::<i64>()?.encode(),
            Kind::Float => value.extract::<f64>()?.encode(),
            Kind::Bool => value.extract::<bool>()?.encode(),
            Kind::Json => {
                let py = value.py();
                let keywords = PyDict::new(py);
                keywords.set_item("separators", (",", ":"))?;
                keywords.set_item("sort_keys", true)?;
                keywords.set_item("ensure_ascii", false)?;
                keywords.set_item("allow_nan", false)?;
                let json = py.import(intern!(py, "json"))?;
                let text = json.call_method(intern!(py, "dumps"), (value,), Some(&keywords))?;
                text.extract::<String>()?.into_bytes()
            }
        })
    }

    /// The object, or what is wrong with the bytes.
    fn decode(self, py: Python<'_>, bytes: &[u8]) -> PyResult<Result<Py<PyAny>, String>> {
        fn object<'py, T: IntoPyObject<'py>>(
            py: Python<'py>,
            value: Result<T, String>,
        ) -> PyResult<Result<Py<PyAny>, String>> {
            Ok(match value {
                Ok(value) => Ok(value.into_py_any(py)?),
                Err(why) => Err(why),
            })
        }
        match self {
            Kind::Text => object(py, String::decode(bytes)),
            Kind::Bytes => object(py, Ok(PyBytes::new(py, bytes))),
            Kind::Int => object(py, i64::decode(bytes)),
            Kind::Float => object(py, f64::decode(bytes)),
            Kind::Bool => object(py, bool::decode(bytes)),
            Kind::Json => {
                let json = py.import(intern!(py, "json"))?;
                match json.call_method1(intern!(py, "loads"), (PyBytes::new(py, bytes),)) {
                    Ok(value) => Ok(Ok(value.unbind())),
                    Err(error) if error.is_instance_of::<PyValueError>(py) => {
                        Ok(Err(format!("not JSON: {}", error.value(py))))
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// What a setting is, or was.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct Reading {
    value: Result<Py<PyAny>, String>,
    /// Its version: 0 for the first, one more with each change.
    #[pyo3(get)]
    version: i32,
    /// When it was set: milliseconds since 1970, by the leader's clock.
    #[pyo3(get)]
    set_ms: i64,
}

#[pymethods]
impl Reading {
    /// The value.
    ///
    /// Raises ValueError if what is stored is none of the setting's type.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.value {
            Ok(value) => Ok(value.clone_ref(py)),
            Err(why) => Err(PyValueError::new_err(why.clone())),
        }
    }

    /// What is wrong with what is stored; None if nothing is.
    #[getter]
    fn problem(&self) -> Option<&str> {
        self.value.as_ref().err().map(String::as_str)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = match &self.value {
            Ok(value) => format!("value={}", value.bind(py).repr()?),
            Err(why) => format!("problem={why:?}"),
        };
        Ok(format!("Reading({value}, version={}, set_ms={})", self.version, self.set_ms))
    }
}

/// What was read, before it is an object of Python.
pub(crate) struct Stored(Kind, rust::Reading<Vec<u8>>);

impl Give for Stored {
    fn give(self, py: Python<'_>, _side: &Side) -> PyResult<Py<PyAny>> {
        let Stored(kind, rust::Reading { value, version, set_ms }) = self;
        let value = match value {
            Ok(bytes) => kind.decode(py, &bytes)?,
            Err(why) => Err(why.into()),
        };
        Ok(Py::new(py, Reading { value, version, set_ms })?.into_any())
    }
}

/// The setting at a path, and what it holds.
pub(crate) struct Typed {
    setting: rust::Setting<Vec<u8>>,
    kind: Kind,
}

/// Its values, one after the other.
pub(crate) struct Values(rust::SettingWatch<Vec<u8>>, Kind);

impl Values {
    async fn next(&mut self) -> Result<Maybe<Stored>, Trouble> {
        let kind = self.1;
        Ok(Maybe(self.0.next().await?.map(|reading| Stored(kind, reading))))
    }
}

/// One value of configuration, typed and versioned, with the values before it.
///
/// client: whose session reads and writes. path: the node that holds it. type: str, bytes, int (of
/// 64 bits), float, bool, or "json" for what the module `json` can write; values are stored as
/// people type them. keep: how many earlier values are kept.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct Setting(Wrapped<At<Typed>>);

/// One value of configuration, typed and versioned, with the values before it.
///
/// client: whose session reads and writes. path: the node that holds it. type: str, bytes, int (of
/// 64 bits), float, bool, or "json" for what the module `json` can write; values are stored as
/// people type them. keep: how many earlier values are kept.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct AsyncSetting(Wrapped<At<Typed>>);

/// A setting's values: an iterator of Reading, or None for no value; at once for the first time and
/// then whenever it was set or deleted. Values of a short time may be left out.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct SettingWatch(Wrapped<Closable<Values>>);

/// A setting's values: an iterator of Reading, or None for no value; at once for the first time and
/// then whenever it was set or deleted. Values of a short time may be left out.
#[pyclass(frozen, generic, module = "bellwether.recipes")]
pub(crate) struct AsyncSettingWatch(Wrapped<Closable<Values>>);

given_by_side! { Closable<Values> => SettingWatch, AsyncSettingWatch; }

fn typed(client: &core::Client, path: &str, kind: Kind, keep: usize) -> Result<Typed, Trouble> {
    Ok(Typed { setting: rust::Setting::new(client, path).keep(keep), kind })
}

type Place = std::sync::Arc<At<Typed>>;

impl Setting {
    fn encoded(&self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        self.0.held.get()?.recipe.kind.encode(value)
    }
}

impl AsyncSetting {
    fn encoded(&self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        self.0.held.get()?.recipe.kind.encode(value)
    }
}

async fn set(at: Place, value: Vec<u8>) -> Result<i32, Trouble> {
    at.recipe.setting.set(&value).await.at(&at.path)
}

async fn set_first(at: Place, value: Vec<u8>) -> Result<i32, Trouble> {
    at.recipe.setting.set_first(&value).await.at(&at.path)
}

async fn set_if(at: Place, value: Vec<u8>, version: i32) -> Result<i32, Trouble> {
    at.recipe.setting.set_if(&value, version).await.at(&at.path)
}

both! {
    impl Setting, AsyncSetting for At<Typed>;

    new {
        #[signature (client, path, r#type=Kind::Text, *, keep=10)]
        fn new(client, path, r#type: Kind, keep: usize) {
            typed(client, path, r#type, keep)
        }
    }

    both {
        /// The Reading; None if it was never set.
        brief fn get(at) {
            let reading = at.recipe.setting.get().await.at(&at.path)?;
            Ok(Maybe(reading.map(|reading| Stored(at.recipe.kind, reading))))
        }

        /// The earlier values that are kept, the newest first: a list of Reading.
        brief fn earlier(at) {
            let earlier = at.recipe.setting.earlier().await.at(&at.path)?;
            let kind = at.recipe.kind;
            Ok(earlier.into_iter().map(|reading| Stored(kind, reading)).collect::<Vec<_>>())
        }

        /// Sets the value before this one, as a new version, and gives that. Done twice, it leads
        /// back to where it began.
        ///
        /// Raises NoNodeError (none is kept).
        brief fn roll_back(at) {
            at.recipe.setting.roll_back().await.at(&at.path)
        }

        /// Sets what the value was at an earlier version, as a new version, and gives that.
        ///
        /// Raises NoNodeError (it is not kept).
        brief fn roll_back_to(at, version: i32) {
            at.recipe.setting.roll_back_to(version).await.at(&at.path)
        }
    }

    each {
        /// Follows the value.
        fn watch(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            let typed = &self.0.held.get()?.recipe;
            Closable::new(Values(typed.setting.watch(), typed.kind)).give(py, &self.0.side)
        }
    }

    sync {
        /// Sets the value, whatever it was, and gives its version.
        fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.wait(py, |at| set(at, value))
        }

        /// Sets the first value, and gives its version.
        ///
        /// Raises NodeExistsError (there is one).
        fn set_first(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.wait(py, |at| set_first(at, value))
        }

        /// Sets the value if it has this version, and gives the new one.
        ///
        /// Raises BadVersionError (it has another; or the connection was lost and it has changed
        /// more than once since), NoNodeError.
        fn set_if(
            &self, py: Python<'_>, value: &Bound<'_, PyAny>, version: i32,
        ) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.wait(py, |at| set_if(at, value, version))
        }
    }

    asyncio {
        /// Sets the value, whatever it was, and gives its version.
        fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.brief(py, |at| set(at, value))
        }

        /// Sets the first value, and gives its version.
        ///
        /// Raises NodeExistsError (there is one).
        fn set_first(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.brief(py, |at| set_first(at, value))
        }

        /// Sets the value if it has this version, and gives the new one.
        ///
        /// Raises BadVersionError (it has another; or the connection was lost and it has changed
        /// more than once since), NoNodeError.
        fn set_if(
            &self, py: Python<'_>, value: &Bound<'_, PyAny>, version: i32,
        ) -> PyResult<Py<PyAny>> {
            let value = self.encoded(value)?;
            self.0.brief(py, |at| set_if(at, value, version))
        }
    }
}

stream! {
    impl SettingWatch, AsyncSettingWatch for Values;
    /// Waits for the next value: a Reading, or None if there is none. timeout: at most so many
    /// seconds.
    ///
    /// Raises TimeoutError, ClosedError, SessionExpiredError.
    next;
}
