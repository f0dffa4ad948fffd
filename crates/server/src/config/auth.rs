//! The settings of authentication, and the rules between them.
//!
//! What it keeps true: whatever Apache refuses to start with is an error here, and what would let
//! nobody in, or everybody, is said.
//!
//! What it leaves to others: what a scheme does (`crate::auth`).

use super::report::Findings;
use super::values::Values;
use crate::auth::{self, Algorithm, AuthSettings, DigestSettings, EnsembleSettings};

const ALGORITHM: &str = "DigestAuthenticationProvider.digestAlg";
const SUPER_DIGEST: &str = "DigestAuthenticationProvider.superDigest";
const ENFORCED: &str = "enforce.auth.enabled";
const ENFORCED_SCHEMES: &str = "enforce.auth.schemes";
const ENSEMBLE_NAME: &str = "ensembleAuthName";

pub(super) fn settings(values: &Values, findings: &mut Findings) -> AuthSettings {
    let lines = |scheme: &str| {
        let mut classes = values.texts_of("authProvider.N");
        classes.any(|class| auth::of_class(&class).is_some_and(|known| known.name == scheme))
    };
    // As on Apache, a line for the class brings the scheme back.
    let has_digest = values.flag("DigestAuthenticationProvider.enabled") || lines("digest");
    let mut settings = AuthSettings {
        digest: has_digest.then(|| digest(values, findings)),
        ensemble: lines("ensemble").then(|| EnsembleSettings {
            names: values.text_if_any(ENSEMBLE_NAME).map(|names| listed(&names).collect()),
        }),
        enforced: Vec::new(),
    };
    let named = values.written(ENSEMBLE_NAME);
    if settings.ensemble.is_none() && named.is_some() {
        findings.warn(
            named,
            "without effect, as on Apache: a client that names an ensemble is refused unless there \
             is a line \
             authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
        );
    }
    settings.enforced = enforced(values, &settings, findings);
    settings
}

/// What Java's `split` and `trim` make of a list.
fn listed(text: &str) -> impl Iterator<Item = Box<str>> {
    text.split(',').map(|item| item.trim().into())
}

fn digest(values: &Values, findings: &mut Findings) -> DigestSettings {
    let name = values.text(ALGORITHM);
    let Some(algorithm) = Algorithm::named(&name) else {
        findings.broken_rule(
            values.written(ALGORITHM).into_iter().collect(),
            format!(
                "`{name}` is no digest that this server computes: expected one of {}",
                Algorithm::names()
            ),
        );
        return DigestSettings::default();
    };
    let super_digest = values.text_if_any(SUPER_DIGEST);
    let makes = |digest: &str| digest.split_once(':').is_some_and(|(_, d)| algorithm.can_make(d));
    if super_digest.as_deref().is_some_and(|digest| !makes(digest)) {
        findings.warn(
            values.written(SUPER_DIGEST),
            format!(
                "no password matches it: expected super:DIGEST, where DIGEST is the base64 form of \
                 the digest ({}) of super:PASSWORD",
                algorithm.name()
            ),
        );
    }
    DigestSettings { algorithm, super_digest: super_digest.map(Into::into) }
}

fn enforced(values: &Values, settings: &AuthSettings, findings: &mut Findings) -> Vec<Box<str>> {
    if !values.flag(ENFORCED) {
        return Vec::new();
    }
    let known: Vec<&str> = auth::names(settings).collect();
    let Some(text) = values.text_if_any(ENFORCED_SCHEMES) else {
        findings.broken_rule(
            values.written(ENFORCED).into_iter().collect(),
            format!(
                "clients must authenticate, but {ENFORCED_SCHEMES} names no scheme: expected a \
                 line with some of {}",
                known.join(", ")
            ),
        );
        return Vec::new();
    };
    let schemes: Vec<Box<str>> = listed(&text).collect();
    for scheme in schemes.iter().filter(|scheme| !known.contains(&&***scheme)) {
        findings.broken_rule(
            values.written(ENFORCED_SCHEMES).into_iter().collect(),
            format!(
                "`{scheme}` is no scheme of this server: expected some of {}",
                known.join(", ")
            ),
        );
    }
    if schemes.iter().any(|scheme| &**scheme == "ip") {
        findings.warn(
            values.written(ENFORCED_SCHEMES),
            "every client has an address, so scheme ip lets everybody in. Name digest alone if \
             clients shall authenticate",
        );
    }
    if schemes.iter().all(|scheme| &**scheme == "ensemble") {
        findings.warn(
            values.written(ENFORCED_SCHEMES),
            "scheme ensemble proves nothing about a client, so nobody gets in. Name a scheme that \
             does, such as digest",
        );
    }
    schemes
}

