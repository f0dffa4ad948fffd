//! Who a connection is: what an auth packet proves, and what an address makes of a connection.
//!
//! What it keeps true: the identities are Apache's to the letter, because access lists that were
//! written for one server must hold on the other; a password or digest is in no message and in no
//! `Debug`.
//!
//! What it leaves to others: whether an identity may do something (`tree`), the reply to the packet
//! and the end of a connection that failed (`node`), counting (`admin`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_tree::Identity;
use sha1::{Digest as _, Sha1};
use std::fmt;
use std::net::IpAddr;

/// What decides which identities can be proved.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// Whether there is a scheme digest (`DigestAuthenticationProvider.enabled`).
    pub digest_enabled: bool,
    /// `super:` and the digest of its password (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<Box<str>>,
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings")
            .field("digest_enabled", &self.digest_enabled)
            .field("super_digest", &self.super_digest.as_ref().map(|_| ".."))
            .finish()
    }
}

/// A scheme of access lists, and what an auth packet of it does here.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// Its name in packets and access lists.
    pub name: &'static str,
    /// What this server does with an auth packet of it, for `docs/COMPAT.md`.
    pub support: &'static str,
    proves: fn(&Credentials<'_>, &AuthSettings) -> Vec<Identity>,
}

/// What an auth packet brings.
struct Credentials<'a> {
    /// `None` for a null buffer.
    secret: Option<&'a [u8]>,
    peer: IpAddr,
}

/// Every scheme that Apache's documentation names; any other is as good as unknown.
pub const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "world",
        support: "nothing to prove: everybody is anyone; a packet is refused with AUTHFAILED",
        proves: nothing,
    },
    Scheme {
        name: "auth",
        support: "only in access lists, for the creator; a packet is refused with AUTHFAILED",
        proves: nothing,
    },
    Scheme {
        name: "digest",
        support: "yes, by SHA-1; the super digest proves super besides; off with \
                  DigestAuthenticationProvider.enabled=false",
        proves: digest,
    },
    Scheme {
        name: "ip",
        support: "yes: every connection has its address; a packet adds nothing and is answered OK",
        proves: ip,
    },
    Scheme { name: "super", support: "by the super digest, not by a packet", proves: nothing },
    Scheme { name: "x509", support: "later, with TLS; until then AUTHFAILED", proves: nothing },
    Scheme { name: "sasl", support: "later; until then AUTHFAILED", proves: nothing },
    Scheme { name: "ensemble", support: "not yet; AUTHFAILED", proves: nothing },
    Scheme {
        name: "key",
        support: "no, it is an example of Apache's; AUTHFAILED",
        proves: nothing,
    },
];

/// The rows of the section on schemes in `docs/COMPAT.md`: scheme, what we do.
#[must_use]
pub fn compat_rows() -> Vec<String> {
    SCHEMES.iter().map(|scheme| format!("| `{}` | {} |", scheme.name, scheme.support)).collect()
}

/// What stands above `compat_rows`.
pub const COMPAT_HEADER: &str = "| scheme | what this server does |\n|---|---|";

/// The identities that an auth packet proves, in the order in which a connection gets them. None:
/// the packet is answered with AUTHFAILED and the connection ends.
#[must_use]
pub fn authenticate(
    scheme: &str,
    secret: Option<&[u8]>,
    peer: IpAddr,
    settings: &AuthSettings,
) -> Vec<Identity> {
    let known = SCHEMES.iter().find(|known| known.name == scheme);
    known.map(|known| (known.proves)(&Credentials { secret, peer }, settings)).unwrap_or_default()
}

/// What every connection is by its address.
#[must_use]
pub fn ip_identity(peer: IpAddr) -> Identity {
    identity("ip", &java_address(peer))
}

/// An address as Java writes it: IPv4 within IPv6 is IPv4, and IPv6 has all its eight groups.
#[must_use]
pub fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

/// `user:password` as it stands in access lists: the user, and the digest of both. What has no
/// colon is a user whose name is also the secret, as Apache has it.
#[must_use]
pub fn digest_id(user_and_password: &str) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    let digest = Sha1::digest(user_and_password.as_bytes());
    format!("{user}:{}", STANDARD.encode(digest))
}

