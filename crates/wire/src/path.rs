//! Paths of znodes: checked once, at the edge, by the rules of Apache's `PathUtils`.
//!
//! A read does not check its path: a path that cannot exist simply has no node. So requests carry
//! plain strings, and whoever creates, changes or watches by path parses a [`ZPath`] first.

use std::fmt;

/// A path that a znode may have: absolute, no empty or relative component, no forbidden character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZPath(Box<str>);

/// Why a path cannot name a znode. `at` counts UTF-16 code units, as Java's messages do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It is empty.
    Empty,
    /// It does not start with `/`.
    NotAbsolute,
    /// It ends with `/` and is not the root.
    TrailingSlash,
    /// Two slashes in a row.
    EmptyComponent { at: usize },
    /// A component is `.` or `..`.
    Relative { at: usize },
    /// A control character, a surrogate, a private-use or a special character.
    Character { at: usize },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Empty => write!(f, "the path is empty"),
            PathError::NotAbsolute => write!(f, "the path must start with /"),
            PathError::TrailingSlash => write!(f, "the path must not end with /"),
            PathError::EmptyComponent { at } => write!(f, "empty node name at {at}"),
            PathError::Relative { at } => write!(f, "relative component at {at}"),
            PathError::Character { at } => write!(f, "forbidden character at {at}"),
        }
    }
}

impl std::error::Error for PathError {}

impl ZPath {
    /// The root, `/`.
    pub fn root() -> ZPath {
        ZPath("/".into())
    }

    /// Checks `path`.
    pub fn parse(path: &str) -> Result<ZPath, PathError> {
        Self::check(path)?;
        Ok(ZPath(path.into()))
    }

    /// Checks `path` without keeping it.
    pub fn check(path: &str) -> Result<(), PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        let Some(relative) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        if relative.is_empty() {
            return Ok(());
        }
        if relative.ends_with('/') {
            return Err(PathError::TrailingSlash);
        }
        if is_plain(relative.as_bytes()) {
            return Ok(());
        }
        let mut at = 1;
        for component in relative.split('/') {
            check_component(component, at)?;
            at += component.encode_utf16().count() + 1;
        }
        Ok(())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its last component, and that component; `None` for the root.
    pub fn split(&self) -> Option<(&str, &str)> {
        split(&self.0)
    }
}

/// Splits a path at its last slash: `/a/b` into `/a` and `b`, `/a` into `/` and `a`.
///
/// `None` for the root and for what has no slash.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    if name.is_empty() {
        return None;
    }
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

/// Whether there are only printable ASCII characters, and no component that is empty or begins with
/// a dot. Nearly all paths are like this, and then nothing else can be wrong.
///
/// It looks at every byte whatever it finds, so that many are looked at together.
fn is_plain(relative: &[u8]) -> bool {
    let is_odd_start = |byte: u8| byte == b'/' || byte == b'.';
    let Some((first, rest)) = relative.split_first() else { return true };
    let printable = relative.iter().fold(true, |all, byte| all & matches!(byte, 0x20..=0x7e));
    let pairs = relative.iter().zip(rest);
    let odd = pairs.fold(is_odd_start(*first), |odd, (before, byte)| {
        odd | ((*before == b'/') & is_odd_start(*byte))
    });
    printable & !odd
}

fn check_component(component: &str, start: usize) -> Result<(), PathError> {
    match component {
        "" => return Err(PathError::EmptyComponent { at: start }),
        "." => return Err(PathError::Relative { at: start }),
        ".." => return Err(PathError::Relative { at: start + 1 }),
        _ => {}
    }
    match component.encode_utf16().position(is_forbidden) {
        Some(position) => Err(PathError::Character { at: start + position }),
        None => Ok(()),
    }
}

/// Java compares `char`s, so half of a surrogate pair counts, and with it every character beyond
/// the basic plane.
fn is_forbidden(unit: u16) -> bool {
    matches!(unit, 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff)
}

impl fmt::Display for ZPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<(), PathError>) {
        assert_eq!(ZPath::check(path), expected, "{path:?}");
    }

    #[test]
    fn good_paths_pass() {
        for path in ["/", "/a", "/a/b", "/a/.b", "/a/b..", "/...", "/größe", "/a b"] {
            check(path, Ok(()));
        }
    }

    #[test]
    fn bad_paths_say_what_and_where() {
        check("", Err(PathError::Empty));
        check("a", Err(PathError::NotAbsolute));
        check("/a/", Err(PathError::TrailingSlash));
        check("/a//b", Err(PathError::EmptyComponent { at: 3 }));
        check("/a/./b", Err(PathError::Relative { at: 3 }));
        check("/a/..", Err(PathError::Relative { at: 4 }));
        check("/a\u{0}", Err(PathError::Character { at: 2 }));
        check("/a\u{7f}", Err(PathError::Character { at: 2 }));
        check("/\u{e000}", Err(PathError::Character { at: 1 }));
        check("/a\u{fffd}", Err(PathError::Character { at: 2 }));
        check("/\u{1f600}", Err(PathError::Character { at: 1 }));
    }

    #[test]
    fn split_gives_parent_and_name() {
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/"), None);
        assert_eq!(split("a"), None);
    }
}
