//! Who may do what: identities against ACLs, and what an ACL must be to be accepted.
//!
//! Three schemes are part of the rules: `world`, `auth` and `super`, which may do everything. The
//! others are rows of [`Schemes`]; an entry of one that is not there grants nothing and is refused
//! in a new ACL.

use crate::schemes::{Schemes, Worth};
use bellwether_wire::{Acl, ErrorCode, Perms};

/// Who a connection is: `("ip", "127.0.0.1")`, `("digest", "user:hash")`, `("super", "")`. That it
/// is world:anyone goes without saying.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// How it was established.
    pub scheme: Box<str>,
    /// Who it is, in the scheme's own form.
    pub id: Box<str>,
}

/// Whether `acl` grants one of `wanted` to any of `identities`. An empty list, which no client can
/// set, grants everything, as it does in Apache's server.
pub(crate) fn permits(
    schemes: &Schemes,
    acl: &[Acl],
    wanted: Perms,
    identities: &[Identity],
) -> bool {
    if acl.is_empty() {
        return true;
    }
    // Most lists grant to everybody; looking for that first changes no answer.
    let granting = || acl.iter().filter(|entry| entry.perms.grants(wanted));
    granting().any(is_world)
        || identities.iter().any(|identity| &*identity.scheme == "super")
        || granting()
            .any(|entry| identities.iter().any(|identity| matches(schemes, identity, entry)))
}

fn is_world(entry: &Acl) -> bool {
    &*entry.scheme == "world" && &*entry.id == "anyone"
}

fn matches(schemes: &Schemes, identity: &Identity, entry: &Acl) -> bool {
    identity.scheme == entry.scheme
        && schemes
            .get(&entry.scheme)
            .is_some_and(|scheme| (scheme.matches)(&identity.id, &entry.id))
}

