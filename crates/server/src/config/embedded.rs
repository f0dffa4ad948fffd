//! The configuration of a server that was started without a zoo.cfg.
//!
//! What it keeps true: nothing needs to exist beforehand, and nobody from outside the machine can
//! connect.

use super::report::ConfigError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The lines that a zoo.cfg would hold, besides dataDir.
pub(super) const SETTINGS: [(&str, &str); 2] =
    [("clientPort", "2181"), ("clientPortAddress", "127.0.0.1")];

/// Where the data lies.
pub(super) fn data_dir() -> Result<String, ConfigError> {
    let path = data_dir_of(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))?;
    path.into_os_string().into_string().map_err(|found| ConfigError::Rule {
        written: Vec::new(),
        rule: format!("the data directory {} is not valid UTF-8", Path::new(&found).display()),
    })
}

/// `$XDG_DATA_HOME/bellwether`, else `$HOME/.local/share/bellwether`. A relative path in
/// XDG_DATA_HOME does not count: its specification says so.
fn data_dir_of(
    data_home: Option<OsString>,
    home: Option<OsString>,
) -> Result<PathBuf, ConfigError> {
    let absolute =
        |variable: Option<OsString>| variable.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(data_home)
        .or_else(|| Some(absolute(home)?.join(".local/share")))
        .map(|base| base.join("bellwether"))
        .ok_or_else(|| ConfigError::Rule {
            written: Vec::new(),
            rule: "there is no place for data: neither XDG_DATA_HOME nor HOME is an absolute \
                   path. Set one of them, or name a zoo.cfg with a dataDir"
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lies_under_the_users_data_directory() {
        let path = |data: Option<&str>, home: Option<&str>| {
            data_dir_of(data.map(OsString::from), home.map(OsString::from)).ok()
        };
        assert_eq!(path(Some("/d"), Some("/h")), Some(PathBuf::from("/d/bellwether")));
        let fallback = Some(PathBuf::from("/h/.local/share/bellwether"));
        assert_eq!(path(None, Some("/h")), fallback);
        assert_eq!(path(Some("relative"), Some("/h")), fallback);
        assert_eq!(path(Some(""), None), None);
    }
}
