//! TLS over TCP: whom the client trusts, who it is, and what it verifies.
//!
//! What it keeps true: a server's chain is always verified against the certificates that were named
//! for it, and nothing else is trusted; passwords appear in no debug output; whatever is
//! wrong with a file is said with its name before the first connection is tried.
//! Leaves the protocol to rustls, and PKCS12 to [`pkcs12`].

use super::{Connecting, Transport};
use crate::hosts::Host;
use crate::limits::KEY_FILE_BYTES_MAX;
pub use error::{TlsError, TlsInput, TlsProblem};
use error::{explained, explained_in_handshake};
use pkcs12::Store;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring::default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore};
use rustls::{SignatureScheme, WantsVerifier};
use std::fmt;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

mod der;
mod error;
mod key;
mod pkcs12;

/// Where certificates and keys come from.
#[derive(Clone)]
pub enum TlsSource {
    /// A file, read when the settings are put to use.
    File(PathBuf),
    /// What such a file holds.
    Bytes(Vec<u8>),
}

impl fmt::Debug for TlsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl From<&str> for TlsSource {
    /// The path of a file.
    fn from(path: &str) -> TlsSource {
        TlsSource::File(path.into())
    }
}

impl From<&Path> for TlsSource {
    fn from(path: &Path) -> TlsSource {
        TlsSource::File(path.into())
    }
}

impl From<PathBuf> for TlsSource {
    fn from(path: PathBuf) -> TlsSource {
        TlsSource::File(path)
    }
}

impl From<Vec<u8>> for TlsSource {
    /// The content of a file.
    fn from(bytes: Vec<u8>) -> TlsSource {
        TlsSource::Bytes(bytes)
    }
}

impl TlsSource {
    fn name(&self) -> Box<str> {
        match self {
            TlsSource::File(path) => path.display().to_string().into(),
            TlsSource::Bytes(bytes) => format!("{} bytes", bytes.len()).into(),
        }
    }

    fn problem(&self, input: TlsInput, problem: TlsProblem) -> TlsError {
        TlsError { input, source: self.name(), problem }
    }

    fn read(&self) -> Result<Vec<u8>, TlsProblem> {
        let path = match self {
            TlsSource::File(path) => path,
            TlsSource::Bytes(bytes) => return Ok(bytes.clone()),
        };
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if u64::try_from(length).is_ok_and(|it| it <= KEY_FILE_BYTES_MAX) => {
                Ok(bytes)
            }
            Ok(_) => Err(TlsProblem::TooLong(KEY_FILE_BYTES_MAX)),
            Err(why) => Err(TlsProblem::Read(why.to_string().into())),
        }
    }
}

/// What opens a store.
#[derive(Clone)]
struct Password(Box<str>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[derive(Clone, Debug)]
enum Trust {
    Pem(TlsSource),
    Pkcs12(TlsSource, Password),
}

#[derive(Clone, Debug)]
enum Identity {
    Pem { certificates: TlsSource, key: TlsSource },
    Pkcs12(TlsSource, Password),
}

/// Whether a server's certificate has to carry the name that it was connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostName {
    Verified,
    Ignored,
}

/// The settings of [`Tls`].
#[derive(Clone, Debug)]
pub struct TlsBuilder {
    trust: Vec<Trust>,
    identity: Option<Identity>,
    key_password: Option<Password>,
    host_name: HostName,
    server_name: Option<Box<str>>,
}

impl TlsBuilder {
    /// Trusts every certificate of a PEM bundle.
    #[must_use]
    pub fn trust_pem(mut self, bundle: impl Into<TlsSource>) -> TlsBuilder {
        self.trust.push(Trust::Pem(bundle.into()));
        self
    }

    /// Trusts every certificate that is a trusted entry of a PKCS12 store.
    #[must_use]
    pub fn trust_pkcs12(mut self, store: impl Into<TlsSource>, password: &str) -> TlsBuilder {
        self.trust.push(Trust::Pkcs12(store.into(), Password(password.into())));
        self
    }

    /// The client's own certificate, followed by those that lead to its CA, and its private key.
    /// One file may hold both; name it twice.
    #[must_use]
    pub fn identity_pem(
        mut self,
        certificates: impl Into<TlsSource>,
        key: impl Into<TlsSource>,
    ) -> TlsBuilder {
        let (certificates, key) = (certificates.into(), key.into());
        self.identity = Some(Identity::Pem { certificates, key });
        self
    }

    /// What opens the key of [`TlsBuilder::identity_pem`], if it is encrypted (PKCS8, with AES).
    #[must_use]
    pub fn key_password(mut self, password: &str) -> TlsBuilder {
        self.key_password = Some(Password(password.into()));
        self
    }

