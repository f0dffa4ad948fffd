//! Who a connection is: what an auth packet proves, and what a connection is without one.
//!
//! A scheme is a file of this directory and a row of [`SCHEMES`]; packets, connections, access
//! lists, the settings that name a scheme and the page on compatibility follow the row.
//!
//! What it keeps true: the identities are Apache's to the letter, because access lists that were
//! written for one server must hold on the other; a password or digest is in no message and in no
//! `Debug`.
//!
//! What it leaves to others: whether an identity may do something (`tree`), the reply to the
//! packet, the end of a connection that failed, and who may do anything at all (`node`).

mod digest;
mod ensemble;
mod ip;

use bellwether_tree::{Identity, Schemes};
use std::net::IpAddr;

pub use digest::{Algorithm, DigestSettings};
pub use ensemble::EnsembleSettings;
pub use ip::java_address;

/// What decides which identities can be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// Scheme digest; `None` where it is switched off.
    pub digest: Option<DigestSettings>,
    /// Scheme ensemble; `None` where no `authProvider.N` names it.
    pub ensemble: Option<EnsembleSettings>,
    /// The schemes of one of which a connection must have an identity before it may do anything
    /// (`enforce.auth.schemes`); none where nobody must.
    pub enforced: Vec<Box<str>>,
}

impl Default for AuthSettings {
    fn default() -> AuthSettings {
        let digest = Some(DigestSettings::default());
        AuthSettings { digest, ensemble: None, enforced: Vec::new() }
    }
}

/// A scheme of access lists or auth packets.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// Its name in packets and access lists.
    pub name: &'static str,
    /// What this server does with it, for `docs/COMPAT.md`.
    pub support: &'static str,
    /// `None` where there is nothing behind the name: a packet is refused with AUTHFAILED.
    pub(crate) provider: Option<&'static Provider>,
}

/// What is behind a scheme.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Apache's class, which `authProvider.N` may name.
    pub(crate) class: &'static str,
    /// What the scheme means in access lists; `None` where it cannot stand there.
    rules: Option<bellwether_tree::Scheme>,
    is_on: fn(&AuthSettings) -> bool,
    /// What a connection is without a packet.
    by_connection: fn(IpAddr) -> Option<Identity>,
    by_packet: fn(&Credentials<'_>, &AuthSettings, &mut AuthFigures) -> Verdict,
}

/// What an auth packet brings.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `None` for a null buffer.
    pub secret: Option<&'a [u8]>,
    /// Where it comes from.
    pub peer: IpAddr,
}

/// What comes of an auth packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered with OK; the connection gets these identities, in this order.
    Proved(Vec<Identity>),
    /// It is answered with AUTHFAILED and the connection ends.
    Failed,
    /// The connection ends without an answer.
    HangUp {
        /// Why, for the log.
        reason: &'static str,
    },
}

/// What auth packets came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthFigures {
    /// Those that proved nothing.
    pub failed: u64,
    /// Those that named this ensemble.
    pub ensemble_right: u64,
    /// Those that named another one.
    pub ensemble_wrong: u64,
    /// Those that named none, or came where no name is set.
    pub ensemble_skipped: u64,
}

const fn nothing(name: &'static str, support: &'static str) -> Scheme {
    Scheme { name, support, provider: None }
}

/// Every scheme that Apache's documentation names; any other is as good as unknown.
pub const SCHEMES: &[Scheme] = &[
    nothing("world", "nothing to prove: everybody is anyone; a packet is refused with AUTHFAILED"),
    nothing("auth", "only in access lists, for the creator; a packet is refused with AUTHFAILED"),
    digest::SCHEME,
    ip::SCHEME,
    nothing("super", "by the super digest, not by a packet"),
    nothing("x509", "later, with TLS; until then AUTHFAILED"),
    nothing("sasl", "later; until then AUTHFAILED"),
    ensemble::SCHEME,
    nothing("key", "no, it is an example of Apache's; AUTHFAILED"),
];

/// The rows of the section on schemes in `docs/COMPAT.md`: scheme, what we do.
#[must_use]
pub fn compat_rows() -> Vec<String> {
    SCHEMES.iter().map(|scheme| format!("| `{}` | {} |", scheme.name, scheme.support)).collect()
}

/// What stands above `compat_rows`.
pub const COMPAT_HEADER: &str = "| scheme | what this server does |\n|---|---|";

