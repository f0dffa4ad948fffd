//! Key stores in PKCS12 (RFC 7292), as `keytool` of Java 17 and OpenSSL 3 write them.
//!
//! Read are stores whose integrity an HMAC protects and whose content AES in CBC mode encrypts
//! (PBES2): what Java writes since 16, and OpenSSL since 3.0. Older stores are encrypted with RC2
//! and triple DES; they are refused with the words that convert them.
//!
//! What it keeps true: nothing of a store is used before its MAC was checked with the password.
//! An encrypted key of a PEM file is what a store has inside, so that it is opened here too.
//! Leaves to [`super::der`] that no length is believed, and to its caller which role a store has.

use super::der::{
    Der, INTEGER, OBJECT_ID, OCTET_STRING, Parsed, SEQUENCE, SET, context, context_bytes, names_of,
};
use super::error::TlsProblem;
use crate::limits::KEY_STORE_ITERATIONS_MAX;
use aes::cipher::{BlockDecryptMut as _, KeyIvInit as _, block_padding::Pkcs7};
use ring::{digest, hmac, pbkdf2};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::num::NonZeroU32;

/// Object identifiers, without tag and length.
mod oid {
    pub(super) const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    pub(super) const ENCRYPTED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06";
    pub(super) const KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01";
    pub(super) const SHROUDED_KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
    pub(super) const CERTIFICATE_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
    pub(super) const X509_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
    pub(super) const LOCAL_KEY_ID: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
    /// Java's mark of an entry that is trusted.
    pub(super) const JAVA_TRUSTED: &[u8] = b"\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01";
    pub(super) const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
    pub(super) const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
    /// What the schemes of PKCS12 itself (RC2, triple DES) begin with.
    pub(super) const PBE_OF_PKCS12: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01";
    pub(super) const AES_128_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x02";
    pub(super) const AES_192_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x16";
    pub(super) const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
    pub(super) const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
    pub(super) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    pub(super) const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
    pub(super) const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
    pub(super) const HMAC_SHA1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x07";
    pub(super) const HMAC_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x09";
    pub(super) const HMAC_SHA384: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x0a";
    pub(super) const HMAC_SHA512: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x0b";
}

type Read<T> = Result<T, TlsProblem>;

impl From<&'static str> for TlsProblem {
    fn from(problem: &'static str) -> TlsProblem {
        TlsProblem::Malformed(problem)
    }
}

/// What a store holds.
#[derive(Default)]
pub(super) struct Store {
    keys: Vec<Key>,
    certificates: Vec<Certificate>,
}

struct Key {
    local_id: Option<Vec<u8>>,
    pkcs8: PrivatePkcs8KeyDer<'static>,
}

struct Certificate {
    local_id: Option<Vec<u8>>,
    trusted: bool,
    der: CertificateDer<'static>,
}

