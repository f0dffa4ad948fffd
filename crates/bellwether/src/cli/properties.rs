//! A client's settings in Apache's names: of the file of `-client-configuration`, which has the
//! last word, and of `-Dname=value`.
//!
//! What it keeps true: what this shell has is taken; what would change who can listen or who is
//! trusted, and that it has not, is refused; what it does not know is named. No setting is dropped
//! in silence but those that are for a Java machine.

use super::jaas;
use bellwether_client::{Connector, Tls, TlsBuilder};
use bellwether_server::config::properties;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Properties {
    /// `jute.maxbuffer`: the largest request.
    pub(super) request_bytes_max: Option<usize>,
    /// A line for each setting that changes nothing here.
    pub(super) warnings: Vec<String>,
    secure: bool,
    trust: Store,
    identity: Store,
    verify_host_name: bool,
    sasl: bool,
    sasl_section: String,
    login_config: Option<PathBuf>,
}

/// A file with keys or certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Store {
    path: Option<PathBuf>,
    password: Secret,
    password_path: Option<PathBuf>,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pem,
    /// Also what turns out to be something else, which is said with what to do.
    Pkcs12,
}

/// A password; it is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Default for Properties {
    fn default() -> Properties {
        Properties {
            request_bytes_max: None,
            warnings: Vec::new(),
            secure: false,
            trust: Store::default(),
            identity: Store::default(),
            verify_host_name: true,
            sasl: true,
            sasl_section: "Client".into(),
            login_config: None,
        }
    }
}

/// What Java's `Boolean.parseBoolean` makes of a text.
fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

impl Properties {
    /// Takes `name=value` of `-Dname=value`.
    pub(super) fn define(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match self.set(key, value) {
            Ok(true) => {}
            Ok(false) if !["zookeeper.", "jute."].iter().any(|start| key.starts_with(start)) => {}
            Ok(false) => self.warnings.push(format!("-D{key} changes nothing here")),
            Err(why) => return Err(format!("-D{key}: {why}")),
        }
        Ok(())
    }

