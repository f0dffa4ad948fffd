//! What a command line names: a data directory, or single files.

use super::Failure;
use bellwether_store::{Contents, Named, OsDisk};
use bellwether_wire::Zxid;
use std::path::{Path, PathBuf};

/// A directory of logs or snapshots, or one file.
#[derive(Debug)]
pub(super) enum Target {
    /// A `version-2`.
    Directory(PathBuf),
    /// A file.
    File(PathBuf),
}

const VERSION: &str = "version-2";

impl Target {
    /// Finds out what a path is; a dataDir or dataLogDir stands for its `version-2`.
    pub(super) fn find(path: &Path) -> Result<Target, Failure> {
        let shown = path.display();
        let metadata = std::fs::metadata(path)
            .map_err(|error| Failure::Directory(format!("cannot look at {shown}: {error}")))?;
        if !metadata.is_dir() {
            return Ok(Target::File(path.to_path_buf()));
        }
        let below = path.join(VERSION);
        let own = std::fs::canonicalize(path).ok();
        if path.file_name().is_some_and(|name| name == VERSION) && path.components().count() > 1 {
            Ok(Target::Directory(path.to_path_buf()))
        } else if let Some(own) = own.filter(|own| own.file_name().is_some_and(|n| n == VERSION)) {
            // Given as `.` or without the directory above it, whose name is needed.
            Ok(Target::Directory(own))
        } else if below.is_dir() {
            Ok(Target::Directory(below))
        } else {
            Err(Failure::Directory(format!(
                "{shown} is neither a dataDir nor a dataLogDir: it has no {VERSION}, which holds \
                 logs and snapshots; give one that has, or single files"
            )))
        }
    }

    /// Finds a directory; a file is refused.
    pub(super) fn directory(path: &Path) -> Result<PathBuf, Failure> {
        match Target::find(path)? {
            Target::Directory(dir) => Ok(dir),
            Target::File(file) => Err(Failure::Usage(format!(
                "{} is a file: give the dataDir or dataLogDir",
                file.display()
            ))),
        }
    }
}

/// The files of a directory, of which at least one must be of the kind in question.
pub(super) fn contents(dir: &Path) -> Result<Contents, Failure> {
    Ok(Contents::read(&OsDisk, dir)?)
}

/// The zxid of a log's name; zero where it has another name.
pub(super) fn first_of(path: &Path) -> Zxid {
    match Named::of(path) {
        Named::Log(zxid) | Named::Snapshot(zxid) => zxid,
        Named::Other => Zxid::ZERO,
    }
}

/// A file's own name.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The directory that zoo.cfg names, of a `version-2`.
pub(super) fn parent(version_dir: &Path) -> PathBuf {
    version_dir.parent().expect("a directory that was found has one above it").to_path_buf()
}
