//! The schemes of access lists: what an entry of each must look like, and whom it means.
//!
//! What it keeps true: everything that depends on a scheme stands in its row; nothing else in the
//! tree or the node names one, but for what Apache itself treats apart: `world` and `auth` in
//! access lists, `super` among identities, and the hash of a `digest` entry, which is hidden.
//!
//! What it leaves to others: proving who somebody is (`server`), and which schemes there are
//! besides these two: the options of a tree list them.

use crate::ip;

/// A scheme.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// Its name in access lists and identities.
    pub name: &'static str,
    /// Whether this id may stand in a new access list.
    pub is_valid: fn(&str) -> bool,
    /// Whether an identity, by its id, is meant by the id of an entry.
    pub matches: fn(&str, &str) -> bool,
    /// What its identities are worth.
    pub worth: Worth,
    /// The part of an identity's id that may be shown as the user's name.
    pub user: fn(&str) -> &str,
}

/// What an identity is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It was proved: the scheme `auth` in an access list stands for it.
    Proved,
    /// It was seen, as an address is.
    Seen,
}

/// `user:hash of user:password`.
pub const DIGEST: Scheme = Scheme {
    name: "digest",
    is_valid: is_digest,
    matches: |id, entry| id == entry,
    worth: Worth::Proved,
    user: |id| id.split(':').next().unwrap_or_default(),
};

/// An address, or the first bits of one.
pub const IP: Scheme = Scheme {
    name: "ip",
    is_valid: ip::is_valid,
    matches: ip::matches,
    worth: Worth::Seen,
    user: |id| id,
};

/// The schemes that a server has. An entry of any other grants nothing, and none can be set.
#[derive(Clone, Debug)]
pub struct Schemes(Vec<Scheme>);

impl Default for Schemes {
    /// Those of a server whose settings say nothing about them.
    fn default() -> Schemes {
        Schemes(vec![DIGEST, IP])
    }
}

impl FromIterator<Scheme> for Schemes {
    fn from_iter<I: IntoIterator<Item = Scheme>>(schemes: I) -> Schemes {
        Schemes(schemes.into_iter().collect())
    }
}

impl Schemes {
    /// The scheme of this name, if the server has it.
    pub fn get(&self, name: &str) -> Option<&Scheme> {
        self.0.iter().find(|scheme| scheme.name == name)
    }
}

/// Two parts around a colon. Java's `split` drops empty parts at the end, but not at the start.
fn is_digest(id: &str) -> bool {
    let kept = id.trim_end_matches(':');
    kept.matches(':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_not_listed_is_not_there() {
        let only: Schemes = [IP].into_iter().collect();
        assert!(only.get("ip").is_some() && only.get("digest").is_none());
        assert!(Schemes::default().get("digest").is_some());
        assert!(Schemes::default().get("DIGEST").is_none(), "names are told apart by case");
    }

    #[test]
    fn a_user_is_shown_without_the_hash() {
        assert_eq!((DIGEST.user)("joe:secret"), "joe");
        assert_eq!((IP.user)("10.0.0.1"), "10.0.0.1");
    }
}
