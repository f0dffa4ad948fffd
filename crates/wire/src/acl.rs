//! Access control lists as they travel: permissions for an identity in a scheme.

use crate::jute::{Decoded, Put, Reader};
use std::fmt;

/// A set of permissions. Bits beyond the five known ones are kept, since Java keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// May read data and list children.
    pub const READ: Perms = Perms(1);
    /// May set data.
    pub const WRITE: Perms = Perms(2);
    /// May create a child.
    pub const CREATE: Perms = Perms(4);
    /// May delete a child.
    pub const DELETE: Perms = Perms(8);
    /// May set the ACL.
    pub const ADMIN: Perms = Perms(16);
    /// All five.
    pub const ALL: Perms = Perms(31);

    /// Their letters, in zkCli's order.
    pub const LETTERS: [(char, Perms); 5] = [
        ('c', Perms::CREATE),
        ('d', Perms::DELETE),
        ('r', Perms::READ),
        ('w', Perms::WRITE),
        ('a', Perms::ADMIN),
    ];

    /// Whether any of `wanted` is granted.
    pub fn grants(self, wanted: Perms) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Both sets together.
    pub const fn or(self, other: Perms) -> Perms {
        Perms(self.0 | other.0)
    }
}

impl fmt::Display for Perms {
    /// As letters; bits that have none are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = Perms::LETTERS.iter().filter(|(_, perm)| self.grants(*perm));
        granted.map(|(letter, _)| *letter).try_for_each(|letter| write!(f, "{letter}"))
    }
}

/// One entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// What is granted.
    pub perms: Perms,
    /// How the identity is established: `world`, `auth`, `digest`, `ip` …
    pub scheme: Box<str>,
    /// Who it is granted to, in the scheme's own form.
    pub id: Box<str>,
}

impl Acl {
    /// Everything to everybody.
    pub fn world_all() -> Acl {
        Acl { perms: Perms::ALL, scheme: "world".into(), id: "anyone".into() }
    }

    /// Reads one entry. Null strings, which no client sends, read as empty ones.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<Acl> {
        let perms = Perms(r.int("acl.perms")?);
        let scheme = r.string("acl.scheme")?.unwrap_or_default();
        let id = r.string("acl.id")?.unwrap_or_default();
        Ok(Acl { perms, scheme, id })
    }

    /// Appends one entry.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(self.perms.0);
        out.put_text(&self.scheme);
        out.put_text(&self.id);
    }

    /// Reads a list, `None` for null.
    pub fn decode_list(r: &mut Reader<'_>) -> Decoded<Option<Vec<Acl>>> {
        let Some(count) = r.count("acl", 12)? else { return Ok(None) };
        (0..count).map(|_| Acl::decode(r)).collect::<Decoded<Vec<Acl>>>().map(Some)
    }

    /// Appends a list.
    pub fn encode_list(list: &[Acl], out: &mut impl Put) {
        out.put_len(list.len());
        for acl in list {
            acl.encode(out);
        }
    }
}

impl fmt::Display for Acl {
    /// As zkCli writes it: `scheme:id:perms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.scheme, self.id, self.perms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_round_trips_and_null_is_not_empty() {
        let list = vec![Acl::world_all(), Acl { perms: Perms(64), ..Acl::world_all() }];
        let mut out = Vec::new();
        Acl::encode_list(&list, &mut out);
        assert_eq!(Acl::decode_list(&mut Reader::new(&out)), Ok(Some(list)));
        assert_eq!(Acl::decode_list(&mut Reader::new(&[255; 4])), Ok(None));
        assert_eq!(Acl::decode_list(&mut Reader::new(&[0; 4])), Ok(Some(vec![])));
    }

    #[test]
    fn it_is_shown_as_zkcli_shows_it() {
        assert_eq!(Acl::world_all().to_string(), "world:anyone:cdrwa");
    }
}