fn nothing(_: &Credentials<'_>, _: &AuthSettings) -> Vec<Identity> {
    Vec::new()
}

fn ip(credentials: &Credentials<'_>, _: &AuthSettings) -> Vec<Identity> {
    vec![ip_identity(credentials.peer)]
}

fn digest(credentials: &Credentials<'_>, settings: &AuthSettings) -> Vec<Identity> {
    let Some(secret) = credentials.secret.filter(|_| settings.digest_enabled) else {
        return Vec::new();
    };
    // Java makes a string of the bytes first, whatever they are.
    let id = digest_id(&String::from_utf8_lossy(secret));
    let superuser = settings.super_digest.as_deref() == Some(id.as_str());
    let extra = superuser.then(|| identity("super", ""));
    extra.into_iter().chain([identity("digest", &id)]).collect()
}

fn identity(scheme: &str, id: &str) -> Identity {
    Identity { scheme: scheme.into(), id: id.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "::ffff:10.1.2.3";

    fn settings(super_digest: Option<&str>) -> AuthSettings {
        AuthSettings { digest_enabled: true, super_digest: super_digest.map(Into::into) }
    }

    #[track_caller]
    fn check(scheme: &str, secret: Option<&[u8]>, settings: &AuthSettings, expected: &[&str]) {
        let peer = PEER.parse().expect("an address");
        let proved = authenticate(scheme, secret, peer, settings);
        let shown: Vec<_> = proved.iter().map(|i| format!("{}/{}", i.scheme, i.id)).collect();
        assert_eq!(shown, expected, "{scheme}");
    }

    #[test]
    fn a_digest_is_apaches() {
        let plain = settings(None);
        for (secret, expected) in [
            ("super:test", "digest/super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
            ("joe:a:b", "digest/joe:OJhNhqacyc1SshRsKJQcbTnyT+w="),
            ("joe", "digest/joe:FqmlTd9CWZUuPBGMdjE46DaT1/0="),
            ("", "digest/:2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        ] {
            check("digest", Some(secret.as_bytes()), &plain, &[expected]);
        }
        // Malformed UTF-8 is digested as the replacement character.
        let replaced = "digest/j\u{fffd}:dJ4zQSsBDtqM1e5yCKSv1OGa86E=";
        check("digest", Some(b"j\xff:x"), &plain, &[replaced]);
        check("digest", None, &plain, &[]);
    }

    #[test]
    fn the_super_digest_proves_super_and_the_user() {
        let user = "digest/super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
        let with = settings(Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
        check("digest", Some(b"super:test"), &with, &["super/", user]);
        check("digest", Some(b"super:tesT"), &with, &["digest/super:RhvT6To2YNrs+b12ZfJ+UvsC7m0="]);
    }

    #[test]
    fn a_disabled_digest_proves_nothing() {
        let mut off = settings(Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
        off.digest_enabled = false;
        check("digest", Some(b"super:test"), &off, &[]);
    }

    #[test]
    fn an_address_is_shown_as_java_shows_it() {
        for (address, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:db8::ff00:42:8329", "2001:db8:0:0:0:ff00:42:8329"),
        ] {
            assert_eq!(java_address(address.parse().expect("an address")), expected);
        }
        check("ip", Some(b"8.8.8.8"), &settings(None), &["ip/10.1.2.3"]);
        check("ip", None, &settings(None), &["ip/10.1.2.3"]);
    }

    #[test]
    fn every_other_scheme_proves_nothing() {
        let known = SCHEMES.iter().map(|scheme| scheme.name);
        for name in known.filter(|name| !["digest", "ip"].contains(name)).chain(["", "Digest"]) {
            check(name, Some(b"anyone"), &settings(None), &[]);
        }
        assert_eq!(compat_rows().len(), SCHEMES.len());
    }

    #[test]
    fn a_digest_is_not_printed() {
        let shown = format!("{:?}", settings(Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=")));
        assert_eq!(shown, "AuthSettings { digest_enabled: true, super_digest: Some(\"..\") }");
    }
}
