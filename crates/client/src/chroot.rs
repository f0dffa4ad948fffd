//! The path that all paths of a client are below: put before what goes out, taken off what comes
//! in.

use crate::error::Error;
use bellwether_wire::ZPath;

/// A prefix of paths; `None` is the root, which changes nothing.
#[derive(Clone, Debug)]
pub(crate) struct Chroot(pub(crate) Option<ZPath>);

impl Chroot {
    /// The server's name for the caller's `path`, once it is known to be one.
    pub(crate) fn apply(&self, path: &str) -> Result<Box<str>, Error> {
        ZPath::check(path).map_err(|problem| Error::Path { path: path.into(), problem })?;
        Ok(self.prefix(path))
    }

    /// As [`Chroot::apply`], for a path that the server will append a number to: it may end with a
    /// slash.
    pub(crate) fn apply_sequential(&self, path: &str) -> Result<Box<str>, Error> {
        ZPath::check(&format!("{path}1"))
            .map_err(|problem| Error::Path { path: path.into(), problem })?;
        Ok(self.prefix(path))
    }

    fn prefix(&self, path: &str) -> Box<str> {
        match &self.0 {
            None => path.into(),
            Some(chroot) if path == "/" => chroot.as_str().into(),
            Some(chroot) => format!("{chroot}{path}").into(),
        }
    }

    /// The caller's name for the server's `path`. What is not below the chroot stays as it is.
    pub(crate) fn strip<'a>(&self, path: &'a str) -> &'a str {
        let Some(chroot) = &self.0 else { return path };
        match path.strip_prefix(chroot.as_str()) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chroot: Option<&str>, inner: &str, outer: &str) {
        let chroot = Chroot(chroot.map(|path| ZPath::parse(path).unwrap()));
        assert_eq!(chroot.apply(inner).as_deref(), Ok(outer));
        assert_eq!(chroot.strip(outer), inner);
    }

    #[test]
    fn what_goes_out_prefixed_comes_back_stripped() {
        check(None, "/", "/");
        check(None, "/a", "/a");
        check(Some("/x/y"), "/", "/x/y");
        check(Some("/x/y"), "/a/b", "/x/y/a/b");
        check(Some("/x"), "/x", "/x/x");
    }

    #[test]
    fn a_neighbour_of_the_chroot_is_not_below_it() {
        assert_eq!(Chroot(ZPath::parse("/x").ok()).strip("/xy"), "/xy");
    }

    #[test]
    fn only_a_sequential_path_may_end_with_a_slash() {
        let chroot = Chroot(ZPath::parse("/x").ok());
        assert_eq!(chroot.apply_sequential("/a/").as_deref(), Ok("/x/a/"));
        assert!(matches!(chroot.apply("/a/"), Err(Error::Path { .. })));
        assert!(matches!(chroot.apply_sequential("a"), Err(Error::Path { .. })));
    }
}
