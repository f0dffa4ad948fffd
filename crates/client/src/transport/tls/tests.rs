//! The settings of TLS and the words for what is wrong with them. What a handshake makes of them is
//! tried against a real server, by the stage `secure`.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CA: &[u8] = include_bytes!("../../../testdata/ca.pem");
const CHAIN: &[u8] = include_bytes!("../../../testdata/chain.pem");
const KEY: &[u8] = include_bytes!("../../../testdata/client.key");

fn trusting() -> TlsBuilder {
    Tls::builder().trust_pem(CA.to_vec())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[track_caller]
fn check(settings: TlsBuilder, input: TlsInput, expected: TlsProblem) {
    let error = settings.build().expect_err("it cannot be used");
    assert_eq!((error.input, error.problem), (input, expected));
}

#[test]
fn pem_and_pkcs12_give_an_identity() {
    assert!(trusting().identity_pem(CHAIN.to_vec(), KEY.to_vec()).build().is_ok());
    let both = [KEY, CHAIN].concat();
    assert!(trusting().identity_pem(both.clone(), both).build().is_ok());
    let settings = Tls::builder().trust_pkcs12(path("trust.p12"), "secret1");
    assert!(settings.identity_pkcs12(path("client.p12"), "secret1").build().is_ok());
}

#[test]
fn nothing_is_trusted_by_default() {
    check(Tls::builder(), TlsInput::Trust, TlsProblem::NoTrust);
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let with_key = |key: &[u8]| trusting().identity_pem(CHAIN.to_vec(), key.to_vec());
    let encrypted = include_bytes!("../../../testdata/encrypted.key");
    check(with_key(encrypted), TlsInput::Key, TlsProblem::EncryptedKey);
    let encrypted = include_bytes!("../../../testdata/encrypted-old.key");
    check(with_key(encrypted), TlsInput::Key, TlsProblem::EncryptedKey);
    check(with_key(CHAIN), TlsInput::Key, TlsProblem::NoKey);
    let no_chain = trusting().identity_pem(KEY.to_vec(), KEY.to_vec());
    check(no_chain, TlsInput::Certificates, TlsProblem::NoCertificate);
    let others = trusting().identity_pem(CA.to_vec(), KEY.to_vec()).build();
    let problem = others.expect_err("the key is not the CA's").problem;
    assert!(matches!(problem, TlsProblem::BadIdentity(_)), "{problem:?}");
}

#[test]
fn an_encrypted_key_is_opened_by_its_password_alone() {
    let encrypted = include_bytes!("../../../testdata/encrypted.key");
    let with = |key: &[u8], password: &str| {
        trusting().key_password(password).identity_pem(CHAIN.to_vec(), key.to_vec())
    };
    assert!(with(encrypted, "secret1").build().is_ok());
    // Whatever the padding looks like under a wrong key, that is what is said.
    for number in 0..400 {
        check(with(encrypted, &format!("{number}")), TlsInput::Key, TlsProblem::Password);
    }
    let old = include_bytes!("../../../testdata/encrypted-old.key");
    check(with(old, "secret1"), TlsInput::Key, TlsProblem::EncryptedKey);
    assert!(with(KEY, "for no key that is encrypted").build().is_ok());
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let trust = |bytes: &[u8]| Tls::builder().trust_pem(bytes.to_vec());
    check(trust(b""), TlsInput::Trust, TlsProblem::NoCertificate);
    let store = include_bytes!("../../../testdata/trust.p12");
    check(trust(store), TlsInput::Trust, TlsProblem::NoCertificate);
    let problem = trust(&CA[..CA.len() / 2]).build().expect_err("it is cut").problem;
    assert!(matches!(problem, TlsProblem::Pem(_)), "{problem:?}");
    let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let problem = trust(nonsense).build().expect_err("it is no certificate").problem;
    assert!(matches!(problem, TlsProblem::BadCertificate(_)), "{problem:?}");
}

#[test]
fn an_error_names_the_file_and_what_to_do() {
    let error = Tls::builder().trust_pem("no/such.pem").build().expect_err("there is none");
    let text = error.to_string();
    assert!(text.starts_with("TLS: trusted certificates (no/such.pem): it cannot be read: "));
    let error = trusting().identity_pkcs12(path("client.p12"), "wrong").build();
    let text = error.expect_err("the password is another").to_string();
    assert!(text.starts_with("TLS: client key store (") && text.contains("client.p12"), "{text}");
    assert!(text.ends_with("): the password is wrong, or the file was altered"), "{text}");
}

#[test]
fn a_file_may_be_as_long_as_the_limit_and_no_longer() {
    let directory = std::env::temp_dir().join(format!("bellwether-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("large.pem");
    let mut bytes = CA.to_vec();
    bytes.resize(usize::try_from(KEY_FILE_BYTES_MAX).unwrap(), b'\n');
    std::fs::write(&file, &bytes).unwrap();
    assert!(Tls::builder().trust_pem(&*file).build().is_ok());
    bytes.push(b'\n');
    std::fs::write(&file, &bytes).unwrap();
    let too_long = TlsProblem::TooLong(KEY_FILE_BYTES_MAX);
    check(Tls::builder().trust_pem(&*file), TlsInput::Trust, too_long);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn passwords_and_keys_are_not_printed() {
    let settings = trusting().identity_pkcs12(path("client.p12"), "secret1");
    let shown = format!("{settings:?} {:?}", settings.clone().build().unwrap());
    assert!(shown.contains("client.p12") && !shown.contains("secret1"), "{shown}");
    let shown = format!("{:?}", trusting().key_password("secret1"));
    assert!(!shown.contains("secret1"), "{shown}");
    let shown = format!("{:?}", trusting().identity_pem(CHAIN.to_vec(), KEY.to_vec()));
    assert!(shown.contains(&format!("key: {} bytes", KEY.len())), "{shown}");
}

#[test]
fn the_name_is_the_connect_strings_unless_another_is_given() {
    let host = |name: &str| Host { name: name.into(), port: 2281 };
    let shown = |tls: &Tls, name: &str| match tls.name_of(&host(name)) {
        Ok(name) => name.to_str().into_owned(),
        Err(error) => error.to_string(),
    };
    let tls = trusting().build().unwrap();
    assert_eq!(shown(&tls, "one.example"), "one.example");
    assert_eq!(shown(&tls, "::1"), "::1");
    let refused = "TLS: no certificate can carry the name \"a b\"; give server_name";
    assert_eq!(shown(&tls, "a b"), refused);
    let tls = trusting().server_name("zk.example").build().unwrap();
    assert_eq!(shown(&tls, "10.0.0.1"), "zk.example");
    let tls = trusting().verify_host_name(false).build().unwrap();
    assert_eq!(shown(&tls, "a b"), "0.0.0.0");
    check(trusting().server_name("a b"), TlsInput::ServerName, TlsProblem::BadName);
}

/// The other end: it has the client's certificate, which is as good as any here.
fn acceptor() -> tokio_rustls::TlsAcceptor {
    let (chain, key) = (certificates(CHAIN).unwrap(), private_key(KEY, None).unwrap());
    let key = key::completed(key, &chain[0]);
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config).into()
}

/// The clock is paused: when nobody can go on, the limit passes at once.
#[tokio::test(start_paused = true)]
async fn what_was_written_leaves_while_the_answer_is_awaited() {
    let tls = trusting().verify_host_name(false).build().unwrap();
    // The pipe is much shorter than the question, so that most of it has to wait.
    let (near, far) = tokio::io::duplex(64);
    let question = vec![7; 10_000];
    let length = question.len();
    let server = tokio::spawn(async move {
        let mut stream = acceptor().accept(far).await.unwrap();
        let mut read = vec![0; length];
        stream.read_exact(&mut read).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        stream.flush().await.unwrap();
        read
    });
    let name = ServerName::try_from("any.example").unwrap();
    let talk = async {
        let mut stream = TlsStream::handshake(tls.connector.clone(), name, near).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), talk).await;
    assert_eq!(answer.as_ref().map(|it| &it[..]), Ok(&b"answer"[..]));
    assert_eq!(server.await.unwrap(), question);
}
