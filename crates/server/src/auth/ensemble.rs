//! Scheme `ensemble`: a client says which ensemble it means. It proves nothing; a client that means
//! another one loses its connection without an answer, so that it tries its next server.

use super::{AuthFigures, AuthSettings, Credentials, Provider, Scheme, Verdict};
use std::collections::BTreeSet;

pub(super) const SCHEME: Scheme = Scheme {
    name: "ensemble",
    support: "where authProvider.N names its class: a name that ensembleAuthName does not list \
              closes the connection; else AUTHFAILED",
    provider: Some(&Provider {
        class: "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
        rules: None,
        is_on: |settings| settings.ensemble.is_some(),
        by_connection: |_| None,
        by_packet: compare,
    }),
};

/// What scheme `ensemble` goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnsembleSettings {
    /// `ensembleAuthName`: the names of this ensemble. `None`: every name is right.
    pub names: Option<BTreeSet<Box<str>>>,
}

fn compare(
    credentials: &Credentials<'_>,
    settings: &AuthSettings,
    figures: &mut AuthFigures,
) -> Verdict {
    let name = credentials.secret.filter(|name| !name.is_empty());
    let names = settings.ensemble.as_ref().and_then(|ensemble| ensemble.names.as_ref());
    let (Some(name), Some(names)) = (name, names) else {
        figures.ensemble_skipped += 1;
        return Verdict::Proved(Vec::new());
    };
    if names.contains(&*String::from_utf8_lossy(name)) {
        figures.ensemble_right += 1;
        Verdict::Proved(Vec::new())
    } else {
        figures.ensemble_wrong += 1;
        Verdict::HangUp { reason: "it means another ensemble; see ensembleAuthName" }
    }
}

#[cfg(test)]
mod tests {
    use super::super::authenticate;
    use super::*;

    #[track_caller]
    fn check(names: Option<&[&str]>, said: Option<&str>, expected: (bool, [u64; 3])) {
        let names = names.map(|names| names.iter().map(|name| (*name).into()).collect());
        let ensemble = Some(EnsembleSettings { names });
        let settings = AuthSettings { ensemble, ..AuthSettings::default() };
        let mut figures = AuthFigures::default();
        let peer = "10.0.0.1".parse().expect("an address");
        let credentials = Credentials { secret: said.map(str::as_bytes), peer };
        let verdict = authenticate("ensemble", &credentials, &settings, &mut figures);
        let stays = verdict == Verdict::Proved(Vec::new());
        let AuthFigures { ensemble_right, ensemble_wrong, ensemble_skipped, .. } = figures;
        assert_eq!((stays, [ensemble_right, ensemble_wrong, ensemble_skipped]), expected);
    }

    #[test]
    fn only_a_name_that_is_not_listed_closes_the_connection() {
        let ours = Some(&["a", "b"][..]);
        check(ours, Some("a"), (true, [1, 0, 0]));
        check(ours, Some("b"), (true, [1, 0, 0]));
        check(ours, Some("c"), (false, [0, 1, 0]));
        check(ours, Some(" a"), (false, [0, 1, 0]));
        check(ours, Some(""), (true, [0, 0, 1]));
        check(ours, None, (true, [0, 0, 1]));
        check(None, Some("c"), (true, [0, 0, 1]));
    }
}
