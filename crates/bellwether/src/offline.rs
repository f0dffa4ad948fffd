//! `bellwether log`, `bellwether snapshot` and `bellwether purge`: a data directory, seen and
//! mended while no server runs on it. The files are Apache's or ours; both are read alike.
//!
//! What it must keep true: nothing is changed without being asked for and nothing is thrown away
//! (what is replaced or cut is kept beside it); a directory that a server holds is refused; memory
//! does not grow with the length of a file (`snapshot compare` remembers its paths).
//!
//! Exit codes: 0 every acknowledged transaction is there (or: the snapshots are equal), 1 something
//! is wrong or differs, 2 the command line is wrong, 3 the directory or file cannot be used.

use bellwether_store::StoreError;
use out::Out;
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

mod ask;
mod describe;
mod hold;
mod json;
mod log_cut;
mod log_dump;
mod log_plan;
mod log_recover;
mod log_verify;
mod options;
mod out;
mod preview;
mod purge;
mod snapshot_compare;
mod snapshot_dump;
mod snapshot_summary;
mod snapshot_verify;
mod target;

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// All is well.
    Nothing,
    /// Something is wrong, or differs.
    Something,
}

impl Found {
    fn or(self, other: Found) -> Found {
        if self == Found::Nothing { other } else { Found::Something }
    }
}

/// Why a command did not do what it was to do.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong: what, and how it should be.
    Usage(String),
    /// The directory or a file cannot be used.
    Directory(String),
    /// The same, as the store tells it.
    Store(StoreError),
    /// Nobody reads the output any more.
    ReaderGone,
}

impl Failure {
    /// 1 where the content of a file is wrong, 3 where it cannot be used at all.
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Store(StoreError::Snapshot { .. } | StoreError::Corrupt { .. }) => 1,
            Failure::Usage(_) | Failure::Directory(_) | Failure::Store(_) | Failure::ReaderGone => {
                3
            }
        }
    }
}

type Done = Result<Found, Failure>;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::Directory(what) => f.write_str(what),
            Failure::Store(error) => write!(f, "{error}"),
            Failure::ReaderGone => f.write_str("the output was closed"),
        }
    }
}

/// Runs the command of a group with the arguments after its name.
pub(crate) fn run(group: &'static str, args: Vec<OsString>) -> ExitCode {
    let (row, options) = match options::parse(group, args) {
        Ok(options::Wish::Run(row, options)) => (row, options),
        Ok(options::Wish::Help(text)) => {
            crate::say::line(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(what) => return refuse(group, &what),
    };
    let mut out = Out::new(options.json);
    let done = (row.run)(&options, &mut out);
    let done = out.finish().and(done);
    match done {
        Ok(Found::Nothing) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Ok(Found::Something) => ExitCode::from(1),
        Err(Failure::Usage(what)) => refuse(group, &what),
        Err(failure @ (Failure::Directory(_) | Failure::Store(_))) => {
            crate::say::error(format_args!("bellwether {}: {failure}", row.name()));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn refuse(group: &str, what: &str) -> ExitCode {
    crate::say::error(format_args!(
        "bellwether {group}: {what}\n\n{}",
        options::usage(group).trim_end()
    ));
    ExitCode::from(2)
}