    /// The client's own key and certificates in a PKCS12 store that has one key.
    #[must_use]
    pub fn identity_pkcs12(mut self, store: impl Into<TlsSource>, password: &str) -> TlsBuilder {
        self.identity = Some(Identity::Pkcs12(store.into(), Password(password.into())));
        self
    }

    /// Whether a server's certificate has to carry the name or address that the connect string
    /// gives it; it has to by default. Without that, whoever holds any certificate of a trusted CA
    /// can pose as the server. Its chain is verified in any case.
    #[must_use]
    pub fn verify_host_name(mut self, verify: bool) -> TlsBuilder {
        self.host_name = if verify { HostName::Verified } else { HostName::Ignored };
        self
    }

    /// The name or address that every server's certificate has to carry, in place of the one in the
    /// connect string.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> TlsBuilder {
        self.server_name = Some(name.into());
        self
    }

    /// Reads the files and checks what they hold.
    pub fn build(self) -> Result<Tls, TlsError> {
        let provider = Arc::new(default_provider());
        let server_name = self.server_name.as_deref().map(parse_server_name).transpose()?;
        let roots = self.roots()?;
        let builder = protocol(&provider);
        let builder = match self.host_name {
            HostName::Verified => builder.with_root_certificates(roots),
            HostName::Ignored => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(ChainVerifier::new(roots, &provider))),
        };
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (source, chain, key) = identity.read(self.key_password.as_ref())?;
                let key = match chain.first() {
                    Some(own) => key::completed(key, own),
                    None => key,
                };
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    let problem = TlsProblem::BadIdentity(error.to_string().into());
                    source.problem(TlsInput::KeyStore, problem)
                })?
            }
        };
        let host_name = self.host_name;
        Ok(Tls { connector: Arc::new(config).into(), server_name, host_name })
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        if self.trust.is_empty() {
            let (input, problem) = (TlsInput::Trust, TlsProblem::NoTrust);
            return Err(TlsError { input, source: "".into(), problem });
        }
        let mut roots = RootCertStore::empty();
        for trust in &self.trust {
            let (Trust::Pem(source) | Trust::Pkcs12(source, _)) = trust;
            let wrong = |problem| source.problem(TlsInput::Trust, problem);
            let bytes = source.read().map_err(wrong)?;
            let certificates = match trust {
                Trust::Pem(_) => certificates(&bytes),
                Trust::Pkcs12(_, password) => {
                    Store::read(&bytes, &password.0).and_then(Store::trusted)
                }
            };
            for certificate in certificates.map_err(wrong)? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(TlsProblem::BadCertificate(error.to_string().into())))?;
            }
        }
        Ok(roots)
    }
}

/// TLS 1.3 and 1.2 with what rustls counts as safe.
fn protocol(provider: &Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites of TLS 1.2 and 1.3")
}

type Chain = Vec<CertificateDer<'static>>;

impl Identity {
    /// Where it came from, the chain, the key, which the password opens if it is encrypted PEM.
    fn read(
        &self,
        password: Option<&Password>,
    ) -> Result<(&TlsSource, Chain, PrivateKeyDer<'static>), TlsError> {
        match self {
            Identity::Pem { certificates: source, key } => {
                let wrong = |problem| source.problem(TlsInput::Certificates, problem);
                let chain = source.read().and_then(|bytes| certificates(&bytes)).map_err(wrong)?;
                let wrong = |problem| key.problem(TlsInput::Key, problem);
                let key = key.read().and_then(|bytes| private_key(&bytes, password));
                let key = key.map_err(wrong)?;
                Ok((source, chain, key))
            }
            Identity::Pkcs12(source, password) => {
                let wrong = |problem| source.problem(TlsInput::KeyStore, problem);
                let store = source.read().and_then(|bytes| Store::read(&bytes, &password.0));
                let (chain, key) = store.and_then(Store::identity).map_err(wrong)?;
                Ok((source, chain, key))
            }
        }
    }
}

fn certificates(bytes: &[u8]) -> Result<Chain, TlsProblem> {
    let found: Result<Chain, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(chain) if chain.is_empty() => Err(TlsProblem::NoCertificate),
        Ok(chain) => Ok(chain),
        Err(error) => Err(TlsProblem::Pem(error.to_string().into())),
    }
}

