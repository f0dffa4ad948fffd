//! Stores as keytool and OpenSSL write them, and what becomes of damaged ones.

use super::*;

const CLIENT: &[u8] = include_bytes!("../../../../testdata/client.p12");
const TRUST: &[u8] = include_bytes!("../../../../testdata/trust.p12");
const OPENSSL: &[u8] = include_bytes!("../../../../testdata/openssl-trust.p12");

fn pem(bytes: &[u8]) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(bytes).map(Result::unwrap).collect()
}

fn chain() -> Vec<CertificateDer<'static>> {
    pem(include_bytes!("../../../../testdata/chain.pem"))
}

#[test]
fn a_key_comes_with_its_chain_in_order() {
    let (chain_read, key) = Store::read(CLIENT, "secret1").unwrap().identity().unwrap();
    assert_eq!(chain_read, chain());
    let expected = include_bytes!("../../../../testdata/client.key");
    use rustls::pki_types::pem::PemObject as _;
    assert_eq!(key, PrivateKeyDer::from_pem_slice(expected).unwrap());
}

#[test]
fn trusted_entries_are_read_with_javas_mark_and_without() {
    for store in [TRUST, OPENSSL] {
        let trusted = Store::read(store, "secret1").unwrap().trusted();
        assert_eq!(trusted, Ok(chain().split_off(1)));
    }
}

#[test]
fn what_belongs_to_a_key_is_not_trusted() {
    let trusted = Store::read(CLIENT, "secret1").unwrap().trusted();
    assert_eq!(trusted, Err(TlsProblem::NoTrustedEntry));
}

#[track_caller]
fn check(bytes: &[u8], password: &str, expected: TlsProblem) {
    let got = Store::read(bytes, password).and_then(Store::identity);
    assert_eq!(got.err(), Some(expected));
}

#[test]
fn each_problem_has_a_name() {
    check(CLIENT, "secret2", TlsProblem::Password);
    check(CLIENT, "", TlsProblem::Password);
    check(TRUST, "secret1", TlsProblem::Keys(0));
    check(include_bytes!("../../../../testdata/two-keys.p12"), "secret1", TlsProblem::Keys(2));
    check(include_bytes!("../../../../testdata/rc2.p12"), "secret1", TlsProblem::OldEncryption);
    check(include_bytes!("../../../../testdata/trust.jks"), "x", TlsProblem::JavaKeyStore);
    check(include_bytes!("../../../../testdata/ca.pem"), "x", TlsProblem::PemNotPkcs12);
    check(b"", "x", TlsProblem::Malformed("it ends too early"));
}

#[test]
fn a_store_that_is_cut_or_changed_anywhere_is_refused() {
    for length in 0..CLIENT.len() {
        assert!(Store::read(&CLIENT[..length], "secret1").is_err(), "{length} bytes");
    }
    let good = Store::read(CLIENT, "secret1").unwrap().identity().unwrap();
    // Each place takes ten thousand hashes: a stride that hits every part is enough.
    for place in (0..CLIENT.len()).step_by(23) {
        let mut bytes = CLIENT.to_vec();
        bytes[place] ^= 0x11;
        let read = Store::read(&bytes, "secret1").and_then(Store::identity);
        assert!(read.is_err() || read.as_ref() == Ok(&good), "byte {place}: {:?}", read.err());
    }
}

#[test]
fn a_password_is_hashed_at_least_once_and_not_for_ever() {
    assert!(iterations(0).is_err());
    assert!(iterations(1).is_ok());
    assert!(iterations(KEY_STORE_ITERATIONS_MAX).is_ok());
    assert!(iterations(KEY_STORE_ITERATIONS_MAX + 1).is_err());
}