    /// Takes what the file says.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), String> {
        let named = |why: String| format!("-client-configuration {}: {why}", path.display());
        self.take(&contents(path).map_err(named)?).map_err(named)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let parsed = properties::parse(bytes);
        if let Some(error) = parsed.errors.first() {
            return Err(format!("line {}: {error}", error.line));
        }
        for entry in parsed.entries {
            let key = &entry.key;
            match self.set(key, entry.value.trim()) {
                Ok(true) => {}
                Ok(false) => {
                    let text = format!("-client-configuration: {key} changes nothing here");
                    self.warnings.push(text);
                }
                Err(why) => return Err(format!("line {}: {key}: {why}", entry.line)),
            }
        }
        Ok(())
    }

    /// `false` if the key is not known.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "jute.maxbuffer" => {
                let wrong = || format!("{value:?}: expected bytes above 0");
                let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
                self.request_bytes_max = Some(bytes.ok_or_else(wrong)?);
            }
            "zookeeper.client.secure" => self.secure = is_true(value),
            "zookeeper.ssl.hostnameVerification" => self.verify_host_name = is_true(value),
            "zookeeper.ssl.crl" | "zookeeper.ssl.ocsp" if is_true(value) => {
                return Err("this shell does not ask whether a certificate was revoked".into());
            }
            "zookeeper.ssl.context.supplier.class" if !value.is_empty() => {
                return Err("this shell has no Java classes".into());
            }
            "zookeeper.sasl.client" => self.sasl = is_true(value),
            "zookeeper.sasl.clientconfig" => self.sasl_section = value.into(),
            "java.security.auth.login.config" => self.login_config = path_of(value),
            // Kerberos's, the transport's, and the server's.
            "zookeeper.clientCnxnSocket" | "zookeeper.server.realm" | "zookeeper.kinit" => {}
            "zookeeper.ssl.crl" | "zookeeper.ssl.ocsp" => {}
            "zookeeper.ssl.context.supplier.class" => {}
            _ if key.starts_with("zookeeper.sasl.") => {}
            _ => return self.set_store(key, value),
        }
        Ok(true)
    }

    fn set_store(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let store = |start: &str| key.strip_prefix("zookeeper.ssl.")?.strip_prefix(start);
        let (store, what) = match (store("trustStore."), store("keyStore.")) {
            (Some(what), _) => (&mut self.trust, what),
            (_, Some(what)) => (&mut self.identity, what),
            (None, None) => return Ok(false),
        };
        match what {
            "location" => store.path = path_of(value),
            "password" => store.password = Secret(value.into()),
            "passwordPath" => store.password_path = path_of(value),
            "type" => store.kind = kind_of(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The settings of the connection that need no files.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        let connector = Connector::new();
        let Some(path) = self.login_config.as_ref().filter(|_| self.sasl) else {
            return Ok(connector);
        };
        let named =
            |why: String| format!("java.security.auth.login.config {}: {why}", path.display());
        let text = text(path).map_err(named)?;
        let login = jaas::login(&text, &self.sasl_section).map_err(named)?;
        Ok(connector.sasl_digest_md5(&login.user, &login.password.0))
    }

    /// How to connect by TLS, if that is wanted. The files are read here.
    pub(super) fn tls(&self) -> Result<Option<Tls>, String> {
        if !self.secure {
            return Ok(None);
        }
        let Some(trust) = &self.trust.path else {
            return Err("zookeeper.client.secure=true needs zookeeper.ssl.trustStore.location: \
                        nothing is trusted by itself"
                .into());
        };
        let builder = Tls::builder().verify_host_name(self.verify_host_name);
        let builder = match self.trust.kind(trust) {
            Kind::Pem => builder.trust_pem(trust.as_path()),
            Kind::Pkcs12 => {
                builder.trust_pkcs12(trust.as_path(), &self.trust.secret("trustStore")?)
            }
        };
        let builder = self.identified(builder)?;
        builder.build().map(Some).map_err(|error| error.to_string())
    }

    fn identified(&self, builder: TlsBuilder) -> Result<TlsBuilder, String> {
        let Some(path) = &self.identity.path else { return Ok(builder) };
        Ok(match self.identity.kind(path) {
            Kind::Pem => builder.identity_pem(path.as_path(), path.as_path()),
            Kind::Pkcs12 => {
                builder.identity_pkcs12(path.as_path(), &self.identity.secret("keyStore")?)
            }
        })
    }
}

impl Store {
    /// What was said, or else what the file's name says, as Apache has it.
    fn kind(&self, path: &Path) -> Kind {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let named = if extension == "pem" { Kind::Pem } else { Kind::Pkcs12 };
        self.kind.unwrap_or(named)
    }

    /// The first line of the password's file, or the password.
    fn secret(&self, store: &str) -> Result<String, String> {
        let Some(path) = &self.password_path else { return Ok(self.password.0.clone()) };
        let named =
            |why: String| format!("zookeeper.ssl.{store}.passwordPath {}: {why}", path.display());
        let text = text(path).map_err(named)?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

fn path_of(value: &str) -> Option<PathBuf> {
    if value.is_empty() { None } else { Some(value.into()) }
}

fn kind_of(value: &str) -> Result<Option<Kind>, String> {
    match value.to_uppercase().as_str() {
        "" => Ok(None),
        "PEM" => Ok(Some(Kind::Pem)),
        "PKCS12" => Ok(Some(Kind::Pkcs12)),
        _ => Err(format!(
            "{value}: expected PEM or PKCS12 (keytool -importkeystore converts the others)"
        )),
    }
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(contents(path)?).map_err(|error| error.to_string())
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{size} bytes, expected at most {FILE_BYTES_MAX}"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Properties, String> {
        let mut properties = Properties::default();
        properties.take(text.as_bytes()).map(|()| properties)
    }

    #[test]
    fn a_setting_is_taken_refused_or_named() {
        let parsed = taken("# c\n\njute.maxbuffer = 4000000\nzookeeper.request.timeout=5");
        let parsed = parsed.expect("both are taken");
        assert_eq!(parsed.request_bytes_max, Some(4_000_000));
        let named = "-client-configuration: zookeeper.request.timeout changes nothing here";
        assert_eq!(parsed.warnings, [named]);
        let revoked = taken("a=b\nzookeeper.ssl.ocsp=true").unwrap_err();
        let text = "line 2: zookeeper.ssl.ocsp: this shell does not ask whether a certificate was \
                    revoked";
        assert_eq!(revoked, text);
        let off = taken("zookeeper.sasl.client.username=x\nzookeeper.ssl.crl=false");
        assert_eq!(off, Ok(Properties::default()));
        let wrong = taken("jute.maxbuffer=much").unwrap_err();
        assert_eq!(wrong, "line 1: jute.maxbuffer: \"much\": expected bytes above 0");
        let jks = taken("zookeeper.ssl.keyStore.type=JKS").unwrap_err();
        assert!(jks.starts_with("line 1: zookeeper.ssl.keyStore.type: JKS: expected PEM"), "{jks}");
    }

    #[test]
    fn what_is_for_a_java_machine_is_not_mentioned() {
        let mut properties = Properties::default();
        for text in ["java.net.preferIPv4Stack=true", "zookeeper.root.logger=INFO", "x"] {
            properties.define(text).expect("nothing is wrong with it");
        }
        assert_eq!(properties.warnings, ["-Dzookeeper.root.logger changes nothing here"]);
    }

    #[test]
    fn tls_needs_somebody_to_trust() {
        assert_eq!(Properties::default().tls().map(|tls| tls.is_none()), Ok(true));
        let error = taken("zookeeper.client.secure=true").expect("taken").tls().unwrap_err();
        assert!(error.contains("zookeeper.ssl.trustStore.location"), "{error}");
    }

    #[test]
    fn the_kind_of_a_store_is_said_or_seen_by_its_name() {
        let store = |text: &str| taken(text).expect("taken").trust;
        let kind = |text: &str| {
            let store = store(&format!("zookeeper.ssl.trustStore.location={text}"));
            store.kind(store.path.as_deref().expect("it has a path"))
        };
        assert_eq!(kind("ca.pem"), Kind::Pem);
        assert_eq!(kind("ca.p12"), Kind::Pkcs12);
        assert_eq!(kind("ca\nzookeeper.ssl.trustStore.type=PEM"), Kind::Pem);
    }

    #[test]
    fn passwords_are_not_printed() {
        let said = taken("zookeeper.ssl.keyStore.password=hunter2").expect("taken");
        assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
    }
}