impl Store {
    /// Reads a whole store.
    pub(super) fn read(bytes: &[u8], password: &str) -> Read<Store> {
        match bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
                return Err(TlsProblem::JavaKeyStore);
            }
            _ if bytes.trim_ascii_start().starts_with(b"-----BEGIN") => {
                return Err(TlsProblem::PemNotPkcs12);
            }
            _ => {}
        }
        let mut pfx = Der::new(bytes).enter(SEQUENCE)?;
        if pfx.number()? != 3 {
            return Err("it is no PKCS12 store of version 3".into());
        }
        let mut safe = pfx.enter(SEQUENCE)?;
        if safe.take(OBJECT_ID)? != oid::DATA {
            return Err("it is protected by a signature, not by a password".into());
        }
        let content = safe.enter(context(0))?.take(OCTET_STRING)?;
        // Without a MAC it is no better protected than a PEM file, and no worse.
        if !pfx.is_empty() {
            check_mac(pfx.enter(SEQUENCE)?, content, password)?;
        }
        let mut store = Store::default();
        let mut parts = Der::new(content).enter(SEQUENCE)?;
        while !parts.is_empty() {
            let mut part = parts.enter(SEQUENCE)?;
            match part.take(OBJECT_ID)? {
                oid::DATA => store.add(part.enter(context(0))?.take(OCTET_STRING)?, password)?,
                oid::ENCRYPTED_DATA => {
                    let mut encrypted = part.enter(context(0))?.enter(SEQUENCE)?;
                    encrypted.number()?;
                    let mut content = encrypted.enter(SEQUENCE)?;
                    content.take(OBJECT_ID)?;
                    let algorithm = content.enter(SEQUENCE)?;
                    let bytes = content.take(context_bytes(0))?;
                    store.add(&decrypt(algorithm, bytes, password)?, password)?;
                }
                _ => return Err("a part of it is neither plain nor encrypted by password".into()),
            }
        }
        Ok(store)
    }

    /// Takes in a part, decrypted.
    fn add(&mut self, part: &[u8], password: &str) -> Read<()> {
        let mut bags = Der::new(part).enter(SEQUENCE)?;
        while !bags.is_empty() {
            let mut bag = bags.enter(SEQUENCE)?;
            let kind = bag.take(OBJECT_ID)?;
            let value = bag.take(context(0))?;
            let attributes = Attributes::read(bag.take_if(SET)?.unwrap_or_default())?;
            let local_id = attributes.local_id;
            match kind {
                oid::KEY_BAG => self.keys.push(Key { local_id, pkcs8: value.to_vec().into() }),
                oid::SHROUDED_KEY_BAG => {
                    let pkcs8 = opened(value, password)?.into();
                    self.keys.push(Key { local_id, pkcs8 });
                }
                oid::CERTIFICATE_BAG => {
                    let mut certificate = Der::new(value).enter(SEQUENCE)?;
                    if certificate.take(OBJECT_ID)? != oid::X509_CERTIFICATE {
                        return Err("a certificate in it is not X.509".into());
                    }
                    let der = certificate.enter(context(0))?.take(OCTET_STRING)?.to_vec().into();
                    let trusted = attributes.trusted;
                    self.certificates.push(Certificate { local_id, trusted, der });
                }
                // Secret keys and revocation lists have no role here.
                _ => {}
            }
        }
        Ok(())
    }

    /// The certificates that are to be trusted: the entries that Java calls trusted. A store
    /// without a key and without such an entry, as OpenSSL writes it, is one of trusted ones too.
    pub(super) fn trusted(self) -> Read<Vec<CertificateDer<'static>>> {
        let marked = self.certificates.iter().any(|certificate| certificate.trusted);
        let of_a_key = !self.keys.is_empty();
        if !marked && (of_a_key || self.certificates.is_empty()) {
            return Err(TlsProblem::NoTrustedEntry);
        }
        let wanted = self.certificates.into_iter().filter(|it| it.trusted || !marked);
        Ok(wanted.map(|certificate| certificate.der).collect())
    }

    /// The key and its chain, the certificate of the key first.
    pub(super) fn identity(self) -> Read<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let count = self.keys.len();
        let Ok([key]) = <[Key; 1]>::try_from(self.keys) else {
            return Err(TlsProblem::Keys(count));
        };
        let mut left = self.certificates;
        left.retain(|certificate| !certificate.trusted);
        let own = |it: &Certificate| key.local_id.is_some() && it.local_id == key.local_id;
        let place = left.iter().position(own).or((left.len() == 1).then_some(0));
        let Some(place) = place else { return Err(TlsProblem::NoCertificate) };
        let mut chain = vec![left.swap_remove(place).der];
        while let Some(last) = chain.last() {
            let (issuer, subject) = names_of(last)?;
            if issuer == subject {
                break;
            }
            let signs = |it: &Certificate| names_of(&it.der).is_ok_and(|(_, name)| name == issuer);
            let Some(place) = left.iter().position(signs) else { break };
            let next = left.swap_remove(place).der;
            chain.push(next);
        }
        Ok((chain, key.pkcs8.into()))
    }
}

/// What matters of a bag's attributes.
struct Attributes {
    local_id: Option<Vec<u8>>,
    trusted: bool,
}

impl Attributes {
    fn read(bytes: &[u8]) -> Parsed<Attributes> {
        let mut attributes = Attributes { local_id: None, trusted: false };
        let mut all = Der::new(bytes);
        while !all.is_empty() {
            let mut attribute = all.enter(SEQUENCE)?;
            match attribute.take(OBJECT_ID)? {
                oid::LOCAL_KEY_ID => {
                    let id = attribute.enter(SET)?.take(OCTET_STRING)?;
                    attributes.local_id = Some(id.to_vec());
                }
                oid::JAVA_TRUSTED => attributes.trusted = true,
                _ => {} // The name of the entry, and what others add.
            }
        }
        Ok(attributes)
    }
}

/// How often the password is hashed.
fn iterations(count: u32) -> Read<NonZeroU32> {
    match NonZeroU32::new(count) {
        Some(count) if count.get() <= KEY_STORE_ITERATIONS_MAX => Ok(count),
        Some(_) => Err("its password is hashed more often than anybody would wait for".into()),
        None => Err("its password is not hashed at all".into()),
    }
}

/// Compares the store with its MAC.
fn check_mac(mut mac: Der<'_>, content: &[u8], password: &str) -> Read<()> {
    let mut info = mac.enter(SEQUENCE)?;
    let algorithm = info.enter(SEQUENCE)?.take(OBJECT_ID)?;
    let (hash, hmac_algorithm, block_bytes) = match algorithm {
        oid::SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 64),
        oid::SHA256 => (&digest::SHA256, hmac::HMAC_SHA256, 64),
        oid::SHA384 => (&digest::SHA384, hmac::HMAC_SHA384, 128),
        oid::SHA512 => (&digest::SHA512, hmac::HMAC_SHA512, 128),
        _ => return Err(TlsProblem::Algorithm("its MAC")),
    };
    let expected = info.take(OCTET_STRING)?;
    let salt = mac.take(OCTET_STRING)?;
    let count = if mac.is_empty() { 1 } else { mac.number()? };
    let key = mac_key((hash, block_bytes), (password, salt), iterations(count)?);
    let key = hmac::Key::new(hmac_algorithm, &key);
    hmac::verify(&key, content, expected).map_err(|_unequal| TlsProblem::Password)
}

