//! The classes `Tls` and `Sasl`: how a client's connections are secured.
//!
//! What it keeps true:
//! - They are settings and nothing else: no file is open, no lock is in them. So they may be made
//!   before a fork and used after it, as often as one likes.
//! - What is secret is shown by nothing, and they are not pickled.

use bellwether_client as core;
use core::{Connector, TlsBuilder, TlsOver, TlsSource};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};
use std::path::PathBuf;

use crate::errors::Trouble;
use crate::sockets::TrackedTcp;
use crate::values::Bytes;

/// A file, or what it holds.
#[derive(Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Source> {
        if is_bytes(&object) {
            return Ok(Source::Bytes(object.extract::<Bytes>()?.0));
        }
        Ok(Source::File(object.extract()?))
    }
}

fn is_bytes(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
}

impl Source {
    fn shown(&self) -> String {
        match self {
            Source::File(path) => format!("{:?}", path.display().to_string()),
            Source::Bytes(bytes) => format!("<{} bytes>", bytes.len()),
        }
    }
}

impl From<Source> for TlsSource {
    fn from(source: Source) -> TlsSource {
        match source {
            Source::File(path) => path.into(),
            Source::Bytes(bytes) => bytes.into(),
        }
    }
}

/// One source, or several.
pub(crate) struct Sources(Vec<Source>);

impl<'py> FromPyObject<'_, 'py> for Sources {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Sources> {
        let one = is_bytes(&object)
            || object.is_instance_of::<PyString>()
            || object.hasattr("__fspath__")?;
        Ok(Sources(if one { vec![object.extract()?] } else { object.extract()? }))
    }
}

/// The arguments of `Tls`, as they were given.
struct Given {
    trust_pem: Vec<Source>,
    trust_pkcs12: Option<Source>,
    trust_password: Option<String>,
    identity_pem: Option<Source>,
    identity_key: Option<Source>,
    key_password: Option<String>,
    identity_pkcs12: Option<Source>,
    identity_password: Option<String>,
    server_name: Option<String>,
    verify_host_name: bool,
}

impl Given {
    /// What is wrong with them together; each of these would be passed over in silence.
    fn contradiction(&self) -> Option<&'static str> {
        let (pem, store) = (self.identity_pem.is_some(), self.identity_pkcs12.is_some());
        let rows = [
            (
                self.trust_pem.is_empty() && self.trust_pkcs12.is_none(),
                "nothing is trusted by default: give trust_pem or trust_pkcs12",
            ),
            (
                self.trust_pkcs12.is_some() != self.trust_password.is_some(),
                "trust_pkcs12 and trust_password go together",
            ),
            (pem && store, "identity_pem and identity_pkcs12 exclude each other"),
            (
                store != self.identity_password.is_some(),
                "identity_pkcs12 and identity_password go together",
            ),
            (self.identity_key.is_some() && !pem, "identity_key goes with identity_pem"),
            (self.key_password.is_some() && !pem, "key_password goes with identity_pem"),
        ];
        rows.into_iter().find_map(|(wrong, why)| wrong.then_some(why))
    }

    /// As a call that gives them; without what is secret.
    fn shown(&self) -> String {
        let sources = self.trust_pem.iter().map(Source::shown).collect::<Vec<_>>();
        let trust = match sources.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("[{}]", several.join(", "))),
        };
        let secret = |password: &Option<String>| password.as_ref().map(|_| "...".to_owned());
        let source = |source: &Option<Source>| source.as_ref().map(Source::shown);
        let fields = [
            ("trust_pem", trust),
            ("trust_pkcs12", source(&self.trust_pkcs12)),
            ("trust_password", secret(&self.trust_password)),
            ("identity_pem", source(&self.identity_pem)),
            ("identity_key", source(&self.identity_key)),
            ("key_password", secret(&self.key_password)),
            ("identity_pkcs12", source(&self.identity_pkcs12)),
            ("identity_password", secret(&self.identity_password)),
            ("server_name", self.server_name.as_ref().map(|name| format!("{name:?}"))),
            ("verify_host_name", (!self.verify_host_name).then(|| "False".to_owned())),
        ];
        let given =
            fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        format!("Tls({})", given.collect::<Vec<_>>().join(", "))
    }

    fn settings(self) -> TlsBuilder {
        let mut tls = core::Tls::builder().verify_host_name(self.verify_host_name);
        for source in self.trust_pem {
            tls = tls.trust_pem(source);
        }
        if let (Some(store), Some(password)) = (self.trust_pkcs12, self.trust_password) {
            tls = tls.trust_pkcs12(store, &password);
        }
        if let Some(certificates) = self.identity_pem {
            let key = self.identity_key.unwrap_or_else(|| certificates.clone());
            tls = tls.identity_pem(certificates, key);
        }
        if let Some(password) = self.key_password {
            tls = tls.key_password(&password);
        }
        if let (Some(store), Some(password)) = (self.identity_pkcs12, self.identity_password) {
            tls = tls.identity_pkcs12(store, &password);
        }
        match self.server_name {
            Some(name) => tls.server_name(&name),
            None => tls,
        }
    }
}