/// What an auth packet of a scheme comes to.
#[must_use]
pub fn authenticate(
    scheme: &str,
    credentials: &Credentials<'_>,
    settings: &AuthSettings,
    figures: &mut AuthFigures,
) -> Verdict {
    let mut present = present(settings);
    let verdict = match present.find(|(name, _)| *name == scheme) {
        Some((_, provider)) => (provider.by_packet)(credentials, settings, figures),
        None => Verdict::Failed,
    };
    if verdict == Verdict::Failed {
        figures.failed += 1;
    }
    verdict
}

/// What every connection is without a packet.
#[must_use]
pub fn by_connection(peer: IpAddr, settings: &AuthSettings) -> Vec<Identity> {
    present(settings).filter_map(|(_, provider)| (provider.by_connection)(peer)).collect()
}

/// The schemes that mean something in access lists.
#[must_use]
pub fn schemes(settings: &AuthSettings) -> Schemes {
    present(settings).filter_map(|(_, provider)| provider.rules).collect()
}

/// The names of the schemes that there are, those first that prove something.
pub(crate) fn names(settings: &AuthSettings) -> impl Iterator<Item = &'static str> {
    present(settings).map(|(name, _)| name)
}

/// The scheme of a Java class that this server has.
pub(crate) fn of_class(class: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.provider.is_some_and(|known| known.class == class))
}

fn present(settings: &AuthSettings) -> impl Iterator<Item = (&'static str, &'static Provider)> {
    let providers = SCHEMES.iter().filter_map(|scheme| Some((scheme.name, scheme.provider?)));
    providers.filter(|(_, provider)| (provider.is_on)(settings))
}

fn identity(scheme: &str, id: &str) -> Identity {
    Identity { scheme: scheme.into(), id: id.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "::ffff:10.1.2.3";

    /// `None`: it fails.
    #[track_caller]
    pub(super) fn check(
        scheme: &str,
        secret: Option<&[u8]>,
        settings: &AuthSettings,
        expected: Option<&[&str]>,
    ) {
        let peer = PEER.parse().expect("an address");
        let mut figures = AuthFigures::default();
        let verdict = authenticate(scheme, &Credentials { secret, peer }, settings, &mut figures);
        let shown = match verdict {
            Verdict::Proved(proved) => {
                Some(proved.iter().map(|i| format!("{}/{}", i.scheme, i.id)).collect::<Vec<_>>())
            }
            Verdict::Failed => None,
            Verdict::HangUp { reason } => panic!("{scheme}: {reason}"),
        };
        let expected =
            expected.map(|expected| expected.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!((shown, figures.failed), (expected.clone(), u64::from(expected.is_none())));
    }

    #[test]
    fn a_scheme_with_nothing_behind_it_proves_nothing() {
        let settings = AuthSettings::default();
        let known = SCHEMES.iter().map(|scheme| scheme.name);
        for name in known.filter(|name| !["digest", "ip"].contains(name)).chain(["", "Digest"]) {
            check(name, Some(b"anyone"), &settings, None);
        }
        assert_eq!(compat_rows().len(), SCHEMES.len());
    }

    #[test]
    fn the_row_has_the_name_of_its_rules() {
        for scheme in SCHEMES {
            let rules = scheme.provider.and_then(|provider| provider.rules.as_ref());
            assert!(rules.is_none_or(|rules| rules.name == scheme.name), "{}", scheme.name);
        }
    }

    #[test]
    fn what_is_switched_off_is_nowhere() {
        let off = AuthSettings { digest: None, ..AuthSettings::default() };
        assert!(schemes(&off).get("digest").is_none() && schemes(&off).get("ip").is_some());
        assert_eq!(names(&off).collect::<Vec<_>>(), ["ip"]);
        let on = AuthSettings { ensemble: Some(EnsembleSettings::default()), ..off };
        assert_eq!(names(&on).collect::<Vec<_>>(), ["ip", "ensemble"]);
        assert!(schemes(&on).get("ensemble").is_none(), "no access list can hold it");
    }

    #[test]
    fn a_connection_is_its_address() {
        let peer = PEER.parse().expect("an address");
        let identities = by_connection(peer, &AuthSettings::default());
        assert_eq!(identities, [identity("ip", "10.1.2.3")]);
    }
}