#[cfg(test)]
mod tests {
    use super::super::{Args, Config, Warning, load};
    use super::*;

    const ENSEMBLE_LINE: (&str, &str) = (
        "zookeeper.authProvider.1",
        "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
    );

    /// The embedded default with these properties; every error as text.
    fn with(properties: &[(&str, &str)]) -> Result<(Config, Vec<Warning>), String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let args = Args { zoo_cfg: None, properties: properties.iter().map(owned).collect() };
        load(&args)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[track_caller]
    fn check(properties: &[(&str, &str)]) -> AuthSettings {
        with(properties).expect("good").0.auth
    }

    #[track_caller]
    fn check_warned(properties: &[(&str, &str)], part: &str) {
        let warnings = with(properties).expect("good").1;
        let told = warnings.iter().any(|warning| warning.to_string().contains(part));
        assert!(told, "{warnings:?}");
    }

    #[track_caller]
    fn check_bad(properties: &[(&str, &str)], part: &str) {
        let errors = with(properties).expect_err("bad");
        assert!(errors.contains(part), "{errors}");
    }

    #[test]
    fn enforced_schemes_are_those_that_there_are() {
        let on = ("zookeeper.enforce.auth.enabled", "true");
        let schemes = |names| ("zookeeper.enforce.auth.schemes", names);
        assert_eq!(check(&[on, schemes("digest")]).enforced, ["digest".into()]);
        let both = check(&[on, schemes(" digest , ip")]).enforced;
        assert_eq!(both, ["digest".into(), "ip".into()]);
        assert_eq!(check(&[schemes("nonsense")]).enforced, [], "it is read only where it is on");
        check_bad(&[on], "names no scheme");
        for name in ["sasl", "x509", "world", "super", "", "ensemble", "Digest"] {
            check_bad(&[on, schemes(name)], "is no scheme of this server");
        }
        let off = ("zookeeper.DigestAuthenticationProvider.enabled", "false");
        check_bad(
            &[on, schemes("digest"), off],
            "is no scheme of this server: expected some of ip",
        );
        check_warned(&[on, schemes("ip,digest")], "lets everybody in");
        check_warned(&[on, schemes("ensemble"), ENSEMBLE_LINE], "nobody gets in");
    }

    #[test]
    fn the_ensemble_has_a_name_only_where_its_class_is_named() {
        let name = ("zookeeper.ensembleAuthName", "a, b");
        assert_eq!(check(&[ENSEMBLE_LINE]).ensemble, Some(EnsembleSettings { names: None }));
        let names = check(&[ENSEMBLE_LINE, name]).ensemble.expect("it is there").names;
        assert_eq!(
            names.expect("they are set").into_iter().collect::<Vec<_>>(),
            ["a".into(), "b".into()]
        );
        assert_eq!(check(&[name]).ensemble, None);
        check_warned(&[name], "without effect, as on Apache");
    }

    #[test]
    fn the_digest_is_the_one_that_is_named_or_none() {
        let algorithm = |name| ("zookeeper.DigestAuthenticationProvider.digestAlg", name);
        let of = |properties: &[(&str, &str)]| check(properties).digest.map(|d| d.algorithm.name());
        assert_eq!(of(&[]), Some("SHA1"));
        assert_eq!(of(&[algorithm("sha-256")]), Some("SHA-256"));
        check_bad(&[algorithm("MD5")], "is no digest that this server computes");
        let off = ("zookeeper.DigestAuthenticationProvider.enabled", "false");
        assert_eq!(of(&[off]), None);
        let line = (
            "zookeeper.authProvider.9",
            "org.apache.zookeeper.server.auth.DigestAuthenticationProvider",
        );
        assert_eq!(of(&[off, line]), Some("SHA1"), "as on Apache, the line brings it back");
        let sha1 = (
            "zookeeper.DigestAuthenticationProvider.superDigest",
            "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
        );
        assert!(with(&[sha1]).expect("good").1.iter().all(|w| !w.to_string().contains("matches")));
        check_warned(&[sha1, algorithm("SHA-256")], "no password matches it");
    }
}