/// How to connect by TLS 1.3 or 1.2: whom to trust, who this client is, what is verified. Give it
/// to `connect`, of as many clients as you like, also in forked children.
///
/// A file is given by its path, or as bytes with what it holds. Files are read by each `connect`,
/// so that the next one takes a certificate that was renewed; what is wrong with one raises
/// BadArgumentsError there.
///
/// trust_pem: certificates that servers' chains have to end in, in one PEM bundle or several;
/// nothing is trusted by default. trust_pkcs12, trust_password: the trusted entries of a PKCS12
/// store. identity_pem: this client's certificate, and behind it those that lead to its CA;
/// identity_key: its private key, if it is not in the same file; key_password: what opens the key
/// if it is encrypted. identity_pkcs12, identity_password: key and certificates in one PKCS12
/// store. server_name: the name or address that every server's certificate has to carry, in place
/// of the one in the connect string. verify_host_name: whether it has to carry one at all; without
/// that, whoever has a certificate of the same CA can pose as the server.
///
/// Raises BadArgumentsError.
#[pyclass(frozen, module = "bellwether")]
pub(crate) struct Tls {
    settings: TlsBuilder,
    shown: String,
}

#[pymethods]
impl Tls {
    #[new]
    #[pyo3(signature = (
        *, trust_pem=Sources(Vec::new()), trust_pkcs12=None, trust_password=None,
        identity_pem=None, identity_key=None, key_password=None,
        identity_pkcs12=None, identity_password=None, server_name=None, verify_host_name=true
    ), text_signature =
        "(*, trust_pem=(), trust_pkcs12=None, trust_password=None, identity_pem=None, identity_key=None, \
         key_password=None, identity_pkcs12=None, identity_password=None, server_name=None, verify_host_name=True)")]
    fn new(
        py: Python<'_>,
        trust_pem: Sources,
        trust_pkcs12: Option<Source>,
        trust_password: Option<String>,
        identity_pem: Option<Source>,
        identity_key: Option<Source>,
        key_password: Option<String>,
        identity_pkcs12: Option<Source>,
        identity_password: Option<String>,
        server_name: Option<String>,
        verify_host_name: bool,
    ) -> PyResult<Tls> {
        let given = Given {
            trust_pem: trust_pem.0,
            trust_pkcs12,
            trust_password,
            identity_pem,
            identity_key,
            key_password,
            identity_pkcs12,
            identity_password,
            server_name,
            verify_host_name,
        };
        if let Some(why) = given.contradiction() {
            return Err(Trouble::Argument(format!("Tls: {why}")).into_exception(py));
        }
        let shown = given.shown();
        Ok(Tls { settings: given.settings(), shown })
    }

    fn __repr__(&self) -> &str {
        &self.shown
    }
}

/// The settings of a `Tls` that was given.
pub(crate) struct TlsSettings(TlsBuilder);

impl<'py> FromPyObject<'_, 'py> for TlsSettings {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<TlsSettings> {
        Ok(TlsSettings(object.cast::<Tls>()?.get().settings.clone()))
    }
}

/// The transport of these settings. The files are read on a thread for what may take its time: the
/// worker has other sessions to look after.
pub(crate) async fn over_tls(
    TlsSettings(settings): TlsSettings,
) -> Result<TlsOver<TrackedTcp>, Trouble> {
    let built = tokio::task::spawn_blocking(move || settings.build()).await;
    match built {
        Ok(Ok(tls)) => Ok(tls.over(TrackedTcp)),
        Ok(Err(wrong)) => Err(Trouble::Argument(wrong.to_string())),
        Err(_panicked) => Err(Trouble::Bug),
    }
}

/// Who this client is, proven by SASL first thing on every connection. Give it to `connect`. A
/// server that does not take the proof, or does not know the password itself, ends the session:
/// AuthFailedError.
///
/// username, password: what the server's JAAS section `Server` has. mechanism: "DIGEST-MD5", which
/// hides the password from listeners and nothing else: use it over TLS.
///
/// Raises BadArgumentsError (another mechanism).
#[pyclass(frozen, module = "bellwether", from_py_object)]
#[derive(Clone)]
pub(crate) struct Sasl {
    /// Who it is.
    #[pyo3(get)]
    username: String,
    password: String,
}

/// The mechanism that there is.
const DIGEST_MD5: &str = "DIGEST-MD5";

#[pymethods]
impl Sasl {
    #[new]
    #[pyo3(
        signature = (username, password, *, mechanism=DIGEST_MD5),
        text_signature = "(username, password, *, mechanism=\"DIGEST-MD5\")"
    )]
    fn new(py: Python<'_>, username: String, password: String, mechanism: &str) -> PyResult<Sasl> {
        if mechanism != DIGEST_MD5 {
            let why = format!("Sasl: mechanism={mechanism:?}: there is {DIGEST_MD5:?} alone");
            return Err(Trouble::Argument(why).into_exception(py));
        }
        Ok(Sasl { username, password })
    }

    /// How it is proven: "DIGEST-MD5".
    #[getter]
    fn mechanism(&self) -> &'static str {
        DIGEST_MD5
    }

    fn __repr__(&self) -> String {
        format!("Sasl(username={:?}, password=...)", self.username)
    }
}

impl Sasl {
    /// Has the connector prove it.
    pub(crate) fn proving(&self, connector: Connector) -> Connector {
        connector.sasl_digest_md5(&self.username, &self.password)
    }
}
