//! Scheme `digest`: a user and a password, of which access lists hold the hash.

use super::{AuthFigures, AuthSettings, Credentials, Provider, Scheme, Verdict, identity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_tree::{DIGEST, Identity};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use std::fmt;

pub(super) const SCHEME: Scheme = Scheme {
    name: "digest",
    support: "yes, by DigestAuthenticationProvider.digestAlg; the super digest proves super \
              besides; off with DigestAuthenticationProvider.enabled=false",
    provider: Some(&Provider {
        class: "org.apache.zookeeper.server.auth.DigestAuthenticationProvider",
        rules: Some(DIGEST),
        is_on: |settings| settings.digest.is_some(),
        by_connection: |_| None,
        by_packet: prove,
    }),
};

/// What scheme `digest` goes by.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestSettings {
    /// `DigestAuthenticationProvider.digestAlg`.
    pub algorithm: &'static Algorithm,
    /// A user and a digest (`DigestAuthenticationProvider.superDigest`): who proves this is super.
    pub super_digest: Option<Box<str>>,
}

impl Default for DigestSettings {
    fn default() -> DigestSettings {
        DigestSettings { algorithm: &SHA1, super_digest: None }
    }
}

impl fmt::Debug for DigestSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestSettings")
            .field("algorithm", &self.algorithm.names)
            .field("super_digest", &self.super_digest.as_ref().map(|_| ".."))
            .finish()
    }
}

/// A hash, with the names by which Java knows it.
#[derive(Debug)]
pub struct Algorithm {
    names: &'static [&'static str],
    hash: fn(&[u8]) -> Vec<u8>,
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Algorithm) -> bool {
        self.names == other.names
    }
}

impl Eq for Algorithm {}

const SHA1: Algorithm = Algorithm { names: &["SHA1", "SHA-1", "SHA"], hash: hash::<Sha1> };

/// Java's algorithms but for MD2 and MD5, which protect no password.
const ALGORITHMS: &[Algorithm] = &[
    SHA1,
    Algorithm { names: &["SHA-224", "SHA224"], hash: hash::<Sha224> },
    Algorithm { names: &["SHA-256", "SHA256"], hash: hash::<Sha256> },
    Algorithm { names: &["SHA-384", "SHA384"], hash: hash::<Sha384> },
    Algorithm { names: &["SHA-512", "SHA512"], hash: hash::<Sha512> },
    Algorithm { names: &["SHA-512/224", "SHA512/224"], hash: hash::<Sha512_224> },
    Algorithm { names: &["SHA-512/256", "SHA512/256"], hash: hash::<Sha512_256> },
    Algorithm { names: &["SHA3-224"], hash: hash::<Sha3_224> },
    Algorithm { names: &["SHA3-256"], hash: hash::<Sha3_256> },
    Algorithm { names: &["SHA3-384"], hash: hash::<Sha3_384> },
    Algorithm { names: &["SHA3-512"], hash: hash::<Sha3_512> },
];

impl Algorithm {
    /// The algorithm that Java knows by this name, in upper or lower case.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Algorithm> {
        let is_meant = |known: &&str| known.eq_ignore_ascii_case(name);
        ALGORITHMS.iter().find(|algorithm| algorithm.names.iter().any(is_meant))
    }

    /// Its first name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// What may stand in a configuration, for messages.
    #[must_use]
    pub fn names() -> String {
        ALGORITHMS.iter().map(Algorithm::name).collect::<Vec<_>>().join(", ")
    }

    /// `user:password` as it stands in access lists: the user, and the digest of both. What has no
    /// colon is a user whose name is also the secret, as Apache has it.
    #[must_use]
    pub fn digest_id(&self, user_and_password: &str) -> String {
        let user = user_and_password.split(':').next().unwrap_or_default();
        format!("{user}:{}", STANDARD.encode((self.hash)(user_and_password.as_bytes())))
    }

    /// Whether some password could have this digest, which is what stands behind the user's colon.
    #[must_use]
    pub fn can_make(&self, digest: &str) -> bool {
        let made = (self.hash)(b"").len();
        STANDARD.decode(digest).is_ok_and(|bytes| bytes.len() == made)
    }
}

fn hash<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