fn private_key(
    bytes: &[u8],
    password: Option<&Password>,
) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let has = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    let malformed = |error: pem::Error| TlsProblem::Pem(error.to_string().into());
    if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        let password = password.ok_or(TlsProblem::EncryptedKey)?;
        // The parser knows no encrypted keys, which differ by their labels alone.
        let text = String::from_utf8_lossy(bytes)
            .replace("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")
            .replace("-----END ENCRYPTED PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let found = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(malformed)?;
        return Ok(pkcs12::open_key(found.secret_pkcs8_der(), &password.0)?.into());
    }
    // The form that encrypted RSA and EC keys had before PKCS8, whose key is made by MD5.
    if has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsProblem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return TlsProblem::NoKey;
        }
        malformed(error)
    })
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_invalid| TlsError {
        input: TlsInput::ServerName,
        source: name.into(),
        problem: TlsProblem::BadName,
    })
}

/// Verifies that a chain ends in a trusted certificate, and asks for no name.
#[derive(Debug)]
struct ChainVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ChainVerifier {
    fn new(roots: RootCertStore, provider: &CryptoProvider) -> ChainVerifier {
        ChainVerifier { roots, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// TLS 1.3 or 1.2 over TCP.
///
/// ```no_run
/// use bellwether_client::{Connector, Tls};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::builder()
///     .trust_pem("ca.pem")
///     .identity_pkcs12("client.p12", "secret")
///     .build()?;
/// let client = Connector::new().connect_over(tls, "one:2281,two:2281").await?;
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
    host_name: HostName,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("host_name", &self.host_name)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Settings that trust nobody yet and verify host names.
    pub fn builder() -> TlsBuilder {
        let host_name = HostName::Verified;
        TlsBuilder {
            trust: Vec::new(),
            identity: None,
            key_password: None,
            host_name,
            server_name: None,
        }
    }

    /// TLS over another transport than TCP: one with sockets of its own, or a tunnel.
    pub fn over<T: Transport>(self, below: T) -> TlsOver<T> {
        TlsOver { tls: self, below }
    }

    /// The handshake, once there is a connection.
    fn secured<S>(&self, host: &Host, connecting: Connecting<S>) -> Connecting<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (connector, name) = (self.connector.clone(), self.name_of(host));
        Box::pin(async move { TlsStream::handshake(connector, name?, connecting.await?).await })
    }

    /// What a server's certificate has to carry, which is also what the server is asked for.
    fn name_of(&self, host: &Host) -> io::Result<ServerName<'static>> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        match (ServerName::try_from(host.name.to_string()), self.host_name) {
            (Ok(name), _) => Ok(name),
            // Nothing is compared with it, and an address is not told to the server.
            (Err(_), HostName::Ignored) => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()),
            (Err(_), HostName::Verified) => {
                let why = format!(
                    "TLS: no certificate can carry the name {:?}; give server_name",
                    host.name
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, why))
            }
        }
    }
}

impl Transport for Tls {
    type Stream = TlsStream;

    fn connect(&self, host: &Host) -> Connecting<TlsStream> {
        self.secured(host, super::Tcp.connect(host))
    }
}

/// TLS over another transport than TCP. See [`Tls::over`].
#[derive(Clone, Debug)]
pub struct TlsOver<T> {
    tls: Tls,
    below: T,
}

impl<T: Transport> Transport for TlsOver<T> {
    type Stream = TlsStream<T::Stream>;

    fn connect(&self, host: &Host) -> Connecting<TlsStream<T::Stream>> {
        self.tls.secured(host, self.below.connect(host))
    }
}

/// A connection over TLS.
#[derive(Debug)]
pub struct TlsStream<S = TcpStream> {
    stream: Box<tokio_rustls::client::TlsStream<S>>,
    flush: Flush,
}

/// Whether encrypted bytes may wait for room in the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    Done,
    Due,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    async fn handshake(
        connector: TlsConnector,
        name: ServerName<'static>,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let stream = connector.connect(name, stream).await.map_err(explained_in_handshake)?;
        Ok(TlsStream { stream: Box::new(stream), flush: Flush::Done })
    }

    fn inner(&mut self) -> Pin<&mut tokio_rustls::client::TlsStream<S>> {
        Pin::new(&mut self.stream)
    }
}

// A server of TLS 1.3 judges the client's certificate when the handshake is over for the client:
// its refusal is the first thing that is read.
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Who waits for an answer reads: what is left of the question leaves meanwhile. If that
        // fails, reading says why.
        if self.flush == Flush::Due && self.inner().poll_flush(cx).is_ready() {
            self.flush = Flush::Done;
        }
        self.inner().poll_read(cx, buffer).map_err(explained)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.flush = Flush::Due;
        self.inner().poll_write(cx, bytes).map_err(explained)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx).map_err(explained)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx).map_err(explained)
    }
}

#[cfg(test)]
mod tests;