/// The list that a create or setACL stores: without duplicates, `auth` replaced by who the caller
/// has proved to be. Null, empty, or with an entry that cannot be: INVALIDACL.
pub(crate) fn fix(
    schemes: &Schemes,
    requested: Option<Vec<Acl>>,
    identities: &[Identity],
) -> Result<Vec<Acl>, ErrorCode> {
    let requested = requested.filter(|list| !list.is_empty()).ok_or(ErrorCode::InvalidAcl)?;
    if let [only] = &*requested
        && is_world(only)
    {
        return Ok(requested);
    }
    let mut fixed: Vec<Acl> = Vec::with_capacity(requested.len());
    for (at, entry) in requested.iter().enumerate() {
        if requested.iter().take(at).any(|earlier| earlier == entry) {
            continue;
        }
        match &*entry.scheme {
            "auth" => expand(schemes, entry.perms, identities, &mut fixed)?,
            _ if is_valid(schemes, entry) => fixed.push(entry.clone()),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    Ok(fixed)
}

/// An address is no proof of anything, so `ip` does not count here, and `super` is no identity.
fn expand(
    schemes: &Schemes,
    perms: Perms,
    identities: &[Identity],
    out: &mut Vec<Acl>,
) -> Result<(), ErrorCode> {
    let before = out.len();
    let is_proved = |identity: &&Identity| {
        schemes.get(&identity.scheme).is_some_and(|scheme| scheme.worth == Worth::Proved)
    };
    let proved = identities.iter().filter(is_proved);
    out.extend(proved.map(|identity| Acl {
        perms,
        scheme: identity.scheme.clone(),
        id: identity.id.clone(),
    }));
    if out.len() == before { Err(ErrorCode::InvalidAcl) } else { Ok(()) }
}

fn is_valid(schemes: &Schemes, entry: &Acl) -> bool {
    is_world(entry) || schemes.get(&entry.scheme).is_some_and(|scheme| (scheme.is_valid)(&entry.id))
}

/// What a caller without ADMIN sees of an ACL: whose it is, but not the hash of the password.
pub(crate) fn mask(entry: &Acl) -> Acl {
    if &*entry.scheme != "digest" {
        return entry.clone();
    }
    Acl { id: mask_id(&entry.id).into(), ..entry.clone() }
}

/// From a colon to the end of its line, everything becomes `:x`. An id is one line, but for ids
/// that somebody made up.
fn mask_id(id: &str) -> String {
    let is_line_end = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines = id.split_inclusive(is_line_end);
    let mask_line = |line: &str| match line.split_once(':') {
        Some((user, rest)) => {
            let end = rest.chars().next_back().filter(|c| is_line_end(*c));
            let mut masked = format!("{user}:x");
            masked.extend(end);
            masked
        }
        None => line.to_owned(),
    };
    lines.map(mask_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemes::IP;

    fn entry(text: &str) -> Acl {
        let mut parts = text.splitn(3, '|');
        let mut part = || parts.next().expect("scheme|id|perms");
        let (scheme, id) = (part().into(), part().into());
        Acl { scheme, id, perms: Perms(part().parse().expect("a number")) }
    }

    fn list(texts: &[&str]) -> Vec<Acl> {
        texts.iter().map(|text| entry(text)).collect()
    }

    fn who(texts: &[&str]) -> Vec<Identity> {
        let split = |text: &&str| {
            let (scheme, id) = text.split_once('|').expect("scheme|id");
            Identity { scheme: scheme.into(), id: id.into() }
        };
        texts.iter().map(split).collect()
    }

    #[track_caller]
    fn check(acl: &[&str], identities: &[&str], expected: bool) {
        assert_eq!(
            permits(&Schemes::default(), &list(acl), Perms::READ, &who(identities)),
            expected
        );
    }

    #[test]
    fn permission_needs_an_entry_that_matches_and_grants() {
        check(&["world|anyone|1"], &[], true);
        check(&["world|anyone|30"], &["ip|10.0.0.1"], false);
        check(&["digest|u:h|1"], &["digest|u:h"], true);
        check(&["digest|u:h|1"], &["digest|u:g", "ip|10.0.0.1"], false);
        check(&["digest|u:h|2"], &["digest|u:h"], false);
        check(&["ip|10.0.0.0/8|1"], &["ip|10.9.8.7"], true);
        check(&["x509|cn|1"], &["x509|cn"], false);
        check(&["world|nobody|1"], &["world|nobody"], false);
    }

    #[test]
    fn super_may_do_everything_and_an_empty_list_allows_it() {
        check(&["digest|u:h|0"], &["super|"], true);
        check(&[], &[], true);
    }

    #[track_caller]
    fn check_fix(acl: &[&str], identities: &[&str], expected: Option<&[&str]>) {
        let expected = expected.map(list).ok_or(ErrorCode::InvalidAcl);
        let fixed = fix(&Schemes::default(), Some(list(acl)), &who(identities));
        assert_eq!(fixed, expected, "{acl:?}");
    }

    #[test]
    fn a_missing_list_is_refused() {
        assert_eq!(fix(&Schemes::default(), None, &[]), Err(ErrorCode::InvalidAcl));
        check_fix(&[], &[], None);
    }

    #[test]
    fn duplicates_go_and_the_order_stays() {
        check_fix(
            &["ip|1.2.3.4|1", "world|anyone|1", "ip|1.2.3.4|1", "ip|1.2.3.4|2"],
            &[],
            Some(&["ip|1.2.3.4|1", "world|anyone|1", "ip|1.2.3.4|2"]),
        );
    }

    #[test]
    fn auth_becomes_who_the_caller_has_proved_to_be() {
        let me = &["ip|1.2.3.4", "digest|a:x", "super|", "digest|b:y"];
        check_fix(&["auth||3"], me, Some(&["digest|a:x|3", "digest|b:y|3"]));
        check_fix(&["auth|whatever|3"], &["ip|1.2.3.4"], None);
        check_fix(&["auth||3"], &[], None);
    }

    #[test]
    fn an_entry_that_cannot_be_is_refused() {
        for good in ["digest|a:b|1", "digest|:b|1", "digest|a:b::|1", "ip|1.2.3.4/0|1"] {
            check_fix(&[good], &[], Some(&[good]));
        }
        let bad = ["digest|a|1", "digest|a:|1", "digest|:|1", "digest|a:b:c|1", "digest||1"];
        let odd = ["ip|1.2.3|1", "x509|cn|1", "world|me|1", "super||1", "||1"];
        for bad in bad.iter().chain(&odd) {
            check_fix(&[bad], &[], None);
            check_fix(&["world|anyone|31", bad], &[], None);
        }
    }

    #[test]
    fn a_scheme_that_the_server_does_not_have_grants_nothing_and_cannot_be_set() {
        let only_ip: Schemes = [IP].into_iter().collect();
        let (acl, me) = (list(&["digest|u:h|1"]), who(&["digest|u:h"]));
        assert!(!permits(&only_ip, &acl, Perms::READ, &me));
        assert_eq!(fix(&only_ip, Some(acl), &me), Err(ErrorCode::InvalidAcl));
        assert_eq!(fix(&only_ip, Some(list(&["auth||1"])), &me), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn masking_hides_the_hash_only() {
        assert_eq!(mask(&entry("digest|user:secret:more|1")), entry("digest|user:x|1"));
        assert_eq!(mask(&entry("ip|::1|1")), entry("ip|::1|1"));
        assert_eq!(mask_id("a:b\nc:d"), "a:x\nc:x");
    }
}
