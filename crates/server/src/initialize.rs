//! The file `initialize`, by which a user says that an empty database is meant to be, where
//! `db.autocreate=false` says that none may be made up.
//!
//! What it keeps true: the word counts for one start. As in Apache the file is looked for beside
//! the log's `version-2`, and is gone once a server has started, whether or not it was needed.

use crate::config::Config;
use std::fmt;
use std::io;
use std::path::PathBuf;
use tracing::{error, info};

/// What the user said about an empty database.
#[derive(Debug)]
pub(crate) struct Initialize {
    path: PathBuf,
    is_there: bool,
    autocreate: bool,
}

/// The file can neither be looked at nor removed.
#[derive(Debug)]
pub(crate) struct InitializeError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for InitializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (doing, path) = (self.doing, self.path.display());
        write!(f, "cannot {doing} {path}, which counts for one start: {}", self.source)?;
        write!(f, "; it must be a file that the server's user may remove")
    }
}

impl Initialize {
    /// Looks for the file.
    pub(crate) fn look(config: &Config) -> Result<Initialize, InitializeError> {
        let path = config.data_log_dir.join("initialize");
        match path.try_exists() {
            Ok(is_there) => Ok(Initialize { path, is_there, autocreate: config.db_autocreate }),
            Err(source) => Err(InitializeError { doing: "look for", path, source }),
        }
    }

    /// Whether an empty database may be made.
    pub(crate) fn allows_empty(&self) -> bool {
        self.is_there || self.autocreate
    }

    /// Says why nobody will be served.
    pub(crate) fn refuse(&self) {
        error!(
            create = %self.path.display(),
            "there is no database, and db.autocreate=false forbids to begin an empty one: every \
             session is refused. Stop the server and bring back the data, or create this file and \
             start again"
        );
    }

    /// Removes the file: what it allowed is done.
    pub(crate) fn finish(self) -> Result<(), InitializeError> {
        if !self.is_there {
            return Ok(());
        }
        match std::fs::remove_file(&self.path) {
            Ok(()) => {
                info!(file = %self.path.display(), "the file initialize was there and is removed");
                Ok(())
            }
            Err(source) => {
                Err(InitializeError { doing: "remove the file", path: self.path, source })
            }
        }
    }
}
