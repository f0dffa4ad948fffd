//! What goes wrong, as exceptions of Python.
//!
//! Which class it is, `bellwether/errors.py` says: it has a row per code of the protocol.

use bellwether_client::{Error, Fate, Sent, SessionEnd};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Why an operation has no result.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The client says so; of which node, if it is about one.
    Client(Error, Option<String>),
    /// A transaction was refused; the paths are those of its operations.
    Transaction(Error, Vec<String>),
    /// The caller's own time limit has passed.
    Timeout(f64),
    /// An argument is not possible.
    Argument(String),
    /// It is not held for certain: the word for why, and the sentence.
    Lost(&'static str, String),
    /// There is nothing more to iterate over.
    Exhausted,
    /// A bug of ours.
    Bug,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Client(error, None)
    }
}

impl From<SessionEnd> for Trouble {
    fn from(end: SessionEnd) -> Trouble {
        // Whoever waits for an event has sent nothing.
        Trouble::Client(Error::SessionEnded(end, Sent::No), None)
    }
}

/// What was about a node keeps the node's path.
pub(crate) trait At<T> {
    /// Names the node.
    fn at(self, path: &str) -> Result<T, Trouble>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, path: &str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::Client(error, Some(path.to_owned())))
    }
}

/// What `bellwether/errors.py` makes exceptions by. It is set by the import, and not looked up at
/// the first error: that may be in a forked child.
static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// For `bellwether/errors.py`: sets what makes exceptions.
#[pyfunction]
pub(crate) fn make_errors_by(py: Python<'_>, make: Py<PyAny>) {
    // An import that is repeated brings the same.
    MAKE.set(py, make).ok();
}

/// The exceptions of Python that are made by `bellwether/errors.py`, by its names for them.
fn made<'py>(
    py: Python<'py>,
    kind: &str,
    message: &str,
    fields: &[(&str, Bound<'py, PyAny>)],
) -> PyResult<PyErr> {
    let Some(make) = MAKE.get(py) else { return Err(PyRuntimeError::new_err(message.to_owned())) };
    let keywords = PyDict::new(py);
    for (name, value) in fields {
        keywords.set_item(name, value)?;
    }
    let error = make.bind(py).call((kind, message), Some(&keywords))?;
    Ok(PyErr::from_value(error))
}

/// For a handle that is used in a forked child.
pub(crate) fn forked() -> PyErr {
    let message = "this was made before the process forked; connect anew in the child";
    Python::attach(|py| made(py, "Forked", message, &[]).unwrap_or_else(|error| error))
}

impl Trouble {
    /// The exception.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        let made = match self {
            Trouble::Client(error, path) => of_client(py, &error, path.as_deref()),
            Trouble::Transaction(error, paths) => of_transaction(py, &error, &paths),
            Trouble::Argument(message) => made(py, "BADARGUMENTS", &message, &[]),
            Trouble::Timeout(seconds) => {
                Ok(PyTimeoutError::new_err(format!("nothing happened within {seconds} s")))
            }
            Trouble::Lost(reason, message) => reason
                .into_pyobject(py)
                .map_err(Into::into)
                .and_then(|reason| made(py, "Lost", &message, &[("reason", reason.into_any())])),
            Trouble::Exhausted => Ok(PyStopIteration::new_err(())),
            Trouble::Bug => Ok(PyRuntimeError::new_err("bellwether: an operation panicked")),
        };
        made.unwrap_or_else(|error| error)
    }
}

fn of_client(py: Python<'_>, error: &Error, path: Option<&str>) -> PyResult<PyErr> {
    let mut fields = vec![("path", path.into_pyobject(py)?.into_any())];
    let unknown = |code: &i32| code.into_pyobject(py).map(Bound::into_any);
    let kind = match error {
        Error::Refused { code, .. } | Error::Multi { code, .. } => code.name(),
        Error::UnknownCode(code) => {
            fields.push(("code", unknown(code)?));
            "Unknown"
        }
        Error::ConnectionLost => "CONNECTIONLOSS",
        Error::SessionEnded(SessionEnd::Expired, _) => "SESSIONEXPIRED",
        Error::SessionEnded(SessionEnd::AuthFailed(_), _) => "AUTHFAILED",
        Error::SessionEnded(SessionEnd::Closed, _) => "Closed",
        Error::NoServer { .. } => "NoServer",
        Error::TooLarge { bytes, limit_bytes } => {
            fields.push(("bytes", bytes.into_pyobject(py)?.into_any()));
            fields.push(("limit_bytes", limit_bytes.into_pyobject(py)?.into_any()));
            "TooLarge"
        }
        Error::Path { .. } | Error::Argument(_) | Error::Servers(_) => "BADARGUMENTS",
    };
    let maybe_happened = error.fate() == Fate::MayHaveHappened;
    fields.push(("maybe_happened", maybe_happened.into_pyobject(py)?.to_owned().into_any()));
    made(py, kind, &error.to_string(), &fields)
}

fn of_transaction(py: Python<'_>, error: &Error, paths: &[String]) -> PyResult<PyErr> {
    let Error::Multi { index, code, results } = error else { return of_client(py, error, None) };
    let path = paths.get(*index).map(String::as_str);
    let codes: Vec<i32> = results.iter().map(crate::multi::result_code).collect();
    let message = format!(
        "operation {index} of the transaction, of {}, was refused: {code}; none happened",
        path.unwrap_or("a node")
    );
    let fields = [
        ("path", path.into_pyobject(py)?.into_any()),
        ("index", index.into_pyobject(py)?.into_any()),
        ("code", code.code().into_pyobject(py)?.into_any()),
        ("results", codes.into_pyobject(py)?.into_any()),
    ];
    made(py, "Transaction", &message, &fields)
}
