//! Private keys of elliptic curves as Java writes them: without the public key, which RFC 5915
//! leaves optional and which ring insists on. It stands in the certificate too.
//!
//! Leaves to ring to compare both: a key that is not the certificate's is refused there.

use super::der::{
    BIT_STRING, Der, INTEGER, OBJECT_ID, OCTET_STRING, Parsed, SEQUENCE, context, element,
    public_key_of,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// `id-ecPublicKey`.
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";

/// The key with its public part, which is taken from its certificate if need be.
pub(super) fn completed(
    key: PrivateKeyDer<'static>,
    certificate: &CertificateDer<'_>,
) -> PrivateKeyDer<'static> {
    let PrivateKeyDer::Pkcs8(pkcs8) = &key else { return key };
    match with_public_key(pkcs8.secret_pkcs8_der(), certificate) {
        Ok(Some(complete)) => PrivateKeyDer::Pkcs8(complete.into()),
        // It is complete, of another kind, or for rustls to say what is wrong with it.
        Ok(None) | Err(_) => key,
    }
}

/// `None` if nothing is missing.
fn with_public_key(pkcs8: &[u8], certificate: &[u8]) -> Parsed<Option<Vec<u8>>> {
    let mut info = Der::new(pkcs8).enter(SEQUENCE)?;
    info.number()?;
    let algorithm = info.take(SEQUENCE)?;
    if Der::new(algorithm).take(OBJECT_ID)? != EC {
        return Ok(None);
    }
    let mut key = info.enter(OCTET_STRING)?.enter(SEQUENCE)?;
    let version = key.take(INTEGER)?;
    let secret = key.take(OCTET_STRING)?;
    key.take_if(context(0))?; // The curve, which the algorithm names.
    if key.take_if(context(1))?.is_some() {
        return Ok(None);
    }
    let public = public_key_of(certificate)?;
    let own = [
        element(INTEGER, version),
        element(OCTET_STRING, secret),
        element(context(1), &element(BIT_STRING, public)),
    ];
    let all = [
        element(INTEGER, &[0]),
        element(SEQUENCE, algorithm),
        element(OCTET_STRING, &element(SEQUENCE, &own.concat())),
    ];
    Ok(Some(element(SEQUENCE, &all.concat())))
}