fn prove(credentials: &Credentials<'_>, settings: &AuthSettings, _: &mut AuthFigures) -> Verdict {
    let (Some(secret), Some(settings)) = (credentials.secret, &settings.digest) else {
        return Verdict::Failed;
    };
    // Java makes a string of the bytes first, whatever they are.
    let id = settings.algorithm.digest_id(&String::from_utf8_lossy(secret));
    let superuser = settings.super_digest.as_deref() == Some(id.as_str());
    let mut proved: Vec<Identity> = Vec::with_capacity(2);
    proved.extend(superuser.then(|| identity("super", "")));
    proved.push(identity("digest", &id));
    Verdict::Proved(proved)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    /// From another implementation.
    const DIGESTS_OF_SUPER_TEST: &[(&str, &str)] = &[
        ("SHA-224", "opwh3FU/0WUpM+8JAOS98bsQFC+823kv438mIg=="),
        ("SHA-256", "wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig="),
        ("sha384", "FA/2SgoedA21NnGcUl5C1HBsMwuibAPXlAq/FqXTuUQPExUJgxpf8gWeD4eOupjP"),
        (
            "SHA-512",
            "cMAGk13FCMtJkaVQImGEKhjqoGELCiVjYdIhiD8stB1FnIpdGeFvKwAHh5mf4tUYmBR2ZY9181dZTXEHMlkVhg==",
        ),
        ("SHA-512/224", "Jbob8j2c9tikAuLuqxcIJr3TG4aS6fcELZsiHw=="),
        ("SHA-512/256", "GV6U44a5U7SXgFZS9GkWgmwq2+im64wGlYXjCHia3mo="),
        ("SHA3-224", "774X6Nz1d3BUO6raVFndfjoMF6e1LHrnHVv5IA=="),
        ("SHA3-256", "cRy/KPYuDpW/dtsepniTMpuiuupnWgdU9txltIfv3hA="),
        ("SHA3-384", "a3efqz9Fj+qRHgJMpOPAzqpMP86/aPKowwZfSsm/gM+qBf87ZmeQYtueLs53P8Rw"),
        (
            "SHA3-512",
            "AdTSPtJYC1bEo1Z0UG5z1VXkw2AEUReEjF0RV0jap6VKcDva8ZPEO/WxrOy888alfiJyM5cm5BKhrI4X/YFcTg==",
        ),
    ];

    fn settings(algorithm: &str, super_digest: Option<&str>) -> AuthSettings {
        let algorithm = Algorithm::named(algorithm).expect("Java has it");
        let digest = DigestSettings { algorithm, super_digest: super_digest.map(Into::into) };
        AuthSettings { digest: Some(digest), ..AuthSettings::default() }
    }

    #[test]
    fn a_digest_is_apaches() {
        let plain = settings("SHA1", None);
        for (secret, expected) in [
            ("super:test", "digest/super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
            ("joe:a:b", "digest/joe:OJhNhqacyc1SshRsKJQcbTnyT+w="),
            ("joe", "digest/joe:FqmlTd9CWZUuPBGMdjE46DaT1/0="),
            ("", "digest/:2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        ] {
            check("digest", Some(secret.as_bytes()), &plain, Some(&[expected]));
        }
        // Malformed UTF-8 is digested as the replacement character.
        let replaced = "digest/j\u{fffd}:dJ4zQSsBDtqM1e5yCKSv1OGa86E=";
        check("digest", Some(b"j\xff:x"), &plain, Some(&[replaced]));
        check("digest", None, &plain, None);
    }

    #[test]
    fn the_algorithm_is_the_configured_one() {
        for (name, expected) in DIGESTS_OF_SUPER_TEST {
            let expected = format!("digest/super:{expected}");
            check("digest", Some(b"super:test"), &settings(name, None), Some(&[&expected]));
        }
        assert!(Algorithm::named("sha-512").is_some() && Algorithm::named("MD5").is_none());
    }

    #[test]
    fn a_digest_of_another_length_is_no_digest_of_the_algorithm() {
        let sha256 = Algorithm::named("sha256").expect("Java has it");
        assert!(!sha256.can_make("D/InIHSb7yEEbrWz8b9l71RjZJU="));
        assert!(SHA1.can_make("D/InIHSb7yEEbrWz8b9l71RjZJU=") && !SHA1.can_make("*"));
    }

    #[test]
    fn the_super_digest_proves_super_and_the_user() {
        let user = "digest/super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
        let with = settings("SHA1", Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
        check("digest", Some(b"super:test"), &with, Some(&["super/", user]));
        let other = "digest/super:RhvT6To2YNrs+b12ZfJ+UvsC7m0=";
        check("digest", Some(b"super:tesT"), &with, Some(&[other]));
        // Any name may stand before the digest.
        let joe = settings("SHA1", Some("joe:OJhNhqacyc1SshRsKJQcbTnyT+w="));
        let joe_proved = ["super/", "digest/joe:OJhNhqacyc1SshRsKJQcbTnyT+w="];
        check("digest", Some(b"joe:a:b"), &joe, Some(&joe_proved));
    }

    #[test]
    fn a_disabled_digest_proves_nothing() {
        let off = AuthSettings { digest: None, ..AuthSettings::default() };
        check("digest", Some(b"super:test"), &off, None);
    }

    #[test]
    fn a_digest_is_not_printed() {
        let shown = format!("{:?}", settings("SHA1", Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=")));
        assert!(shown.contains("super_digest: Some(\"..\")") && !shown.contains("D/In"), "{shown}");
    }
}