/// The key of the MAC (RFC 7292, appendix B.2). It is as long as one hash, so that one round of the
/// derivation yields all of it.
fn mac_key(
    (hash, block_bytes): (&'static digest::Algorithm, usize),
    (password, salt): (&str, &[u8]),
    iterations: NonZeroU32,
) -> Vec<u8> {
    /// The purpose: a key of a MAC.
    const PURPOSE: u8 = 3;
    let utf16 = password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes);
    let password: Vec<u8> = utf16.collect();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(block_bytes) * block_bytes;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let all = [vec![PURPOSE; block_bytes], filled(salt), filled(&password)].concat();
    let mut key = digest::digest(hash, &all);
    for _ in 1..iterations.get() {
        key = digest::digest(hash, key.as_ref());
    }
    key.as_ref().to_vec()
}

/// A private key of its own, as PEM files have it: PKCS8, encrypted.
pub(super) fn open_key(bytes: &[u8], password: &str) -> Read<PrivatePkcs8KeyDer<'static>> {
    let opened = opened(bytes, password);
    if opened == Err(TlsProblem::KeyPassword) {
        // There is no store that it could have opened.
        return Err(TlsProblem::Password);
    }
    let pkcs8 = opened?;
    // There is no MAC: a wrong password may leave something that only looks decrypted.
    let version = Der::new(&pkcs8).enter(SEQUENCE).and_then(|mut info| info.number());
    match version {
        Ok(0 | 1) => Ok(pkcs8.into()),
        Ok(_) | Err(_) => Err(TlsProblem::Password),
    }
}

/// Decrypts a private key (`EncryptedPrivateKeyInfo` of RFC 5958).
fn opened(bytes: &[u8], password: &str) -> Read<Vec<u8>> {
    let mut info = Der::new(bytes).enter(SEQUENCE)?;
    let algorithm = info.enter(SEQUENCE)?;
    decrypt(algorithm, info.take(OCTET_STRING)?, password)
}

/// Decrypts with a key from the password (PBES2 of RFC 8018).
fn decrypt(mut algorithm: Der<'_>, bytes: &[u8], password: &str) -> Read<Vec<u8>> {
    match algorithm.take(OBJECT_ID)? {
        oid::PBES2 => {}
        old if old.starts_with(oid::PBE_OF_PKCS12) => return Err(TlsProblem::OldEncryption),
        _ => return Err(TlsProblem::Algorithm("its encryption")),
    }
    let mut parameters = algorithm.enter(SEQUENCE)?;
    let mut derivation = parameters.enter(SEQUENCE)?;
    let mut cipher = parameters.enter(SEQUENCE)?;
    let key_bytes = match cipher.take(OBJECT_ID)? {
        oid::AES_128_CBC => 16,
        oid::AES_192_CBC => 24,
        oid::AES_256_CBC => 32,
        _ => return Err(TlsProblem::Algorithm("its cipher")),
    };
    let start = cipher.take(OCTET_STRING)?;
    let mut key = vec![0; key_bytes];
    derive(&mut derivation, password, &mut key)?;
    decrypt_cbc(&key, start, bytes).ok_or(TlsProblem::KeyPassword)
}

/// PBKDF2.
fn derive(derivation: &mut Der<'_>, password: &str, key: &mut [u8]) -> Read<()> {
    if derivation.take(OBJECT_ID)? != oid::PBKDF2 {
        return Err(TlsProblem::Algorithm("its key derivation"));
    }
    let mut parameters = derivation.enter(SEQUENCE)?;
    let salt = parameters.take(OCTET_STRING)?;
    let count = iterations(parameters.number()?)?;
    parameters.take_if(INTEGER)?; // The length of the key, which the cipher tells too.
    let hash = match parameters.take_if(SEQUENCE)? {
        None => oid::HMAC_SHA1,
        Some(function) => Der::new(function).take(OBJECT_ID)?,
    };
    let hash = match hash {
        oid::HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        oid::HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        oid::HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        oid::HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(TlsProblem::Algorithm("its key derivation")),
    };
    pbkdf2::derive(hash, count, salt, password.as_bytes(), key);
    Ok(())
}

/// `None` if key, start and bytes do not go together.
fn decrypt_cbc(key: &[u8], start: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    use cbc::Decryptor;
    match key.len() {
        16 => Decryptor::<aes::Aes128>::new_from_slices(key, start)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(bytes)
            .ok(),
        24 => Decryptor::<aes::Aes192>::new_from_slices(key, start)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(bytes)
            .ok(),
        _ => Decryptor::<aes::Aes256>::new_from_slices(key, start)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(bytes)
            .ok(),
    }
}

#[cfg(test)]
mod tests;
