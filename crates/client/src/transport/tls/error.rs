//! What can be wrong with the certificates, keys and stores that a TLS connection is made with,
//! and what a user does about it; and the same for handshakes that fail.

use std::fmt;
use std::io;

/// What an input was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsInput {
    /// The certificates that servers' chains have to end in.
    Trust,
    /// This client's own certificates.
    Certificates,
    /// This client's private key.
    Key,
    /// This client's key store, with key and certificates.
    KeyStore,
    /// The name that servers' certificates have to carry.
    ServerName,
}

impl fmt::Display for TlsInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsInput::Trust => "trusted certificates",
            TlsInput::Certificates => "client certificate",
            TlsInput::Key => "client key",
            TlsInput::KeyStore => "client key store",
            TlsInput::ServerName => "server name",
        })
    }
}

/// Why TLS cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// What the input was for.
    pub input: TlsInput,
    /// The file, or how many bytes were given; empty if nothing was.
    pub source: Box<str>,
    /// What is wrong with it.
    pub problem: TlsProblem,
}

/// What is wrong with an input of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// No trusted certificate was named. There are none by default.
    NoTrust,
    /// The file cannot be read.
    Read(Box<str>),
    /// It is longer than any key store should be; the limit in bytes.
    TooLong(u64),
    /// It is not PEM.
    Pem(Box<str>),
    /// There is no certificate in it, or none that belongs to the key.
    NoCertificate,
    /// There is no private key in it.
    NoKey,
    /// The private key is encrypted, and there is no password, or it has the form before PKCS8.
    EncryptedKey,
    /// It is PEM, where a PKCS12 store is expected.
    PemNotPkcs12,
    /// It is a key store of Java's own form (JKS or JCEKS).
    JavaKeyStore,
    /// It cannot be read as PKCS12.
    Malformed(&'static str),
    /// The password does not open it.
    Password,
    /// The password opens the store, but not what is in it.
    KeyPassword,
    /// It is encrypted with RC2 or triple DES, as stores were before Java 16.
    OldEncryption,
    /// It uses an algorithm that is not known.
    Algorithm(&'static str),
    /// No entry of the store is a trusted certificate.
    NoTrustedEntry,
    /// The store has so many private keys, where one is expected.
    Keys(usize),
    /// A certificate in it cannot be used.
    BadCertificate(Box<str>),
    /// Certificate and key cannot be used together.
    BadIdentity(Box<str>),
    /// It is neither a DNS name nor an address.
    BadName,
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            TlsProblem::NoTrust => {
                "none are given, and there are none by default; give trust_pem or trust_pkcs12"
            }
            TlsProblem::Read(why) => return write!(f, "it cannot be read: {why}"),
            TlsProblem::TooLong(limit) => {
                return write!(f, "it is longer than {limit} bytes, which no key store is");
            }
            TlsProblem::Pem(why) => return write!(f, "it is not correct PEM: {why}"),
            TlsProblem::NoCertificate => {
                "there is no certificate in it that could be used; PEM begins with \
                 -----BEGIN CERTIFICATE-----, a PKCS12 store is given by trust_pkcs12 or \
                 identity_pkcs12"
            }
            TlsProblem::NoKey => {
                "there is no private key in it; expected -----BEGIN PRIVATE KEY----- or the form \
                 of RSA or EC"
            }
            TlsProblem::EncryptedKey => {
                "the private key is encrypted; give key_password if it begins with -----BEGIN \
                 ENCRYPTED PRIVATE KEY-----, which `openssl pkcs8 -topk8 -in FILE -out NEW` makes \
                 of the older form"
            }
            TlsProblem::PemNotPkcs12 => "it is PEM, not PKCS12; give trust_pem or identity_pem",
            TlsProblem::JavaKeyStore => {
                "it is a JKS key store; convert it with `keytool -importkeystore -srckeystore \
                 FILE -destkeystore NEW.p12 -deststoretype PKCS12`"
            }
            TlsProblem::Malformed(why) => return write!(f, "it is not a PKCS12 store: {why}"),
            TlsProblem::Password => "the password is wrong, or the file was altered",
            TlsProblem::KeyPassword => {
                "the password opens the store but not what is in it; give both the same with \
                 `keytool -importkeystore`"
            }
            TlsProblem::OldEncryption => {
                "it is encrypted with RC2 or triple DES; write it anew with `keytool \
                 -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype PKCS12` \
                 of Java 17"
            }
            TlsProblem::Algorithm(of) => {
                return write!(
                    f,
                    "{of} uses an algorithm that is not known here; write it anew with `keytool \
                     -importkeystore` of Java 17"
                );
            }
            TlsProblem::NoTrustedEntry => {
                "no entry of the store is a trusted certificate; add one with `keytool \
                 -importcert -keystore FILE -file CA.pem`"
            }
            TlsProblem::Keys(count) => {
                return write!(
                    f,
                    "the store has {count} private keys, where one is expected; copy the one that \
                     is meant with `keytool -importkeystore -srcalias NAME`"
                );
            }
            TlsProblem::BadCertificate(why) => {
                return write!(f, "a certificate in it cannot be used: {why}");
            }
            TlsProblem::BadIdentity(why) => {
                return write!(f, "certificate and key cannot be used: {why}");
            }
            TlsProblem::BadName => "it is neither a DNS name nor an address",
        };
        f.write_str(text)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TlsError { input, source, problem } = self;
        match &**source {
            "" => write!(f, "TLS: {input}: {problem}"),
            source => write!(f, "TLS: {input} ({source}): {problem}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The error of a connection in words for who set it up.
pub(super) fn explained(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(inner) => io::Error::new(error.kind(), format!("TLS: {}", words(inner))),
        None => error,
    }
}

/// Likewise, while the handshake is under way: a server that hangs up may be a plain one.
pub(super) fn explained_in_handshake(error: io::Error) -> io::Error {
    use io::ErrorKind as Kind;
    if matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset) {
        let why = "TLS: the server closed the connection during the handshake: is this its \
                   secureClientPort?";
        return io::Error::new(error.kind(), why);
    }
    explained(error)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no advice speaks for itself")]
fn words(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    match error {
        Error::InvalidCertificate(Certificate::UnknownIssuer) => {
            "the server's certificate is signed by none of the trusted ones; add its CA, or \
             itself if it is self-signed, to the trusted certificates"
                .into()
        }
        Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => format!(
            "{error}; connect by a name that the certificate carries as subject alternative name, \
             or give server_name, or verify_host_name(false)"
        ),
        Error::InvalidCertificate(problem) => format!("the server's certificate: {problem}"),
        Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate
            | Alert::HandshakeFailure),
        ) => format!(
            "the server refused the connection ({alert:?}); it may want a client certificate, \
             or another one that it trusts: see identity_pem and identity_pkcs12"
        ),
        Error::AlertReceived(alert) => format!("the server refused the connection ({alert:?})"),
        Error::InvalidMessage(_) => {
            "the server does not answer with TLS: is this its secureClientPort?".into()
        }
        other => other.to_string(),
    }
}
